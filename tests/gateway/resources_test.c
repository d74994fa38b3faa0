/* SPDX-License-Identifier: Apache-2.0 */
/* What clients do to tenants, users, objects and batches beside the one way of flow_test. */
#include <criterion/criterion.h>

#include "runtime/alloc.h"
#include "tests/gateway/harness.h"

static struct harness h;
static struct sl_identity operator;

static void
setup(void)
{
    harness_init(&h);
    operator= h.who;
    harness_tenant(&h, "acme", "starter");
    harness_namespace(&h, "shop");
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets",
                              "{\"bucket_name\":\"items\",\"bucket_schema\":{\"properties\":{"
                              "\"content\":{\"type\":\"text\"},\"sku\":{\"type\":\"string\"}}},"
                              "\"unique_key\":{\"fields\":[\"sku\"]}}"),
                 200, "%s", h.text);
}

static void
teardown(void)
{
    harness_deinit(&h);
}

TestSuite(resources, .init = setup, .fini = teardown);

/* Create an object in bucket items; the status. */
static int
put(const char *sku, const char *query)
{
    char *target = sl_format("/v1/buckets/items/objects%s", query);
    char *body = sl_format("{\"sku\":\"%s\",\"blobs\":[{\"property\":\"content\",\"type\":\"text\","
                           "\"data\":\"boots\"}]}",
                           sku);
    int status = harness_call(&h, "POST", target, body);
    sl_free(target);
    sl_free(body);
    return status;
}

static char *
make_object(const char *sku)
{
    cr_assert_eq(put(sku, "?policy=insert"), 200, "%s", h.text);
    return harness_text(&h, "object_id");
}

static void
make_collection(void)
{
    cr_assert_eq(harness_call(&h, "POST", "/v1/collections",
                              "{\"collection_name\":\"texts\",\"source\":{\"type\":\"bucket\","
                              "\"bucket_ids\":[\"items\"]},\"feature_extractor\":{"
                              "\"feature_extractor_name\":\"text_extractor\",\"version\":\"v1\","
                              "\"input_mappings\":{\"text\":\"content\"}}}"),
                 200, "%s", h.text);
}

static int
call_path(const char *method, const char *format, const char *id, const char *body)
{
    struct sl_buf path = {0};
    const char *at = strstr(format, "%s");
    sl_buf_append(&path, format, (size_t)(at - format));
    sl_buf_append_str(&path, id);
    sl_buf_append_str(&path, at + 2);
    int status = harness_call(&h, method, sl_buf_text(&path), body);
    sl_buf_deinit(&path);
    return status;
}

static char *
make_batch(const char *object_id)
{
    char *body = sl_format("{\"object_ids\":[\"%s\"]}", object_id);
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets/items/batches", body), 200, "%s", h.text);
    sl_free(body);
    return harness_text(&h, "batch_id");
}

/* ---- unique keys --------------------------------------------------------------------------- */

Test(resources, a_unique_key_needs_a_policy_and_holds_it)
{
    cr_expect_eq(put("A", ""), 400, "%s", h.text);
    cr_expect_eq(put("A", "?policy=update"), 404, "%s", h.text);
    cr_expect_eq(put("A", "?policy=insert"), 200, "%s", h.text);
    cr_expect_eq(put("A", "?policy=insert"), 409, "%s", h.text);
    cr_expect_eq(put("A", "?policy=update"), 200, "%s", h.text);
    cr_expect_eq(put("A", "?policy=whatever"), 422, "%s", h.text);
    cr_assert_eq(harness_call(&h, "GET", "/v1/buckets/items", NULL), 200);
    cr_expect_eq(harness_number(&h, "object_count"), 1);
}

