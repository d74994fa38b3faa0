# SPDX-License-Identifier: Apache-2.0
"""The public Python SDK, unchanged, against sluice: only its base URL differs.

Run by scripts/test-more with the interpreter of a venv that has PyPI's `mixpeek`, and with
tests/integration in PYTHONPATH. Both clients of the SDK are used: the generated one, which parses
every reply into its models, and the high-level one, which has spellings of its own.
"""
import time

import mixpeek
import sluice_testlib as lib
from mixpeek import models

EXTRACTOR = {"feature_extractor_name": "text_extractor", "version": "v1"}
URI = "mixpeek://text_extractor@v1/text_hash_v1"
TEXTS = ("Waterproof hiking boots, size 42", "A red bicycle for children", "Green tea, loose")


def find_stage(query):
    return {"stage_name": "search", "stage_type": "filter", "config": {
        "stage_id": "feature_search", "parameters": {
            "final_top_k": 3, "searches": [{"feature_uri": URI, "top_k": 50, "query": {
                "input_mode": "text", "value": query}}]}}}


def generated_flow(server, key):
    """Namespace to search result with the generated client."""
    api = mixpeek.ApiClient(mixpeek.Configuration(host=f"http://127.0.0.1:{server.port}"))
    api.set_default_header("Authorization", f"Bearer {key}")
    with lib.check("SDK: create a namespace, get it, list it"):
        namespaces = mixpeek.NamespacesApi(api)
        space = namespaces.create_namespace(models.CreateNamespaceRequest.from_dict({
            "namespace_name": "shop", "feature_extractors": [EXTRACTOR]}))
        lib.equal(namespaces.get_namespace("shop").namespace_id, space.namespace_id)
        lib.equal([item.namespace_id for item in namespaces.list_namespaces().results],
                  [space.namespace_id])
        api.set_default_header("X-Namespace", space.namespace_id)
    with lib.check("SDK: create a bucket"):
        bucket = mixpeek.BucketsApi(api).create_bucket(models.BucketCreateRequest.from_dict({
            "bucket_name": "items", "bucket_schema": {"properties": {
                "content": {"type": "text"}, "sku": {"type": "string"}}}}))
    with lib.check("SDK: create objects, one and in bulk, and list them"):
        objects = mixpeek.BucketObjectsApi(api)

        def request(index):
            return models.CreateObjectRequest.from_dict({"sku": f"S-{index}", "blobs": [
                {"property": "content", "type": "text", "data": TEXTS[index]}]})

        ids = [objects.create_object_buckets(bucket.bucket_id, request(0)).object_id]
        many = objects.create_objects_batch_buckets(
            bucket.bucket_id, models.CreateObjectsBatchRequest(objects=[request(1), request(2)]))
        ids += [item.object_id for item in many.succeeded]
        listed = objects.list_objects_buckets(bucket.bucket_id)
        lib.equal({item.object_id for item in listed.results}, set(ids))
    with lib.check("SDK: create a collection"):
        collections = mixpeek.CollectionsApi(api)
        collection = collections.create_collection(models.CreateCollectionRequest.from_dict({
            "collection_name": "items_text",
            "source": {"type": "bucket", "bucket_ids": [bucket.bucket_id]},
            "feature_extractor": {**EXTRACTOR, "input_mappings": {"text": "content"},
                                  "field_passthrough": [{"source_path": "sku"}]}}))
        lib.equal(collections.get_collection("items_text").collection_id,
                  collection.collection_id)
    with lib.check("SDK: create a batch, submit it, poll its task to the end"):
        batches, tasks = mixpeek.BucketBatchesApi(api), mixpeek.TasksApi(api)
        batch = batches.create_batch_buckets_batches(
            bucket.bucket_id, models.CreateBatchRequest(object_ids=ids))
        task = batches.submit_batch_buckets_batches(bucket.bucket_id, batch.batch_id)
        deadline = time.monotonic() + 60
        while tasks.get_task(task.task_id).status not in lib.TERMINAL:
            assert time.monotonic() < deadline, "the task does not end"
            time.sleep(0.05)
        lib.equal(tasks.get_task(task.task_id).status, "COMPLETED")
        done = batches.get_batch_buckets_batches(bucket.bucket_id, batch.batch_id)
        lib.equal(done.status, "COMPLETED")
    with lib.check("SDK: list documents"):
        documents = mixpeek.CollectionDocumentsApi(api).list_documents("items_text")
        lib.equal(len(documents.results), 3)
    with lib.check("SDK: create a retriever and execute it"):
        retrievers = mixpeek.RetrieversApi(api)
        made = retrievers.create_retriever(models.CreateRetrieverRequest.from_dict({
            "retriever_name": "find", "collection_identifiers": ["items_text"],
            "input_schema": {"query": {"type": "string", "required": True}},
            "stages": [find_stage("{{INPUT.query}}")]}))
        found = retrievers.execute_retriever(
            made.retriever.retriever_id,
            models.ExecuteRetrieverRequest.from_dict({"inputs": {"query": "hiking boots"}}))
        found = found if isinstance(found, dict) else found.to_dict()
        lib.equal(found["documents"][0]["sku"], "S-0")
    with lib.check("SDK: a missing thing and a taken name raise their own classes"):
        for error, call in (
                (mixpeek.exceptions.NotFoundException, lambda: namespaces.get_namespace("none")),
                (mixpeek.exceptions.ConflictException, lambda: namespaces.create_namespace(
                    models.CreateNamespaceRequest.from_dict({
                        "namespace_name": "shop", "feature_extractors": [EXTRACTOR]})))):
            try:
                call()
            except error:
                continue
            raise AssertionError(f"{error.__name__} was not raised")


def high_level_flow(server, key):
    """The ergonomic client: its short spellings must work as well."""
    client = mixpeek.Mixpeek(key, base_url=f"http://127.0.0.1:{server.port}/v1")
    with lib.check("SDK, high level: namespace, bucket, upload, collection by their short names"):
        client.namespace = client.namespaces.create(name="short")["namespace_id"]
        lib.equal(len(client.namespaces.list()["results"]), 2)
        bucket = client.buckets.create(name="things", bucket_schema={
            "properties": {"content": {"type": "text"}}})["bucket_id"]
        lib.equal(client.buckets.get(bucket)["bucket_name"], "things")
        item = client.buckets.upload(bucket, data=TEXTS[1], metadata={"shelf": "7"})["object_id"]
        lib.equal(client.buckets.list_objects(bucket)["results"][0]["object_id"], item)
        client.collections.create(
            name="thing_text", source={"type": "bucket", "bucket_ids": [bucket]},
            feature_extractor={**EXTRACTOR, "input_mappings": {"text": "content"}})
        lib.equal(client.collections.get("thing_text")["collection_name"], "thing_text")
    with lib.check("SDK, high level: search in one line"):
        plain = lib.Client(server.port, key, client.namespace)
        _, task = plain.submit(bucket, [item])
        lib.equal(plain.wait_task(task)["status"], "COMPLETED")
        found = client.search("red bicycle", collection="thing_text")
        lib.equal(found["documents"][0]["text"], TEXTS[1])


def main():
    server = lib.Server().start()
    key = server.tenant("sdk").key
    with lib.check("SDK: the generated client came to its end"):
        generated_flow(server, key)
    with lib.check("SDK: the high-level client came to its end"):
        high_level_flow(server, key)
    lib.finish()


if __name__ == "__main__":
    main()
