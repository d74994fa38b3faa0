/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks that are jobs by themselves, and queues of a tenant's own. */
#include <criterion/criterion.h>

#include "queue/look.h"
#include "runtime/random.h"
#include "runtime/report.h"
#include "tests/queue/paper_log.h"

static struct sl_queue *q;
static struct sl_buf event;
static struct sl_paper_log paper;
static uint64_t now_ms;
static struct sl_queue_change changes[64];
static uint32_t changes_count;

static void
note_change(void *self, const struct sl_queue_change *change)
{
    (void)self;
    changes[changes_count++ % 64] = *change;
}

static void
setup(void)
{
    q = sl_queue_create();
    sl_queue_boot(q, 1);
    sl_queue_clock(q, 1000);
    sl_queue_watch_set(q, (struct sl_queue_watch){.changed = note_change});
    now_ms = 1000;
    changes_count = 0;
    sl_report_level_set((enum sl_report_level)(SL_REPORT_ERROR + 1));
}

static void
teardown(void)
{
    sl_queue_destroy(&q);
    sl_buf_deinit(&event);
    sl_paper_deinit(&paper);
}

TestSuite(alone, .init = setup, .fini = teardown);

static void
apply(void)
{
    sl_paper_apply(&paper, q, 1, sl_buf_slice(&event));
    sl_buf_clear(&event);
}

static void
lane(const char *name, struct sl_lane_settings settings)
{
    sl_queue_event_lane(&event, SL_CLASS_OWN, sl_slice_str(name), &settings);
    apply();
}

#define put(text, ...) put_task((struct sl_task_put){.payload = sl_slice_str(text), __VA_ARGS__})

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
lease_of(enum sl_class class, uint64_t lane_hash)
{
    struct sl_lease got = {0};
    struct sl_lease_want want = {.class = class,
                                 .scope = {1},
                                 .lane = lane_hash,
                                 .holder = 1,
                                 .now_ns = 5,
                                 .now_ms = now_ms,
                                 .duration_ns = 100};
    if (sl_queue_lease(q, &want, &got))
        got.payload = sl_paper_read(&paper, got.body);
    return got;
}

static struct sl_lease
lease(void)
{
    return lease_of(SL_CLASS_CPU, 0);
}

static struct sl_task_info
info(uint64_t id)
{
    struct sl_task_info got = {0};
    cr_assert_eq(sl_queue_task(q, (struct sl_scope){1}, id, &got), SL_OK);
    return got;
}

static bool
is_there(uint64_t id)
{
    struct sl_task_info got;
    return sl_queue_task(q, (struct sl_scope){1}, id, &got) == SL_OK;
}

static void
kill_task(uint64_t id, enum sl_state state, const char *why)
{
    sl_queue_event_kill(
        &event, &(struct sl_task_end){
                    .task_id = id, .ended_ms = now_ms, .state = state, .bytes = sl_slice_str(why)});
    apply();
}

static void
only(enum sl_queue_event_kind kind, uint64_t id)
{
    sl_queue_event_task_only(&event, kind, id, now_ms);
    apply();
}

/* What a restart leaves must be what was. */
static void
restart(void)
{
    struct sl_buf snapshot = {0};
    uint64_t digest = sl_queue_digest(q);
    sl_queue_snapshot(q, &snapshot);
    struct sl_queue *other = sl_queue_create();
    cr_assert_eq(sl_queue_restore(other, sl_buf_slice(&snapshot)), SL_OK);
    cr_assert_eq(sl_queue_digest(other), digest);
    for (uint32_t i = 0; i <= paper.count; i++)
        cr_assert_eq(sl_queue_held(other, i), sl_queue_held(q, i));
    sl_queue_destroy(&q);
    q = other;
    sl_queue_boot(q, 2);
    sl_buf_deinit(&snapshot);
}

