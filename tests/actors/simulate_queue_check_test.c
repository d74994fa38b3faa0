/* SPDX-License-Identifier: Apache-2.0 */
/* Histories of own queues that break one promise each, and like ones that do not. */
#include "actors/simulate_queue_check.h"

#include <criterion/criterion.h>

#define KEY_TASK  0 /* By the plan below. */
#define LATE_TASK 1
#define GATED     2 /* And the next: one key that allows one. */
#define PLAIN     4

static struct sl_simq_plan plan;
static struct sl_simq_check check;
static uint64_t now_ns = SL_SECOND_NS;

static void
setup(void)
{
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++)
        plan.tasks[i].is_kept = true;
    plan.tasks[KEY_TASK].name = 1;
    plan.tasks[KEY_TASK].mode = SL_DEDUP_TTL;
    plan.tasks[LATE_TASK].delay_ms = 500;
    plan.tasks[GATED] = plan.tasks[GATED + 1] =
        (struct sl_simq_task){.queue = 1, .gate = 1, .is_kept = true};
    sl_simq_check_init(&check, &plan);
    sl_simq_saw_boot(&check, (struct sl_simq_at){now_ns, now_ns / SL_MILLI_NS});
}

static void
finish(void)
{
    sl_simq_check_deinit(&check);
}

TestSuite(simulate_queue_check, .init = setup, .fini = finish);

static struct sl_simq_at
at(void)
{
    return (struct sl_simq_at){now_ns, now_ns / SL_MILLI_NS};
}

static void
pass(uint64_t ms)
{
    now_ns += ms * SL_MILLI_NS;
}

static struct sl_put_result
put(uint32_t number, uint64_t task_id)
{
    struct sl_put_result result = {.task_id = task_id};
    sl_simq_saw_put(&check, at(), number, &result);
    return result;
}

static void
put_and_tell(uint32_t number, uint64_t task_id, enum sl_level level)
{
    struct sl_put_result result = put(number, task_id);
    sl_simq_told_put(&check, (struct sl_simq_told){now_ns, level}, number, &result);
}

static void
lease(uint32_t number, uint64_t epoch)
{
    sl_simq_saw_want(&check, at(), 7, plan.tasks[number].queue,
                     (struct sl_simq_wish){1, SL_SIMQ_LEASE_NS});
    uint8_t payload[8] = {(uint8_t)number};
    struct sl_lease l = {.task_id = check.states[number].task_id,
                         .epoch = epoch,
                         .payload = sl_slice(payload, sizeof(payload))};
    sl_simq_saw_lease(&check, at(), plan.tasks[number].queue, &l,
                      (struct sl_simq_holder){7, false});
}

static void
end(uint32_t number, uint64_t epoch)
{
    struct sl_end_item item = {.task_id = check.states[number].task_id, .epoch = epoch};
    sl_simq_saw_end(&check, at(), &item, SL_OK);
}

static void
tell_end(uint32_t number, uint64_t epoch)
{
    struct sl_end_item item = {.task_id = check.states[number].task_id, .epoch = epoch};
    sl_simq_told_end(&check, (struct sl_simq_told){.at_ns = now_ns}, number, &item);
}

static void
die(bool is_power_loss)
{
    sl_simq_saw_death(&check, at(), is_power_loss);
    sl_simq_saw_boot(&check, at());
}

static void
rest(uint32_t number, enum sl_state state)
{
    sl_simq_saw_rest(&check, number, check.states[number].task_id, state);
    sl_simq_check_rest(&check);
}

#define HOLDS() cr_assert(check.is_ok, "%s", check.failure)
#define FAILS(word)                                                                                \
    do {                                                                                           \
        cr_assert_not(check.is_ok);                                                                \
        cr_assert_not_null(strstr(check.failure, word), "%s", check.failure);                      \
    } while (0)

Test(simulate_queue_check, takes_a_task_that_is_put_worked_on_and_kept)
{
    put_and_tell(PLAIN, 9, SL_LEVEL_DISK);
    lease(PLAIN, 5);
    end(PLAIN, 5);
    tell_end(PLAIN, 5);
    rest(PLAIN, SL_STATE_SUCCEEDED);
    HOLDS();
}

Test(simulate_queue_check, finds_a_put_that_was_answered_and_is_gone)
{
    put_and_tell(PLAIN, 9, SL_LEVEL_DISK);
    sl_simq_check_rest(&check);
    FAILS("lost: task 4");
}

Test(simulate_queue_check, lets_go_what_was_never_answered)
{
    (void)put(PLAIN, 9);
    die(true);
    sl_simq_check_rest(&check);
    HOLDS();
}

Test(simulate_queue_check, holds_each_level_to_what_it_promises)
{
    put_and_tell(PLAIN, 9, SL_LEVEL_OS);
    die(false); /* Of the process alone. */
    cr_assert_eq(check.states[PLAIN].put, SL_SIMQ_SURE);
    put_and_tell(PLAIN + 1, 10, SL_LEVEL_OS);
    put_and_tell(PLAIN + 2, 11, SL_LEVEL_DISK);
    die(true);
    cr_assert_eq(check.states[PLAIN + 1].put, SL_SIMQ_MAYBE);
    cr_assert_eq(check.states[PLAIN + 2].put, SL_SIMQ_SURE);
    put_and_tell(PLAIN + 3, 12, SL_LEVEL_RAM);
    pass(100);
    die(true);
    cr_assert_eq(check.states[PLAIN + 3].put, SL_SIMQ_SURE);
}

