#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One flow from a namespace to a search result, over HTTP, and the same again after a restart."""
import http.client
import json
import os
import re
import time

import sluice_testlib as lib

BOOTS = "Waterproof hiking boots, size 42"
URI = "mixpeek://text_extractor@v1/text_hash_v1"


def check_public(client):
    """What needs no key."""
    with lib.check("health answers without a key"):
        lib.equal(client.get("/v1/health/liveness").expect(200), {"status": "ok"})
        health = client.get("/v1/health").expect(200)
        assert health["status"] in ("OK", "DEGRADED"), health
        lib.equal({"cache", "metadata", "vector_store", "object_storage", "task_queue",
                   "inference"} - set(health["data"]), set(), "missing parts")
    with lib.check("the OpenAPI document lists the routes"):
        document = client.get("/openapi.json").expect(200)
        assert document["openapi"].startswith("3.1"), document["openapi"]
        assert "post" in document["paths"]["/v1/namespaces"], list(document["paths"])
    with lib.check("extractors are discovered as a bare array"):
        found = client.get("/v1/feature-extractors").expect(200)
        names = {item["feature_extractor_id"] for item in found}
        assert {"text_extractor_v1", "passthrough_extractor_v1"} <= names, names


def make_items(client):
    """Namespace, bucket, object, collection; return the ids by name."""
    made = {}
    with lib.check("a namespace is created and found by id and name"):
        made["namespace"] = client.make("namespace", "shop", feature_extractors=lib.BOTH)
        assert re.fullmatch(r"ns_[a-z0-9]{12}", made["namespace"]), made
        for key in (made["namespace"], "shop"):
            found = client.get(f"/v1/namespaces/{key}").expect(200)
            lib.equal(found["namespace_id"], made["namespace"])
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["created_at"])
        lib.equal(client.get("/v1/namespaces/").expect(200)["total_count"], 1)
    client.namespace = made["namespace"]
    with lib.check("a bucket is created"):
        made["bucket"] = client.make(
            "bucket", "items", unique_key={"fields": ["sku"], "default_policy": "upsert"},
            bucket_schema={"properties": {"content": {"type": "text"}, "sku": {"type": "string"}}})
        assert re.fullmatch(r"bkt_[a-z0-9]{12}", made["bucket"]), made
    with lib.check("an object is created once for one idempotency key"):
        put = [client.post("/v1/buckets/items/objects", lib.text_object(BOOTS, sku="A-17"),
                           headers={"Idempotency-Key": "put-17"}) for _ in range(2)]
        lib.equal(put[0].expect(200)["object_id"], put[1].expect(200)["object_id"])
        lib.equal(put[0].json["status"], "DRAFT")
        lib.equal(put[1].headers.get("Idempotent-Replayed"), "true", "the replay's header")
        other = client.post("/v1/buckets/items/objects", lib.text_object("Tent", sku="B-1"),
                            headers={"Idempotency-Key": "put-17"})
        other.expect(422)
        made["object"] = put[0].json["object_id"]
        lib.equal(client.get("/v1/buckets/items").expect(200)["object_count"], 1)
    with lib.check("an upsert of the same unique key keeps the object's id"):
        again = client.post("/v1/buckets/items/objects", lib.text_object(BOOTS, sku="A-17"))
        lib.equal(again.expect(200)["object_id"], made["object"])
    with lib.check("objects are created in bulk"):
        made["more"] = client.make_objects("items", [
            lib.text_object(text, sku=f"C-{i}") for i, text in enumerate(
                ("A red bicycle for children", "Green tea from the mountains. Sold by weight."))])
    with lib.check("a collection names its vector index after what makes the vectors"):
        reply = client.post("/v1/collections", {
            "collection_name": "items_text",
            "source": {"type": "bucket", "bucket_ids": [made["bucket"]]},
            "feature_extractor": {
                "feature_extractor_name": "text_extractor", "version": "v1",
                "input_mappings": {"text": "content"},
                "field_passthrough": [{"source_path": "sku"}],
                "parameters": {"split_by": "sentences", "chunk_size": 1}}}).expect(200)
        made["collection"] = reply["collection_id"]
        lib.equal(reply["vector_indexes"][0]["feature_uri"], URI)
        assert "text" in reply["output_schema"]["properties"], reply["output_schema"]
    return made


