/* SPDX-License-Identifier: Apache-2.0 */
/* What the public clients need in replies, in both generations of their models. */
#include <criterion/criterion.h>

#include "queue/look.h"
#include "runtime/alloc.h"
#include "tests/gateway/harness.h"

#define URI "mixpeek://text_extractor@v1/text_hash_v1"

static struct harness h;

static void
expect(const char *method, const char *target, const char *body)
{
    cr_assert_eq(harness_call(&h, method, target, body), 200, "%s %s: %s", method, target, h.text);
}

static void
setup(void)
{
    harness_init(&h);
    harness_tenant(&h, "acme", "starter");
    harness_namespace(&h, "shop");
    expect("POST", "/v1/buckets",
           "{\"bucket_name\":\"items\",\"bucket_schema\":{\"properties\":{\"content\":{\"type\":"
           "\"text\"}}}}");
    expect("POST", "/v1/collections",
           "{\"collection_name\":\"items_text\",\"source\":{\"type\":\"bucket\",\"bucket_ids\":["
           "\"items\"]},\"feature_extractor\":{\"feature_extractor_name\":\"text_extractor\","
           "\"version\":\"v1\",\"input_mappings\":{\"text\":\"content\"}}}");
}

static void
teardown(void)
{
    harness_deinit(&h);
}

TestSuite(client, .init = setup, .fini = teardown);

static struct sl_json
member(const char *path)
{
    return sl_json_path(h.reply, sl_slice_str(path));
}

/* A draft of one object; the path of its batch, owned. */
static char *
make_batch(void)
{
    expect("POST", "/v1/buckets/items/objects",
           "{\"blobs\":[{\"property\":\"content\",\"type\":\"text\",\"data\":\"tea\"}]}");
    char *object = harness_text(&h, "object_id");
    char *body = sl_format("{\"object_ids\":[\"%s\"]}", object);
    expect("POST", "/v1/buckets/items/batches", body);
    char *batch = harness_text(&h, "batch_id");
    char *path = sl_format("/v1/buckets/items/batches/%s", batch);
    sl_free(object);
    sl_free(body);
    sl_free(batch);
    return path;
}

Test(client, a_batch_tells_where_it_is_in_its_life)
{
    char *path = make_batch();
    char *submit = sl_format("%s/submit", path), *cancel = sl_format("%s/cancel", path);
    expect("GET", path, NULL);
    cr_assert(harness_is(&h, "lifecycle", "accepted"));
    cr_assert_eq(sl_json_kind(member("lifecycle_reason")), SL_JSON_NULL);
    cr_assert_eq(sl_json_kind(member("max_node_death_resubmits")), SL_JSON_NUMBER);
    cr_assert_eq(harness_number(&h, "max_deploy_resubmits"), 0);
    expect("POST", submit, NULL);
    expect("GET", path, NULL);
    cr_assert(harness_is(&h, "lifecycle", "queued"));
    expect("POST", cancel, NULL);
    expect("GET", path, NULL);
    cr_assert(harness_is(&h, "lifecycle", "canceled"));
    sl_free(path);
    sl_free(submit);
    sl_free(cancel);
}

Test(client, a_feature_has_both_of_its_names)
{
    expect("GET", "/v1/collections/items_text/features", NULL);
    cr_assert(harness_is(&h, "features.0.feature_address", URI));
    cr_assert(harness_is(&h, "features.0.feature_uri", URI));
}

#define RETRIEVER                                                                                  \
    "{\"retriever_name\":\"find\",\"collection_identifiers\":[\"items_text\"],\"stages\":[{"       \
    "\"stage_name\":\"search\",\"config\":{\"stage_id\":\"feature_search\",\"parameters\":{"       \
    "\"fusion\":\"max\",\"searches\":[{\"feature_uri\":\"" URI "\",\"query\":{\"value\":\"x\"}}]"  \
    "}}}]}"