/* A crash may undo a put whose id somebody was told: a reply at a lower level, or a lease. */
Test(alone, an_id_of_one_run_is_none_of_the_next)
{
    uint64_t kept = put("a"), undone[2] = {sl_queue_reserve(q), sl_queue_reserve(q)};
    cr_assert_gt(undone[0], kept);
    restart();
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_gt(put("b"), undone[1]);
    cr_assert(is_there(kept));
}

Test(alone, is_leased_and_gone_when_done_unless_its_result_is_kept)
{
    uint64_t a = put("a"), b = put("b", .retain_ms = 50);
    cr_assert(sl_slice_is(lease().payload, "a"));
    cr_assert(sl_slice_is(lease().payload, "b"));
    sl_queue_event_done(&event, &(struct sl_task_end){.task_id = a, .ended_ms = now_ms});
    apply();
    sl_queue_event_done(
        &event,
        &(struct sl_task_end){.task_id = b, .ended_ms = now_ms, .bytes = sl_slice_str("result")});
    apply();
    cr_assert_not(is_there(a));
    cr_assert_eq(info(b).state, SL_STATE_SUCCEEDED);
    cr_assert(sl_slice_is(sl_paper_read(&paper, info(b).payload), "result"));

    uint64_t due[4];
    cr_assert_eq(sl_queue_due(q, now_ms + 49, due, 4), 0);
    cr_assert_eq(sl_queue_due(q, now_ms + 50, due, 4), 1);
    cr_assert_eq(due[0], b);
    restart();
    cr_assert_eq(sl_queue_due(q, now_ms + 50, due, 4), 1);
    only(SL_QUEUE_FORGET_TASK, b);
    cr_assert_not(is_there(b));
    cr_assert_eq(sl_queue_due(q, now_ms + 50, due, 4), 0);
    for (uint32_t i = 0; i <= paper.count; i++)
        cr_assert_eq(sl_queue_held(q, i), 0);
}

Test(alone, waits_in_a_queue_of_its_tenants_own)
{
    lane("thumbs", (struct sl_lane_settings){0});
    uint64_t hash = sl_lane_hash(sl_slice_str("thumbs"));
    uint64_t a = put("a", .class = SL_CLASS_OWN, .lane = hash);
    cr_assert_eq(lease().task_id, 0);
    cr_assert_eq(lease_of(SL_CLASS_OWN, hash + 1).task_id, 0);
    cr_assert_eq(lease_of(SL_CLASS_OWN, hash).task_id, a);
    cr_assert(sl_slice_is(info(a).lane, "thumbs"));

    struct sl_task_info got;
    cr_assert_eq(sl_queue_task(q, (struct sl_scope){2}, a, &got), SL_ENOTFOUND);
    struct sl_queue_depth depth;
    cr_assert_eq(sl_queue_depth(q, (struct sl_scope){1}, SL_CLASS_OWN, hash, &depth), SL_OK);
    cr_assert_eq(depth.leased, 1);
}

Test(alone, is_refused_by_a_queue_that_nobody_named)
{
    uint64_t a = put("a", .class = SL_CLASS_OWN, .lane = 7);
    cr_assert_not(is_there(a));
}

Test(alone, keeps_a_dead_task_with_its_reason_until_it_is_redriven_or_forgotten)
{
    uint64_t a = put("a"), b = put("b");
    lease();
    kill_task(a, SL_STATE_DEAD, "no such file");
    kill_task(b, SL_STATE_QUARANTINED, "SIGSEGV thrice");
    restart();
    cr_assert_eq(info(a).state, SL_STATE_DEAD);
    cr_assert_eq(info(b).state, SL_STATE_QUARANTINED);
    cr_assert_eq(info(a).time_ms, now_ms);
    cr_assert(sl_slice_is(sl_paper_read(&paper, info(a).why), "no such file"));
    cr_assert_eq(lease().task_id, 0);

    sl_queue_event_redrive(&event, &(struct sl_edit){.task_id = a});
    apply();
    sl_queue_event_redrive(&event,
                           &(struct sl_edit){.task_id = b, .payload = sl_slice_str("mended")});
    apply();
    cr_assert(sl_slice_is(lease().payload, "a"));
    cr_assert(sl_slice_is(lease().payload, "mended"));
    kill_task(a, SL_STATE_DEAD, "again");
    only(SL_QUEUE_FORGET_TASK, a);
    cr_assert_not(is_there(a));
}

