#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Workers over tcp: certificates, who is refused and what both sides say of it, and how soon the
tasks of a worker that is killed run elsewhere."""
import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections import Counter

import sluice_testlib as lib

HERE = os.path.dirname(os.path.abspath(__file__))
SILENCE_S = 10   # After which a worker that says nothing is given up.
CUTS, CUT_TASKS = 16, 400
LOST_S = 20      # A worker stays one while its connection breaks, however slowly it comes back.
RELEASE_S = 1.0  # What the head takes to lease a dead worker's tasks again.
SLACK_S = 7.0    # What this machine may take to run them, whatever else it does.
assert RELEASE_S + SLACK_S < SILENCE_S


class Worker:
    def __init__(self, server, name, *options, group="any"):
        self.log_path = f"{server.data}-{name}.log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [lib.BINARY, "worker", "--data", server.data, "--name", name, "--group", group,
                 *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, lib.MARK: server.mark}, start_new_session=True)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)

    def remove(self):
        self.kill()
        assert "Sanitizer" not in self.log(), self.log()
        os.remove(self.log_path)


def cert_new(path, name):
    subprocess.run([lib.BINARY, "cert", "new", path, "--name", name], check=True,
                   stdout=subprocess.DEVNULL)
    return path


def names(operator):
    return {node["name"] for node in operator.get("/v1/cluster/nodes").expect(200)["results"]}


def cluster_endpoint(server):
    with open(os.path.join(server.data, "address"), encoding="ascii") as file:
        return dict(line.strip().split("=", 1) for line in file)["cluster"]


class Cluster:
    """A head that listens on tcp, and the certificates for it."""

    def __init__(self, folder):
        self.folder, self.port = folder, lib.free_port()
        self.config = os.path.join(folder, "sluice.yaml")
        self.configure()
        self.server = lib.Server(self.config)
        self.server.start()
        self.operator = self.server.operator()
        self.endpoint = cluster_endpoint(self.server)
        self.head_cert = os.path.join(self.server.data, "cluster/head")

    def configure(self, more=""):
        with open(self.config, "w", encoding="ascii") as file:
            file.write(f"nodes: 0\nplugins: {self.folder}\ncluster:\n"
                       f"  listen: tcp://127.0.0.1:{self.port}\n"
                       f"  groups: any cpu-workers\n  silence: {SILENCE_S}s\n{more}")

    def allow(self, cert):
        shutil.copy(cert, os.path.join(self.server.data, "cluster/allowed"))

    def worker(self, name, cert, head_cert=None, head=None, **more):
        return Worker(self.server, name, "--head", head or self.endpoint, "--cert", cert,
                      "--head-cert", head_cert or self.head_cert, "--plugins", self.folder,
                      "--sandbox", "false", **more)  # The plugin writes down when it began.


def check_strangers(cluster):
    """An unknown key is told on both sides, and comes in as soon as it is allowed."""
    cert = cert_new(os.path.join(cluster.folder, "w1"), "w1")
    worker = cluster.worker("w1", cert)
    lib.wait_until("the head names the key", lambda: "unknown key" in cluster.server.log())
    lib.wait_until("the worker is told", lambda: "link-refused-by-peer" in worker.log())
    assert "our certificate is not among those it allows" in worker.log(), worker.log()
    lib.equal(names(cluster.operator), set(), "nodes")
    cluster.allow(cert)
    lib.wait_until("it joins", lambda: names(cluster.operator) == {"w1"})
    lib.equal(cluster.server.log().count("unknown key"), 1, "lines about it")
    return worker


def check_certificates(cluster):
    done = subprocess.run([lib.BINARY, "worker", "--head", cluster.endpoint, "--data", "/x"],
                          capture_output=True, text=True, check=False, timeout=60)
    lib.equal(done.returncode, 2, "exit status without certificates")
    assert "--cert" in done.stderr, done.stderr
    secret = os.path.join(cluster.folder, "w1_secret")
    os.chmod(secret, 0o644)
    worker = cluster.worker("open", os.path.join(cluster.folder, "w1"))
    lib.equal(worker.process.wait(60), 1, "exit status with a secret that all may read")
    os.chmod(secret, 0o600)
    worker.remove()
    wrong = cluster.worker("wrong", os.path.join(cluster.folder, "w1"),
                           os.path.join(cluster.folder, "w1"))
    lib.wait_until("the worker tells", lambda: "the handshake failed" in wrong.log())
    lib.wait_until("the head tells", lambda: "the handshake failed" in cluster.server.log())
    wrong.remove()


def check_group(cluster):
    worker = cluster.worker("w9", os.path.join(cluster.folder, "w1"), group="gpu-workers")
    lib.equal(worker.process.wait(60), 1, "exit status")
    reason = "this head takes no workers of the group gpu"
    assert reason in worker.log(), worker.log()
    assert reason in cluster.server.log(), cluster.server.log()
    worker.remove()


def frame(body):
    return struct.pack("<I", len(body)) + body


def receive_until(peer, wanted):
    heard = b""
    while wanted not in heard:
        got = peer.recv(4096)
        assert got, f"hung up after {heard!r}"
        heard += got


def check_version(cluster):
    """A peer of another major version, by what all versions share."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(60)
        peer.connect(os.path.join(cluster.server.data, "run/head"))
        peer.sendall(frame(b"sluice1\0" + struct.pack("<IQ", 77, 5)))
        peer.sendall(frame(b"\x09\x01what it means is unknown"))
        receive_until(peer, b"protocol version 9, known here is")
    lib.wait_until("the head tells", lambda: "protocol version 9, known here is" in
               cluster.server.log())


