/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/trace_spans.h"

#include <criterion/criterion.h>

#define NOW_MS  UINT64_C(1700000000000)
#define MONO_NS (1000 * SL_SECOND_NS)

static struct sl_trace_clock clock_now = {.offset_ns = INT64_MIN / 2};
static struct sl_traced_job job = {.id = {.bytes = {1, [15] = 2}},
                                   .context = {.trace = {7}, .span = {8}, .flags = 1},
                                   .tenant = "acme"};
static struct sl_traced traced;

static void
setup(void)
{
    sl_trace_clock_look(&clock_now, MONO_NS, NOW_MS);
}

TestSuite(trace_spans, .init = setup);

static struct sl_m_task_traced
some_task(void)
{
    struct sl_m_task_traced m = {.job = sl_slice(job.id.bytes, sizeof(job.id.bytes)),
                                 .task_id = 5,
                                 .epoch = 9,
                                 .attempt = 1,
                                 .created_ms = NOW_MS - 1000,
                                 .since_ns = MONO_NS - 500 * SL_MILLI_NS,
                                 .ended_ns = MONO_NS - 10 * SL_MILLI_NS,
                                 .queued_ns = 100 * SL_MILLI_NS,
                                 .batched_ns = 90 * SL_MILLI_NS,
                                 .computed_ns = 200 * SL_MILLI_NS};
    return m;
}

/* Parts lie within the whole, in order, without an overlap, and name it as their parent. */
static void
expect_nested(void)
{
    const struct sl_span *whole = &traced.spans[0];
    uint64_t at_ns = whole->start_ns;
    for (uint32_t i = 1; i < traced.count; i++) {
        const struct sl_span *part = &traced.spans[i];
        cr_expect_geq(part->start_ns, at_ns, "%s", part->name);
        cr_expect_geq(part->end_ns, part->start_ns, "%s", part->name);
        cr_expect_eq(memcmp(part->parent, whole->id, sizeof(whole->id)), 0);
        cr_expect_eq(memcmp(part->trace, whole->trace, sizeof(whole->trace)), 0);
        for (uint32_t k = 0; k < i; k++)
            cr_expect_neq(memcmp(part->id, traced.spans[k].id, sizeof(part->id)), 0);
        at_ns = part->end_ns;
    }
    cr_expect_leq(at_ns, whole->end_ns);
}

static uint64_t
length_ms(const char *name)
{
    for (uint32_t i = 0; i < traced.count; i++) {
        const struct sl_span *span = &traced.spans[i];
        if (strcmp(span->name, name) == 0)
            return (span->end_ns - span->start_ns) / SL_MILLI_NS;
    }
    return UINT64_MAX;
}

Test(trace_spans, of_a_task_follow_each_other)
{
    struct sl_m_task_traced m = some_task();
    sl_trace_task(&m, &job, &clock_now, &traced);
    expect_nested();
    cr_expect_eq(length_ms("task"), 1000);
    cr_expect_eq(length_ms("wait"), 500);
    cr_expect_eq(length_ms("lease"), 50, "half of what is on the way, there and back");
    cr_expect_eq(length_ms("node wait"), 100);
    cr_expect_eq(length_ms("batch wait"), 90);
    cr_expect_eq(length_ms("compute"), 200);
    cr_expect_eq(length_ms("record"), 10);
}

Test(trace_spans, of_a_node_that_says_too_much_stay_within_the_lease)
{
    struct sl_m_task_traced m = some_task();
    m.queued_ns = m.computed_ns = UINT64_MAX;
    sl_trace_task(&m, &job, &clock_now, &traced);
    expect_nested();
    cr_expect_eq(length_ms("node wait"), 490);
    cr_expect_eq(length_ms("compute"), 0);
}

Test(trace_spans, of_a_run_that_nothing_is_known_of_are_one)
{
    struct sl_m_task_traced m = some_task();
    m.created_ms = m.queued_ns = m.batched_ns = m.computed_ns = 0;
    m.outcome = SL_TRACED_RETRY;
    sl_trace_task(&m, &job, &clock_now, &traced);
    expect_nested();
    cr_expect(traced.spans[0].is_error);
    cr_expect_eq(length_ms("wait"), UINT64_MAX);
    cr_expect_eq(length_ms("run"), 490);
}

Test(trace_spans, a_task_is_part_of_its_job_and_that_of_its_request)
{
    struct sl_m_task_traced m = some_task();
    struct sl_job_row row = {.created_ms = NOW_MS - 2000, .started_ms = NOW_MS - 1500};
    uint8_t id[8];
    sl_trace_task(&m, &job, &clock_now, &traced);
    memcpy(id, traced.spans[0].parent, sizeof(id));
    sl_trace_job(&row, &job, &clock_now, &traced);
    expect_nested();
    cr_expect_eq(memcmp(traced.spans[0].id, id, sizeof(id)), 0);
    cr_expect_eq(memcmp(traced.spans[0].parent, job.context.span, sizeof(id)), 0);
    cr_expect_eq(length_ms("job"), 2000);
    cr_expect_eq(length_ms("wait"), 500);
    cr_expect_eq(length_ms("work"), 1500);
}

