#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes of a group without an idle delay: they come for each call, and none goes from under one."""
import os
import tempfile
import time

import sluice_testlib as lib
from serving_test import build_plugin, infer, read_runs, start_call

CONFIG = """
nodes: 0
plugins: {folder}
replicas: {{max: 1, sandbox: false}}
cluster:
  groups:
    cpu: {{provider: local, min: 0, max: 2, idle: 0s, drain: 100ms}}
"""


def nodes(operator):
    return operator.get("/v1/cluster/nodes").expect(200)["results"]


def count_joined(operator):
    events = operator.get("/v1/cluster/events?limit=100").expect(200)["results"]
    return [event["event"] for event in events].count("node-joined")


def wait_none(operator):
    lib.wait_until("no node is left", lambda: nodes(operator) == [], 60)


def check_from_zero(operator, client):
    for i in range(4):
        infer(client, f"call {i}").expect(200)
        wait_none(operator)


def check_held(operator, client, runs, release):
    before, replies = count_joined(operator), []
    held = start_call(client, "HOLD", replies)
    lib.wait_until("the call is under way", lambda: "HOLD" in read_runs(runs), 60)
    lib.wait_until("the node has said so", lambda: [node["calls"] for node in nodes(operator)]
                   == [1], 60)
    time.sleep(1)  # What would end the node by now: the idle delay, and ten times the drain's.
    lib.equal([(node["state"], node["calls"]) for node in nodes(operator)], [("alive", 1)])
    with open(release, "w", encoding="ascii"):
        pass
    held.join()
    replies[0].expect(200)
    lib.equal(read_runs(runs).count("HOLD"), 1, "how often it ran")
    lib.equal(count_joined(operator), before + 1, "nodes that it took")
    wait_none(operator)


def main():
    with tempfile.TemporaryDirectory() as folder:
        runs, release = build_plugin(folder)
        config = os.path.join(folder, "sluice.yaml")
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIG.format(folder=folder))
        server = lib.Server(config).start()
        try:
            operator, client = server.operator(), server.tenant("called")
            client.namespace = client.make("namespace", "ns", feature_extractors=[
                {"feature_extractor_name": "serving_extractor", "version": "v1"}])
            bucket = client.make("bucket", "texts")
            client.make("collection", "notes", feature_extractor={
                "feature_extractor_name": "serving_extractor", "version": "v1",
                "input_mappings": {"text": "content"}},
                source={"type": "bucket", "bucket_ids": [bucket]})
            with lib.check("without an idle delay each call finds the node it started"):
                check_from_zero(operator, client)
            with lib.check("a call that lasts keeps its node, and runs once"):
                check_held(operator, client, runs, release)
        finally:
            server.stop()
            server.remove()
    lib.finish()


if __name__ == "__main__":
    main()