def check_noise(cluster):
    """Bytes that are no protocol, on the port and within a connection."""
    host, port = cluster.endpoint[len("tcp://"):].rsplit(":", 1)
    for noise in (b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 16, b"\xff" * 64, b""):
        with socket.create_connection((host, int(port)), 10) as peer:
            peer.sendall(noise)
    lib.equal(names(cluster.operator), {"w1"}, "nodes")
    counts = links_counts(cluster)
    assert counts["refused"] >= 3 and counts["frames_received"] > 0, counts


def build_plugin(folder):
    starts = os.path.join(folder, "starts")
    subprocess.run(["cc", "-std=gnu17", "-shared", "-fPIC", "-D_GNU_SOURCE", f'-DSTARTS="{starts}"',
                    "-I", os.path.join(lib.ROOT, "extractors/include"),
                    os.path.join(HERE, "slow_plugin.c"),
                    "-o", os.path.join(folder, "slow_extractor.so")], check=True)
    return starts


def read_starts(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="ascii") as file:
        return [(int(pid), float(at)) for pid, at in (line.split() for line in file)]


def submit(client, bucket, count):
    objects = client.make_objects(bucket, [{"content": f"item {i}"} for i in range(count)])
    return client.submit(bucket, objects)[1]


def cordon(cluster, name, order="cordon"):
    cluster.operator.post(f"/v1/cluster/nodes/{name}/{order}").expect(200)


def check_death(cluster, client, bucket, starts, w1, w2):
    """All tasks are leased to w1, which is killed; w2 has the extractor running already."""
    cordon(cluster, "w1")
    lib.equal(client.wait_task(submit(client, bucket, 5))["status"], "COMPLETED")
    warm = {pid for pid, _ in read_starts(starts)}
    cordon(cluster, "w1", "uncordon")
    cordon(cluster, "w2")
    task = submit(client, bucket, 100)
    lib.wait_until("w1 works", lambda: {pid for pid, _ in read_starts(starts)} - warm)
    cordon(cluster, "w2", "uncordon")
    lib.wait_until("w1 is well into it", lambda: len([pid for pid, _ in read_starts(starts)
                                                  if pid not in warm]) > 5)
    lib.equal({pid for pid, _ in read_starts(starts)} & warm, warm)
    done_before = [at for pid, at in read_starts(starts) if pid in warm]
    killed = time.monotonic()
    w1.kill()
    lib.wait_until("w2 gets its tasks", lambda: len([at for pid, at in read_starts(starts)
                                                 if pid in warm]) > len(done_before))
    first = min(at for pid, at in read_starts(starts) if pid in warm and at > killed)
    print(f"# its tasks ran elsewhere {1000 * (first - killed):.0f} ms after the kill")
    assert first - killed < RELEASE_S + SLACK_S, f"after {first - killed:.2f} s"
    lib.equal(names(cluster.operator), {"w2"}, "nodes")
    lib.equal(client.wait_task(task, 120)["status"], "COMPLETED")
    assert "why=link-down" in cluster.server.log(), cluster.server.log()
    lib.equal(w2.process.poll(), None, "w2's exit status")


def check_silence(cluster, client, bucket, starts, w2):
    """A worker that hangs is given up after cluster.silence, and joins again as a stranger."""
    count = len(read_starts(starts))
    task = submit(client, bucket, 60)
    lib.wait_until("w2 is well into it", lambda: len(read_starts(starts)) > count + 5)
    before = time.monotonic()
    os.killpg(w2.process.pid, signal.SIGSTOP)
    try:
        lib.wait_until("w2 is given up", lambda: names(cluster.operator) == set(), SILENCE_S + 60)
        took = time.monotonic() - before
    finally:
        os.killpg(w2.process.pid, signal.SIGCONT)
    assert took > SILENCE_S - 2, f"after {took:.2f} s"
    lib.wait_until("w2 joins again", lambda: names(cluster.operator) == {"w2"})
    lib.equal(client.wait_task(task, 120)["status"], "COMPLETED")


def check_head(cluster, client, bucket, w2):
    """kill -9 of the head: the worker finds the next one by itself, and its replicas are warm."""
    task = submit(client, bucket, 60)
    os.kill(cluster.server.process.pid, signal.SIGKILL)
    cluster.server.process.wait(60)
    cluster.configure(f"  lost: {LOST_S}s\n")  # For the cuts that come next.
    cluster.server.start()
    started = time.monotonic()
    lib.wait_until("w2 joins again", lambda: names(cluster.operator) == {"w2"})
    print(f"# the worker was back {1000 * (time.monotonic() - started):.0f} ms after the head")
    lib.equal(client.wait_task(task, 120)["status"], "COMPLETED")
    lib.equal(w2.process.poll(), None, "w2's exit status")


