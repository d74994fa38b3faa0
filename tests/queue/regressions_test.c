/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What went wrong in other queues, and must not here. Each test says whose report it is; all run on
 * a queue in a store, whose disks are simulated.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "queue/dedup.h"
#include "queue/key.h"
#include "queue/retry.h"
#include "runtime/alloc.h"
#include "runtime/random.h"
#include "runtime/report.h"
#include "tests/queue/stand.h"

enum { EFFECTS = 9, LEASE_S = 15 };
#define DAY_MS  (UINT64_C(24) * 3600 * 1000)
#define HOUR_MS (UINT64_C(3600) * 1000)

static struct sl_sim_storage storage;
static struct sl_stand stand;
static struct sl_buf event;
static uint64_t now_ms;

static void
start(void)
{
    cr_assert_eq(sl_stand_open(&stand), SL_OK);
}

static void
setup(void)
{
    sl_report_level_set((enum sl_report_level)(SL_REPORT_ERROR + 1));
    sl_sim_storage_init(&storage);
    stand =
        (struct sl_stand){.storage = &storage, .segment_bytes = 65536, .checkpoint_bytes = 100000};
    now_ms = 1000000;
    start();
}

static void
teardown(void)
{
    sl_stand_close(&stand);
    sl_sim_storage_deinit(&storage);
    sl_buf_deinit(&event);
}

TestSuite(regressions, .init = setup, .fini = teardown);

static uint64_t
now_ns(void)
{
    return now_ms * SL_MILLI_NS;
}

static void
commit(void)
{
    cr_assert_eq(sl_stand_commit(&stand, &event), SL_OK);
}

#define put(text, ...) put_task((struct sl_task_put){.payload = sl_slice_str(text), __VA_ARGS__})

static uint64_t
put_task(struct sl_task_put p)
{
    p.task_id = sl_queue_reserve(stand.q);
    p.created_ms = now_ms;
    sl_queue_event_put(&event, &p);
    commit();
    return p.task_id;
}

/* The next task for this holder, for LEASE_S; of id 0: there is none. */
static struct sl_lease
lease_by(uint64_t holder)
{
    struct sl_lease got = {0};
    struct sl_lease_want want = {.holder = holder,
                                 .now_ns = now_ns(),
                                 .now_ms = now_ms,
                                 .duration_ns = LEASE_S * SL_SECOND_NS};
    (void)sl_queue_lease(stand.q, &want, &got);
    return got;
}

static uint64_t
expire_all(void)
{
    uint64_t count = 0, task_id;
    while (sl_queue_expire(stand.q, now_ns(), &task_id))
        count++;
    return count;
}

/* The task's end and its effect, as a worker reports it. SL_ESTALE: it is not its lease any more.
 */
static enum sl_err
done(struct sl_lease lease)
{
    struct sl_lease live;
    enum sl_err err = sl_queue_check(stand.q, lease.task_id, lease.epoch, &live);
    if (err != SL_OK)
        return err;
    struct sl_txn *t = sl_store_begin(stand.store);
    sl_txn_add(t, (struct sl_scope){SL_STAND_SCOPE}, EFFECTS,
               sl_slice(&lease.task_id, sizeof(lease.task_id)), 1);
    sl_queue_event_done(&event,
                        &(struct sl_task_end){.task_id = lease.task_id, .ended_ms = now_ms});
    sl_stand_stage(t, &event);
    return sl_txn_commit(&t);
}

static int64_t
effects(uint64_t task_id)
{
    struct sl_txn *t = sl_store_begin(stand.store);
    int64_t count = sl_txn_counter(t, (struct sl_scope){SL_STAND_SCOPE}, EFFECTS,
                                   sl_slice(&task_id, sizeof(task_id)));
    sl_txn_abort(&t);
    return count;
}

