#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`sluice queue backup` of a server under load, and of one that is down; `sluice queue verify`."""
import glob
import json
import os
import shutil
import tempfile
import threading

import sluice_testlib as lib

LARGE = "a large value lies in a blob. " * 4000


class Load(threading.Thread):
    """Objects one after the other; `made` has what was acknowledged."""

    def __init__(self, client, bucket):
        super().__init__()
        self.client, self.bucket = client, bucket
        self.made, self.is_over, self.error = [], False, None

    def run(self):
        while not self.is_over:
            text = f"text {len(self.made)}"
            reply = self.client.post(f"/v1/buckets/{self.bucket}/objects", lib.text_object(text))
            if reply.status != 200:
                self.error = reply.text
                return
            self.made.append(reply.json["object_id"])


def shop(client):
    client.namespace = client.make("namespace", "shop", feature_extractors=lib.BOTH)
    bucket = client.make("bucket", "things", bucket_schema={
        "properties": {"content": {"type": "text"}}})
    client.make("collection", "copies", source={"type": "bucket", "bucket_ids": [bucket]},
                feature_extractor={"feature_extractor_name": "passthrough_extractor",
                                   "version": "v1", "input_mappings": {"content": "content"}})
    return bucket


def verify(server, directory, code, *options):
    done = server.run("queue", "verify", directory, *options)
    lib.equal(done.returncode, code, f"exit of verify: {done.stdout}{done.stderr}")
    return done


def restored(copy, key, namespace):
    """A server on a copy of a data directory."""
    server = lib.Server(is_split=False)
    shutil.rmtree(server.data)
    shutil.copytree(copy, server.data)
    server.start()
    return server, lib.Client(server.port, key, namespace)


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 4]))


def used_size(path):
    """Of a segment, which is zeroes behind its last record."""
    with open(path, "rb") as file:
        return len(file.read().rstrip(b"\0"))


def damage_is_found(server, copy):
    """Each of some flipped bits of what is in use is named, and the copy refused; then it is put
    right."""
    verify(server, copy, 0)
    segment = max(glob.glob(f"{copy}/log/*"), key=used_size)
    for part in (3, 2, 1):
        at = used_size(segment) // 4 * part
        flip(segment, at)
        done = verify(server, copy, 1)
        assert os.path.basename(segment) in done.stdout, done.stdout
        found = json.loads(verify(server, copy, 1, "--json").stdout)
        assert not found["is_sound"] and found["damages"] >= 1, found
        place = found["damaged"][0]
        assert place["file"] == os.path.basename(segment) and place["offset"] <= at, (place, at)
        flip(segment, at)
        verify(server, copy, 0)


def main():
    server = lib.Server().start()
    client, operator = server.tenant("acme"), server.operator()
    bucket = shop(client)
    place = tempfile.mkdtemp(prefix="sluice-backup-")
    copy, key = f"{place}/copy", operator.key
    large = client.make_objects(bucket, [lib.text_object(LARGE)])
    client.post("/v1/cluster/queues/acme:cpu/pause").expect(200)
    task = client.submit(bucket, client.make_objects(
        bucket, [lib.text_object(f"early {i}") for i in range(50)]))[1]
    for _ in range(100):  # So that the copy takes a while.
        client.make_objects(bucket, [lib.text_object("x" * 60_000)])
    load = Load(client, bucket)
    load.start()
    with lib.check("a tenant makes no backup"):
        client.post("/v1/cluster/backup", {"path": copy}).expect(403)
        lib.equal(server.run("queue", "backup", copy, key=client.key).returncode, 4)
    with lib.check("a path that cannot be is refused, and nothing is made"):
        for path, status in (("copy", 422), (f"{place}/no/copy", 422), (place, 409),
                             (f"{server.data}/copy", 422), (f"{server.data}/log/copy", 422),
                             ("/proc/copy", 422), (f"{place}/a\0b", 422), (f"{place}/", 422)):
            operator.post("/v1/cluster/backup", {"path": path}).expect(status)
        lib.equal(os.listdir(place), [])
    with lib.check("a backup is made under load"):
        lib.wait_until("some load", lambda: len(load.made) > 20 or load.error)
        before = list(load.made)
        done = server.run("queue", "backup", copy, "--json", key=key)
        lib.equal(done.returncode, 0, done.stderr)
        lib.equal(json.loads(done.stdout)["path"], copy)
        lib.equal(os.listdir(place), ["copy"])
        after = len(load.made)
        lib.wait_until("load goes on", lambda: len(load.made) > after + 5 or load.error)
        lib.equal(server.run("queue", "backup", copy, key=key).returncode, 4, "a second one's exit")
    load.is_over = True
    load.join()
    lib.equal(load.error, None)
    with lib.check("a directory that is open, or none, is not verified"):
        lib.equal(server.run("queue", "verify", server.data).returncode, 2)
        lib.equal(server.run("queue", "verify", place).returncode, 2)
        lib.equal(server.run("queue", "backup", f"{place}/off", "--data", server.data).returncode,
                  2)
    with lib.check("a flipped bit is found and named"):
        damage_is_found(server, copy)
    server.kill_all()
    with lib.check("a start from it has what was acknowledged before it began, and runs it"):
        other, again = restored(copy, client.key, client.namespace)
        for name in before + large:
            again.get(f"/v1/buckets/{bucket}/objects/{name}").expect(200)
        with open(f"{other.data}/admin.key", encoding="ascii") as file:
            lib.equal(file.read().strip(), key)
        found = again.get("/v1/cluster/queues/acme:cpu").expect(200)
        lib.equal((found["mode"], found["depth"]), ("paused", 50))
        again.post("/v1/cluster/queues/acme:cpu/resume").expect(200)
        lib.equal(again.wait_task(task)["status"], "COMPLETED")
        lib.equal(len(again.documents("copies")), 50)
        batch = again.submit(bucket, large)[1]
        lib.equal(again.wait_task(batch)["status"], "COMPLETED", "of what lies in a blob")
        other.stop()
    with lib.check("a directory that a crash left is backed up without a server"):
        done = server.run("queue", "backup", f"{place}/off", "--data", server.data)
        lib.equal(done.returncode, 0, done.stderr)
        verify(server, f"{place}/off", 0)
        verify(server, server.data, 0)
        other, again = restored(f"{place}/off", client.key, client.namespace)
        for name in load.made + large:
            again.get(f"/v1/buckets/{bucket}/objects/{name}").expect(200)
        other.stop()
    shutil.rmtree(place)
    lib.finish()


if __name__ == "__main__":
    main()
