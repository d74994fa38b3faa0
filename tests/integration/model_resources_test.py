#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a model asks of a node: as it is said, shown, overridden, and refused where it cannot be."""
import contextlib
import io
import os
import re
import struct
import tarfile
import time
import uuid

import archives
import sluice_testlib as lib
import upload_test
from model_life_test import Case, memory_files, states
from worker_test import Worker

MIB = 1 << 20


def requirements(case, model):
    return case.show(model)["resource_requirements"]


def check_upload(case):
    with lib.check("who says nothing asks for one core, no GPU and 4 GiB"):
        case.upload().expect(200)
        lib.equal(requirements(case, "probe_1_0_0"),
                  {"num_cpus": 1.0, "num_gpus": 0, "memory": 4 << 30})
    with lib.check("half a core and two GiB are kept as they were said"):
        case.upload(name="light", num_cpus="0.5", memory_gb="2.0").expect(200)
        lib.equal(requirements(case, "light_1_0_0"),
                  {"num_cpus": 0.5, "num_gpus": 0, "memory": 2 << 30})
    with lib.check("needs of every size in range are kept"):
        for number, (cpus, gpus, memory) in enumerate((
                (1, 1, 8.0), (1, 0, 2.0), (1, 1, 16.0), (0.1, 8, 0.5), (64, 0, 1024))):
            model = case.upload(name=f"size{number}", version="2.0.0", num_cpus=cpus,
                                num_gpus=gpus, memory_gb=memory).expect(200)["model_id"]
            lib.equal(requirements(case, model), {"num_cpus": cpus, "num_gpus": gpus,
                                                  "memory": int(memory * (1 << 30))})
    with lib.check("what no node has is refused, by the name of the field"):
        for name, value in (("num_cpus", "0.05"), ("num_cpus", "65"), ("num_cpus", "many"),
                            ("num_gpus", "9"), ("num_gpus", "-1"), ("num_gpus", "0.5"),
                            ("memory_gb", "0"), ("memory_gb", "5000"), ("memory_gb", "nan")):
            detail = case.upload(name="bad", **{name: value}).expect(422)["detail"]
            lib.equal(detail[0]["loc"], ["body", name], value)


def check_overrides(case):
    with lib.check("a namespace may ask for other resources of an organization's model"):
        made = case.client.post("/v1/models/uploads", {
            "name": "shared", "version": "1.0.0", "model_format": "safetensors",
            "resource_requirements": {"num_cpus": 2, "memory": 1 << 30}}).expect(200)
        lib.equal(upload_test.put(made["presigned_url"], archives.GOOD)[0], 200)
        case.client.post(f"/v1/models/uploads/{made['upload_id']}/confirm").expect(200)
        path = f"{case.path}/org/shared_1_0_0/enable"
        detail = case.client.post(path, {"resource_overrides": {"num_cpus": 99}}
                                  ).expect(422)["detail"]
        lib.equal(detail[0]["loc"], ["body", "resource_overrides", "num_cpus"])
        case.client.get(f"{case.path}/shared_1_0_0").expect(404)
        case.client.post(path, {"resource_overrides": {"num_cpus": 0.5}}).expect(200)
        lib.equal(requirements(case, "shared_1_0_0"),
                  {"num_cpus": 0.5, "num_gpus": 0, "memory": 1 << 30})


def check_gpu(server, case):
    with lib.check("a model that needs a GPU fails fast where there is none, and says so"):
        case.upload(name="heavy", num_gpus="2").expect(200)
        started = time.monotonic()
        error = case.verb("heavy_1_0_0", "deploy").expect(503)["error"]
        assert time.monotonic() - started < 30, "that was not fast"
        lib.equal((error["type"], error["details"]["reason"]),
                  ("ServiceUnavailableError", "gpu_required"))
        assert "2 GPUs" in error["message"] and "--gpus" in error["message"], error
        shown = case.show("heavy_1_0_0")
        lib.equal((shown["status"], shown["deployment_error"]["reason"]),
                  ("failed", "gpu_required"))
        lib.equal(states(shown), ["pending", "failed"])
    with lib.check("nor does it embed on a CPU instead"):
        case.upload(archives.encoder(1), name="fast", model_format="huggingface",
                    task_type="embedding", num_gpus="1").expect(200)
        error = case.embed("fast_1_0_0").expect(503)["error"]
        lib.equal(error["details"]["reason"], "gpu_required")
    few, many = Worker(server, "few", "--gpus", "1"), Worker(server, "many", "--gpus", "4")
    try:
        with lib.check("where a node has as many as it needs, it is deployed there"):
            nodes = "/v1/cluster/nodes"
            lib.wait_until("the workers joined", lambda: {"few", "many"} <= {
                node["name"] for node in server.operator().get(nodes).expect(200)["results"]
                if node["state"] == "alive"})
            lib.equal(case.verb("heavy_1_0_0", "deploy").expect(200)["cached"], False)
            lib.equal(states(case.show("heavy_1_0_0"))[-2:], ["deploying", "deployed"])
            assert "model-built" in many.log(), "another node has it"
    finally:
        few.remove()
        many.remove()


