#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each way in which a model is refused, by name: its status, its type, a sentence that says what to
do; and nothing of it is left."""
import concurrent.futures
import contextlib
import gzip
import io
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile

import archives
import sluice_testlib as lib
from model_life_test import Case
from organization_models_test import announce
from upload_test import put

MIB = 1 << 20
CONFIG = """plans:
  growth: {models: 7}
  enterprise: {models: 3, archive: 1KiB}
"""


def refused(reply, status, kind, *words):
    error = reply.expect(status)["error"]
    lib.equal(error["type"], kind)
    for word in words:
        assert word in error["message"], f"no {word!r} in {error['message']!r}"
    return error


def left_files(server):
    """What lies where archives are received and unpacked."""
    found = []
    for folder in ("models/tmp", "blobs/tmp", "uploads"):
        for parent, _, names in os.walk(os.path.join(server.data, folder)):
            found += [os.path.join(parent, name) for name in names if name != ".secret"]
    return found


def check_names(case):
    with lib.check("a format that the archive is not: 422, with the file it lacks"):
        refused(case.upload(name="wrong", model_format="huggingface"), 422, "ValidationError",
                "config.json")
        for other in ("onnx", "pytorch"):
            refused(case.upload(name="wrong", model_format=other), 422, "ValidationError",
                    f"declared as {other}", "safetensors")
        refused(case.upload(name="wrong", model_format="tensorflow"), 422, "ValidationError",
                "safetensors, huggingface, onnx or pytorch")
    with lib.check("a version that exists: 409; another version: 200"):
        case.upload(name="twice").expect(200)
        refused(case.upload(name="twice"), 409, "ConflictError", "exists")
        case.upload(name="twice", version="1.0.1").expect(200)
    with lib.check("a hash that is not that of what came: 400, and the right one is taken"):
        made = announce(case.client, "hashed", archives.GOOD)
        etag = put(made["presigned_url"], archives.GOOD)[1]["ETag"]
        confirm = f"/v1/models/uploads/{made['upload_id']}/confirm"
        refused(case.client.post(confirm, {"etag": "0" * 64}), 400, "BadRequestError", "etag")
        refused(case.client.post(confirm, {"file_size_bytes": 7}), 400, "BadRequestError")
        lib.equal(case.client.post(confirm, {"etag": etag}).expect(200)["success"], True)


def under_way(server):
    """Files of uploads, those that have no name yet too."""
    count = len(left_files(server))
    for pid in server.pids():
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    link = os.readlink(f"/proc/{pid}/fd/{fd}")
                    count += link.startswith(f"{server.data}/blobs/") and "deleted" in link
    return count


def begin_upload(case, size, sent):
    """A form of `size` bytes of which `sent` are sent."""
    head = (f"POST {case.path} HTTP/1.1\r\nHost: sluice\r\nAuthorization: Bearer "
            f"{case.client.key}\r\nContent-Type: multipart/form-data; boundary=limit\r\n"
            f"Content-Length: {size}\r\n\r\n").encode()
    body = (b'--limit\r\nContent-Disposition: form-data; name="file"; filename="m.tar.gz"\r\n\r\n'
            + bytes(sent))
    link = socket.create_connection(("127.0.0.1", case.server.port), 60)
    link.sendall(head + body)
    return link


def check_truncated(case):
    with lib.check("an upload that ends before its length: nothing of it is kept"):
        before = case.client.get(case.path).expect(200)["total"]
        with begin_upload(case, 8 * MIB, 3 * MIB):
            lib.wait_until("it is being received", lambda: under_way(case.server) > 0)
        lib.wait_until("it is gone", lambda: under_way(case.server) == 0)
        with begin_upload(case, 8 * MIB, 3 * MIB) as link:
            link.shutdown(socket.SHUT_WR)
            answer = link.recv(4096)
            assert not answer or b" 4" in answer.split(b"\r\n")[0], answer
        lib.wait_until("it is gone", lambda: under_way(case.server) == 0)
        lib.equal(case.client.get(case.path).expect(200)["total"], before)
    with lib.check("an archive that is cut short: 422"):
        refused(case.upload(archives.GOOD[:-20], name="cut"), 422, "ValidationError")
        case.client.get(f"{case.path}/cut_1_0_0").expect(404)


def check_limits(server):
    case = Case(server, "full")
    with lib.check("50 models of a namespace are taken, the 51st is refused: 403"):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for reply in pool.map(lambda number: case.upload(name=f"m{number}"), range(50)):
                reply.expect(200)
        refused(case.upload(name="one-more"), 403, "ForbiddenError", "50 models", "delete one")
        lib.equal(case.client.get(case.path).expect(200)["total"], 50)
    with lib.check("where one is deleted there is room for one; other namespaces have their own"):
        case.client.call("DELETE", f"{case.path}/m7_1_0_0").expect(200)
        case.upload(name="one-more").expect(200)
        refused(case.upload(name="two-more"), 403, "ForbiddenError")
        other = case.client.make("namespace", "roomy", feature_extractors=lib.BOTH)
        case.client.upload(f"/v1/namespaces/{other}/models", archives.GOOD, name="m",
                           version="1", model_format="safetensors").expect(200)
    with lib.check("a namespace may have a limit of its own, below its plan's"):
        small = case.client.post("/v1/namespaces", {
            "namespace_name": "small", "feature_extractors": lib.BOTH,
            "infrastructure": {"max_custom_models": 1}}).expect(200)["namespace_id"]
        path = f"/v1/namespaces/{small}/models"
        for name, status in (("a", 200), ("b", 403)):
            case.client.upload(path, archives.GOOD, name=name, version="1",
                               model_format="safetensors").expect(status)
    with lib.check("the configuration sets the limits of a plan: how many, and how large"):
        case = Case(server, "set", plan="enterprise")
        for number in range(3):
            case.upload(name=f"m{number}").expect(200)
        refused(case.upload(name="one-more"), 403, "ForbiddenError", "3 models")
        refused(case.upload(archives.encoder(1), name="large"), 413, "PayloadTooLargeError",
                "1024")
        lib.equal(left_files(server), [])


def check_tier(server):
    case = Case(server, "poor", plan="growth")
    with lib.check("other tiers have no models: 403 with the sentence, before gigabytes are sent"):
        sentence = "Custom models require Enterprise tier"
        refused(case.upload(), 403, "ForbiddenError", sentence)
        refused(case.verb("m_1", "deploy"), 403, "ForbiddenError", sentence)
        with begin_upload(case, 5 << 30, 0) as link:
            head, _, body = link.recv(8192).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 403 ") and sentence.encode() in body, (head, body)


class SmallDisk:
    """A file system of a few MiB; falsy where none can be mounted."""

    def __init__(self, mib):
        self.path = tempfile.mkdtemp(prefix="sluice-disk-")
        self.is_there = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", self.path],
            capture_output=True, check=False).returncode == 0

    def remove(self):
        if self.is_there:
            subprocess.run(["umount", "-l", self.path], check=True)
        shutil.rmtree(self.path, ignore_errors=True)


def random_model(mib):
    """A model that packs to its own size."""
    weights = archives.safetensors({"w": ("U8", [mib * MIB], 0, mib * MIB)}, size=0)
    return archives.archive(archives.member("model.safetensors",
                                            weights + os.urandom(mib * MIB)))


def packed_model(mib):
    """One that packs to a hundredth."""
    info = tarfile.TarInfo("model.safetensors")
    data = (archives.safetensors({"w": ("U8", [mib * MIB], 0, mib * MIB)}, size=0)
            + os.urandom(mib * MIB // 64) + bytes(mib * MIB - mib * MIB // 64))
    info.size = len(data)
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=1) as packed:
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.addfile(info, io.BytesIO(data))
    return target.getvalue()


def check_disk():
    disk = SmallDisk(160)
    if not disk.is_there:
        disk.remove()
        lib.skip("a disk that is full: nothing can be mounted here")
        return
    server = lib.Server()
    shutil.rmtree(server.data)
    server.data = os.path.join(disk.path, "data")
    try:
        server.start()
        case = Case(server, "disk")
        with lib.check("a disk that is full while the archive comes: 503, nothing is left"):
            refused(case.upload(random_model(200), name="large"), 503,
                    "ServiceUnavailableError", "full")
            lib.wait_until("it is gone", lambda: not left_files(server))
        with lib.check("a disk that is full while it is unpacked: 503, nothing is left"):
            refused(case.upload(packed_model(200), name="large"), 503, "ServiceUnavailableError")
            lib.wait_until("it is gone", lambda: not left_files(server))
            lib.equal(case.client.get(case.path).expect(200)["models"], [])
        with lib.check("what fits is taken afterwards"):
            case.upload(name="small").expect(200)
            case.verb("small_1_0_0", "deploy").expect(200)
        lib.equal(server.stop(), 0, "the exit status")
    finally:
        server.kill_all()
        disk.remove()


def main():
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(CONFIG)
        file.flush()
        server = lib.Server(config=file.name).start()
        case = Case(server, "errors")
        check_names(case)
        check_truncated(case)
        check_limits(server)
        check_tier(server)
        lib.equal(server.stop(), 0, "the exit status")
    check_disk()
    lib.finish()


if __name__ == "__main__":
    main()
