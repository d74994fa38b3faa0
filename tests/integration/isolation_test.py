#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`sluice tenant verify`: what holds is shown to hold, and what was left open is found."""
import os
import re

import sluice_testlib as lib
from worker_test import Worker

CHECKS = ["database_isolation", "cache_isolation", "network_isolation", "process_isolation",
          "resource_isolation"]
# A build with a sanitizer, or a kernel without a part, says so; nothing may go through unsaid.
FINE = ("enforced", "not enforced")


def make(server, tenant, level):
    reply = server.operator().post("/v1/tenants", {
        "tenant_id": tenant, "name": tenant, "plan": "scale", "isolation_level": level})
    return lib.Client(server.port, reply.expect(201)["api_key"])


def verify(client, tenant):
    reply = client.post(f"/v1/tenants/{tenant}/isolation/verify").expect(200)
    lib.equal([check["name"] for check in reply["checks"]], CHECKS)
    for check in reply["checks"]:
        lib.equal(check["passed"], check["status"] == "enforced", check["name"])
    lib.equal(reply["failures"],
              [check["name"] for check in reply["checks"] if not check["passed"]])
    lib.equal(reply["all_passed"], not reply["failures"])
    return {check["name"]: check for check in reply["checks"]}, reply


def audited(client):
    found = client.get("/v1/organizations/audit/logs?limit=1").expect(200)["results"][0]
    return found["action"]


def is_held(server, client, level):
    """All attacks were made, and none went through that is not told of."""
    checks, reply = verify(client, level)
    lib.equal(reply["isolation_level"], level)
    lib.equal(reply["violations"], [])
    for name, check in checks.items():
        assert check["status"] in FINE, f"{name}: {check['detail']}"
    for name in ("database_isolation", "network_isolation"):
        lib.equal(checks[name]["status"], "enforced", checks[name]["detail"])
    attacks = [item for check in checks.values() for item in check["evidence"]]
    assert sum(item["tried"] for item in attacks) > 100, attacks
    lib.equal(audited(client), "isolation_verified")
    ran = server.run("tenant", "verify", level, key=server.operator().key)
    lib.equal(ran.returncode, 0 if reply["all_passed"] else 1, ran.stdout + ran.stderr)
    assert all(name in ran.stdout for name in CHECKS), ran.stdout


# ---- replicas of its own -----------------------------------------------------------------------

def replicas(server):
    """Processes that ever ran the extractor of all texts here: what is done was begun by one."""
    lines = re.findall(r"replica-ready extractor=text_extractor .*pid=(\d+)", server.log())
    return set(map(int, lines))


def set_up(client, name, text):
    """A bucket and a collection of texts; and one text in it."""
    client.namespace = client.make("namespace", name, feature_extractors=lib.BOTH)
    bucket = client.make("bucket", "bucket-" + name, bucket_schema={"properties": {}})
    client.make("collection", "texts-" + name, source={"type": "bucket", "bucket_ids": [bucket]},
                feature_extractor={"feature_extractor_name": "text_extractor", "version": "v1",
                                   "input_mappings": {"text": "content"}})
    work(client, bucket, text)
    return bucket


def work(client, bucket, text):
    objects = client.make_objects(bucket, [lib.text_object(text)])
    _, task = client.submit(bucket, objects)
    lib.equal(client.wait_task(task)["status"], "COMPLETED")


def moves(server, process, logical):
    """By the processes that come to be: one for each tenant apart, one for all others."""
    set_up(logical, "logical", "shared")
    shared = replicas(server)
    lib.equal(len(shared), 1, "replicas of the tenant that shares")
    bucket = set_up(process, "process", "own")
    own = replicas(server) - shared
    lib.equal(len(own), 1, "replicas of the tenant that does not")
    level = server.operator().call("PATCH", "/v1/tenants/process",
                                   {"isolation_level": "logical"}).expect(200)
    lib.equal((level["isolation_level"], level["isolation_enforced"]), ("logical", "logical"))
    work(process, bucket, "among others")
    lib.equal(replicas(server), own | shared, "nothing new was needed")
    server.operator().call("PATCH", "/v1/tenants/logical",
                           {"isolation_level": "process"}).expect(200)
    logical.post("/v1/inference", {"feature_uri": feature(logical),
                                   "inputs": {"text": "tea"}}).expect(200)
    lib.equal(len(replicas(server) - own - shared), 1, "replicas of the tenant that moved")
    for tenant, was in (("process", "process"), ("logical", "logical")):
        server.operator().call("PATCH", f"/v1/tenants/{tenant}",
                               {"isolation_level": was}).expect(200)
    return bucket, own, shared


