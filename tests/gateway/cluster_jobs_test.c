/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs over the API: pages of all queues, for the operator and for a tenant. */
#include <criterion/criterion.h>

#include "runtime/alloc.h"
#include "tests/gateway/harness.h"

static struct harness h;
static struct sl_identity operator, acme, other;

static void
put_jobs(const char *queue, uint32_t count)
{
    char *path = sl_format("/v1/queues/%s", queue), *jobs = sl_format("%s/jobs", path);
    cr_assert_eq(harness_call(&h, "PUT", path, "{}"), 200, "%s", h.text);
    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(
            harness_call(&h, "POST", jobs,
                         "{\"jobs\":[{\"payload\":{\"n\":1},\"retry\":{\"attempts_max\":1}}]}"),
            200, "%s", h.text);
    sl_free(path);
    sl_free(jobs);
}

/* A batch of one object. */
static void
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
    cr_assert_eq(harness_call(&h, "POST", path, NULL), 200, "%s", h.text);
    sl_free(object);
    sl_free(body);
    sl_free(batch);
    sl_free(path);
}

static void
tenant(const char *name, struct sl_identity *ret_who)
{
    harness_tenant(&h, name, "starter");
    *ret_who = h.who;
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
setup(void)
{
    harness_init(&h);
    operator= h.who;
    tenant("acme", &acme);
    for (int i = 0; i < 7; i++)
        submit();
    put_jobs("mail", 5);
    h.who = operator;
    h.namespace_id = NULL;
    tenant("other", &other);
    submit();
    put_jobs("mail", 2);
    h.namespace_id = NULL;
}

static void
teardown(void)
{
    harness_deinit(&h);
}

TestSuite(cluster_jobs, .init = setup, .fini = teardown);

/* Rows of all pages; each row's job id must be another. */
static uint32_t
walk(const char *filter, uint32_t limit)
{
    char *ids[64], *cursor = NULL;
    uint32_t count = 0, pages = 0;
    do {
        char *path = sl_format("/v1/cluster/jobs?limit=%u%s%s%s", limit, filter,
                               cursor == NULL ? "" : "&cursor=", cursor == NULL ? "" : cursor);
        cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s: %s", path, h.text);
        sl_free(path);
        sl_free(cursor);
        struct sl_json rows = sl_json_member(h.reply, "results");
        cr_assert_leq(sl_json_count(rows), limit);
        for (struct sl_json_iter i = sl_json_iter(rows); sl_json_next(&i);) {
            cr_assert_lt(count, SL_COUNT_OF(ids));
            ids[count] = sl_json_strdup(sl_json_member(i.value, "job_id"));
            for (uint32_t k = 0; k < count; k++)
                cr_expect_str_neq(ids[k], ids[count]);
            count++;
        }
        cursor = sl_json_strdup(sl_json_path(h.reply, sl_slice_str("pagination.next_cursor")));
    } while (cursor != NULL && ++pages < 50);
    cr_expect_null(cursor);
    for (uint32_t i = 0; i < count; i++)
        sl_free(ids[i]);
    return count;
}

Test(cluster_jobs, an_operators_pages_have_each_job_once)
{
    h.who = operator;
    for (uint32_t limit = 1; limit < 20; limit += 3)
        cr_expect_eq(walk("", limit), 15, "by %u", limit);
    cr_expect_eq(walk("&tenant_id=other", 2), 3);
    cr_expect_eq(walk("&queue=acme:cpu", 2), 7);
    cr_expect_eq(walk("&queue=other:mail", 4), 2);
    cr_expect_eq(walk("&state=pending", 4), 8);
    cr_expect_eq(walk("&state=queued", 4), 7);
    cr_expect_eq(walk("&state=dead", 4), 0);
}

Test(cluster_jobs, a_tenant_sees_its_own)
{
    h.who = acme;
    cr_expect_eq(walk("", 5), 12);
    cr_expect_eq(walk("&queue=other:cpu", 5), 0);
    cr_expect_null(strstr(h.text, "\"other\""));
    cr_assert_eq(harness_call(&h, "GET", "/v1/cluster/jobs?tenant_id=other", NULL), 404);
    h.who = other;
    cr_expect_eq(walk("", 1), 3);
}

Test(cluster_jobs, those_of_a_batch_are_found)
{
    h.who = acme;
    cr_assert_eq(harness_call(&h, "GET", "/v1/cluster/jobs?limit=1", NULL), 200);
    char *batch = harness_text(&h, "results.0.batch_id");
    char *filter = sl_format("&batch_id=%s", batch);
    cr_expect(harness_is(&h, "results.0.queue", "acme:cpu"));
    cr_expect(harness_is(&h, "results.0.tenant_id", "acme"));
    cr_expect_eq(harness_number(&h, "results.0.progress.total"), 1);
    cr_expect_eq(walk(filter, 2), 1);
    h.who = other;
    cr_expect_eq(walk(filter, 2), 0);
    sl_free(batch);
    sl_free(filter);
}

Test(cluster_jobs, what_is_no_cursor_or_state_is_refused)
{
    static const char *const wrong[] = {"cursor=x", "state=lazy", "limit=0", "tenant_id=nobody"};
    h.who = operator;
    for (size_t i = 0; i < SL_COUNT_OF(wrong); i++) {
        char *path = sl_format("/v1/cluster/jobs?%s", wrong[i]);
        int status = harness_call(&h, "GET", path, NULL);
        cr_expect(status == 422 || (i == 3 && status == 404), "%s: %d", wrong[i], status);
        sl_free(path);
    }
    cr_expect_eq(harness_call(&h, "GET", "/v1/cluster/extractors", NULL), 503, "no head: %s",
                 h.text);
}

/* ---- failed ones, and what one went through -------------------------------------------------- */

/* Lease one of the queue's jobs and end it; its id, the caller's. */
static char *
end_one(const char *queue, const char *outcome)
{
    char *path = sl_format("/v1/queues/%s/lease", queue),
         *ends = sl_format("/v1/queues/%s/ends", queue);
    cr_assert_eq(harness_call(&h, "POST", path, "{\"n\":1}"), 200, "%s", h.text);
    char *job = harness_text(&h, "jobs.0.job_id");
    char *epoch = harness_text(&h, "jobs.0.epoch");
    char *body = sl_format("{\"ends\":[{\"job_id\":\"%s\",\"epoch\":\"%s\",\"outcome\":\"%s\","
                           "\"error\":\"no way\"}]}",
                           job, epoch, outcome);
    cr_assert_eq(harness_call(&h, "POST", ends, body), 200, "%s", h.text);
    sl_free(path);
    sl_free(ends);
    sl_free(epoch);
    sl_free(body);
    return job;
}

#define DEAD "/v1/cluster/queues/acme:mail/dead"

static uint32_t
dead_count(const char *query)
{
    char *path = sl_format(DEAD "%s", query);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
    sl_free(path);
    return sl_json_count(sl_json_member(h.reply, "results"));
}

Test(cluster_jobs, failed_ones_of_a_queue_are_listed_and_begin_again)
{
    h.who = acme;
    char *first = end_one("mail", "failed"), *second = end_one("mail", "failed");
    char *third = end_one("mail", "failed");
    h.who = operator;
    cr_expect_eq(dead_count(""), 3);
    cr_expect_eq(dead_count("?limit=2"), 2);
    char *cursor = harness_text(&h, "pagination.next_cursor");
    char *query = sl_format("?limit=2&cursor=%s", cursor);
    cr_expect_eq(dead_count(query), 1);
    char *body = sl_format("{\"job_ids\":[\"%s\",\"job_0\",\"%s\"]}", second, second);
    cr_assert_eq(harness_call(&h, "POST", DEAD "/redrive", body), 202, "%s", h.text);
    cr_expect_eq(harness_number(&h, "redriven"), 1);
    cr_expect_eq(dead_count(""), 2);
    cr_assert_eq(harness_call(&h, "POST", DEAD "/redrive", "{\"all\":true}"), 202, "%s", h.text);
    cr_expect_eq(harness_number(&h, "redriven"), 2);
    cr_expect_eq(dead_count(""), 0);
    cr_expect_eq(harness_call(&h, "POST", DEAD "/redrive", "{}"), 422);
    cr_expect_eq(harness_call(&h, "POST", DEAD "/redrive", "{\"all\":true,\"job_ids\":[]}"), 422);
    cr_expect_eq(harness_call(&h, "GET", "/v1/cluster/queues/acme:cpu/dead", NULL), 409, "%s",
                 h.text);
    h.who = other;
    cr_expect_eq(harness_call(&h, "GET", DEAD, NULL), 404);
    cr_expect_eq(harness_call(&h, "POST", DEAD "/redrive", "{\"all\":true}"), 404);
    sl_free(first);
    sl_free(second);
    sl_free(third);
    sl_free(cursor);
    sl_free(query);
    sl_free(body);
}

Test(cluster_jobs, no_more_begin_again_than_the_tenant_may_have)
{
    static const char quota[] = "/v1/tenants/acme/quotas";
    static const char *const ways[][2] = {
        {DEAD "/redrive", "{\"all\":true}"},
        {"/v1/queues/mail/jobs/retry", "{\"where\":{\"state\":\"dead\"}}"}};
    h.who = acme;
    char *first = end_one("mail", "failed"), *second = end_one("mail", "failed");
    char *one = sl_format("/v1/queues/mail/jobs/%s/retry", first);
    h.who = operator; /* 7 of batches and 3 in the queue are left. */
    cr_assert_eq(harness_call(&h, "PUT", quota, "{\"limits\":{\"max_queued_jobs\":11}}"), 200, "%s",
                 h.text);
    h.who = acme;
    for (size_t i = 0; i < SL_COUNT_OF(ways); i++) {
        cr_expect_eq(harness_call(&h, "POST", ways[i][0], ways[i][1]), 429, "%s", h.text);
        cr_expect_eq(dead_count(""), 2);
    }
    cr_expect_eq(harness_call(&h, "POST", one, "{}"), 200, "%s", h.text);
    cr_expect_eq(dead_count(""), 1);
    cr_expect_eq(harness_call(&h, "POST", ways[1][0], ways[1][1]), 429, "%s", h.text);
    cr_expect_eq(dead_count(""), 1);
    sl_free(first);
    sl_free(second);
    sl_free(one);
}

Test(cluster_jobs, a_trace_has_what_a_job_went_through)
{
    h.who = acme;
    h.now_ms += 1000;
    char *job = end_one("mail", "failed");
    char *body = sl_format("{\"job_ids\":[\"%s\"]}", job);
    cr_assert_eq(harness_call(&h, "POST", DEAD "/redrive", body), 202, "%s", h.text);
    char *path = sl_format("/v1/cluster/jobs/%s/trace", job);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
    cr_expect_eq(sl_json_count(sl_json_member(h.reply, "spans")), 3, "%s", h.text);
    cr_expect(harness_is(&h, "spans.0.phase", "wait"));
    cr_expect_geq(harness_number(&h, "spans.0.duration_ms"), 1000, "%s", h.text);
    cr_expect(harness_is(&h, "spans.0.ended_by", "lease"));
    cr_expect(harness_is(&h, "spans.1.phase", "lease"));
    cr_expect(harness_is(&h, "spans.1.ended_by", "dead"));
    cr_expect_not(sl_json_has(sl_json_path(h.reply, sl_slice_str("spans.2.finished_at"))));
    cr_expect(harness_is(&h, "state", "queued"));
    h.who = other;
    cr_expect_eq(harness_call(&h, "GET", path, NULL), 404);
    h.who = operator;
    cr_expect_eq(harness_call(&h, "GET", path, NULL), 404, "whose is not said: %s", h.text);
    sl_free(path);
    path = sl_format("/v1/cluster/jobs/%s/trace?tenant_id=acme", job);
    cr_expect_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
    sl_free(path);
    sl_free(body);
    sl_free(job);
}

Test(cluster_jobs, a_batchs_trace_waits_until_its_first_task_begins)
{
    h.who = acme;
    cr_assert_eq(harness_call(&h, "GET", "/v1/cluster/jobs?limit=1", NULL), 200);
    char *job = harness_text(&h, "results.0.job_id");
    char *path = sl_format("/v1/cluster/jobs/%s/trace", job);
    cr_assert_eq(harness_call(&h, "GET", path, NULL), 200, "%s", h.text);
    cr_expect(harness_is(&h, "spans.0.phase", "wait"));
    cr_expect_eq(sl_json_count(sl_json_member(h.reply, "spans")), 1);
    cr_expect(harness_is(&h, "state", "pending"));
    h.who = other;
    cr_expect_eq(harness_call(&h, "GET", path, NULL), 404);
    h.who = operator;
    cr_expect_eq(harness_call(&h, "GET", path, NULL), 200);
    cr_expect_eq(harness_call(&h, "GET", "/v1/cluster/jobs/nonsense/trace", NULL), 404);
    sl_free(job);
    sl_free(path);
}
