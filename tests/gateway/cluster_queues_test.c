/* SPDX-License-Identifier: Apache-2.0 */
/* Queues over the API: who sees which, what stops and what is refused. */
#include <criterion/criterion.h>

#include "queue/look.h"
#include "runtime/alloc.h"
#include "tests/gateway/harness.h"

static struct harness h;
static struct sl_identity operator, acme;

static void
setup(void)
{
    harness_init(&h);
    operator= h.who;
    harness_tenant(&h, "other", "starter");
    harness_tenant(&h, "acme", "starter");
    acme = h.who;
    harness_namespace(&h, "shop");
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets",
                              "{\"bucket_name\":\"items\",\"bucket_schema\":{\"properties\":{"
                              "\"content\":{\"type\":\"text\"}}}}"),
                 200, "%s", h.text);
    cr_assert_eq(harness_call(&h, "POST", "/v1/collections",
                              "{\"collection_name\":\"texts\",\"source\":{\"type\":\"bucket\","
                              "\"bucket_ids\":[\"items\"]},\"feature_extractor\":{"
                              "\"feature_extractor_name\":\"text_extractor\",\"version\":\"v1\","
                              "\"input_mappings\":{\"text\":\"content\"}}}"),
                 200, "%s", h.text);
}

static void
teardown(void)
{
    harness_deinit(&h);
}

TestSuite(cluster_queues, .init = setup, .fini = teardown);

/* A batch of one object, submitted; the status. */
static int
submit(void)
{
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets/items/objects",
                              "{\"blobs\":[{\"property\":\"content\",\"type\":\"text\","
                              "\"data\":\"boots\"}]}"),
                 200, "%s", h.text);
    char *object = harness_text(&h, "object_id");
    char *body = sl_format("{\"object_ids\":[\"%s\"]}", object);
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets/items/batches", body), 200, "%s", h.text);
    char *batch = harness_text(&h, "batch_id");
    char *path = sl_format("/v1/buckets/items/batches/%s/submit", batch);
    int status = harness_call(&h, "POST", path, NULL);
    sl_free(object);
    sl_free(body);
    sl_free(batch);
    sl_free(path);
    return status;
}

static bool
lease(void)
{
    struct sl_lease_want want = {.class = SL_CLASS_CPU,
                                 .holder = 1,
                                 .now_ns = 1,
                                 .now_ms = h.now_ms,
                                 .duration_ns = SL_SECOND_NS};
    struct sl_lease lease;
    return sl_queue_lease(h.gateway.queue, &want, &lease);
}

Test(cluster_queues, a_paused_queue_takes_tasks_and_hands_out_none_until_resumed)
{
    cr_assert_eq(harness_call(&h, "POST", "/v1/cluster/queues/acme:cpu/pause", NULL), 200, "%s",
                 h.text);
    cr_expect(harness_is(&h, "mode", "paused"));
    cr_expect_eq(submit(), 200, "%s", h.text);
    cr_expect_not(lease());
    harness_reopen(&h);
    cr_expect_not(lease());
    h.now_ms += 1000;
    cr_assert_eq(harness_call(&h, "GET", "/v1/cluster/queues/acme:cpu", NULL), 200, "%s", h.text);
    cr_expect(harness_is(&h, "mode", "paused"));
    cr_expect_eq(harness_number(&h, "depth"), 1);
    cr_expect_eq(harness_number(&h, "in_flight"), 0);
    cr_expect_geq(harness_number(&h, "oldest_age_ms"), 1000);
    cr_assert_eq(harness_call(&h, "POST", "/v1/cluster/queues/acme:cpu/resume", NULL), 200);
    cr_expect(harness_is(&h, "mode", "open"));
    cr_expect(lease());
    cr_assert_eq(harness_call(&h, "GET", "/v1/cluster/queues/acme%3Acpu", NULL), 200);
    cr_expect_eq(harness_number(&h, "in_flight"), 1);
}

