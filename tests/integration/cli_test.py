#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The verbs jobs, models, keys and audit of a server: what they print, and their exit codes."""
import json
import os
import pty
import select
import signal
import subprocess
import tempfile

import archives
import sluice_testlib as lib

FAILED, USAGE, UNREACHED, REFUSED = 1, 2, 3, 4


def run(server, client, *arguments, code=0):
    done = server.run(*arguments, key=client.key)
    lib.equal(done.returncode, code, f"exit code of {arguments}: {done.stdout}{done.stderr}")
    return done.stdout


def read(server, client, *arguments):
    return json.loads(run(server, client, *arguments, "--json"))


def jobs(server, client):
    bucket = client.make("bucket", "things", bucket_schema={"properties": {}})
    client.make("collection", "texts", source={"type": "bucket", "bucket_ids": [bucket]},
                feature_extractor={"feature_extractor_name": "text_extractor", "version": "v1",
                                   "input_mappings": {"text": "content"}})
    _, task = client.submit(bucket, client.make_objects(bucket, [lib.text_object("tea")]))
    client.wait_task(task)
    assert task in run(server, client, "jobs", "list")
    lib.equal([job["task_id"] for job in read(server, client, "jobs", "list", "--status",
                                              "COMPLETED", "--limit=5")["results"]], [task])
    lib.equal(read(server, client, "jobs", "list", "--status", "FAILED")["results"], [])
    assert "COMPLETED" in run(server, client, "jobs", "get", task)
    lib.equal(read(server, client, "jobs", "get", task)["task_id"], task)
    assert read(server, client, "jobs", "logs", task)["tiers"]
    assert run(server, client, "jobs", "logs", task).strip()
    run(server, client, "jobs", "cancel", task)
    run(server, client, "jobs", "get", "no/such id", code=REFUSED)
    for bad in (("jobs",), ("jobs", "get"), ("jobs", "list", "more"), ("jobs", "lose", task),
                ("jobs", "list", "--limit", "x")):
        run(server, client, *bad, code=USAGE)


def models(server, client):
    with tempfile.NamedTemporaryFile(suffix=".tar.gz") as file:
        file.write(archives.GOOD)
        file.flush()
        upload = ("models", "upload", file.name, "--namespace", client.namespace,
                  "--name", "probe", "--version", "1.0.0", "--task", "classification")
        model = read(server, client, *upload)["model_id"]
        run(server, client, *upload, code=REFUSED)
        run(server, client, "models", "upload", file.name, "--namespace", "cli", code=USAGE)
    run(server, client, "models", "upload", "/no/such", "--namespace", "cli", "--name", "probe",
        "--version", "1.0.0", code=1)
    assert model in run(server, client, "models", "list", "--namespace", "cli")
    assert model in run(server, client, "models", "list")  # The only namespace.
    client.make("namespace", "other", feature_extractors=lib.BOTH)
    asked = server.run("models", "list", key=client.key)
    lib.equal(asked.returncode, USAGE)
    assert "cli" in asked.stderr and "other" in asked.stderr, asked.stderr
    run(server, server.tenant("empty"), "models", "list", code=USAGE)
    assert "deployed" in run(server, client, "models", "deploy", model, "--namespace", "cli")
    assert "not_deployed" in run(server, client, "models", "evict", model, "--namespace", "cli")
    run(server, client, "models", "delete", model, "--namespace", "cli")
    run(server, client, "models", "delete", model, "--namespace", "cli", code=REFUSED)
    lib.equal(read(server, client, "models", "list", "--namespace", "cli")["total"], 0)


def keys(server, client):
    made = read(server, client, "keys", "create", "ci & more", "--permissions", "read,write")
    lib.equal(made["permissions"], ["read", "write"])
    ci = lib.Client(server.port, made["key"])
    ci.get("/v1/namespaces").expect(200)
    run(server, client, "keys", "create", "ci & more", code=REFUSED)
    assert "ci & more" in run(server, client, "keys", "list")
    new = read(server, client, "keys", "rotate", "ci & more", "--overlap", "600")["key"]
    ci.get("/v1/namespaces").expect(200)
    lib.Client(server.port, new).get("/v1/namespaces").expect(200)
    newest = read(server, client, "keys", "rotate", "ci & more")["key"]
    lib.Client(server.port, new).get("/v1/namespaces").expect(401)
    run(server, client, "keys", "revoke", "ci & more")
    lib.Client(server.port, newest).get("/v1/namespaces").expect(401)
    names = {key["name"] for key in read(server, client, "keys", "list")["results"]}
    lib.equal(names, {"admin-key"})
    assert "revoked" in run(server, client, "keys", "list", "--revoked")
    run(server, client, "keys", "revoke", "admin-key", code=REFUSED)
    run(server, client, "keys", "rotate", "ci", "--overlap", "long", code=USAGE)
    client.post("/v1/organizations/users",
                {"email": "ann@cli.local", "user_name": "Ann"}).expect(200)
    asked = server.run("keys", "list", key=client.key)
    lib.equal(asked.returncode, USAGE)
    assert "ann@cli.local" in asked.stderr, asked.stderr
    lib.equal(read(server, client, "keys", "list", "--user", "ann@cli.local")["results"], [])


