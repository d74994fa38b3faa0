/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/purge.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "actors/count.h"
#include "actors/rows.h"
#include "gateway/runner.h"
#include "runtime/alloc.h"
#include "tests/gateway/harness.h"

static struct harness h;

static void
setup(void)
{
    harness_init(&h);
    harness_tenant(&h, "acme", "starter");
    harness_namespace(&h, "shop");
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets", "{\"name\":\"items\"}"), 200);
}

static void
teardown(void)
{
    harness_deinit(&h);
}

TestSuite(purge, .init = setup, .fini = teardown);

static void
put_rows(uint8_t table, const char *parent, uint32_t count)
{
    struct sl_buf key = {0};
    char name[32];
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "row_%06u", i);
        sl_txn_put(txn, h.who.scope, table, sl_key(&key, 2, parent, name), sl_slice_str("{}"));
        if (table == SL_TABLE_RECORD)
            sl_txn_put(txn, h.who.scope, SL_TABLE_DOCUMENT, sl_slice_str(name),
                       sl_slice_str(parent));
    }
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    sl_buf_deinit(&key);
}

static uint32_t
count_rows(uint8_t table, const char *parent)
{
    struct sl_buf prefix = {0};
    struct sl_scan scan = {0};
    uint32_t count = 0;
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    struct sl_slice start =
        parent == NULL ? (struct sl_slice){0} : sl_key_prefix(&prefix, 1, parent);
    struct sl_scope scope = table == SL_TABLE_GARBAGE ? SL_SCOPE_SYSTEM : h.who.scope;
    sl_txn_scan(txn, scope, table, start, sl_slice(NULL, 0), false, &scan);
    while (sl_scan_next(&scan))
        count++;
    sl_scan_end(&scan);
    sl_txn_abort(&txn);
    sl_buf_deinit(&prefix);
    return count;
}

/* Slices until there is no garbage; how many there were. */
static uint32_t
purge_all(void)
{
    bool is_more = true;
    uint32_t steps = 0;
    for (; is_more; steps++) {
        cr_assert_eq(sl_purge_step(&h.gateway, 5000, SL_PURGE_ROWS, &is_more), SL_OK);
        cr_assert_lt(steps, 1000);
    }
    return steps;
}

Test(purge, a_small_bucket_is_deleted_at_once)
{
    cr_assert_eq(harness_call(&h, "DELETE", "/v1/buckets/items", NULL), 200, "%s", h.text);
    cr_assert(harness_is(&h, "status", "COMPLETED"));
    cr_assert_eq(count_rows(SL_TABLE_GARBAGE, NULL), 0);
    cr_assert_not(h.gateway.has_garbage);
}

Test(purge, a_large_bucket_goes_in_slices_and_its_task_ends_with_the_last_also_after_a_restart)
{
    cr_assert_eq(harness_call(&h, "GET", "/v1/buckets/items", NULL), 200);
    char *bucket = harness_text(&h, "bucket_id");
    put_rows(SL_TABLE_SOURCE, bucket, SL_ROWS_DELETE_MAX + 4500);
    put_rows(SL_TABLE_UNIQUE, bucket, 3);
    put_rows(SL_TABLE_SOURCE, "bkt_other", 7);
    cr_assert_eq(harness_call(&h, "DELETE", "/v1/buckets/items", NULL), 200, "%s", h.text);
    cr_assert(harness_is(&h, "status", "IN_PROGRESS"));
    cr_assert(h.gateway.has_garbage);
    char *task = harness_text(&h, "task_id");
    char *path = sl_format("/v1/tasks/%s", task);
    cr_assert_eq(harness_call(&h, "GET", "/v1/buckets/items", NULL), 404);
    cr_assert_eq(count_rows(SL_TABLE_SOURCE, bucket), 4500);
    bool is_more;
    cr_assert_eq(sl_purge_step(&h.gateway, 5000, SL_PURGE_ROWS, &is_more), SL_OK);
    cr_assert(is_more);
    cr_assert_eq(count_rows(SL_TABLE_SOURCE, bucket), 4500 - SL_PURGE_ROWS);
    harness_reopen(&h);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
    cr_assert(harness_is(&h, "status", "IN_PROGRESS"));
    cr_assert_gt(purge_all(), 2);
    cr_assert_eq(count_rows(SL_TABLE_SOURCE, bucket), 0);
    cr_assert_eq(count_rows(SL_TABLE_UNIQUE, bucket), 0);
    cr_assert_eq(count_rows(SL_TABLE_SOURCE, "bkt_other"), 7);
    cr_assert_eq(count_rows(SL_TABLE_GARBAGE, NULL), 0);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
    cr_assert(harness_is(&h, "status", "COMPLETED"));
    sl_free(path);
    sl_free(task);
    sl_free(bucket);
}

