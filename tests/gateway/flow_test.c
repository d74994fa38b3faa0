/* SPDX-License-Identifier: Apache-2.0 */
/* The way of data through the API: namespace, bucket, objects, collection, batch, task. */
#include <criterion/criterion.h>

#include "queue/look.h"
#include "runtime/alloc.h"
#include "runtime/buf.h"
#include "tests/gateway/harness.h"

static struct harness h;

static void
setup(void)
{
    harness_init(&h);
    harness_tenant(&h, "acme", "starter");
    harness_namespace(&h, "shop");
}

static void
teardown(void)
{
    harness_deinit(&h);
}

TestSuite(flow, .init = setup, .fini = teardown);

static void
make_bucket(void)
{
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets",
                              "{\"bucket_name\":\"items\",\"bucket_schema\":{\"properties\":{"
                              "\"content\":{\"type\":\"text\"},\"sku\":{\"type\":\"string\"}}},"
                              "\"unique_key\":{\"fields\":[\"sku\"],\"default_policy\":"
                              "\"upsert\"}}"),
                 200, "%s", h.text);
    cr_assert_eq(harness_number(&h, "object_count"), 0);
}

static char *
make_object(const char *sku)
{
    char *body = sl_format("{\"sku\":\"%s\",\"blobs\":[{\"property\":\"content\",\"type\":\"text\","
                           "\"data\":\"Waterproof hiking boots\"}]}",
                           sku);
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets/items/objects", body), 200, "%s", h.text);
    sl_free(body);
    return harness_text(&h, "object_id");
}

static void
make_collection(void)
{
    cr_assert_eq(
        harness_call(&h, "POST", "/v1/collections",
                     "{\"collection_name\":\"items_text\",\"source\":{\"type\":\"bucket\","
                     "\"bucket_ids\":[\"items\"]},\"feature_extractor\":{"
                     "\"feature_extractor_name\":\"text_extractor\",\"version\":\"v1\","
                     "\"input_mappings\":{\"text\":\"content\"},\"field_passthrough\":[\"sku\"],"
                     "\"parameters\":{\"split_by\":\"sentences\",\"chunk_size\":3}}}"),
        200, "%s", h.text);
}

Test(flow, runs_from_a_namespace_to_a_submitted_batch)
{
    make_bucket();
    char *object = make_object("A-17"), *again = make_object("A-17");
    cr_assert_str_eq(object, again); /* upsert */
    make_collection();
    cr_assert(harness_is(&h, "feature_extractor.field_passthrough.0.source_path", "sku"));
    cr_assert(
        harness_is(&h, "vector_indexes.0.feature_uri", "mixpeek://text_extractor@v1/text_hash_v1"));

    char *body = sl_format("{\"object_ids\":[\"%s\",\"%s\"]}", object, object);
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets/items/batches", body), 200, "%s", h.text);
    cr_assert(harness_is(&h, "status", "DRAFT"));
    cr_assert_eq(harness_number(&h, "object_count"), 1);
    char *batch = harness_text(&h, "batch_id");
    char *submit = sl_format("/v1/buckets/items/batches/%s/submit", batch);
    cr_assert_eq(harness_call(&h, "POST", submit, NULL), 200, "%s", h.text);
    cr_assert(harness_is(&h, "status", "PENDING"));
    cr_assert_eq(sl_queue_ready_count(h.gateway.queue, SL_CLASS_CPU), 1);
    char *task = harness_text(&h, "task_id");
    uint64_t before = harness_digest(&h);
    cr_assert_eq(harness_call(&h, "POST", submit, NULL), 409);
    cr_assert_eq(harness_digest(&h), before);

    char *path = sl_format("/v1/tasks/%s", task);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200);
    cr_assert_eq(harness_number(&h, "additional_data.progress.total"), 1);
    harness_reopen(&h);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200);
    cr_assert(harness_is(&h, "status", "PENDING"));

    cr_assert_eq(harness_call(&h, "DELETE", "/v1/collections/items_text", NULL), 409);
    cr_assert_eq(harness_call(&h, "DELETE", "/v1/namespaces/shop", NULL), 409);
    cr_assert_eq(harness_call(&h, "DELETE", "/v1/namespaces/shop?force=true", NULL), 200, "%s",
                 h.text);
    cr_assert_eq(sl_queue_ready_count(h.gateway.queue, SL_CLASS_CPU), 0);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200);
    cr_assert(harness_is(&h, "status", "CANCELED"));
    sl_free(object);
    sl_free(again);
    sl_free(body);
    sl_free(batch);
    sl_free(submit);
    sl_free(task);
    sl_free(path);
}

