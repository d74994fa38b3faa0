/* SPDX-License-Identifier: Apache-2.0 */
/* Documents and failures, over rows as the dispatcher writes them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <time.h>

#include "actors/count.h"
#include "actors/record.h"
#include "actors/rows.h"
#include "runtime/alloc.h"
#include "tests/gateway/harness.h"

static struct harness h;
static char *collection;
static char id[SL_RECORD_ID_SIZE + 1]; /* The row's. */
static char shown_id[SL_RECORD_ID_SIZE + 5];

static void
put_record(void)
{
    struct sl_buf key = {0}, row = {0};
    float vector[2] = {0.5f, -1};
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    sl_record_id_of_number(77, id);
    snprintf(shown_id, sizeof(shown_id), "doc_%s", id);
    sl_record_encode(&(struct sl_record){.created_ms = 1000,
                                         .updated_ms = 1000,
                                         .source = sl_slice("bkt_1\0obj_1", 11),
                                         .origin = sl_slice_str("btch_1"),
                                         .fields = sl_slice_str("{\"text\":\"boots\",\"n\":1.50}"),
                                         .vectors = sl_slice_str("text_hash_v1")},
                     &row);
    sl_txn_put(txn, h.who.scope, SL_TABLE_RECORD, sl_key(&key, 2, collection, id),
               sl_buf_slice(&row));
    sl_txn_put(txn, h.who.scope, SL_TABLE_VECTOR, sl_key(&key, 3, collection, "text_hash_v1", id),
               sl_slice(vector, sizeof(vector)));
    sl_txn_put(txn, h.who.scope, SL_TABLE_DOCUMENT, sl_slice_str(id), sl_slice_str(collection));
    sl_count_add(
        txn,
        (struct sl_counter){.scope = h.who.scope, .what = SL_COUNT_RECORDS, .parent = collection},
        1);
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    sl_buf_deinit(&key);
    sl_buf_deinit(&row);
}

static void
setup(void)
{
    harness_init(&h);
    harness_tenant(&h, "acme", "starter");
    harness_namespace(&h, "shop");
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets", "{\"name\":\"items\"}"), 200);
    cr_assert_eq(harness_call(&h, "POST", "/v1/collections",
                              "{\"name\":\"texts\",\"source\":{\"type\":\"bucket\",\"bucket_ids\":"
                              "[\"items\"]},\"feature_extractors\":[{\"feature_extractor_name\":"
                              "\"text_extractor\",\"version\":\"v1\"}]}"),
                 200, "%s", h.text);
    collection = harness_text(&h, "collection_id");
    put_record();
}

static void
teardown(void)
{
    sl_free(collection);
    harness_deinit(&h);
}

TestSuite(document, .init = setup, .fini = teardown);

Test(document, is_listed_and_shown_with_its_vectors_when_asked)
{
    cr_assert_eq(harness_call(&h, "POST", "/v1/collections/texts/documents/list",
                              "{\"return_vectors\":true,\"return_vector_names\":true}"),
                 200, "%s", h.text);
    cr_assert_eq(harness_number(&h, "total_documents"), 1);
    cr_assert(harness_is(&h, "results.0.document_id", shown_id));
    cr_assert(harness_is(&h, "results.0._vectors.0", "text_hash_v1"));
    cr_assert_not_null(strstr(h.text, "\"text_extractor_v1_embedding\":[0.5,-1"), "%s", h.text);
    cr_assert_not_null(strstr(h.text, "1.50"));

    char *path = sl_format("/v1/documents/%s", id);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
    cr_assert(harness_is(&h, "_internal.lineage.root_object_id", "obj_1"));
    cr_assert_null(strstr(h.text, "embedding"));
    cr_assert_eq(harness_call(&h, "GET", "/v1/namespaces/shop", NULL), 200);
    cr_assert_eq(harness_number(&h, "document_count"), 1);
    harness_namespace(&h, "second");
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 404);
    sl_free(path);
}

Test(document, has_an_id_with_a_prefix_that_may_be_left_out)
{
    const char *const forms[] = {shown_id, id};
    for (size_t i = 0; i < SL_COUNT_OF(forms); i++) {
        char *one = sl_format("/v1/collections/texts/documents/%s", forms[i]);
        char *any = sl_format("/v1/documents/%s", forms[i]);
        cr_assert_eq(harness_call(&h, "GET", one, NULL), 200, "%s", h.text);
        cr_assert(harness_is(&h, "document_id", shown_id));
        cr_assert(harness_is(&h, "_internal.document_id", shown_id));
        cr_assert_eq(harness_call(&h, "GET", any, NULL), 200, "%s", h.text);
        cr_assert_eq(harness_call(&h, "PATCH", one, "{\"n\":2}"), 200, "%s", h.text);
        sl_free(one);
        sl_free(any);
    }
    char *twice = sl_format("/v1/documents/doc_%s", shown_id);
    cr_assert_eq(harness_call(&h, "GET", twice, NULL), 404);
    cr_assert_eq(harness_call(&h, "GET", "/v1/documents/doc_", NULL), 404);
    sl_free(twice);
    char *body = sl_format("{\"filters\":{\"document_id\":\"%s\"}}", shown_id);
    cr_assert_eq(harness_call(&h, "POST", "/v1/collections/texts/documents/list", body), 200);
    cr_assert(harness_is(&h, "results.0.document_id", shown_id));
    cr_assert_eq(harness_call(&h, "DELETE", "/v1/collections/texts/documents/doc_1", NULL), 404);
    char *path = sl_format("/v1/collections/texts/documents/%s", shown_id);
    cr_assert_eq(harness_call(&h, "DELETE", path, NULL), 200, "%s", h.text);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 404);
    sl_free(path);
    sl_free(body);
}