static void
retry(struct sl_lease lease, uint64_t delay_ms)
{
    struct sl_retry r = {.task_id = lease.task_id,
                         .not_before_ms = delay_ms == 0 ? 0 : now_ms + delay_ms,
                         .attempts = (uint16_t)(lease.attempts + 1),
                         .crashes = lease.crashes,
                         .snoozes = lease.snoozes,
                         .why = sl_slice_str("it failed")};
    sl_queue_event_retry(&event, &r);
    commit();
}

static void
bury(uint64_t task_id)
{
    sl_queue_event_kill(&event, &(struct sl_task_end){.task_id = task_id,
                                                      .ended_ms = now_ms,
                                                      .state = SL_STATE_DEAD,
                                                      .bytes = sl_slice_str("it never works")});
    commit();
}

static struct sl_task_info
info(uint64_t task_id)
{
    struct sl_task_info got = {0};
    cr_assert_eq(sl_queue_task(stand.q, (struct sl_scope){SL_STAND_SCOPE}, task_id, &got), SL_OK);
    return got;
}

static struct sl_queue_depth
depth(void)
{
    struct sl_queue_depth got = {0};
    cr_assert_eq(sl_queue_depth(stand.q, (struct sl_scope){SL_STAND_SCOPE}, SL_CLASS_CPU, 0, &got),
                 SL_OK);
    return got;
}

static bool
payload_is(struct sl_lease lease, const char *text)
{
    struct sl_slice bytes;
    return sl_body_read(stand.store, lease.body, &bytes) == SL_OK && sl_slice_is(bytes, text);
}

/* The process is killed and started again, right after a sync or with power lost in between. */
static void
restart(bool is_power_cut)
{
    cr_assert_eq(sl_store_sync(stand.store), SL_OK);
    sl_stand_abandon(&stand);
    if (is_power_cut) {
        sl_sim_disk_crash(storage.log, 5);
        sl_sim_disk_crash(storage.snapshots, 6);
    }
    start();
}

/* ---- delays --------------------------------------------------------------------------------- */

/* celery#4766, #2599, #2481, #3270, #4400, #9882, kombu#337 */
Test(regressions, a_task_that_is_due_far_behind_any_lease_runs_once)
{
    uint64_t id = put("in a month", .not_before_ms = now_ms + 30 * DAY_MS), due = now_ms;
    for (int hour = 0; hour < 30 * 24; hour++) {
        cr_assert_eq(lease_by(1).task_id, 0, "hour %d", hour);
        cr_assert_eq(expire_all(), 0);
        now_ms += HOUR_MS;
        if (hour % 200 == 0)
            restart(false);
    }
    cr_assert_eq(now_ms, due + 30 * DAY_MS);
    struct sl_lease lease = lease_by(1);
    cr_assert_eq(lease.task_id, id);
    cr_assert_eq(done(lease), SL_OK);
    now_ms += DAY_MS;
    cr_assert_eq(lease_by(1).task_id, 0);
    cr_assert_eq(effects(id), 1);
}

/* celery#6760, #6067, rabbitmq-server#9046, #12857 */
Test(regressions, tasks_that_wait_for_their_time_take_neither_leases_nor_workers)
{
    for (int i = 0; i < 1000; i++)
        put("later", .not_before_ms = now_ms + DAY_MS, .priority = 9);
    uint64_t id = put("now");
    cr_assert_eq(lease_by(1).task_id, id);
    cr_assert_eq(sl_queue_leased_count(stand.q), 1);
    cr_assert_eq(depth().delayed, 1000);
    now_ms += DAY_MS - 1; /* Nobody has to hear of a lease that is far longer than usual. */
    cr_assert_eq(expire_all(), 1);
    cr_assert_eq(depth().leased, 0);
}

