#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What comes from outside and is wrong: a 4xx that says what to do, and nothing has changed."""
import os
import socket
import subprocess
import tempfile
import time

import archives
import sluice_testlib as lib

TYPES = {400: "BadRequestError", 401: "UnauthorizedError", 403: "ForbiddenError",
         404: "NotFoundError", 405: "MethodNotAllowedError", 409: "ConflictError",
         413: "PayloadTooLargeError", 415: "UnsupportedMediaTypeError", 422: "ValidationError"}


def refused(reply, status):
    """The one shape of an error: the code, its type, a message for a person."""
    body = reply.expect(status)
    assert body, f"the body is not JSON: {reply.text[:300]!r}"
    lib.equal(body["success"], False)
    lib.equal(body["status"], status, "the status in the body")
    lib.equal(body["error"]["type"], TYPES[status], "the type")
    assert len(body["error"]["message"]) >= 10, f"no message for a person: {body['error']}"
    if status == 422:
        for item in body["detail"]:
            assert item["loc"][0] in ("body", "query", "path", "header"), item
            assert item["msg"] and item["type"], item


def snapshot(client, bucket):
    """All that a refused call might have changed."""
    count = {kind: client.post(f"/v1/{kind}/list", {}).expect(200)["total_count"]
             for kind in ("namespaces", "buckets", "collections")}
    count["objects"] = client.get(f"/v1/buckets/{bucket}").expect(200)["object_count"]
    count["batches"] = client.post(f"/v1/buckets/{bucket}/batches/list",
                                   {}).expect(200)["total_count"]
    count["retrievers"] = client.get("/v1/retrievers").expect(200)["total"]
    count["models"] = client.get(f"/v1/namespaces/{client.namespace}/models").expect(200)["total"]
    return count


class Case:
    """A tenant with one of everything, and refused calls against it."""

    def __init__(self, server):
        self.server = server
        self.client = server.tenant("bad-input")
        client = self.client
        client.namespace = client.make("namespace", "bad", feature_extractors=lib.BOTH)
        self.bucket = client.make("bucket", "things", bucket_schema={"properties": {
            "content": {"type": "text"}, "price": {"type": "number"},
            "name": {"type": "string", "required": True}}})
        self.object = client.make_objects("things", [lib.text_object("a", name="one")])[0]

    def refuse(self, name, status, method, path, body=None, **options):
        """One check: this call is refused so, and leaves everything as it was."""
        client = options.pop("client", self.client)
        with lib.check(f"{status}: {name}"):
            before = snapshot(self.client, "things")
            refused(client.call(method, path, body, **options), status)
            lib.equal(snapshot(self.client, "things"), before, "what is stored")


def check_bodies(case):
    post = "POST"
    case.refuse("broken JSON", 400, post, "/v1/namespaces", b'{"namespace_name": "x",')
    case.refuse("JSON nested too deep", 400, post, "/v1/namespaces", b"[" * 100 + b"]" * 100)
    case.refuse("text that is not UTF-8", 400, post, "/v1/namespaces",
                b'{"namespace_name": "\xff\xfe"}')
    case.refuse("two JSON values", 400, post, "/v1/namespaces", b"{} {}")
    case.refuse("a body that is no object", 422, post, "/v1/buckets", [1, 2])
    case.refuse("a number where a name belongs", 422, post, "/v1/buckets", {"bucket_name": 5})
    case.refuse("a missing field", 422, post, "/v1/buckets", {"bucket_schema": {"properties": {}}})
    case.refuse("an empty list of extractors", 422, post, "/v1/namespaces",
                {"namespace_name": "x", "feature_extractors": []})
    case.refuse("an unknown extractor", 422, post, "/v1/namespaces", {
        "namespace_name": "x",
        "feature_extractors": [{"feature_extractor_name": "none", "version": "v1"}]})
    case.refuse("a name with wrong characters", 422, post, "/v1/namespaces",
                {"namespace_name": "a b/c", "feature_extractors": lib.BOTH})
    case.refuse("a name that is taken", 409, post, "/v1/namespaces",
                {"namespace_name": "bad", "feature_extractors": lib.BOTH})
    case.refuse("a bucket name that is taken", 409, post, "/v1/buckets",
                {"bucket_name": "things", "bucket_schema": {"properties": {}}})
    case.refuse("an unknown field type", 422, post, "/v1/buckets", {
        "bucket_name": "x", "bucket_schema": {"properties": {"a": {"type": "colour"}}}})
    objects = "/v1/buckets/things/objects"
    case.refuse("a field of the wrong type", 422, post, objects, {"name": "x", "price": "dear"})
    case.refuse("a required field that is missing", 422, post, objects, {"price": 5})
    case.refuse("a blob without data", 422, post, objects,
                {"name": "x", "blobs": [{"property": "content", "type": "text"}]})
    case.refuse("no object in bulk", 422, post, objects + "/batch", {"objects": []})
    case.refuse("101 objects in bulk", 422, post, objects + "/batch",
                {"objects": [{"name": "x"}] * 101})
    case.refuse("the wrong content type", 415, post, "/v1/namespaces", b"<a/>",
                headers={"Content-Type": "application/xml"})
    case.refuse("a verb that the route lacks", 405, "PUT", "/v1/retrievers")
    case.refuse("a route that does not exist", 404, "GET", "/v1/nothing/here")
    case.refuse("a limit that is no number", 422, "GET", "/v1/namespaces?limit=many")
    case.refuse("a limit out of range", 422, "GET", "/v1/namespaces?limit=100000")


