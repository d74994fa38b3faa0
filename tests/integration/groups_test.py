#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Documents by what they have in common: grouped lists, aggregates, what an object has become."""
import sluice_testlib as lib

LIST = "/v1/collections/texts/documents/list"
AGGREGATE = "/v1/collections/texts/documents/aggregate"


def setup(server):
    client = server.tenant("groups-test")
    client.namespace = client.make("namespace", "groups", feature_extractors=lib.BOTH)
    bucket = client.make("bucket", "texts", bucket_schema={"properties": {
        "content": {"type": "text"}, "color": {"type": "string"}, "size": {"type": "integer"}}})
    for name in ("texts", "copies"):
        client.make("collection", name, source={"type": "bucket", "bucket_ids": [bucket]},
                    feature_extractor={"feature_extractor_name": "text_extractor", "version": "v1",
                                       "input_mappings": {"text": "content"},
                                       "field_passthrough": ["color", "size"]})
    ids = client.make_objects(bucket, [
        lib.text_object(f"text number {n}", size=n,
                        **({"color": ("red", "green", "blue")[n % 3]} if n < 27 else {}))
        for n in range(30)])
    _, task = client.submit(bucket, ids)
    lib.equal(client.wait_task(task)["status"], "COMPLETED")
    return client, ids


def check_groups(client):
    with lib.check("a grouped list has each value once, with its documents and their number"):
        reply = client.post(LIST, {"group_by": "color"}).expect(200)
        assert "results" not in reply, reply
        lib.equal([(group["group_key"], group["count"]) for group in reply["groups"]],
                  [("blue", 9), ("green", 9), ("red", 9), (None, 3)])
        for group in reply["groups"]:
            lib.equal({item.get("color") for item in group["documents"]}, {group["group_key"]})
            lib.equal(len(group["documents"]), group["count"])
        lib.equal((reply["group_by_field"], reply["total_documents"]), ("color", 30))
    with lib.check("its pages are of groups"):
        seen, cursor = [], None
        while cursor or not seen:
            reply = client.post(LIST, {"group_by": "size", "limit": 8, "include_total": True,
                                       **({"cursor": cursor} if cursor else {})}).expect(200)
            lib.equal(reply["pagination"]["total"], 30)
            seen += [group["group_key"] for group in reply["groups"]]
            cursor = reply["pagination"]["next_cursor"]
        lib.equal(seen, list(range(30)))
        page = client.post(LIST, {"group_by": "size", "limit": 2, "offset": 5}).expect(200)
        lib.equal([group["group_key"] for group in page["groups"]], [5, 6])
    with lib.check("filters choose the documents"):
        reply = client.post(LIST, {"group_by": "color", "filters": {
            "field": "size", "operator": "lt", "value": 4}}).expect(200)
        lib.equal([(group["group_key"], group["count"]) for group in reply["groups"]],
                  [("blue", 1), ("green", 1), ("red", 2)])


def check_aggregates(client):
    ops = [{"function": "count", "alias": "n"},
           {"function": "sum", "field": "size", "alias": "sum"}]
    with lib.check("an aggregate has one result for each group, ordered and cut"):
        reply = client.post(AGGREGATE, {
            "group_by": [{"field": "color", "alias": "c"}], "aggregations": ops,
            "filters": {"field": "size", "operator": "lt", "value": 27},
            "sort_by": "sum", "sort_direction": "desc", "limit": 2}).expect(200)
        lib.equal(reply["results"], [{"group": {"c": "blue"}, "metrics": {"n": 9, "sum": 126}},
                                     {"group": {"c": "green"}, "metrics": {"n": 9, "sum": 117}}])
        lib.equal((reply["total_groups"], reply["query_info"]["documents"]), (3, 27))
    with lib.check("fields of the system can be grouped by"):
        reply = client.post(AGGREGATE, {
            "group_by": [{"field": "_internal.created_at", "date_trunc": "year"}],
            "aggregations": ops}).expect(200)
        lib.equal([row["metrics"]["n"] for row in reply["results"]], [30])
    with lib.check("what is wrong is told with its place"):
        reply = client.post(AGGREGATE, {"aggregations": [{"function": "no", "alias": "a"}]})
        lib.equal(reply.expect(422)["detail"][0]["loc"], ["body", "aggregations", 0, "function"])
        client.post(AGGREGATE, {}).expect(422)
        client.post(AGGREGATE, {"aggregations": ops, "filters": {"AND": 1}}).expect(422)
        client.post("/v1/collections/none/documents/aggregate",
                    {"aggregations": ops}).expect(404)


def check_lineage(client, ids):
    path = f"/v1/objects/{ids[7]}/documents"
    with lib.check("an object's documents are told, of all collections or of some"):
        reply = client.get(path).expect(200)
        lib.equal([item["size"] for item in reply["documents"]], [7, 7])
        lib.equal((reply["object_id"], reply["total_documents"]), (ids[7], 2))
        lib.equal({lib.root_object(item) for item in reply["documents"]}, {ids[7]})
        one = client.get(path + "?collection_ids=copies").expect(200)
        copies = client.get("/v1/collections/copies").expect(200)["collection_id"]
        lib.equal([item["collection_id"] for item in one["documents"]], [copies])
        lib.equal(len(client.get(path + "?limit=1&offset=1").expect(200)["documents"]), 1)
        client.get("/v1/objects/obj_none/documents").expect(404)


def main():
    server = lib.Server().start()
    client, ids = setup(server)
    check_groups(client)
    check_aggregates(client)
    check_lineage(client, ids)
    with lib.check("sluice stops when asked"):
        lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