/* Every reply that shows a retriever shows it alike; `at` is where in the reply. */
static void
assert_shown(const char *at, const char *collection)
{
    static const char *const paths[] = {"collection_ids.0", "collection_identifiers.0"};
    for (size_t i = 0; i < SL_COUNT_OF(paths); i++) {
        char *path = sl_format("%s%s", at, paths[i]);
        cr_assert(harness_is(&h, path, collection), "%s: %s", path, h.text);
        sl_free(path);
    }
    char *fusion = sl_format("%sfusion", at), *uri = sl_format("%sstages.0.parameters.searches.0."
                                                               "feature_uri",
                                                               at);
    char *source = sl_format("%sstages.0.config.parameters.searches.0.feature_uri", at);
    cr_assert(harness_is(&h, fusion, "max"), "%s", h.text);
    cr_assert(harness_is(&h, uri, URI), "%s", h.text);
    cr_assert(harness_is(&h, source, URI), "%s", h.text);
    sl_free(fusion);
    sl_free(uri);
    sl_free(source);
}

Test(client, a_retriever_is_shown_as_it_was_sent)
{
    expect("GET", "/v1/collections/items_text", NULL);
    char *collection = harness_text(&h, "collection_id");
    expect("POST", "/v1/retrievers", RETRIEVER);
    assert_shown("", collection);
    assert_shown("retriever.", collection);
    expect("GET", "/v1/retrievers/find", NULL);
    assert_shown("", collection);
    expect("GET", "/v1/retrievers", NULL);
    assert_shown("results.0.", collection);
    expect("PATCH", "/v1/retrievers/find", "{\"description\":\"x\"}");
    assert_shown("retriever.", collection);
    cr_assert_eq(
        harness_call(&h, "POST", "/v1/retrievers/find/clone", "{\"retriever_name\":\"again\"}"),
        201, "%s", h.text);
    assert_shown("retriever.", collection);
    sl_free(collection);
}

Test(client, a_stage_that_was_read_can_be_sent_back)
{
    expect("POST", "/v1/retrievers", RETRIEVER);
    char *stages = sl_format("%.*s", SL_SLICE_FMT(sl_json_raw(member("stages"))));
    char *body = sl_format("{\"retriever_name\":\"again\",\"stages\":%s}", stages);
    expect("POST", "/v1/retrievers", body);
    char *again = sl_format("%.*s", SL_SLICE_FMT(sl_json_raw(member("stages"))));
    cr_assert_str_eq(again, stages);
    sl_free(stages);
    sl_free(body);
    sl_free(again);
}

Test(client, a_retriever_without_search_has_no_fusion)
{
    expect("POST", "/v1/retrievers",
           "{\"retriever_name\":\"some\",\"stages\":[{\"stage_name\":\"s\",\"config\":{"
           "\"stage_id\":\"sample\"}}]}");
    cr_assert_eq(sl_json_kind(member("fusion")), SL_JSON_NULL);
    cr_assert_eq(sl_json_kind(member("stages.0.parameters")), SL_JSON_OBJECT);
}

Test(client, lists_answer_get_as_they_answer_post)
{
    sl_free(make_batch());
    expect("GET", "/v1/buckets?limit=5&search=item", NULL);
    cr_assert(harness_is(&h, "results.0.bucket_name", "items"));
    cr_assert_eq(harness_number(&h, "total_count"), 1);
    expect("GET", "/v1/buckets?search=none", NULL);
    cr_assert_eq(harness_number(&h, "total_count"), 0);
    expect("GET", "/v1/buckets/items/objects", NULL);
    cr_assert_eq(sl_json_count(member("results")), 1);
    expect("GET", "/v1/collections", NULL);
    cr_assert(harness_is(&h, "results.0.collection_name", "items_text"));
    expect("GET", "/v1/collections/items_text/documents", NULL);
    cr_assert_eq(sl_json_count(member("results")), 0);
}

