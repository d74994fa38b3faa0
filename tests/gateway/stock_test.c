/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of what is there: each refuses the one too many, and lets it in once there is room. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "actors/count.h"
#include "actors/rows.h"
#include "gateway/limit.h"
#include "gateway/limits.h"
#include "runtime/alloc.h"
#include "gateway/account.h"
#include "tests/gateway/harness.h"

static struct harness h;
static struct sl_identity operator, acme;

#define BUCKET                                                                                     \
    "{\"bucket_name\":\"items\",\"bucket_schema\":{\"properties\":{\"content\":"                   \
    "{\"type\":\"text\"},\"sku\":{\"type\":\"string\"}}},\"unique_key\":{\"fields\":[\"sku\"]}}"
#define COLLECTION                                                                                 \
    "{\"collection_name\":\"texts\",\"source\":{\"type\":\"bucket\",\"bucket_ids\":[\"items\"]},"  \
    "\"feature_extractor\":{\"feature_extractor_name\":\"text_extractor\",\"version\":\"v1\","     \
    "\"input_mappings\":{\"text\":\"content\"}}}"

static void
setup(void)
{
    harness_init(&h);
    operator= h.who;
    harness_tenant(&h, "acme", "scale");
    acme = h.who;
    harness_namespace(&h, "lib");
    cr_assert_eq(harness_call(&h, "PUT", "/v1/queues/q", "{}"), 200, "%s", h.text);
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets", BUCKET), 200, "%s", h.text);
    cr_assert_eq(harness_call(&h, "POST", "/v1/collections", COLLECTION), 200, "%s", h.text);
}

static void
teardown(void)
{
    harness_deinit(&h);
}

TestSuite(stock, .init = setup, .fini = teardown);

static void
put_limit(const char *limits)
{
    char *body = sl_format("{\"limits\":%s}", limits);
    h.who = operator;
    cr_assert_eq(harness_call(&h, "PUT", "/v1/tenants/acme/quotas", body), 200, "%s", h.text);
    sl_free(body);
    h.who = acme;
}

/* Of so many there are; in the currency of the limit. */
static void
expect_used(const char *limit, double used)
{
    double is = -1;
    char *path = sl_format("usage.%s.used", limit), *body = sl_format("{\"limit\":\"%s\"}", limit);
    struct sl_json at;
    cr_assert_eq(harness_call(&h, "GET", "/v1/tenants/acme/quotas", NULL), 200, "%s", h.text);
    at = sl_json_member(sl_json_member(sl_json_member(h.reply, "usage"), limit), "used");
    cr_assert_eq(sl_json_f64(at, &is), SL_OK, "%s", h.text);
    cr_expect_float_eq(is, used, 1e-12, "%s: %g and not %g: %s", limit, is, used, h.text);
    cr_assert_eq(harness_call(&h, "POST", "/v1/tenants/acme/quotas/check", body), 200, "%s",
                 h.text);
    cr_assert_eq(sl_json_f64(sl_json_member(h.reply, "used"), &is), SL_OK, "%s", h.text);
    cr_expect_float_eq(is, used, 1e-12, "%s", h.text);
    sl_free(path);
    sl_free(body);
}

static void
expect_refused(const char *limit)
{
    cr_expect_eq(h.status, 429, "%s: %d %s", limit, h.status, h.text);
    cr_expect(harness_is(&h, "error.type", "QuotaExceededError"), "%s", h.text);
    cr_expect(harness_is(&h, "error.details.limit", limit), "%s", h.text);
    cr_expect_not_null(strstr(h.text, "\"used\":"), "%s", h.text);
    cr_expect_not_null(strstr(h.text, "\"max\":"), "%s", h.text);
    cr_expect_not_null(strstr(h.text, "\"reset_at\":null"), "%s", h.text);
}

/* "%d" in a body is another number each time. */
static int
make(const char *target, const char *body)
{
    static int number;
    char text[512];
    (void)snprintf(text, sizeof(text), body, number, number);
    number++;
    return harness_call(&h, "POST", target, text);
}

#define RETRIEVER "{\"retriever_name\":\"find%d\",\"collection_identifiers\":[\"texts\"],"

