/* SPDX-License-Identifier: Apache-2.0 */
/* Retrievers over records that are put there, with a model that maps a word to an axis. */
#include <criterion/criterion.h>

#include "actors/record.h"
#include "actors/rows.h"
#include "gateway/extractor/info.h"
#include "runtime/alloc.h"
#include "tests/gateway/harness.h"

#define URI "mixpeek://text_extractor@v1/text_hash_v1"

static struct harness h;
static char *collection;

/* "red" and "green" are axes 0 and 1; other texts are in between. */
static void
embed(struct sl_slice text, float *ret_vector, uint32_t dimensions)
{
    memset(ret_vector, 0, dimensions * sizeof *ret_vector);
    ret_vector[0] = sl_slice_is(text, "green") ? 0.0F : 1.0F;
    ret_vector[1] = sl_slice_is(text, "red") ? 0.0F : 1.0F;
}

static void
put_record(uint32_t position, const char *color, uint32_t price)
{
    char id[SL_RECORD_ID_SIZE + 1];
    float vector[SL_TEXT_HASH_DIMENSIONS] = {0};
    struct sl_buf key = {0}, row = {0};
    char *fields = sl_format("{\"color\":\"%s\",\"price\":%u}", color, price);
    struct sl_record_origin origin = {.collection = sl_slice_str(collection),
                                      .origin = sl_slice_str("btch_1"),
                                      .source = sl_slice("bkt_1\0obj_1", 11),
                                      .position = position};
    struct sl_record record = {.source = origin.source,
                               .origin = origin.origin,
                               .fields = sl_slice_str(fields),
                               .vectors = sl_slice_str(SL_TEXT_HASH_INDEX)};
    /* A little off its axis, the more so the dearer: the order of hits is known. */
    embed(sl_slice_str(color), vector, SL_TEXT_HASH_DIMENSIONS);
    vector[2] = (float)price / 100.0F;
    sl_record_id(&origin, id);
    sl_record_encode(&record, &row);
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    sl_txn_put(txn, h.who.scope, SL_TABLE_RECORD, sl_key(&key, 2, collection, id),
               sl_buf_slice(&row));
    sl_txn_put(txn, h.who.scope, SL_TABLE_VECTOR,
               sl_key(&key, 3, collection, SL_TEXT_HASH_INDEX, id),
               sl_slice(vector, sizeof vector));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    sl_buf_deinit(&key);
    sl_buf_deinit(&row);
    sl_free(fields);
}

static void
setup(void)
{
    harness_init(&h);
    harness_tenant(&h, "acme", "starter");
    harness_namespace(&h, "shop");
    scene_embed = embed;
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets",
                              "{\"bucket_name\":\"items\",\"bucket_schema\":{\"properties\":{"
                              "\"content\":{\"type\":\"text\"}}}}"),
                 200, "%s", h.text);
    cr_assert_eq(harness_call(&h, "POST", "/v1/collections",
                              "{\"collection_name\":\"items_text\",\"source\":{\"type\":"
                              "\"bucket\",\"bucket_ids\":[\"items\"]},\"feature_extractor\":{"
                              "\"feature_extractor_name\":\"text_extractor\",\"version\":\"v1\","
                              "\"input_mappings\":{\"text\":\"content\"}}}"),
                 200, "%s", h.text);
    collection = harness_text(&h, "collection_id");
    put_record(0, "red", 10);
    put_record(1, "red", 20);
    put_record(2, "green", 30);
    put_record(3, "green", 40);
}

static void
teardown(void)
{
    sl_free(collection);
    harness_deinit(&h);
}

TestSuite(retriever, .init = setup, .fini = teardown);

#define SEARCH(extra)                                                                              \
    "{\"stage_name\":\"search\",\"stage_type\":\"filter\",\"config\":{\"stage_id\":"               \
    "\"feature_search\",\"parameters\":{\"searches\":[{\"feature_uri\":\"" URI "\",\"query\":{"    \
    "\"input_mode\":\"text\",\"value\":\"{{INPUT.query}}\"},\"top_k\":50}],\"final_top_k\":"       \
    "10}" extra "}}"

