/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/look.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <stdio.h>

#include "runtime/alloc.h"
#include "runtime/report.h"
#include "tests/queue/paper_log.h"

/* One queue, one event buffer, and times that only move when a test moves them. */
static struct sl_queue *q;
static struct sl_buf event;
static struct sl_paper_log paper;
static uint64_t now_ms, now_ns;

static void
setup(void)
{
    q = sl_queue_create();
    sl_queue_boot(q, 1);
    now_ms = now_ns = 1000;
    sl_report_level_set((enum sl_report_level)(SL_REPORT_ERROR + 1));
}

static void
teardown(void)
{
    sl_queue_destroy(&q);
    sl_buf_deinit(&event);
    sl_paper_deinit(&paper);
}

TestSuite(queue, .init = setup, .fini = teardown);

static void
apply(uint64_t scope)
{
    sl_paper_apply(&paper, q, scope, sl_buf_slice(&event));
    sl_buf_clear(&event);
}

static struct sl_job_id
job_id(uint8_t name)
{
    return (struct sl_job_id){.bytes = {name}};
}

/* What most tests leave alone: class cpu, priority 0, scope 1, ready now. */
struct add {
    uint8_t name;
    int tasks;
    uint64_t scope, not_before_ms;
    int priority;
};

/* add('a', 3, .scope = 7): a job named a of 3 tasks. */
#define add(name_, ...) add_job((struct add){.name = name_, .tasks = __VA_ARGS__})

static void
add_job(struct add a)
{
    sl_queue_event_enqueue(&event, &(struct sl_enqueue){.job = job_id(a.name),
                                                        .priority = (uint8_t)a.priority,
                                                        .created_ms = now_ms,
                                                        .not_before_ms = a.not_before_ms});
    for (int i = 0; i < a.tasks; i++) {
        char payload[16];
        int size = snprintf(payload, sizeof(payload), "%c%d", a.name, i);
        sl_queue_event_task(&event, sl_slice(payload, (size_t)size));
    }
    apply(a.scope == 0 ? 1 : a.scope);
}

/* Lease the next task of class cpu for holder 1; zeroes when there is none. */
static struct sl_lease
lease(void)
{
    struct sl_lease got = {0};
    struct sl_lease_want want = {
        .holder = 1, .now_ns = now_ns, .now_ms = now_ms, .duration_ns = 100};
    if (sl_queue_lease(q, &want, &got))
        got.payload = sl_paper_read(&paper, got.body);
    return got;
}

#define expect_lease(text)                                                                         \
    do {                                                                                           \
        struct sl_lease got_ = lease();                                                            \
        cr_assert(sl_slice_is(got_.payload, text), "leased %.*s, not %s",                          \
                  SL_SLICE_FMT(got_.payload), text);                                               \
    } while (0)

static void
done(uint64_t task_id)
{
    sl_queue_event_done(&event, &(struct sl_task_end){.task_id = task_id});
    apply(1);
}

static void
dead(uint64_t task_id)
{
    sl_queue_event_kill(&event, &(struct sl_task_end){.task_id = task_id, .state = SL_STATE_DEAD});
    apply(1);
}

static void
cancel(uint8_t name)
{
    sl_queue_event_cancel(&event, job_id(name));
    apply(1);
}

static struct sl_job_info
info(uint8_t name)
{
    struct sl_job_info got = {0};
    cr_assert_eq(sl_queue_job(q, job_id(name), &got), SL_OK);
    return got;
}

Test(queue, leases_the_tasks_of_a_job_in_their_order_and_each_once)
{
    add('a', 3);
    expect_lease("a0");
    expect_lease("a1");
    expect_lease("a2");
    expect_lease("");
}

Test(queue, gives_a_lease_all_that_its_holder_must_know)
{
    add('a', 1, .scope = 7);
    struct sl_lease got = lease();
    cr_assert_eq(got.scope.id, 7);
    cr_assert_eq(got.job.bytes[0], 'a');
    cr_assert_eq(got.class, SL_CLASS_CPU);
    cr_assert_eq(got.holder, 1);
    cr_assert_eq(got.deadline_ns, now_ns + 100);
    cr_assert_eq(got.attempts, 0);
    cr_assert_gt(got.epoch, UINT64_C(1) << 40);
}

Test(queue, serves_the_higher_priority_of_a_tenant_first)
{
    add('a', 1, .priority = 0);
    add('b', 1, .priority = 9);
    add('c', 1, .priority = 5);
    expect_lease("b0");
    expect_lease("c0");
    expect_lease("a0");
}