class Group:
    """A control group with a limit of memory, for the processes of a server."""

    def __init__(self):
        self.path = None
        with open("/proc/self/cgroup", encoding="ascii") as file:
            found = re.search(r"^\d+:memory:(.*)$", file.read(), re.M)
        if not found:
            return
        path = f"/sys/fs/cgroup/memory{found[1]}/sluice-{uuid.uuid4().hex[:8]}"
        with contextlib.suppress(OSError):
            os.mkdir(path)
            self.path = path

    def write(self, name, value):
        with open(os.path.join(self.path, name), "w", encoding="ascii") as file:
            file.write(str(value))

    def usage(self):
        """But for what the kernel gives back."""
        with open(os.path.join(self.path, "memory.stat"), encoding="ascii") as file:
            return int(re.search(r"^total_rss (\d+)$", file.read(), re.M)[1])

    def remove(self):
        lib.wait_until("the group is empty", self.try_remove)

    def try_remove(self):
        with contextlib.suppress(OSError):
            os.rmdir(self.path)
        return not os.path.exists(self.path)


def zeros(mib):
    """A model of so many MiB that packs to little, yet not to as little as bombs do."""
    header = b'{"weight":{"dtype":"F32","shape":[%d,262144],"data_offsets":[0,%d]}}' % (
        mib, mib * MIB)
    data = struct.pack("<Q", len(header)) + header + os.urandom(4 * MIB) + bytes((mib - 4) * MIB)
    info = tarfile.TarInfo("model.safetensors")
    info.size = len(data)
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", compresslevel=1) as tar:
        tar.addfile(info, io.BytesIO(data))
    return target.getvalue()


def check_memory():
    group = Group()
    if group.path is None:
        lib.skip("a deploy without enough memory: no control group can be made here")
        return
    server = lib.Server().start()
    try:
        case = Case(server, "memory")
        case.upload().expect(200)
        case.verb("probe_1_0_0", "deploy").expect(200)  # Its node is there.
        for pid in server.pids():
            group.write("cgroup.procs", pid)
        case.upload(zeros(300), name="large").expect(200)
        with lib.check("a model that is larger than what is free is refused, and nobody is killed"):
            pids = sorted(server.pids())
            group.write("memory.limit_in_bytes", group.usage() + 250 * MIB)
            error = case.verb("large_1_0_0", "deploy").expect(503)["error"]
            lib.equal((error["type"], error["details"]["reason"]),
                      ("ServiceUnavailableError", "memory_not_free"))
            assert "300 MiB" in error["message"] and "evict" in error["message"], error
            shown = case.show("large_1_0_0")
            lib.equal((shown["status"], shown["deployment_error"]["reason"]),
                      ("failed", "memory_not_free"))
            lib.equal(memory_files(server), 1, "models in memory")
            lib.equal(sorted(server.pids()), pids, "the processes")
        with lib.check("with more memory it is deployed"):
            group.write("memory.limit_in_bytes", -1)
            case.verb("large_1_0_0", "deploy").expect(200)
            lib.equal(memory_files(server), 2, "models in memory")
        lib.equal(server.stop(), 0, "the exit status")
    finally:
        server.kill_all()
        group.remove()


def main():
    server = lib.Server().start()
    case = Case(server, "resources")
    check_upload(case)
    check_overrides(case)
    check_gpu(server, case)
    lib.equal(server.stop(), 0, "the exit status")
    check_memory()
    lib.finish()


if __name__ == "__main__":
    main()