/* bullmq#1656, #1658, #2466 */
Test(regressions, a_delayed_task_runs_at_its_time_though_nobody_was_there_before)
{
    uint64_t late = put("while it was down", .not_before_ms = now_ms + 5000);
    uint64_t soon = put("after it", .not_before_ms = now_ms + 60000);
    restart(true);
    now_ms += 10000; /* It was down when the first was due. */
    cr_assert_leq(sl_queue_next_ms(stand.q), now_ms);
    cr_assert_eq(lease_by(1).task_id, late);
    now_ms += 50000 - 1;
    cr_assert_eq(lease_by(1).task_id, 0);
    now_ms++;
    cr_assert_eq(lease_by(1).task_id, soon);
}

/* celery#3501, #4991 */
Test(regressions, a_task_that_a_killed_worker_was_to_run_later_runs_elsewhere)
{
    uint64_t id = put("again in a minute");
    retry(lease_by(1), 60000);
    cr_assert_eq(sl_queue_release_holder(stand.q, 1), 0);
    now_ms += 60000;
    struct sl_lease lease = lease_by(2);
    cr_assert_eq(lease.task_id, id);
    cr_assert_eq(lease.attempts, 1);
}

/* ---- leases --------------------------------------------------------------------------------- */

/* celery#4354, #7950, bull PR#257 */
Test(regressions, a_task_whose_lease_never_reached_its_worker_runs_elsewhere)
{
    uint64_t id = put("x");
    struct sl_lease lost = lease_by(1); /* The answer is lost, and so is the worker. */
    now_ms += LEASE_S * 1000 - 1;
    cr_assert_eq(expire_all(), 0);
    now_ms++;
    cr_assert_eq(expire_all(), 1);
    struct sl_lease lease = lease_by(2);
    cr_assert_eq(lease.task_id, id);
    cr_assert_eq(lease.attempts, 0);
    cr_assert_eq(done(lost), SL_ESTALE);
    cr_assert_eq(done(lease), SL_OK);
}

/* celery#7924, sidekiq#1831, openlinker#2164 */
Test(regressions, all_that_a_killed_worker_had_taken_is_ready_again_at_once_and_in_order)
{
    uint64_t ids[20];
    for (int i = 0; i < 20; i++)
        ids[i] = put("x");
    for (int i = 0; i < 10; i++)
        cr_assert_eq(lease_by(1).task_id, ids[i]);
    cr_assert_eq(sl_queue_release_holder(stand.q, 1), 10);
    for (int i = 0; i < 20; i++) {
        struct sl_lease lease = lease_by(2);
        cr_assert_eq(lease.task_id, ids[i]);
        cr_assert_eq(lease.attempts, 0, "who was killed has not failed");
    }
}

/* Among tasks that came back the last one used to go first, the others perhaps never. */
Test(regressions, what_came_back_goes_in_turn_before_what_never_left)
{
    uint64_t ids[6];
    struct sl_lease leases[4];
    for (int i = 0; i < 6; i++)
        ids[i] = put("x");
    for (int i = 0; i < 4; i++)
        leases[i] = lease_by(1);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(sl_queue_release(stand.q, leases[i].task_id, leases[i].epoch), SL_OK);
    for (int i = 0; i < 12; i++) { /* No one takes any: each gets its turn, again and again. */
        struct sl_lease lease = lease_by(1);
        cr_assert_eq(lease.task_id, ids[i % 4]);
        cr_assert_eq(sl_queue_release(stand.q, lease.task_id, lease.epoch), SL_OK);
    }
    for (int i = 0; i < 6; i++)
        cr_assert_eq(lease_by(2).task_id, ids[i]);
}

/* celery#1628, #3541, PR#3053 */
Test(regressions, a_worker_that_was_killed_has_acknowledged_nothing)
{
    uint64_t id = put("too large for it");
    struct sl_lease lease = lease_by(1);
    sl_queue_release_holder(stand.q, 1);
    cr_assert_eq(info(id).state, SL_STATE_QUEUED);
    cr_assert_eq(done(lease), SL_ESTALE, "whatever its child said");
    cr_assert_eq(effects(id), 0);
    cr_assert_eq(lease_by(2).task_id, id);
}

