#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Workers from elsewhere: they join, leave, are killed, outlive the head; no document is lost."""
import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter

import sluice_testlib as lib

CONFIG = "nodes: 0\ncluster:\n  silence: 2s\n"


class Worker:
    def __init__(self, server, name, *options):
        self.log_path = f"{server.data}-{name}.log"
        self.name = name
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [lib.BINARY, "worker", "--head", f"ipc://{server.data}/run/head",
                 "--data", server.data, "--name", name, "--group", "any", *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, lib.MARK: server.mark}, start_new_session=True)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def kill(self):
        """As a crash of its machine would: the whole group at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)

    def stop(self, seconds=30):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def remove(self):
        self.kill()
        os.remove(self.log_path)


def wait_nodes(operator, wanted, seconds=60):
    """Until the head knows exactly these: {name: state}."""
    deadline, found = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        found = {node["name"]: node["state"]
                 for node in operator.get("/v1/cluster/nodes").expect(200)["results"]}
        if found == wanted:
            return
        time.sleep(0.05)
    raise AssertionError(f"the nodes are {found}, not {wanted}")


def submit(client, bucket, count):
    objects = client.make_objects(bucket, [
        {"number": i, "content": f"item {i}"} for i in range(count)])
    return objects, client.submit(bucket, objects)[1]


def check_joining(server, operator, workers):
    wait_nodes(operator, {"w1": "alive", "w2": "alive"})
    node = operator.get("/v1/cluster/nodes").json["results"][0]
    lib.equal((node["is_local"], node["group"], node["labels"]), (False, "any", {"zone": "a"}))
    shown = subprocess.run([lib.BINARY, "nodes", "list", "--url", f"http://127.0.0.1:{server.port}",
                            "--key-file", f"{server.data}/admin.key"],
                           check=True, capture_output=True, text=True).stdout
    assert "w1" in shown and "w2" in shown, shown
    again = Worker(server, "w2", "--label", "zone=a")
    lib.equal(workers["w2"].process.wait(60), 1, "exit status of the one whose place was taken")
    assert "another worker" in workers["w2"].log(), workers["w2"].log()
    workers["w2"] = again
    wait_nodes(operator, {"w1": "alive", "w2": "alive"})


def check_explained(client, operator, bucket):
    """While w1 is cordoned, w2 is where a job's tasks go, and the answer says why."""
    _, task = submit(client, bucket, 3000)
    found = operator.get(f"/v1/cluster/placement/{task}").expect(200)
    lib.equal((found["class"], found["nodes_total"]), ("cpu", 2), found)
    nodes = {node["node"]: node for node in found["collections"][0]["nodes"]}
    lib.equal(nodes["w1"]["verdict"], "closed")
    assert nodes["w2"]["verdict"] in ("good", "full") and nodes["w2"]["is_warm"], nodes
    lib.equal(nodes["w2"]["cost"], nodes["w2"]["in_flight"], "tasks under way at a warm node")
    lib.equal(client.wait_task(task)["status"], "COMPLETED")
    operator.get(f"/v1/cluster/placement/{task}").expect(404)
    operator.get("/v1/cluster/placement/nothing").expect(404)


def check_orders(client, operator, bucket, workers):
    operator.post("/v1/cluster/nodes/w1/cordon").expect(200)
    wait_nodes(operator, {"w1": "cordoned", "w2": "alive"})
    _, task = submit(client, bucket, 50)
    lib.equal(client.wait_task(task)["status"], "COMPLETED")
    nodes = {node["name"]: node for node in operator.get("/v1/cluster/nodes").json["results"]}
    lib.equal(nodes["w1"]["replicas"], [], "what a cordoned node runs")
    check_explained(client, operator, bucket)
    operator.post("/v1/cluster/nodes/w1/uncordon").expect(200)
    operator.post("/v1/cluster/nodes/nobody/drain").expect(404)
    client.get("/v1/cluster/nodes").expect(403)
    operator.post("/v1/cluster/nodes/w1/drain").expect(200)
    lib.equal(workers["w1"].process.wait(60), 0, "exit status of a drained worker")
    wait_nodes(operator, {"w2": "alive"})


