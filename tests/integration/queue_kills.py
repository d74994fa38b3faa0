#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kill a queue's head, its producers and its workers at random instants; look at the history.

  tests/integration/queue_kills.py [--kills 20] [--seed N] [--hand build/tests/queue-hand]

Producers and workers are processes that speak the protocol of such (queue_hand.c), and tell by
lines what the head has told them to be durable. At the end all is worked off, and the head's files
are read: each task that was acknowledged must be there once and have ended; one whose end was
acknowledged must have the result of that end, and of no other.
"""
import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time

import sluice_testlib as lib

COUNT = 1500  # Tasks of a producer's life.
ENDED = {"succeeded", "dead", "quarantined"}


class Hand:
    """A process of queue_hand.c; what it told stays in a file."""

    def __init__(self, path, folder, role, endpoint, seed, *numbers):
        self.path, self.seed = os.path.join(folder, f"told-{seed}"), seed
        arguments = (role, endpoint, seed, *numbers)
        with open(self.path, "wb") as told:
            self.process = subprocess.Popen([path, *map(str, arguments)], stdout=told,
                                            stdin=subprocess.DEVNULL, start_new_session=True)

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)

    def told(self):
        """Pairs of a word and a number; a line that a kill has cut short is none."""
        with open(self.path, encoding="ascii") as told:
            text = told.read()
        lines = [line.split() for line in text[:text.rfind("\n") + 1].splitlines()]
        return [(word, int(number)) for word, number in lines]


class Scene:
    """A head, two producers and two workers, and what became of them."""

    def __init__(self, hand, seed):
        self.hand, self.random = hand, random.Random(seed)
        self.folder = tempfile.mkdtemp(prefix="sluice-queue-kills-")
        config = os.path.join(self.folder, "config.yaml")
        with open(config, "w", encoding="ascii") as file:
            file.write("nodes: 0\ncluster:\n  silence: 2s\n")
        self.server = lib.Server(config, is_split=False)
        self.endpoint = f"ipc://{self.server.data}/run/head"
        self.lives, self.hands, self.paused, self.all = 0, [], [], []
        self.kills, self.pauses = collections.Counter(), 0
        self.histories = []

    def start(self):
        self.server.start()
        self.hands = [(role, self.begin(role)) for role in ("produce", "produce", "work", "work")]

    def begin(self, role, count=COUNT):
        self.lives += 1
        numbers = (self.lives * COUNT, count) if role == "produce" else ()
        self.all.append(Hand(self.hand, self.folder, role, self.endpoint, self.lives, *numbers))
        return self.all[-1]

    def bury(self, hand):
        hand.kill()
        self.histories.append(hand)

    def pause(self):
        """Let a worker stand still, now and then, for longer than its leases last."""
        now = time.monotonic()
        for hand in [hand for until, hand in self.paused if until <= now]:
            if hand.process.poll() is None:
                hand.process.send_signal(signal.SIGCONT)
        self.paused = [entry for entry in self.paused if entry[0] > now]
        if not self.paused and self.random.random() < 0.2:
            hand = self.random.choice([hand for role, hand in self.hands if role == "work"])
            hand.process.send_signal(signal.SIGSTOP)
            self.paused.append((now + self.random.uniform(1, 2), hand))
            self.pauses += 1

    def strike(self):
        """Kill somebody, and put another in its place; or the head, which starts again."""
        self.pause()
        victim = self.random.choice(["head", "produce", "work"])
        self.kills[victim] += 1
        if victim == "head":
            self.server.kill_all()
            self.server.start()
        for i, (role, hand) in enumerate(self.hands):
            is_out = role == "produce" and hand.process.poll() == 0 and self.random.random() < 0.5
            if is_out or (role == victim and self.random.random() < 0.7):
                self.bury(hand)
                self.hands[i] = role, self.begin(role)

    def settle(self):
        """No more are put; what is there is worked off, and the head stopped."""
        for _, hand in self.hands:
            self.bury(hand)
        drain = self.begin("drain")
        drain.process.wait(120)
        self.histories.append(drain)
        lib.equal(self.server.stop(), 0, "the head's exit status")

    def look(self):
        """(state, number, seed of the worker) of all tasks that the head's files have."""
        lines = subprocess.run([self.hand, "look", self.server.data], check=True, timeout=120,
                               capture_output=True, text=True).stdout.splitlines()
        return [(state, int(number), int(seed))
                for state, number, seed in (line.split() for line in lines)]

    def remove(self):
        for hand in self.all:
            hand.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def check(scene):
    tasks = collections.defaultdict(list)
    for state, number, seed in scene.look():
        tasks[number].append((state, seed))
    put, done, wrong = set(), {}, []
    for hand in scene.histories:
        for word, number in hand.told():
            if word == "put":
                put.add(number)
            elif number in done:
                wrong.append((number, "done twice"))
            else:
                done[number] = hand.seed
    lost = [number for number in put if number not in tasks]
    twice = [number for number, found in tasks.items() if len(found) > 1]
    live = [found for found in tasks.items() if found[1][0][0] not in ENDED]
    wrong += [(number, tasks.get(number)) for number in done
              if tasks.get(number) != [("succeeded", done[number])]]
    for what, found in (("acknowledged tasks are lost", lost), ("tasks are there twice", twice),
                        ("tasks never ended", live), ("acknowledged ends are not there", wrong)):
        lib.equal(found[:5], [], f"{len(found)} of {len(put)} {what}, such as")
    return put, done, tasks