Test(resources, a_change_cannot_take_anothers_unique_key)
{
    char *first = make_object("A"), *second = make_object("B");
    uint64_t before = harness_digest(&h);
    cr_expect_eq(call_path("PATCH", "/v1/buckets/items/objects/%s", second, "{\"sku\":\"A\"}"), 409,
                 "%s", h.text);
    cr_expect_eq(harness_digest(&h), before);
    cr_expect_eq(call_path("PATCH", "/v1/buckets/items/objects/%s", second, "{\"sku\":\"C\"}"), 200,
                 "%s", h.text);
    /* The key it had is free again, the one it took is not. */
    cr_expect_eq(put("B", "?policy=insert"), 200, "%s", h.text);
    cr_expect_eq(put("C", "?policy=insert"), 409, "%s", h.text);
    sl_free(first);
    sl_free(second);
}

/* ---- objects ------------------------------------------------------------------------------- */

Test(resources, an_objects_blobs_are_replaced_and_its_metadata_merged)
{
    char *id = make_object("A");
    cr_assert_eq(
        call_path("PUT", "/v1/buckets/items/objects/%s", id, "{\"metadata\":{\"a\":1,\"b\":2}}"),
        200, "%s", h.text);
    cr_assert_eq(call_path("PUT", "/v1/buckets/items/objects/%s", id,
                           "{\"metadata\":{\"b\":3},\"blobs\":[{\"property\":\"content\",\"type\":"
                           "\"text\",\"data\":\"shoes\"}]}"),
                 200, "%s", h.text);
    cr_assert_eq(call_path("GET", "/v1/buckets/items/objects/%s", id, NULL), 200, "%s", h.text);
    cr_expect_eq(harness_number(&h, "metadata.a"), 1);
    cr_expect_eq(harness_number(&h, "metadata.b"), 3);
    cr_expect(harness_is(&h, "sku", "A"));
    cr_expect_not_null(strstr(h.text, "shoes"), "%s", h.text);
    cr_expect_null(strstr(h.text, "boots"), "%s", h.text);
    cr_expect_eq(call_path("PUT", "/v1/buckets/items/objects/%s", "obj_none", "{}"), 404);
    sl_free(id);
}

Test(resources, a_list_of_objects_shows_what_is_selected_and_filters_on_all)
{
    char *id = make_object("A");
    sl_free(make_object("B"));
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets/items/objects/list",
                              "{\"select\":[\"created_at\"],\"filters\":{\"sku\":\"A\"}}"),
                 200, "%s", h.text);
    cr_expect_eq(sl_json_count(sl_json_member(h.reply, "results")), 1);
    cr_expect(harness_is(&h, "results.0.object_id", id));
    cr_expect(sl_json_has(sl_json_path(h.reply, sl_slice_str("results.0.created_at"))));
    cr_expect_not(sl_json_has(sl_json_path(h.reply, sl_slice_str("results.0.sku"))));
    cr_expect_not(sl_json_has(sl_json_path(h.reply, sl_slice_str("results.0.blobs"))));
    sl_free(id);
}

Test(resources, auto_process_submits_a_batch_or_changes_nothing)
{
    uint64_t before = harness_digest(&h);
    cr_expect_eq(put("A", "?policy=insert&auto_process=true"), 400, "%s", h.text);
    cr_expect_eq(harness_digest(&h), before, "no collection is fed: nothing is stored");
    make_collection();
    cr_assert_eq(put("A", "?policy=insert&auto_process=true"), 200, "%s", h.text);
    char *batch = harness_text(&h, "batch_id"), *task = harness_text(&h, "task_id");
    cr_assert_eq(call_path("GET", "/v1/tasks/%s", task, NULL), 200, "%s", h.text);
    cr_expect(harness_is(&h, "status", "PENDING"));
    cr_expect(harness_is(&h, "additional_data.batch_id", batch));
    sl_free(batch);
    sl_free(task);
}

/* ---- batches ------------------------------------------------------------------------------- */

