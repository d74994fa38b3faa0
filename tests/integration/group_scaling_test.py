#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes of a group come when there is work, go when there is none, and stay within the limits."""
import os
import signal
import tempfile

import sluice_testlib as lib
from worker_test import submit

CONFIG = """
nodes: 0
cluster:
  silence: 60s  # Nodes that are stopped here are there until they are killed.
  groups:
    cpu-workers: {provider: local, min: 0, max: 2, idle: 1s, tasks: 4}
    gpu: {}
"""


def group(operator, name="cpu"):
    groups = operator.get("/v1/cluster").expect(200)["groups"]
    return next(item for item in groups if item["group"] == name)


def nodes(operator):
    return operator.get("/v1/cluster/nodes").expect(200)["results"]


def wait_count(operator, count):
    """Until so many nodes are there, all of them alive."""
    lib.wait_until(f"{count} nodes",
                   lambda: [node["state"] for node in nodes(operator)] == count * ["alive"], 60)


def wait_group(operator, task, key, wanted):
    """Until this is told of the group that a task waits for; return all that is told of it."""
    found = {}

    def is_told():
        found.update(operator.get(f"/v1/cluster/placement/{task}").expect(200))
        return found["group"][key] == wanted
    try:
        lib.wait_until(f"{key} is {wanted!r}", is_told)
    except AssertionError as error:
        raise AssertionError(f"{error}: {found}") from None
    return found


def check_from_zero(client, operator, bucket):
    lib.equal((nodes(operator), group(operator)["condition"]), ([], "at_zero"))
    for _ in range(2):
        _, task = submit(client, bucket, 3)
        lib.equal(client.wait_task(task)["status"], "COMPLETED")
        wait_count(operator, 0)
    client.post("/v1/inference", {"inference_name": "text_hash_v1",
                                  "inputs": {"text": "a call starts one, too"}}).expect(200)
    wait_count(operator, 0)
    lib.equal(group(operator)["condition"], "at_zero")


def check_by_hand(server, client, operator, bucket):
    def run(*arguments):
        return server.run("nodes", *arguments, key=operator.key)
    done = run("scale", "cpu-workers", "--replicas", "2")
    lib.equal(done.returncode, 0, done.stderr)
    wait_count(operator, 2)
    lib.equal((group(operator)["is_manual"], group(operator)["wanted"]), (True, 2))
    done = run("scale", "cpu-workers", "--replicas", "3")
    lib.equal(done.returncode, 4, "one more than the most")
    assert "a max of 2 nodes" in done.stderr, done.stderr
    done = run("scale", "gpu-workers", "--replicas", "1")
    assert "the group gpu is not started here" in done.stderr, done.stderr
    lib.equal(run("scale", "cpu", "--replicas", "0").returncode, 0)
    wait_count(operator, 0)
    _, task = submit(client, bucket, 5)
    lib.equal(wait_group(operator, task, "condition", "by_hand")["position"], 1)
    lib.wait_until("it is explained", lambda: all(words in server.run(
        "explain", "placement", task, key=operator.key).stdout
        for words in ("set to 0 by hand", "5 tasks need 2 nodes")))
    _, second = submit(client, bucket, 2)
    found = operator.get(f"/v1/cluster/placement/{second}").expect(200)
    lib.equal((found["position"], found["is_further"]), (6, False))
    # From zero three tasks ended twice; how long ago that is decides whether there is a rate.
    assert ("predicted_start_ms" in found) == (found["prediction"] == ""), found
    told = server.run("explain", "job", second, key=operator.key)
    lib.equal((told.returncode, "position" in told.stdout), (0, True), told.stdout)
    lib.equal(run("scale", "cpu").returncode, 0)
    for each in (task, second):
        lib.equal(client.wait_task(each)["status"], "COMPLETED")


def check_limit(server, client, operator, bucket):
    """Nodes that stand still hold what they have: the rest waits, and is told why."""
    server.run("nodes", "scale", "cpu", "--replicas", "2", key=operator.key)
    wait_count(operator, 2)
    told = operator.post("/v1/cluster/worker-groups/cpu-workers/scale", {"replicas": 2}).expect(202)
    lib.equal((told["from_replicas"], told["to_replicas"], told["temporary"]), (2, 2, True))
    groups = operator.get("/v1/cluster/worker-groups").expect(200)["results"]
    cpu = next(group for group in groups if group["name"] == "cpu-workers")
    lib.equal((cpu["replicas"], cpu["desired_replicas"], cpu["manual"]), (2, 2, {"replicas": 2}))
    pids = [node["pid"] for node in nodes(operator)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    server.run("nodes", "scale", "cpu", key=operator.key)
    _, task = submit(client, bucket, 40)
    wait_group(operator, task, "reason", "no capacity: 40 tasks need 10 nodes, limit 2 reached")
    told = server.run("serve", "status", key=operator.key).stdout
    assert "limit 2 reached" in told, told
    # The tasks of one run elsewhere, and another takes its place.
    for pid, which in ((pids[0], signal.SIGKILL), (pids[1], signal.SIGCONT)):
        os.kill(pid, which)
    lib.equal(client.wait_task(task, 120)["status"], "COMPLETED")
    lib.wait_until("a decision is told", lambda: "from_zero" in [d["reason"] for d in operator.get(
        "/v1/cluster/extractors/text_extractor/decisions").expect(200)["results"]], 60)
    lib.wait_until("one is counted as dead",
                   lambda: operator.get("/v1/cluster").expect(200)["nodes"]["dead"] >= 1)


def check_told(server, operator):
    shown = server.run("nodes", "events", "--limit", "100", key=operator.key).stdout
    for event in ("node-starting", "node-joined", "node-draining", "node-lost", "group-by-hand",
                  "group-short"):
        assert event in shown, f"{event} is not in {shown}"
    for verb, told in (("groups", "local"), ("top", "extractor")):
        done = server.run("nodes", verb, key=operator.key)
        lib.equal((done.returncode, told in done.stdout), (0, True), done.stdout + done.stderr)
    events = operator.get("/v1/cluster/events").expect(200)["results"]
    lib.equal(len(events), 20, "events that are told by default")
    times = [event["time"] for event in events]
    lib.equal(times, sorted(times), "the order of events")


def run(server):
    server.start()
    operator = server.operator()
    client = server.tenant("scaling")
    client.namespace = client.make("namespace", "scaling", feature_extractors=lib.BOTH)
    bucket = client.make("bucket", "things", bucket_schema={"properties": {}})
    client.make("collection", "copies", source={"type": "bucket", "bucket_ids": [bucket]},
                feature_extractor={"feature_extractor_name": "passthrough_extractor",
                                   "version": "v1", "input_mappings": {"content": "content"}})
    with lib.check("a job and a call from zero nodes are served, and they go to zero again"):
        check_from_zero(client, operator, bucket)
    with lib.check("a group is set by hand, within its limits, and back"):
        check_by_hand(server, client, operator, bucket)
    with lib.check("what waits for the limit is told so, and completes"):
        check_limit(server, client, operator, bucket)
    with lib.check("what happened is told, the last of it last"):
        check_told(server, operator)
    with lib.check("in the end there is no node again"):
        wait_count(operator, 0)
        lib.equal(server.stop(), 0, "exit status")


def main():
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
