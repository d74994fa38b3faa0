/* SPDX-License-Identifier: Apache-2.0 */
/* A tenant's own queues through the handlers, with time as an argument. */
#include <stdio.h>

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
    harness_tenant(&h, "acme", "starter");
    acme = h.who;
    cr_assert_eq(harness_call(&h, "PUT", "/v1/queues/q", "{}"), 200, "%s", h.text);
}

static void
teardown(void)
{
    harness_deinit(&h);
}

TestSuite(own_queue, .init = setup, .fini = teardown);

/* One job; its id, owned. */
static char *
put(const char *job)
{
    char *body = sl_format("{\"jobs\":[%s]}", job);
    cr_assert_eq(harness_call(&h, "POST", "/v1/queues/q/jobs", body), 200, "%s", h.text);
    cr_assert_eq(harness_number(&h, "accepted"), 1, "%s", h.text);
    sl_free(body);
    return harness_text(&h, "results.0.job_id");
}

static int
call_job(const char *method, const char *id, const char *rest, const char *body)
{
    char *path = sl_format("/v1/queues/q/jobs/%s%s", id, rest);
    int status = harness_call(&h, method, path, body);
    sl_free(path);
    return status;
}

static void
expect_state(const char *id, const char *state)
{
    cr_assert_eq(call_job("GET", id, "", NULL), 200, "%s", h.text);
    cr_expect(harness_is(&h, "state", state), "%s", h.text);
}

/* End the lease that was granted last. */
static int
end_last(const char *members)
{
    char *id = harness_text(&h, "jobs.0.job_id"), *epoch = harness_text(&h, "jobs.0.epoch");
    char *body =
        sl_format("{\"ends\":[{\"job_id\":\"%s\",\"epoch\":\"%s\",%s}]}", id, epoch, members);
    int status = harness_call(&h, "POST", "/v1/queues/q/ends", body);
    sl_free(id);
    sl_free(epoch);
    sl_free(body);
    return status;
}

static void
lease(void)
{
    cr_assert_eq(harness_call(&h, "POST", "/v1/queues/q/lease", "{\"duration_ms\":1000}"), 200,
                 "%s", h.text);
}

Test(own_queue, a_delayed_job_is_leased_when_its_time_has_come_and_not_before)
{
    char *id = put("{\"payload\":1,\"delay_ms\":60000}");
    expect_state(id, "scheduled");
    lease();
    cr_expect_str_eq(h.text, "{\"jobs\":[]}");
    h.now_ms += 59999;
    lease();
    cr_expect_str_eq(h.text, "{\"jobs\":[]}");
    h.now_ms += 1;
    lease();
    cr_expect(harness_is(&h, "jobs.0.job_id", id));
    sl_free(id);
}

Test(own_queue, all_is_there_after_a_restart_and_the_lease_is_void)
{
    char *id = put("{\"payload\":{\"a\":1},\"priority\":7,\"retain_ms\":5000}");
    lease();
    char *epoch = harness_text(&h, "jobs.0.epoch");
    harness_reopen(&h);
    h.who = acme;
    expect_state(id, "queued");
    cr_expect_eq(harness_number(&h, "priority"), 7);
    cr_expect_eq(harness_number(&h, "payload.a"), 1);
    char *body = sl_format("{\"ends\":[{\"job_id\":\"%s\",\"epoch\":\"%s\",\"outcome\":\"done\"}]}",
                           id, epoch);
    cr_assert_eq(harness_call(&h, "POST", "/v1/queues/q/ends", body), 200);
    cr_expect(harness_is(&h, "results.0.error.type", "StaleLeaseError"), "%s", h.text);
    expect_state(id, "queued");
    sl_free(body);
    sl_free(epoch);
    sl_free(id);
}

Test(own_queue, what_is_refused_changes_nothing)
{
    static const struct {
        const char *method, *path, *body;
        int status;
    } wrong[] = {
        {"POST", "/v1/queues/q/jobs", "{\"jobs\":[{\"payload\":1},{\"delay_ms\":-1}]}", 422},
        {"POST", "/v1/queues/q/jobs", "{\"jobs\":[{\"priority\":10}]}", 422},
        {"POST", "/v1/queues/other/jobs", "{\"jobs\":[{\"payload\":1}]}", 404},
        {"PATCH", "/v1/queues/q", "{\"weight\":0}", 422},
        {"PATCH", "/v1/queues/q", "{\"weight\":3}", 403},
        {"PATCH", "/v1/queues/q", "{\"rate\":3}", 422},
        {"PATCH", "/v1/queues/q", "{\"mode\":\"odd\"}", 422},
        {"PUT", "/v1/queues/gpu", "{}", 422},
        {"PUT", "/v1/queues/-", "{}", 422},
        {"POST", "/v1/queues/q/lease", "{\"n\":0}", 422},
        {"POST", "/v1/queues/q/jobs/cancel", "{\"where\":{\"state\":\"dead\"}}", 422},
        {"POST", "/v1/queues/q/jobs/retry", "{\"where\":{\"state\":\"nosuch\"}}", 422},
        {"POST", "/v1/queues/q/jobs/job_4000000000000001/cancel", NULL, 404},
        {"DELETE", "/v1/queues/q/jobs/4000000000000001", NULL, 404},
    };
    char *id = put("{\"payload\":1}");
    uint64_t before = sl_queue_digest(h.gateway.queue), rows = harness_digest(&h);
    for (size_t i = 0; i < SL_COUNT_OF(wrong); i++)
        cr_expect_eq(harness_call(&h, wrong[i].method, wrong[i].path, wrong[i].body),
                     wrong[i].status, "%s %s: %s", wrong[i].method, wrong[i].path, h.text);
    cr_expect_eq(call_job("DELETE", id, "", NULL), 409, "%s", h.text);
    cr_expect_eq(call_job("POST", id, "/retry", "{}"), 409, "%s", h.text);
    cr_expect_eq(sl_queue_digest(h.gateway.queue), before);
    cr_expect_eq(harness_digest(&h), rows);
    sl_free(id);
}

