#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every route, with the ids of another tenant: nothing is found, told or changed.

The routes come from /openapi.json, so a new one is tried without being named here. Then every route
that writes, with a key that may only read.
"""
import pathlib
import re

import sluice_testlib as lib

METHODS = ("get", "post", "put", "patch", "delete")
# Stopping what is not there is no error (api.md), and health tells no tenant's data.
ALWAYS_FINE = {("delete", "/v1/tasks/{task_id}")}
ROUTE = re.compile(r'^ROUTE\((\w+),\s*"([^"]+)",\s*\w+,\s*(\w+),', re.M)
PERMISSIONS = ("READ", "WRITE", "DELETE", "ADMIN", "OPERATOR")
# The most that may not: reports are an admin's, and an analyst's.
LESS = dict(zip(PERMISSIONS[1:], PERMISSIONS)) | {"REPORT": "DELETE"}
READS = re.compile(r"/(list|search|aggregate|execute|explain)$|/embeddings$|/inference$")


class Owner:
    """A tenant with one of everything, and what names each thing in a path."""

    def __init__(self, server, name):
        self.secret = f"secret-of-{name}"
        self.client = client = server.tenant(name)
        client.namespace = client.make("namespace", name, feature_extractors=lib.BOTH)
        bucket = client.make("bucket", "bucket-" + name, bucket_schema={"properties": {}})
        collection = client.make(
            "collection", "texts-" + name, source={"type": "bucket", "bucket_ids": [bucket]},
            feature_extractor={"feature_extractor_name": "text_extractor", "version": "v1",
                               "input_mappings": {"text": "content"}})
        objects = client.make_objects(bucket, [lib.text_object(self.secret)] * 2)
        batch, task = client.submit(bucket, objects)
        lib.equal(client.wait_task(task)["status"], "COMPLETED")
        uri = client.get(f"/v1/collections/{collection}").expect(200)["vector_indexes"][0]
        search = {"feature_uri": uri["feature_uri"], "top_k": 5,
                  "query": {"input_mode": "text", "value": "{{INPUT.query}}"}}
        retriever = client.make(
            "retriever", "find-" + name, collection_identifiers=[collection],
            input_schema={"query": {"type": "string", "required": True}},
            stages=[{"stage_name": "search", "stage_type": "filter", "config": {
                "stage_id": "feature_search",
                "parameters": {"searches": [search], "final_top_k": 5, "fusion": "rrf"}}}])
        found = client.post(f"/v1/retrievers/{retriever}/execute",
                            {"inputs": {"query": self.secret}}).expect(200)
        assert found["documents"], "its owner finds its document"
        self.names = {
            "namespace_id": client.namespace, "namespace_identifier": client.namespace,
            "bucket_identifier": bucket, "object_identifier": objects[0], "batch_id": batch,
            "collection_identifier": collection, "task_id": task, "retriever_id": retriever,
            "document_id": client.documents(collection)[0]["document_id"],
            "execution_id": found["execution_id"], "tenant_id": name}

    def path(self, template):
        """The path with this owner's ids; None where it has none of a kind."""
        if not all(name in self.names for name in re.findall(r"{(\w+)}", template)):
            return None
        return re.sub(r"{(\w+)}", lambda name: self.names[name[1]], template)

    def snapshot(self):
        paths = [self.path(path) for path in (
            "/v1/namespaces/{namespace_id}", "/v1/buckets/{bucket_identifier}",
            "/v1/buckets/{bucket_identifier}/objects/{object_identifier}",
            "/v1/buckets/{bucket_identifier}/batches/{batch_id}", "/v1/tasks/{task_id}",
            "/v1/collections/{collection_identifier}", "/v1/documents/{document_id}",
            "/v1/retrievers/{retriever_id}")]
        return [self.client.get(path).expect(200) for path in paths]


def routes(client):
    for path, methods in client.get("/openapi.json").expect(200)["paths"].items():
        for method in methods:
            if method in METHODS:
                yield method, path


def try_to_cross(owner, other):
    """The other's key on each of the owner's paths, in both namespaces."""
    tried = 0
    bodies = [None, {"inputs": {"query": owner.secret}, "metadata": {"x": 1}, "limit": 5}]
    for method, template in routes(other.client):
        path = owner.path(template) if "{" in template else None
        if path is None or (method, template) in ALWAYS_FINE:
            continue
        for namespace in (owner.client.namespace, other.client.namespace):
            client = lib.Client(other.client.port, other.client.key, namespace)
            for body in bodies[:1] if method == "get" else bodies:
                reply = client.call(method.upper(), path, body)
                assert 400 <= reply.status < 500, f"{reply.what}: {reply.status} {reply.text[:300]}"
                assert owner.secret.encode() not in reply.text, f"{reply.what} tells: {reply.text}"
                tried += 1
    return tried