def wait_for(what, count, hand, seconds):
    """Until the hand has told that of so many."""
    deadline = time.monotonic() + seconds
    while sum(word == what for word, _ in hand.told()) < count:
        if time.monotonic() > deadline:
            raise AssertionError(f"{count} times {what} are not told after {seconds} s")
        time.sleep(0.005)


def lose_a_worker(scene):
    """What a killed worker held, with leases of a minute, is done by another: after how long?"""
    scene.server.start()
    holder = scene.begin("hold")
    producer = scene.begin("produce", 16)
    wait_for("held", 16, holder, 20)
    other = scene.begin("drain")
    producer.kill()
    started = time.monotonic()
    holder.kill()
    wait_for("done", 16, other, 20)
    took = time.monotonic() - started
    other.kill()
    scene.server.kill_all()
    return took


def outlast_heads(scene):
    """celery#8030, #8091, #10205, bullmq#648, #2964: connected again, and idle for ever."""
    scene.server.start()
    producer, worker = scene.begin("produce", 1000000), scene.begin("work")
    for _ in range(5):
        for what, hand in (("put", producer), ("done", worker)):
            told = sum(word == what for word, _ in hand.told())
            wait_for(what, told + 10, hand, 20)
        scene.server.kill_all()
        scene.server.start()
    producer.kill()
    worker.kill()
    scene.server.kill_all()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--hand", default=os.path.join(
        os.path.dirname(os.path.dirname(lib.BINARY)), "tests", "queue-hand"))
    arguments = parser.parse_args()
    scene = Scene(arguments.hand, arguments.seed)
    name = f"{arguments.kills} kills of a queue's head, producers, workers, seed {arguments.seed}"
    other, third = (Scene(arguments.hand, arguments.seed) for _ in range(2))
    try:
        with lib.check("a producer and a worker go on behind each new head"):
            outlast_heads(third)
        with lib.check("the tasks of a killed worker are done elsewhere within a second"):
            took = lose_a_worker(other)
            print(f"after {took * 1e3:.0f} ms", flush=True)
            lib.equal(took <= 1, True, f"within a second: {took:.2f} s")
        with lib.check(name):
            started = time.monotonic()
            scene.start()
            while sum(scene.kills.values()) < arguments.kills:
                time.sleep(scene.random.uniform(0, 0.15))  # The instant is what is drawn.
                scene.strike()
            scene.settle()
            put, done, tasks = check(scene)
            states = collections.Counter(found[0][0] for found in tasks.values())
            print(f"{dict(scene.kills)}, {scene.pauses} pauses: {len(put)} acknowledged tasks, "
                  f"{len(done)} acknowledged ends, {dict(states)} in "
                  f"{time.monotonic() - started:.0f} s", flush=True)
            lib.equal(len(put) > 20 * arguments.kills, True, f"enough was put: {len(put)}")
            lib.equal(len(done) > 5 * arguments.kills, True, f"enough was done: {len(done)}")
    finally:
        scene.remove()
        other.remove()
        third.remove()
    lib.finish()


if __name__ == "__main__":
    main()
