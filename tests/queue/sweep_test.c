/* SPDX-License-Identifier: Apache-2.0 */
/* What time brings about: what expires, and what is forgotten. */
#include "queue/sweep.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "queue/events.h"
#include "queue/look.h"
#include "runtime/report.h"
#include "tests/queue/paper_log.h"

static struct sl_queue *q;
static struct sl_buf event, events;
static struct sl_paper_log paper;
static uint64_t now_ms, now_ns = 2000;
static struct sl_swept swept;

static void
setup(void)
{
    q = sl_queue_create();
    sl_queue_boot(q, 1);
    sl_queue_clock(q, 1000);
    now_ms = 1000;
}

static void
teardown(void)
{
    sl_queue_destroy(&q);
    sl_buf_deinit(&event);
    sl_buf_deinit(&events);
    sl_paper_deinit(&paper);
}

TestSuite(sweep, .init = setup, .fini = teardown);

static void
apply(void)
{
    sl_paper_apply(&paper, q, 1, sl_buf_slice(&event));
    sl_buf_clear(&event);
}

#define put(...) put_task((struct sl_task_put){.payload = sl_slice_str("x"), __VA_ARGS__})

static uint64_t
put_task(struct sl_task_put p)
{
    p.task_id = sl_queue_reserve(q);
    p.created_ms = now_ms;
    sl_queue_event_put(&event, &p);
    apply();
    return p.task_id;
}

static struct sl_lease
lease(void)
{
    struct sl_lease got = {0};
    struct sl_lease_want want = {
        .holder = 1, .now_ns = now_ns++, .now_ms = now_ms, .duration_ns = 9};
    (void)sl_queue_lease(q, &want, &got);
    return got;
}

static enum sl_state
state_of(uint64_t id)
{
    struct sl_task_info info;
    if (sl_queue_task(q, (struct sl_scope){1}, id, &info) != SL_OK)
        return SL_STATE_NONE;
    return info.state;
}

/* One call, committed. */
static uint32_t
sweep(void)
{
    struct sl_scope scope;
    struct sl_slice bytes;
    sl_buf_clear(&events);
    uint32_t count = sl_queue_sweep(q, now_ms, &events, &swept), seen = 0;
    cr_assert_leq(count, SL_QUEUE_SWEEP_MAX);
    struct sl_reader r = sl_reader(sl_buf_slice(&events));
    for (; sl_events_next(&r, &scope, &bytes); seen++) {
        cr_assert_eq(scope.id, 1);
        sl_paper_apply(&paper, q, scope.id, bytes);
    }
    cr_assert_eq(seen, count);
    cr_assert_eq(count, swept.expired + swept.forgotten + swept.dead);
    return count;
}

/* At the time it asks for, and not a moment before. */
static uint32_t
sweep_in_time(void)
{
    while (sl_queue_sweep_next_ms(q) != UINT64_MAX) {
        now_ms = SL_MAX(now_ms, sl_queue_sweep_next_ms(q)); /* Past: it comes closer by steps. */
        uint32_t count = sweep();
        if (count > 0)
            return count;
    }
    return 0;
}

static void
restart(void)
{
    struct sl_buf bytes = {0};
    uint64_t digest = sl_queue_digest(q);
    sl_queue_snapshot(q, &bytes);
    cr_assert_eq(sl_queue_restore(q, sl_buf_slice(&bytes)), SL_OK);
    cr_assert_eq(sl_queue_digest(q), digest);
    sl_buf_deinit(&bytes);
}

static void
settings(struct sl_lane_settings s)
{
    sl_queue_event_lane(&event, SL_CLASS_CPU, (struct sl_slice){0}, &s);
    apply();
}

static uint64_t
dead(void)
{
    uint64_t id = put();
    sl_queue_event_kill(
        &event, &(struct sl_task_end){.task_id = id, .ended_ms = now_ms, .state = SL_STATE_DEAD});
    apply();
    return id;
}

Test(sweep, has_nothing_to_do_for_tasks_without_times)
{
    for (int i = 0; i < 1000; i++)
        put(.not_before_ms = (uint64_t)i * 100);
    cr_assert_eq(sl_queue_sweep_next_ms(q), UINT64_MAX);
    now_ms += 1000000;
    cr_assert_eq(sweep(), 0);
}