Test(client, health_tells_what_the_head_knows_and_that_it_says_nothing)
{
    scene_nodes = "{\"nodes\":1,\"extractors\":[],\"groups\":[]}";
    expect("GET", "/v1/health/deep", NULL);
    cr_expect(harness_is(&h, "status", "OK"));
    cr_expect_eq(sl_json_count(member("errors")), 0);
    scene_nodes = "{\"nodes\":1,\"extractors\":[{\"name\":\"x\",\"seconds\":9,\"nodes\":2}],"
                  "\"groups\":[{\"name\":\"gpu\",\"seconds\":8,\"reason\":\"no such hardware\"}]}";
    expect("GET", "/v1/health", NULL);
    cr_expect(harness_is(&h, "unhealthy.0.name", "x"));
    cr_expect(harness_is(&h, "unhealthy.0.kind", "extractor"));
    cr_expect_eq(harness_number(&h, "unhealthy.0.seconds"), 9);
    cr_expect(harness_is(&h, "unhealthy.1.reason", "no such hardware"));
    scene_nodes = NULL;
    expect("GET", "/v1/health", NULL);
    cr_expect(harness_is(&h, "status", "DEGRADED"));
    cr_expect(harness_is(&h, "errors.inference", "the head does not say how its nodes are"));
}

static void
list_objects(const char *query, uint32_t count)
{
    char *target = sl_format("/v1/buckets/items/objects%s", query);
    expect("GET", target, NULL);
    cr_assert_eq(sl_json_count(member("results")), count, "%s: %s", query, h.text);
    sl_free(target);
}

Test(client, a_page_has_every_name_that_clients_know)
{
    for (int i = 0; i < 3; i++)
        sl_free(make_batch());
    list_objects("?page_size=2&page=2", 1);
    list_objects("?limit=2&page=2&offset=0", 2);
    list_objects("?limit=2", 2);
    char *cursor = harness_text(&h, "pagination.next_cursor");
    static const char *const names[] = {"cursor", "next_cursor", "after"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        char *query = sl_format("?limit=2&%s=%s", names[i], cursor);
        list_objects(query, 1);
        sl_free(query);
    }
    sl_free(cursor);
    cr_assert_eq(harness_call(&h, "GET", "/v1/buckets?page=0", NULL), 422);
    cr_assert_eq(harness_call(&h, "GET", "/v1/buckets?page=1000&limit=1000", NULL), 422);
}

Test(client, a_copy_has_the_status_that_the_client_knows)
{
    static const struct {
        const char *agent;
        int status;
    } agents[] = {{NULL, 201},
                  {"curl/8", 201},
                  {"OpenAPI-Generator/", 201},
                  {"OpenAPI-Generator/0.81.1/python", 201},
                  {"OpenAPI-Generator/1.3.783/python", 200}};
    expect("POST", "/v1/retrievers", RETRIEVER);
    for (size_t i = 0; i < SL_COUNT_OF(agents); i++) {
        char *body = sl_format("{\"retriever_name\":\"copy%zu\"}", i);
        h.user_agent = agents[i].agent;
        cr_assert_eq(harness_call(&h, "POST", "/v1/retrievers/find/clone", body), agents[i].status,
                     "%s: %s", agents[i].agent, h.text);
        sl_free(body);
    }
    h.user_agent = NULL;
}