Test(resources, a_draft_takes_objects_and_metadata_and_is_deleted)
{
    char *first = make_object("A"), *second = make_object("B"), *id = make_batch(first);
    char *body = sl_format("{\"object_ids\":[\"%s\",\"%s\"]}", first, second);
    cr_assert_eq(call_path("POST", "/v1/buckets/items/batches/%s/objects", id, body), 200, "%s",
                 h.text);
    cr_expect_eq(sl_json_count(sl_json_member(h.reply, "object_ids")), 2, "each once: %s", h.text);
    cr_expect_eq(call_path("POST", "/v1/buckets/items/batches/%s/objects", id,
                           "{\"object_ids\":[\"obj_none\"]}"),
                 404, "%s", h.text);
    cr_expect(harness_is(&h, "error.details.missing.0", "obj_none"));
    cr_assert_eq(call_path("PATCH", "/v1/buckets/items/batches/%s", id,
                           "{\"metadata\":{\"from\":\"test\"}}"),
                 200, "%s", h.text);
    cr_expect(harness_is(&h, "metadata.from", "test"));
    cr_assert_eq(
        harness_call(&h, "POST", "/v1/buckets/items/batches/list", "{\"status\":\"DRAFT\"}"), 200,
        "%s", h.text);
    cr_expect_eq(harness_number(&h, "total_count"), 1);
    cr_expect(harness_is(&h, "results.0.batch_id", id));
    cr_assert_eq(
        harness_call(&h, "POST", "/v1/buckets/items/batches/list", "{\"status\":\"COMPLETED\"}"),
        200);
    cr_expect_eq(harness_number(&h, "total_count"), 0);
    cr_assert_eq(harness_call(&h, "GET", "/v1/buckets/items", NULL), 200);
    cr_expect_eq(harness_number(&h, "batch_stats.total"), 1);
    cr_assert_eq(call_path("DELETE", "/v1/buckets/items/batches/%s", id, NULL), 200, "%s", h.text);
    cr_expect_eq(call_path("GET", "/v1/buckets/items/batches/%s", id, NULL), 404);
    sl_free(body);
    sl_free(first);
    sl_free(second);
    sl_free(id);
}

Test(resources, a_submitted_batch_takes_nothing_more_and_is_canceled_before_it_is_deleted)
{
    char *object = make_object("A"), *id = make_batch(object);
    char *body = sl_format("{\"object_ids\":[\"%s\"]}", object);
    cr_expect_eq(call_path("POST", "/v1/buckets/items/batches/%s/submit", id, NULL), 400, "%s",
                 h.text);
    make_collection();
    cr_assert_eq(call_path("POST", "/v1/buckets/items/batches/%s/submit", id, NULL), 200, "%s",
                 h.text);
    cr_expect_eq(call_path("POST", "/v1/buckets/items/batches/%s/submit", id, NULL), 409);
    cr_expect_eq(harness_call(&h, "GET", "/v1/buckets/items", NULL), 200);
    cr_expect_eq(harness_number(&h, "batch_stats.total"), 1);
    cr_expect_eq(harness_number(&h, "batch_stats.active"), 1);
    cr_expect_eq(call_path("POST", "/v1/buckets/items/batches/%s/objects", id, body), 409);
    cr_expect_eq(call_path("DELETE", "/v1/buckets/items/batches/%s", id, NULL), 409);
    cr_assert_eq(call_path("POST", "/v1/buckets/items/batches/%s/cancel", id, NULL), 200, "%s",
                 h.text);
    cr_expect(harness_is(&h, "status", "CANCELED"));
    cr_expect_eq(call_path("DELETE", "/v1/buckets/items/batches/%s", id, NULL), 200, "%s", h.text);
    cr_expect_eq(harness_call(&h, "GET", "/v1/buckets/items", NULL), 200);
    cr_expect_eq(harness_number(&h, "batch_stats.total"), 0);
    cr_expect_eq(harness_number(&h, "batch_stats.active"), 0);
    sl_free(body);
    sl_free(object);
    sl_free(id);
}

