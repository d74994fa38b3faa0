#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Batches of several tiers: collections fed by collections, failures and trying them again, and
everything killed in the middle. Each document of a tier becomes exactly one of the next."""
import os
import subprocess
import tempfile
import time

import sluice_testlib as lib

HERE = os.path.dirname(os.path.abspath(__file__))
KILLED_OBJECTS = 1500


def build_plugin(folder):
    """flaky_extractor fails while the file `broken` is there, transiently."""
    subprocess.run(["cc", "-std=gnu17", "-shared", "-fPIC", "-D_GNU_SOURCE",
                    f'-DBROKEN="{folder}/broken"',
                    "-I", os.path.join(lib.ROOT, "extractors/include"),
                    os.path.join(HERE, "flaky_plugin.c"),
                    "-o", os.path.join(folder, "flaky_extractor.so")], check=True)
    config = os.path.join(folder, "sluice.yaml")
    with open(config, "w", encoding="ascii") as file:
        file.write(f"plugins: {folder}\nretry:\n  attempts: 2\n  base: 5ms\n  cap: 20ms\n")
    return config


def collection(client, name, extractor, sources, **more):
    kind = "collection" if sources[0].startswith("col_") else "bucket"
    fields = {"source": {"type": kind, f"{kind}_ids": sources, **more.pop("source", {})},
              "feature_extractor": {"feature_extractor_name": extractor, "version": "v1", **more}}
    return client.make("collection", name, **fields)


def wait_batch(client, bucket, batch, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = client.get(f"/v1/buckets/{bucket}/batches/{batch}").expect(200)
        if found["status"] in lib.TERMINAL:
            return found
        time.sleep(0.05)
    raise AssertionError(f"batch is {found['status']}: {found}")


def lines_of(number):
    return f"Red {number} is here. Blue {number} is here. Green {number} is here."


def make_tiers(client):
    """objects -> sentences -> {copies, flaky} -> copies of copies"""
    bucket = client.make("bucket", "texts", bucket_schema={
        "properties": {"content": {"type": "text"}, "sku": {"type": "string"}}})
    first = collection(client, "sentences", "text_extractor", [bucket],
                       input_mappings={"text": "content"}, field_passthrough=["sku"],
                       parameters={"split_by": "sentences", "chunk_size": 1})
    second = collection(client, "copies", "passthrough_extractor", [first],
                        input_mappings={"content": "text"}, field_passthrough=["text", "sku"],
                        source={"source_filters": {"filters": {
                            "field": "text", "operator": "contains", "value": "e"}}})
    third = collection(client, "flaky", "flaky_extractor", [first],
                       input_mappings={"content": "text"}, field_passthrough=["text"])
    fourth = collection(client, "last", "passthrough_extractor", [second, third],
                        input_mappings={"content": "text"}, field_passthrough=["text"])
    return bucket, [first, second, third, fourth]


def check_whole(client, bucket, ids):
    with lib.check("a collection is fed by collections, with what they make as its input"):
        shown = client.get("/v1/collections/last").expect(200)
        lib.equal(shown["source"]["type"], "collection")
        lib.equal(shown["source"]["inherited_bucket_ids"], [bucket])
        assert "text" in shown["input_schema"]["properties"], shown
    with lib.check("a collection that would feed itself is refused"):
        client.post("/v1/collections", {
            "collection_name": "self", "source": {"type": "collection", "collection_ids": ["self"]},
            "feature_extractor": {"feature_extractor_name": "passthrough_extractor",
                                  "version": "v1", "input_mappings": {"content": "text"}}}
        ).expect(422)
    with lib.check("an input that no document has is refused"):
        client.post("/v1/collections", {
            "collection_name": "wrong",
            "source": {"type": "collection", "collection_ids": [ids[0]]},
            "feature_extractor": {"feature_extractor_name": "passthrough_extractor",
                                  "version": "v1", "input_mappings": {"content": "absent"}}}
        ).expect(422)
    objects = client.make_objects(bucket, [lib.text_object(lines_of(n), sku=f"s{n}")
                                           for n in range(20)])
    batch, _ = client.submit(bucket, objects)
    found = wait_batch(client, bucket, batch)
    with lib.check("a batch runs all tiers, and says so"):
        lib.equal(found["status"], "COMPLETED", found)
        lib.equal((found["total_tiers"], found["current_tier"]), (3, 2))
        lib.equal([sorted(tier) for tier in found["dag_tiers"]],
                  [[ids[0]], sorted(ids[1:3]), [ids[3]]])
        lib.equal([tier["status"] for tier in found["tier_tasks"]], ["COMPLETED"] * 3)
        lib.equal([tier["documents_written"] for tier in found["tier_tasks"]], [60, 120, 120])
        lib.equal([tier["source_type"] for tier in found["tier_tasks"]],
                  ["bucket", "collection", "collection"])
        second = found["tier_tasks"][1]
        lib.equal((second["source_documents_fetched"], second["documents_after_source_filter"],
                   second["documents_submitted_to_engine"]), (120, 120, 120))
    with lib.check("each document of a tier is one of the next, with its lineage"):
        sentences = {item["document_id"] for item in client.documents("sentences")}
        copies = client.documents("copies")
        lib.equal(sorted(item["_internal"]["lineage"]["source_document_id"] for item in copies),
                  sorted(sentences))
        lib.equal({item["_internal"]["lineage"]["root_object_id"] for item in copies},
                  set(objects))
        lib.equal(len(client.documents("last")), 120)
        by_id = {item["document_id"]: item for item in copies + client.documents("flaky")}
        for item in client.documents("last"):
            line = item["_internal"]["lineage"]
            lib.equal([step["collection_id"] for step in line["chain"]],
                      [ids[0], by_id[line["source_document_id"]]["collection_id"]])
            lib.equal(line["chain"][1]["document_id"], line["source_document_id"])
            assert line["chain"][0]["document_id"] in sentences, line
    with lib.check("the logs tell of every tier"):
        logs = client.get(f"/v1/buckets/{bucket}/batches/{batch}/logs").expect(200)["tiers"]
        lib.equal([tier["tier_num"] for tier in logs], [0, 1, 2])
        assert all("ended: " in " ".join(tier["lines"]) for tier in logs), logs
        assert any("opened: 120 of 120" in line for line in logs[2]["lines"]), logs[2]
        one = client.get(f"/v1/buckets/{bucket}/batches/{batch}/logs?tier_num=1").expect(200)
        lib.equal([tier["tier_num"] for tier in one["tiers"]], [1])
    with lib.check("a number that is no tier's is refused"):
        path = f"/v1/buckets/{bucket}/batches/{batch}"
        client.get(f"{path}/logs?tier_num=x").expect(422)
        client.get(f"{path}/failed-documents?tier_num=8").expect(422)
        client.post(f"{path}/retry", {"tier_nums": [3]}).expect(422)
        client.post(f"{path}/retry", {"tier_nums": ["0"]}).expect(422)
    with lib.check("a tier's part of the index is built again"):
        path = f"/v1/buckets/{bucket}/batches/{batch}/tiers"
        lib.equal(client.post(f"{path}/0/retry-qdrant-write").expect(200)["documents_written"], 60)
        client.post(f"{path}/7/retry-qdrant-write").expect(409)
    with lib.check("a collection that collections feed can be triggered"):
        reply = client.post("/v1/collections/copies/trigger", {
            "source_filters": {"field": "text", "operator": "contains", "value": "red"}}
        ).expect(202)
        lib.equal((reply["document_count"], reply["total_tiers"]), (20, 2))
        again = wait_batch(client, bucket, reply["batch_id"])
        lib.equal((again["status"], again["type"]), ("COMPLETED", "COLLECTION"), again)
        lib.equal([tier["documents_written"] for tier in again["tier_tasks"]], [20, 20])


def check_retry(client, bucket, folder):
    broken = os.path.join(folder, "broken")
    with open(broken, "w", encoding="ascii"):
        pass
    objects = client.make_objects(bucket, [lib.text_object(lines_of(n)) for n in range(5)])
    before = len(client.documents("last"))
    batch, _ = client.submit(bucket, objects)
    path = f"/v1/buckets/{bucket}/batches/{batch}"
    found = wait_batch(client, bucket, batch)
    with lib.check("what fails in a tier leaves the others to complete"):
        lib.equal(found["status"], "COMPLETED_WITH_ERRORS", found)
        lib.equal([tier["status"] for tier in found["tier_tasks"]],
                  ["COMPLETED", "COMPLETED_WITH_ERRORS", "COMPLETED"])
        failed = client.get(f"{path}/failed-documents").expect(200)
        lib.equal(failed["total"], 15)
        lib.equal({(one["tier_num"], one["code"], one["transient"])
                   for one in failed["failed_documents"]}, {(1, "broken", True)})
        assert set(objects) >= {one["object_id"] for one in failed["failed_documents"]}, failed
        lib.equal(client.get(f"{path}/failed-documents?tier_num=0").expect(200)["total"], 0)
        lib.equal(len(client.documents("last")) - before, 15)
    with lib.check("a retry while it is still broken fails again, and counts"):
        reply = client.post(f"{path}/retry", {"tier_nums": [1]}).expect(200)
        lib.equal((reply["retried_count"], reply["skipped_count"]), (15, 0))
        wait_batch(client, bucket, batch)
        one = client.get(f"{path}/failed-documents").expect(200)["failed_documents"][0]
        lib.equal(one["retry_count"], 2)
        reply = client.post(f"{path}/retry", {"max_retry_count": 1}).expect(200)
        lib.equal((reply["retried_count"], reply["skipped_count"]), (0, 15))
    with lib.check("a retry completes what failed, and runs the tiers after it"):
        os.remove(broken)
        lib.equal(client.post(f"{path}/retry").expect(200)["retried_count"], 15)
        found = wait_batch(client, bucket, batch)
        lib.equal(found["status"], "COMPLETED", found)
        lib.equal([tier["documents_written"] for tier in found["tier_tasks"]], [15, 30, 30])
        lib.equal(client.get(f"{path}/failed-documents").expect(200)["total"], 0)
        lib.equal(len(client.documents("last")) - before, 30)


def check_cancel(client, bucket):
    objects = client.make_objects(bucket, [lib.text_object(lines_of(n)) for n in range(300)])
    batch, _ = client.submit(bucket, objects)
    with lib.check("a cancelled batch ends, and no tier follows"):
        client.post(f"/v1/buckets/{bucket}/batches/{batch}/cancel").expect(200)
        found = wait_batch(client, bucket, batch)
        lib.equal(found["status"], "CANCELED", found)
        assert "SKIPPED" in [tier["status"] for tier in found["tier_tasks"]], found


def check_kill(server, client, bucket):
    """Everything dies, several times, while tiers run."""
    before = {name: len(client.documents(name)) for name in ("sentences", "copies", "last")}
    objects = client.make_objects(bucket, [lib.text_object(lines_of(n))
                                           for n in range(KILLED_OBJECTS)])
    batch, _ = client.submit(bucket, objects)
    kills = 0
    while True:
        time.sleep(0.1 + 0.1 * kills)
        found = client.get(f"/v1/buckets/{bucket}/batches/{batch}").expect(200)
        if found["status"] in lib.TERMINAL or kills == 8:
            break
        server.kill_all()
        server.start()
        kills += 1
    found = wait_batch(client, bucket, batch, seconds=120)
    with lib.check("killed in every tier, each document is there exactly once"):
        assert kills > 0, "nothing was killed: the test tests nothing"
        lib.equal(found["status"], "COMPLETED", found)
        count = KILLED_OBJECTS * 3
        after = {name: len(client.documents(name)) - number for name, number in before.items()}
        lib.equal(after, {"sentences": count, "copies": count, "last": 2 * count})


def main():
    with tempfile.TemporaryDirectory() as folder:
        server = lib.Server(build_plugin(folder)).start()
        client = server.tenant("tiers-test")
        client.namespace = client.make("namespace", "tiers", feature_extractors=lib.BOTH)
        bucket, ids = make_tiers(client)
        check_whole(client, bucket, ids)
        check_retry(client, bucket, folder)
        check_cancel(client, bucket)
        check_kill(server, client, bucket)
        with lib.check("sluice itself is alive, and stops when asked"):
            lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