static void
expect_ahead(uint8_t name, uint64_t max, enum sl_err err, uint64_t ahead)
{
    uint64_t found = 999;
    cr_expect_eq(sl_queue_ahead(q, job_id(name), max, &found), err, "%c", name);
    cr_expect_eq(found, ahead, "%c: %lu", name, (unsigned long)found);
}

Test(queue, tells_how_many_go_before_a_job_by_priority_and_age)
{
    add('a', 3);
    add('b', 4, .priority = 5);
    add('c', 2, .priority = 5);
    add('d', 1, .scope = 2, .priority = 9);
    add('e', 1, .not_before_ms = now_ms + 1000);
    expect_ahead('a', 100, SL_OK, 6);
    expect_ahead('b', 100, SL_OK, 0);
    expect_ahead('c', 100, SL_OK, 4);
    expect_ahead('d', 100, SL_OK, 0);
    expect_ahead('e', 100, SL_ENOTFOUND, 999);
    expect_ahead('f', 100, SL_ENOTFOUND, 999);
    expect_ahead('a', 6, SL_OK, 6);
    expect_ahead('a', 5, SL_EFULL, 5);
    expect_lease("b0");
    expect_ahead('c', 100, SL_OK, 3);
}

Test(queue, gives_tenants_turns_whatever_they_enqueue)
{
    add('a', 5, .scope = 1, .priority = 9);
    add('b', 2, .scope = 2);
    add('c', 1, .scope = 3);
    expect_lease("a0");
    expect_lease("b0");
    expect_lease("c0");
    expect_lease("a1");
    expect_lease("b1");
    expect_lease("a2");
    expect_lease("a3");
}

static void
settle_lane(uint64_t scope, struct sl_lane_settings settings)
{
    sl_queue_event_lane(&event, SL_CLASS_CPU, (struct sl_slice){0}, &settings);
    apply(scope);
}

static uint64_t
leasable(void)
{
    return sl_queue_leasable(q, SL_CLASS_CPU, now_ns, now_ms);
}

Test(queue, counts_what_could_be_leased_now)
{
    cr_assert_eq(leasable(), 0);
    add('a', 5);
    add('b', 2, .scope = 2);
    add('c', 3, .scope = 3, .not_before_ms = now_ms + 100);
    cr_assert_eq(leasable(), 7);
    settle_lane(1, (struct sl_lane_settings){.mode = SL_LANE_PAUSED});
    cr_assert_eq(leasable(), 2);
    now_ms += 100;
    cr_assert_eq(leasable(), 5, "without a lease that would make them ready");
    settle_lane(1, (struct sl_lane_settings){.running_max = 1});
    cr_assert_eq(leasable(), 6);
    for (uint64_t left = 6; left > 0; left--) {
        cr_assert_eq(leasable(), left);
        cr_assert_neq(lease().task_id, 0);
    }
    cr_assert_eq(lease().task_id, 0);
    cr_assert_eq(leasable(), 0);
}

Test(queue, keeps_the_classes_apart)
{
    add('a', 1);
    struct sl_lease_want want = {.class = SL_CLASS_GPU, .holder = 1};
    struct sl_lease got;
    cr_assert_not(sl_queue_lease(q, &want, &got));
    cr_assert_eq(sl_queue_ready_count(q, SL_CLASS_CPU), 1);
    cr_assert_eq(sl_queue_ready_count(q, SL_CLASS_GPU), 0);
    cr_assert_str_eq(sl_class_name(SL_CLASS_GPU), "gpu");
}

Test(queue, holds_a_delayed_task_until_its_time_and_not_longer)
{
    add('a', 1, .not_before_ms = now_ms + 10);
    cr_assert_leq(sl_queue_next_ms(q), now_ms + 10);
    now_ms += 9;
    expect_lease("");
    now_ms += 1;
    expect_lease("a0");
    cr_assert_eq(sl_queue_next_ms(q), UINT64_MAX);
}

Test(queue, puts_a_retried_task_at_the_back_with_its_counts)
{
    add('a', 2);
    struct sl_lease first = lease();
    sl_queue_event_retry(&event,
                         &(struct sl_retry){.task_id = first.task_id, .attempts = 1, .crashes = 2});
    apply(1);
    expect_lease("a1");
    struct sl_lease again = lease();
    cr_assert_eq(again.task_id, first.task_id);
    cr_assert_eq(again.attempts, 1);
    cr_assert_eq(again.crashes, 2);
    cr_assert_gt(again.epoch, first.epoch);
}

