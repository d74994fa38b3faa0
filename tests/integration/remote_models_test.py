#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Models reach workers that have a data directory of their own, as those of other hosts do: fetched
from the head over an encrypted link, in pieces, resumed after a crash, refused when damaged."""
import contextlib
import glob
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time

import archives
import links_test as links
import sluice_testlib as lib
from model_life_test import Case

MIB = 1 << 20
LARGE = 96 * MIB  # Of the model in whose fetch a worker is killed.
KILL_AT = 6 * MIB
SMALL_ROOM = "4MiB"


def large_model():
    data = os.urandom(LARGE)
    tensor = {"dtype": "U8", "shape": [LARGE], "data_offsets": [0, LARGE]}
    header = json.dumps({"w": tensor}).encode()
    size = len(header).to_bytes(8, "little")
    info, content = archives.member("model.safetensors", size + header + data)
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", compresslevel=0) as tar:
        tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


class Worker:
    """One with a certificate and a data directory of its own, where no model lies."""

    def __init__(self, cluster, name, *options):
        self.name, self.data = name, os.path.join(cluster.folder, f"{name}-data")
        self.log_path = os.path.join(cluster.folder, f"{name}.log")
        cert = os.path.join(cluster.folder, name)
        if not os.path.exists(cert):
            cluster.allow(links.cert_new(cert, name))
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [lib.BINARY, "worker", "--head", cluster.endpoint, "--data", self.data, "--name",
                 name, "--group", "any", "--cert", cert, "--head-cert", cluster.head_cert,
                 *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, lib.MARK: cluster.server.mark}, start_new_session=True)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def fetched(self, pattern="*"):
        return [name for name in glob.glob(os.path.join(self.data, "fetched", pattern))
                if os.path.basename(name) != "lock"]

    def whole(self):
        return [name for name in self.fetched() if "." not in os.path.basename(name)]

    def part_bytes(self):
        """Of what it has of images that are not whole."""
        total = 0
        for name in self.fetched("*.part"):
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(name).st_blocks * 512
        return total

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        lib.equal(self.process.wait(60), 0, f"{self.name}'s exit status")
        assert not lib.SANITIZER.search(self.log()), self.log()


def images(cluster, name):
    """What the head shows of a worker's images."""
    found = cluster.operator.get("/v1/cluster/nodes").expect(200)["results"]
    return next((node["images"] for node in found if node["name"] == name), None)


def wait_images(cluster, name, wanted, seconds=60):
    """Until the worker's next beat has told what is wanted."""
    lib.wait_until(f"images of {name}", lambda: wanted(images(cluster, name) or {}), seconds)
    return images(cluster, name)


def start(cluster, name, *options):
    worker = Worker(cluster, name, *options)
    lib.wait_until(f"{name} joins", lambda: name in links.names(cluster.operator))
    return worker


def check_fetch(cluster, case):
    worker = start(cluster, "w1")
    with lib.check("a model that a worker does not have is fetched, and a replica there uses it"):
        case.upload_encoder("1.0.0", 1)
        done = case.verb("encoder_1_0_0", "deploy").expect(200)
        lib.equal((done["deployment_status"], done["cached"]), ("deployed", False))
        lib.equal(len(worker.whole()), 1, "images of the worker")
        lib.equal(os.path.exists(os.path.join(worker.data, "models")), False)
        assert case.embed("encoder_1_0_0").expect(200)["data"]["embedding"]
        lib.equal(case.verb("encoder_1_0_0", "deploy").expect(200)["cached"], True)
    with lib.check("what was fetched and served is shown, at the head and of the worker"):
        found = wait_images(cluster, "w1", lambda shown: shown.get("fetched") == 1)
        size = os.path.getsize(worker.whole()[0])
        lib.equal((found["images"], found["bytes"], found["fetched_bytes"], found["failed"]),
                  (1, size, size, 0))
        shown = lib.Client(cluster.server.dashboard_port).get("/status.json").expect(200)
        lib.equal(shown["images"]["served_bytes"], size)
    return worker


def check_documents(case):
    with lib.check("a batch runs on the worker with its model"):
        case.upload_encoder("2.0.0", 2)
        case.verb("encoder_2_0_0", "deploy").expect(200)
        case.bucket = case.client.make("bucket", "texts", bucket_schema={"properties": {
            "content": {"type": "text"}}})
        collection = case.client.make(
            "collection", "vectors", source={"type": "bucket", "bucket_ids": [case.bucket]},
            feature_extractor={"feature_extractor_name": "text_extractor", "version": "v1",
                               "input_mappings": {"text": "content"},
                               "parameters": {"embedding_model": "encoder_2_0_0"}})
        objects = case.client.make_objects(case.bucket, [lib.text_object("abc") for _ in range(5)])
        _, task = case.client.submit(case.bucket, objects)
        lib.equal(case.client.wait_task(task)["status"], "COMPLETED")
        lib.equal(len(case.client.documents(collection)), 5)


def check_scale_out(cluster, case):
    with lib.check("a second worker fetches it, too, when it gets the work"):
        wanted = case.embed("encoder_1_0_0").expect(200)["data"]["embedding"]
        worker = start(cluster, "w2")
        cluster.operator.post("/v1/cluster/nodes/w1/cordon").expect(200)
        lib.equal(case.embed("encoder_1_0_0").expect(200)["data"]["embedding"], wanted)
        lib.equal(len(worker.whole()), 1, "images of the second worker")
        cluster.operator.post("/v1/cluster/nodes/w1/uncordon").expect(200)
        worker.stop()
        lib.wait_until("it is gone", lambda: links.names(cluster.operator) == {"w1"})