def audit(server, client):
    made = read(server, client, "audit", "ls", "--action", "api_key_created")["results"]
    lib.equal(len(made), 1)
    assert "api_key_created" in run(server, client, "audit", "ls", "--resource",
                                    made[0]["resource_id"])
    event = read(server, client, "audit", "show", made[0]["audit_id"])
    lib.equal((event["ip_address"], event["changes"]["name"]), ("127.0.0.1", "ci & more"))
    run(server, client, "audit", "show", "audit_0", code=REFUSED)
    head = read(server, client, "audit", "verify")["head"]
    server.kill_all()
    server.start()
    assert head in run(server, client, "audit", "verify", "--head", head)
    run(server, client, "audit", "verify", "--head", "0" * 64, code=FAILED)


def cluster(server, client):
    with open(f"{server.data}/admin.key", encoding="ascii") as file:
        operator = lib.Client(server.port, file.read().strip())
    for arguments in (("cluster", "show"), ("cluster", "groups"), ("cluster", "replicas"),
                      ("cluster", "jobs", "--limit", "3"), ("cluster", "extractors"),
                      ("cluster", "decisions", "text_extractor"), ("node", "list")):
        run(server, operator, *arguments)
    run(server, client, "cluster", "show", code=REFUSED)
    run(server, client, "cluster", "replicas", "--state", "ready", code=USAGE)
    page = read(server, client, "cluster", "extractors", "--limit", "1")
    told = run(server, client, "cluster", "extractors", "--limit", "1")
    assert page["pagination"]["next_cursor"] in told, told
    assert {e["tenant_id"] for e in page["results"]} == {None}
    run(server, operator, "scale", "cpu-workers", "1", code=REFUSED)  # Nobody starts its nodes.
    run(server, operator, "scale", "cpu-workers", "some", code=USAGE)
    lib.equal(sorted(read(server, operator, "top")), ["cluster", "extractors", "groups", "jobs"])
    lib.equal(sorted(read(server, client, "top")), ["extractors", "jobs"])
    assert "text_extractor" in run(server, client, "top", "--once")
    follow(server, operator)


def read_more(terminal):
    """What a terminal shows next; OSError: who had it open has gone."""
    assert select.select([terminal], [], [], 60)[0], "nothing was shown for 60 s"
    return os.read(terminal, 65536)


def follow(server, operator):
    """top on a terminal draws until q, and leaves the terminal as it was."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(lib.BINARY, [lib.BINARY, "top", "--url", f"http://127.0.0.1:{server.port}"],
                  {**os.environ, "SLUICE_API_KEY": operator.key})
    shown = b""
    try:
        while shown.count(b"q quits") < 2:
            shown += read_more(terminal)
        os.write(terminal, b"q")
        while True:
            shown += read_more(terminal)
    except OSError:  # It has gone.
        pass
    except AssertionError:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        if os.waitpid(pid, os.WNOHANG) == (0, 0):
            lib.wait_until("it has ended", lambda: os.waitpid(pid, os.WNOHANG)[0] == pid)
    assert b"version" in shown and b"extractor" in shown, shown
    assert shown.endswith(b"\033[?25h\033[?1049l"), shown[-40:]


def shared(server, client):
    for verb in ("jobs", "models", "keys"):
        assert f"usage: sluice {verb}" in run(server, client, verb, "--help")
        run(server, lib.Client(server.port, "sk_wrong"), verb, "list", "--namespace=x"
            if verb == "models" else "--json", code=REFUSED)
    done = subprocess.run([lib.BINARY, "jobs", "list", "--url",
                           f"http://127.0.0.1:{lib.free_port()}"], capture_output=True, check=False)
    lib.equal(done.returncode, UNREACHED)


def main():
    server = lib.Server().start()
    client = server.tenant("cli")
    client.namespace = client.make("namespace", "cli", feature_extractors=lib.BOTH)
    for name, check in (("jobs", jobs), ("models", models), ("keys", keys), ("audit", audit),
                        ("cluster, top and scale", cluster),
                        ("help, refusals and lost connections", shared)):
        with lib.check(f"the command line: {name}"):
            check(server, client)
    lib.finish()


if __name__ == "__main__":
    main()