static const struct {
    const char *limit, *allow_two, *target, *body;
    double one; /* As it is shown. */
} kinds[] = {
    {"max_storage_gb", "{\"max_storage_gb\":0.0000002}", "/v1/buckets/items/objects?policy=insert",
     "{\"sku\":\"s%d\",\"content\":\"ten bytes!\"}", -1},
    {"max_embeddings", "{\"max_embeddings\":2}", "/v1/collections/texts/documents",
     "{\"content\":\"tea %d\"}", 1},
    {"max_routes", "{\"max_routes\":2}", "/v1/retrievers",
     RETRIEVER
     "\"stages\":[{\"stage_name\":\"search\",\"stage_type\":\"filter\",\"config\":{\"stage_id\":"
     "\"feature_search\",\"pre_filters\":{\"field\":\"price\",\"operator\":\"gt\",\"value\":15}}}]"
     "}",
     1},
    {"max_queued_jobs", "{\"max_queued_jobs\":2}", "/v1/queues/q/jobs",
     "{\"jobs\":[{\"payload\":%d}]}", 1},
};

Test(stock, the_one_too_many_is_refused_changes_nothing_and_comes_in_when_there_is_room)
{
    for (size_t i = 0; i < SL_COUNT_OF(kinds); i++) {
        const char *limit = kinds[i].limit;
        char *none = sl_format("{\"%s\":null}", limit);
        put_limit(kinds[i].allow_two);
        expect_used(limit, 0);
        int made = 0;
        while (made < 9 && make(kinds[i].target, kinds[i].body) < 300)
            made++;
        cr_expect(made >= 1 && made < 9, "%s: %d: %s", limit, made, h.text);
        expect_refused(limit);
        uint64_t before = harness_digest(&h);
        for (int n = 0; n < 3; n++)
            make(kinds[i].target, kinds[i].body);
        expect_refused(limit);
        cr_expect_eq(harness_digest(&h), before, "%s: a refusal changed something", limit);
        if (kinds[i].one > 0) {
            cr_expect_eq(made, 2, "%s", limit);
            expect_used(limit, 2);
        }
        put_limit(none);
        cr_expect_lt(make(kinds[i].target, kinds[i].body), 300, "%s: %s", limit, h.text);
        sl_free(none);
    }
}

Test(stock, many_at_once_are_taken_or_refused_as_a_whole)
{
    put_limit("{\"max_queued_jobs\":3}");
    cr_expect_eq(make("/v1/queues/q/jobs", "{\"jobs\":[{\"payload\":1},{\"payload\":2}]}"), 200,
                 "%s", h.text);
    make("/v1/queues/q/jobs", "{\"jobs\":[{\"payload\":1},{\"payload\":2}]}");
    expect_refused("max_queued_jobs");
    expect_used("max_queued_jobs", 2);
    cr_expect_eq(make("/v1/queues/q/jobs", "{\"jobs\":[{\"payload\":3}]}"), 200, "%s", h.text);
    expect_used("max_queued_jobs", 3);
}

Test(stock, who_deletes_has_room_again_and_restarts_remember)
{
    put_limit("{\"max_embeddings\":1}");
    cr_assert_lt(make("/v1/collections/texts/documents", "{\"content\":\"one\"}"), 300, "%s",
                 h.text);
    char *id = harness_text(&h, "document_id");
    make("/v1/collections/texts/documents", "{\"content\":\"two\"}");
    expect_refused("max_embeddings");
    harness_reopen(&h);
    h.who = acme;
    h.namespace_id = "lib";
    make("/v1/collections/texts/documents", "{\"content\":\"two\"}");
    expect_refused("max_embeddings");
    char *target = sl_format("/v1/collections/texts/documents/%s", id);
    cr_expect_eq(harness_call(&h, "DELETE", target, NULL), 200, "%s", h.text);
    cr_expect_lt(make("/v1/collections/texts/documents", "{\"content\":\"two\"}"), 300, "%s",
                 h.text);
    sl_free(target);
    sl_free(id);
}

