/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gateway/job_events.h"

static struct sl_job_events *e;
static uint64_t clock_ms;

static void
setup(void)
{
    e = sl_job_events_create();
    clock_ms = 1000;
}

static void
teardown(void)
{
    sl_job_events_destroy(&e);
}

TestSuite(job_events, .init = setup, .fini = teardown);

static uint64_t
now_ms(void)
{
    return clock_ms;
}

static bool
note(uint64_t scope, uint64_t task)
{
    struct sl_queue_change change = {.change = SL_CHANGE_LEASE,
                                     .state = SL_STATE_RUNNING,
                                     .task_id = task,
                                     .scope = {scope},
                                     .epoch = 9};
    return sl_job_events_note(e, &change, now_ms);
}

static struct sl_job_name
job(uint64_t scope, uint64_t task)
{
    return (struct sl_job_name){{scope}, task};
}

Test(job_events, a_job_that_nobody_follows_is_not_noted)
{
    cr_expect_not(note(1, 7));
    (void)sl_job_events_follow(e, job(1, 7), clock_ms, 0);
    cr_expect(note(1, 7));
    cr_expect_not(note(1, 8));
    cr_expect_not(note(1, 7 + 1024)); /* The same bucket. */
}

Test(job_events, another_tenant_s_job_of_the_number_is_another)
{
    struct sl_job_event event;
    (void)sl_job_events_follow(e, job(1, 7), clock_ms, 0);
    cr_expect(note(1, 7));
    cr_expect_not(note(2, 7));
    cr_expect_not(sl_job_events_has(e, job(2, 7)));
    cr_expect_not(sl_job_events_next(e, job(2, 7), 0, &event));
    cr_expect(sl_job_events_next(e, job(1, 7), 0, &event));
}

Test(job_events, one_goes_on_behind_the_last_that_was_seen)
{
    struct sl_job_event event, second;
    cr_expect_not(sl_job_events_follow(e, job(1, 7), clock_ms, 5), "a number of nobody's");
    uint64_t start = sl_job_events_last(e);
    cr_expect(sl_job_events_follow(e, job(1, 7), clock_ms, start));
    cr_expect(note(1, 7));
    cr_expect(sl_job_events_progress(e, job(1, 7), sl_slice_str("{\"a\":1}"), 1005));
    cr_assert(sl_job_events_next(e, job(1, 7), start, &event));
    cr_expect_str_eq(event.name, "lease");
    cr_expect_eq(event.epoch, 9);
    cr_expect_eq(event.at_ms, 1000);
    cr_assert(sl_job_events_next(e, job(1, 7), event.number, &second));
    cr_expect_str_eq(second.name, "progress");
    cr_expect(sl_slice_is(second.progress, "{\"a\":1}"));
    cr_expect_not(sl_job_events_next(e, job(1, 7), second.number, &event));
    cr_expect(sl_job_events_follow(e, job(1, 7), clock_ms, second.number));
    cr_expect_not(sl_job_events_follow(e, job(1, 7), clock_ms, second.number + 1), "to come");
}

Test(job_events, what_fell_out_is_not_passed_over_in_silence)
{
    struct sl_job_event event;
    (void)sl_job_events_follow(e, job(1, 7), clock_ms, 0);
    uint64_t start = sl_job_events_last(e);
    for (int i = 0; i < SL_JOB_EVENTS_KEPT; i++)
        cr_expect(note(1, 7));
    cr_expect(sl_job_events_follow(e, job(1, 7), clock_ms, start));
    cr_expect(note(1, 7));
    cr_expect_not(sl_job_events_follow(e, job(1, 7), clock_ms, start));
    cr_expect(sl_job_events_follow(e, job(1, 7), clock_ms, start + 1));
    cr_assert(sl_job_events_next(e, job(1, 7), 0, &event));
    cr_expect_eq(event.number, start + 2);
}

Test(job_events, who_was_not_asked_for_is_forgotten_and_numbers_rise_on)
{
    (void)sl_job_events_follow(e, job(1, 7), clock_ms, 0);
    cr_expect(note(1, 7));
    uint64_t last = sl_job_events_last(e);
    (void)sl_job_events_follow(e, job(1, 8), clock_ms + SL_JOB_FOLLOW_MS, 0);
    cr_expect(sl_job_events_has(e, job(1, 7)));
    (void)sl_job_events_follow(e, job(1, 8), clock_ms + SL_JOB_FOLLOW_MS + 1, 0);
    cr_expect_not(sl_job_events_has(e, job(1, 7)));
    cr_expect_not(sl_job_events_follow(e, job(1, 7), clock_ms + SL_JOB_FOLLOW_MS + 1, last));
    cr_expect_gt(sl_job_events_last(e), last);
}

Test(job_events, beyond_the_most_the_one_not_asked_for_longest_gives_way)
{
    for (uint64_t i = 1; i <= SL_JOB_EVENTS_JOBS; i++)
        (void)sl_job_events_follow(e, job(1, i), clock_ms, 0);
    (void)sl_job_events_follow(e, job(1, 1), clock_ms, 0);
    (void)sl_job_events_follow(e, job(1, 100000), clock_ms, 0);
    cr_expect(sl_job_events_has(e, job(1, 1)));
    cr_expect_not(sl_job_events_has(e, job(1, 2)));
    cr_expect(sl_job_events_has(e, job(1, 3)));
}

Test(job_events, a_report_over_the_limit_is_refused)
{
    static char text[SL_JOB_PROGRESS_BYTES + 1];
    memset(text, '1', sizeof(text));
    (void)sl_job_events_follow(e, job(1, 7), clock_ms, 0);
    cr_expect_not(sl_job_events_progress(e, job(1, 7), sl_slice(text, sizeof(text)), 1));
    cr_expect(sl_job_events_progress(e, job(1, 7), sl_slice(text, sizeof(text) - 1), 1));
}
