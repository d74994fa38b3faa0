#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How many replicas an extractor has: kept, started and stopped as the configuration says, and the
reasons on the status page, which `sluice autoscale replay` comes to again."""
import json
import os
import subprocess
import tempfile

import sluice_testlib as lib
from worker_test import submit

CONFIG = """
extractors:
  passthrough_extractor:
    autoscaling_config:
      min_replicas: 1
      max_replicas: 3
      target_ongoing_requests: 0.5
      look_back_period_s: 0
      panic_window_s: 0
      downscale_delay_s: 1
  text_extractor:
    autoscaling_config: {min_replicas: 1, max_replicas: 1}
"""


def status(server):
    return lib.Client(server.dashboard_port).get("/status.json").expect(200)


def replicas(server, extractor="passthrough_extractor"):
    return [r for r in status(server)["replicas"] if r["extractor"] == extractor]


def ready(server):
    return sum(r["state"] == "ready" for r in replicas(server))


def decisions(server):
    pools = [p for n in status(server)["nodes"] for p in n["scaling"]]
    return [d["decision"] for p in pools if p["extractor"] == "passthrough_extractor"
            for d in p["decisions"]]


def replay(page):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(page, file)
        file.flush()
        return subprocess.run([lib.BINARY, "autoscale", "replay", file.name], text=True,
                              capture_output=True, timeout=60, check=False)


def refuse():
    for text, why in (("{autoscaling_config: {max_replica: 2}}", "is max_replicas meant?"),
                      ("{autoscaling_config: {min_replicas: 2}}", "min_replicas is more than"),
                      ("{autoscaling_config: 2}", "takes keys for autoscaling_config"),
                      ("{autoscaling: {}}", "takes no key but labels, autoscaling_config")):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "config")
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"extractors: {{x: {text}}}\n")
            done = subprocess.run([lib.BINARY, "up", "--data", "/nowhere/x", "--config", path],
                                  capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode != 0 and why in done.stderr, done.stderr


def restart(server, client):
    def listed():
        rows = operator.get("/v1/cluster/replicas?extractor=text_extractor").expect(200)["results"]
        return [(row["replica_id"], row["pid"]) for row in rows if row["state"] == "ready"]

    operator = server.operator()
    lib.wait_until("it is listed", lambda: len(listed()) == 1, 60)
    (name, pid), = listed()
    for wrong in ("0-0", "x", name + "0"):
        operator.post(f"/v1/cluster/replicas/{wrong}/restart").expect(404)
    client.post(f"/v1/cluster/replicas/{name}/restart").expect(403)
    done = server.run("serve", "restart", name, key=operator.key)
    lib.equal(done.returncode, 0, done.stderr)
    assert "another is started" in done.stdout, done.stdout
    lib.wait_until("another", lambda: [p for _, p in listed() if p != pid], 60)
    client.post("/v1/inference", {"inference_name": "text_hash_v1",
                                  "inputs": {"text": "warm"}}).expect(200)
    logs = operator.get("/v1/organizations/audit/logs?action=replica_restarted").expect(200)
    lib.equal([row["resource_id"] for row in logs["results"]], [name])


def scale(server):
    with lib.check("the least is there before any work"):
        lib.wait_until("a replica", lambda: ready(server) == 1, 60)
        lib.equal([d["reason"] for d in decisions(server)], [])
    client = server.tenant("scale")
    client.namespace = client.make("namespace", "scale", feature_extractors=lib.BOTH)
    with lib.check("and of an extractor with vectors: the first call is answered by it"):
        def kept():
            return [r for r in replicas(server, "text_extractor") if r["state"] == "ready"]
        lib.wait_until("it is kept", kept, 60)
        before = kept()
        lib.equal([(r["index"], r["done"]) for r in before], [("text_hash_v1", 0)])
        client.post("/v1/inference", {"inference_name": "text_hash_v1",
                                      "inputs": {"text": "warm"}}).expect(200)
        lib.wait_until("it has answered", lambda: [r["done"] for r in kept()] == [1], 60)
        lib.equal([r["pid"] for r in kept()], [r["pid"] for r in before], "its process")
    bucket = client.make("bucket", "things", bucket_schema={"properties": {}})
    client.make("collection", "copies", source={"type": "bucket", "bucket_ids": [bucket]},
                feature_extractor={"feature_extractor_name": "passthrough_extractor",
                                   "version": "v1", "input_mappings": {"content": "content"}})
    with lib.check("work over the target has more started, and they go when it is done"):
        _, task = submit(client, bucket, 300)
        lib.equal(client.wait_task(task)["status"], "COMPLETED")
        lib.wait_until("decisions", lambda: [d["replicas"] for d in decisions(server)][-1:] == [1],
                       60)
        lib.wait_until("the one that stays", lambda: len(replicas(server)) == 1, 60)
        counts = [d["replicas"] for d in decisions(server)]
        assert max(counts) == 3 and min(counts) == 1, counts
        assert all("target 0.5" in d["why"] for d in decisions(server))
    with lib.check("what its tasks waited for, and how long they took, is told"):
        lib.wait_until("all are counted", lambda: [
            r["times"]["tasks"]["count"] for r in replicas(server)] == [300], 60)
        times = replicas(server)[0]["times"]
        lib.equal(times["calls"]["count"], 0)
        for part in ("wait", "batch_wait", "compute"):
            told = times["tasks"][part]
            assert 0 < told["p50_ms"] <= told["p99_ms"], told
        assert times["tasks"]["compute"]["sum_ms"] > 0, times
    with lib.check("a replica that is restarted answers what it has; another takes its place"):
        restart(server, client)
    with lib.check("the page's decisions come out the same again, and a changed one does not"):
        page = status(server)
        done = replay(page)
        lib.equal((done.returncode, done.stderr), (0, ""))
        assert done.stdout.endswith(" decisions, 0 of them come out otherwise\n"), done.stdout
        page["nodes"][0]["scaling"][0]["last"]["decision"]["waiting"] += 100
        done = replay(page)
        lib.equal(done.returncode, 1)
        assert "otherwise: " in done.stdout, done.stdout
        page["nodes"][0]["scaling"][0]["last"] = {}
        done = replay(page)
        lib.equal(done.returncode, 1)
        assert "not a status page's nodes" in done.stderr, done.stderr


def main():
    with lib.check("a configuration of replicas that makes no sense is refused with its key"):
        refuse()
    handle, config = tempfile.mkstemp(suffix=".yaml")
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(CONFIG)
    server = lib.Server(config)
    try:
        server.start()
        scale(server)
        lib.equal(server.stop(), 0, "the exit status")
    finally:
        server.remove()
        os.remove(config)
    lib.finish()


if __name__ == "__main__":
    main()