Test(alone, cannot_be_forgotten_before_it_ended_nor_redriven_while_it_waits)
{
    uint64_t a = put("a");
    only(SL_QUEUE_FORGET_TASK, a);
    cr_assert(is_there(a));
    sl_queue_event_redrive(&event, &(struct sl_edit){.task_id = a, .not_before_ms = 9999});
    apply();
    cr_assert_eq(info(a).state, SL_STATE_QUEUED);
    cr_assert_eq(lease().task_id, a);
}

Test(alone, changes_place_payload_and_time_while_it_waits)
{
    uint64_t a = put("a"), b = put("b"), c = put("c", .not_before_ms = now_ms + 500);
    sl_queue_event_edit(&event, &(struct sl_edit){.task_id = b, .priority = 5});
    apply();
    sl_queue_event_edit(
        &event, &(struct sl_edit){.task_id = c, .priority = 9, .payload = sl_slice_str("now")});
    apply();
    cr_assert(sl_slice_is(lease().payload, "now"));
    cr_assert_eq(lease().task_id, b);
    sl_queue_event_edit(&event, &(struct sl_edit){.task_id = a, .not_before_ms = now_ms + 10});
    apply();
    cr_assert_eq(info(a).state, SL_STATE_SCHEDULED);
    cr_assert_eq(lease().task_id, 0);
    now_ms += 10;
    cr_assert_eq(lease().task_id, a);
    sl_queue_event_edit(&event, &(struct sl_edit){.task_id = a}); /* Leased, it waits again. */
    apply();
    cr_assert_eq(info(a).state, SL_STATE_QUEUED);
}

Test(alone, counts_attempts_crashes_and_snoozes_apart)
{
    uint64_t a = put("a");
    lease();
    sl_queue_event_retry(&event, &(struct sl_retry){.task_id = a,
                                                    .attempts = 1,
                                                    .crashes = 2,
                                                    .snoozes = 3,
                                                    .why = sl_slice_str("later"),
                                                    .not_before_ms = now_ms + 5});
    apply();
    restart();
    cr_assert_eq(info(a).attempts, 1);
    cr_assert_eq(info(a).crashes, 2);
    cr_assert_eq(info(a).snoozes, 3);
    cr_assert(sl_slice_is(sl_paper_read(&paper, info(a).why), "later"));
    now_ms += 5;
    cr_assert_eq(lease().snoozes, 3);
}

Test(alone, is_canceled_whether_it_waits_or_runs)
{
    uint64_t a = put("a"), b = put("b");
    struct sl_lease first = lease(), got;
    only(SL_QUEUE_CANCEL_TASK, a);
    only(SL_QUEUE_CANCEL_TASK, b);
    cr_assert_eq(info(a).state, SL_STATE_CANCELED);
    cr_assert_eq(info(b).state, SL_STATE_CANCELED);
    cr_assert_eq(sl_queue_check(q, a, first.epoch, &got), SL_ESTALE);
    cr_assert_eq(lease().task_id, 0);
}

Test(alone, expires_whether_it_is_leased_or_not)
{
    uint64_t a = put("a", .expires_ms = now_ms + 5), b = put("b");
    cr_assert_eq(info(a).expires_ms, now_ms + 5);
    lease();
    only(SL_QUEUE_EXPIRE_TASK, a);
    only(SL_QUEUE_EXPIRE_TASK, b);
    cr_assert_eq(info(a).state, SL_STATE_EXPIRED);
    cr_assert_eq(info(b).state, SL_STATE_EXPIRED);
}