Test(sweep, expires_what_waits_at_its_time_whether_ready_delayed_or_restored)
{
    uint64_t a = put(.expires_ms = now_ms + 70000);
    uint64_t b = put(.expires_ms = now_ms + 70001, .not_before_ms = now_ms + 90000);
    uint64_t c = put(.expires_ms = now_ms + 70002);
    restart();
    uint64_t start_ms = now_ms;
    cr_assert_eq(sweep_in_time(), 1);
    cr_assert_eq(now_ms, start_ms + 70000);
    cr_assert_eq(state_of(a), SL_STATE_EXPIRED);
    cr_assert_eq(sweep_in_time(), 1);
    cr_assert_eq(state_of(b), SL_STATE_EXPIRED);
    restart();
    cr_assert_eq(state_of(c), SL_STATE_QUEUED);
    cr_assert_eq(sweep_in_time(), 1);
    cr_assert_eq(state_of(c), SL_STATE_EXPIRED);
    cr_assert_eq(sl_queue_sweep_next_ms(q), UINT64_MAX);
}

Test(sweep, lets_run_what_began_in_time_and_what_failed_since)
{
    uint64_t a = put(.expires_ms = now_ms + 10), b = put(.expires_ms = now_ms + 10);
    struct sl_lease first = lease();
    cr_assert_eq(first.task_id, a);
    struct sl_lease second = lease();
    sl_queue_event_retry(&event, &(struct sl_retry){.task_id = b, .attempts = 1});
    apply();
    now_ms += 20;
    cr_assert_eq(sweep(), 0);
    cr_assert_eq(state_of(a), SL_STATE_RUNNING);
    cr_assert_eq(lease().task_id, second.task_id);
    /* Given back it did not begin: then it is too late. */
    cr_assert_eq(sl_queue_release(q, a, first.epoch), SL_OK);
    cr_assert_eq(sweep(), 1);
    cr_assert_eq(state_of(a), SL_STATE_EXPIRED);
}

Test(sweep, does_not_let_begin_what_is_too_late_even_if_nobody_swept)
{
    uint64_t late[600];
    for (int i = 0; i < 600; i++)
        late[i] = put(.expires_ms = now_ms + 10, .priority = 3);
    uint64_t last = put();
    now_ms += 10;
    /* It puts some aside a time, and then wants to be called at once. */
    for (int calls = 0; calls < 2; calls++) {
        cr_assert_eq(lease().task_id, 0);
        cr_assert_leq(sl_queue_next_ns(q), now_ns);
        cr_assert(sl_queue_has_work(q));
    }
    cr_assert_eq(lease().task_id, last);
    cr_assert_eq(state_of(late[0]), SL_STATE_BLOCKED);
    uint32_t count = sweep();
    cr_assert_eq(count, SL_QUEUE_SWEEP_MAX);
    cr_assert(swept.is_more);
    while (swept.is_more)
        count += sweep();
    cr_assert_eq(count, 600);
    cr_assert_eq(state_of(late[599]), SL_STATE_EXPIRED);
}

Test(sweep, runs_what_was_driven_again_after_it_expired)
{
    uint64_t a = put(.expires_ms = now_ms + 10);
    now_ms += 10;
    cr_assert_eq(sweep(), 1);
    sl_queue_event_redrive(&event, &(struct sl_edit){.task_id = a});
    apply();
    restart();
    cr_assert_eq(sweep(), 0);
    cr_assert_eq(lease().task_id, a);
}

Test(sweep, forgets_results_once_they_were_kept_for_their_time)
{
    uint64_t ids[300];
    for (uint64_t i = 0; i < 300; i++) {
        ids[i] = put(.retain_ms = 100 + i % 2);
        sl_queue_event_done(&event, &(struct sl_task_end){.task_id = ids[i], .ended_ms = now_ms});
        apply();
    }
    uint64_t start_ms = now_ms;
    cr_assert_eq(sweep_in_time(), 150);
    cr_assert_eq(now_ms, start_ms + 100);
    cr_assert_eq(state_of(ids[0]), SL_STATE_NONE);
    cr_assert_eq(state_of(ids[1]), SL_STATE_SUCCEEDED);
    cr_assert_eq(sweep_in_time(), 150);
    cr_assert_eq(sl_queue_sweep_next_ms(q), UINT64_MAX);
}