Test(own_queue, another_tenant_finds_neither_the_queue_nor_its_jobs)
{
    char *id = put("{\"payload\":1}");
    harness_tenant(&h, "other", "starter");
    cr_expect_eq(harness_call(&h, "GET", "/v1/queues/q", NULL), 404);
    cr_expect_eq(call_job("GET", id, "", NULL), 404);
    char *path = sl_format("/v1/queues/-/jobs/%s", id);
    cr_expect_eq(harness_call(&h, "GET", path, NULL), 404);
    cr_assert_eq(harness_call(&h, "PUT", "/v1/queues/q", "{}"), 200);
    cr_expect_eq(call_job("GET", id, "", NULL), 404);
    cr_expect_eq(call_job("POST", id, "/cancel", NULL), 404);
    lease();
    cr_expect_str_eq(h.text, "{\"jobs\":[]}");
    h.who = acme;
    lease();
    char *epoch = harness_text(&h, "jobs.0.epoch");
    harness_tenant(&h, "third", "starter");
    cr_assert_eq(harness_call(&h, "PUT", "/v1/queues/q", "{}"), 200);
    char *body = sl_format("{\"ends\":[{\"job_id\":\"%s\",\"epoch\":\"%s\",\"outcome\":\"done\"}]}",
                           id, epoch);
    cr_assert_eq(harness_call(&h, "POST", "/v1/queues/q/ends", body), 200);
    cr_expect(harness_is(&h, "results.0.error.type", "StaleLeaseError"), "%s", h.text);
    h.who = acme;
    expect_state(id, "running");
    sl_free(id);
    sl_free(path);
    sl_free(epoch);
    sl_free(body);
}

Test(own_queue, an_end_in_the_path_of_another_queue_is_stale)
{
    char *id = put("{\"payload\":1}");
    cr_assert_eq(harness_call(&h, "PUT", "/v1/queues/second", "{}"), 200);
    lease();
    char *epoch = harness_text(&h, "jobs.0.epoch");
    char *body = sl_format("{\"ends\":[{\"job_id\":\"%s\",\"epoch\":\"%s\",\"outcome\":\"done\"}]}",
                           id, epoch);
    cr_assert_eq(harness_call(&h, "POST", "/v1/queues/second/ends", body), 200);
    cr_expect(harness_is(&h, "results.0.error.type", "StaleLeaseError"), "%s", h.text);
    cr_assert_eq(harness_call(&h, "POST", "/v1/queues/q/ends", body), 200);
    cr_expect_neq(strstr(h.text, "\"success\":true"), NULL, "%s", h.text);
    sl_free(id);
    sl_free(epoch);
    sl_free(body);
}

Test(own_queue, a_failure_of_a_final_class_is_dead_with_its_reason_and_is_driven_again)
{
    char *id = put("{\"payload\":1,\"retry\":{\"kind\":\"fixed\",\"base_ms\":5,\"cap_ms\":5,"
                   "\"attempts_max\":1,\"final_classes\":[\"Broken\"]}}");
    lease();
    cr_assert_eq(end_last("\"outcome\":\"failed\",\"error\":\"it broke\",\"class\":\"Broken\""),
                 200);
    expect_state(id, "dead");
    cr_expect_neq(strstr(h.text, "it broke"), NULL, "%s", h.text);
    cr_expect(harness_is(&h, "retry.final_classes.0", "Broken"), "%s", h.text);
    cr_assert_eq(call_job("POST", id, "/retry", "{\"payload\":2,\"delay_ms\":10}"), 200);
    expect_state(id, "scheduled");
    cr_expect_eq(harness_number(&h, "payload"), 2);
    sl_free(id);
}

Test(own_queue, a_result_is_kept_as_long_as_was_asked_for_or_until_it_is_removed)
{
    cr_assert_eq(harness_call(&h, "GET", "/v1/queues/q", NULL), 200);
    cr_expect_eq(harness_number(&h, "depth"), 0);
    char *id = put("{\"payload\":1,\"retain_ms\":1000}");
    lease();
    cr_assert_eq(end_last("\"outcome\":\"done\",\"result\":{\"b\":2}"), 200);
    expect_state(id, "succeeded");
    cr_expect_eq(harness_number(&h, "result.b"), 2);
    cr_assert_eq(call_job("DELETE", id, "", NULL), 200, "%s", h.text);
    cr_expect_eq(call_job("GET", id, "", NULL), 404);
    sl_free(id);
}