static const struct {
    const char *method, *target, *body;
    int status;
} refusals[] = {
    {"POST", "/v1/namespaces", "{\"namespace_name\":\"shop\"}", 409},
    {"POST", "/v1/namespaces", "{\"namespace_name\":\"a b\"}", 422},
    {"POST", "/v1/namespaces", "{\"namespace_name\":\"list\"}", 422},
    {"POST", "/v1/namespaces", "{\"namespace_name\":\"x\",\"feature_extractors\":[]}", 422},
    {"POST", "/v1/namespaces",
     "{\"namespace_name\":\"x\",\"feature_extractors\":[{\"feature_extractor_name\":\"no\","
     "\"version\":\"v1\"}]}",
     422},
    {"GET", "/v1/namespaces/none", NULL, 404},
    {"POST", "/v1/buckets", "{\"bucket_name\":\"items\"}", 409},
    {"POST", "/v1/buckets", "{}", 422},
    {"POST", "/v1/buckets",
     "{\"bucket_name\":\"b\",\"bucket_schema\":{\"properties\":{\"x\":{\"type\":\"odd\"}}}}", 422},
    {"GET", "/v1/buckets/none", NULL, 404},
    {"PATCH", "/v1/buckets/items",
     "{\"bucket_schema\":{\"properties\":{\"y\":{\"type\":"
     "\"text\"}}}}",
     422},
    {"POST", "/v1/buckets/items/objects", "{}", 422},
    {"POST", "/v1/buckets/items/objects", "{\"sku\":5}", 422},
    {"POST", "/v1/buckets/items/objects?policy=insert", "{\"sku\":\"A-17\"}", 409},
    {"POST", "/v1/buckets/items/objects?policy=update", "{\"sku\":\"none\"}", 404},
    {"POST", "/v1/buckets/items/objects?policy=odd", "{\"sku\":\"none\"}", 422},
    {"POST", "/v1/buckets/items/objects",
     "{\"sku\":\"x\",\"blobs\":[{\"property\":\"content\",\"type\":\"text\",\"data\":"
     "\"s3://bucket/a.txt\"}]}",
     422},
    {"POST", "/v1/buckets/items/objects",
     "{\"sku\":\"x\",\"blobs\":[{\"property\":\"content\",\"type\":\"text\"}]}", 422},
    {"POST", "/v1/buckets/items/objects",
     "{\"sku\":\"x\",\"blobs\":[{\"property\":\"p\",\"type\":\"image\",\"data\":\"%%%\"}]}", 422},
    {"POST", "/v1/buckets/items/objects/batch", "{\"objects\":[{},{\"sku\":1}]}", 422},
    {"POST", "/v1/buckets/items/objects/batch", "{\"objects\":[]}", 422},
    {"GET", "/v1/buckets/items/objects/obj_none", NULL, 404},
    {"POST", "/v1/buckets/items/objects/list?limit=0", "{}", 422},
    {"POST", "/v1/buckets/items/batches", "{\"object_ids\":[\"obj_none\"]}", 404},
    {"POST", "/v1/buckets/items/batches", "{\"object_ids\":[]}", 422},
    {"POST", "/v1/buckets/items/batches/btch_none/submit", "{}", 404},
    {"POST", "/v1/collections",
     "{\"collection_name\":\"xx\",\"source\":{\"type\":\"bucket\",\"bucket_ids\":[\"items\"]},"
     "\"feature_extractor\":{\"feature_extractor_name\":\"text_extractor\",\"version\":\"v1\"}"
     "}",
     422},
    {"POST", "/v1/collections",
     "{\"collection_name\":\"xxx\",\"source\":{\"type\":\"bucket\",\"bucket_ids\":[\"items\"]},"
     "\"feature_extractor\":{\"feature_extractor_name\":\"text_extractor\",\"version\":\"v1\","
     "\"input_mappings\":{\"text\":\"gone\"}}}",
     422},
    {"POST", "/v1/collections",
     "{\"collection_name\":\"xxx\",\"source\":{\"type\":\"cluster\",\"collection_id\":"
     "\"items_text\"},\"feature_extractor\":{\"feature_extractor_name\":\"text_extractor\","
     "\"version\":\"v1\"}}",
     422},
    {"POST", "/v1/collections",
     "{\"collection_name\":\"xxx\",\"source\":{\"type\":\"bucket\",\"bucket_ids\":[\"items\"]},"
     "\"feature_extractor\":{\"feature_extractor_name\":\"odd\",\"version\":\"v1\"}}",
     422},
    {"PATCH", "/v1/collections/items_text", "{\"source\":{\"type\":\"bucket\"}}", 422},
    {"GET", "/v1/collections/none", NULL, 404},
    {"GET", "/v1/collections/items_text/documents/doc_none", NULL, 404},
    {"GET", "/v1/documents/0123456789abcdef01234567", NULL, 404},
    {"GET", "/v1/tasks/none", NULL, 404},
    {"POST", "/v1/organizations/users", "{\"email\":\"x\",\"user_name\":\"yy\"}", 422},
    {"POST", "/v1/organizations/users", "{\"email\":\"owner@acme.local\",\"user_name\":\"yy\"}",
     409},
    {"DELETE", "/v1/organizations/users/owner@acme.local/api-keys/admin-key", NULL, 403},
    {"POST", "/v1/organizations/users/owner@acme.local/api-keys",
     "{\"name\":\"k\",\"permissions\":[\"odd\"]}", 422},
    {"POST", "/v1/organizations/users/owner@acme.local/api-keys",
     "{\"name\":\"k\",\"expires_at\":\"2001-01-01T00:00:00Z\"}", 422},
    {"GET", "/v1/tenants/operator", NULL, 404},
    {"POST", "/v1/tenants", "{\"tenant_id\":\"x1\",\"name\":\"x\"}", 403},
};