Test(trace_spans, of_a_job_that_never_began_have_no_work)
{
    struct sl_job_row row = {.created_ms = NOW_MS - 2000, .state = SL_JOB_CANCELED};
    sl_trace_job(&row, &job, &clock_now, &traced);
    expect_nested();
    cr_expect_eq(length_ms("wait"), 2000);
    cr_expect_eq(length_ms("work"), UINT64_MAX);
}

Test(trace_spans, of_a_call_are_the_callers_children)
{
    struct sl_trace_context context = {.trace = {7}, .span = {8}, .parent = {9}, .flags = 1};
    struct sl_m_call_traced m = {.method = sl_slice_str("POST"),
                                 .route = sl_slice_str("/v1/x"),
                                 .status = 503,
                                 .received_ms = NOW_MS - 100,
                                 .begun_ns = MONO_NS - 80 * SL_MILLI_NS,
                                 .asked_ns = MONO_NS - 70 * SL_MILLI_NS,
                                 .ended_ns = MONO_NS - 20 * SL_MILLI_NS};
    sl_trace_call(&m, &context, &clock_now, &traced);
    expect_nested();
    cr_expect_str_eq(traced.spans[0].name, "POST /v1/x");
    cr_expect(traced.spans[0].is_error);
    cr_expect_eq(memcmp(traced.spans[0].id, context.span, sizeof(context.span)), 0);
    cr_expect_eq(memcmp(traced.spans[0].parent, context.parent, sizeof(context.parent)), 0);
    cr_expect_eq(length_ms("queue wait"), 20);
    cr_expect_eq(length_ms("run"), 10);
    cr_expect_eq(length_ms("ask"), 50);
    cr_expect_eq(length_ms("commit"), 20);
}

Test(trace_spans, of_a_call_that_asked_a_replica_has_its_phases_within)
{
    struct sl_trace_context context = {.trace = {7}, .span = {8}, .flags = 1};
    struct sl_m_call_traced m = {.begun_ns = MONO_NS - 80 * SL_MILLI_NS,
                                 .asked_ns = MONO_NS - 70 * SL_MILLI_NS,
                                 .ended_ns = MONO_NS - 20 * SL_MILLI_NS,
                                 .queued_ns = 4 * SL_MILLI_NS,
                                 .batched_ns = 6 * SL_MILLI_NS,
                                 .computed_ns = 30 * SL_MILLI_NS};
    sl_trace_call(&m, &context, &clock_now, &traced);
    const struct sl_span *ask = &traced.spans[2];
    cr_expect_str_eq(ask->name, "ask");
    uint64_t at_ns = ask->start_ns + 5 * SL_MILLI_NS; /* The way there: half of what is left. */
    for (uint32_t i = 3; i < 6; i++) {
        cr_expect_eq(memcmp(traced.spans[i].parent, ask->id, sizeof(ask->id)), 0);
        cr_expect_eq(traced.spans[i].start_ns, at_ns, "%s", traced.spans[i].name);
        at_ns = traced.spans[i].end_ns;
    }
    cr_expect_eq(length_ms("replica wait"), 4);
    cr_expect_eq(length_ms("batch wait"), 6);
    cr_expect_eq(length_ms("compute"), 30);
    cr_expect_eq(at_ns + 5 * SL_MILLI_NS, ask->end_ns);
}

Test(trace_spans, a_node_that_lies_of_its_time_moves_nothing_out_of_the_ask)
{
    struct sl_trace_context context = {.trace = {7}, .span = {8}, .flags = 1};
    struct sl_m_call_traced m = {.begun_ns = MONO_NS - 80 * SL_MILLI_NS,
                                 .asked_ns = MONO_NS - 70 * SL_MILLI_NS,
                                 .ended_ns = MONO_NS - 20 * SL_MILLI_NS,
                                 .queued_ns = UINT64_MAX,
                                 .batched_ns = UINT64_MAX,
                                 .computed_ns = UINT64_MAX};
    sl_trace_call(&m, &context, &clock_now, &traced);
    cr_expect_eq(length_ms("replica wait"), 50);
    cr_expect_eq(length_ms("compute"), 0);
    cr_expect_eq(length_ms("ask"), 50);
}

Test(trace_spans, a_clock_that_was_set_is_believed_and_one_that_jitters_is_not)
{
    int64_t first = clock_now.offset_ns;
    sl_trace_clock_look(&clock_now, MONO_NS + SL_MILLI_NS - 1, NOW_MS);
    cr_expect_eq(clock_now.offset_ns, first, "the wall clock's last digits are cut off");
    sl_trace_clock_look(&clock_now, MONO_NS, NOW_MS - 5000);
    cr_expect_eq(clock_now.offset_ns, first - 5000 * (int64_t)SL_MILLI_NS);
    sl_trace_clock_look(&clock_now, MONO_NS, NOW_MS + 5000);
    cr_expect_eq(clock_now.offset_ns, first + 5000 * (int64_t)SL_MILLI_NS);
}