#define CREATE(stages)                                                                             \
    "{\"retriever_name\":\"find\",\"collection_identifiers\":[\"items_text\"],\"input_schema\":{"  \
    "\"query\":{\"type\":\"string\",\"required\":true}},\"stages\":[" stages "]}"

static void
create(const char *body)
{
    cr_assert_eq(harness_call(&h, "POST", "/v1/retrievers", body), 200, "%s", h.text);
}

Test(retriever, finds_the_nearest_first_and_keeps_the_run)
{
    create(CREATE(SEARCH("")));
    cr_assert(harness_is(&h, "retriever.retriever_name", "find"));
    cr_assert(harness_is(&h, "retriever_name", "find"));
    cr_assert_eq(harness_call(&h, "POST", "/v1/retrievers/find/execute",
                              "{\"inputs\":{\"query\":\"green\"}}"),
                 200, "%s", h.text);
    cr_assert(harness_is(&h, "documents.0.color", "green"));
    cr_assert_eq(harness_number(&h, "documents.0.price"), 30);
    cr_assert_eq(harness_number(&h, "documents.1.price"), 40);
    cr_assert_eq(harness_number(&h, "pagination.total"), 4);
    cr_assert_eq(harness_number(&h, "stage_statistics.stages.search.output_count"), 4);
    char *id = harness_text(&h, "execution_id");
    char *path = sl_format("/v1/retrievers/find/executions/%s", id);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
    cr_assert(harness_is(&h, "documents.0.color", "green"));
    cr_assert_eq(harness_call(&h, "POST", "/v1/retrievers/find/executions/list", NULL), 200);
    cr_assert(harness_is(&h, "results.0.execution_id", id));
    cr_assert_eq(harness_number(&h, "pagination.total"), 1);
    sl_free(id);
    sl_free(path);
}

Test(retriever, runs_its_stages_in_order)
{
    create(CREATE(SEARCH(
        ",\"pre_filters\":{\"field\":\"price\",\"operator\":\"gt\",\"value\":15}") ","
                                                                                   "{\"type\":"
                                                                                   "\"attribute_"
                                                                                   "filter\","
                                                                                   "\"conditions\":"
                                                                                   "{\"color\":"
                                                                                   "\"green\"}},"
                                                                                   "{\"type\":"
                                                                                   "\"sort_"
                                                                                   "attribute\","
                                                                                   "\"field\":"
                                                                                   "\"price\","
                                                                                   "\"direction\":"
                                                                                   "\"desc\"}"));
    cr_assert_eq(harness_call(&h, "POST", "/v1/retrievers/find/execute",
                              "{\"inputs\":{\"query\":\"red\"},\"pagination\":{\"method\":"
                              "\"offset\",\"page_size\":1,\"page_number\":2}}"),
                 200, "%s", h.text);
    cr_assert_eq(harness_number(&h, "stage_statistics.stages.search.output_count"), 3);
    cr_assert_eq(harness_number(&h, "pagination.total"), 2);
    cr_assert_eq(harness_number(&h, "documents.0.price"), 30);
    cr_assert_eq(harness_call(&h, "POST", "/v1/retrievers/find/execute",
                              "{\"inputs\":{\"query\":\"red\"},\"pagination\":{\"method\":"
                              "\"cursor\",\"limit\":1}}"),
                 200, "%s", h.text);
    char *cursor = harness_text(&h, "pagination.cursor");
    char *body = sl_format("{\"inputs\":{\"query\":\"red\"},\"pagination\":{\"method\":"
                           "\"cursor\",\"limit\":1,\"cursor\":\"%s\"}}",
                           cursor);
    cr_assert_eq(harness_call(&h, "POST", "/v1/retrievers/find/execute", body), 200);
    cr_assert_eq(harness_number(&h, "documents.0.price"), 30);
    sl_free(cursor);
    sl_free(body);
}