Test(queue, delays_a_retried_task_as_told)
{
    add('a', 1);
    sl_queue_event_retry(
        &event,
        &(struct sl_retry){.task_id = lease().task_id, .not_before_ms = now_ms + 5, .attempts = 1});
    apply(1);
    expect_lease("");
    now_ms += 5;
    expect_lease("a0");
}

Test(queue, accepts_only_the_live_token)
{
    add('a', 1);
    struct sl_lease first = lease(), got;
    cr_assert_eq(sl_queue_check(q, first.task_id, first.epoch, &got), SL_OK);
    cr_assert_eq(got.holder, 1);
    cr_assert_eq(sl_queue_release(q, first.task_id, first.epoch), SL_OK);
    cr_assert_eq(sl_queue_check(q, first.task_id, first.epoch, &got), SL_ESTALE);

    struct sl_lease second = lease();
    cr_assert_eq(second.task_id, first.task_id);
    cr_assert_eq(sl_queue_release(q, first.task_id, first.epoch), SL_ESTALE);
    cr_assert_eq(sl_queue_check(q, second.task_id, second.epoch, &got), SL_OK);
    cr_assert_eq(sl_queue_check(q, 99, 1, &got), SL_ESTALE);
}

Test(queue, puts_a_released_task_back_to_the_front)
{
    add('a', 3);
    struct sl_lease first = lease();
    cr_assert_eq(sl_queue_release(q, first.task_id, first.epoch), SL_OK);
    expect_lease("a0");
}

Test(queue, voids_all_leases_of_a_lost_holder_and_keeps_their_order)
{
    add('a', 3);
    lease();
    lease();
    struct sl_lease_want other = {.holder = 2, .duration_ns = 1};
    struct sl_lease kept, got;
    cr_assert(sl_queue_lease(q, &other, &kept));

    cr_assert_eq(sl_queue_release_holder(q, 1), 2);
    cr_assert_eq(sl_queue_release_holder(q, 1), 0);
    cr_assert_eq(sl_queue_check(q, kept.task_id, kept.epoch, &got), SL_OK);
    expect_lease("a0");
    expect_lease("a1");
    expect_lease("");
}

Test(queue, expires_a_lease_at_its_deadline_and_not_before)
{
    add('a', 1);
    struct sl_lease got = lease();
    uint64_t id = 0;
    cr_assert_not(sl_queue_expire(q, got.deadline_ns - 1, &id));
    cr_assert(sl_queue_expire(q, got.deadline_ns, &id));
    cr_assert_eq(id, got.task_id);
    cr_assert_not(sl_queue_expire(q, got.deadline_ns, &id));
    expect_lease("a0");
}

Test(queue, extends_a_lease_and_never_shortens_it)
{
    add('a', 1);
    struct sl_lease got = lease();
    uint64_t id = 0;
    sl_queue_extend(q, 1, got.deadline_ns + 50);
    sl_queue_extend(q, 1, got.deadline_ns - 50);
    sl_queue_extend(q, 2, UINT64_MAX);
    cr_assert_not(sl_queue_expire(q, got.deadline_ns + 49, &id));
    cr_assert(sl_queue_expire(q, got.deadline_ns + 50, &id));
}

Test(queue, never_expires_a_lease_without_end)
{
    add('a', 1);
    struct sl_lease_want want = {.now_ns = now_ns, .duration_ns = UINT64_MAX};
    struct sl_lease got;
    uint64_t id = 0;
    cr_assert(sl_queue_lease(q, &want, &got));
    cr_assert_not(sl_queue_expire(q, UINT64_MAX - 1, &id));
}

Test(queue, tells_what_became_of_a_job)
{
    add('a', 2);
    cr_assert_eq(info('a').state, SL_JOB_PENDING);
    struct sl_lease first = lease();
    now_ms += 5;
    struct sl_lease second = lease();
    cr_assert_eq(info('a').state, SL_JOB_RUNNING);
    cr_assert_eq(info('a').leased, 2);
    cr_assert_eq(info('a').created_ms, 1000);
    cr_assert_eq(info('a').started_ms, 1000);
    done(first.task_id);
    cr_assert_eq(info('a').state, SL_JOB_RUNNING);
    dead(second.task_id);
    cr_assert_eq(info('a').state, SL_JOB_PARTIAL);
    cr_assert_eq(info('a').leased, 0);

    add('b', 1);
    dead(lease().task_id);
    cr_assert_eq(info('b').state, SL_JOB_FAILED);
    add('c', 1);
    done(lease().task_id);
    cr_assert_eq(info('c').state, SL_JOB_SUCCEEDED);
    add('d', 0);
    cr_assert_eq(info('d').state, SL_JOB_SUCCEEDED);
}

