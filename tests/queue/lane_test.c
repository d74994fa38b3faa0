/* SPDX-License-Identifier: Apache-2.0 */
/* What a lease costs its lane: the time that was told, nothing, or what was expected. */
#include "queue/apart.h"
#include "queue/look.h"

#include <criterion/criterion.h>

#include "tests/queue/paper_log.h"

#define A 1 /* Two tenants, each with a job of the same class. */
#define B 2
#define C 3

static struct sl_queue *q;
static struct sl_paper_log paper;
static struct sl_buf event;
static uint64_t now_ns;

static void
add(uint64_t tenant, int tasks)
{
    sl_queue_event_enqueue(
        &event, &(struct sl_enqueue){.job = {.bytes = {(uint8_t)tenant}}, .created_ms = 1});
    for (int i = 0; i < tasks; i++)
        sl_queue_event_task(&event, sl_slice_str("p"));
    sl_paper_apply(&paper, q, tenant, sl_buf_slice(&event));
    sl_buf_clear(&event);
}

static void
setup(void)
{
    q = sl_queue_create();
    sl_queue_boot(q, 1);
    add(A, 1000);
    add(B, 1000);
}

static void
teardown(void)
{
    sl_queue_destroy(&q);
    sl_buf_deinit(&event);
    sl_paper_deinit(&paper);
}

TestSuite(lane, .init = setup, .fini = teardown);

static struct sl_lease
lease(void)
{
    struct sl_lease got;
    struct sl_lease_want want = {
        .holder = 7, .now_ns = ++now_ns, .now_ms = 2, .duration_ns = SL_SECOND_NS};
    cr_assert(sl_queue_lease(q, &want, &got));
    return got;
}

static void
end(struct sl_lease of)
{
    sl_queue_event_done(&event, &(struct sl_task_end){.task_id = of.task_id});
    sl_paper_apply(&paper, q, of.scope.id, sl_buf_slice(&event));
    sl_buf_clear(&event);
}

static void
end_after(struct sl_lease of, uint64_t served_ns)
{
    cr_assert_eq(sl_queue_served(q, of.task_id, of.epoch, served_ns), SL_OK);
    end(of);
}

/* So many leases that each take a millisecond; returns how many of them are A's. */
static uint32_t
turns_of_a(uint32_t count)
{
    uint32_t turns = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_lease next = lease();
        turns += next.scope.id == A;
        end_after(next, SL_MILLI_NS);
    }
    return turns;
}

Test(lane, who_was_served_100_times_as_long_waits_100_turns)
{
    (void)turns_of_a(20);
    struct sl_lease next = lease();
    while (next.scope.id != A) {
        end_after(next, SL_MILLI_NS);
        next = lease();
    }
    end_after(next, 100 * SL_MILLI_NS);
    cr_assert_eq(turns_of_a(98), 0);
    cr_assert_geq(turns_of_a(40), 10);
}

Test(lane, what_comes_back_costs_nothing_to_speak_of)
{
    (void)turns_of_a(20);
    for (int i = 0; i < 100; i++) {
        struct sl_lease next = lease();
        cr_assert_eq(sl_queue_release(q, next.task_id, next.epoch), SL_OK);
    }
    /* Both had some of these; were one charged, it would be out for dozens of turns. */
    uint32_t turns = turns_of_a(20);
    cr_assert(turns >= 8 && turns <= 12, "%u", turns);
}

Test(lane, a_holder_that_is_gone_costs_nobody_a_turn)
{
    (void)turns_of_a(20);
    for (int i = 0; i < 99; i++)
        (void)lease();
    cr_assert_eq(sl_queue_release_holder(q, 7), 99);
    uint32_t turns = turns_of_a(20);
    cr_assert(turns >= 8 && turns <= 12, "%u", turns);
}

Test(lane, one_whose_tasks_are_over_before_they_run_leaves_others_their_turns)
{
    (void)turns_of_a(20);
    uint32_t ended = 0, turns_of_b = 0;
    while (turns_of_b < 3) {
        struct sl_lease next = lease();
        turns_of_b += next.scope.id == B;
        ended += next.scope.id == A;
        end_after(next, next.scope.id == A ? 0 : SL_MILLI_NS);
    }
    cr_assert(ended >= 10 && ended <= 100, "%u", ended);
}

Test(lane, a_lease_that_lapsed_stays_charged_what_was_expected)
{
    (void)turns_of_a(20);
    uint64_t task;
    uint32_t leased_of_a = 0;
    for (int i = 0; i < 20; i++) {
        struct sl_lease next = lease();
        if (next.scope.id != A) {
            end_after(next, SL_MILLI_NS);
            continue;
        }
        leased_of_a++;
        now_ns += 2 * SL_SECOND_NS;
        cr_assert(sl_queue_expire(q, now_ns, &task));
        cr_assert_eq(task, next.task_id);
    }
    cr_assert(leased_of_a >= 8 && leased_of_a <= 12, "%u", leased_of_a);
}

Test(lane, told_twice_the_most_counts_and_a_stale_word_does_not)
{
    (void)turns_of_a(20);
    struct sl_lease next = lease();
    cr_assert_eq(sl_queue_served(q, next.task_id, next.epoch, 50 * SL_MILLI_NS), SL_OK);
    cr_assert_eq(sl_queue_served(q, next.task_id, next.epoch + 1, SL_SECOND_NS), SL_ESTALE);
    end_after(next, 0);
    uint32_t turns = turns_of_a(45);
    cr_assert_eq(turns, next.scope.id == A ? 0 : 45);
}

static bool
lease_of(uint64_t tenant, struct sl_lease *ret_lease)
{
    struct sl_lease_want want = {.scope = {tenant},
                                 .holder = 8,
                                 .now_ns = ++now_ns,
                                 .now_ms = 2,
                                 .duration_ns = SL_SECOND_NS};
    return sl_queue_lease(q, &want, ret_lease);
}

Test(lane, one_that_is_apart_is_handed_out_to_who_asks_for_it_alone)
{
    struct sl_lease got;
    sl_queue_set_apart(q, (struct sl_scope){A}, true);
    sl_queue_set_apart(q, (struct sl_scope){A}, true);
    sl_queue_set_apart(q, (struct sl_scope){C}, true);
    cr_expect_eq(turns_of_a(100), 0);
    cr_expect_eq(sl_queue_leasable(q, SL_CLASS_CPU, now_ns, 2), 900, "B's");
    cr_assert(lease_of(A, &got));
    cr_expect_eq(got.scope.id, A);
    cr_assert_eq(sl_queue_release(q, got.task_id, got.epoch), SL_OK);
    cr_expect_eq(turns_of_a(10), 0, "what comes back is apart as well");
    cr_expect_not(lease_of(C, &got), "it has no task yet");
    add(C, 5);
    cr_expect_eq(lease().scope.id, B, "it was said before there was any");
    cr_assert(lease_of(C, &got));
    cr_expect_eq(got.scope.id, C);
    sl_queue_set_apart(q, (struct sl_scope){A}, false);
    cr_expect_not(sl_queue_is_apart(q, (struct sl_scope){A}));
    cr_expect(sl_queue_is_apart(q, (struct sl_scope){C}));
    cr_expect_geq(turns_of_a(20), 5);
}