def explained(server, task):
    """Why it waits; "" as long as nobody has looked at it."""
    reply = server.operator().get(f"/v1/cluster/placement/{task}")
    if reply.status == 404:
        return ""
    return reply.expect(200)["collections"][0]["reason"]


def running(operator, at, is_at):
    """Replicas of the node of this name, or of all others: (tenant, pid, what it has done)."""
    nodes = operator.get("/v1/cluster/nodes").expect(200)["results"]
    there = {str(node["node"]) for node in nodes if node["name"] == at}
    listed = operator.get("/v1/cluster/replicas").expect(200)["results"]
    return {(each["tenant_id"], each["pid"], each["done"]) for each in listed
            if (each["node_id"] in there) == is_at}


def homed(found):
    return {each for each in found if each[0] == "homed"}


def is_of_others(server, before):
    """Each replica that the head's own nodes have had since then, and they tell whose it is."""
    found = running(server.operator(), "home", False)
    return replicas(server) - before <= {pid for tenant, pid, _ in found if tenant != "homed"}


def stays_home(server, client, other):
    """At level physical: work waits for a worker with the tenant's taint, which takes no other."""
    operator = server.operator()
    bucket, elsewhere = (set_up(who, name, "before") for who, name in (
        (client, "homed"), (other, "other")))
    operator.call("PATCH", "/v1/tenants/homed", {"isolation_level": "physical"}).expect(200)
    lib.equal(client.get("/v1/tenants/homed").expect(200)["isolation_enforced"], "physical")
    _, task = client.submit(bucket, client.make_objects(bucket, [lib.text_object("waits")]))
    lib.wait_until("a reason", lambda: "this tenant's taint" in explained(server, task))
    before = replicas(server)
    lib.wait_until("what was done before is told",
                   lambda: [each[2] for each in homed(running(operator, "home", False))] == [1])
    done = homed(running(operator, "home", False))
    call = {"feature_uri": feature(client), "inputs": {"text": "tea"}}
    late = client.post("/v1/inference", call, headers={"X-Timeout-Ms": "300"})
    assert late.status in (503, 504), late.what
    work(other, elsewhere, "is in nobody's way")
    worker = Worker(server, "home", "--taint", "tenant=homed")
    try:
        lib.equal(client.wait_task(task)["status"], "COMPLETED")
        client.post("/v1/inference", call).expect(200)
        work(other, elsewhere, "goes on elsewhere")
        lib.wait_until("its own worker tells of a task and a call", lambda: sum(
            each[2] for each in homed(running(operator, "home", True))) >= 2)
        lib.equal(running(operator, "home", True), homed(running(operator, "home", True)),
                  "what the worker has had of others")
        lib.wait_until("the head's own nodes have started none for it",
                       lambda: is_of_others(server, before))
        lib.equal(homed(running(operator, "home", False)), done, "what the head's own nodes did")
        assert "replica-ready extractor=text_extractor" in worker.log(), worker.log()
        nodes = operator.get("/v1/cluster/nodes").expect(200)["results"]
        held = [node for node in nodes if node["name"] == "home"][0]
        lib.equal(held["taint"], "tenant=homed")
        stranger = Worker(server, "stranger", "--taint", "tenant=nobody")
        lib.equal(stranger.process.wait(60), 1, "exit status of a worker for a tenant not there")
        assert "create the tenant first" in stranger.log(), stranger.log()
        stranger.remove()
    finally:
        worker.remove()


def feature(client):
    collection = client.post("/v1/collections/list", {}).expect(200)["results"][0]
    return collection["vector_indexes"][0]["feature_uri"]


# ---- canaries ----------------------------------------------------------------------------------

CANARY = "canary-of-a-tenant-"
REGION = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+ *(.*)")
MOST = 16 << 20  # Of a region: shadows of sanitizers are address space without end.


def hide(client, bucket):
    """A canary in each thing that a tenant may put its words in. What they have in common, and
    its key."""
    words = iter(CANARY + f"{number:02}" for number in range(100))
    used = []

    def word():
        used.append(next(words))
        return used[-1]

    work(client, bucket, word())
    client.make("bucket", word(), bucket_schema={"properties": {}}, description=word())
    client.make("namespace", word(), feature_extractors=lib.BOTH, description=word())
    client.post("/v1/organizations/users", {
        "email": word() + "@secret.local", "user_name": word()}).expect(200)
    client.call("PATCH", f"/v1/namespaces/{client.namespace}", {"metadata": {"of": word()}})
    client.post("/v1/documents/search", {"query": word(), "page_size": 5}).expect(200)
    client.make_objects(bucket, [lib.text_object(word(), sku=word())],
                        {"Idempotency-Key": word()})
    assert len(used) > 10
    return [CANARY, client.key]


