#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Stages of retrievers over real documents: groups, facets, aggregates, diversity; and runs as
streams of events."""
import json

import sluice_testlib as lib

URI = "mixpeek://text_extractor@v1/text_hash_v1"
COLORS = ("red", "green", "blue")
TEXTS = ["waterproof hiking boots"] * 6 + ["green tea, loose", "a bicycle", "hiking map",
                                           "boots for children", "tea pot", "lamp"]


def stage(name, **parameters):
    return {"stage_name": name, "config": {"stage_id": name, "parameters": parameters}}


def search(**parameters):
    return stage("feature_search", **{"final_top_k": 50, **parameters}, searches=[
        {"feature_uri": URI, "top_k": 50,
         "query": {"input_mode": "text", "value": "{{INPUT.query}}"}}])


def setup(server):
    client = server.tenant("stages-test")
    client.namespace = client.make("namespace", "staged", feature_extractors=lib.BOTH)
    bucket = client.make("bucket", "texts", bucket_schema={"properties": {
        "content": {"type": "text"}, "color": {"type": "string"}, "n": {"type": "integer"},
        "tags": {"type": "array"}}})
    client.make("collection", "texts", source={"type": "bucket", "bucket_ids": [bucket]},
                feature_extractor={"feature_extractor_name": "text_extractor", "version": "v1",
                                   "input_mappings": {"text": "content"},
                                   "field_passthrough": ["color", "n", "tags"]})
    ids = client.make_objects(bucket, [
        lib.text_object(text, n=n, color=COLORS[n % 3], tags=["all", "even" if n % 2 == 0 else
                                                              "odd"])
        for n, text in enumerate(TEXTS)])
    _, task = client.submit(bucket, ids)
    lib.equal(client.wait_task(task)["status"], "COMPLETED")
    return client


def execute(client, *stages, query="hiking boots", **more):
    return client.post("/v1/retrievers/execute", {
        "collection_identifiers": ["texts"], "inputs": {"query": query}, "stages": list(stages),
        "pagination": {"page_size": 100}, **more})


def check_groups(client):
    with lib.check("a search keeps so many documents of each value, best groups first"):
        found = execute(client, search(group_by={"field": "color", "max_per_group": 2})
                        ).expect(200)["documents"]
        lib.equal(sorted(item["color"] for item in found), sorted(COLORS * 2))
        lib.equal([found[i]["color"] == found[i + 1]["color"] for i in (0, 2, 4)], [True] * 3)
        one = execute(client, search(group_by={"field": "color", "limit": 2,
                                               "output_mode": "first"})).expect(200)
        lib.equal(len(one["documents"]), 2)
    with lib.check("facets count every candidate, also what the limit cuts off"):
        reply = execute(client, search(final_top_k=2, facets=[
            {"key": "color"}, {"key": "tags", "limit": 1}])).expect(200)
        lib.equal(len(reply["documents"]), 2)
        lib.equal({row["value"]: row["count"] for row in reply["facets"]["color"]},
                  {"red": 4, "green": 4, "blue": 4})
        lib.equal(reply["facets"]["tags"], [{"value": "all", "count": 12}])
    with lib.check("what is wrong with them is refused"):
        for wrong in ({"group_by": {}}, {"group_by": {"field": "n", "limit": 501}},
                      {"facets": [{}]}, {"facets": [{"key": "n"}, {"key": "n"}]}):
            execute(client, search(**wrong)).expect(422)


def check_aggregate(client):
    ops = [{"function": "count", "alias": "count"}, {"function": "max", "field": "score",
                                                     "alias": "best"}]
    with lib.check("an aggregate is in the statistics, the documents only if asked for"):
        reply = execute(client, search(), stage("aggregate", aggregations=ops,
                                                group_by=[{"field": "color"}], sort_by="best")
                        ).expect(200)
        lib.equal(reply["documents"], [])
        told = reply["stage_statistics"]["stages"]["aggregate"]["metadata"]
        lib.equal((told["total_groups"], [row["metrics"]["count"] for row in told["aggregations"]]),
                  (3, [4, 4, 4]))
        scores = [row["metrics"]["best"] for row in told["aggregations"]]
        lib.equal(scores, sorted(scores, reverse=True))
        reply = execute(client, search(), stage("aggregate", aggregations=ops,
                                                include_documents=True)).expect(200)
        lib.equal(len(reply["documents"]), 12)
        reply = execute(client, stage("aggregate", aggregations=[{"function": "no"}])).expect(422)
        lib.equal(reply["detail"][0]["loc"][:4], ["body", "stages", 0, "config"])


def check_mmr(client):
    def order(value):
        reply = execute(client, search(), stage("mmr", **{"lambda": value}, top_k=5)).expect(200)
        return [item["text"] for item in reply["documents"]]
    with lib.check("lambda 1 is the order of relevance, less of it spreads the texts"):
        plain = execute(client, search()).expect(200)["documents"]
        lib.equal(order(1), [item["text"] for item in plain[:5]])
        assert len(set(order(1))) < 3, order(1)
        # The six that are equal are one place; then come those that are unlike it.
        lib.equal(order(0.5)[0], TEXTS[0])
        lib.equal(len(set(order(0.5))), 5)
        execute(client, search(), stage("mmr", **{"lambda": 2})).expect(422)


def check_samples(client):
    def drawn(**parameters):
        reply = execute(client, search(), stage("sample", **parameters)).expect(200)
        return [item["color"] for item in reply["documents"]]
    with lib.check("a stratified sample has of each value what is its share"):
        for seed in range(5):
            lib.equal(sorted(drawn(count=6, strategy="stratified", stratify_by="color", seed=seed)),
                      sorted(COLORS * 2))
        lib.equal(len(drawn(count=2, strategy="stratified", stratify_by="n")), 2)
        lib.equal(len(drawn(count=4)), 4)
        lib.equal(drawn(count=5, seed=3), drawn(count=5, seed=3))
        execute(client, search(), stage("sample", strategy="stratified")).expect(422)
    with lib.check("documents without a score stay in their places if that is asked"):
        before = execute(client, search()).expect(200)["documents"]
        for place, rank in ((2, 1), (5, 2)):
            client.call("PATCH", "/v1/documents/" + before[place]["document_id"],
                        {"rank": rank}).expect(200)
        found = execute(client, search(), stage(
            "sort_relevance", score_field="rank", missing_score="preserve")).expect(200)
        before[2], before[5] = before[5], before[2]
        lib.equal([item["document_id"] for item in found["documents"]],
                  [item["document_id"] for item in before])
        execute(client, search(), stage("sort_relevance", missing_score="no")).expect(422)


def check_runs(client):
    with lib.check("a run shows vectors when asked, and past runs are found by status and time"):
        reply = client.post("/v1/retrievers/execute?return_vectors=true", {
            "collection_identifiers": ["texts"], "inputs": {"query": "tea"},
            "stages": [search()]}).expect(200)
        assert len(reply["documents"][0]["text_extractor_v1_embedding"]) > 100, reply
        runs = "/v1/retrievers/executions/list"
        total = client.post(runs, {"status": "completed"}).expect(200)["total"]
        assert total > 10, total
        lib.equal(client.post(runs, {"status": "failed"}).expect(200)["total"], 0)
        lib.equal(client.post(runs, {"start_time": "2099-01-01T00:00:00Z"}).expect(200)["total"], 0)
        lib.equal(client.post(runs, {"end_time": "2020-01-01T00:00:00Z"}).expect(200)["total"], 0)
        client.post(runs, {"end_time": "soon"}).expect(422)
    with lib.check("an unknown provider or model is a bad request, an unknown name is not found"):
        inputs = {"inputs": {"text": "tea"}}
        for sent, status in (({"provider": "sluice", "model": "text_hash_v1"}, 200),
                             ({"provider": "other", "model": "text_hash_v1"}, 400),
                             ({"model": "none"}, 400), ({"inference_name": "none"}, 404)):
            client.post("/v1/inference", {**inputs, **sent}).expect(status)


def events(reply):
    lib.equal(reply.headers["Content-Type"], "text/event-stream")
    return [json.loads(frame.removeprefix("data: "))
            for frame in reply.text.decode().strip().split("\n\n")]


def check_stream(client):
    with lib.check("a run is told as events, and is kept like any other"):
        reply = execute(client, search(), stage("sort_attribute", field="n"), stream=True)
        reply.expect(200)
        seen = events(reply)
        lib.equal([event["event_type"] for event in seen],
                  ["stage_start", "stage_complete"] * 2 + ["execution_complete"])
        lib.equal([event.get("stage_name") for event in seen],
                  ["feature_search"] * 2 + ["sort_attribute"] * 2 + [None])
        lib.equal(seen[1]["statistics"]["output_count"], 12)
        lib.equal([item["n"] for item in seen[-1]["documents"]], list(reversed(range(12))))
        kept = client.get("/v1/retrievers/executions/" + seen[0]["execution_id"]).expect(200)
        lib.equal(kept["total_returned"], 12)
    with lib.check("a stored retriever streams as well"):
        client.make("retriever", "find", collection_identifiers=["texts"], stages=[search()],
                    input_schema={"query": {"type": "string", "required": True}})
        reply = client.post("/v1/retrievers/find/execute", {
            "inputs": {"query": "tea"}, "stream": True}, headers={"Idempotency-Key": "again"})
        reply.expect(200)
        lib.equal(events(reply)[-1]["documents"][0]["text"], "tea pot")
    with lib.check("a run that fails answers the error alone"):
        execute(client, search(final_top_k=0), stream=True).expect(422)
        client.post("/v1/retrievers/find/execute", {"inputs": {}, "stream": True}).expect(422)


def check_pages(client):
    for method, name in (("cursor", "cursor"), ("scroll", "scroll_id"), ("keyset", "after")):
        with lib.check(f"results are read page by page with {method}"):
            seen, place = [], None
            while place or not seen:
                reply = execute(client, search(), pagination={
                    "method": method, "limit": 5, **({name: place} if place else {})}).expect(200)
                seen += [item["document_id"] for item in reply["documents"]]
                place = reply["pagination"].get("next_cursor" if name == "after" else name)
                lib.equal(reply["pagination"]["has_next"], place is not None)
            lib.equal((len(seen), len(set(seen))), (12, 12))


def main():
    server = lib.Server().start()
    client = setup(server)
    check_groups(client)
    check_aggregate(client)
    check_mmr(client)
    check_samples(client)
    check_stream(client)
    check_runs(client)
    check_pages(client)
    with lib.check("sluice stops when asked"):
        lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