def check_collections(case):
    def body(**changes):
        extractor = {"feature_extractor_name": "text_extractor", "version": "v1",
                     "input_mappings": {"text": "content"}, **changes.pop("extractor", {})}
        return {"collection_name": "texts", "feature_extractor": extractor,
                "source": {"type": "bucket", "bucket_ids": [case.bucket]}, **changes}

    for name, changes in (
            ("an unknown extractor in a collection", {"extractor": {"version": "v9"}}),
            ("an input mapped to a missing field",
             {"extractor": {"input_mappings": {"text": "nowhere"}}}),
            ("a chunk overlap over the chunk size",
             {"extractor": {"parameters": {"split_by": "words", "chunk_size": 5,
                                           "chunk_overlap": 9}}}),
            ("an unknown way to split", {"extractor": {"parameters": {"split_by": "moons"}}}),
            ("a collection name of 2 characters", {"collection_name": "ab"}),
            ("a source of an unknown type", {"source": {"type": "cluster"}})):
        case.refuse(name, 422, "POST", "/v1/collections", body(**changes))
    with lib.check("the collection that these were variations of is accepted"):
        case.client.post("/v1/collections", body()).expect(200)
    case.refuse("a retriever with an unknown stage", 422, "POST", "/v1/retrievers", {
        "retriever_name": "r", "collection_identifiers": ["texts"],
        "stages": [{"stage_name": "s", "config": {"stage_id": "crystal_ball"}}]})
    case.refuse("a retriever without stages", 422, "POST", "/v1/retrievers",
                {"retriever_name": "r", "collection_identifiers": ["texts"], "stages": []})


def check_keys(case):
    server, get = case.server, ("GET", "/v1/namespaces")
    operator = server.operator()
    for name, key in (("a missing key", None), ("an unknown key", "sk_" + "a" * 40),
                      ("a malformed key", "x" * 3000)):
        case.refuse(name, 401, *get, client=lib.Client(server.port, key))
    case.refuse("a key in the wrong scheme", 401, *get, client=lib.Client(server.port),
                headers={"Authorization": f"Basic {case.client.key}"})
    with lib.check("401: a revoked key, from the moment of revocation"):
        path = "/v1/organizations/users/owner%40bad-input.local/api-keys"
        made = case.client.post(path, {"name": "short", "permissions": ["read"]}).expect(200)
        other = lib.Client(server.port, made["key"])
        other.get("/v1/namespaces").expect(200)
        with lib.check("403: a key that may only read does not write"):
            refused(other.post("/v1/namespaces", {"namespace_name": "x",
                                                  "feature_extractors": lib.BOTH}), 403)
        case.client.call("DELETE", path + "/short").expect(200)
        refused(other.get("/v1/namespaces"), 401)
    case.refuse("a tenant's key on the operator's route", 403, "POST", "/v1/tenants",
                {"tenant_id": "mine", "name": "mine"})
    with lib.check("422: a tenant with an unknown plan, 409: one that exists"):
        refused(operator.post("/v1/tenants", {"tenant_id": "x1", "name": "x", "plan": "gold"}),
                422)
        refused(operator.post("/v1/tenants", {"tenant_id": "bad-input", "name": "x"}), 409)