def check_death(server, client, operator, bucket, workers):
    """kill -9 of a worker with leases: another finishes them."""
    workers["w3"] = Worker(server, "w3")
    wait_nodes(operator, {"w2": "alive", "w3": "alive"})
    objects, task = submit(client, bucket, 3000)
    time.sleep(0.15)
    workers["w3"].kill()
    lib.equal(client.wait_task(task, 120)["status"], "COMPLETED")
    wait_nodes(operator, {"w2": "alive"})
    return objects


def check_head(server, client, operator, bucket, workers):
    """kill -9 of the head: the worker and its replicas stay, and join the next one."""
    objects, task = submit(client, bucket, 3000)
    replicas = [pid for pid in server.pids() if is_replica(pid)]
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait(60)
    time.sleep(0.3)
    lib.equal(workers["w2"].process.poll(), None, "the worker's exit status")
    server.start()
    wait_nodes(operator, {"w2": "alive"})
    lib.equal(client.wait_task(task, 120)["status"], "COMPLETED")
    assert replicas and set(replicas) <= set(server.pids()), "replicas were started again"
    return objects


def is_replica(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/comm", encoding="ascii", errors="replace") as file:
            return "replica" in file.read()
    return False


def check_usage():
    for arguments in ([], ["--head", "ipc:///x"], ["--head", "ipc:///x", "--data", "/x", "--group",
                                                   "tpu"],
                      ["--head", "ipc:///x", "--data", "/x", "--cpus", "many"], ["--bogus"],
                      ["--head", "ipc:///x", "--data", "/x", "--label", "none"]):
        done = subprocess.run([lib.BINARY, "worker", *arguments], capture_output=True, text=True,
                              check=False, timeout=60)
        lib.equal(done.returncode, 2, f"{arguments}: exit status")
        assert "sluice worker: " in done.stderr, done.stderr


def run(server):
    workers = {}
    try:
        server.start()
        operator = server.operator()
        client = server.tenant("workers")
        client.namespace = client.make("namespace", "workers", feature_extractors=lib.BOTH)
        bucket = client.make("bucket", "things", bucket_schema={"properties": {}})
        collection = client.make(
            "collection", "copies", source={"type": "bucket", "bucket_ids": [bucket]},
            feature_extractor={"feature_extractor_name": "passthrough_extractor",
                               "version": "v1", "input_mappings": {"content": "content"}})
        for name in ("w1", "w2"):
            workers[name] = Worker(server, name, "--label", "zone=a")
        with lib.check("workers join, are listed, and one of a name takes its place"):
            check_joining(server, operator, workers)
        with lib.check("cordoned it gets no tasks; drained it ends by itself"):
            check_orders(client, operator, bucket, workers)
        objects = []
        with lib.check("a worker that is killed loses no task"):
            objects += check_death(server, client, operator, bucket, workers)
        with lib.check("a head that is killed finds its workers again, replicas warm"):
            objects += check_head(server, client, operator, bucket, workers)
        with lib.check("every document is there exactly once"):
            roots = Counter(lib.root_object(item) for item in client.documents(collection))
            lib.equal(max(roots.values()), 1, "documents of one object, at most")
            assert set(objects) <= set(roots), f"{len(set(objects) - set(roots))} are lost"
        with lib.check("a worker leaves when asked, and so does the head"):
            lib.equal(workers["w2"].stop(), 0, "the worker's exit status")
            assert "Sanitizer" not in workers["w2"].log(), workers["w2"].log()
            wait_nodes(operator, {})
            lib.equal(server.stop(), 0, "the head's exit status")
            lib.equal(server.pids(), [], "processes left")
    finally:
        for worker in workers.values():
            worker.remove()


def main():
    with lib.check("options that make no sense are refused"):
        check_usage()
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