Test(retriever, refuses_what_cannot_run)
{
    static const struct {
        const char *body;
        int status;
    } cases[] = {
        {"{\"retriever_name\":\"x\",\"stages\":[]}", 422},
        {"{\"retriever_name\":\"x\",\"stages\":[{\"config\":{\"stage_id\":\"nope\"}}]}", 422},
        {"{\"retriever_name\":\"x\",\"stages\":[{\"config\":{\"stage_id\":\"rerank\"}}]}", 422},
        {"{\"retriever_name\":\"x\",\"stages\":[{\"config\":{\"stage_id\":\"feature_search\","
         "\"parameters\":{\"searches\":[{\"feature_uri\":\"mixpeek://text_extractor@v1/other\","
         "\"query\":{\"value\":\"x\"}}]}}}]}",
         422},
        {"{\"retriever_name\":\"x\",\"collection_identifiers\":[\"nope\"],\"stages\":["
         "{\"type\":\"sample\"}]}",
         404},
    };
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++) {
        uint64_t before = harness_digest(&h);
        cr_expect_eq(harness_call(&h, "POST", "/v1/retrievers", cases[i].body), cases[i].status,
                     "%zu: %s", i, h.text);
        cr_expect_eq(harness_digest(&h), before, "%zu", i);
    }
    create(CREATE(SEARCH("")));
    cr_expect_eq(harness_call(&h, "POST", "/v1/retrievers/find/execute", "{}"), 422);
    cr_expect_eq(
        harness_call(&h, "POST", "/v1/retrievers/find/execute", "{\"inputs\":{\"query\":5}}"), 422);
    cr_expect_eq(harness_call(&h, "POST", "/v1/retrievers/find/execute",
                              "{\"inputs\":{\"query\":\"x\"},\"stream\":1}"),
                 422);
    cr_expect_eq(harness_call(&h, "PATCH", "/v1/retrievers/find", "{\"stages\":[{}]}"), 422);
    cr_expect_eq(harness_call(&h, "POST", "/v1/retrievers", CREATE(SEARCH(""))), 409);
    scene_embed = NULL; /* No model to be had. */
    cr_expect_eq(
        harness_call(&h, "POST", "/v1/retrievers/find/execute", "{\"inputs\":{\"query\":\"red\"}}"),
        503);
}

Test(retriever, searches_documents_in_the_short_form)
{
    cr_assert_eq(
        harness_call(&h, "POST", "/v1/documents/search", "{\"query\":\"red\",\"page_size\":2}"),
        200, "%s", h.text);
    cr_assert(harness_is(&h, "results.0.color", "red"));
    cr_assert_eq(harness_number(&h, "documents.1.price"), 20);
    cr_assert_eq(harness_number(&h, "pagination.total"), 2);
}

Test(retriever, runs_ad_hoc_with_given_vectors_and_fuses)
{
    struct sl_buf body = {0};
    sl_buf_append_str(&body, "{\"inputs\":{},\"stages\":[{\"config\":{\"stage_id\":"
                             "\"feature_search\",\"parameters\":{\"fusion\":\"max\",\"searches\":["
                             "{\"feature_uri\":\"" URI "\",\"min_score\":0.9,\"query\":{"
                             "\"input_mode\":\"vector\",\"value\":[0,1");
    for (int i = 2; i < SL_TEXT_HASH_DIMENSIONS; i++)
        sl_buf_append_str(&body, ",0");
    sl_buf_append_str(&body,
                      "]}},{\"feature_uri\":\"" URI "\",\"min_score\":0.99,\"query\":\"red\"}"
                      "]}}}]}");
    cr_assert_eq(harness_call(&h, "POST", "/v1/retrievers/execute", sl_buf_text(&body)), 200, "%s",
                 h.text);
    /* red 10 (0.995), green 30 (0.958), green 40 (0.928); red 20 (0.981) falls under 0.99. */
    cr_assert_eq(harness_number(&h, "pagination.total"), 3, "%s", h.text);
    cr_assert_eq(harness_number(&h, "documents.0.price"), 10);
    cr_assert_eq(harness_number(&h, "documents.1.price"), 30);
    cr_assert_eq(harness_call(&h, "POST", "/v1/retrievers/executions/list", NULL), 200);
    cr_assert(harness_is(&h, "results.0.execution_mode", "adhoc"));
    sl_buf_deinit(&body);
}

