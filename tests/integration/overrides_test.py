#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Overrides: checked with lines, compared, applied to a directory and taken by a start."""
import contextlib
import os
import subprocess
import tempfile

import sluice_testlib as lib

GOOD = """\
auto_deploy: false
disabled: [mixpeek__playwright, acme__passthrough_extractor]
overrides:
  mixpeek__text_extractor:
    autoscaling_config: {min_replicas: 0, max_replicas: 2}
cluster:
  cpu-workers: {minReplicas: 0, maxReplicas: 4}
  batch-workers: {minReplicas: 0, maxReplicas: 5}
celery: {batch: {replicas: 3, concurrency: 2}}
env: {SLUICE_OVERRIDE_TEST: "x"}
""".replace("SLUICE_OVERRIDE_TEST", "OVERRIDE_TEST")
BAD = "cluster:\n  cpu-workers:\n    minReplica: 1\nauto_deploy: maybe\n"


class Files:
    """Files of overrides in a directory of their own."""

    def __init__(self, stack):
        self.directory = stack.enter_context(tempfile.TemporaryDirectory())

    def make(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


def config(*arguments, code=0):
    done = subprocess.run([lib.BINARY, "config", *arguments], capture_output=True, text=True,
                          check=False, timeout=60)
    lib.equal(done.returncode, code, f"exit code of {arguments}: {done.stdout}{done.stderr}")
    return done


def check_files(files):
    bad = files.make("bad.yaml", BAD)
    with lib.check("each fault is told with its line, and what was meant"):
        said = config("check", bad, code=1).stderr
        assert f"{bad}:3: cluster.cpu-workers.minReplica: no such key; is minReplicas meant?" \
            in said, said
        assert f"{bad}:4: auto_deploy: expected true or false, got maybe" in said, said
    with lib.check("what sluice has no use for is accepted and told"):
        said = config("check", files.make("good.yaml", GOOD)).stdout
        assert "good.yaml:9: note: celery.batch.replicas: accepted; no effect: " in said, said
        assert "good.yaml:1: note: auto_deploy: accepted; no effect: " in said, said
    with lib.check("a file that is not there, and words that make no sense"):
        config("check", "/no/such/file", code=1)
        config("check", code=2)
        config("chek", bad, code=2)
        config("diff", bad, "--data", files.directory, code=1)
    with lib.check("a start with a bad file is refused before anything is made"):
        path = os.path.join(files.directory, "data")
        done = subprocess.run([lib.BINARY, "up", "--data", path, "--overrides", bad],
                              capture_output=True, text=True, check=False, timeout=60)
        lib.equal(done.returncode, 2, done.stderr)
        assert f"{bad}:3: " in done.stderr, done.stderr
        assert not os.path.exists(os.path.join(path, "log"))


def check_taken(server, client):
    listed = client.get("/v1/collections/features/extractors").expect(200)
    found = {item["feature_extractor_name"]: item for item in listed}
    assert not found["passthrough_extractor"]["available"]
    assert "disabled by the operator" in found["passthrough_extractor"]["unavailable_reason"]
    assert found["text_extractor"]["available"]
    groups = server.operator().get("/v1/cluster").expect(200)["groups"]
    most = {group["group"]: group.get("max") for group in groups}
    lib.equal((most["cpu"], most["batch"]), (4, 5), "what the head takes")
    values = set()
    for pid in server.pids():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
            values.update(v for v in file.read().split(b"\0") if v.startswith(b"OVERRIDE_TEST"))
    lib.equal(values, {b"OVERRIDE_TEST=x"}, "the environment of what it started")


def main():
    with contextlib.ExitStack() as stack:
        files = Files(stack)
        check_files(files)
        server = lib.Server().start()
        good = files.make("good.yaml", GOOD)
        with lib.check("a directory that a server has open is left alone"):
            said = config("apply", good, "--data", server.data, code=1).stderr
            assert "open in another sluice" in said, said
            lib.equal(server.stop(), 0)
        with lib.check("diff tells what would change, and apply changes it at the next start"):
            changes = config("diff", good, "--data", server.data).stdout
            for line in ("cluster.groups.batch.max: (not set) -> 5",
                         "extractors.passthrough_extractor.disabled: (not set) -> true",
                         "extractors.text_extractor.autoscaling_config.max_replicas: "
                         "(not set) -> 2",
                         "env.OVERRIDE_TEST: (not set) -> (not shown) (after a restart)"):
                assert line + "\n" in changes, changes
            assert not os.path.exists(os.path.join(server.data, "overrides.yaml"))
            config("apply", good, "--data", server.data)
            lib.equal(config("diff", good, "--data", server.data).stdout, "no change\n")
            server.start()
            check_taken(server, server.tenant("acme"))
        lib.equal(server.stop(), 0)
    lib.finish()


if __name__ == "__main__":
    main()
