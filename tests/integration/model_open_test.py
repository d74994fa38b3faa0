#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A plugin opens models of its namespace by their ids while it works: they are deployed for it, are
the ones it may have and no others, and stay as they are for as long as it has them open."""
import os
import re
import signal
import struct
import subprocess
import tempfile

import archives
import model_life_test as life
import sluice_testlib as lib

HERE = os.path.dirname(os.path.abspath(__file__))
EXTRACTOR = [{"feature_extractor_name": "open_extractor", "version": "v1"}]
OK, ABSENT, FULL, AWAY, REFUSED = 0, 1, 3, 4, 5
MODEL = "probe_1_0_0"


def weights(first):
    """A 2 x 3 tensor whose values are first, first + 1 ...; their sum is 6 * first + 15."""
    empty = archives.safetensors({"head.weight": ("F32", [2, 3], 0, 24)})
    return archives.archive(archives.member(
        "model.safetensors", empty[:-24] + struct.pack("<6f", *range(first, first + 6))))


def total(first):
    return 6 * first + 15


def build_plugin(folder):
    subprocess.run(["cc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                    "-D_GNU_SOURCE", "-I", os.path.join(lib.ROOT, "extractors/include"),
                    os.path.join(HERE, "open_plugin.c"),
                    "-o", os.path.join(folder, "open_extractor.so")], check=True)
    config = os.path.join(folder, "sluice.yaml")
    with open(config, "w", encoding="ascii") as file:
        file.write(f"plugins: {folder}\nreplicas.max: 1\nretry:\n  attempts: 1\n")
    return config


class Space:
    """A namespace with models, and a collection that gives each line of a bucket to the plugin."""

    def __init__(self, client, name):
        self.client = client
        self.space = self.use(client.make("namespace", name, feature_extractors=EXTRACTOR))
        self.path = f"/v1/namespaces/{self.space}/models"
        self.bucket = client.make("bucket", "lines", bucket_schema={
            "properties": {"content": {"type": "text"}}})
        client.make("collection", "said", source={
            "type": "bucket", "bucket_ids": [self.bucket]}, feature_extractor={
                "feature_extractor_name": "open_extractor", "version": "v1",
                "input_mappings": {"line": "content"}})

    def use(self, space):
        self.client.namespace = space
        return space

    def upload(self, archive, **fields):
        return self.client.upload(self.path, archive, **{
            "name": "probe", "version": "1.0.0", "model_format": "safetensors",
            "task_type": "classification", **fields}).expect(200)["model_id"]

    def show(self, model=MODEL):
        return self.client.get(f"{self.path}/{model}").expect(200)["model"]

    def verb(self, verb, model=MODEL):
        return self.client.post(f"{self.path}/{model}/{verb}").expect(200)

    def delete(self, model=MODEL):
        self.client.call("DELETE", f"{self.path}/{model}").expect(200)

    def ask(self, line):
        """What the plugin says of a line."""
        self.use(self.space)
        ids = self.client.make_objects(self.bucket, [lib.text_object(line)])
        _, task = self.client.submit(self.bucket, ids)
        lib.equal(self.client.wait_task(task)["status"], "COMPLETED")
        return next(item for item in self.client.documents("said")
                    if lib.root_object(item) in ids)

    def open(self, model=MODEL):
        return self.ask(f"OPEN {model} head.weight")

    def expect(self, status, model=MODEL):
        said = self.open(model)
        lib.equal(said["status"], status, said["why"])
        return said


def store(server):
    page = lib.Client(server.dashboard_port).get("/status.json").expect(200)
    return page["nodes"][0]["objects"]


def check_open(server, one):
    with lib.check("a model that is pending is deployed for who opens it, as it was uploaded"):
        lib.equal(one.upload(weights(1)), MODEL)
        lib.equal(one.show()["status"], "pending")
        said = one.expect(OK)
        lib.equal((said["sum"], said["strides"], said["id"], said["why"], said["again"]),
                  (total(1), [12, 4], MODEL, "", OK))
        shown = one.show()
        lib.equal((shown["status"], shown["deployed"]), ("deployed", True))
        lib.equal(life.states(shown), ["pending", "deploying", "deployed"])
        assert "deployment_info" in shown, shown
    with lib.check("opened once more nothing has changed; a deploy finds it there"):
        lib.equal(one.expect(OK)["sum"], total(1))
        lib.equal(one.show(), shown)
        lib.equal(one.verb("deploy")["cached"], True)
        lib.wait_until("two were given", lambda: store(server)["models"] == 2)
    with lib.check("another version is another model"):
        lib.equal(one.expect(OK, one.upload(weights(7), version="1.0.1"))["sum"], total(7))
        lib.equal(one.expect(OK)["sum"], total(1))


def check_refusals(one):
    with lib.check("an id that the namespace does not have, and one that is none, are told apart"):
        said = one.expect(ABSENT, "none_1_0_0")
        lib.equal(said["why"], "model none_1_0_0 does not exist")
        one.expect(ABSENT, "../probe_1_0_0")
        one.expect(ABSENT, "text_hash_v1")
        one.expect(REFUSED, "")
        one.expect(REFUSED, "x" * 257)
        one.expect(ABSENT, "x" * 256)
    with lib.check("a replica has 16 open at a time"):
        said = one.ask(f"MANY {MODEL}")
        lib.equal((said["count"], said["status"], said["again"]), (16, FULL, OK))
        lib.equal(said["why"], "16 models are open: close one")
        one.expect(OK)
    with lib.check("one that needs a GPU is not had without; the row says why"):
        model = one.upload(weights(1), name="large", num_gpus="1")
        said = one.expect(FULL, model)
        assert "needs 1 GPUs on one node and what this node has is 0" in said["why"], said
        lib.equal(one.show(model)["deployment_error"]["reason"], "gpu_required")


def check_scopes(server, one):
    with lib.check("another tenant's replicas are others, and do not find it"):
        other = Space(server.tenant("other", "scale"), "other")
        mine, theirs = one.expect(OK), other.expect(ABSENT)
        assert mine["pid"] != theirs["pid"]
        other.upload(weights(50))
        lib.equal(other.expect(OK)["sum"], total(50))
        lib.equal(one.expect(OK)["sum"], total(1))
    with lib.check("nor do those of another namespace of the tenant"):
        second = Space(one.client, "second")
        said = second.expect(ABSENT)
        assert said["pid"] != mine["pid"]
        second.upload(weights(70))
        lib.equal(second.expect(OK)["sum"], total(70))
        lib.equal(one.expect(OK)["sum"], total(1))
    return other, second


def check_organization(one):
    with lib.check("the organization's is there while it is enabled"):
        archive, body = weights(30), {"name": "shared", "version": "1.0.0", "task_type":
                                      "classification", "model_format": "safetensors"}
        made = one.client.post("/v1/models/uploads",
                               {**body, "file_size_bytes": len(archive)}).expect(200)
        life.upload_test.put(made["presigned_url"], archive)
        one.client.post(f"/v1/models/uploads/{made['upload_id']}/confirm").expect(200)
        one.expect(ABSENT, "shared_1_0_0")
        org = f"{one.path}/org/shared_1_0_0"
        one.client.post(f"{org}/enable").expect(200)
        lib.equal(one.expect(OK, "shared_1_0_0")["sum"], total(30))
        lib.equal(one.show("shared_1_0_0")["status"], "deployed")
        one.client.post(f"{org}/disable").expect(200)
        one.expect(ABSENT, "shared_1_0_0")


def check_held(server, one):
    with lib.check("what is open stays when it is evicted; opened again it is loaded anew"):
        held = one.ask(f"HOLD {MODEL} head.weight")
        lib.equal((held["status"], held["sum"]), (OK, total(1)))
        files = life.memory_files(server)
        mine = {file for pid, file in life.memory_holders(server) if pid == held["pid"]}
        lib.equal(len(mine), 1, "what the replica has open")
        one.verb("evict")
        lib.wait_until("all others have closed it", lambda: {
            pid for pid, file in life.memory_holders(server) if file in mine} == {held["pid"]})
        lib.equal(one.show()["status"], "evicted")
        lib.equal(one.ask("READ head.weight")["sum"], total(1))
        said = one.expect(OK)
        lib.equal((said["pid"], said["sum"]), (held["pid"], total(1)))
        lib.equal(life.states(one.show())[-3:], ["evicted", "deploying", "deployed"])
        lib.equal(life.memory_files(server), files + 1, "another file")
    with lib.check("and when it is deleted, and when another takes its id"):
        one.delete()
        lib.equal(one.ask("READ head.weight")["sum"], total(1))
        one.expect(ABSENT)
        one.upload(weights(100))
        lib.equal(one.expect(OK)["sum"], total(100))
        lib.equal(one.ask("READ head.weight")["sum"], total(1))
    with lib.check("closed it is gone, and closed twice is refused"):
        said = one.ask("DROP")
        lib.equal((said["status"], said["again"]), (OK, REFUSED))


def check_memory(server, one, spaces):
    with lib.check("the memory of what a killed replica had open is free"):
        for space in spaces:
            for model in space.client.get(space.path).expect(200)["models"]:
                if model["model_id"] != MODEL:
                    space.verb("evict", model["model_id"])
        pid = one.ask(f"HOLD {MODEL} head.weight")["pid"]
        for space in spaces:
            space.verb("evict")
        lib.wait_until("only that of the replica is left", lambda: life.memory_files(server) == 1)
        lib.equal(one.ask("READ head.weight")["sum"], total(100))
        os.kill(pid, signal.SIGKILL)
        lib.wait_until("it is free", lambda: life.memory_files(server) == 0)
        # There is one attempt: the next task must not be handed to the one that is dead.
        lib.wait_until("the node knows it", lambda: re.search(
            rf"replica-ended .* pid={pid} signal=9", server.log()))
        lib.equal(one.expect(OK)["sum"], total(100), "another replica opens it")


def main():
    with tempfile.TemporaryDirectory() as folder:
        server = lib.Server(build_plugin(folder)).start()
        one = Space(server.tenant("one", "scale"), "one")
        lib.wait_until("the first beat", lambda: store(server) is not None)
        check_open(server, one)
        check_refusals(one)
        others = check_scopes(server, one)
        check_organization(one)
        check_held(server, one)
        check_memory(server, one, [one, *others])
        with lib.check("it stops when asked"):
            lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
