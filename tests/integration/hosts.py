#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Four hosts on this machine: network namespaces with a switch between them, real processes, real
encrypted links. Cables are pulled and plugged in again, one direction fails, hosts lose power; no
document is lost or made twice.

Run by scripts/test-more, as root. Where namespaces are not permitted it says so and is skipped.
"""
import contextlib
import ctypes
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter

import links_test as links
import sluice_testlib as lib

HEAD = "10.77.0.1"
PORT = 7447
SILENCE_S = 3
SLACK_S = 57  # For this machine, whatever else it does.
CLONE_NEWNET = 0x40000000


class Network:
    """Namespaces NAME-1 (the head's) to NAME-4, each with one cable to a switch."""

    def __init__(self, hosts):
        self.name, self.hosts = f"sluice{os.getpid()}", range(1, hosts + 1)
        self.made = []

    def host(self, number):
        return f"{self.name}-{number}"

    @staticmethod
    def ip(*words):
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    def make(self, namespace):
        self.ip("netns", "add", namespace)
        self.made.append(namespace)
        self.ip("-n", namespace, "link", "set", "lo", "up")

    def open(self):
        self.make(self.name)
        self.ip("-n", self.name, "link", "add", "switch", "type", "bridge")
        self.ip("-n", self.name, "link", "set", "switch", "up")
        for number in self.hosts:
            host, cable = self.host(number), f"cable{number}"
            self.make(host)
            self.ip("-n", self.name, "link", "add", cable, "type", "veth", "peer", "name", "eth0",
                    "netns", host)
            self.ip("-n", self.name, "link", "set", cable, "master", "switch", "up")
            self.ip("-n", host, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
            self.ip("-n", host, "link", "set", "eth0", "up")

    def cable(self, number, state):
        """Plug a host's cable in ("up") or pull it ("down"): nobody's connections are told."""
        self.ip("-n", self.name, "link", "set", f"cable{number}", state)

    def mute(self, number, order):
        """"add": the host hears the head, and what it says goes nowhere; "del": no more."""
        self.ip("-n", self.host(number), "route", order, "blackhole", f"{HEAD}/32")

    def enter(self, number):
        """For a child before its exec, or this process: to be on that host."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{self.host(number)}", "rb") as file:
            if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def processes(self, number):
        found = subprocess.run(["ip", "netns", "pids", self.host(number)], check=True,
                               capture_output=True, text=True).stdout.split()
        return [int(pid) for pid in found]

    def power_off(self, number):
        """The cable first: a host without power says no farewell."""
        self.cable(number, "down")
        for pid in self.processes(number):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self):
        for namespace in reversed(self.made):
            self.ip("netns", "del", namespace)


class Worker:
    def __init__(self, cluster, number):
        self.name = f"w{number}"
        self.log_path = f"{cluster.server.data}-{self.name}.log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [lib.BINARY, "worker", "--data", cluster.server.data, "--name", self.name,
                 "--group", "any", "--head", f"tcp://{HEAD}:{PORT}", "--cert",
                 os.path.join(cluster.folder, self.name), "--head-cert",
                 os.path.join(cluster.server.data, "cluster/head"), "--plugins", cluster.folder,
                 "--sandbox", "false"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, lib.MARK: cluster.server.mark},
                preexec_fn=lambda: cluster.network.enter(number))

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()


class Cluster:
    def __init__(self, network, folder):
        self.network, self.folder = network, folder
        config = os.path.join(folder, "sluice.yaml")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"nodes: 0\nplugins: {folder}\ncluster:\n  listen: tcp://{HEAD}:{PORT}\n"
                       f"  silence: {SILENCE_S}s\n")
        self.starts = links.build_plugin(folder)
        self.server = lib.Server(config)
        self.server.start()
        self.operator = self.server.operator()
        self.workers = {}
        self.objects = []
        self.client = self.server.tenant("hosts")
        self.client.namespace = self.client.make("namespace", "hosts", feature_extractors=lib.BOTH)
        self.bucket = self.client.make("bucket", "things", bucket_schema={"properties": {}})
        self.collection = self.client.make(
            "collection", "slow", source={"type": "bucket", "bucket_ids": [self.bucket]},
            feature_extractor={"feature_extractor_name": "slow_extractor", "version": "v1"})

    def start(self, number):
        self.workers[number] = Worker(self, number)

    def allow(self, number):
        cert = links.cert_new(os.path.join(self.folder, f"w{number}"), f"w{number}")
        subprocess.run(["cp", cert, os.path.join(self.server.data, "cluster/allowed")], check=True)

    def wait_nodes(self, *numbers, seconds=SILENCE_S + SLACK_S):
        wanted, started = {f"w{number}" for number in numbers}, time.monotonic()
        lib.wait_until(f"the nodes are {wanted}", lambda: links.names(self.operator) == wanted,
                         seconds)
        return time.monotonic() - started

    def submit(self, count):
        objects = self.client.make_objects(
            self.bucket, [{"content": f"item {i}"} for i in range(count)])
        self.objects += objects
        return self.client.submit(self.bucket, objects)[1]

    def wait(self, task):
        lib.equal(self.client.wait_task(task, 120)["status"], "COMPLETED", "the batch")

    def wait_work(self, *numbers):
        """Until replicas of all these hosts have begun something new."""
        seen = len(links.read_starts(self.starts))

        def are_all():
            at_work = {pid for pid, _ in links.read_starts(self.starts)[seen:]}
            return all(at_work & set(self.network.processes(number)) for number in numbers)
        lib.wait_until(f"hosts {numbers} work", are_all, 60)

    def close(self):
        for worker in self.workers.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.process.pid, signal.SIGKILL)
            worker.process.wait(60)
            os.remove(worker.log_path)


def check_join(cluster):
    for number in (2, 3, 4):
        cluster.allow(number)
        cluster.start(number)
    cluster.wait_nodes(2, 3, 4, seconds=60)
    task = cluster.submit(600)
    cluster.wait_work(2, 3, 4)
    cluster.wait(task)


def check_cut(cluster):
    """Its tasks run elsewhere; with its cable back it joins, and its late ends are void."""
    task = cluster.submit(600)
    cluster.wait_work(2, 3, 4)
    cluster.network.cable(2, "down")
    took = cluster.wait_nodes(3, 4)
    print(f"# a host behind a pulled cable is given up after {took:.1f} s of {SILENCE_S}")
    cluster.wait(task)
    cluster.network.cable(2, "up")
    cluster.wait_nodes(2, 3, 4, seconds=60)
    task = cluster.submit(300)
    cluster.wait_work(2)
    cluster.wait(task)


def check_mute(cluster):
    """It hears the head, which hears nothing of it."""
    task = cluster.submit(600)
    cluster.wait_work(2, 3, 4)
    cluster.network.mute(3, "add")
    cluster.wait_nodes(2, 4)
    cluster.wait(task)
    cluster.network.mute(3, "del")
    cluster.wait_nodes(2, 3, 4, seconds=60)


def check_power(cluster):
    task = cluster.submit(600)
    cluster.wait_work(2, 3, 4)
    cluster.network.power_off(4)
    took = cluster.wait_nodes(2, 3)
    print(f"# a host without power is given up after {took:.1f} s of {SILENCE_S}")
    cluster.wait(task)
    cluster.network.cable(4, "up")
    cluster.workers[4].process.wait(60)
    cluster.start(4)
    cluster.wait_nodes(2, 3, 4, seconds=60)


def check_alone(cluster):
    """The head's own cable: all are given up, work waits, and goes on when they are back."""
    task = cluster.submit(600)
    cluster.wait_work(2, 3, 4)
    cluster.network.cable(1, "down")
    cluster.wait_nodes()
    lib.equal(cluster.client.get(f"/v1/tasks/{task}").expect(200)["status"], "IN_PROGRESS")
    cluster.network.cable(1, "up")
    cluster.wait_nodes(2, 3, 4, seconds=60)
    cluster.wait(task)


def check_once(cluster):
    roots = Counter(lib.root_object(item) for item in cluster.client.documents(cluster.collection))
    lib.equal(max(roots.values()), 1, "documents of one object, at most")
    lib.equal(len(set(cluster.objects) - set(roots)), 0, "objects without a document")
    print(f"# {len(roots)} documents")


def check_stop(cluster):
    for worker in cluster.workers.values():
        worker.process.send_signal(signal.SIGTERM)
    for worker in cluster.workers.values():
        lib.equal(worker.process.wait(30), 0, f"{worker.name}'s exit status")
        assert not lib.SANITIZER.search(worker.log()), worker.log()
    lib.equal(cluster.server.stop(), 0, "the head's exit status")
    lib.equal(cluster.server.pids(), [], "processes left")


CHECKS = (
    ("workers of three hosts join over encrypted links and share a batch", check_join),
    ("a host behind a pulled cable is given up, and joins when it is back", check_cut),
    ("a host that can only hear is given up, and joins when it can speak", check_mute),
    ("a host without power is given up, and a new worker of its name joins", check_power),
    ("a head without a network gives all up, and goes on when it is back", check_alone),
    ("every document is there exactly once", check_once),
    ("workers leave when asked, and so does the head", check_stop),
)


def run(network, folder):
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    cluster = None
    try:
        network.enter(1)
        cluster = Cluster(network, folder)
        for name, check in CHECKS:
            with lib.check(name):
                check(cluster)
    finally:
        if cluster is not None:
            cluster.close()
        ctypes.CDLL(None).setns(home, CLONE_NEWNET)
        os.close(home)


def main():
    network = Network(4)
    try:
        network.open()
    except (OSError, subprocess.CalledProcessError) as error:
        network.close()
        lib.skip(f"four hosts: {getattr(error, 'stderr', None) or error}".strip())
        return
    try:
        with tempfile.TemporaryDirectory(prefix="sluice-hosts-") as folder:
            run(network, folder)
    finally:
        network.close()
    lib.finish()


if __name__ == "__main__":
    main()
