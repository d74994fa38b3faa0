/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/trace_log.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define MINUTE_MS UINT64_C(60000)
#define NOW_MS    (UINT64_C(28000000) * MINUTE_MS)
#define MONO_NS   (100000 * SL_SECOND_NS)

static struct sl_trace_log *kept;
static struct sl_trace_clock at;

static void
set_clock(uint64_t later_ms)
{
    at = (struct sl_trace_clock){.offset_ns = INT64_MIN / 2};
    sl_trace_clock_look(&at, MONO_NS, NOW_MS + later_ms);
}

static void
setup(void)
{
    kept = sl_trace_log_create();
    set_clock(0);
}

static void
finish(void)
{
    sl_trace_log_destroy(&kept);
}

TestSuite(trace_log, .init = setup, .fini = finish, .timeout = 60);

/* A call of a scope and kind that ends now, after so long. */
static void
call(uint64_t scope, uint64_t kind, uint64_t took_ms)
{
    struct sl_trace_context context = {.trace = {0xab, [15] = 0x01}, .span = {8}};
    struct sl_m_call_traced m = {.context = sl_slice(&context, sizeof(context)),
                                 .method = sl_slice_str("GET"),
                                 .route = sl_slice_str("/v1/x"),
                                 .tenant = sl_slice_str("acme"),
                                 .request_id = sl_slice_str("req_1"),
                                 .kind = kind,
                                 .scope = scope,
                                 .status = 200,
                                 .begun_ns = MONO_NS - took_ms * SL_MILLI_NS,
                                 .ended_ns = MONO_NS};
    sl_trace_log_call(kept, &m, &at);
}

static bool
wants(uint64_t kind, uint64_t took_ms, uint64_t later_ms)
{
    return sl_trace_log_wants(kept, kind, took_ms * SL_MILLI_NS, NOW_MS + later_ms);
}

struct seen {
    uint32_t count;
    uint64_t sum_ms;
    struct sl_kept_call last;
};

static void
look(void *arg, const struct sl_kept_call *one)
{
    struct seen *seen = arg;
    seen->count++;
    seen->sum_ms += (one->phases.end_ns - one->phases.start_ns) / SL_MILLI_NS;
    seen->last = *one;
}

static struct seen
all(void)
{
    struct seen seen = {0};
    sl_trace_log_calls(kept, look, &seen);
    return seen;
}

Test(trace_log, keeps_of_a_minute_the_slowest_and_of_a_route_four)
{
    for (uint64_t i = 1; i <= 100; i++)
        call(1, 7, i);
    cr_expect_eq(all().count, SL_TRACE_LOG_OF_ROUTE);
    cr_expect_eq(all().sum_ms, 97 + 98 + 99 + 100);
    cr_expect_not(wants(7, 97, 0), "it takes no longer than the least of them");
    cr_expect(wants(7, 98, 0));
    for (uint64_t kind = 10; kind < 30; kind++)
        call(1, kind, kind);
    struct seen seen = all();
    cr_expect_eq(seen.count, SL_TRACE_LOG_CALLS);
    cr_expect_eq(seen.sum_ms, 97 + 98 + 99 + 100 + (18 + 29) * 12 / 2, "those of 18 ms and more");
    cr_expect_not(wants(40, 18, 0));
    cr_expect(wants(40, 19, 0));
}

Test(trace_log, begins_anew_each_minute_and_after_an_hour_in_the_same_place)
{
    for (uint64_t i = 0; i < 100; i++)
        call(1, i, 1000);
    cr_expect_not(wants(200, 1, MINUTE_MS - 1));
    cr_expect(wants(200, 1, MINUTE_MS));
    set_clock(MINUTE_MS);
    call(1, 7, 5);
    cr_expect_eq(all().count, SL_TRACE_LOG_CALLS + 1);
    set_clock(SL_TRACE_LOG_MINUTES * MINUTE_MS);
    call(1, 7, 5);
    cr_expect_eq(all().count, 2, "those of an hour ago have gone");
}

Test(trace_log, says_whose_a_call_is_and_where_its_time_went)
{
    call(5, 7, 30);
    struct sl_kept_call one = all().last;
    cr_expect_eq(one.scope.id, 5);
    cr_expect_str_eq(one.name, "GET /v1/x");
    cr_expect_str_eq(one.tenant, "acme");
    cr_expect_str_eq(one.request, "req_1");
    cr_expect_str_eq(one.trace, "ab000000000000000000000000000001");
    cr_expect_eq(one.phases.count, 2);
    cr_expect_str_eq(one.phases.each[0].name, "run");
    cr_expect_str_eq(one.phases.each[1].name, "commit");
}