Test(document, is_changed_without_its_collection)
{
    char *any = sl_format("/v1/documents/%s", shown_id);
    char *one = sl_format("/v1/collections/texts/documents/%s", shown_id);
    cr_assert_eq(harness_call(&h, "PATCH", any, "{\"color\":\"red\"}"), 200, "%s", h.text);
    cr_assert(harness_is(&h, "color", "red"));
    cr_assert_eq(harness_call(&h, "PUT", any, "{\"color\":\"blue\"}"), 200, "%s", h.text);
    cr_assert_eq(harness_call(&h, "GET", one, NULL), 200);
    cr_assert(harness_is(&h, "color", "blue"));
    cr_assert_eq(harness_call(&h, "PATCH", any, "{\"text_extractor_v1_embedding\":[1]}"), 422);
    cr_assert_eq(harness_call(&h, "PATCH", "/v1/documents/doc_none", "{}"), 404);
    sl_free(any);
    sl_free(one);
}

Test(document, is_changed_and_deleted)
{
    char *path = sl_format("/v1/collections/texts/documents/%s", id);
    cr_assert_eq(harness_call(&h, "PATCH", path, "{\"text\":\"shoes\",\"document_id\":\"x\"}"), 200,
                 "%s", h.text);
    cr_assert(harness_is(&h, "text", "shoes"));
    cr_assert(harness_is(&h, "document_id", shown_id));
    cr_assert_eq(harness_call(&h, "PATCH", path, "{\"text_extractor_v1_embedding\":[1]}"), 422);
    cr_assert_eq(harness_call(&h, "DELETE", path, NULL), 200);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 404);
    cr_assert_eq(harness_call(&h, "DELETE", path, NULL), 404);
    cr_assert_eq(harness_call(&h, "GET", "/v1/collections/texts", NULL), 200);
    cr_assert_eq(harness_number(&h, "document_count"), 0);
    cr_assert_eq(harness_call(&h, "DELETE", "/v1/collections/texts", NULL), 200, "%s", h.text);
    cr_assert_eq(harness_call(&h, "GET", "/v1/collections/texts", NULL), 404);
    sl_free(path);
}

Test(document, a_bulk_create_of_a_hundred_objects_is_quick)
{
    struct sl_buf body = {0};
    char filler[241];
    struct timespec from, to;
    memset(filler, 'x', 240);
    filler[240] = '\0';
    sl_buf_append_str(&body, "{\"objects\":[");
    for (int i = 0; i < 100; i++)
        sl_buf_printf(&body,
                      "%s{\"n\":%d,\"blobs\":[{\"property\":\"content\",\"type\":\"text\","
                      "\"data\":\"%s\"}]}",
                      i == 0 ? "" : ",", i, filler);
    sl_buf_append_str(&body, "]}");
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(
            harness_call(&h, "POST", "/v1/buckets/items/objects/batch", sl_buf_text(&body)), 200,
            "%s", h.text);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    double ms = (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
    cr_log_info("bulk create of 100 objects: %.3f ms of CPU", ms / 20);
    cr_assert_lt(ms / 20, 100);
    sl_buf_deinit(&body);
}

/* What was written of a reply is gone once the call has failed: nothing may be added to it. */
Test(document, a_bulk_change_with_a_broken_filter_is_refused)
{
    static const char body[] =
        "{\"update_data\":{\"n\":1},\"filters\":{\"\":{\"a\":[1]},\"AND\":5}}";
    static const char path[] = "/v1/collections/texts/documents";
    char *bulk = sl_format("%s/bulk", path), *batch = sl_format("%s/batch", path);
    cr_assert_eq(harness_call(&h, "PATCH", bulk, body), 422, "%s", h.text);
    cr_assert_eq(harness_call(&h, "POST", batch, body), 422, "%s", h.text);
    cr_assert_eq(harness_call(&h, "DELETE", batch, body), 422, "%s", h.text);
    cr_assert_eq(harness_call(&h, "PATCH", bulk, "{\"update_data\":{\"n\":1}}"), 200, "%s", h.text);
    sl_free(bulk);
    sl_free(batch);
}