def check_ids(case):
    for path in ("/v1/namespaces/ns_000000000000", "/v1/buckets/bkt_000000000000",
                 "/v1/buckets/things/objects/obj_000000000000",
                 "/v1/buckets/things/batches/btch_000000000000",
                 "/v1/collections/col_0000000000", "/v1/retrievers/ret_00000000000000",
                 "/v1/tasks/00000000-0000-4000-8000-000000000000",
                 f"/v1/namespaces/{case.client.namespace}/models/none_1_0_0",
                 "/v1/namespaces/..%2f..%2fetc"):
        case.refuse(f"an unknown id in {path}", 404, "GET", path)
    case.refuse("a namespace that does not exist, in the header", 404, "GET",
                "/v1/buckets/things", headers={"X-Namespace": "ns_000000000000"})
    other = case.server.tenant("neighbour")
    other.namespace = other.make("namespace", "theirs", feature_extractors=lib.BOTH)
    theirs = other.make("bucket", "theirs", bucket_schema={"properties": {}})
    item = other.make_objects(theirs, [{"a": 1}])[0]
    batch = other.post(f"/v1/buckets/{theirs}/batches", {"object_ids": [item]}).expect(200)
    for path in (f"/v1/buckets/{theirs}", f"/v1/buckets/{theirs}/objects/{item}",
                 f"/v1/buckets/{theirs}/batches/{batch['batch_id']}",
                 f"/v1/namespaces/{other.namespace}"):
        case.refuse(f"another tenant's id in {path.split('/')[2]}", 404, "GET", path)
        case.refuse(f"deleting another tenant's {path.split('/')[2]}", 404, "DELETE", path)
    case.refuse("another tenant's namespace in the header", 404, "GET", f"/v1/buckets/{theirs}",
                headers={"X-Namespace": other.namespace})
    case.refuse("another tenant's object in a batch", 404, "POST", "/v1/buckets/things/batches",
                {"object_ids": [item]})
    with lib.check("the neighbour still has everything"):
        other.get(f"/v1/buckets/{theirs}/objects/{item}").expect(200)


def check_sizes(case):
    with lib.check("413: a body over the limit, refused before it is sent"):
        before = snapshot(case.client, "things")
        with socket.create_connection(("127.0.0.1", case.server.port), 60) as link:
            link.sendall((f"POST /v1/namespaces HTTP/1.1\r\nHost: sluice\r\nAuthorization: Bearer "
                          f"{case.client.key}\r\nContent-Type: application/json\r\n"
                          "Content-Length: 99999999\r\n\r\n").encode())
            head = link.recv(4096).decode()
        assert " 413 " in head.split("\r\n")[0], head
        lib.equal(snapshot(case.client, "things"), before, "what is stored")
    case.refuse("a body over the limit, sent whole", 413, "POST", "/v1/namespaces",
                b'{"namespace_name": "' + b"x" * (11 << 20) + b'"}')
    with lib.check("garbage instead of HTTP harms nobody"):
        for garbage in (b"\x00" * 100, b"GET / HTTP/9.9\r\n\r\n", b"A" * 100000,
                        b"POST /v1/namespaces HTTP/1.1\r\nContent-Length: -5\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", case.server.port), 60) as link:
                try:
                    link.sendall(garbage)
                    link.settimeout(0.3)
                    link.recv(4096)
                except OSError:
                    pass
        case.client.get("/v1/namespaces").expect(200)


def check_archives(case):
    path = f"/v1/namespaces/{case.client.namespace}/models"

    def upload(archive, **fields):
        return case.client.upload(path, archive, **{
            "name": "probe", "version": "1.0.0", "model_format": "safetensors",
            "task_type": "classification", **fields})

    bad = [*((422, name, archive) for name, archive in archives.BAD),
           (413, "a bomb", archives.bomb()), (413, "too many entries", archives.many_entries())]
    for status, name, archive in bad:
        with lib.check(f"{status}: an archive with {name}"):
            before = snapshot(case.client, "things")
            started = time.monotonic()
            refused(upload(archive), status)
            assert time.monotonic() - started < 90, "it took too long to refuse"
            lib.equal(snapshot(case.client, "things"), before, "what is stored")
    with lib.check("422: a model whose configuration and tensors disagree"):
        refused(upload(archives.bert(hidden=32), model_format="huggingface",
                       task_type="embedding"), 422)
    with lib.check("422: an unknown format, a version that is none, a missing name"):
        refused(upload(archives.GOOD, model_format="pickle"), 422)
        refused(upload(archives.GOOD, version="../1"), 422)
        refused(upload(archives.GOOD, name=""), 422)
    with lib.check("nothing was written outside the data directory"):
        assert not os.path.exists("/tmp/outside.safetensors")
        parent = os.path.dirname(case.server.data)
        assert not os.path.exists(os.path.join(parent, "outside.safetensors"))
    with lib.check("the good archive that these were variations of is accepted, once"):
        lib.equal(upload(archives.GOOD).expect(200)["model_id"], "probe_1_0_0")
        refused(upload(archives.GOOD), 409)