/* What tasks are told (count.h), as they write without a call. */
static int64_t
told(void)
{
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    struct sl_counter most = {
        .scope = acme.scope, .what = SL_COUNT_MAX, .parent = SL_COUNT_RECORDS};
    int64_t is = sl_count(txn, most);
    sl_txn_abort(&txn);
    return is;
}

/* The reply's `id` between two texts; to be freed. */
static char *
around(const char *before, const char *id, const char *behind)
{
    char *value = harness_text(&h, id), *text = sl_format("%s%s%s", before, value, behind);
    sl_free(value);
    return text;
}

static void
submit_one(void)
{
    cr_assert_eq(
        make("/v1/buckets/items/objects?policy=insert", "{\"content\":\"one\",\"sku\":\"s%d\"}"),
        200, "%s", h.text);
    char *body = around("{\"object_ids\":[\"", "object_id", "\"]}");
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets/items/batches", body), 200, "%s", h.text);
    char *target = around("/v1/buckets/items/batches/", "batch_id", "/submit");
    cr_assert_eq(harness_call(&h, "POST", target, NULL), 200, "%s", h.text);
    sl_free(target);
    sl_free(body);
}

Test(stock, tasks_are_told_what_the_plan_brings)
{
    h.gateway.plans = "{\"scale\":{\"limits\":{\"max_embeddings\":\"7\"}},"
                      "\"growth\":{\"limits\":{\"max_embeddings\":\"5\"}}}";
    sl_limits_forget(h.gateway.limits);
    submit_one();
    cr_expect_eq(told(), 7);
    put_limit("{\"max_embeddings\":6}");
    cr_expect_eq(told(), 6);
    put_limit("{\"max_embeddings\":null}");
    cr_expect_eq(told(), 7);
    h.who = operator;
    cr_assert_eq(harness_call(&h, "PATCH", "/v1/tenants/acme", "{\"plan\":\"growth\"}"), 200, "%s",
                 h.text);
    h.who = acme;
    cr_expect_eq(told(), 5);
    /* Another configuration, at the next start. */
    h.gateway.plans = NULL;
    sl_limits_forget(h.gateway.limits);
    submit_one();
    cr_expect_eq(told(), 0);
}

Test(stock, models_of_all_namespaces_count)
{
    struct sl_buf key = {0};
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    sl_txn_put(txn, acme.scope, SL_TABLE_MODEL, sl_key(&key, 2, "ns_elsewhere", "m_1"),
               sl_slice_str("{\"model_id\":\"m_1\"}"));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    sl_buf_deinit(&key);
    put_limit("{\"max_models\":1}");
    expect_used("max_models", 1);
    make("/v1/models/uploads", "{\"name\":\"tiny%d\",\"version\":\"1.0\",\"model_format\":"
                               "\"safetensors\",\"file_size_bytes\":10,\"model_name\":\"x%d\"}");
    expect_refused("max_models");
}

Test(stock, an_organization_has_so_many_keys_and_then_uses_the_names_of_revoked_ones)
{
    static const char users[] = "/v1/organizations/users/owner@acme.local/api-keys";
    struct sl_buf key = {0};
    uint8_t digest[32] = {1};
    cr_assert_lt(harness_call(&h, "POST", users, "{\"name\":\"old\"}"), 300, "%s", h.text);
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    for (unsigned i = 0; i < SL_API_KEYS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%u", i);
        sl_txn_put(txn, acme.scope, SL_TABLE_USER_KEY, sl_key(&key, 2, "owner@acme.local", name),
                   sl_slice(digest, sizeof(digest)));
    }
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    sl_buf_deinit(&key);
    cr_expect_eq(harness_call(&h, "POST", users, "{\"name\":\"new\"}"), 429, "%s", h.text);
    expect_refused("max_api_keys");
    cr_expect_eq(harness_call(&h, "PATCH", "/v1/organizations/users/owner@acme.local/api-keys/old",
                              "{\"status\":\"revoked\"}"),
                 200, "%s", h.text);
    cr_expect_lt(harness_call(&h, "POST", users, "{\"name\":\"old\"}"), 300, "%s", h.text);
}