/* celery#3802 */
Test(regressions, what_was_done_before_its_worker_left_is_not_run_again)
{
    uint64_t id = put("a");
    put("b");
    cr_assert_eq(done(lease_by(1)), SL_OK);
    lease_by(1);
    cr_assert_eq(sl_queue_release_holder(stand.q, 1), 1, "only what it had not done");
    restart(true);
    cr_assert_neq(lease_by(2).task_id, id);
    cr_assert_eq(lease_by(2).task_id, 0);
    cr_assert_eq(effects(id), 1);
}

/* celery#4671 */
Test(regressions, a_task_that_ran_over_a_restart_has_its_effect_once)
{
    uint64_t id = put("x");
    struct sl_lease before = lease_by(1);
    restart(false);
    struct sl_lease after = lease_by(1);
    cr_assert_eq(after.task_id, id);
    cr_assert_eq(done(before), SL_ESTALE, "from before the restart");
    cr_assert_eq(done(after), SL_OK);
    cr_assert_eq(done(after), SL_ESTALE);
    cr_assert_eq(effects(id), 1);
}

/* celery#1789, kombu#305, sidekiq#3845, #3196, #4635, #4937, #5540 */
Test(regressions, nothing_that_ran_waits_for_a_sweep_after_a_restart)
{
    for (int i = 0; i < 100; i++)
        put("x");
    for (int i = 0; i < 50; i++)
        lease_by(1);
    restart(true);
    for (int i = 0; i < 100; i++)
        cr_assert_neq(lease_by(2).task_id, 0, "%d", i);
}

/* oban#862, #1030, #1037: a node of the same name */
Test(regressions, a_worker_that_comes_back_under_its_name_has_no_lease_of_its_former_life)
{
    uint64_t id = put("x");
    struct sl_lease before = lease_by(7);
    restart(false);
    cr_assert_eq(sl_queue_extend_one(stand.q, id, before.epoch, UINT64_MAX), SL_ESTALE);
    sl_queue_extend(stand.q, 7, UINT64_MAX);
    struct sl_lease after = lease_by(7);
    cr_assert_eq(after.task_id, id);
    cr_assert_gt(after.epoch, before.epoch);
    cr_assert_eq(done(before), SL_ESTALE);
}

/* celery#8030, #8091, #10205, bullmq#648, #2964, #3185, Bull#1873, #2417, nats-server#4736 */
Test(regressions, a_worker_that_was_given_up_gets_tasks_again_when_it_is_back)
{
    uint64_t id = put("x");
    for (int round = 0; round < 50; round++) {
        struct sl_lease lease = lease_by(1);
        cr_assert_eq(lease.task_id, id, "round %d", round);
        if (round % 2 == 0) {
            now_ms += LEASE_S * 1000;
            cr_assert_eq(expire_all(), 1);
        } else {
            cr_assert_eq(sl_queue_release_holder(stand.q, 1), 1);
        }
    }
}

/* bullmq#596, #1341, #1602, #3295, #3463, Bull#1243, #1415 */
Test(regressions, who_has_lost_a_lease_cannot_touch_that_of_the_next)
{
    uint64_t id = put("x");
    struct sl_lease first = lease_by(1), got;
    now_ms += LEASE_S * 1000;
    cr_assert_eq(expire_all(), 1);
    struct sl_lease second = lease_by(1); /* The same worker even. */
    cr_assert_neq(second.epoch, first.epoch);
    cr_assert_eq(sl_queue_extend_one(stand.q, id, first.epoch, UINT64_MAX), SL_ESTALE);
    cr_assert_eq(sl_queue_release(stand.q, id, first.epoch), SL_ESTALE);
    cr_assert_eq(sl_queue_move(stand.q, id, first.epoch, 3), SL_ESTALE);
    cr_assert_eq(sl_queue_served(stand.q, id, first.epoch, 1), SL_ESTALE);
    cr_assert_eq(done(first), SL_ESTALE);
    cr_assert_eq(sl_queue_check(stand.q, id, second.epoch, &got), SL_OK);
    cr_assert_eq(got.deadline_ns, second.deadline_ns);
    cr_assert_eq(done(second), SL_OK);
}

