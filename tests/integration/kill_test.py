#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kill any process of sluice at random moments of a batch; every document must be there once.

  tests/integration/kill_test.py [--documents 2000] [--kills 20] [--seed N]

Rounds of one batch each go on until so many kills have been made; a kill takes main, all at once,
or one of the other processes. Where main has died, `sluice up` runs again on the same directory.
"""
import argparse
import contextlib
import http.client
import os
import random
import signal
import time
from collections import Counter

import sluice_testlib as lib


class Killer:
    """Kills, restarts, and remembers what it did."""

    def __init__(self, server, seed):
        self.server, self.random = server, random.Random(seed)
        self.kills, self.orphans = Counter(), []

    def strike(self):
        main = self.server.process.pid
        others = [pid for pid in self.server.pids() if pid != main]
        victim = self.random.choice(["main", "all", "other", "other"])
        if victim == "other" and not others:
            victim = "main"
        targets = {"main": [main], "all": [main, *others],
                   "other": [self.random.choice(others)] if others else []}[victim]
        for pid in targets:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.kills[victim] += 1
        if victim == "main":
            self.server.process.wait(60)
            self.wait_for_orphans()
        if victim != "other":
            self.server.process.wait(60)
            self.server.start()

    def wait_for_orphans(self):
        """After a kill of main alone, all others must be gone by themselves."""
        deadline = time.monotonic() + 30  # A busy machine ends them later.
        while (left := self.server.pids()) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.orphans += left


def status_of(client, task_id):
    """The task's status, or None where sluice cannot answer at this moment."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        reply = client.get(f"/v1/tasks/{task_id}", timeout=5)
        if reply.status == 404:
            raise AssertionError(f"the acknowledged task {task_id} is lost")
        return reply.json["status"] if reply.status == 200 else None
    return None


def run_round(client, killer, bucket, count, kills_max):
    """One batch, with a kill at every random moment until it ends; return its objects."""
    objects = client.make_objects(bucket, [
        {"number": i, "content": f"item {i}"} for i in range(count)])
    _, task = client.submit(bucket, objects)
    deadline = time.monotonic() + 180
    while (status := status_of(client, task)) not in lib.TERMINAL:
        if time.monotonic() > deadline:
            raise AssertionError(f"the batch does not end: {status}")
        # Mostly early, so that a fast machine is hit in the middle of a batch as well.
        time.sleep(killer.random.random() ** 3 * 0.5)
        if sum(killer.kills.values()) < kills_max:
            killer.strike()
        else:
            time.sleep(0.1)
    if status != "COMPLETED":
        raise AssertionError(f"the batch is {status}: {client.get(f'/v1/tasks/{task}').text}")
    return objects


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    server = lib.Server()
    killer = Killer(server, options.seed)
    print(f"seed {options.seed}")
    objects, rounds = [], 0
    with lib.check("batches complete, however processes are killed"):
        server.start()
        client = server.tenant("kill-test")
        client.namespace = client.make("namespace", "kill", feature_extractors=lib.BOTH)
        bucket = client.make("bucket", "things", bucket_schema={"properties": {}})
        collection = client.make(
            "collection", "copies", source={"type": "bucket", "bucket_ids": [bucket]},
            feature_extractor={"feature_extractor_name": "passthrough_extractor",
                               "version": "v1", "input_mappings": {"content": "content"},
                               "field_passthrough": ["number"]})
        while sum(killer.kills.values()) < options.kills:
            objects += run_round(client, killer, bucket, options.documents, options.kills)
            rounds += 1
    print(f"{rounds} rounds of {options.documents}, kills: {dict(killer.kills)}")
    with lib.check("every document is there exactly once"):
        assert objects, "no round has completed"
        roots = Counter(lib.root_object(item) for item in client.documents(collection))
        lib.equal(sum(roots.values()), len(objects), "the count of documents")
        lib.equal(set(roots), set(objects), "the set of source objects")
    with lib.check("a kill of main alone leaves no orphan after 2 s"):
        assert killer.kills["main"], "main alone was never killed"
        lib.equal(killer.orphans, [], "orphans")
    with lib.check("it still drains and stops when asked"):
        lib.equal(server.stop(), 0, "the exit status")
        lib.equal(server.pids(), [], "processes left")
    lib.finish()


if __name__ == "__main__":
    main()