def reader_of(owner):
    users = owner.client.get("/v1/organizations/users").expect(200)["results"]
    reply = owner.client.post(f"/v1/organizations/users/{users[0]['email']}/api-keys",
                              {"name": "reader", "permissions": ["read"]})
    assert reply.status in (200, 201), reply.text
    key = reply.json["key"]
    return lib.Client(owner.client.port, key, owner.client.namespace)


def try_to_write(owner, reader):
    tried = 0
    for method, template in routes(reader):
        path = owner.path(template) if "{" in template else template
        if method == "get" or path is None or READS.search(template):
            continue
        reply = reader.call(method.upper(), path, {})
        assert reply.status in (403, 501), f"{reply.what}: {reply.status} {reply.text[:300]}"
        tried += 1
    return tried


def try_to_destroy(owner, other):
    """An upload of the very bytes that another tenant keeps, refused and thrown away."""
    text = "words that two tenants have. " * 5000
    bucket = owner.names["bucket_identifier"]
    objects = owner.client.make_objects(bucket, [lib.text_object(text)])
    path = f"/v1/namespaces/{other.client.namespace}/models"
    other.client.upload(path, text.encode(), name="m", version="1.0.0",
                        model_format="safetensors").expect(422)
    _, task = owner.client.submit(bucket, objects)
    lib.equal(owner.client.wait_task(task)["status"], "COMPLETED")


def route_table():
    """(method, path, what it asks of a key) of each route that asks for one, from the product's own
    table."""
    for file in sorted(pathlib.Path(lib.ROOT, "gateway/routes").glob("*.def")):
        for method, path, permission in ROUTE.findall(file.read_text("utf-8")):
            if permission != "NONE":
                yield method, path, permission


def try_without(server, owner):
    """No key; a key that nobody knows; and each that may a little less than the route asks for.
    Returns how many refusals there were, and what was no refusal."""
    users = "/v1/organizations/users"
    owner.client.post(users, {"email": "less@all.local", "user_name": "Less",
                              "role": "admin"}).expect(200)
    keys = {}
    for count, name in enumerate(PERMISSIONS[:-1], 1):
        keys[name] = owner.client.post(f"{users}/less@all.local/api-keys", {
            "name": name, "permissions": [each.lower() for each in PERMISSIONS[:count]]}
        ).expect(200)["key"]
    stranger = keys["READ"][:-1] + ("a" if keys["READ"][-1] != "a" else "b")
    wrong, count = [], 0
    for method, path, permission in route_table():
        path = re.sub(r"{(\w+)}", "none", path)
        tries = [(None, 401), (stranger, 401)]
        if permission != "READ":
            tries.append((keys[LESS[permission]], 403))
        for key, wanted in tries:
            status = lib.Client(server.port, key).call(method, path).status
            count += 1
            if status != wanted:
                wrong.append(f"{method} {path} ({permission}): {status}, not {wanted}")
    return count, wrong


def try_roles(server, owner):
    """Each route with a key of an analyst and of a viewer: what lets in who should not, or the
    other way round."""
    users, wrong = "/v1/organizations/users", []
    for role, lets_in in (("analyst", ("READ", "REPORT")), ("viewer", ("READ",))):
        email = f"{role}@all.local"
        owner.client.post(users, {"email": email, "user_name": role, "role": role}).expect(200)
        client = lib.Client(server.port, owner.client.post(
            f"{users}/{email}/api-keys", {"name": "k"}).expect(200)["key"])
        for method, path, permission in route_table():
            status = client.call(method, re.sub(r"{(\w+)}", "none", path)).status
            if (status != 403) != (permission in lets_in):
                wrong.append(f"{role}: {method} {path} ({permission}): {status}")
    return wrong


def main():
    server = lib.Server()
    server.start()
    owner, other = Owner(server, "owner"), Owner(server, "other")
    before = owner.snapshot()
    with lib.check("no route takes the ids of another tenant"):
        tried = try_to_cross(owner, other)
        assert tried >= 60, f"only {tried} calls were tried"
    with lib.check("every route refuses without a key, or with one that may too little"):
        count, wrong = try_without(server, owner)
        lib.equal(wrong, [])
        assert count > 300, f"only {count} tries: the table was not read"
    with lib.check("an analyst reads reports, which a viewer does not, and nothing else"):
        lib.equal(try_roles(server, owner), [])
    with lib.check("a key that reads writes nothing"):
        reader = reader_of(owner)
        reader.post("/v1/buckets/list", {}).expect(200)
        tried = try_to_write(owner, reader)
        assert tried >= 15, f"only {tried} calls were tried"
    with lib.check("X-Tenant-Id is for operators"):
        reply = other.client.call("GET", "/v1/namespaces", headers={"X-Tenant-Id": "owner"})
        reply.expect(403)
    with lib.check("and nothing has changed"):
        lib.equal(owner.snapshot(), before)
    with lib.check("an upload takes nothing from who keeps the same bytes"):
        try_to_destroy(owner, other)
    lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
