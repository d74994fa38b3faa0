/* SPDX-License-Identifier: Apache-2.0 */
/* What a run that ended other than well makes of its task. */
#include "queue/finish.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#include "queue/look.h"
#include "queue/lose.h"
#include "runtime/report.h"
#include "tests/queue/paper_log.h"

static struct sl_queue *q;
static struct sl_buf event;
static struct sl_paper_log paper;
static struct sl_random dice;
static uint64_t now_ms, now_ns;

static void
setup(void)
{
    q = sl_queue_create();
    sl_queue_boot(q, 1);
    sl_random_seed(&dice, 1);
    now_ms = 1000;
    now_ns = 5;
    struct sl_lane_settings settings = {0};
    sl_queue_event_lane(&event, SL_CLASS_OWN, sl_slice_str("own"), &settings);
    sl_paper_apply(&paper, q, 1, sl_buf_slice(&event));
    sl_buf_clear(&event);
}

static void
teardown(void)
{
    sl_queue_destroy(&q);
    sl_buf_deinit(&event);
    sl_paper_deinit(&paper);
}

TestSuite(finish, .init = setup, .fini = teardown);

static void
apply(void)
{
    sl_paper_apply(&paper, q, 1, sl_buf_slice(&event));
    sl_buf_clear(&event);
}

static uint64_t
put(const struct sl_retry_policy *policy)
{
    struct sl_buf bytes = {0};
    struct sl_task_put p = {.task_id = sl_queue_reserve(q),
                            .class = SL_CLASS_OWN,
                            .lane = sl_lane_hash(sl_slice_str("own")),
                            .created_ms = now_ms,
                            .payload = sl_slice_str("x")};
    if (policy != NULL)
        sl_retry_encode(policy, &bytes);
    p.policy = sl_buf_slice(&bytes);
    sl_queue_event_put(&event, &p);
    apply();
    sl_buf_deinit(&bytes);
    return p.task_id;
}

static struct sl_lease
lease(void)
{
    struct sl_lease got = {0};
    struct sl_lease_want want = {.class = SL_CLASS_OWN,
                                 .scope = {1},
                                 .lane = sl_lane_hash(sl_slice_str("own")),
                                 .holder = 1,
                                 .now_ns = now_ns,
                                 .now_ms = now_ms,
                                 .duration_ns = 100};
    cr_assert(sl_queue_lease(q, &want, &got));
    return got;
}

/* Lease the next, wherever in time it is, and let its run end so. */
#define finish(...) finish_run((struct sl_run){__VA_ARGS__})

static struct sl_finish
finish_run(struct sl_run run)
{
    uint64_t next_ms = sl_queue_next_ms(q);
    while (next_ms != UINT64_MAX && sl_queue_ready_count(q, SL_CLASS_OWN) == 0) {
        now_ms = SL_MAX(now_ms, next_ms);
        struct sl_lease none;
        if (sl_queue_lease(q, &(struct sl_lease_want){.class = SL_CLASS_GPU, .now_ms = now_ms},
                           &none))
            break;
        next_ms = sl_queue_next_ms(q);
    }
    struct sl_lease got = lease();
    struct sl_finish done;
    run.now_ms = now_ms;
    run.random = &dice;
    cr_assert_eq(sl_queue_finish(q, &got, &run, &event, &done), SL_OK);
    cr_assert_eq(done.has_event, event.size > 0);
    if (done.has_event)
        apply();
    return done;
}

static struct sl_task_info
info(uint64_t id)
{
    struct sl_task_info got = {0};
    cr_assert_eq(sl_queue_task(q, (struct sl_scope){1}, id, &got), SL_OK);
    return got;
}

static const char *
why(uint64_t id)
{
    static char text[SL_QUEUE_ERROR_MAX + 1];
    struct sl_slice bytes = sl_paper_read(&paper, info(id).why);
    cr_assert_leq(bytes.size, SL_QUEUE_ERROR_MAX);
    memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    return text;
}

Test(finish, tries_again_by_the_default_policy_and_gives_up_after_three_runs)
{
    uint64_t a = put(NULL);
    for (uint16_t run = 1; run < 3; run++) {
        struct sl_finish done =
            finish(.class = sl_slice_str("Timeout"), .message = sl_slice_str("m"));
        cr_assert_eq(done.attempts, run);
        cr_assert(done.state == SL_STATE_SCHEDULED || done.not_before_ms == 0);
        cr_assert_eq(info(a).attempts, run);
        cr_assert_str_eq(why(a), "Timeout: m");
    }
    cr_assert_eq(finish(.message = sl_slice_str("m")).state, SL_STATE_DEAD);
    cr_assert_eq(info(a).state, SL_STATE_DEAD);
    cr_assert_eq(info(a).attempts, 3);
    cr_assert_eq(info(a).crashes, 0);
    cr_assert_eq(info(a).time_ms, now_ms);
    cr_assert_str_eq(why(a), "error: m [no attempt is left]");
}