class Proxy:
    """Between a worker and the head: what it carries it may cut, in the middle of anything."""

    def __init__(self, endpoint):
        host, port = endpoint[len("tcp://"):].rsplit(":", 1)
        self.target, self.sockets, self.carried = (host, int(port)), [], 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.target)
                self.sockets += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self.carry, args=pair, daemon=True).start()

    def carry(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
                self.carried += len(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self):
        for end in self.sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.sockets.clear()

    def close(self):
        self.listener.close()
        self.cut()


def links_counts(cluster):
    return lib.Client(cluster.server.dashboard_port).get("/status.json").expect(200)["links"]


def check_cuts(cluster, client, passthrough):
    """Connections break again and again under load; the session carries on over them."""
    proxy = Proxy(cluster.endpoint)
    cert = cert_new(os.path.join(cluster.folder, "w3"), "w3")
    cluster.allow(cert)
    worker = cluster.worker("w3", cert, head=proxy.endpoint)
    try:
        lib.wait_until("w3 joins", lambda: "w3" in names(cluster.server.operator()))
        cordon(cluster, "w2")
        tasks = []
        for i in range(CUTS):
            tasks.append(submit(client, passthrough, CUT_TASKS))
            time.sleep(0.003 * (i % 8))
            proxy.cut()
        for task in tasks:
            lib.equal(client.wait_task(task, 120)["status"], "COMPLETED")
        counts = links_counts(cluster)
        print(f"# {CUTS} cuts: {counts['resent']} frames sent again,"
              f" {counts['duplicates']} came twice, {proxy.carried >> 10} KiB carried")
        assert "name=w3 pid" not in "".join(line for line in cluster.server.log().splitlines()
                                            if "node-lost" in line), cluster.server.log()
        lib.equal(counts["voided"], 0, "sessions that ended since the head's start")
        cordon(cluster, "w2", "uncordon")
    finally:
        worker.process.send_signal(signal.SIGTERM)
        lib.equal(worker.process.wait(30), 0, "w3's exit status")
        worker.remove()
        proxy.close()


def check_once(client, collection, count):
    roots = Counter(lib.root_object(item) for item in client.documents(collection))
    lib.equal((len(roots), max(roots.values())), (count, 1), "objects with documents, and most")


def run(folder):
    starts = build_plugin(folder)
    cluster = Cluster(folder)
    client = cluster.server.tenant("links")
    client.namespace = client.make("namespace", "links", feature_extractors=lib.BOTH)
    bucket = client.make("bucket", "things", bucket_schema={"properties": {}})
    collection = client.make(
        "collection", "slow", source={"type": "bucket", "bucket_ids": [bucket]},
        feature_extractor={"feature_extractor_name": "slow_extractor", "version": "v1"})
    passthrough = client.make("bucket", "texts", bucket_schema={"properties": {}})
    copies = client.make(
        "collection", "copies", source={"type": "bucket", "bucket_ids": [passthrough]},
        feature_extractor={"feature_extractor_name": "passthrough_extractor", "version": "v1",
                           "input_mappings": {"content": "content"}})
    workers = []
    try:
        with lib.check("a worker whose certificate is not allowed is told so, till it is"):
            workers.append(check_strangers(cluster))
        with lib.check("certificates that are missing, open or another's are refused"):
            check_certificates(cluster)
        with lib.check("a worker of a group that is not wanted is told why"):
            check_group(cluster)
        with lib.check("a peer of another major version is told why"):
            check_version(cluster)
        with lib.check("noise on the port stops nobody"):
            check_noise(cluster)
        with lib.check("a worker that is killed is given up at once, and its tasks run elsewhere"):
            cert = cert_new(os.path.join(folder, "w2"), "w2")
            cluster.allow(cert)
            workers.append(cluster.worker("w2", cert))
            lib.wait_until("w2 joins", lambda: names(cluster.operator) == {"w1", "w2"})
            check_death(cluster, client, bucket, starts, *workers)
        with lib.check("a worker that hangs is given up after its time, and comes back"):
            check_silence(cluster, client, bucket, starts, workers[1])
        with lib.check("a head that is killed finds its worker again"):
            check_head(cluster, client, bucket, workers[1])
        with lib.check("connections that break under load lose nothing and nobody"):
            check_cuts(cluster, client, passthrough)
        with lib.check("each object has its document once"):
            check_once(client, collection, 5 + 100 + 60 + 60)
            check_once(client, copies, CUTS * CUT_TASKS)
        with lib.check("over tcp a worker leaves when asked, and so does the head"):
            workers[1].process.send_signal(signal.SIGTERM)
            lib.equal(workers[1].process.wait(30), 0, "the worker's exit status")
            lib.equal(cluster.server.stop(), 0, "the head's exit status")
            lib.equal(cluster.server.pids(), [], "processes left")
    finally:
        for worker in workers:
            worker.remove()


def main():
    with tempfile.TemporaryDirectory(prefix="sluice-links-") as folder:
        run(folder)
    lib.finish()


if __name__ == "__main__":
    main()
