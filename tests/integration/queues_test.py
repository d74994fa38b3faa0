#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A queue is paused, over a kill too, and resumed: over the API and by `sluice queue`."""
import json

import sluice_testlib as lib


def shop(client):
    """What a tenant needs to copy texts; its bucket."""
    client.namespace = client.make("namespace", "shop", feature_extractors=lib.BOTH)
    bucket = client.make("bucket", "things", bucket_schema={
        "properties": {"content": {"type": "text"}}})
    client.make("collection", "copies", source={"type": "bucket", "bucket_ids": [bucket]},
                feature_extractor={"feature_extractor_name": "passthrough_extractor",
                                   "version": "v1", "input_mappings": {"content": "content"}})
    return bucket


def run_batch(client, bucket, size):
    ids = client.make_objects(bucket, [lib.text_object(f"text {i}") for i in range(size)])
    return client.submit(bucket, ids)[1]


def others_work_runs(client, bucket):
    """Work is handed out: what a paused queue has was passed over, not just not yet seen."""
    task = run_batch(client, bucket, 3)
    lib.equal(client.wait_task(task)["status"], "COMPLETED")


def main():
    server = lib.Server().start()
    client, other = server.tenant("acme"), server.tenant("other")
    bucket, others_bucket = shop(client), shop(other)
    queue = "/v1/cluster/queues/acme:cpu"
    with lib.check("another tenant's key does not see it"):
        other.post(queue + "/pause").expect(404)
    with lib.check("only an operator sets limits"):
        client.call("PATCH", queue, {"weight": 9}).expect(403)
    with lib.check("a paused queue takes a batch and runs nothing of it"):
        lib.equal(client.post(queue + "/pause").expect(200)["paused"], True)
        task = run_batch(client, bucket, 5)
        others_work_runs(other, others_bucket)
        found = client.get(queue).expect(200)
        lib.equal((found["depth"], found["in_flight"]), (5, 0))
    with lib.check("it is paused after a kill"):
        server.kill_all()
        server.start()
        others_work_runs(other, others_bucket)
        found = client.get(queue).expect(200)
        lib.equal((found["mode"], found["depth"], found["in_flight"]), ("paused", 5, 0))
        lib.equal(client.documents("copies"), [])
    with lib.check("the command line shows and resumes it, and the batch runs"):
        done = server.run("queue", "ls", "--json", key=client.key)
        lib.equal((done.returncode, [item["queue"] for item in json.loads(done.stdout)["results"]]),
                  (0, ["acme:cpu"]))
        lib.equal(server.run("queue", "pause", "other:cpu", key=client.key).returncode, 4)
        lib.equal(server.run("queue", "limits", "acme:cpu", key=client.key).returncode, 2)
        lib.equal(server.run("queue", "limits", "acme:cpu", "--weight", "9",
                             key=server.operator().key).returncode, 0)
        done = server.run("queue", "resume", "acme:cpu", key=client.key)
        lib.equal(done.returncode, 0)
        lib.equal(client.wait_task(task)["status"], "COMPLETED")
        lib.equal(len(client.documents("copies")), 5)
        lib.equal(client.get(queue).expect(200)["weight"], 9)
    with lib.check("a draining or full queue refuses a batch with its reason"):
        path = f"/v1/buckets/{bucket}/batches"
        ids = client.make_objects(bucket, [lib.text_object(f"more {i}") for i in range(5)])
        batch = client.post(path, {"object_ids": ids}).expect(200)["batch_id"]
        client.post(queue + "/drain").expect(200)
        client.post(f"{path}/{batch}/submit").expect(503)
        client.post(queue + "/resume").expect(200)
        server.operator().call("PATCH", queue, {"depth_max": 4}).expect(200)
        client.post(f"{path}/{batch}/submit").expect(429)
        server.operator().call("PATCH", queue, {"depth_max": 5}).expect(200)
        task = client.post(f"{path}/{batch}/submit").expect(200)["task_id"]
        lib.equal(client.wait_task(task)["status"], "COMPLETED")
    server.stop()
    lib.finish()


if __name__ == "__main__":
    main()