Test(alone, gives_its_segment_back_once_its_bytes_lie_elsewhere)
{
    uint64_t a = put("a payload", .retain_ms = 5);
    uint32_t first = info(a).payload.at.segment;
    kill_task(a, SL_STATE_DEAD, "a reason");
    sl_queue_event_lines(&event, a, sl_slice_str("a line"));
    apply();
    uint32_t last = info(a).lines.at.segment;
    cr_assert_gt(last, info(a).why.at.segment);
    for (uint32_t segment = first; segment <= last; segment++) {
        struct sl_buf moved = {0};
        sl_queue_relocate(q, (struct sl_scope){1}, paper.events[segment - 1],
                          (struct sl_log_at){segment, 0}, &moved);
        cr_assert_gt(moved.size, 0);
        sl_paper_apply(&paper, q, 1, sl_buf_slice(&moved));
        cr_assert_eq(sl_queue_held(q, segment), 0);
        /* Said once more, it is not needed there. */
        sl_buf_clear(&moved);
        sl_queue_relocate(q, (struct sl_scope){1}, paper.events[segment - 1],
                          (struct sl_log_at){segment, 0}, &moved);
        cr_assert_eq(moved.size, 0);
        sl_buf_deinit(&moved);
    }
    cr_assert(sl_slice_is(sl_paper_read(&paper, info(a).payload), "a payload"));
    cr_assert(sl_slice_is(sl_paper_read(&paper, info(a).why), "a reason"));
    cr_assert(sl_slice_is(sl_paper_read(&paper, info(a).lines), "a line"));
    restart();
    cr_assert(sl_slice_is(sl_paper_read(&paper, info(a).lines), "a line"));
}

Test(alone, is_held_back_while_its_queue_is_paused_or_full)
{
    uint64_t hash = sl_lane_hash(sl_slice_str("own"));
    lane("own", (struct sl_lane_settings){.mode = SL_LANE_PAUSED});
    uint64_t a = put("a", .class = SL_CLASS_OWN, .lane = hash);
    put("b", .class = SL_CLASS_OWN, .lane = hash);
    cr_assert_eq(lease_of(SL_CLASS_OWN, hash).task_id, 0);
    restart();
    cr_assert_eq(lease_of(SL_CLASS_OWN, hash).task_id, 0);
    lane("own", (struct sl_lane_settings){.running_max = 1});
    struct sl_lease first = lease_of(SL_CLASS_OWN, hash);
    cr_assert_eq(first.task_id, a);
    cr_assert_eq(lease_of(SL_CLASS_OWN, hash).task_id, 0);
    cr_assert_eq(sl_queue_release(q, a, first.epoch), SL_OK);
    cr_assert_eq(lease_of(SL_CLASS_OWN, hash).task_id, a);
}

Test(alone, begins_no_more_than_the_rate_of_its_queue)
{
    uint64_t hash = sl_lane_hash(sl_slice_str("own"));
    lane("own", (struct sl_lane_settings){.rate = 1, .rate_period_ms = 10, .burst = 2});
    for (int i = 0; i < 5; i++)
        put("a", .class = SL_CLASS_OWN, .lane = hash);
    struct sl_lease_want want = {.class = SL_CLASS_OWN,
                                 .scope = {1},
                                 .lane = hash,
                                 .now_ns = 1000,
                                 .now_ms = now_ms,
                                 .duration_ns = 1};
    struct sl_lease got;
    cr_assert(sl_queue_lease(q, &want, &got));
    cr_assert(sl_queue_lease(q, &want, &got));
    cr_assert_not(sl_queue_lease(q, &want, &got));
    uint64_t next_ns = sl_queue_next_ns(q);
    cr_assert_eq(next_ns, 1000 + 10 * SL_MILLI_NS);
    want.now_ns = next_ns - 1;
    cr_assert_not(sl_queue_lease(q, &want, &got));
    want.now_ns = next_ns;
    cr_assert(sl_queue_lease(q, &want, &got));
    cr_assert_not(sl_queue_lease(q, &want, &got));
    lane("own", (struct sl_lane_settings){0});
    cr_assert(sl_queue_lease(q, &want, &got));
    cr_assert_eq(sl_queue_next_ns(q), UINT64_MAX);
}