Test(trace_log, bears_texts_of_any_length)
{
    char text[300];
    struct sl_trace_context context = {0};
    memset(text, 'x', sizeof(text));
    struct sl_slice any = sl_slice(text, sizeof(text));
    struct sl_m_call_traced m = {.context = sl_slice(&context, sizeof(context)),
                                 .method = any,
                                 .route = any,
                                 .tenant = any,
                                 .request_id = any};
    sl_trace_log_call(kept, &m, &at);
    struct sl_kept_call one = all().last;
    cr_expect_eq(strlen(one.name), sizeof(one.name) - 1);
    cr_expect_eq(strlen(one.tenant), sizeof(one.tenant) - 1);
    cr_expect_eq(strlen(one.request), sizeof(one.request) - 1);
}

/* ---- leases -------------------------------------------------------------------------------- */

static struct sl_job_id
job_of(uint32_t number)
{
    struct sl_job_id id = {.bytes = {1}};
    memcpy(&id.bytes[4], &number, sizeof(number));
    return id;
}

/* Task `id` of a job: it waited, and was then leased for so long. */
static void
lease(uint64_t scope, uint32_t job, uint64_t id, uint64_t took_ms)
{
    struct sl_job_id of = job_of(job);
    struct sl_m_task_traced m = {.job = sl_slice(of.bytes, sizeof(of.bytes)),
                                 .scope = scope,
                                 .task_id = id,
                                 .epoch = 1,
                                 .attempt = 1,
                                 .created_ms = NOW_MS - 90000,
                                 .since_ns = MONO_NS - took_ms * SL_MILLI_NS,
                                 .ended_ns = MONO_NS,
                                 .computed_ns = took_ms * SL_MILLI_NS,
                                 .extractor = sl_slice_str("text_extractor")};
    sl_trace_log_task(kept, &m, &at);
}

Test(trace_log, keeps_of_a_job_the_leases_that_took_longest)
{
    for (uint64_t i = 1; i <= 100; i++)
        lease(3, 1, i, i);
    const struct sl_kept_job *job = sl_trace_log_job(kept, (struct sl_scope){3}, job_of(1));
    cr_assert_not_null(job);
    cr_expect_eq(job->told, 100);
    cr_expect_eq(job->count, SL_TRACE_LOG_LEASES);
    for (uint32_t i = 0; i < job->count; i++)
        cr_expect_gt(job->leases[i].task_id, 100 - SL_TRACE_LOG_LEASES);
    cr_expect_str_eq(job->leases[0].extractor, "text_extractor");
    cr_expect_str_eq(job->leases[0].phases.each[0].name, "wait");
    cr_expect_null(sl_trace_log_job(kept, (struct sl_scope){4}, job_of(1)), "another's");
    cr_expect_null(sl_trace_log_job(kept, (struct sl_scope){3}, job_of(2)));
}

Test(trace_log, the_job_that_nothing_was_heard_of_for_longest_makes_room)
{
    for (uint32_t i = 0; i < SL_TRACE_LOG_JOBS; i++)
        lease(3, i, 1, 1);
    lease(3, 0, 2, 1);
    lease(3, SL_TRACE_LOG_JOBS, 1, 1);
    cr_expect_not_null(sl_trace_log_job(kept, (struct sl_scope){3}, job_of(0)));
    cr_expect_null(sl_trace_log_job(kept, (struct sl_scope){3}, job_of(1)));
    cr_expect_not_null(sl_trace_log_job(kept, (struct sl_scope){3}, job_of(SL_TRACE_LOG_JOBS)));
}

Test(trace_log, forgets_all_of_a_tenant_and_nothing_of_others)
{
    for (uint64_t kind = 0; kind < 8; kind++) {
        call(1, kind, 10);
        call(2, kind, 20);
    }
    lease(1, 1, 1, 1);
    lease(2, 2, 1, 1);
    sl_trace_log_forget(kept, (struct sl_scope){1});
    struct seen seen = all();
    cr_expect_eq(seen.count, 8);
    cr_expect_eq(seen.sum_ms, 8 * 20);
    cr_expect_null(sl_trace_log_job(kept, (struct sl_scope){1}, job_of(1)));
    cr_expect_not_null(sl_trace_log_job(kept, (struct sl_scope){2}, job_of(2)));
    call(1, 100, 1);
    cr_expect_eq(all().count, 9, "the places are free");
}
