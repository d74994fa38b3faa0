#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A replica that crashes on one document: it is retried, then reported with its signal; all others
complete. The crash is a plugin's that takes the place of passthrough_extractor; under a name of its
own it is an extractor that collections may use."""
import os
import subprocess
import tempfile

import sluice_testlib as lib

HERE = os.path.dirname(os.path.abspath(__file__))


def build_plugin(folder, names=("passthrough_extractor", "mine_extractor")):
    for name in names:
        subprocess.run(["cc", "-std=gnu17", "-shared", "-fPIC", "-D_GNU_SOURCE",
                        f'-DPLUGIN_NAME="{name}"',
                        "-I", os.path.join(lib.ROOT, "extractors/include"),
                        os.path.join(HERE, "crash_plugin.c"),
                        "-o", os.path.join(folder, f"{name}.so")], check=True)
    config = os.path.join(folder, "sluice.yaml")
    with open(config, "w", encoding="ascii") as file:
        file.write(f"plugins: {folder}\nretry:\n  attempts: 3\n  base: 10ms\n  cap: 50ms\n")
    return config


def check_custom(client, bucket):
    with lib.check("a plugin under its own name is listed as custom"):
        path = f"/v1/namespaces/{client.namespace}/extractors?source=custom"
        reply = client.get(path).expect(200)
        lib.equal([item["feature_extractor_id"] for item in reply["extractors"]],
                  ["mine_extractor_v1"])
        lib.equal(reply["custom_count"], 1)
    with lib.check("it is a plugin of the namespace, and cannot be changed over the API"):
        path = f"/v1/namespaces/{client.namespace}/plugins"
        for listed in (path, path + "/available"):
            plugins = client.get(listed).expect(200)["plugins"]
            lib.equal([plugin["plugin_id"] for plugin in plugins], ["mine_extractor_v1"])
        one = client.get(path + "/mine_extractor_v1").expect(200)["plugin"]
        lib.equal((one["name"], one["validation_status"]), ("mine_extractor", "passed"))
        of_all = client.get("/v1/plugins").expect(200)["plugins"]
        lib.equal([plugin["plugin_id"] for plugin in of_all], ["mine_extractor_v1"])
        one = client.get("/v1/plugins/mine_extractor_v1").expect(200)["plugin"]
        lib.equal((one["name"], one["deployed"]), ("mine_extractor", True))
        client.get("/v1/plugins/text_extractor_v1").expect(404)
        lib.equal(client.get(path + "/mine_extractor_v1/status").expect(200)["status"], "DEPLOYED")
        for absent in ("text_extractor_v1", "no_such_v1"):
            client.get(f"{path}/{absent}").expect(404)
        client.post(path + "/mine_extractor_v1/deploy").expect(501)
        client.call("DELETE", path + "/mine_extractor_v1").expect(501)
    with lib.check("a collection uses it"):
        client.make("collection", "mine", source={"type": "bucket", "bucket_ids": [bucket]},
                    feature_extractor={"feature_extractor_name": "mine_extractor", "version": "v1",
                                       "input_mappings": {"whatever": "content"}})
        ids = client.make_objects(bucket, [lib.text_object("one")])
        batch = client.post(f"/v1/buckets/{bucket}/batches", {"object_ids": ids}).expect(200)
        path = f"/v1/buckets/{bucket}/batches/{batch['batch_id']}/submit"
        task = client.post(path, {"collection_ids": ["mine"]}).expect(200)
        lib.equal(client.wait_task(task["task_id"])["status"], "COMPLETED")
        lib.equal([item["was"] for item in client.documents("mine")], ["processed"])


def main():
    with tempfile.TemporaryDirectory() as folder:
        server = lib.Server(build_plugin(folder)).start()
        client = server.tenant("crash-test")
        client.namespace = client.make("namespace", "crash", feature_extractors=lib.BOTH)
        bucket = client.make("bucket", "things", bucket_schema={
            "properties": {"content": {"type": "text"}}})
        client.make("collection", "copies", source={"type": "bucket", "bucket_ids": [bucket]},
                    feature_extractor={"feature_extractor_name": "passthrough_extractor",
                                       "version": "v1", "input_mappings": {"content": "content"}})
        ids = client.make_objects(bucket, [
            lib.text_object("CRASH" if i == 17 else f"text {i}") for i in range(50)])
        batch, task_id = client.submit(bucket, ids)
        with lib.check("the batch ends with errors, and says how many"):
            task = client.wait_task(task_id, seconds=90)
            lib.equal(task["status"], "COMPLETED_WITH_ERRORS", "the task's status")
            lib.equal(task["additional_data"]["progress"], {"done": 49, "failed": 1, "total": 50})
        with lib.check("all others have completed"):
            roots = {lib.root_object(item) for item in client.documents("copies")}
            lib.equal(roots, set(ids) - {ids[17]}, "the objects that have documents")
        with lib.check("the document is reported with the signal, after its attempts"):
            failed = client.get(f"/v1/buckets/{bucket}/batches/{batch}/failed-documents"
                                ).expect(200)
            lib.equal(failed["total"], 1)
            one = failed["failed_documents"][0]
            lib.equal(one["object_id"], ids[17])
            assert "SIGSEGV" in one["message"] or "signal 11" in one["message"], one
            lib.equal(one["retry_count"], 2, "retries after the first attempt")
            lib.equal((one["signal"], one["code"], one["document_id"]),
                      (11, "replica_crashed", None))
        with lib.check("the log tells of the crashes on the way"):
            tiers = client.get(f"/v1/buckets/{bucket}/batches/{batch}/logs").expect(200)["tiers"]
            lines = [line for line in tiers[0]["lines"] if " retry: " in line]
            assert lines and all("signal 11" in line for line in lines), tiers
            lib.equal(tiers[0]["truncated"], False)
        check_custom(client, bucket)
        with lib.check("sluice itself is alive, and stops when asked"):
            lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