Test(alone, rises_by_a_priority_for_each_wait_that_is_set)
{
    sl_queue_event_lane(&event, SL_CLASS_CPU, (struct sl_slice){0},
                        &(struct sl_lane_settings){.aging_ms = 100});
    apply();
    uint64_t low = put("low", .priority = 1);
    now_ms += 199;
    uint64_t high = put("high", .priority = 3);
    uint64_t more = put("more", .priority = 3);
    cr_assert_eq(lease().task_id, high);
    now_ms += 2; /* 1 + 2 is 3, and not above; the higher goes first. */
    cr_assert_eq(lease().task_id, more);
    cr_assert_eq(lease().task_id, low);
    low = put("low", .priority = 1);
    now_ms += 300;
    put("high", .priority = 3);
    cr_assert_eq(lease().task_id, low);
}

Test(alone, tells_each_change_of_state_with_its_epoch)
{
    uint64_t a = put("a");
    struct sl_lease got = lease();
    kill_task(a, SL_STATE_DEAD, "x");
    cr_assert_eq(changes_count, 3);
    cr_assert_eq(changes[0].change, SL_CHANGE_PUT);
    cr_assert_eq(changes[1].change, SL_CHANGE_LEASE);
    cr_assert_eq(changes[1].epoch, got.epoch);
    cr_assert_eq(changes[2].change, SL_CHANGE_KILL);
    cr_assert_eq(changes[2].state, SL_STATE_DEAD);
    cr_assert_eq(changes[2].epoch, got.epoch);
    cr_assert_eq(changes[2].task_id, a);
}

Test(alone, is_found_by_a_scan_that_goes_on_where_it_stopped)
{
    for (int i = 0; i < 10; i++)
        put("x");
    struct sl_lease got = lease();
    kill_task(got.task_id, SL_STATE_DEAD, "x");
    struct sl_task_scan scan = {.scope = {1}, .states = SL_IN(QUEUED)};
    struct sl_task_info found;
    bool is_end = false;
    uint32_t count = 0;
    while (!is_end) {
        if (sl_queue_scan(q, &scan, 3, &found, &is_end))
            count++;
        cr_assert_leq(scan.looked, 3);
    }
    cr_assert_eq(count, 9);
    scan = (struct sl_task_scan){.scope = {2}};
    cr_assert_not(sl_queue_scan(q, &scan, 100, &found, &is_end));
    cr_assert(is_end);
}

/* Bytes of a snapshot that began now, with `between` called before each slice. */
static struct sl_buf
sliced(void (*between)(int round))
{
    struct sl_buf out = {0};
    int round = 0;
    sl_queue_snapshot_begin(q);
    do
        between(round++);
    while (sl_queue_snapshot_some(q, &out, 200));
    cr_assert_gt(round, 3);
    return out;
}

static void
change_much(int round)
{
    struct sl_lease got = lease();
    switch (round % 5) {
    case 0:
        only(SL_QUEUE_CANCEL_TASK, got.task_id);
        break;
    case 1:
        sl_queue_event_done(&event, &(struct sl_task_end){.task_id = got.task_id});
        apply();
        break;
    case 2:
        put("new", .retain_ms = 7);
        break;
    case 3:
        kill_task(got.task_id, SL_STATE_DEAD, "why");
        break;
    default:
        sl_queue_event_retry(&event, &(struct sl_retry){.task_id = got.task_id, .attempts = 4});
        apply();
    }
}