def check_bad(case):
    def expect_refused(version, told):
        error = case.verb(f"encoder_{version}", "deploy").expect(500)["error"]
        lib.equal(error["details"]["reason"], "load_failed")
        assert told in error["message"], error
        lib.equal(case.show(f"encoder_{version}")["status"], "failed")

    with lib.check("an image that the head's disk has damaged is refused, with the reason"):
        case.upload_encoder("3.0.0", 3)
        path = os.path.join(case.directory("encoder_3_0_0"), "image")
        os.chmod(path, 0o600)
        with open(path, "r+b") as file:
            file.seek(-100, os.SEEK_END)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        expect_refused("3_0_0", "digest")
    with lib.check("mended it is fetched; one that is gone is refused, with the reason"):
        with open(path, "r+b") as file:
            file.seek(-100, os.SEEK_END)
            file.write(byte)
        case.verb("encoder_3_0_0", "deploy").expect(200)
        case.upload_encoder("4.0.0", 4)
        shutil.rmtree(case.directory("encoder_4_0_0"))
        started = time.monotonic()
        expect_refused("4_0_0", "no node of the cluster has it")
        assert time.monotonic() - started < 30, "it should be told at once"


def check_delete(worker, case):
    with lib.check("a deleted model's image goes from the worker's disk, an evicted one's stays"):
        count = len(worker.whole())
        case.verb("encoder_1_0_0", "evict").expect(200)
        case.verb("encoder_1_0_0", "deploy").expect(200)  # Behind the eviction, by the same way.
        lib.equal(len(worker.whole()), count)
        case.client.call("DELETE", f"{case.path}/encoder_1_0_0").expect(200)
        lib.wait_until("it is gone", lambda: len(worker.whole()) == count - 1)


def kill_in_fetch(worker):
    deadline = time.monotonic() + 60
    while worker.part_bytes() < KILL_AT:
        assert time.monotonic() < deadline, f"no part of it came: {worker.log()}"
    worker.kill()
    left = worker.part_bytes()
    assert 0 < left < LARGE, left
    lib.equal([path for path in worker.whole() if os.path.getsize(path) >= LARGE], [])
    return left


def check_resume(cluster, worker, case):
    with lib.check("kill -9 in the middle of a fetch: the next life goes on from there"):
        case.upload(large_model(), name="large").expect(200)
        path = f"{case.path}/large_1_0_0/deploy"
        deploy = subprocess.Popen(
            ["curl", "-s", "-X", "POST", f"http://127.0.0.1:{cluster.server.port}{path}", "-H",
             f"Authorization: Bearer {case.client.key}", "-H", f"X-Namespace: {case.space}"],
            stdout=subprocess.PIPE)
        left = kill_in_fetch(worker)
        again = Worker(cluster, "w1")
        text = deploy.communicate(timeout=60)[0]
        lib.equal(json.loads(text).get("deployment_status"), "deployed", text)
        found = wait_images(cluster, "w1", lambda shown: shown.get("resumed_chunks", 0) > 0)
        print(f"# {left / MIB:.0f} MiB of {LARGE / MIB:.0f} were there, "
              f"{found['resumed_chunks']} chunks were not fetched again")
        assert found["resumed_chunks"] * MIB + found["fetched_bytes"] >= LARGE, found
        assert found["fetched_bytes"] < LARGE, found
    return again


def check_room(cluster, worker, case):
    worker.stop()
    lib.wait_until("it is gone", lambda: links.names(cluster.operator) == set())
    with lib.check("a worker with less room keeps less, and refuses what is larger than that"):
        small = start(cluster, "w1", "--models-size", SMALL_ROOM)
        wait_images(cluster, "w1", lambda shown: shown.get("evicted", 0) > 0)
        lib.wait_until("the large one is gone", lambda: sum(
            os.path.getsize(path) for path in small.whole()) <= 4 * MIB)
        case.verb("large_1_0_0", "evict").expect(200)
        error = case.verb("large_1_0_0", "deploy").expect(503)["error"]
        lib.equal(error["details"]["reason"], "disk_full")
        assert "--models-size" in error["message"], error
        assert case.embed("encoder_2_0_0").expect(200)["data"]["embedding"]
        small.stop()


def check_no_directory(cluster, case):
    with lib.check("a worker that can keep no models joins, and says why a deploy fails"):
        lib.wait_until("nobody is there", lambda: links.names(cluster.operator) == set())
        os.mkdir(os.path.join(cluster.folder, "w3-data"))
        with open(os.path.join(cluster.folder, "w3-data", "fetched"), "wb"):
            pass
        worker = start(cluster, "w3")
        assert "images-unavailable" in worker.log(), worker.log()
        case.verb("encoder_2_0_0", "evict").expect(200)
        error = case.verb("encoder_2_0_0", "deploy").expect(500)["error"]
        assert "its files are not there" in error["message"], error
        lib.equal(images(cluster, "w3"), None)
        worker.stop()


def main():
    with tempfile.TemporaryDirectory(prefix="sluice-remote-") as folder:
        cluster = links.Cluster(folder)
        workers = []
        try:
            case = Case(cluster.server, "remote")
            workers.append(check_fetch(cluster, case))
            check_documents(case)
            check_scale_out(cluster, case)
            check_bad(case)
            check_delete(workers[0], case)
            workers.append(check_resume(cluster, workers[0], case))
            check_room(cluster, workers[-1], case)
            check_no_directory(cluster, case)
            lib.equal(cluster.server.stop(), 0, "the head's exit status")
        finally:
            for worker in workers:
                worker.kill()
    lib.finish()


if __name__ == "__main__":
    main()