/* sidekiq#4611, #6379, hexpm PR#1825 (a job of 9 to 47 minutes), bullmq#596 */
Test(regressions, a_task_that_runs_for_a_day_with_beats_is_never_taken_for_lost)
{
    uint64_t id = put("long"), other = put("of one that is silent");
    struct sl_lease lease = lease_by(1);
    cr_assert_eq(lease_by(2).task_id, other);
    for (uint64_t ms = 0; ms < DAY_MS; ms += 5000) {
        now_ms += 5000;
        sl_queue_extend(stand.q, 1, now_ns() + LEASE_S * SL_SECOND_NS);
        cr_assert_eq(expire_all(), ms == 10000 ? 1 : 0, "%lu ms", (unsigned long)ms);
    }
    cr_assert_eq(lease_by(3).task_id, other);
    cr_assert_eq(lease_by(3).task_id, 0);
    cr_assert_eq(done(lease), SL_OK);
    cr_assert_eq(effects(id), 1);
}

/* asynq#1144, river#1258, bull#2671, beanstalkd#659: active, but of nobody */
Test(regressions, what_runs_has_a_lease_and_what_has_a_lease_runs_whatever_happens)
{
    struct sl_random random;
    sl_random_seed(&random, 3);
    uint64_t ids[100];
    struct sl_lease held[100] = {0};
    for (int i = 0; i < 100; i++)
        ids[i] = put("x");
    for (int i = 0; i < 5000; i++) {
        uint64_t at = sl_random_below(&random, 100);
        uint64_t id = ids[at];
        struct sl_lease lease;
        switch (sl_random_below(&random, 8)) {
        case 0:
        case 1:
            lease = lease_by(1 + sl_random_below(&random, 5));
            if (lease.task_id != 0)
                held[lease.task_id - ids[0]] = lease;
            break;
        case 2:
            if (sl_queue_release(stand.q, id, held[at].epoch) == SL_OK)
                cr_assert_eq(info(id).state, SL_STATE_QUEUED);
            break;
        case 3:
            sl_queue_event_task_only(&event, SL_QUEUE_CANCEL_TASK, id, now_ms);
            commit();
            break;
        case 4:
            sl_queue_event_redrive(&event, &(struct sl_edit){.task_id = id});
            commit();
            break;
        case 5:
            retry((struct sl_lease){.task_id = id}, sl_random_below(&random, 3));
            break;
        case 6:
            sl_queue_release_holder(stand.q, 1 + sl_random_below(&random, 5));
            break;
        default:
            now_ms += sl_random_below(&random, 5000);
            expire_all();
        }
        cr_assert_eq(depth().leased, sl_queue_leased_count(stand.q));
        if (info(id).state == SL_STATE_RUNNING)
            cr_assert_eq(sl_queue_check(stand.q, id, info(id).epoch, &lease), SL_OK);
    }
    now_ms += LEASE_S * 1000;
    expire_all();
    cr_assert_eq(depth().leased, 0, "each comes to its end");
}

/* asynq#764, #274: the task of a lapsed lease is not there */
Test(regressions, nothing_lapses_of_a_task_that_has_ended)
{
    uint64_t ids[3] = {put("a"), put("b"), put("c")};
    struct sl_lease leases[3] = {lease_by(1), lease_by(1), lease_by(1)};
    cr_assert_eq(done(leases[0]), SL_OK);
    sl_queue_event_task_only(&event, SL_QUEUE_CANCEL_TASK, ids[1], now_ms);
    commit();
    bury(ids[2]);
    now_ms += LEASE_S * 1000;
    cr_assert_eq(expire_all(), 0);
    cr_assert_eq(lease_by(2).task_id, 0);
}