Test(alone, is_in_a_snapshot_in_slices_as_it_was_when_that_began)
{
    for (int i = 0; i < 40; i++)
        put("x", .retain_ms = (uint64_t)(i % 2) * 5, .priority = (uint8_t)(i % 10));
    for (int round = 0; round < 6; round++) {
        if (round == 4)
            sl_queue_snapshot_begin(q); /* One that nobody ends. */
        uint64_t digest = sl_queue_digest(q);
        struct sl_buf bytes = sliced(change_much);
        cr_assert_neq(sl_queue_digest(q), digest);
        struct sl_queue *other = sl_queue_create();
        cr_assert_eq(sl_queue_restore(other, sl_buf_slice(&bytes)), SL_OK);
        cr_assert_eq(sl_queue_digest(other), digest);
        sl_queue_destroy(&other);
        sl_buf_deinit(&bytes);
        if (round % 2 == 0)
            restart();
    }
}

/* What leases did in between must not matter: the same events, once more, without them. */
Test(alone, means_the_same_whether_it_was_leased_or_not)
{
    uint64_t a = put("a"), b = put("b"), c = put("c"), e = put("e", .retain_ms = 5);
    for (int i = 0; i < 4; i++)
        lease();
    only(SL_QUEUE_EXPIRE_TASK, a);
    sl_queue_event_edit(&event, &(struct sl_edit){.task_id = b, .priority = 3});
    apply();
    only(SL_QUEUE_CANCEL_TASK, c);
    sl_queue_event_done(&event, &(struct sl_task_end){.task_id = e, .ended_ms = now_ms});
    apply();
    struct sl_queue *again = sl_queue_create();
    for (uint32_t i = 0; i < paper.count; i++)
        sl_queue_apply(again, (struct sl_scope){1}, paper.events[i], (struct sl_log_at){i + 1, 0});
    cr_assert_eq(sl_queue_digest(again), sl_queue_digest(q));
    sl_queue_destroy(&again);
}

Test(alone, ripens_again_once_a_clock_that_was_ahead_is_not_any_more)
{
    put("far", .not_before_ms = now_ms + 100000000);
    uint64_t jumped = now_ms + 50000000, was = now_ms;
    now_ms = jumped;
    cr_assert_eq(lease().task_id, 0);
    now_ms = was;
    uint64_t a = put("a", .not_before_ms = now_ms + 20);
    now_ms += 20;
    cr_assert_eq(lease().task_id, a);
}

Test(alone, survives_any_run_of_events_as_its_snapshot_does)
{
    struct sl_random random;
    sl_random_seed(&random, 7);
    uint64_t ids[64];
    for (int i = 0; i < 64; i++)
        ids[i] = put("x", .retain_ms = (uint64_t)(i % 2), .priority = (uint8_t)(i % 10));
    for (int i = 0; i < 4000; i++) {
        uint64_t id = ids[sl_random_below(&random, 64)];
        uint64_t later = sl_random_below(&random, 2) == 0 ? 0 : now_ms + 20;
        switch (sl_random_below(&random, 9)) {
        case 0:
            lease();
            break;
        case 1:
            sl_queue_event_done(&event, &(struct sl_task_end){.task_id = id,
                                                              .ended_ms = now_ms,
                                                              .bytes = sl_slice_str("r")});
            apply();
            break;
        case 2:
            kill_task(id, SL_STATE_DEAD, "why");
            break;
        case 3:
            sl_queue_event_redrive(&event,
                                   &(struct sl_edit){.task_id = id, .not_before_ms = later});
            apply();
            break;
        case 4:
            sl_queue_event_edit(&event, &(struct sl_edit){.task_id = id,
                                                          .priority = 3,
                                                          .not_before_ms = later,
                                                          .payload = sl_slice_str("y")});
            apply();
            break;
        case 5:
            only(SL_QUEUE_CANCEL_TASK, id);
            break;
        case 6:
            sl_queue_event_retry(&event, &(struct sl_retry){.task_id = id,
                                                            .attempts = 1,
                                                            .why = sl_slice_str("why"),
                                                            .not_before_ms = later});
            apply();
            break;
        case 7:
            now_ms += 5;
            if (sl_random_below(&random, 4) == 0)
                ids[sl_random_below(&random, 64)] = put("z", .retain_ms = 3);
            break;
        default:
            if (sl_random_below(&random, 20) == 0)
                restart();
        }
    }
    restart();
}
