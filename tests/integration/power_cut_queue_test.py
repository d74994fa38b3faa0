#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Cut the power of a head that serves tenants' own queues: what was answered must be there, once.

  tests/integration/power_cut_queue_test.py [--cuts 30] [--starts 3] [--tasks 400] [--seed N]

Producers and workers speak to the broker over links (queue_hand.c), and a tenant puts and ends jobs
over HTTP, while all that the head does to its files is taken down (power_record.c), in order with
what they are told. Each cut leaves a disk (power_disk.py): of most it is read what tasks there are,
on some a head starts, everything is worked off, and keys that hold are put again.
"""
import argparse
import collections
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading

import power_cut_test
import power_disk
import sluice_testlib as lib

QUEUE = "/v1/queues/cuts"
ENDED = {"succeeded", "dead", "quarantined"}
HAND = os.path.join(os.path.dirname(os.path.dirname(lib.BINARY)), "tests", "queue-hand")


class Hand:
    """A producer or worker; each thing that it is told is marked in the trace."""

    def __init__(self, endpoint, trace, role, seed, *numbers):
        arguments = [HAND, role, endpoint, str(seed), *map(str, numbers)]
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, start_new_session=True)
        self.reader = threading.Thread(target=self.read, args=(trace, seed))
        self.reader.start()

    def read(self, trace, seed):
        for line in self.process.stdout:
            if trace is not None and line.endswith(b"\n"):
                word, number = line.split()
                power_disk.mark(trace, f"{word.decode()} {number.decode()} {seed}")

    def wait(self, seconds):
        self.process.wait(seconds)
        self.reader.join()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.wait(60)


def config_in(directory):
    path = os.path.join(directory, "config.yaml")
    with open(path, "w", encoding="ascii") as file:
        file.write("nodes: 0\n")
    return path


def endpoint_of(server):
    return f"ipc://{server.data}/run/head"


class Tenant:
    """What a client knows of its queue."""

    def __init__(self, server):
        self.client = server.tenant("cuts")
        self.client.call("PUT", QUEUE, {}).expect(200)

    def turn(self, trace, turn, draw):
        """Put some under keys, lease some, end some of those; each reply is marked."""
        keys = [f"key-{turn}-{i}" for i in range(draw.randint(1, 6))]
        jobs = [{"payload": key, "key": key, "mode": "ttl", "window_ms": 86400000,
                 "retain_ms": 86400000, "delay_ms": draw.choice([0, 0, 0, 30])} for key in keys]
        reply = self.client.post(f"{QUEUE}/jobs", {"jobs": jobs}).expect(200)
        ids = [item["job_id"] for item in reply["results"]]
        for key, job_id in zip(keys, ids):
            power_disk.mark(trace, f"job {key} {job_id}")
        leased = self.client.post(f"{QUEUE}/lease", {"n": 3}).expect(200)["jobs"]
        ends = [{"job_id": job["job_id"], "epoch": job["epoch"], "outcome": "done", "result": turn}
                for job in leased if draw.random() < 0.7]
        if not ends:
            return
        reply = self.client.post(f"{QUEUE}/ends", {"ends": ends}).expect(200)
        for job, item in zip(ends, reply["results"]):
            if item["success"]:
                power_disk.mark(trace, f"end {job['job_id']} {turn}")


def work(server, trace, tasks, draw):
    """Two producers until all that they put was answered, two workers, and a tenant meanwhile."""
    tenant = Tenant(server)
    power_disk.mark(trace, "begin")
    endpoint = endpoint_of(server)
    producers = [Hand(endpoint, trace, "produce", seed, seed * 100000, tasks) for seed in (1, 2)]
    workers = [Hand(endpoint, trace, "work", seed) for seed in (3, 4)]
    try:
        turn = 0
        while turn < 20 or any(hand.process.poll() is None for hand in producers):
            tenant.turn(trace, turn, draw)
            turn += 1
        for hand in producers:
            hand.wait(60)
            lib.equal(hand.process.returncode, 0, "the producer's exit status")
    finally:
        for hand in producers + workers:
            hand.kill()
    return tenant.client


def record(directory, tasks, draw):
    """The tenant's client, and all that was done on the head's disk."""
    path = os.path.join(directory, "trace")
    server = lib.Server(config_in(directory), is_split=False)
    trace = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.environ.update(LD_PRELOAD=power_cut_test.build(directory), POWER_ROOT=server.data,
                      POWER_TRACE=path)
    try:
        server.start()
    finally:
        for name in ("LD_PRELOAD", "POWER_ROOT", "POWER_TRACE"):
            del os.environ[name]
    try:
        client = work(server, trace, tasks, draw)
        lib.equal(server.stop(), 0, "the exit status")
        os.close(trace)
        records = power_disk.read_trace(path)
        power_cut_test.compare(records, server.data)
    finally:
        server.kill_all()
        server.remove()
    return client, records


class Told:
    """What was told before a moment."""

    def __init__(self, records):
        self.put, self.done, self.jobs, self.ends = set(), {}, {}, {}
        for item in records:
            if item[0] != power_disk.MARK:
                continue
            word, *rest = item[6].decode().split()
            if word == "put":
                self.put.add(int(rest[0]))
            elif word == "done":
                self.done[int(rest[0])] = int(rest[1])
            elif word == "job":
                self.jobs[rest[0]] = rest[1]
            elif word == "end":
                self.ends[rest[0]] = int(rest[1])


def look(data, told, is_drained):
    """Each task that was answered is there once; each end, as it was answered."""
    lines = subprocess.run([HAND, "look", data], check=True, timeout=60, capture_output=True,
                           text=True).stdout.splitlines()
    tasks = collections.defaultdict(list)
    for state, number, seed in (line.split() for line in lines):
        tasks[int(number)].append((state, int(seed)))
    lost = [number for number in told.put if number not in tasks]
    twice = [number for number, found in tasks.items() if len(found) > 1]
    undone = [(number, tasks.get(number)) for number, seed in told.done.items()
              if tasks.get(number) != [("succeeded", seed)]]
    live = [found for found in tasks.items() if is_drained and found[1][0][0] not in ENDED]
    for what, found in (("answered tasks are lost", lost), ("tasks are there twice", twice),
                        ("answered ends are undone", undone), ("tasks never end", live)):
        lib.equal(found[:5], [], f"{len(found)} of {len(told.put)} {what}, such as")


def look_by_http(client, told):
    """The same of what was told over HTTP; a key that holds stands for the job that it did."""
    for job_id, result in told.ends.items():
        found = client.get(f"{QUEUE}/jobs/{job_id}").expect(200)
        lib.equal((found["state"], found["result"]), ("succeeded", result), f"job {job_id}")
    for key, job_id in told.jobs.items():
        again = {"jobs": [{"payload": key, "key": key, "mode": "ttl", "window_ms": 86400000}]}
        result, = client.post(f"{QUEUE}/jobs", again).expect(200)["results"]
        lib.equal(result["job_id"], job_id, f"the job of {key}")


def start_on(data_of, client, told, directory):
    """A head starts on the disk and all is worked off."""
    server = lib.Server(config_in(directory), is_split=False)
    try:
        data_of(server.data)
        server.start()
        if told.jobs:
            look_by_http(lib.Client(server.port, client.key, client.namespace), told)
        drain = Hand(endpoint_of(server), None, "drain", 99)
        drain.wait(60)
        lib.equal(server.stop(), 0, "the exit status")
        look(server.data, told, True)
    finally:
        server.kill_all()
        server.remove()


def cut_all(directory, client, records, options):
    """The disk of each of some moments; on a few of them a head starts."""
    begin = next(i for i, item in enumerate(records)
                 if item[0] == power_disk.MARK and item[6] == b"begin")
    draw = random.Random(options.seed)
    moments = sorted(draw.randint(begin, len(records)) for _ in range(options.cuts))
    starts = set(draw.sample(range(len(moments)), min(options.starts, len(moments))))
    disk, played = power_disk.Disk(), 0
    for i, moment in enumerate(moments):
        for item in records[played:moment]:
            disk.play(item)
        played, told = moment, Told(records[:moment])
        choice = random.Random(options.seed * 1000003 + moment)
        if i in starts:
            start_on(lambda data, left=choice: disk.cut(data, left), client, told, directory)
            continue
        with tempfile.TemporaryDirectory(prefix="sluice-cut-", dir=directory) as data:
            disk.cut(data, choice)
            look(data, told, False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cuts", type=int, default=30)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    if shutil.which("gcc") is None or not os.path.exists(HAND):
        lib.skip("power cuts of queues: there is no gcc to build the recorder, or no queue-hand")
        sys.exit(0)
    with tempfile.TemporaryDirectory(prefix="sluice-power-") as directory:
        client, records = None, []
        with lib.check("what a head that serves queues does to its files is taken down"):
            client, records = record(directory, options.tasks, random.Random(options.seed))
            told = Told(records)
            assert len(told.put) == 2 * options.tasks, f"{len(told.put)} puts were answered"
            assert len(told.done) > options.tasks / 4, f"{len(told.done)} ends were answered"
            assert told.jobs and told.ends, "nothing was told over HTTP"
        with lib.check(f"what was answered is there, once, after each of {options.cuts} cuts"):
            assert records, "nothing was taken down"
            cut_all(directory, client, records, options)
        with lib.check("a disk that forgets its syncs is caught"):
            lying = [item for item in records if item[0] not in
                     (power_disk.SYNC_BEGIN, power_disk.SYNC_END, power_disk.ALL)]
            options.cuts, options.starts = 4, 0
            try:
                cut_all(directory, client, lying, options)
            except (AssertionError, subprocess.CalledProcessError):
                pass
            else:
                raise AssertionError("nothing was lost, though nothing was synced")
    lib.finish()


if __name__ == "__main__":
    main()
