#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Overrides: checked with lines, compared, applied to a directory that no server has open and to a
server that runs, without a request that fails; a kill leaves one file or the other."""
import contextlib
import os
import subprocess
import tempfile
import threading

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


# As a plugin's users call it: it is my_plugin where sluice looks.
PLUGIN = """\
disabled: [passthrough_extractor]
overrides:
  acme__my_plugin_v1:
    autoscaling_config: {min_replicas: 2}
"""
HERE = os.path.dirname(os.path.abspath(__file__))


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


def check_start(files):
    """`sluice up --overrides FILE` applies it: the next start has it without being told."""
    data, good = files.directory + "/started", files.make("good.yaml", GOOD)
    command = lib.up_command(data, lib.free_port(), lib.free_port())
    with lib.check("a start takes a file, and keeps it"):
        with subprocess.Popen([*command, "--overrides", good], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True) as process:
            lib.equal(process.stdout.readline(), "ready\n")
            process.terminate()
            lib.equal(process.wait(60), 0)
        with open(os.path.join(data, "overrides.yaml"), encoding="utf-8") as file:
            lib.equal(file.read(), GOOD)
        said = subprocess.run([*command, "--print-config"], capture_output=True, text=True,
                              check=True, timeout=60).stdout
        assert '"passthrough_extractor":{"disabled":"true"}' in said, said


def plugin_config(files, most):
    return files.make("plugin.conf", f"plugins: {files.directory}/plugins\n"
                      f"replicas.readable: {files.directory}/table\n"
                      "extractors: {my_plugin: {autoscaling_config: "
                      f"{{max_replicas: {most}}}}}}}\n")


def make_plugin(files):
    """A plugin, a table that it needs and may read, and a configuration that lets it scale."""
    os.mkdir(os.path.join(files.directory, "plugins"))
    subprocess.run(["cc", "-std=gnu17", "-shared", "-fPIC", "-D_GNU_SOURCE",
                    f'-DTABLE="{files.make("table", "1")}"',
                    "-I", os.path.join(lib.ROOT, "extractors/include"),
                    os.path.join(HERE, "table_plugin.c"),
                    "-o", os.path.join(files.directory, "plugins/my_plugin.so")], check=True)
    return plugin_config(files, 6)


def in_force(server):
    return server.operator().get("/v1/cluster/config").expect(200)["values"]


def check_plugin(files):
    """A name that only the catalogue with its plugins knows, over restarts."""
    least = "extractors.my_plugin.autoscaling_config.min_replicas"
    disabled = "extractors.passthrough_extractor.disabled"
    server = lib.Server(make_plugin(files)).start()
    path = files.make("plugin.yaml", PLUGIN)
    with lib.check("a plugin is described with what the operator lets it read"):
        found = {item["feature_extractor_name"]: item for item in
                 server.tenant("acme").get("/v1/collections/features/extractors").expect(200)}
        assert found["my_plugin"]["available"], found["my_plugin"]
    with lib.check("a plugin's overrides are good for the check, the server and the next start"):
        config("check", path, "--config", server.config)
        said = apply(server, path)
        assert f"{least}: (not set) -> 2\n" in said, said
        lib.equal(server.stop(), 0)
        config("apply", path, "--data", server.data, "--config", server.config)
        server.start()
        lib.equal(in_force(server)[least], "2")
        lib.equal(server.stop(), 0)
    with lib.check("what fits a configuration no more is left out, told, and nothing else"):
        plugin_config(files, 1)
        done = subprocess.run(
            [*lib.up_command(server.data, server.port, server.dashboard_port, server.config),
             "--print-config"], capture_output=True, text=True, check=True, timeout=60)
        assert '"passthrough_extractor":{"disabled":"true"}' in done.stdout, done.stdout
        assert "overrides.yaml:4: overrides.my_plugin.autoscaling_config: min_replicas is more" \
            in done.stderr, done.stderr
        server.start()
        assert "overrides-left-out" in server.log(), server.log()
        values = in_force(server)
        lib.equal((values.get(least), values.get(disabled)), (None, "true"))
        said = config("check", path, "--config", server.config, code=1).stderr
        assert "plugin.yaml:4: " in said, said
        lib.equal(server.stop(), 0)


class Load:
    """Requests without a pause, of one client; `failed` has the answers that were no 200."""

    def __init__(self, client):
        self.client, self.failed, self.answered = client, [], 0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.is_over.is_set():
            reply = self.client.get("/v1/namespaces")
            self.answered += 1
            if reply.status != 200:
                self.failed.append(reply.status)

    def __enter__(self):
        self.thread.start()
        lib.wait_until("a first answer", lambda: self.answered > 0)
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join(60)


def make_passthrough(client):
    client.namespace = client.make("namespace", "ns", feature_extractors=lib.BOTH)
    bucket = client.make("bucket", "things", bucket_schema={"properties": {}})
    client.make("collection", "texts", source={"type": "bucket", "bucket_ids": [bucket]},
                feature_extractor={"feature_extractor_name": "passthrough_extractor",
                                   "version": "v1", "input_mappings": {"data": "content"}})
    return bucket, client.make_objects(bucket, [lib.text_object("tea")])


def submit(client, bucket, objects):
    path = f"/v1/buckets/{bucket}/batches"
    batch = client.post(path, {"object_ids": objects}).expect(200)["batch_id"]
    return client.post(f"{path}/{batch}/submit")


def apply(server, path, code=0, verb="apply"):
    done = server.run("config", verb, path, key=server.operator().key)
    lib.equal(done.returncode, code, f"exit code: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def check_live(server, files):
    operator, client = server.operator(), server.tenant("live")
    bucket, objects = make_passthrough(client)
    good, empty = files.make("good.yaml", GOOD), files.make("empty.yaml", "# nothing\n")
    with Load(server.tenant("other")) as load:
        with lib.check("diff tells what a running server would change, and changes nothing"):
            said = apply(server, good, verb="diff")
            assert "cluster.groups.cpu.max: (not set) -> 4\n" in said, said
            assert "applied" not in said, said
            assert "cluster.groups.cpu.max" not in \
                operator.get("/v1/cluster/config").expect(200)["values"]
        with lib.check("apply takes hold at once, but for what is told to need a restart"):
            said = apply(server, good)
            assert said.endswith("applied; the next start takes env.OVERRIDE_TEST\n"), said
            found = operator.get("/v1/cluster/config").expect(200)
            lib.equal(found["after_restart"], ["env.OVERRIDE_TEST"])
            lib.equal(found["values"]["env.OVERRIDE_TEST"], "(not shown)")
            groups = operator.get("/v1/cluster").expect(200)["groups"]
            lib.equal({group["group"]: group.get("max") for group in groups}["batch"], 5)
            reply = submit(client, bucket, objects)
            lib.equal(reply.status, 409, "a batch for a disabled extractor")
            assert b"passthrough_extractor, which is disabled" in reply.text, reply.text
        with lib.check("the next file takes the place of the whole"):
            lib.equal(apply(server, empty).splitlines()[-1], "applied")
            client.wait_task(submit(client, bucket, objects).expect(200)["task_id"])
            groups = operator.get("/v1/cluster").expect(200)["groups"]
            lib.equal([group.get("max") for group in groups], [None] * len(groups))
    with lib.check("no request of others failed meanwhile"):
        lib.equal(load.failed, [])
    with lib.check("bad overrides are refused with the line, by both sides, and change nothing"):
        said = apply(server, files.make("bad.yaml", BAD), code=1)
        assert "bad.yaml:3: cluster.cpu-workers.minReplica: no such key" in said, said
        reply = operator.call("PUT", "/v1/cluster/overrides", {"overrides": BAD})
        lib.equal(reply.status, 422)
        assert b"line 3: cluster.cpu-workers.minReplica: no such key" in reply.text, reply.text
        client.call("PUT", "/v1/cluster/overrides", {"overrides": ""}).expect(403)
        client.get("/v1/cluster/config").expect(403)
        with open(os.path.join(server.data, "overrides.yaml"), encoding="utf-8") as file:
            lib.equal(file.read(), "# nothing\n")


def check_kill(server, files):
    """kill -9 while one apply follows the other: the file is one of the two, whole."""
    paths = [files.make(f"{name}.yaml", f"# {name * 3000}\n" + GOOD) for name in "ab"]
    texts = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            texts.append(file.read())
    operator = server.operator()
    applied = threading.Event()

    def run():
        with contextlib.suppress(OSError, AssertionError):
            for i in range(10000):
                operator.call("PUT", "/v1/cluster/overrides",
                              {"overrides": texts[i % 2]}).expect(200)
                applied.set()

    with lib.check("a server killed while it applies has one file or the other, and starts"):
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        assert applied.wait(60), "none was applied"
        server.kill_all()
        thread.join(60)
        with open(os.path.join(server.data, "overrides.yaml"), encoding="utf-8") as file:
            assert file.read() in texts, "a mixture"
        server.start()
        check_taken(server, server.tenant("acme"))


def main():
    with contextlib.ExitStack() as stack:
        files = Files(stack)
        check_files(files)
        check_start(files)
        check_plugin(files)
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
            config("apply", files.make("empty.yaml", ""), "--data", server.data)
        server.start()
        check_live(server, files)
        check_kill(server, files)
        lib.equal(server.stop(), 0)
    lib.finish()


if __name__ == "__main__":
    main()
