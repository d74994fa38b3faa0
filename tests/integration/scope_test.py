#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Keys with scopes: what each may touch, what not, and when a change of them takes effect."""
import sluice_testlib as lib

USER = "/v1/organizations/users/scope%40scope.local/api-keys"
ALL = ["read", "write", "delete", "admin"]


def key(client, name, *scopes):
    made = client.post(USER, {"name": name, "permissions": ALL, "scopes": [
        {"resource_type": kind, "resource_id": what, "operations": list(operations)}
        for kind, what, *operations in scopes]}).expect(200)
    lib.equal(len(made["scopes"]), len(scopes))
    return lib.Client(client.port, made["key"], client.namespace)


def main():
    server = lib.Server().start()
    admin = server.tenant("scope")
    admin.post("/v1/organizations/users",
               {"email": "scope@scope.local", "user_name": "Scope", "role": "admin"}).expect(200)
    admin.namespace = namespace = admin.make("namespace", "one", feature_extractors=lib.BOTH)
    other = admin.make("namespace", "two", feature_extractors=lib.BOTH)
    mine = admin.make("bucket", "mine", bucket_schema={"properties": {}})
    theirs = admin.make("bucket", "theirs", bucket_schema={"properties": {}})

    with lib.check("a key of one bucket reaches that one alone, by id and by name"):
        client = key(admin, "bucket", ("bucket", mine))
        for name in (mine, "mine"):
            client.get(f"/v1/buckets/{name}").expect(200)
            client.post(f"/v1/buckets/{name}/objects", lib.text_object("x")).expect(200)
        for name in (theirs, "theirs", "no-such"):
            client.get(f"/v1/buckets/{name}").expect(403)
            client.post(f"/v1/buckets/{name}/objects", lib.text_object("x")).expect(403)
        client.post("/v1/buckets/list").expect(403)
        client.get("/v1/namespaces").expect(403)
        client.get(USER).expect(403)
        client.post(USER, {"name": "wider", "permissions": ALL}).expect(403)
    with lib.check("a key of one namespace reaches all in it and nothing beside"):
        client = key(admin, "namespace", ("namespace", namespace))
        client.get(f"/v1/buckets/{theirs}").expect(200)
        client.post("/v1/buckets/list").expect(200)
        client.get("/v1/namespaces/one").expect(200)
        client.get(f"/v1/namespaces/{other}").expect(403)
        client.namespace = other
        client.post("/v1/buckets/list").expect(403)
    with lib.check("operations narrow a scope"):
        client = key(admin, "reads", ("bucket", "*", "read_data"))
        client.get(f"/v1/buckets/{mine}").expect(200)
        client.post(f"/v1/buckets/{mine}/objects", lib.text_object("x")).expect(403)
        client.call("DELETE", f"/v1/buckets/{mine}").expect(403)
        for operation, status in (("read_data", 403), ("manage_permissions", 200)):
            client = key(admin, operation, ("organization", "*", operation))
            client.get("/v1/organizations/audit/logs").expect(status)
    with lib.check("several scopes add up, and a scope of the organization is everything"):
        client = key(admin, "two", ("bucket", mine), ("bucket", theirs, "read_data"))
        client.get(f"/v1/buckets/{theirs}").expect(200)
        client.post(f"/v1/buckets/{theirs}/objects", lib.text_object("x")).expect(403)
        key(admin, "all", ("organization", "*")).get("/v1/namespaces").expect(200)
    with lib.check("a change of scopes takes effect at once, and outlives a restart"):
        client = key(admin, "changing", ("bucket", mine))
        admin.call("PATCH", USER + "/changing", {"scopes": [
            {"resource_type": "bucket", "resource_id": theirs}]}).expect(200)
        client.get(f"/v1/buckets/{mine}").expect(403)
        client.get(f"/v1/buckets/{theirs}").expect(200)
        server.kill_all()
        server.start()
        client.get(f"/v1/buckets/{mine}").expect(403)
        client.get(f"/v1/buckets/{theirs}").expect(200)
        new = admin.post(USER + "/changing/rotate").expect(200)["key"]
        rotated = lib.Client(server.port, new, namespace)
        rotated.get(f"/v1/buckets/{mine}").expect(403)
        rotated.get(f"/v1/buckets/{theirs}").expect(200)
    lib.finish()


if __name__ == "__main__":
    main()