/* river PR#1318: the sweep began again with the same ones */
Test(regressions, ten_thousand_lost_leases_all_come_back)
{
    enum { COUNT = 10000 };
    for (int i = 0; i < COUNT; i++)
        put("x");
    for (int i = 0; i < COUNT; i++)
        cr_assert_neq(lease_by(1).task_id, 0);
    now_ms += LEASE_S * 1000;
    cr_assert_eq(expire_all(), COUNT);
    for (int i = 0; i < COUNT; i++)
        cr_assert_neq(lease_by(2).task_id, 0);
}

/* river#347, #682: one rescue time for all */
Test(regressions, each_lease_has_a_time_of_its_own)
{
    put("short");
    put("long");
    struct sl_lease_want want = {.holder = 1, .now_ns = now_ns(), .now_ms = now_ms};
    struct sl_lease one, two, got;
    want.duration_ns = SL_SECOND_NS;
    cr_assert(sl_queue_lease(stand.q, &want, &one));
    want.duration_ns = HOUR_MS * SL_MILLI_NS;
    cr_assert(sl_queue_lease(stand.q, &want, &two));
    now_ms += 1000;
    cr_assert_eq(expire_all(), 1);
    cr_assert_eq(sl_queue_check(stand.q, one.task_id, one.epoch, &got), SL_ESTALE);
    cr_assert_eq(sl_queue_check(stand.q, two.task_id, two.epoch, &got), SL_OK);
}

/* ---- attempts, and what is dead -------------------------------------------------------------- */

/* asynq#1015: a crash used up a retry, and a task without retries was given up unrun */
Test(regressions, a_lost_worker_uses_up_no_attempt)
{
    struct sl_retry_policy once = {.attempts_max = 1};
    struct sl_random random;
    uint64_t delay_ms, id = put("x");
    sl_random_seed(&random, 1);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(lease_by(1).attempts, 0);
        if (i % 2 == 0)
            sl_queue_release_holder(stand.q, 1);
        else
            restart(false);
    }
    struct sl_lease lease = lease_by(1);
    cr_assert_eq(lease.task_id, id);
    cr_assert_eq(lease.attempts, 0);
    /* Its own failure is the first, and of a policy of one the last. */
    struct sl_retry_failure failure = {.attempts = (uint16_t)(lease.attempts + 1),
                                       .now_ms = now_ms};
    cr_assert_eq(sl_retry_decide(&once, &failure, &random, &delay_ms), SL_RETRY_SPENT);
    struct sl_retry_policy twice = {.attempts_max = 2};
    cr_assert_eq(sl_retry_decide(&twice, &failure, &random, &delay_ms), SL_RETRY_AGAIN);
}

/* asynq#842: the next run of a job was refused while a dead one had its key */
Test(regressions, a_dead_task_gives_its_key_back)
{
    struct sl_dedup *keys = sl_dedup_create(10);
    struct sl_dedup_want want = {.key = {{1, 2}, 3}, .mode = SL_DEDUP_UNTIL_DONE, .now_ms = now_ms};
    struct sl_dedup_entry entry = {.key = want.key, .mode = want.mode, .task = 77};
    struct sl_dedup_answer answer;
    uint32_t slot;
    cr_assert_eq(sl_dedup_put(keys, &entry, &slot), SL_OK);
    cr_assert_not(sl_dedup_start(keys, slot, 77));
    cr_assert_eq(sl_dedup_look(keys, &want, &answer), SL_OK);
    cr_assert_eq(answer.task, 77);
    cr_assert(sl_dedup_end(keys, slot, 77, true));
    cr_assert_eq(sl_dedup_look(keys, &want, &answer), SL_OK);
    cr_assert_eq(answer.kind, SL_DEDUP_NEW);
    sl_dedup_destroy(&keys);
}