Test(cluster_queues, a_tenant_sees_and_sets_its_own_queues_only)
{
    static const char *const absent[] = {
        "other:cpu", "acme:none", "acme:", ":cpu", "acme", "nobody:cpu"};
    h.who = operator;
    cr_assert_eq(harness_call(&h, "POST", "/v1/cluster/queues/other:gpu/pause", NULL), 200);
    h.who = acme;
    uint64_t before = sl_queue_digest(h.gateway.queue);
    for (size_t i = 0; i < SL_COUNT_OF(absent); i++) {
        char *path = sl_format("/v1/cluster/queues/%s", absent[i]);
        char *pause = sl_format("%s/pause", path);
        cr_expect_eq(harness_call(&h, "GET", path, NULL), 404, "%s: %s", path, h.text);
        cr_expect_eq(harness_call(&h, "POST", pause, NULL), 404, "%s: %s", pause, h.text);
        sl_free(path);
        sl_free(pause);
    }
    cr_expect_eq(sl_queue_digest(h.gateway.queue), before);
    cr_assert_eq(harness_call(&h, "GET", "/v1/cluster/queues?tenant_id=other", NULL), 404);
    cr_assert_eq(harness_call(&h, "POST", "/v1/cluster/queues/acme:batch/pause", NULL), 200);
    cr_assert_eq(harness_call(&h, "GET", "/v1/cluster/queues", NULL), 200, "%s", h.text);
    cr_expect_not_null(strstr(h.text, "acme:batch"), "%s", h.text);
    cr_expect_null(strstr(h.text, "other"), "%s", h.text);
}

Test(cluster_queues, an_operator_lists_all_in_pages)
{
    h.who = operator;
    cr_assert_eq(harness_call(&h, "POST", "/v1/cluster/queues/other:gpu/pause", NULL), 200);
    cr_assert_eq(harness_call(&h, "POST", "/v1/cluster/queues/acme:cpu/pause", NULL), 200);
    cr_assert_eq(harness_call(&h, "GET", "/v1/cluster/queues?limit=1", NULL), 200, "%s", h.text);
    cr_expect_eq(sl_json_count(sl_json_member(h.reply, "results")), 1);
    cr_expect_not_null(strstr(h.text, "other:gpu"), "%s", h.text);
    char *cursor = harness_text(&h, "pagination.next_cursor");
    char *path = sl_format("/v1/cluster/queues?limit=1&cursor=%s", cursor);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
    cr_expect_not_null(strstr(h.text, "acme:cpu"), "%s", h.text);
    cr_expect_null(strstr(h.text, "other:gpu"), "%s", h.text);
    cr_expect_not_null(strstr(h.text, "\"next_cursor\":null"), "%s", h.text);
    cr_assert_eq(harness_call(&h, "GET", "/v1/cluster/queues?tenant_id=acme", NULL), 200);
    cr_expect_null(strstr(h.text, "other:gpu"), "%s", h.text);
    cr_expect_not_null(strstr(h.text, "acme:cpu"), "%s", h.text);
    sl_free(cursor);
    sl_free(path);
}

Test(cluster_queues, limits_are_kept_and_a_full_queue_refuses_whole_batches)
{
    h.who = operator;
    cr_assert_eq(harness_call(&h, "PATCH", "/v1/cluster/queues/acme:cpu",
                              "{\"weight\":7,\"depth_max\":1,\"running_max\":3}"),
                 200, "%s", h.text);
    cr_expect_eq(harness_call(&h, "PATCH", "/v1/cluster/queues/acme:cpu", "{\"weight\":1001}"),
                 422);
    cr_expect_eq(harness_call(&h, "PATCH", "/v1/cluster/queues/acme:cpu", "{\"rate\":5}"), 422);
    h.who = acme;
    cr_expect_eq(submit(), 200, "%s", h.text);
    uint64_t before = sl_queue_digest(h.gateway.queue);
    cr_expect_eq(submit(), 429, "%s", h.text);
    cr_expect(harness_is(&h, "error.type", "QuotaExceededError"), "%s", h.text);
    cr_expect_eq(sl_queue_digest(h.gateway.queue), before);
    harness_reopen(&h);
    cr_assert_eq(harness_call(&h, "GET", "/v1/cluster/queues/acme:cpu", NULL), 200);
    cr_expect_eq(harness_number(&h, "weight"), 7);
    cr_expect_eq(harness_number(&h, "depth_max"), 1);
    cr_expect_eq(harness_number(&h, "running_max"), 3);
    cr_expect_eq(harness_number(&h, "depth"), 1);
}

Test(cluster_queues, a_draining_queue_hands_out_and_takes_none)
{
    cr_expect_eq(submit(), 200, "%s", h.text);
    cr_assert_eq(harness_call(&h, "POST", "/v1/cluster/queues/acme:cpu/drain", NULL), 200);
    cr_expect(harness_is(&h, "mode", "draining"));
    cr_expect_eq(submit(), 503, "%s", h.text);
    cr_expect(lease());
    cr_assert_eq(harness_call(&h, "POST", "/v1/cluster/queues/acme:cpu/resume", NULL), 200);
    cr_expect_eq(submit(), 200, "%s", h.text);
}