Test(finish, goes_by_the_policy_that_came_with_the_task)
{
    uint64_t a =
        put(&(struct sl_retry_policy){.kind = SL_RETRY_FIXED, .attempts_max = 2, .base_ms = 700});
    struct sl_finish done = finish(.class = sl_slice_str("E"));
    cr_assert_eq(done.not_before_ms, now_ms + 700);
    cr_assert_eq(info(a).state, SL_STATE_SCHEDULED);
    cr_assert_eq(finish(.class = sl_slice_str("E")).verdict, SL_RETRY_SPENT);
    cr_assert_eq(info(a).state, SL_STATE_DEAD);
}

Test(finish, does_not_try_again_what_the_policy_calls_final)
{
    uint64_t a = put(
        &(struct sl_retry_policy){.attempts_max = 9, .classes_count = 1, .classes = {"BadInput"}});
    cr_assert_eq(finish(.class = sl_slice_str("BadInput")).verdict, SL_RETRY_FINAL);
    cr_assert_eq(info(a).state, SL_STATE_DEAD);
    cr_assert_eq(info(a).attempts, 1);
    cr_assert_str_eq(why(a), "BadInput [such are not tried again]");
}

Test(finish, waits_as_long_as_whoever_failed_asks_for)
{
    put(&(struct sl_retry_policy){.attempts_max = 9, .after_cap_ms = 5000});
    cr_assert_eq(finish(.after_ms = 1234).not_before_ms, now_ms + 1234);
    cr_assert_eq(finish(.after_ms = 999999).not_before_ms, now_ms + 5000);
}

Test(finish, counts_the_time_to_try_for_from_the_first_failure_on_also_after_a_restart)
{
    uint64_t a = put(
        &(struct sl_retry_policy){.kind = SL_RETRY_FIXED, .base_ms = 600, .retry_for_ms = 1000});
    now_ms += 5000; /* It waited for long: that is no failure. */
    uint64_t first_ms = now_ms;
    cr_assert_eq(finish(.class = sl_slice_str("E")).not_before_ms, first_ms + 600);
    cr_assert_eq(info(a).failed_ms, first_ms);
    struct sl_buf bytes = {0};
    sl_queue_snapshot(q, &bytes);
    cr_assert_eq(sl_queue_restore(q, sl_buf_slice(&bytes)), SL_OK);
    sl_buf_deinit(&bytes);
    cr_assert_eq(info(a).failed_ms, first_ms);
    cr_assert_eq(finish(.class = sl_slice_str("E")).not_before_ms, first_ms + 999);
    now_ms = first_ms + 1000;
    cr_assert_eq(finish(.class = sl_slice_str("E")).verdict, SL_RETRY_LATE);
    cr_assert_eq(info(a).state, SL_STATE_DEAD);

    sl_queue_event_redrive(&event, &(struct sl_edit){.task_id = a});
    apply();
    cr_assert_eq(info(a).failed_ms, 0);
    cr_assert_eq(finish(.class = sl_slice_str("E")).verdict, SL_RETRY_AGAIN);
}

Test(finish, quarantines_a_task_with_which_three_processes_died_and_says_how)
{
    uint64_t a = put(NULL);
    for (uint16_t i = 1; i < SL_QUEUE_CRASHES_MAX; i++) {
        struct sl_finish done = finish(.end = SL_RUN_CRASHED, .signal = SIGSEGV);
        cr_assert_eq(done.state, SL_STATE_QUEUED);
        cr_assert_eq(done.crashes, i);
        cr_assert_eq(info(a).attempts, i - 1);
        cr_assert_eq(finish(.class = sl_slice_str("E")).crashes, i); /* Not mixed. */
    }
    struct sl_finish done = finish(.end = SL_RUN_CRASHED, .signal = SIGKILL, .peak_bytes = 1 << 30,
                                   .lines = sl_slice_str("loading\nallocating 1 GiB\n"));
    cr_assert_eq(done.state, SL_STATE_QUARANTINED);
    cr_assert_eq(info(a).crashes, 3);
    cr_assert_eq(info(a).attempts, 2);
    cr_assert_str_eq(why(a), "its process died of signal 9 SIGKILL, peak memory 1073741824 bytes\n"
                             "loading\nallocating 1 GiB");
}

Test(finish, keeps_the_last_lines_that_fit)
{
    char lines[4096];
    size_t size = 0;
    for (int i = 0; size < sizeof(lines) - 16; i++)
        size += (size_t)snprintf(lines + size, 16, "line %d\n", i);
    uint64_t a = put(NULL);
    finish(.end = SL_RUN_CRASHED, .lines = sl_slice(lines, size));
    const char *text = why(a);
    cr_assert_gt(strlen(text), SL_QUEUE_ERROR_MAX - 16);
    cr_assert(strncmp(text, "its process went away\nline ", 27) == 0);
    cr_assert(strncmp(text + strlen(text) - 8, lines + size - 9, 8) == 0);
}