/* gearmand#251 */
Test(regressions, a_failed_task_is_tried_again_though_nobody_waits_for_it)
{
    uint64_t id = put("x");
    retry(lease_by(1), 200);
    restart(true);
    now_ms += 200;
    struct sl_lease lease = lease_by(1);
    cr_assert_eq(lease.task_id, id);
    cr_assert_eq(lease.attempts, 1);
}

/* river#1302: the rescuer overwrote what was completed after its snapshot */
Test(regressions, a_late_failure_does_not_undo_what_is_done)
{
    uint64_t id = put("x", .retain_ms = DAY_MS);
    struct sl_lease lease = lease_by(1);
    cr_assert_eq(done(lease), SL_OK);
    uint64_t digest = sl_queue_digest(stand.q);
    retry(lease, 0); /* Decided before, and written after. */
    bury(id);
    sl_queue_event_task_only(&event, SL_QUEUE_EXPIRE_TASK, id, now_ms);
    commit();
    now_ms += LEASE_S * 1000;
    cr_assert_eq(expire_all(), 0);
    cr_assert_eq(info(id).state, SL_STATE_SUCCEEDED);
    cr_assert_eq(sl_queue_digest(stand.q), digest);
    cr_assert_eq(lease_by(2).task_id, 0);
}

/* nats-server#7817 (lost at max-deliver), #5638 (unacknowledged, and deleted) */
Test(regressions, a_task_out_of_attempts_is_kept_with_its_payload_and_the_reason)
{
    uint64_t id = put("precious");
    struct sl_slice bytes;
    lease_by(1);
    bury(id);
    cr_assert_eq(sl_store_checkpoint(stand.store), SL_OK);
    for (int i = 0; i < 2000; i++) {
        put("others, until the segments of the first are far behind");
        cr_assert_eq(done(lease_by(1)), SL_OK);
    }
    cr_assert_eq(sl_store_checkpoint(stand.store), SL_OK);
    restart(true);
    cr_assert_eq(info(id).state, SL_STATE_DEAD);
    cr_assert_eq(sl_body_read(stand.store, info(id).why, &bytes), SL_OK);
    cr_assert(sl_slice_is(bytes, "it never works"));
    sl_queue_event_redrive(&event, &(struct sl_edit){.task_id = id});
    commit();
    cr_assert(payload_is(lease_by(1), "precious"));
}

/* nats-server#5346: wrong NumDelivered; beanstalkd#668: a replay counted more, and moved buried */
Test(regressions, counts_and_the_order_of_the_dead_are_the_same_after_a_replay)
{
    uint64_t dead[20];
    for (int i = 0; i < 100; i++)
        put("x", .priority = (uint8_t)(i % 3), .not_before_ms = i % 5 == 0 ? now_ms + HOUR_MS : 0);
    for (int i = 0; i < 20; i++) {
        dead[i] = lease_by(1).task_id;
        now_ms++;
        bury(dead[i]);
    }
    for (int i = 0; i < 7; i++)
        retry(lease_by(1), 0);
    struct sl_queue_depth before = depth();
    uint64_t digest = sl_queue_digest(stand.q);
    for (int round = 0; round < 3; round++) {
        restart(round == 1);
        if (round == 0)
            cr_assert_eq(sl_store_checkpoint(stand.store), SL_OK);
        struct sl_queue_depth after = depth();
        cr_assert_arr_eq(after.count, before.count, sizeof(after.count));
        cr_assert_eq(sl_queue_digest(stand.q), digest);
    }
    for (int i = 0; i < 20; i++)
        cr_assert_eq(info(dead[i]).time_ms, 1000001 + (uint64_t)i);
}

/* ---- limits --------------------------------------------------------------------------------- */

