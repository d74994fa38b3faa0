#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of the API that hold for many operations, one after another.

surface_test.py answers each operation once; here is what a client may rely on besides: names and
ids, headers, lists, the permissions of keys, and what is refused with which status.
"""
import re

import sluice_testlib as lib

RESERVED = ("list available org uploads reconfigure migrations features stages execute executions "
            "batch bulk aggregate").split()
URI = "mixpeek://text_extractor@v1/text_hash_v1"
EXTRACTOR = {"feature_extractor_name": "text_extractor", "version": "v1",
             "input_mappings": {"text": "content"}, "field_passthrough": ["sku", "n"]}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
# A name of `later`, with other values each: what a client sends is stored, or refused at once.
WRONG_SCHEDULES = ({"trigger_type": "weekly", "schedule_config": {}},
                   {"trigger_type": "cron"}, {"schedule_config": {"interval_seconds": 60}},
                   {"trigger_type": "interval", "schedule_config": {"interval_seconds": 0}})


def stage(**parameters):
    return {"stage_name": "search", "config": {"stage_id": "feature_search", "parameters": {
        "searches": [{"feature_uri": URI, "top_k": 5, "query": {"value": "tea"}}], **parameters}}}


def query(query, **search):
    return stage(searches=[{"feature_uri": URI, "top_k": 5, "query": query, **search}])


def names(client):
    with lib.check("words that are parts of paths name nothing"):
        for word in RESERVED:
            for kind, fields in (("namespace", {"feature_extractors": lib.BOTH}), ("bucket", {}),
                                 ("retriever", {"stages": [stage()],
                                                "collection_identifiers": ["texts"]})):
                client.post(f"/v1/{kind}s", {f"{kind}_name": word, **fields}).expect(422)
    with lib.check("ids and times have their form"):
        bucket = client.get("/v1/buckets/items").expect(200)
        assert re.fullmatch(r"bkt_[a-z0-9]{12}", bucket["bucket_id"]), bucket
        assert TIME.fullmatch(bucket["created_at"]), bucket
        found = client.documents("texts")[0]
        assert re.fullmatch(r"doc_[0-9a-f]{24}", found["document_id"]), found
    with lib.check("a bucket tells when something came last, and a tier what extracted"):
        assert TIME.fullmatch(bucket["last_upload_at"]), bucket
        lib.equal(client.get("/v1/buckets/once").expect(200)["last_upload_at"], None)
        path = "/v1/buckets/items/batches/"
        batch = client.post(path + "list").expect(200)["results"][0]["batch_id"]
        tier = client.get(path + batch).expect(200)["tier_tasks"][0]
        lib.equal([(job["extractor_type"], job["collection_ids"], job["status"])
                   for job in tier["extractor_jobs"]],
                  [("text_extractor", tier["collection_ids"], "COMPLETED")])
    with lib.check("a path may end with a slash, and be percent-encoded"):
        client.get("/v1/buckets/items/").expect(200)
        client.get("/v1/buckets/%69tems").expect(200)
        client.post("/v1/buckets/list/").expect(200)


def headers(client, operator):
    with lib.check("a request's id is given back, or made where it cannot be"):
        reply = client.get("/v1/buckets/nope", headers={"X-Request-Id": "mine 1"})
        lib.equal(reply.headers["X-Request-Id"], "mine 1")
        lib.equal(reply.json["error"]["details"]["request_id"], "mine 1")
        reply = client.get("/v1/buckets/items", headers={"X-Request-Id": "x" * 129})
        assert re.fullmatch(r"req_[a-z0-9]{20}", reply.headers["X-Request-Id"]), reply.headers
    with lib.check("the namespace's header is ignored where an organization is enough"):
        lost = lib.Client(client.port, client.key, "nope")
        for method, path in (("GET", "/v1/namespaces"), ("POST", "/v1/tasks/list"),
                             ("GET", "/v1/organizations"), ("GET", "/v1/models"),
                             ("GET", "/v1/organizations/users")):
            lost.call(method, path).expect(200)
        lost.post("/v1/buckets/list").expect(404)
    with lib.check("only an operator acts for a tenant"):
        named = {"X-Tenant-Id": "contract"}
        client.get("/v1/namespaces", headers=named).expect(403)
        lib.equal(operator.get("/v1/namespaces", headers=named).expect(200)["total_count"], 1)
        operator.get("/v1/namespaces", headers={"X-Tenant-Id": "nope"}).expect(404)
    with lib.check("a key that is sent twice makes one thing, and is not for another"):
        again = {"Idempotency-Key": "one"}
        first, second = (client.post("/v1/buckets", {"bucket_name": "twin"}, headers=again)
                         for _ in range(2))
        lib.equal(first.expect(200), second.expect(200))
        lib.equal(second.headers["Idempotent-Replayed"], "true")
        client.post("/v1/buckets", {"bucket_name": "other"}, headers=again).expect(422)


def lists(client):
    with lib.check("a list is limited, counted and cut as its query says, before its body"):
        for query_text in ("limit=0", "limit=1001", "limit=x", "offset=10001", "cursor=zzz"):
            client.post("/v1/buckets/list?" + query_text).expect(422)
        page = client.post("/v1/buckets/list?limit=1&include_total=True", {"limit": 2}).expect(200)
        lib.equal([page["pagination"][name] for name in ("total", "page", "total_pages")],
                  [3, 1, 3])
        page = client.post("/v1/buckets/list", {"page_size": 1}).expect(200)
        lib.equal(len(page["results"]), 1)
        rest = client.post(f"/v1/buckets/list?cursor={page['pagination']['next_cursor']}")
        lib.equal(len(rest.expect(200)["results"]), 2)
    with lib.check("batches are listed by a status that there is"):
        path = "/v1/buckets/items/batches/list"
        lib.equal(client.post(path, {"status": "COMPLETED"}).expect(200)["total_count"], 1)
        client.post(path, {"status": "DONE"}).expect(422)


def objects(client):
    path = "/v1/buckets/once/objects"

    def send(data, status=200, kind="text"):
        blob = {"property": "content", "type": kind, "data": data}
        return client.post(path, {"blobs": [blob]}).expect(status)

    with lib.check("a text may be a data URI, and a sentence is none"):
        for uri, text in (("data:text/plain;base64,Z3JlZW4gdGVh", "green tea"),
                          ("data:text/plain,green%20tea", "green tea"),
                          ("data: the new oil, they say", "data: the new oil, they say")):
            blob = send(uri)["blobs"][0]
            lib.equal(blob["properties"]["data"], text)
            lib.equal([blob["details"][name] for name in ("size_bytes", "mime_type")],
                      [len(text), "text/plain"])
        send("data:text/plain;base64,*", 422)
        send("data:text/plain;base64,//8=", 422)  # No UTF-8.
        large = send("data:text/html," + "a%20" * 50000)["blobs"][0]["details"]
        lib.equal([large["size_bytes"], large["mime_type"]], [100000, "text/html"])
    with lib.check("an image is counted by its bytes, and shown with its type"):
        details = send("data:image/png;base64,AAEC", kind="image")["blobs"][0]["details"]
        lib.equal([details["size_bytes"], details["mime_type"]], [3, "image/png"])


def collections(client):
    def make(status, name="later", **fields):
        return client.post("/v1/collections", {
            "collection_name": name, "feature_extractor": EXTRACTOR,
            "source": {"type": "bucket", "bucket_ids": ["items"]}, **fields}).expect(status)

    with lib.check("a schedule is one that clients can read back"):
        for schedule in WRONG_SCHEDULES:
            make(422, schedule=schedule)
        made = make(200, schedule={"trigger_type": "interval",
                                   "schedule_config": {"interval_seconds": 60}})
        lib.equal(made["schedule"]["trigger_type"], "interval")
        client.call("PATCH", "/v1/collections/later",
                    {"schedule": WRONG_SCHEDULES[0]}).expect(422)
    with lib.check("a chain of collections is not made longer than a batch can run"):
        last = "texts"
        for tier in range(1, 9):
            source = {"type": "collection", "collection_id": last}
            passing = {"feature_extractor_name": "passthrough_extractor", "version": "v1",
                       "input_mappings": {"content": "sku"}, "field_passthrough": ["sku"]}
            made = make(200 if tier < 8 else 422, f"tier{tier}", source=source,
                        feature_extractor=passing)
            lib.equal(made.get("tier_num"), tier if tier < 8 else None)
            made_by = [entry["feature_extractor"]["feature_extractor_name"]
                       for entry in made.get("source_lineage", [])]
            lib.equal(made_by, ["text_extractor", "passthrough_extractor",
                                *["passthrough_extractor"] * (tier - 2)][:tier * (tier < 8)])
            last = f"tier{tier}"
        for tier in range(7, 0, -1):
            client.call("DELETE", f"/v1/collections/tier{tier}").expect(200)


def retrievers(client):
    def run(*stages, status=200):
        return client.post("/v1/retrievers/execute", {
            "stages": stages, "inputs": {"n": 7}, "collection_identifiers": ["texts"]}
                           ).expect(status)

    with lib.check("a stage's parameters are as its schema says, before it is stored"):
        for wrong in ({"final_top_k": 501}, {"final_top_k": 0}, {"final_top_k": "many"},
                      {"fusion": "best"}, {"group_by": {"field": "n", "max_per_group": 101}},
                      {"searches": [{"feature_uri": URI, "query": {"value": "a"}}] * 11},
                      {"searches": []}):
            client.post("/v1/retrievers", {
                "retriever_name": "wrong", "stages": [stage(**wrong)],
                "collection_identifiers": ["texts"]}).expect(422)
            run(stage(**wrong), status=422)
        for parameters in ({"count": 0}, {"strategy": "best"}):
            run(stage(), {"type": "sample", **parameters}, status=422)
        run(stage(final_top_k="{{INPUT.n}}"))
        run(stage(final_top_k="{{INPUT.none}}", fusion="max"))
    with lib.check("a query may be content that is text"):
        for content in ({"input_mode": "content", "value": "data:text/plain;base64,Z3JlZW4gdGVh"},
                        {"input_mode": "content", "value": "data:text/plain,green%20tea"},
                        {"input_mode": "content", "content": {"base64": "Z3JlZW4gdGVh"}},
                        {"input_mode": "content", "value": "green tea"}):
            lib.equal(run(query(content))["documents"][0]["text"], "green tea")
        for content in ("data:image/png;base64,AAEC", "https://example.com/a.png"):
            run(query({"input_mode": "content", "value": content}), status=422)
        run(query({"value": ""}, on_empty="random"), status=422)
        run(query({"value": ""}, on_empty="skip"))


def models(client):
    with lib.check("the built-in model is listed and shown, for both kinds of clients"):
        listed = client.get("/v1/models").expect(200)
        lib.equal([item["id"] for item in listed["data"] if item["available"]],
                  ["text_hash_v1"])
        lib.equal(listed["models"], [])
        shown = client.get("/v1/models/text_hash_v1").expect(200)
        lib.equal((shown["object"], shown["model"]["model_id"]), ("model", "text_hash_v1"))
        client.call("DELETE", "/v1/models/text_hash_v1").expect(404)
    with lib.check("models of the catalogue that cannot run here are listed, with the reason"):
        absent = {item["id"]: item["unavailable_reason"] for item in listed["data"]
                  if not item["available"]}
        lib.equal(sorted(absent), sorted((
            "multilingual-e5-large-instruct", "gte-modernbert-base", "clip_vit_l_14", "splade_v1",
            "colbertv2", "bge-reranker-v2-m3", "cross-encoder", "gpt-4", "claude-3-opus",
            "gemini-pro", "whisper_large_v3_turbo", "pyannote-segmentation")))
        for model, reason in absent.items():
            assert len(reason) > 40, (model, reason)
            shown = client.get(f"/v1/models/{model}").expect(200)["model"]
            lib.equal((shown["available"], shown["deployed"], shown["unavailable_reason"]),
                      (False, False, reason))
            for path, body in (("inference", {"inputs": {"text": "tea"}}),
                               ("embeddings", {"input": "tea"})):
                error = client.post(f"/v1/{path}", {"model": model, **body}).expect(422)["error"]
                assert reason in error["message"], error
    with lib.check("an inference says how near a cached one may be, from 0 to 1"):
        body = {"feature_uri": URI, "inputs": {"text": "tea"}}
        client.post("/v1/inference", {**body, "cache_delta": 0.5}).expect(200)
        client.post("/v1/inference", {**body, "cache_delta": 7}).expect(422)


def keys(client):
    with lib.check("a key can do what its permissions say and no more"):
        path = "/v1/organizations/users/owner%40contract.local/api-keys"
        made = client.post(path, {"name": "reads", "permissions": ["read"]}).expect(200)
        reader = lib.Client(client.port, made["key"], client.namespace)
        reader.post("/v1/buckets/list").expect(200)
        reader.post("/v1/retrievers/execute", {
            "stages": [stage()], "inputs": {}, "collection_identifiers": ["texts"]}).expect(200)
        for method, refused in (("POST", "/v1/buckets"), ("POST", "/v1/inference"),
                                ("DELETE", "/v1/buckets/items"),
                                ("GET", "/v1/organizations/users")):
            reader.call(method, refused, {}).expect(403)
        reader.get("/v1/taxonomies/any").expect(501)
        for method, name in (("DELETE", ""), ("PATCH", ""), ("POST", "/rotate")):
            client.call(method, f"{path}/admin-key{name}", {"name": "z"}).expect(403)


def main():
    server = lib.Server().start()
    client = server.tenant("contract")
    client.namespace = client.make("namespace", "contract", feature_extractors=lib.BOTH)
    bucket = client.make("bucket", "items", bucket_schema={"properties": {
        "content": {"type": "text"}, "sku": {"type": "string"}, "n": {"type": "integer"}}})
    client.make("collection", "texts", feature_extractor=EXTRACTOR,
                source={"type": "bucket", "bucket_ids": [bucket]})
    texts = ("red fox", "green tea", "deep sea")
    made = client.make_objects("items", [lib.text_object(text, sku=f"S{n}", n=n)
                                         for n, text in enumerate(texts)])
    client.wait_task(client.submit("items", made)[1])
    client.make("bucket", "once")
    names(client)
    headers(client, server.operator())
    lists(client)
    objects(client)
    collections(client)
    retrievers(client)
    models(client)
    keys(client)
    lib.finish()


if __name__ == "__main__":
    main()
