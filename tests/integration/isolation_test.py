#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`sluice tenant verify`: what holds is shown to hold, and what was left open is found."""
import os

import sluice_testlib as lib

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