Test(flow, refuses_what_is_wrong_and_changes_nothing)
{
    make_bucket();
    sl_free(make_object("A-17"));
    make_collection();
    uint64_t before = harness_digest(&h);
    for (size_t i = 0; i < SL_COUNT_OF(refusals); i++) {
        int status = harness_call(&h, refusals[i].method, refusals[i].target, refusals[i].body);
        cr_expect_eq(status, refusals[i].status, "%s %s %s: %d %s", refusals[i].method,
                     refusals[i].target, refusals[i].body, status, h.text);
        cr_expect_eq(harness_digest(&h), before, "%s %s changed something", refusals[i].method,
                     refusals[i].target);
    }
}

Test(flow, shows_another_tenant_nothing)
{
    make_bucket();
    char *object = make_object("A-17");
    make_collection();
    char *ns = sl_strdup(h.namespace_id);
    char *path = sl_format("/v1/namespaces/%s", ns);
    harness_tenant(&h, "other", "starter");
    h.namespace_id = NULL;
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 404);
    cr_assert_eq(harness_call(&h, "GET", "/v1/tenants/acme", NULL), 404);
    cr_assert_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 200);
    cr_assert_eq(harness_number(&h, "total_count"), 0);
    h.namespace_id = ns;
    cr_assert_eq(harness_call(&h, "GET", "/v1/buckets/items", NULL), 404);
    harness_namespace(&h, "shop");
    cr_assert_eq(harness_call(&h, "GET", "/v1/buckets/items", NULL), 404);
    cr_assert_eq(harness_call(&h, "GET", "/v1/collections/items_text", NULL), 404);
    sl_free(object);
    sl_free(ns);
    sl_free(path);
}

Test(flow, a_revoked_key_is_refused_at_once_and_after_a_restart)
{
    const char *keys = "/v1/organizations/users/owner@acme.local/api-keys";
    struct sl_identity who;
    cr_assert_eq(harness_call(&h, "POST", keys, "{\"name\":\"k\",\"permissions\":[\"write\"]}"),
                 200, "%s", h.text);
    char *secret = harness_text(&h, "key");
    struct sl_slice s = sl_slice_str(secret);
    cr_assert_eq(sl_keyring_check(h.gateway.keyring, s, h.now_ms, &who), SL_OK);
    cr_assert_eq(who.permissions, SL_PERMIT_BIT(SL_PERMIT_WRITE));
    harness_reopen(&h);
    cr_assert_eq(sl_keyring_check(h.gateway.keyring, s, h.now_ms, &who), SL_OK);
    cr_assert_eq(harness_call(&h, "POST", keys, "{\"name\":\"k\"}"), 409);
    cr_assert_eq(harness_call(&h, "GET", keys, NULL), 200);
    cr_assert_null(strstr(h.text, secret));
    cr_assert_eq(harness_number(&h, "total"), 2);
    char *one = sl_format("%s/k", keys);
    cr_assert_eq(harness_call(&h, "DELETE", one, NULL), 200);
    cr_assert_eq(sl_keyring_check(h.gateway.keyring, s, h.now_ms, &who), SL_EDENIED);
    harness_reopen(&h);
    cr_assert_eq(sl_keyring_check(h.gateway.keyring, s, h.now_ms, &who), SL_EDENIED);
    sl_free(one);
    sl_free(secret);
}