Test(own_queue, what_an_operator_set_is_held_over_a_restart)
{
    h.who = operator;
    cr_assert_eq(harness_call(&h, "POST", "/v1/cluster/queues/acme:q/pause", NULL), 200);
    cr_expect(harness_is(&h, "held.0", "mode"), "%s", h.text);
    harness_reopen(&h);
    h.who = acme;
    cr_expect_eq(harness_call(&h, "PATCH", "/v1/queues/q", "{\"mode\":\"open\"}"), 403);
    cr_expect_eq(harness_call(&h, "POST", "/v1/cluster/queues/acme:q/drain", NULL), 403);
    cr_expect_eq(harness_call(&h, "PATCH", "/v1/queues/q", "{\"running_max\":4}"), 200);
    h.who = operator;
    cr_assert_eq(harness_call(&h, "POST", "/v1/cluster/queues/acme:q/resume", NULL), 200);
    h.who = acme;
    cr_expect_eq(harness_call(&h, "PATCH", "/v1/queues/q", "{\"mode\":\"paused\"}"), 200);
    cr_expect_eq(harness_call(&h, "PATCH", "/v1/queues/q", "{\"mode\":\"open\"}"), 200);
    cr_expect_eq(harness_number(&h, "running_max"), 4);
}

/* ---- puts that commit in parts -------------------------------------------------------------- */

enum { ITEMS = 500, LARGE = 80, RESULT_BYTES = 60000 };

/* One that has ended, whose key answers with its large result. */
static void
put_large(void)
{
    char *id = put("{\"key\":\"large\",\"mode\":\"ttl\",\"window_ms\":100000,"
                   "\"retain_ms\":100000}");
    char *text = sl_zalloc(RESULT_BYTES + 1);
    memset(text, 'x', RESULT_BYTES);
    char *members = sl_format("\"outcome\":\"done\",\"result\":\"%s\"", text);
    lease();
    cr_assert_eq(end_last(members), 200, "%s", h.text);
    sl_free(members);
    sl_free(text);
    sl_free(id);
}

/* Of ITEMS every other one has a key of its own; then come some whose answers are large. */
static char *
many(void)
{
    struct sl_buf body = {0};
    sl_buf_append_str(&body, "{\"jobs\":[");
    for (int i = 0; i < ITEMS; i++) {
        sl_buf_printf(&body, "{\"payload\":%d", i);
        if (i % 2 == 0)
            sl_buf_printf(&body, ",\"key\":\"k%d\"", i);
        sl_buf_append_str(&body, "},");
    }
    for (int i = 0; i < LARGE; i++)
        sl_buf_printf(&body, "%s{\"key\":\"large\"}", i == 0 ? "" : ",");
    sl_buf_append_str(&body, "]}");
    char *text = sl_strdup(sl_buf_text(&body));
    sl_buf_deinit(&body);
    return text;
}

/* A reply over 4 MiB is not kept: so what its parts left is as if it had been cut off. */
Test(own_queue, a_put_that_was_cut_off_goes_on_behind_its_last_part_when_it_is_sent_again)
{
    put_large();
    char *body = many(), *ids[ITEMS], path[64];
    h.idempotency_key = "once";
    cr_assert_eq(harness_call(&h, "POST", "/v1/queues/q/jobs", body), 200, "%.200s", h.text);
    cr_assert_eq(harness_number(&h, "accepted"), ITEMS + LARGE);
    for (int i = 0; i < ITEMS; i++) {
        snprintf(path, sizeof(path), "results.%d.job_id", i);
        ids[i] = harness_text(&h, path);
    }
    cr_assert_eq(harness_call(&h, "POST", "/v1/queues/q/jobs", "{\"jobs\":[{}]}"), 422);
    cr_assert_eq(harness_call(&h, "POST", "/v1/queues/q/jobs", body), 200, "%.200s", h.text);
    cr_assert_eq(harness_number(&h, "accepted"), ITEMS + LARGE);
    cr_assert_eq(harness_number(&h, "refused"), 0);
    int first = ITEMS;
    for (int i = ITEMS - 1; i >= 0; i--) {
        snprintf(path, sizeof(path), "results.%d.index", i);
        cr_assert_eq(harness_number(&h, path), (uint64_t)i);
        snprintf(path, sizeof(path), "results.%d.job_id", i);
        if (!harness_is(&h, path, ids[i]))
            first = i;
        sl_free(ids[i]);
    }
    cr_assert(first > ITEMS / 2 && first < ITEMS - 50, "%d", first);
    h.idempotency_key = NULL;
    cr_assert_eq(harness_call(&h, "GET", "/v1/queues/q", NULL), 200);
    cr_assert_eq(harness_number(&h, "depth"), (uint64_t)(ITEMS + (ITEMS - first + 1) / 2));
    sl_free(body);
}
