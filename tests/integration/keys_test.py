#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""API keys over their life: made, changed, rotated with and without overlap, revoked; users and the
organization around them."""
import contextlib
import hashlib
import http.client
import io
import json
import subprocess
import tarfile
import threading
import time
import urllib.parse

import sluice_testlib as lib

OWNER = "owner@keys-test.local"


def path(email, *more):
    return "/".join(["/v1/organizations/users", urllib.parse.quote(email, safe=""), *more])


def answers(server, secret):
    return lib.Client(server.port, secret).get("/v1/namespaces").status


def check_keys(server, client):
    keys = path(OWNER, "api-keys")
    made = client.post(keys, {"name": "one", "permissions": ["read"]}).expect(200)
    with lib.check("a key is changed: its name, its permissions"):
        lib.equal(answers(server, made["key"]), 200)
        body = {"namespace_name": "made", "feature_extractors": lib.BOTH}
        lib.Client(server.port, made["key"]).post("/v1/namespaces", body).expect(403)
        shown = client.call("PATCH", f"{keys}/one", {
            "name": "two", "permissions": ["read", "write"], "description": "d"}).expect(200)
        lib.equal((shown["name"], shown["permissions"], shown["description"]),
                  ("two", ["read", "write"], "d"))
        assert "key" not in shown, "the secret is shown once"
        lib.Client(server.port, made["key"]).post("/v1/namespaces", body).expect(200)
        client.call("PATCH", f"{keys}/one", {}).expect(404)
    with lib.check("a name that is taken is refused"):
        client.post(keys, {"name": "three"}).expect(200)
        client.call("PATCH", f"{keys}/two", {"name": "three"}).expect(409)
    with lib.check("a rotated key has a new secret, and the old one is dead at once"):
        fresh = client.post(f"{keys}/two/rotate").expect(200)
        assert fresh["key"] != made["key"], "the same secret"
        lib.equal((fresh["name"], fresh["permissions"]), ("two", ["read", "write"]))
        lib.equal((answers(server, made["key"]), answers(server, fresh["key"])), (401, 200))
    with lib.check("with an overlap both live, the old one until it ends"):
        again = client.post(f"{keys}/two/rotate?overlap_s=5").expect(200)
        lib.equal((answers(server, fresh["key"]), answers(server, again["key"])), (200, 200))
        lib.wait_until("it has ended", lambda: answers(server, fresh["key"]) != 200)
        lib.equal((answers(server, fresh["key"]), answers(server, again["key"])), (401, 200))
        client.post(f"{keys}/two/rotate?overlap_s=86401").expect(422)
    with lib.check("a key that expires in the past is refused"):
        client.call("PATCH", f"{keys}/two", {"expires_at": "2020-01-01T00:00:00Z"}).expect(422)
    with lib.check("a revoked key is dead, stays revoked, and is listed when asked"):
        client.call("PATCH", f"{keys}/two", {"status": "revoked"}).expect(200)
        lib.equal(answers(server, again["key"]), 401)
        client.call("PATCH", f"{keys}/two", {"status": "active"}).expect(409)
        client.post(f"{keys}/two/rotate").expect(409)
        names = [item["name"] for item in client.get(keys).expect(200)["results"]]
        assert "two" not in names, names
        names = [item["name"] for item in
                 client.get(f"{keys}?include_revoked=true").expect(200)["results"]]
        assert "two" in names, names
    with lib.check("the first key is protected"):
        for method, more in (("PATCH", ""), ("DELETE", ""), ("POST", "/rotate")):
            client.call(method, f"{keys}/admin-key{more}",
                        None if method == "DELETE" else {}).expect(403)
    with lib.check("all of it survives a restart"):
        server.stop()
        server.start()
        lib.equal(answers(server, again["key"]), 401)
        lib.equal(answers(server, client.key), 200)


def check_users(server, client):
    with lib.check("a user is changed, and deleted with the keys"):
        client.post("/v1/organizations/users", {"email": "a+b@x.com", "user_name": "Ann"}
                    ).expect(200)
        shown = client.call("PATCH", path("a+b@x.com"), {"role": "viewer"}).expect(200)
        lib.equal((shown["role"], shown["user_name"]), ("viewer", "Ann"))
        key = client.post(path("a+b@x.com", "api-keys"), {"name": "k"}).expect(200)["key"]
        lib.equal(answers(server, key), 200)
        client.call("DELETE", path("a+b@x.com")).expect(200)
        lib.equal(answers(server, key), 401)
        client.get(path("a+b@x.com")).expect(404)
    with lib.check("the last admin stays"):
        client.call("DELETE", path(OWNER)).expect(409)
    with lib.check("the organization is changed"):
        shown = client.call("PATCH", "/v1/organizations", {
            "organization_name": "New", "metadata": {"a": 1}, "billing_email": "b@x.com"}
        ).expect(200)
        lib.equal((shown["organization_name"], shown["metadata"], shown["billing_email"]),
                  ("New", {"a": 1}, "b@x.com"))
        lib.equal(client.get("/v1/organizations").expect(200)["organization_name"], "New")


def check_door(server):
    operator, client = server.operator(), server.tenant("door-test")
    tenant = "/v1/tenants/door-test"
    with lib.check("from an address that is not allowed a valid key is as one that is not"):
        operator.call("PATCH", tenant, {"security": {"ip_allowlist": ["10.0.0.0/8"]}}).expect(200)
        stranger = lib.Client(server.port, client.key[:-1] + "x").get("/v1/namespaces").expect(401)
        shown = client.get("/v1/namespaces").expect(401)
        lib.equal(shown["error"]["message"], stranger["error"]["message"])
        operator.call("PATCH", tenant, {"security": {"ip_allowlist": ["127.0.0.0/8"]}}).expect(200)
        client.get("/v1/namespaces").expect(200)
    with lib.check("a suspended tenant is refused, and goes on where it was once it is resumed"):
        client.make("namespace", "kept", feature_extractors=lib.BOTH)
        operator.post(f"{tenant}/suspend", {"reason": "payment_overdue"}).expect(200)
        shown = client.get("/v1/namespaces").expect(403)
        lib.equal(shown["error"]["details"]["reason"], "tenant_suspended")
        client.post("/v1/namespaces", {"namespace_name": "new"}).expect(403)
        server.stop()
        server.start()
        client.get("/v1/namespaces").expect(403)
        client.call("POST", f"{tenant}/resume", {}).expect(403)
        operator.post(f"{tenant}/resume").expect(200)
        names = [each["namespace_name"]
                 for each in client.get("/v1/namespaces").expect(200)["results"]]
        lib.equal(names, ["kept"])


def check_onboarding(server):
    """Killed while tenants are made: each is there whole afterwards, or its id is free."""
    operator = server.operator()

    def make(count):
        with contextlib.suppress(OSError, http.client.HTTPException):
            for i in range(count):
                operator.post("/v1/tenants", {"tenant_id": f"cut-{i}", "name": "Cut"})

    def state(i):
        shown = operator.get(f"/v1/tenants/cut-{i}")
        return shown.json["state"] if shown.status == 200 else shown.status

    with lib.check("a tenant whose server is killed meanwhile is there whole, or not at all"):
        maker = threading.Thread(target=make, args=(1000,))
        maker.start()
        lib.wait_until("the first tenant is made", lambda: state(0) == "active", 60)
        server.kill_all()
        maker.join()
        server.start()
        made = next(i for i in range(1001) if i == 1000 or state(i) == 404)
        lib.wait_until("all are active", lambda: all(state(i) == "active"
                                                     for i in range(max(0, made - 2), made)), 60)
        again = operator.post("/v1/tenants", {"tenant_id": f"cut-{made}", "name": "Cut"})
        lib.equal(again.expect(201)["state"], "active")
        steps = operator.get(f"/v1/tenants/cut-{made - 1}").expect(200)["onboarding"]
        lib.equal({step["status"] for step in steps} - {"done", "skipped"}, set())


def offboard(server, *options):
    return server.run("tenant", "offboard", *options, key=server.operator().key)


def check_offboarding(server):
    """Killed while tenants leave: what is said of each afterwards is so, and none is half gone."""
    operator, count = server.operator(), 6
    for i in range(count):
        server.tenant(f"leaves-{i}").make("namespace", "canary-4711",
                                          feature_extractors=lib.BOTH)

    def state(i):
        return operator.get(f"/v1/tenants/leaves-{i}").expect(200)["state"]

    with lib.check("a tenant whose server is killed while it leaves is gone, or as it was"):
        for i in range(count):
            operator.post(f"/v1/tenants/leaves-{i}/offboard",
                          {"data_retention_days": 0, "export_data": False}).expect(202)
        server.kill_all()
        server.start()
        lib.wait_until("all are gone", lambda: all(state(i) == "offboarded"
                                                   for i in range(count)), 60)
        found = subprocess.run(["grep", "-ral", "canary-4711", server.data], text=True,
                               stdout=subprocess.PIPE, check=False)
        lib.equal((found.returncode, found.stdout), (1, ""), "what is left on the disk")
    with lib.check("a tenant that leaves is exported whole, as a .tar with its digest"):
        client = server.tenant("exported")
        client.make("namespace", "kept", feature_extractors=lib.BOTH)
        left = offboard(server, "exported", "--wait", "--json")
        lib.equal(left.returncode, 0, left.stderr)
        assert "export: completed" in left.stderr and "data kept until" in left.stderr, left.stderr
        lib.equal(client.get("/v1/namespaces").status, 403)
        path = f"/v1/tenants/exported/exports/{json.loads(left.stdout)['export_id']}"
        shown = operator.get(path).expect(200)
        data = operator.get(shown["download_url"]).text
        lib.equal(hashlib.sha256(data).hexdigest(), shown["sha256"])
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            manifest = json.load(archive.extractfile("manifest.json"))
            lines = archive.extractfile("rows/namespaces/000001.jsonl").read().splitlines()
        lib.equal((manifest["tenant_id"], manifest["rows"]["namespaces"], len(lines)),
                  ("exported", 1, 1))
        lib.equal(json.loads(lines[0])["value"]["namespace_name"], "kept")
        stays = offboard(server, "exported", "--cancel")
        lib.equal((stays.returncode, "active" in stays.stdout), (0, True), stays.stderr)
        client.get("/v1/namespaces").expect(200)
        gone = offboard(server, "exported", "--retention-days", "0", "--no-export", "--wait")
        lib.equal((gone.returncode, gone.stderr.split("\n")[-2]), (0, "erased"), gone.stderr)
        lib.equal(offboard(server, "exported", "--cancel").returncode, 4, "there is no way back")
        for bad in ("-1", "366", "1d", ""):
            lib.equal(offboard(server, "cut-0", "--retention-days", bad).returncode, 2, bad)


def main():
    server = lib.Server().start()
    check_onboarding(server)
    check_offboarding(server)
    client = server.tenant("keys-test")
    check_keys(server, client)
    check_users(server, client)
    check_door(server)
    with lib.check("sluice stops when asked"):
        lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
