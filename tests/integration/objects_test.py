#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Replicas of a tenant share objects of their node: one makes what the others read in place. What
a killed one held comes back, one that misbehaves is killed, and no other tenant gets any of it."""
import os
import signal
import subprocess
import tempfile

import sluice_testlib as lib

HERE = os.path.dirname(os.path.abspath(__file__))
EXTRACTOR = [{"feature_extractor_name": "share_extractor", "version": "v1"}]


def build_plugin(folder):
    subprocess.run(["cc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                    "-D_GNU_SOURCE", f'-DHOLDS="{folder}/holds"',
                    "-I", os.path.join(lib.ROOT, "extractors/include"),
                    os.path.join(HERE, "share_plugin.c"),
                    "-o", os.path.join(folder, "share_extractor.so")], check=True)
    config = os.path.join(folder, "sluice.yaml")
    with open(config, "w", encoding="ascii") as file:
        file.write(f"plugins: {folder}\nreplicas: {{max: 2, sandbox: false}}\n"
                   "retry:\n  attempts: 1\n"
                   "objects: {memory: 64MiB, tenant: 48MiB}\n")
    return config


class Tenant:
    """A client whose collection gives each object of a bucket to the plugin."""

    def __init__(self, server, name):
        self.client = server.tenant(name)
        self.client.namespace = self.client.make("namespace", name, feature_extractors=EXTRACTOR)
        self.bucket = self.client.make("bucket", "lines", bucket_schema={
            "properties": {"content": {"type": "text"}}})
        self.client.make("collection", "said", source={
            "type": "bucket", "bucket_ids": [self.bucket]}, feature_extractor={
                "feature_extractor_name": "share_extractor", "version": "v1",
                "input_mappings": {"line": "content"}})

    def begin(self, lines):
        ids = self.client.make_objects(self.bucket, [lib.text_object(line) for line in lines])
        return ids, *self.client.submit(self.bucket, ids)

    def run(self, lines):
        """What the plugin said of each line."""
        ids, _, task = self.begin(lines)
        lib.equal(self.client.wait_task(task)["status"], "COMPLETED")
        return [item for item in self.client.documents("said") if lib.root_object(item) in ids]


def store(server):
    page = lib.Client(server.dashboard_port).get("/status.json").expect(200)
    return page["nodes"][0]["objects"]


def check_sharing(server, one):
    with lib.check("a node's store is there before anybody uses it, and empty"):
        lib.wait_until("the first beat", lambda: store(server) is not None)
        now = store(server)
        lib.equal((now["objects"], now["clients"], now["memory_bytes"]), (0, 0, 0))
        lib.equal(now["memory_max_bytes"], 64 << 20)
    with lib.check("two replicas share an object that one of them made"):
        found = []

        def are_two():
            """The second may come when the first has done all of a batch."""
            found.extend(one.run(["SHARE spam"] * 300))
            return len({item["pid"] for item in found}) == 2
        lib.wait_until("two replicas have had some", are_two)
        lib.equal(sum(item["made"] for item in found), 1, "replicas that made it")
        lib.equal({(item["status"], item["sound"]) for item in found}, {(0, 1)})
    with lib.check("what the store holds shows in the node's beat"):
        lib.wait_until("one object", lambda: store(server)["objects"] == 1)
        now = store(server)
        lib.equal((now["object_bytes"], now["clients"], now["tenants"]), (300000, 2, 1))
        assert 300000 < now["memory_bytes"] <= 64 << 20, now


def check_kill(server, one, folder):
    with lib.check("what a replica held when it was killed comes back"):
        _, _, task = one.begin(["HOLD spam"])
        holds = os.path.join(folder, "holds")
        lib.wait_until("it holds", lambda: os.path.exists(holds))
        lib.wait_until("a pin", lambda: store(server)["pins"] == 1)
        with open(holds, encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGKILL)
        lib.wait_until("none", lambda: (store(server)["pins"], store(server)["clients"]) == (0, 1))
        lib.equal(one.client.wait_task(task)["status"], "FAILED")
        lib.equal([item["status"] for item in one.run(["GET spam"])], [0], "it is there still")


def check_litter(server, one):
    with lib.check("a replica that sends the store nonsense is killed"):
        _, batch, task = one.begin(["LITTER"])
        lib.equal(one.client.wait_task(task)["status"], "FAILED")
        path = f"/v1/buckets/{one.bucket}/batches/{batch}/failed-documents"
        lib.equal(one.client.get(path).expect(200)["failed_documents"][0]["signal"], 9)
        lib.wait_until("it is counted", lambda: store(server)["drops"] == 1)
        assert "objects-misused" in server.log(), server.log()[-2000:]


def main():
    with tempfile.TemporaryDirectory() as folder:
        server = lib.Server(build_plugin(folder)).start()
        one, other = Tenant(server, "one"), Tenant(server, "other")
        check_sharing(server, one)
        check_kill(server, one, folder)
        check_litter(server, one)
        with lib.check("another tenant's replicas are others, and do not find it"):
            mine = {item["pid"] for item in one.run(["GET spam"])}
            found = other.run(["GET spam"])
            lib.equal([item["status"] for item in found], [1])
            assert not mine & {item["pid"] for item in found}, (mine, found)
            lib.equal(sum(item["made"] for item in other.run(["SHARE spam"])), 1)
            lib.wait_until("two objects", lambda: store(server)["objects"] == 2)
        with lib.check("it stops when asked"):
            lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
