#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Groups of workers have a most and a least: refused above, shown below."""
import os
import subprocess
import tempfile

import sluice_testlib as lib
from worker_test import Worker, wait_nodes

CONFIG = """
nodes: 0
cluster:
  silence: 2s
  groups:
    any-workers: {min: 1, max: 1}
"""


def group(operator, name="any"):
    groups = operator.get("/v1/cluster").expect(200)["groups"]
    return next(item for item in groups if item["group"] == name)


def check_config():
    for text, told in (("cluster.groups: tpu", "none of cpu, batch, gpu and any"),
                       ("cluster: {groups: {cpu: {min: 3, max: 2}}}", "a min above its max")):
        handle, path = tempfile.mkstemp(suffix=".yaml")
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
        done = subprocess.run([lib.BINARY, "up", "--data", "/nowhere/x", "--config", path],
                              capture_output=True, text=True, check=False, timeout=60)
        os.remove(path)
        lib.equal(done.returncode, 2, f"{text}: exit status")
        assert told in done.stderr, done.stderr


def run(server):
    workers = []
    try:
        server.start()
        operator = server.operator()
        with lib.check("fewer than the least is a condition"):
            found = group(operator)
            lib.equal((found["workers"], found["condition"]), (0, "below_min"))
            lib.equal(found["reason"], "0 workers are there, of 1 at least")
            lib.equal(group(operator, "cpu")["is_allowed"], False)
            page = lib.Client(server.dashboard_port).get("/status.json").expect(200)
            lib.equal(page["groups"][3], found, "what the status page says")
            assert "group-below-min" in server.log(), server.log()
        with lib.check("one more than the most is refused with the reason, on both sides"):
            workers.append(Worker(server, "w1"))
            wait_nodes(operator, {"w1": "alive"})
            lib.equal(group(operator)["condition"], "ok")
            workers.append(Worker(server, "w2"))
            lib.equal(workers[1].process.wait(60), 1, "its exit status")
            for log in (workers[1].log(), server.log()):
                assert "the group any has as many workers as it may, 1" in log, log
            wait_nodes(operator, {"w1": "alive"})
        with lib.check("another may come when one has gone"):
            workers[0].kill()
            wait_nodes(operator, {})
            lib.equal(group(operator)["condition"], "below_min")
            workers.append(Worker(server, "w3"))
            wait_nodes(operator, {"w3": "alive"})
            lib.equal(server.log().count("group-below-min"), 2, "once for each change")
            lib.equal(server.stop(), 0, "the head's exit status")
    finally:
        for worker in workers:
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