Test(simulate_queue_check, finds_an_end_that_was_answered_and_is_undone)
{
    put_and_tell(PLAIN, 9, SL_LEVEL_DISK);
    lease(PLAIN, 5);
    end(PLAIN, 5);
    die(false);
    lease(PLAIN, 6); /* That may be: nobody was told. */
    HOLDS();
    tell_end(PLAIN, 5);
    FAILS("lost: the end of task 4");
}

Test(simulate_queue_check, finds_a_task_that_is_leased_after_its_end)
{
    put_and_tell(PLAIN, 9, SL_LEVEL_DISK);
    lease(PLAIN, 5);
    end(PLAIN, 5);
    lease(PLAIN, 6);
    FAILS("resurrected");
}

Test(simulate_queue_check, finds_a_task_that_is_leased_after_it_was_cancelled)
{
    put_and_tell(PLAIN, 9, SL_LEVEL_DISK);
    sl_simq_saw_cancel(&check, at(), PLAIN);
    sl_simq_told_cancel(&check, now_ns, PLAIN);
    die(true);
    lease(PLAIN, 6);
    FAILS("resurrected");
}

Test(simulate_queue_check, finds_an_end_of_an_old_epoch)
{
    put_and_tell(PLAIN, 9, SL_LEVEL_DISK);
    lease(PLAIN, 5);
    die(false);
    lease(PLAIN, 6);
    end(PLAIN, 5);
    FAILS("stale");
}

Test(simulate_queue_check, finds_an_end_of_a_lease_that_is_long_over)
{
    put_and_tell(PLAIN, 9, SL_LEVEL_DISK);
    lease(PLAIN, 5);
    pass(SL_SIMQ_LEASE_NS / SL_MILLI_NS + 200);
    end(PLAIN, 5);
    FAILS("stale");
}

Test(simulate_queue_check, finds_two_ends_that_count)
{
    put_and_tell(PLAIN, 9, SL_LEVEL_DISK);
    lease(PLAIN, 5);
    end(PLAIN, 5);
    end(PLAIN, 5);
    FAILS("twice");
}

Test(simulate_queue_check, finds_two_holders)
{
    put_and_tell(PLAIN, 9, SL_LEVEL_DISK);
    lease(PLAIN, 5);
    pass(SL_SIMQ_LEASE_NS / SL_MILLI_NS);
    lease(PLAIN, 6); /* The first has lapsed by now. */
    HOLDS();
    lease(PLAIN, 7);
    FAILS("held");
}

Test(simulate_queue_check, finds_a_task_that_comes_early)
{
    put_and_tell(LATE_TASK, 9, SL_LEVEL_DISK);
    pass(499);
    lease(LATE_TASK, 5);
    FAILS("early");
}

Test(simulate_queue_check, finds_two_tasks_of_one_idempotency_key)
{
    put_and_tell(KEY_TASK, 9, SL_LEVEL_DISK);
    die(true);
    (void)put(KEY_TASK, 10);
    FAILS("key");
}

Test(simulate_queue_check, finds_a_repeat_that_is_told_of_another_task)
{
    put_and_tell(KEY_TASK, 9, SL_LEVEL_DISK);
    struct sl_put_result again = {.task_id = 10, .is_existing = true};
    sl_simq_saw_put(&check, at(), KEY_TASK, &again);
    FAILS("key");
}

Test(simulate_queue_check, finds_more_that_run_with_a_key_than_may)
{
    put_and_tell(GATED, 9, SL_LEVEL_DISK);
    put_and_tell(GATED + 1, 10, SL_LEVEL_DISK);
    lease(GATED, 5);
    HOLDS();
    lease(GATED + 1, 6);
    FAILS("limit");
}

Test(simulate_queue_check, finds_a_lease_of_a_queue_that_is_paused)
{
    put_and_tell(PLAIN, 9, SL_LEVEL_DISK);
    sl_simq_saw_mode(&check, at(), 0, true);
    sl_simq_told_mode(&check, 0, true);
    die(true);
    lease(PLAIN, 5);
    FAILS("paused");
}

Test(simulate_queue_check, finds_a_task_that_waits_beside_a_worker)
{
    sl_simq_saw_want(&check, at(), 7, 0, (struct sl_simq_wish){1, 0});
    put_and_tell(PLAIN, 9, SL_LEVEL_DISK);
    pass(SL_SIMQ_IDLE_NS / SL_MILLI_NS);
    sl_simq_check_waits(&check, at());
    HOLDS();
    pass(1);
    sl_simq_check_waits(&check, at());
    FAILS("idle");
}

Test(simulate_queue_check, finds_a_task_that_has_no_end_at_rest)
{
    put_and_tell(PLAIN, 9, SL_LEVEL_DISK);
    rest(PLAIN, SL_STATE_QUEUED);
    FAILS("stuck");
}

Test(simulate_queue_check, finds_a_quarantine_without_crashes)
{
    put_and_tell(PLAIN, 9, SL_LEVEL_DISK);
    lease(PLAIN, 5);
    sl_simq_saw_back(&check, at(), 7, true);
    rest(PLAIN, SL_STATE_QUARANTINED);
    FAILS("quarantined after 1");
}