def check_batches(case):
    path = "/v1/buckets/things/batches"
    case.refuse("a batch of nothing", 422, "POST", path, {"object_ids": []})
    case.refuse("a batch of an unknown object", 404, "POST", path,
                {"object_ids": ["obj_000000000000"]})
    client = case.client
    lone = client.make("bucket", "lone", bucket_schema={"properties": {}})
    item = client.make_objects(lone, [{"a": 1}])[0]
    with lib.check("400: submitting a batch that no collection takes"):
        batch = client.post(f"/v1/buckets/{lone}/batches", {"object_ids": [item]}).expect(200)
        refused(client.post(f"/v1/buckets/{lone}/batches/{batch['batch_id']}/submit"), 400)
    with lib.check("409: what a running batch uses is not deleted; a batch is submitted once"):
        text = "All work and no play makes a dull day. " * 1500
        ids = client.make_objects("things", [lib.text_object(text, name="long")] * 60)
        batch, task = client.submit("things", ids)
        refused(client.post(f"{path}/{batch}/submit"), 409)
        refused(client.post(f"{path}/{batch}/objects", {"object_ids": [case.object]}), 409)
        refused(client.call("DELETE", f"{path}/{batch}"), 409)
        refused(client.call("DELETE", "/v1/collections/texts"), 409)
        refused(client.call("DELETE", f"/v1/namespaces/{client.namespace}"), 409)
        running = client.get(f"/v1/tasks/{task}").expect(200)["status"]
        assert running not in lib.TERMINAL, "the batch ended too early to show anything"
        cancelled = client.post(f"{path}/{batch}/cancel").expect(200)
        lib.equal(cancelled["status"], "CANCELED")
        lib.equal(client.wait_task(task)["status"], "CANCELED")
        refused(client.post(f"{path}/{batch}/submit"), 409)
    with lib.check("a cancelled batch is cancelled again without harm, then deleted"):
        client.post(f"{path}/{batch}/cancel").expect(200)
        client.call("DELETE", f"{path}/{batch}").expect(200)
        refused(client.get(f"{path}/{batch}"), 404)


def check_command_line(case):
    """`sluice up` that cannot start says why, and what to do, and ends."""
    server = case.server

    def run_up(data, port, config=None):
        done = subprocess.run(lib.up_command(data, port, lib.free_port(), config),
                              capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode > 0, f"exit status {done.returncode}"
        return done.stderr + done.stdout

    with lib.check("a data directory that another process has open is refused by name"):
        text = run_up(server.data, lib.free_port())
        assert server.data in text, text
        case.client.get("/v1/namespaces").expect(200)
    with tempfile.TemporaryDirectory() as folder:
        with lib.check("a port that is taken is refused by number"):
            text = run_up(os.path.join(folder, "a"), server.port)
            assert str(server.port) in text, text
        with lib.check("a configuration key that does not exist is refused with its line"):
            config = os.path.join(folder, "sluice.yaml")
            with open(config, "w", encoding="ascii") as file:
                file.write("# first line\n\nno_such_key: 1\n")
            text = run_up(os.path.join(folder, "b"), lib.free_port(), config)
            assert "no_such_key" in text and "3" in text, text
        with lib.check("a data format from the future is refused"):
            future = os.path.join(folder, "c")
            os.mkdir(future)
            with open(os.path.join(future, "format"), "w", encoding="ascii") as file:
                file.write("999999\n")
            text = run_up(future, lib.free_port())
            assert "format" in text or "version" in text, text


def main():
    server = lib.Server()
    case = None
    with lib.check("a server and a tenant are there"):
        server.start()
        case = Case(server)
    if case:
        for part in (check_bodies, check_collections, check_keys, check_ids, check_sizes,
                     check_archives, check_batches, check_command_line):
            with lib.check(f"{part.__name__} came to its end"):
                part(case)
    with lib.check("after all of this it is alive, and stops when asked"):
        server.operator().get("/v1/tenants").expect(200)
        lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