Test(sweep, says_again_what_was_not_committed)
{
    put(.expires_ms = now_ms + 10);
    now_ms += 10;
    cr_assert_eq(sl_queue_sweep(q, now_ms, &events, &swept), 1);
    cr_assert_leq(sl_queue_sweep_next_ms(q), now_ms);
    cr_assert_eq(sweep(), 1);
    cr_assert_eq(sweep(), 0);
}

Test(sweep, forgets_failed_tasks_as_their_queue_is_set)
{
    uint64_t kept = dead();
    cr_assert_eq(sl_queue_sweep_next_ms(q), UINT64_MAX);
    settings((struct sl_lane_settings){.dead_retain_ms = 500});
    uint64_t start_ms = now_ms;
    now_ms += 5;
    uint64_t later = dead();
    cr_assert_eq(sweep_in_time(), 1);
    cr_assert_eq(now_ms, start_ms + 500);
    cr_assert_eq(state_of(kept), SL_STATE_NONE);
    settings((struct sl_lane_settings){0});
    cr_assert_eq(sl_queue_sweep_next_ms(q), UINT64_MAX);
    cr_assert_eq(state_of(later), SL_STATE_DEAD);
}

Test(sweep, keeps_no_more_failed_tasks_than_is_set_and_lets_the_oldest_go)
{
    uint64_t ids[400];
    settings((struct sl_lane_settings){.dead_max = 7});
    for (int i = 0; i < 400; i++)
        ids[i] = put();
    for (int i = 399; i >= 0; i--) { /* The last ended first. */
        now_ms++;
        sl_queue_event_task_only(&event, SL_QUEUE_CANCEL_TASK, ids[i], now_ms);
        apply();
    }
    restart();
    cr_assert_leq(sl_queue_sweep_next_ms(q), now_ms);
    uint32_t count = 0;
    do
        count += sweep();
    while (swept.is_more);
    cr_assert_eq(count, 393);
    for (int i = 0; i < 400; i++)
        cr_assert_eq(state_of(ids[i]), i < 7 ? SL_STATE_CANCELED : SL_STATE_NONE);
    cr_assert_eq(sl_queue_sweep_next_ms(q), UINT64_MAX);
}

Test(sweep, stops_at_its_bound_over_many_queues)
{
    for (int lane = 0; lane < 40; lane++) {
        char name[16];
        snprintf(name, sizeof(name), "q%d", lane);
        struct sl_slice text = sl_slice_str(name);
        sl_queue_event_lane(&event, SL_CLASS_OWN, text, &(struct sl_lane_settings){.dead_max = 1});
        apply();
        for (int i = 0; i < 10; i++) {
            uint64_t id = put(.class = SL_CLASS_OWN, .lane = sl_lane_hash(text));
            sl_queue_event_task_only(&event, SL_QUEUE_CANCEL_TASK, id, now_ms);
            apply();
        }
    }
    cr_assert_eq(sweep(), SL_QUEUE_SWEEP_MAX);
    cr_assert(swept.is_more);
    cr_assert_eq(sweep(), 40 * 9 - SL_QUEUE_SWEEP_MAX);
    cr_assert_not(swept.is_more);
}

Test(sweep, goes_on_after_a_clock_that_was_ahead)
{
    uint64_t was_ms = now_ms;
    put(.expires_ms = now_ms + 100000000);
    now_ms += 50000000;
    cr_assert_eq(sweep(), 0);
    now_ms = was_ms;
    uint64_t a = put(.expires_ms = now_ms + 30);
    cr_assert_eq(sweep(), 0);
    now_ms += 30;
    cr_assert_eq(sweep(), 1);
    cr_assert_eq(state_of(a), SL_STATE_EXPIRED);
}