Test(flow, a_bulk_create_keeps_what_is_right)
{
    make_bucket();
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets/items/objects/batch",
                              "{\"objects\":[{\"sku\":\"a\"},{\"sku\":7},{\"sku\":\"b\"},{}]}"),
                 200, "%s", h.text);
    cr_assert_eq(harness_number(&h, "succeeded_count"), 2);
    cr_assert_eq(harness_number(&h, "failed_count"), 2);
    cr_assert_eq(harness_number(&h, "failed.1.object_index"), 3);
    cr_assert_eq(harness_call(&h, "GET", "/v1/buckets/items", NULL), 200);
    cr_assert_eq(harness_number(&h, "object_count"), 2);
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets/items/objects/list?include_total=true",
                              "{\"limit\":1}"),
                 200, "%s", h.text);
    cr_assert_eq(harness_number(&h, "pagination.total"), 2);
    char *id = harness_text(&h, "results.0.object_id");
    char *path = sl_format("/v1/buckets/items/objects/%s", id);
    cr_assert_eq(harness_call(&h, "PATCH", path, "{\"sku\":\"c\",\"extra\":1.50}"), 200, "%s",
                 h.text);
    cr_assert(harness_is(&h, "sku", "c"));
    cr_assert_not_null(strstr(h.text, "1.50"));
    cr_assert_eq(harness_call(&h, "DELETE", path, NULL), 204);
    cr_assert_eq(strlen(h.text), 0);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 404);
    cr_assert_eq(harness_call(&h, "GET", "/v1/buckets/items", NULL), 200);
    cr_assert_eq(harness_number(&h, "object_count"), 1);
    sl_free(id);
    sl_free(path);
}

Test(flow, a_large_value_becomes_a_blob)
{
    size_t size = 200000;
    char *text = sl_zalloc(size + 1);
    memset(text, 'a', size);
    make_bucket();
    char *body =
        sl_format("{\"sku\":\"big\",\"blobs\":[{\"property\":\"content\",\"type\":\"text\","
                  "\"data\":\"%s\"}]}",
                  text);
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets/items/objects", body), 200, "%s", h.text);
    char *hash = harness_text(&h, "blobs.0.details.hash");
    uint64_t stored = 0;
    cr_assert_eq(sl_blob_size(h.gateway.blobs, hash, &stored), SL_OK);
    cr_assert_eq(stored, size);
    cr_assert_eq(harness_number(&h, "blobs.0.details.size_bytes"), size);
    sl_free(hash);
    sl_free(body);
    sl_free(text);
}

Test(flow, a_batch_takes_a_hundred_thousand_ids)
{
    struct sl_buf body = {0};
    make_bucket();
    make_collection();
    sl_buf_append_str(&body, "{\"object_ids\":[");
    for (int i = 0; i < 100000; i++)
        sl_buf_printf(&body, "%s\"obj_%012d\"", i == 0 ? "" : ",", i);
    sl_buf_append_str(&body, "]}");
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets/items/batches", sl_buf_text(&body)), 404);
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets/items/batches?skip_validation=true",
                              sl_buf_text(&body)),
                 200);
    cr_assert_eq(harness_number(&h, "object_count"), 100000);
    char *batch = harness_text(&h, "batch_id");
    char *submit = sl_format("/v1/buckets/items/batches/%s/submit", batch);
    cr_assert_eq(harness_call(&h, "POST", submit, NULL), 200, "%s", h.text);
    cr_assert_eq(sl_queue_ready_count(h.gateway.queue, SL_CLASS_CPU), 100000);
    char *cancel = sl_format("/v1/buckets/items/batches/%s/cancel", batch);
    cr_assert_eq(harness_call(&h, "POST", cancel, NULL), 200, "%s", h.text);
    cr_assert(harness_is(&h, "status", "CANCELED"));
    cr_assert_eq(harness_call(&h, "POST", cancel, NULL), 200, "%s", h.text);
    cr_assert_eq(sl_queue_ready_count(h.gateway.queue, SL_CLASS_CPU), 0);
    sl_free(batch);
    sl_free(submit);
    sl_free(cancel);
    sl_buf_deinit(&body);
}