Test(retriever, takes_document_ids_as_it_gives_them)
{
    create(CREATE(SEARCH("")));
    cr_assert_eq(harness_call(&h, "POST", "/v1/retrievers/find/execute",
                              "{\"inputs\":{\"query\":\"green\"}}"),
                 200, "%s", h.text);
    char *id = harness_text(&h, "documents.1.document_id");
    cr_assert_eq(strncmp(id, "doc_", 4), 0, "%s", id);
    cr_assert_eq(strlen(id), 28);
    for (size_t skipped = 0; skipped <= 4; skipped += 4) {
        char *body =
            sl_format("{\"inputs\":{},\"stages\":[{\"config\":{\"stage_id\":\"feature_search\","
                      "\"parameters\":{\"searches\":[{\"feature_uri\":\"" URI "\",\"query\":{"
                      "\"input_mode\":\"document\",\"document_ref\":{\"collection_id\":\"%s\","
                      "\"document_id\":\"%s\"}}}]},\"pre_filters\":{\"document_id\":\"%s\"}}}]}",
                      collection, id + skipped, id);
        cr_assert_eq(harness_call(&h, "POST", "/v1/retrievers/execute", body), 200, "%s", h.text);
        cr_assert_eq(harness_number(&h, "pagination.total"), 1, "%s", h.text);
        cr_assert(harness_is(&h, "documents.0.document_id", id));
        sl_free(body);
    }
    sl_free(id);
}

Test(retriever, is_cloned_explained_and_deleted)
{
    create(CREATE(SEARCH("")));
    cr_assert_eq(
        harness_call(&h, "POST", "/v1/retrievers/find/clone", "{\"retriever_name\":\"again\"}"),
        201, "%s", h.text);
    cr_assert(harness_is(&h, "retriever.retriever_name", "again"));
    cr_assert_eq(harness_call(&h, "POST", "/v1/retrievers/again/execute/explain", "{}"), 200);
    cr_assert_eq(harness_number(&h, "total_estimated_stages"), 1);
    cr_assert_eq(harness_call(&h, "GET", "/v1/retrievers?limit=1", NULL), 200);
    cr_assert_eq(harness_number(&h, "total"), 2);
    char *cursor = harness_text(&h, "pagination.next_cursor");
    char *target = sl_format("/v1/retrievers?limit=1&cursor=%s", cursor);
    cr_assert_eq(harness_call(&h, "GET", target, NULL), 200);
    cr_assert_eq(sl_json_count(sl_json_member(h.reply, "results")), 1);
    cr_assert_eq(sl_json_kind(sl_json_path(h.reply, sl_slice_str("pagination.next_cursor"))),
                 SL_JSON_NULL);
    cr_assert_eq(harness_call(&h, "POST", "/v1/retrievers/list",
                              "{\"filters\":{\"field\":\"retriever_name\",\"operator\":"
                              "\"starts_with\",\"value\":\"FI\"},\"sort\":{\"field\":"
                              "\"retriever_name\"}}"),
                 200);
    cr_assert_eq(harness_number(&h, "total"), 1);
    cr_assert_eq(harness_call(&h, "DELETE", "/v1/retrievers/find", NULL), 200);
    cr_assert_eq(harness_call(&h, "GET", "/v1/retrievers/find", NULL), 404);
    sl_free(cursor);
    sl_free(target);
}

Test(retriever, answers_openai_clients)
{
    cr_assert_eq(harness_call(&h, "POST", "/v1/embeddings",
                              "{\"model\":\"text_hash_v1\",\"input\":[\"red\",\"green\"]}"),
                 200, "%s", h.text);
    cr_assert_eq(harness_number(&h, "data.1.index"), 1);
    cr_assert_eq(sl_json_count(sl_json_path(h.reply, sl_slice_str("data.0.embedding"))),
                 SL_TEXT_HASH_DIMENSIONS);
    cr_assert_eq(
        harness_call(&h, "POST", "/v1/embeddings", "{\"model\":\"nope\",\"input\":\"red\"}"), 404);
    cr_assert_eq(harness_call(&h, "POST", "/v1/inference",
                              "{\"feature_uri\":\"" URI "\",\"inputs\":{\"text\":\"red\"}}"),
                 200, "%s", h.text);
    cr_assert_eq(harness_call(&h, "GET", "/v1/health", NULL), 200);
    cr_assert_eq(harness_call(&h, "GET", "/v1/feature-extractors", NULL), 200);
    cr_assert_eq(harness_call(&h, "GET", "/v1/retrievers/stages", NULL), 200);
    cr_assert_eq(sl_json_count(h.reply), 8);
}