Test(queue, ends_a_task_once)
{
    add('a', 2);
    struct sl_lease first = lease();
    done(first.task_id);
    done(first.task_id);
    dead(first.task_id);
    sl_queue_event_retry(&event, &(struct sl_retry){.task_id = first.task_id, .attempts = 1});
    apply(1);
    cr_assert_eq(info('a').done, 1);
    cr_assert_eq(info('a').dead, 0);
    expect_lease("a1");
    expect_lease("");
}

Test(queue, cancels_all_that_has_not_ended_and_voids_its_leases)
{
    add('a', 3);
    struct sl_lease first = lease(), second = lease(), got;
    done(first.task_id);
    cancel('a');
    cr_assert_eq(info('a').state, SL_JOB_CANCELED);
    cr_assert_eq(info('a').done, 1);
    cr_assert_eq(info('a').canceled, 2);
    cr_assert_eq(info('a').leased, 0);
    cr_assert_eq(sl_queue_check(q, second.task_id, second.epoch, &got), SL_ESTALE);
    cr_assert_eq(sl_queue_release(q, second.task_id, second.epoch), SL_ESTALE);
    cr_assert_eq(sl_queue_release_holder(q, 1), 0);
    done(second.task_id);
    cr_assert_eq(info('a').done, 1);
    expect_lease("");
}

Test(queue, leaves_an_ended_job_as_it_is_when_canceled)
{
    add('a', 1);
    done(lease().task_id);
    cancel('a');
    cr_assert_eq(info('a').state, SL_JOB_SUCCEEDED);
}

Test(queue, forgets_a_job_only_once_it_has_ended)
{
    struct sl_job_info got;
    add('a', 1);
    sl_queue_event_forget(&event, job_id('a'));
    apply(1);
    cr_assert_eq(info('a').total, 1);
    done(lease().task_id);
    cr_assert_eq(info('a').total, 1);
    sl_queue_event_forget(&event, job_id('a'));
    apply(1);
    cr_assert_eq(sl_queue_job(q, job_id('a'), &got), SL_ENOTFOUND);
}

Test(queue, lets_no_tenant_touch_the_job_of_another)
{
    add('a', 1, .scope = 2);
    cancel('a');
    done(lease().task_id);
    cr_assert_eq(info('a').state, SL_JOB_RUNNING);
    cr_assert_eq(info('a').canceled + info('a').done, 0);
}

Test(queue, ignores_a_second_job_of_the_same_id)
{
    add('a', 1);
    add('a', 2);
    cr_assert_eq(info('a').total, 1);
    cr_assert_eq(sl_queue_ready_count(q, SL_CLASS_CPU), 1);
}

Test(queue, ignores_a_malformed_event_whole)
{
    /* Every proper part of an event that leaves a task cut in the middle. */
    add('a', 1);
    sl_queue_event_enqueue(&event, &(struct sl_enqueue){.job = job_id('b')});
    size_t head = event.size;
    sl_queue_event_task(&event, sl_slice_str("0123"));
    for (size_t size = 0; size < event.size; size++) {
        if (size != head) /* That one is a job without tasks. */
            sl_paper_apply(&paper, q, 1, sl_slice(event.data, size));
    }
    uint8_t *size_at = event.data + head;
    size_at[2] = 0x05; /* A payload over the limit, and over the end. */
    sl_paper_apply(&paper, q, 1, sl_buf_slice(&event));
    size_at[2] = 0;
    event.data[18] = SL_CLASS_COUNT;
    sl_paper_apply(&paper, q, 1, sl_buf_slice(&event));
    event.data[18] = 0;
    event.data[19] = SL_QUEUE_PRIORITY_MAX + 1;
    apply(1);

    struct sl_job_info got;
    cr_assert_eq(sl_queue_job(q, job_id('b'), &got), SL_ENOTFOUND);
    cr_assert_eq(sl_queue_ready_count(q, SL_CLASS_CPU), 1);
}