def run_batch(client, made):
    with lib.check("a batch runs to its end and reports its progress"):
        batch, task_id = client.submit("items", [made["object"], *made["more"]])
        made["batch"], made["task"] = batch, task_id
        task = client.wait_task(task_id)
        lib.equal(task["status"], "COMPLETED", "the task's status")
        lib.equal(task["task_type"], "api_buckets_batches_process")
        lib.equal(task["additional_data"]["progress"], {"done": 3, "failed": 0, "total": 3})
        lib.equal(client.get(f"/v1/buckets/items/batches/{batch}").expect(200)["status"],
                  "COMPLETED")
    with lib.check("every chunk is a document with its passthrough fields and its lineage"):
        found = client.documents("items_text")
        lib.equal(len(found), 4, "the count of documents")
        lib.equal(sorted({item["sku"] for item in found}), ["A-17", "C-0", "C-1"])
        lib.equal({lib.root_object(item) for item in found}, {made["object"], *made["more"]})
        one = client.get(f"/v1/collections/items_text/documents/{found[0]['document_id']}")
        lib.equal(one.expect(200)["text"], found[0]["text"])
    with lib.check("the same batch again, as a new one, overwrites by unique key"):
        _, task_id = client.submit("items", [made["object"], *made["more"]])
        lib.equal(client.wait_task(task_id)["status"], "COMPLETED")
        lib.equal(len(client.documents("items_text")), 4, "the count of documents")


def find(client, query):
    reply = client.post("/v1/retrievers/find/execute", {"inputs": {"query": query}}).expect(200)
    lib.equal(reply["status"], "completed")
    return reply["documents"]


def check_search(client):
    with lib.check("a retriever finds the nearest document first, with its score"):
        reply = client.post("/v1/retrievers", {
            "retriever_name": "find", "collection_identifiers": ["items_text"],
            "input_schema": {"query": {"type": "string", "required": True}},
            "stages": [{"stage_name": "search", "stage_type": "filter", "config": {
                "stage_id": "feature_search", "parameters": {
                    "final_top_k": 3, "fusion": "rrf", "searches": [{
                        "feature_uri": URI, "top_k": 50,
                        "query": {"input_mode": "text", "value": "{{INPUT.query}}"}}]}}}]})
        lib.equal(reply.expect(200)["retriever"]["retriever_id"], reply.json["retriever_id"])
        hits = find(client, "hiking boots")
        lib.equal(hits[0]["sku"], "A-17")
        lib.equal(len(hits), 3, "final_top_k")
        scores = [hit["score"] for hit in hits]
        lib.equal(scores, sorted(scores, reverse=True), "the order of scores")
        # The same text gives the same vector: cosine 1, but for rounding.
        assert abs(find(client, BOOTS)[0]["score"] - 1) < 1e-3, find(client, BOOTS)[0]
    with lib.check("an ad-hoc search needs no retriever"):
        reply = client.post("/v1/retrievers/execute", {
            "inputs": {"query": "red bicycle"}, "input_schema": {"query": {"type": "string"}},
            "collection_identifiers": ["items_text"],
            "stages": [{"stage_name": "search", "config": {
                "stage_id": "feature_search", "parameters": {"searches": [{
                    "feature_uri": URI, "query": {"value": "{{inputs.query}}"}}]}}}]})
        lib.equal(reply.expect(200)["documents"][0]["sku"], "C-0")


def check_command_line(server, client):
    with lib.check("the command line answers in JSON"):
        done = server.run("status", "--json", key=client.key)
        lib.equal(done.returncode, 0, f"exit status ({done.stderr})")
        json.loads(done.stdout)
        lib.equal(server.run("version").returncode, 0, "exit status of version")
        lib.equal(server.run("no-such-verb").returncode != 0, True)
    with lib.check("the dashboard's page carries no key, and its port answers as the API does"):
        page = lib.Client(server.dashboard_port).get("/")
        lib.equal(page.status, 200)
        assert b"<html" in page.text.lower() and client.key.encode() not in page.text
        for path, status in (("/v1/whoami", 200), ("/v1/cluster/queues", 200),
                             ("/v1/tenants", 403), ("/nothing", 404)):
            connection = http.client.HTTPConnection("127.0.0.1", server.dashboard_port, timeout=60)
            connection.request("GET", path, headers={"Authorization": f"Bearer {client.key}"})
            lib.equal(connection.getresponse().status, status, f"{path} of the dashboard's port")
            connection.close()


def main():
    server = lib.Server()
    with lib.check("it is ready on an empty directory"):
        started = time.monotonic()
        server.start()
        print(f"ready after {(time.monotonic() - started) * 1000:.0f} ms")
        lib.equal(os.stat(os.path.join(server.data, "admin.key")).st_mode & 0o777, 0o600)
        assert os.path.exists(os.path.join(server.data, "format"))
    check_public(lib.Client(server.port))
    client = server.tenant("acme-corp")
    made = make_items(client)
    run_batch(client, made)
    check_search(client)
    check_command_line(server, client)
    with lib.check("SIGTERM drains and stops, and leaves no process"):
        lib.equal(server.stop(), 0, "the exit status")
        lib.equal(server.pids(), [], "processes left")
    with lib.check("after a restart everything is as it was"):
        server.start()
        lib.equal(len(client.documents("items_text")), 4, "the count of documents")
        lib.equal(client.get(f"/v1/tasks/{made['task']}").expect(200)["status"], "COMPLETED")
        lib.equal(find(client, "hiking boots")[0]["sku"], "A-17")
    lib.finish()


if __name__ == "__main__":
    main()