Test(resources, tasks_are_listed_by_status_and_type_in_any_case)
{
    char *object = make_object("A"), *id = make_batch(object);
    make_collection();
    cr_assert_eq(call_path("POST", "/v1/buckets/items/batches/%s/submit", id, NULL), 200);
    char *task = harness_text(&h, "task_id");
    h.namespace_id = NULL;
    cr_assert_eq(harness_call(&h, "POST", "/v1/tasks/list",
                              "{\"status\":\"pending\",\"task_type\":"
                              "\"API_BUCKETS_BATCHES_PROCESS\"}"),
                 200, "%s", h.text);
    cr_expect_eq(sl_json_count(sl_json_member(h.reply, "results")), 1);
    cr_expect(harness_is(&h, "results.0.task_id", task));
    cr_assert_eq(harness_call(&h, "POST", "/v1/tasks/list", "{\"status\":\"FAILED\"}"), 200);
    cr_expect_eq(sl_json_count(sl_json_member(h.reply, "results")), 0);
    cr_assert_eq(call_path("DELETE", "/v1/tasks/%s", task, NULL), 200);
    cr_assert_eq(call_path("GET", "/v1/tasks/%s", task, NULL), 200);
    cr_expect(harness_is(&h, "status", "CANCELED"));
    cr_expect_eq(call_path("DELETE", "/v1/tasks/%s", "no-such-task", NULL), 200);
    sl_free(task);
    sl_free(object);
    sl_free(id);
}

Test(resources, a_collection_tells_its_features)
{
    make_collection();
    cr_assert_eq(harness_call(&h, "GET", "/v1/collections/texts/features", NULL), 200, "%s",
                 h.text);
    cr_expect_not_null(strstr(h.text, "mixpeek://text_extractor@v1/text_hash_v1"), "%s", h.text);
    cr_assert_eq(harness_call(&h, "GET", "/v1/collections/texts", NULL), 200);
    cr_expect_eq(harness_number(&h, "vector_indexes.0.index.dimensions"), 1024);
    cr_expect_eq(harness_call(&h, "GET", "/v1/collections/none/features", NULL), 404);
}

/* ---- tenants and users --------------------------------------------------------------------- */

Test(resources, an_operator_lists_tenants_and_cannot_make_one_twice)
{
    static const char body[] = "{\"tenant_id\":\"acme\",\"name\":\"Again\",\"plan\":\"starter\","
                               "\"isolation_level\":\"logical\"}";
    cr_expect_eq(harness_call(&h, "GET", "/v1/tenants", NULL), 403, "%s", h.text);
    h.who = operator;
    h.namespace_id = NULL;
    uint64_t before = harness_digest(&h);
    cr_expect_eq(harness_call(&h, "POST", "/v1/tenants", body), 409, "%s", h.text);
    cr_expect_eq(harness_digest(&h), before);
    cr_assert_eq(harness_call(&h, "GET", "/v1/tenants", NULL), 200, "%s", h.text);
    cr_expect_not_null(strstr(h.text, "\"acme\""), "%s", h.text);
}

Test(resources, the_organization_and_its_users_are_shown)
{
    cr_assert_eq(harness_call(&h, "GET", "/v1/organizations", NULL), 200, "%s", h.text);
    char *id = harness_text(&h, "organization_id");
    cr_expect_str_eq(id, h.who.organization_id);
    cr_assert_eq(harness_call(&h, "POST", "/v1/organizations/users",
                              "{\"email\":\"ada@example.com\",\"user_name\":\"Ada\"}"),
                 200, "%s", h.text);
    cr_assert_eq(harness_call(&h, "GET", "/v1/organizations/users", NULL), 200, "%s", h.text);
    cr_expect_not_null(strstr(h.text, "ada@example.com"), "%s", h.text);
    cr_assert_eq(harness_call(&h, "GET", "/v1/organizations/users/ada@example.com", NULL), 200);
    cr_expect(harness_is(&h, "email", "ada@example.com"));
    sl_free(id);
}

Test(resources, null_in_a_change_counts_as_absent)
{
    cr_assert_eq(harness_call(&h, "PATCH", "/v1/buckets/items",
                              "{\"bucket_name\":null,\"metadata\":null,\"description\":\"d\"}"),
                 200, "%s", h.text);
    cr_assert(harness_is(&h, "bucket_name", "items"));
    cr_assert(harness_is(&h, "description", "d"));
    cr_assert_eq(harness_call(&h, "GET", "/v1/buckets/items", NULL), 200, "%s", h.text);
}
