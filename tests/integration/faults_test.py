#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Plugins that crash, loop, leak, write to what is mapped, exit, fork, print, emit too much or
nothing, or reach out: each is contained, its document's failure says why, the ends are counted, and
the node goes on. Files that are no plugins are refused with the reason."""
import errno
import json
import os
import subprocess
import tempfile
import urllib.request

import sluice_testlib as lib

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1 << 20
LIMIT_MIB = 256
TIMEOUT_S = 10   # The loop waits for it beside all others, which take a tenth of it.
WRITTEN = "open/written"   # What a plugin tries to write, in the plugins' folder.

# What a document's input says, and how it fails: code, part of the message, signal.
FAILURES = {
    "SEGV": ("replica_crashed", "signal 11", 11),
    "LEAK": ("replica_memory", f"over its memory limit of {LIMIT_MIB} MiB", None),
    "WRITE": ("replica_crashed", "it wrote to memory that is mapped read-only", 11),
    "EXIT": ("replica_exited", "ended its replica's process (exit code 7)", None),
    "MANY": ("output_too_large", "more than 10000 records", None),
    "LARGE": ("output_too_large", "at most 16 MiB", None),
    "NOTHING": ("not_finished", "never finished this item", None),
}
# Those that are answered, though they had bad intentions.
ANSWERED = ("FORK", "PRINT", "REACH", "GOOD")
# Files in the plugins' folder, and why they are refused.
REFUSED = {
    "abi_extractor": "is built for version",
    "nothing_extractor": "exports no sluice_extractor_entry",
    "junk_extractor": "cannot be loaded",
}


def compile_plugin(folder, name, source="bad_plugin.c", *options):
    subprocess.run(["cc", "-std=gnu17", "-shared", "-fPIC", "-D_GNU_SOURCE", *options,
                    f'-DPLUGIN_NAME="{name}"', "-I", os.path.join(lib.ROOT, "extractors/include"),
                    "-I", HERE, os.path.join(HERE, source),
                    "-o", os.path.join(folder, f"{name}.so")], check=True)


def make_plugins(folder):
    written = os.path.join(folder, WRITTEN)
    os.mkdir(os.path.dirname(written))
    os.chmod(os.path.dirname(written), 0o777)   # Only Landlock keeps a replica from it.
    compile_plugin(folder, "bad_extractor", "bad_plugin.c", f'-DWRITTEN="{written}"')
    compile_plugin(folder, "loop_extractor")
    compile_plugin(folder, "abi_extractor", "bad_plugin.c", "-DABI=99")
    compile_plugin(folder, "start_extractor", "bad_plugin.c", "-DCREATE=crash_create")
    with open(os.path.join(folder, "nothing.c"), "w", encoding="ascii") as file:
        file.write("int nothing;\n")
    compile_plugin(folder, "nothing_extractor", os.path.join(folder, "nothing.c"))
    with open(os.path.join(folder, "junk_extractor.so"), "w", encoding="ascii") as file:
        file.write("no shared object")
    config = os.path.join(folder, "sluice.yaml")
    with open(config, "w", encoding="ascii") as file:
        file.write(f"plugins: {folder}\nretry: {{attempts: 1}}\n"
                   f"tasks: {{timeout: {TIMEOUT_S}s}}\nreplicas: {{memory: {LIMIT_MIB}MiB}}\n")
    return config


class Case:
    def __init__(self, server):
        self.server = server
        self.client = server.tenant("faults-test")
        self.client.namespace = self.client.make(
            "namespace", "faults", feature_extractors=lib.BOTH)
        self.buckets = {}
        for name in ("bad_extractor", "loop_extractor", "start_extractor",
                     "passthrough_extractor"):
            self.buckets[name] = self.client.make("bucket", name.replace("_", "-"), bucket_schema={
                "properties": {"content": {"type": "text"}}})
            self.client.make("collection", name, source={
                "type": "bucket", "bucket_ids": [self.buckets[name]]}, feature_extractor={
                    "feature_extractor_name": name, "version": "v1",
                    "input_mappings": {"content": "content"}})

    def submit(self, extractor, texts):
        """Return the ids of the objects, the batch's and the task's."""
        bucket = self.buckets[extractor]
        ids = self.client.make_objects(bucket, [lib.text_object(text) for text in texts])
        return ids, *self.client.submit(bucket, ids)

    def failures(self, extractor, batch):
        path = f"/v1/buckets/{self.buckets[extractor]}/batches/{batch}/failed-documents"
        return {one["object_id"]: one
                for one in self.client.get(path).expect(200)["failed_documents"]}

    def ends(self, extractor):
        """How replicas of the extractor ended, as the status counts, and what holds one."""
        url = f"http://127.0.0.1:{self.server.dashboard_port}/status.json"
        with urllib.request.urlopen(url, timeout=60) as reply:
            for replica in json.load(reply)["replicas"]:
                if replica["extractor"] == extractor and "sandbox" in replica:
                    return replica["ends"], replica["sandbox"]
        return {}, None


def check_table(case, ids, batch, words):
    failures = case.failures("bad_extractor", batch)
    for word, (code, message, signal) in FAILURES.items():
        with lib.check(f"a plugin that does {word} is contained and named"):
            one = failures[ids[words.index(word)]]
            lib.equal((one["code"], one["signal"] or None), (code, signal), one)
            assert message in one["message"], one
    with lib.check("all others are answered"):
        lib.equal(len(failures), len(FAILURES), failures)


def check_answers(case, ids, words, sandbox, written):
    found = {lib.root_object(item): item for item in case.client.documents("bad_extractor")}
    with lib.check("a fork makes no process"):
        if sandbox["seccomp"] == "enforced":
            lib.equal(found[ids[words.index("FORK")]]["forked"], 0)
    with lib.check("who reaches out gets nothing"):
        one = found[ids[words.index("REACH")]]
        if sandbox["landlock"] == "enforced":
            lib.equal((one["read"], one["write"]), (errno.EACCES, errno.EACCES))
            assert not os.path.exists(written)
        if sandbox["seccomp"] == "enforced":
            lib.equal((one["socket"], one["exec"], one["kill"]), (errno.EPERM,) * 3)
    with lib.check("of megabytes that are printed the log has a part, and says so"):
        log = case.server.log()
        assert len(log) < 2 * MIB, len(log)
        assert "output-dropped" in log


def check_ends(case, extractor, wanted):
    with lib.check(f"the status counts how replicas of {extractor} ended"):
        lib.wait_until("a replica's row has them all", lambda: all(
            case.ends(extractor)[0].get(cause, 0) >= 1 for cause in wanted), seconds=60)
    _, sandbox = case.ends(extractor)
    with lib.check(f"and says what holds {extractor}"):
        for part in ("limits", "no_new_privs", "landlock", "seccomp"):
            assert sandbox[part] == "enforced" or "unavailable: " in sandbox[part], sandbox
    return sandbox


def check_told(case):
    """That start_extractor does not start is told by the API, and by two verbs in words."""
    operator = case.server.operator()

    def life():
        page = operator.get("/v1/cluster/nodes").expect(200)["results"]
        return next((pool["life"] for node in page for pool in node["scaling"]
                     if pool["extractor"] == "start_extractor"), {})
    lib.wait_until("the node has told of it", lambda: life().get("failures", 0) >= 3, 60)
    said = life()
    lib.equal((said["state"], said["ready"], said["stopped"]), ("crashed", 0, 0), said)
    assert "died of signal 11" in said["ended"] and said["ended_at"], said
    assert said["ended"] in said["reason"], said
    shown = case.server.run("serve", "status", key=operator.key).stdout
    assert "start_extractor on node" in shown and "replicas ended before they" in shown, shown
    queue = next(row["queue"] for row in operator.get("/v1/cluster/queues").expect(200)["results"]
                 if row["queue"].endswith(":cpu"))
    operator.post(f"/v1/cluster/queues/{queue}/pause").expect(200)
    try:
        _, _, task = case.submit("start_extractor", ["GOOD x"])
        shown = case.server.run("explain", "placement", task, key=operator.key).stdout
        assert "start_extractor on node" in shown and "died of signal 11" in shown, shown
    finally:
        operator.post(f"/v1/cluster/queues/{queue}/resume").expect(200)
    case.client.wait_task(task)


def check_health(case):
    """What crashes is unhealthy once it has lasted, as the overrides say."""
    operator = case.server.operator()

    def apply(text):
        operator.call("PUT", "/v1/cluster/overrides", {"overrides": text}).expect(200)

    def health():
        return lib.Client(case.server.port).get("/v1/health").expect(200)

    def listed():
        return [one for one in health()["unhealthy"] if one["name"] == "start_extractor"]
    lib.wait_until("it is listed", listed, 60)
    lib.equal((health()["status"], listed()[0]["is_over"]), ("OK", False), "within five minutes")
    apply("spec: {deploymentUnhealthySecondThreshold: 1}")
    lib.wait_until("it is over", lambda: health()["status"] == "DEGRADED", 60)
    said = health()
    lib.equal((said["data"]["inference"], said["data"]["task_queue"]), (False, True), said)
    assert "extractor start_extractor, for " in said["errors"]["inference"], said
    assert "died" not in str(said), "how it ended is not for everybody"
    apply("")
    lib.equal(health()["status"], "OK")


def check_refused(server):
    for name, why in REFUSED.items():
        with lib.check(f"{name} is refused with the reason"):
            lines = [line for line in server.log().split("\n") if name in line]
            assert any(why in line for line in lines), lines


def main():
    with tempfile.TemporaryDirectory() as folder:
        server = lib.Server(make_plugins(folder)).start()
        check_refused(server)
        case = Case(server)
        words = [*FAILURES, *ANSWERED]
        # A long text is a file, which the plugin gets mapped.
        texts = [f"{word} {'x' * (MIB if word == 'WRITE' else 1)}" for word in words]
        _, loop_batch, loop_task = case.submit("loop_extractor", ["LOOP x"])
        ids, batch, task = case.submit("bad_extractor", texts)
        with lib.check("meanwhile the node serves another extractor"):
            _, _, other = case.submit("passthrough_extractor", ["good"])
            lib.equal(case.client.wait_task(other)["status"], "COMPLETED")
        _, start_batch, start_task = case.submit("start_extractor", ["GOOD x"])
        with lib.check("a plugin that does not start is tried again, and it is said why"):
            case.client.wait_task(start_task)
            (one,) = case.failures("start_extractor", start_batch).values()
            lib.equal(one["code"], "replica_start_failed", one)
            assert "does not start: the replica died of signal 11" in one["message"], one
            assert "replica-backoff extractor=start_extractor failures=3" in server.log()
        with lib.check("a crash loop is explained, to the operator and for a job that waits"):
            check_told(case)
        with lib.check("health is degraded once that has lasted for the threshold of the spec"):
            check_health(case)
        case.client.wait_task(task, seconds=120)
        check_table(case, ids, batch, words)
        _, _, again = case.submit("bad_extractor", ["GOOD x"])
        with lib.check("after all that the plugin works"):
            lib.equal(case.client.wait_task(again)["status"], "COMPLETED")
        sandbox = check_ends(case, "bad_extractor", ("signal", "memory", "read_only", "exit"))
        check_answers(case, ids, words, sandbox, os.path.join(folder, WRITTEN))
        with lib.check("a plugin that loops for ever is killed, and named"):
            case.client.wait_task(loop_task)
            (one,) = case.failures("loop_extractor", loop_batch).values()
            lib.equal(one["code"], "timeout", one)
        _, _, again = case.submit("loop_extractor", ["GOOD x"])
        lib.equal(case.client.wait_task(again)["status"], "COMPLETED")
        check_ends(case, "loop_extractor", ("overdue",))
        with lib.check("sluice itself is alive, and stops when asked"):
            lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