/* hatchet PR#1164: a group over its maximum, and equal times out of order */
Test(regressions, a_queue_is_never_over_its_maximum_and_equal_times_keep_their_order)
{
    struct sl_random random;
    struct sl_lane_settings settings = {.running_max = 3};
    struct sl_lease held[3];
    uint64_t ids[200], next = 0, at_ms = now_ms + 10;
    uint32_t count = 0;
    sl_random_seed(&random, 9);
    sl_queue_event_lane(&event, SL_CLASS_CPU, (struct sl_slice){0}, &settings);
    commit();
    for (int i = 0; i < 200; i++)
        ids[i] = put("x", .not_before_ms = at_ms);
    now_ms = at_ms;
    while (next < 200) {
        struct sl_lease lease = lease_by(1 + sl_random_below(&random, 4));
        cr_assert_eq(lease.task_id != 0, count < 3, "%u run", count);
        if (lease.task_id != 0) {
            cr_assert_eq(lease.task_id, ids[next++]);
            held[count++] = lease;
        }
        cr_assert_leq(depth().leased, 3);
        if (count > 0 && sl_random_below(&random, 3) == 0)
            cr_assert_eq(done(held[--count]), SL_OK);
    }
}

/* hatchet#2866, PR#894: two rules turned 0.4 s of work into seconds */
Test(regressions, two_keys_cost_each_task_a_few_tries_and_not_one_for_each_that_waits)
{
    enum { COUNT = 2000 };
    struct sl_keys *keys = sl_keys_create();
    struct sl_key_spec specs[2] = {{.scope = 1, .hash = 1, .limit = 2},
                                   {.scope = 1, .hash = 2, .limit = 1}};
    static uint32_t claims[COUNT], ready[8 * COUNT];
    uint32_t first = 0, count = 0, tries = 0, ended = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        claims[i] = sl_keys_join(keys, i, specs, 2, 1);
        ready[count++] = i;
    }
    while (first < count) {
        uint32_t task = ready[first++];
        tries++;
        if (sl_keys_acquire(keys, claims[task], 1)) {
            sl_keys_leave(keys, claims[task], 1); /* It ran. */
            ended++;
        }
        for (uint32_t woken; (woken = sl_keys_woken(keys)) != SL_NONE;) {
            cr_assert_lt(count, 8 * COUNT);
            ready[count++] = woken;
        }
    }
    cr_assert_eq(ended, COUNT);
    cr_assert_leq(tries, 4 * COUNT);
    sl_keys_destroy(&keys);
}

/* nats-server#4736, #5799, #5839, #7680: a consumer to which nothing comes any more */
Test(regressions, what_is_ready_is_handed_out_after_any_pauses_limits_and_restarts)
{
    struct sl_random random;
    sl_random_seed(&random, 21);
    for (int i = 0; i < 400; i++) {
        struct sl_lane_settings settings = {
            .mode = sl_random_below(&random, 2) == 0 ? SL_LANE_PAUSED : SL_LANE_OPEN,
            .running_max = (uint32_t)sl_random_below(&random, 3),
            .rate = (uint32_t)sl_random_below(&random, 3),
            .rate_period_ms = 100};
        sl_queue_event_lane(&event, SL_CLASS_CPU, (struct sl_slice){0}, &settings);
        commit();
        put("x", .not_before_ms = sl_random_below(&random, 2) * (now_ms + 30));
        now_ms += sl_random_below(&random, 50);
        struct sl_lease lease = lease_by(1);
        if (lease.task_id != 0 && sl_random_below(&random, 2) == 0)
            cr_assert_eq(done(lease), SL_OK);
        if (i % 50 == 0)
            restart(i % 100 == 0);
    }
    sl_queue_release_holder(stand.q, 1);
    sl_queue_event_lane(&event, SL_CLASS_CPU, (struct sl_slice){0}, &(struct sl_lane_settings){0});
    commit();
    now_ms += 1000;
    while (depth().count[SL_STATE_QUEUED] + depth().count[SL_STATE_SCHEDULED] > 0)
        cr_assert_neq(lease_by(2).task_id, 0);
}