Test(purge, a_large_collection_takes_its_documents_keys_along)
{
    cr_assert_eq(harness_call(&h, "POST", "/v1/collections",
                              "{\"name\":\"texts\",\"source\":{\"type\":\"bucket\",\"bucket_ids\":"
                              "[\"items\"]},\"feature_extractors\":[{\"feature_extractor_name\":"
                              "\"text_extractor\",\"version\":\"v1\"}]}"),
                 200, "%s", h.text);
    char *collection = harness_text(&h, "collection_id");
    put_rows(SL_TABLE_RECORD, collection, SL_ROWS_DELETE_MAX + 10);
    put_rows(SL_TABLE_VECTOR, collection, SL_ROWS_DELETE_MAX + 10);
    cr_assert_eq(harness_call(&h, "DELETE", "/v1/collections/texts", NULL), 200, "%s", h.text);
    cr_assert_eq(harness_call(&h, "GET", "/v1/collections/texts", NULL), 404);
    cr_assert_eq(count_rows(SL_TABLE_DOCUMENT, NULL), 10);
    purge_all();
    cr_assert_eq(count_rows(SL_TABLE_RECORD, collection), 0);
    cr_assert_eq(count_rows(SL_TABLE_VECTOR, collection), 0);
    cr_assert_eq(count_rows(SL_TABLE_DOCUMENT, NULL), 0);
    sl_free(collection);
}

Test(purge, a_namespace_goes_with_all_that_is_in_it)
{
    cr_assert_eq(harness_call(&h, "GET", "/v1/buckets/items", NULL), 200);
    char *bucket = harness_text(&h, "bucket_id");
    put_rows(SL_TABLE_SOURCE, bucket, SL_ROWS_DELETE_MAX + 1);
    put_rows(SL_TABLE_UNIQUE, bucket, SL_ROWS_DELETE_MAX + 1);
    cr_assert_eq(harness_call(&h, "DELETE", "/v1/namespaces/shop", NULL), 200, "%s", h.text);
    cr_assert(harness_is(&h, "status", "IN_PROGRESS"));
    char *task = harness_text(&h, "task_id");
    char *path = sl_format("/v1/tasks/%s", task);
    purge_all();
    cr_assert_eq(count_rows(SL_TABLE_SOURCE, bucket) + count_rows(SL_TABLE_UNIQUE, bucket), 0);
    h.namespace_id = NULL;
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
    cr_assert(harness_is(&h, "status", "COMPLETED"));
    sl_free(path);
    sl_free(task);
    sl_free(bucket);
}

/* What the api actor does in its sweep; the id of the namespace that ended, owned, or NULL. */
static char *
expire(uint64_t now_ms)
{
    const char *id;
    struct sl_call *call = sl_call_create();
    call->who.scope = h.who.scope;
    call->now_ms = now_ms;
    cr_assert_eq(sl_runner_expire(&h.gateway, call, &id), SL_OK);
    char *copy = id == NULL ? NULL : sl_strdup(id);
    sl_call_destroy(&call);
    return copy;
}

Test(purge, a_namespace_with_a_ttl_ends_when_it_elapses_and_not_before)
{
    h.namespace_id = NULL;
    cr_assert_eq(harness_call(&h, "POST", "/v1/namespaces",
                              "{\"namespace_name\":\"brief\",\"ttl_seconds\":60,"
                              "\"feature_extractors\":[{\"feature_extractor_name\":"
                              "\"text_extractor\",\"version\":\"v1\"}]}"),
                 200, "%s", h.text);
    char *id = harness_text(&h, "namespace_id");
    cr_assert_null(expire(h.now_ms + 59999));
    char *ended = expire(h.now_ms + 60000);
    cr_assert_str_eq(ended, id);
    cr_assert_null(expire(h.now_ms + 60000));
    cr_assert_eq(harness_call(&h, "GET", "/v1/namespaces/brief", NULL), 404);
    cr_assert_eq(harness_call(&h, "GET", "/v1/namespaces/shop", NULL), 200);
    sl_free(ended);
    sl_free(id);
}