Test(queue, makes_every_unfinished_task_ready_again_after_a_restart)
{
    add('a', 2);
    struct sl_lease old = lease(), got;
    done(lease().task_id);
    struct sl_buf snapshot = {0};
    sl_queue_snapshot(q, &snapshot);
    cr_assert_eq(sl_queue_restore(q, sl_buf_slice(&snapshot)), SL_OK);
    sl_queue_boot(q, 2);
    sl_buf_deinit(&snapshot);

    cr_assert_eq(sl_queue_check(q, old.task_id, old.epoch, &got), SL_ESTALE);
    cr_assert_eq(info('a').leased, 0);
    cr_assert_eq(info('a').state, SL_JOB_RUNNING);
    struct sl_lease again = lease();
    cr_assert_eq(again.task_id, old.task_id);
    cr_assert_gt(again.epoch, UINT64_C(2) << 40);
    cr_assert_eq(sl_queue_check(q, old.task_id, old.epoch, &got), SL_ESTALE);
}

Test(queue, refuses_every_damaged_snapshot_and_keeps_its_state)
{
    add('a', 2, .priority = 3);
    add('b', 1, .not_before_ms = 5000);
    struct sl_buf snapshot = {0}, now = {0};
    sl_queue_snapshot(q, &snapshot);
    for (size_t size = 0; size < snapshot.size; size++)
        cr_assert_neq(sl_queue_restore(q, sl_slice(snapshot.data, size)), SL_OK);
    snapshot.data[0]++;
    cr_assert_eq(sl_queue_restore(q, sl_buf_slice(&snapshot)), SL_EVERSION);
    snapshot.data[0]--;
    sl_buf_append_u8(&snapshot, 0);
    cr_assert_eq(sl_queue_restore(q, sl_buf_slice(&snapshot)), SL_ECORRUPT);
    snapshot.size--;
    sl_queue_snapshot(q, &now);
    cr_assert(sl_slice_equal(sl_buf_slice(&now), sl_buf_slice(&snapshot)));
    sl_buf_deinit(&now);
    sl_buf_deinit(&snapshot);
}

Test(queue, does_not_put_leases_or_time_into_a_snapshot)
{
    add('a', 2);
    add('b', 1, .not_before_ms = now_ms + 1);
    struct sl_buf before = {0}, after = {0};
    uint64_t digest = sl_queue_digest(q);
    sl_queue_snapshot(q, &before);
    now_ms += 10;
    while (lease().task_id != 0)
        ;
    sl_queue_snapshot(q, &after);
    cr_assert(sl_slice_equal(sl_buf_slice(&before), sl_buf_slice(&after)));
    cr_assert_eq(sl_queue_digest(q), digest);
    sl_buf_deinit(&before);
    sl_buf_deinit(&after);
}

Test(queue, shows_the_depth_of_each_tenant_and_class)
{
    struct sl_queue_depth depths[3];
    cr_assert_eq(sl_queue_depths(q, depths, 3), 0);
    add('a', 2, .scope = 1);
    now_ms += 5;
    add('b', 1, .scope = 1, .not_before_ms = now_ms + 100);
    add('c', 1, .scope = 2);
    lease();
    cr_assert_eq(sl_queue_depths(q, depths, 3), 2);
    cr_assert_eq(depths[0].scope.id, 1);
    cr_assert_eq(depths[0].ready, 1);
    cr_assert_eq(depths[0].delayed, 1);
    cr_assert_eq(depths[0].leased, 1);
    cr_assert_eq(depths[0].oldest_ms, 1000);
    lease();
    lease();
    cr_assert_eq(sl_queue_depths(q, depths, 3), 2);
    cr_assert_eq(depths[0].oldest_ms, 0); /* Only the delayed one of b waits, and not in vain. */
    cr_assert_eq(depths[1].oldest_ms, 0);
    cr_assert_eq(sl_queue_depths(q, depths, 1), 1);
}

Test(queue, keeps_a_hundred_thousand_tasks_in_10_mb_and_gives_them_back)
{
    /* glibc's own books: sanitizers replace the allocator, and say 0 here. */
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    sl_queue_event_enqueue(&event, &(struct sl_enqueue){.job = job_id('a'), .not_before_ms = 5});
    for (int i = 0; i < 100000; i++)
        sl_queue_event_task(&event, sl_slice_str("a task's payload of forty-five bytes, as ids!"));
    sl_queue_apply(q, (struct sl_scope){1}, sl_buf_slice(&event), (struct sl_log_at){1, 0});
    sl_buf_deinit(&event);
    size_t full = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    cr_assert_leq(full, 10 * 1000 * 1000);
    cr_log_info("%zu bytes a task, delayed", full / 100000);
    cancel('a');
    cr_assert_eq(sl_queue_held(q, 1), 0);
    cr_assert(full == 0 || sl_queue_memory(q) <= full);
}