Test(client, a_trigger_submits_one_batch_of_what_feeds_the_collection)
{
    cr_assert_eq(harness_call(&h, "POST", "/v1/collections/items_text/trigger", NULL), 400, "%s",
                 h.text); /* Nothing is there. */
    expect("POST", "/v1/buckets/items/objects/batch",
           "{\"objects\":[{\"shelf\":1},{\"shelf\":2},{\"shelf\":2}]}");
    cr_assert_eq(harness_call(&h, "POST", "/v1/collections/items_text/trigger", NULL), 202, "%s",
                 h.text);
    cr_assert_eq(harness_number(&h, "object_count"), 3);
    char *batch = harness_text(&h, "batch_id"), *task = harness_text(&h, "task_id");
    cr_assert_eq(sl_queue_ready_count(h.gateway.queue, SL_CLASS_CPU), 3);
    char *target = sl_format("/v1/buckets/items/batches/%s", batch);
    expect("GET", target, NULL);
    cr_assert(harness_is(&h, "task_id", task));
    cr_assert(harness_is(&h, "status", "PENDING"));
    cr_assert_eq(harness_call(&h, "POST", "/v1/collections/items_text/trigger",
                              "{\"include_buckets\":[\"items\"],\"source_filters\":{\"field\":"
                              "\"shelf\",\"operator\":\"eq\",\"value\":2}}"),
                 202, "%s", h.text);
    cr_assert_eq(harness_number(&h, "object_count"), 2);
    sl_free(batch);
    sl_free(task);
    sl_free(target);
}

Test(client, a_trigger_that_cannot_be_changes_nothing)
{
    static const struct {
        const char *target, *body;
        int status;
    } wrong[] = {
        {"/v1/collections/none/trigger", NULL, 404},
        {"/v1/collections/items_text/trigger", "{\"include_buckets\":[\"none\"]}", 422},
        {"/v1/collections/items_text/trigger", "{\"include_collections\":[\"items_text\"]}", 422},
        {"/v1/collections/items_text/trigger", "{\"source_filters\":{\"AND\":3}}", 422},
        {"/v1/collections/items_text/trigger", "{\"source_filters\":{\"shelf\":9}}", 400},
    };
    expect("POST", "/v1/buckets/items/objects", "{\"shelf\":1}");
    uint64_t before = harness_digest(&h);
    for (size_t i = 0; i < SL_COUNT_OF(wrong); i++) {
        cr_assert_eq(harness_call(&h, "POST", wrong[i].target, wrong[i].body), wrong[i].status,
                     "%s: %s", wrong[i].body, h.text);
        cr_assert_eq(harness_digest(&h), before);
    }
    expect("PATCH", "/v1/collections/items_text", "{\"enabled\":false}");
    cr_assert_eq(harness_call(&h, "POST", "/v1/collections/items_text/trigger", NULL), 400);
}

Test(client, a_copy_of_a_collection_takes_what_is_not_sent_from_its_source)
{
    expect("PATCH", "/v1/collections/items_text",
           "{\"description\":\"Texts\",\"metadata\":{\"team\":\"a\"}}");
    char *source = harness_text(&h, "collection_id");
    cr_assert_eq(harness_call(&h, "POST", "/v1/collections/items_text/clone",
                              "{\"collection_name\":\"copy_text\",\"description\":\"Copy\"}"),
                 201, "%s", h.text);
    cr_assert(harness_is(&h, "source_collection_id", source));
    cr_assert(harness_is(&h, "collection.description", "Copy"));
    cr_assert(harness_is(&h, "collection.metadata.team", "a"));
    cr_assert(harness_is(&h, "collection.feature_extractor.input_mappings.text", "content"));
    cr_assert(harness_is(&h, "collection.vector_indexes.0.feature_uri", URI));
    expect("GET", "/v1/collections/copy_text", NULL);
    cr_assert(!harness_is(&h, "collection_id", source));
    uint64_t before = harness_digest(&h);
    cr_assert_eq(harness_call(&h, "POST", "/v1/collections/items_text/clone",
                              "{\"collection_name\":\"copy_text\"}"),
                 409);
    cr_assert_eq(harness_call(&h, "POST", "/v1/collections/items_text/clone", "{}"), 422);
    cr_assert_eq(
        harness_call(&h, "POST", "/v1/collections/none/clone", "{\"collection_name\":\"more\"}"),
        404);
    cr_assert_eq(harness_digest(&h), before);
    sl_free(source);
}
