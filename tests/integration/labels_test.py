#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Work that asks for labels waits for a node that has them, and holds up nothing else."""
import os
import subprocess
import tempfile
import time

import sluice_testlib as lib
from worker_test import Worker, submit, wait_nodes

CONFIG = """
nodes: 1
extractors:
  passthrough_extractor:
    labels: {zone: b, disk: ssd}
"""


def wait_parked(server, count, seconds=60):
    deadline, found = time.monotonic() + seconds, None
    while found != count and time.monotonic() < deadline:
        time.sleep(0.05)
        found = lib.Client(server.dashboard_port).get("/status.json").expect(200)["tasks"]["parked"]
    lib.equal(found, count, "tasks that are parked")


def explain(server, task):
    return subprocess.run(
        [lib.BINARY, "explain", "placement", task, "--url", f"http://127.0.0.1:{server.port}",
         "--key-file", f"{server.data}/admin.key"], check=True, capture_output=True,
        text=True).stdout


def check_waiting(server, client, operator, bucket):
    _, task = submit(client, bucket, 200)
    wait_parked(server, 200)
    found = operator.get(f"/v1/cluster/placement/{task}").expect(200)["collections"][0]
    lib.equal((found["labels"], found["parked"]), ({"zone": "b", "disk": "ssd"}, 200))
    lib.equal(found["reason"], "no node has the labels zone=b, disk=ssd")
    lib.equal(found["nodes"][0]["verdict"], "other_labels")
    shown = explain(server, task)
    assert "no node has the labels zone=b" in shown and "200 tasks wait" in shown, shown
    return task


def check_config():
    for text, told in (("extractors: {a: {label: {}}}", "no key but labels"),
                       ("extractors: {a: {labels: {b: [1]}}}", "a list"),
                       ("extractors: [a]", "a list")):
        handle, path = tempfile.mkstemp(suffix=".yaml")
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
        done = subprocess.run([lib.BINARY, "up", "--data", "/nowhere/x", "--config", path],
                              capture_output=True, text=True, check=False, timeout=60)
        os.remove(path)
        lib.equal(done.returncode, 2, f"{text}: exit status")
        assert told in done.stderr, done.stderr


def run(server):
    workers = {}
    try:
        server.start()
        operator = server.operator()
        client = server.tenant("labels")
        client.namespace = client.make("namespace", "labels", feature_extractors=lib.BOTH)
        bucket = client.make("bucket", "things", bucket_schema={"properties": {}})
        client.make("collection", "copies", source={"type": "bucket", "bucket_ids": [bucket]},
                    feature_extractor={"feature_extractor_name": "passthrough_extractor",
                                       "version": "v1", "input_mappings": {"content": "content"}})
        with lib.check("it waits, and the reason can be asked for"):
            task = check_waiting(server, client, operator, bucket)
        with lib.check("a node with one of two labels gets nothing"):
            workers["half"] = Worker(server, "half", "--label", "zone=b")
            wait_nodes(operator, {"2": "alive", "half": "alive"})
            wait_parked(server, 200)
        with lib.check("one with both runs it all"):
            workers["both"] = Worker(server, "both", "--label", "zone=b", "--label", "disk=ssd")
            lib.equal(client.wait_task(task)["status"], "COMPLETED")
            wait_parked(server, 0)
            nodes = {n["name"]: n for n in operator.get("/v1/cluster/nodes").json["results"]}
            lib.equal(nodes["half"]["replicas"], [], "what the other one ran")
        with lib.check("a stop does not wait for what is parked"):
            workers.pop("both").remove()
            wait_nodes(operator, {"2": "alive", "half": "alive"})
            submit(client, bucket, 50)
            wait_parked(server, 50)
            lib.equal(server.stop(), 0, "the head's exit status")
    finally:
        for worker in workers.values():
            worker.remove()


def main():
    with lib.check("a configuration that makes no sense is refused"):
        check_config()
    handle, config = tempfile.mkstemp(suffix=".yaml")
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(CONFIG)
    try:
        run(lib.Server(config))
    finally:
        os.remove(config)
    lib.finish()


if __name__ == "__main__":
    main()
