#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Cut the power of a real server at random moments: what it acknowledged must be there.

  tests/integration/power_cut_test.py [--cuts 12] [--rounds 5] [--seed N]

A server works with a library preloaded that takes down each write, sync and rename (the log's real
files, the catalogue's, blobs). From that, the disk is made that a power cut would have left at a
moment, with unsynced sectors there or not, and a server starts on it.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile

import power_disk
import sluice_testlib as lib

HERE = os.path.dirname(os.path.abspath(__file__))


def build(directory):
    library = os.path.join(directory, "power_record.so")
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", os.path.join(HERE, "power_record.c"),
                    "-o", library], check=True)
    return library


class World:
    """What a client knows: where its things are, and what it was told."""

    def __init__(self, client, bucket, collection):
        self.client, self.bucket, self.collection = client, bucket, collection


def make_world(server):
    client = server.tenant("power")
    client.namespace = client.make("namespace", "power", feature_extractors=lib.BOTH)
    bucket = client.make("bucket", "things", bucket_schema={"properties": {}})
    collection = client.make(
        "collection", "copies", source={"type": "bucket", "bucket_ids": [bucket]},
        feature_extractor={"feature_extractor_name": "passthrough_extractor", "version": "v1",
                           "input_mappings": {"content": "content"},
                           "field_passthrough": ["number"]})
    return World(client, bucket, collection)


def work(world, trace, rounds, draw):
    """Rounds of objects, some of them large enough for blobs; each reply is marked."""
    for turn in range(rounds):
        bodies = [{"number": turn * 100 + i, "content": f"{turn} {i} " * draw.choice([1, 9, 20000])}
                  for i in range(12)]
        objects = world.client.make_objects(world.bucket, bodies)
        power_disk.mark(trace, "objects " + " ".join(objects))
        _, task = world.client.submit(world.bucket, objects)
        power_disk.mark(trace, f"task {task}")
        if draw.random() < 0.7:
            world.client.wait_task(task)
            power_disk.mark(trace, f"done {task} " + " ".join(objects))


def record(directory, rounds, draw):
    """The world, and all that was done on its disk."""
    path = os.path.join(directory, "trace")
    server = lib.Server(is_split=False)
    trace = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.environ.update(LD_PRELOAD=build(directory), POWER_ROOT=server.data, POWER_TRACE=path)
    try:
        server.start()
    finally:
        for name in ("LD_PRELOAD", "POWER_ROOT", "POWER_TRACE"):
            del os.environ[name]
    world = make_world(server)
    power_disk.mark(trace, "begin")
    work(world, trace, rounds, draw)
    lib.equal(server.stop(), 0, "the exit status")
    os.close(trace)
    records = power_disk.read_trace(path)
    compare(records, server.data)
    return world, records


def compare(records, directory):
    """Nothing was missed: what was taken down makes the files that are there."""
    disk, found = power_disk.Disk(), {}
    for item in records:
        disk.play(item)
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not path.startswith(directory + "/run/"):
                with open(path, "rb") as file:
                    found[path[len(directory):]] = file.read()
    lib.equal(sorted(disk.names), sorted(found), "the files")
    for path, file in disk.names.items():
        assert bytes(file.now) == found[path], f"{path} is not what was taken down"


def told_before(records, moment):
    objects, tasks, done = [], [], []
    for item in records[:moment]:
        if item[0] == power_disk.MARK:
            word, *rest = item[6].decode().split()
            objects += rest if word == "objects" else []
            tasks += rest if word == "task" else []
            done += rest[1:] if word == "done" else []
    return objects, tasks, done


def look(world, server, told):
    """All that was told is so, and all work that is there comes to its end."""
    objects, tasks, done = told
    client = lib.Client(server.port, world.client.key, world.client.namespace)
    for item in objects:
        client.get(f"/v1/buckets/{world.bucket}/objects/{item}").expect(200)
    for task in tasks:
        lib.equal(client.wait_task(task)["status"], "COMPLETED", f"task {task}")
    roots = [lib.root_object(item) for item in client.documents(world.collection)]
    lib.equal(len(roots), len(set(roots)), "the count of documents")
    lost = [item for item in done if item not in set(roots)]
    lib.equal(lost, [], "documents of finished tasks that are gone")


def cut_all(world, records, cuts, seed):
    begin = next(i for i, item in enumerate(records)
                 if item[0] == power_disk.MARK and item[6] == b"begin")
    draw = random.Random(seed)
    moments = sorted(draw.randint(begin, len(records)) for _ in range(cuts))
    disk, played, told = power_disk.Disk(), 0, ([], [], [])
    for moment in moments:
        for item in records[played:moment]:
            disk.play(item)
        played, told = moment, told_before(records, moment)
        server = lib.Server(is_split=False)
        disk.cut(server.data, random.Random(seed * 1000003 + moment))
        server.start()
        look(world, server, told)
        server.kill_all()
        server.remove()
    return told


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cuts", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    if shutil.which("gcc") is None:
        lib.skip("power cuts: there is no gcc to build the recorder")
        sys.exit(0)
    with tempfile.TemporaryDirectory(prefix="sluice-power-") as directory:
        world, records = None, []
        with lib.check("what a server does to its files is taken down"):
            world, records = record(directory, options.rounds, random.Random(options.seed))
            syncs = sum(item[0] == power_disk.SYNC_END for item in records)
            assert syncs > options.rounds, f"{syncs} syncs in {len(records)} records"
        with lib.check(f"what was acknowledged is there after each of {options.cuts} power cuts"):
            assert records, "nothing was taken down"
            cut_all(world, records, options.cuts, options.seed)
        with lib.check("a disk that forgets its syncs is caught"):
            lying = [item for item in records if item[0] not in
                     (power_disk.SYNC_BEGIN, power_disk.SYNC_END, power_disk.ALL)]
            try:
                cut_all(world, lying, 3, options.seed)
            except AssertionError:
                pass
            else:
                raise AssertionError("nothing was lost, though nothing was synced")
    lib.finish()


if __name__ == "__main__":
    main()
