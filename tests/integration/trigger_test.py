#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A collection that several buckets feed, triggered: all of them, some, filtered; and many."""
import sluice_testlib as lib


def setup(server):
    client = server.tenant("trigger-test")
    client.namespace = client.make("namespace", "triggered", feature_extractors=lib.BOTH)
    buckets = [client.make("bucket", name, bucket_schema={"properties": {
        "content": {"type": "text"}, "n": {"type": "integer"}}})
        for name in ("one", "two", "three")]
    ids = {bucket: client.make_objects(bucket, [
        lib.text_object(f"text {n} of {bucket}", n=n) for n in range(4)]) for bucket in buckets}
    client.make("collection", "all_of_them", source={
        "type": "bucket", "bucket_ids": buckets,
        "source_filters": {"field": "n", "operator": "lt", "value": 3}},
        feature_extractor={"feature_extractor_name": "text_extractor", "version": "v1",
                           "input_mappings": {"text": "content"}, "field_passthrough": ["n"]})
    return client, buckets, ids


def trigger(client, **body):
    done = client.post("/v1/collections/all_of_them/trigger", body).expect(202)
    lib.equal(client.wait_task(done["task_id"])["status"], "COMPLETED")
    return done


def many(client):
    """More rows than one turn looks at, twice: a walk goes on where it was, in the right bucket."""
    names = ("many_a", "many_b")
    buckets = [client.make("bucket", name, bucket_schema={"properties": {
        "content": {"type": "text"}, "n": {"type": "integer"}}}) for name in names]
    bodies = [lib.text_object("x", n=n) for n in range(6000)]
    for name in names:
        client.make_objects(name, bodies)
    passing = {"feature_extractor_name": "passthrough_extractor", "version": "v1",
               "input_mappings": {"content": "content"}, "field_passthrough": ["n", "content"]}
    client.make("collection", "many", feature_extractor=passing,
                source={"type": "bucket", "bucket_ids": buckets})
    path = "/v1/collections/many/trigger"
    with lib.check("a trigger finds the few that it wants among many"):
        wanted = {"field": "n", "operator": "in", "value": [0, 4095, 4096, 5999]}
        done = client.post(path, {"source_filters": wanted}).expect(202)
        lib.equal(done["object_count"], 8)
        client.wait_task(done["task_id"])
        lib.equal(sorted(item["n"] for item in client.documents("many")),
                  [0, 0, 4095, 4095, 4096, 4096, 5999, 5999])
    with lib.check("and takes all of many, each once"):
        done = client.post(path, headers={"Idempotency-Key": "all"}).expect(202)
        lib.equal(done["object_count"], 12000)
        again = client.post(path, headers={"Idempotency-Key": "all"}).expect(202)
        lib.equal(again, done)
        lib.equal(client.wait_task(done["task_id"])["status"], "COMPLETED")
    with lib.check("what a batch wrote among them is counted when its index is built again"):
        batches = client.post("/v1/buckets/many_a/batches/list").expect(200)["results"]
        counts = sorted(client.post(
            f"/v1/buckets/many_a/batches/{batch['batch_id']}/tiers/0/retry-qdrant-write"
            ).expect(200)["documents_written"] for batch in batches)
        lib.equal(counts, [8, 12000])
    with lib.check("documents are found among many as well"):
        client.make("collection", "of_many", feature_extractor=passing,
                    source={"type": "collection", "collection_id": "many"})
        done = client.post("/v1/collections/of_many/trigger",
                           {"source_filters": {"n": 5999}}).expect(202)
        lib.equal(done["document_count"], 4)
        client.wait_task(done["task_id"])
        lib.equal([item["n"] for item in client.documents("of_many")], [5999] * 4)


def main():
    server = lib.Server().start()
    client, buckets, ids = setup(server)
    with lib.check("a trigger processes the objects of every bucket, as the collection filters"):
        done = trigger(client)
        lib.equal((done["source_bucket_ids"], done["object_count"]), (buckets, 12))
        roots = sorted(lib.root_object(item) for item in client.documents("all_of_them"))
        lib.equal(roots, sorted(ids[bucket][n] for bucket in buckets for n in range(3)))
        batch = client.get(f"/v1/buckets/one/batches/{done['batch_id']}").expect(200)
        lib.equal((batch["status"], batch["tier_tasks"][0]["documents_written"]), ("COMPLETED", 9))
    with lib.check("or of those that are named, and with filters of its own"):
        done = trigger(client, include_buckets=["two", buckets[2]], source_filters={"n": 1})
        lib.equal((done["source_bucket_ids"], done["object_count"]), (buckets[1:], 2))
        lib.equal(len(client.documents("all_of_them")), 11)
    with lib.check("a filter may read what is not the object's own fields, and into it"):
        for filters, count in (({"bucket_id": buckets[0]}, 4),
                               ({"object_id": ids[buckets[1]][2]}, 1),
                               ({"field": "blobs.0.property", "value": "content"}, 12),
                               ({"AND": [{"status": "DRAFT"}, {"n": 2}]}, 3)):
            lib.equal(trigger(client, source_filters=filters)["object_count"], count)
    with lib.check("nothing to do, and a bucket that feeds it not, are refused"):
        path = "/v1/collections/all_of_them/trigger"
        client.post(path, {"source_filters": {"n": 99}}).expect(400)
        client.post(path, {"include_buckets": ["none"]}).expect(422)
        client.post(path, {"include_collections": ["all_of_them"]}).expect(422)
    many(client)
    with lib.check("sluice stops when asked"):
        lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