Test(finish, cuts_no_character_in_two)
{
    char text[1200];
    for (int shift = 0; shift < 3; shift++) {
        memset(text, 'x', sizeof(text));
        for (size_t i = (size_t)shift; i + 3 <= sizeof(text); i += 3)
            memcpy(text + i, "\xe2\x82\xac", 3);
        uint64_t a = put(NULL);
        finish(.message = sl_slice(text, sizeof(text)));
        struct sl_slice got = sl_paper_read(&paper, info(a).why);
        cr_assert_gt(got.size, SL_QUEUE_ERROR_MAX - 50);
        cr_assert_eq((got.size - 7 - (size_t)shift) % 3, 0);
        sl_queue_event_task_only(&event, SL_QUEUE_CANCEL_TASK, a, now_ms);
        apply();
    }
}

Test(finish, snoozes_as_often_as_is_asked_and_loses_no_attempt)
{
    uint64_t a = put(&(struct sl_retry_policy){.attempts_max = 2});
    finish(.class = sl_slice_str("E"));
    for (uint16_t i = 1; i <= 20; i++) {
        struct sl_finish done = finish(.end = SL_RUN_SNOOZED, .after_ms = 50);
        cr_assert_eq(done.snoozes, i);
        cr_assert_eq(done.not_before_ms, now_ms + 50);
    }
    cr_assert_eq(info(a).attempts, 1);
    cr_assert_str_eq(why(a), "E"); /* Still. */
}

Test(finish, refuses_a_snooze_without_time_or_without_end_and_a_lease_that_is_not_live)
{
    put(NULL);
    struct sl_lease got = lease();
    struct sl_finish done;
    struct sl_run run = {.end = SL_RUN_SNOOZED, .now_ms = now_ms, .random = &dice};
    cr_assert_eq(sl_queue_finish(q, &got, &run, &event, &done), SL_EINVAL);
    run.after_ms = SL_TIME_MAX_MS + 1;
    cr_assert_eq(sl_queue_finish(q, &got, &run, &event, &done), SL_EINVAL);
    run.after_ms = 5;
    got.epoch++;
    cr_assert_eq(sl_queue_finish(q, &got, &run, &event, &done), SL_ESTALE);
    cr_assert_eq(event.size, 0);
}

Test(finish, writes_nothing_about_what_was_given_back)
{
    uint64_t a = put(NULL);
    struct sl_finish done = finish(.end = SL_RUN_RELEASED);
    cr_assert_not(done.has_event);
    cr_assert_eq(done.attempts + done.crashes + done.snoozes, 0);
    cr_assert_eq(info(a).state, SL_STATE_RUNNING);
}

Test(finish, takes_a_lease_that_lapsed_for_a_crash)
{
    uint64_t a = put(NULL);
    struct sl_lease got = lease(), late;
    cr_assert_not(sl_queue_lapsed(q, got.deadline_ns - 1, &late));
    cr_assert(sl_queue_lapsed(q, got.deadline_ns, &late));
    cr_assert_eq(late.epoch, got.epoch);
    struct sl_run run = {.end = SL_RUN_CRASHED, .now_ms = now_ms};
    struct sl_finish done;
    cr_assert_eq(sl_queue_finish(q, &late, &run, &event, &done), SL_OK);
    apply();
    cr_assert_eq(info(a).crashes, 1);
    cr_assert_not(sl_queue_lapsed(q, got.deadline_ns, &late));
    now_ns = got.deadline_ns;
    cr_assert_eq(lease().crashes, 1);
}

/* What an older version wrote: counts in 32 bits, a state without counts. */
Test(finish, reads_events_as_they_were_before)
{
    uint64_t a = put(NULL);
    const uint8_t head[] = {SL_QUEUE_EVENT_VERSION, SL_QUEUE_RETRY};
    sl_buf_append(&event, head, 2);
    sl_buf_append_u64(&event, a);
    sl_buf_append_u64(&event, 0);
    sl_buf_append_u32(&event, 2);
    sl_buf_append_u32(&event, 1);
    sl_buf_append_u32(&event, 4);
    sl_buf_append_u64(&event, 0);
    apply();
    cr_assert_eq(info(a).attempts, 2);
    cr_assert_eq(info(a).snoozes, 4);
    sl_queue_event_kill(&event, &(struct sl_task_end){.task_id = a, .state = SL_STATE_DEAD});
    apply();
    cr_assert_eq(info(a).attempts, 2);
    cr_assert_eq(info(a).crashes, 1);
}