def tells(text, hidden):
    text = text if isinstance(text, bytes) else text.encode()
    return [word for word in hidden if word.encode() in text]


def memory_of(pid):
    """What a process can read of memory, by region, but for programs and libraries."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as file:
        regions = [match for match in map(REGION.match, file) if match]
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        for region in regions:
            first, last = int(region[1], 16), int(region[2], 16)
            is_changed = "w" in region[3] or "s" in region[3] or "memfd" in region[4]
            if "r" not in region[3] or not is_changed or last - first > MOST:
                continue
            try:
                file.seek(first)
                yield region[0], file.read(last - first)
            except (OSError, ValueError):
                continue


def descriptors_of(pid):
    """What the files are that it has open, and what is in those that can be read from the start."""
    for name in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{name}"
        try:
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    yield os.readlink(path), file.read(MOST)
        except OSError:
            continue


def nothing_is_told(server, neighbour, hidden, pids):
    """Every list and page that needs no id, metrics, logs, and what the neighbour's replica has."""
    paths = neighbour.get("/openapi.json").expect(200)["paths"]
    asked = 0
    for path, methods in paths.items():
        if "{" in path or path.endswith(("/stream", "/verify")):
            continue
        for method in set(methods) & {"get", "post"}:
            if method == "post" and not path.endswith(("/list", "/search")):
                continue
            body = None if method == "get" else {"query": "canary"} if "search" in path else {}
            reply = neighbour.call(method.upper(), path, body)
            lib.equal(tells(reply.text, hidden), [], reply.what)
            asked += 1
    assert asked > 20, asked
    lib.equal(tells(lib.Client(server.dashboard_port).get("/metrics").text, hidden), [], "metrics")
    lib.equal(tells(server.log(), hidden), [], "the log")
    read = 0
    for pid in pids:
        stored = [what for what, _ in descriptors_of(pid) if what.startswith(server.data)]
        lib.equal(stored, [], f"{pid}: files of the data directory that it has open")
        for what, held in [*memory_of(pid), *descriptors_of(pid)]:
            lib.equal(tells(held, hidden), [], f"{pid}: {what}")
            read += len(held)
    assert read > 1 << 20, f"only {read} bytes of memory were read"


def main():
    server = lib.Server()
    server.config = server.data + ".yaml"
    with open(server.config, "w", encoding="ascii") as file:
        file.write("replicas: {memory: 256MiB}\n")
    server.start()
    process, logical = make(server, "process", "process"), make(server, "logical", "logical")
    with lib.check("a neighbour's processes and keys get nothing of a tenant"):
        is_held(server, process, "process")
        is_held(server, logical, "logical")
    with lib.check("a tenant at level process has replicas of its own, and moves with its level"):
        bucket, own, shared = moves(server, process, logical)
    with lib.check("a tenant at level physical has its work done by its own worker alone"):
        stays_home(server, make(server, "homed", "process"), make(server, "other", "logical"))
    with lib.check("canaries of a tenant are in nothing that another can reach"):
        hidden = hide(process, bucket)
        assert tells(b"".join(held for pid in own for _, held in memory_of(pid)), hidden), \
            "its own replica has had them"
        nothing_is_told(server, logical, hidden, shared)
    with lib.check("another tenant cannot have it attacked"):
        logical.post("/v1/tenants/process/isolation/verify").expect(404)
        reply = server.run("tenant", "verify", "nobody", key=server.operator().key)
        assert reply.returncode not in (0, 1), reply.stdout
    lib.equal(server.stop(), 0, "the exit status")

    # The hole: replicas may read where the data is.
    with open(server.config, "w", encoding="ascii") as file:
        file.write(f"replicas: {{readable: {server.data}, memory: 256MiB}}\n")
    server.start()
    with lib.check("a data directory that replicas may read is found, and told of"):
        checks, reply = verify(process, "process")
        lib.equal(reply["violations"], ["database_isolation"])
        held = {item["attack"]: item for item in checks["database_isolation"]["evidence"]}
        lib.equal(held["read_files"]["result"], "went through")
        assert held["read_files"]["refused"] < held["read_files"]["tried"], held
        lib.equal(audited(process), "isolation_violated")
        ran = server.run("tenant", "verify", "process", key=server.operator().key)
        lib.equal(ran.returncode, 1, ran.stdout + ran.stderr)
        events = server.operator().get("/v1/cluster/events").expect(200)["results"]
        told = [event for event in events if event["event"] == "isolation-violation"]
        assert told and all(event["severity"] == "critical" for event in told), events
        lib.equal(told[0]["about"], "process")
        assert "isolation-violation tenant=process" in server.log()
    lib.equal(server.stop(), 0, "the exit status")
    os.remove(server.config)
    lib.finish()


if __name__ == "__main__":
    main()
