#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Documents by hand and in bulk: written, changed and deleted, by ids and by filters."""
import sluice_testlib as lib

ABSENT = "doc_000000000000000000000000"


def setup(server):
    client = server.tenant("documents-test")
    client.namespace = client.make("namespace", "documents", feature_extractors=lib.BOTH)
    bucket = client.make("bucket", "texts", bucket_schema={
        "properties": {"content": {"type": "text"}, "sku": {"type": "string"}}})
    client.make("collection", "texts", source={"type": "bucket", "bucket_ids": [bucket]},
                feature_extractor={"feature_extractor_name": "text_extractor", "version": "v1",
                                   "input_mappings": {"text": "content"},
                                   "field_passthrough": ["sku"]})
    ids = client.make_objects(bucket, [lib.text_object(f"text number {n}", sku=f"s{n}")
                                       for n in range(50)])
    _, task = client.submit(bucket, ids)
    client.wait_task(task)
    return client


def search(client, text):
    reply = client.post("/v1/documents/search", {"query": text, "collection_ids": ["texts"],
                                                 "page_size": 50}).expect(200)
    return [item["document_id"] for item in reply["results"]]


def check_create(client):
    path = "/v1/collections/texts/documents"
    index = client.get("/v1/collections/texts").expect(200)["vector_indexes"][0]
    size = index["index"]["dimensions"]
    with lib.check("a document is written by hand, with its vector, and found by it"):
        sample = client.call("GET", f"{path}?return_vectors=true&limit=1").expect(200)
        vector = sample["results"][0]["text_extractor_v1_embedding"]
        made = client.post(path, {
            "collection_id": "texts", "root_object_id": "obj_x", "color": "red",
            "features": [{"feature_extractor_id": "text_extractor_v1",
                          "payload": {"text": "by hand"},
                          "vectors": {index["index"]["name"]: vector}}]}).expect(200)
        lib.equal((made["color"], made["text"]), ("red", "by hand"))
        lib.equal(made["_internal"]["lineage"]["root_object_id"], "obj_x")
        shown = client.get(f"{path}/{made['document_id']}?return_vectors=true").expect(200)
        lib.equal(shown["text_extractor_v1_embedding"], vector)
        assert made["document_id"] in search(client, sample["results"][0]["text"]), "not found"
    with lib.check("a vector of another size is refused, and of no number"):
        for wrong in ([1.0] * (size - 1), ["a"] * size, {"other": [1.0] * size}):
            client.post(path, {"collection_id": "texts", "features": [
                {"feature_extractor_id": "text_extractor_v1", "vectors": wrong}]}).expect(422)
    with lib.check("the same Idempotency-Key writes it once"):
        headers = {"Idempotency-Key": "hand-1"}
        one = client.post(path, {"collection_id": "texts", "n": 1}, headers=headers).expect(200)
        two = client.post(path, {"collection_id": "texts", "n": 1}, headers=headers).expect(200)
        lib.equal(one["document_id"], two["document_id"])


def check_update(client):
    path = "/v1/collections/texts/documents"
    documents = [item for item in client.documents("texts") if "sku" in item]
    ids = [item["document_id"] for item in documents[:3]]
    with lib.check("documents are changed by their ids, each with its own result"):
        reply = client.post(f"{path}/batch", {"updates": [
            {"document_id": ids[0], "update_data": {"tag": "a"}},
            {"document_id": ABSENT, "update_data": {"tag": "a"}},
            {"document_id": ids[1], "update_data": {"text_extractor_v1_embedding": [1]}}]}
        ).expect(200)
        lib.equal((reply["updated_count"], reply["failed_count"]), (1, 2))
        lib.equal([item["success"] for item in reply["results"]], [True, False, False])
        lib.equal(client.get(f"{path}/{ids[0]}").expect(200)["tag"], "a")
    with lib.check("documents are changed by a filter"):
        reply = client.post(f"{path}/batch", {
            "filters": {"field": "sku", "operator": "in", "value": ["s1", "s2"]},
            "update_data": {"tag": "b"}}).expect(200)
        lib.equal((reply["updated_count"], reply["failed_count"]), (2, 0))
        reply = client.call("PATCH", f"{path}/bulk", {
            "filters": {"tag": "b"}, "update_data": {"tag": "c"}}).expect(200)
        lib.equal(reply["updated_count"], 2)
        found = client.post(f"{path}/list", {"filters": {"tag": "c"}}).expect(200)["results"]
        lib.equal(sorted(item["sku"] for item in found), ["s1", "s2"])
    with lib.check("both modes at once, and none, are refused"):
        client.post(f"{path}/batch", {}).expect(422)
        client.post(f"{path}/batch", {"updates": [{"document_id": ids[0], "update_data": {}}],
                                      "filters": {"tag": "c"}}).expect(422)
        client.call("DELETE", f"{path}/batch", {}).expect(422)
        client.call("PATCH", f"{path}/bulk", {"filters": {"tag": "c"}}).expect(422)


def check_delete(client):
    path = "/v1/collections/texts/documents"
    documents = [item for item in client.documents("texts") if "sku" in item]
    ids = [item["document_id"] for item in documents[:5]]
    before = client.get("/v1/collections/texts").expect(200)["document_count"]
    search(client, "text number 1")  # The index is in memory now.
    with lib.check("documents are deleted by their ids, from the index too"):
        reply = client.call("DELETE", f"{path}/batch", {"document_ids": [*ids, ABSENT]}).expect(200)
        lib.equal((reply["deleted_count"], reply["failed_count"]), (5, 1))
        client.get(f"{path}/{ids[0]}").expect(404)
        assert not set(ids) & set(search(client, "text number 1")), "a deleted one was found"
    with lib.check("documents are deleted by a filter, and counted"):
        reply = client.call("DELETE", f"{path}/batch", {
            "filters": {"field": "sku", "operator": "starts_with", "value": "s"}}).expect(200)
        lib.equal(reply["deleted_count"], 45)
        after = client.get("/v1/collections/texts").expect(200)["document_count"]
        lib.equal(before - after, 50)
        lib.equal([item for item in client.documents("texts") if "sku" in item], [])


def main():
    server = lib.Server().start()
    client = setup(server)
    check_create(client)
    check_update(client)
    check_delete(client)
    with lib.check("sluice stops when asked"):
        lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
