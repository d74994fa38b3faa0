/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate_turns.h"

#include <criterion/criterion.h>

#include "queue/share.h"
#include "runtime/random.h"

#define A 4 /* Lanes of one class. */
#define B 8
#define C 5 /* And of another. */

static struct sl_turns turns;
static struct sl_turns_fault fault;

static void
finish(void)
{
    sl_turns_deinit(&turns);
}

TestSuite(simulate_turns, .fini = finish);

static bool
lease(uint32_t lane, uint64_t *ret_charge_ns)
{
    return sl_turns_lease(&turns, lane, true, ret_charge_ns, &fault);
}

/* A task is leased and ends; whether it was its lane's turn. */
static bool
serve(uint32_t lane, uint64_t served_ns)
{
    uint64_t charge_ns;
    bool is_turn = lease(lane, &charge_ns);
    sl_turns_end(&turns, lane, charge_ns, served_ns);
    return is_turn;
}

static void
both_wait(void)
{
    sl_turns_wait(&turns, A, 1000);
    sl_turns_wait(&turns, B, 1000);
    cr_assert(serve(A, SL_MILLI_NS));
    cr_assert(serve(B, SL_MILLI_NS));
}

Test(simulate_turns, whoever_had_more_is_served_out_of_turn)
{
    both_wait();
    cr_assert(serve(A, SL_SECOND_NS));
    cr_assert_not(serve(A, SL_MILLI_NS));
    cr_assert(fault.lane == A && fault.waiting == B);
    cr_assert_geq(fault.over_ns, 900 * SL_MILLI_NS);
}

Test(simulate_turns, one_may_have_a_hundred_tasks_for_anothers_one)
{
    both_wait();
    cr_assert(serve(A, 100 * SL_MILLI_NS));
    for (int i = 0; i < 100; i++)
        cr_assert(serve(B, SL_MILLI_NS));
    cr_assert(serve(A, 100 * SL_MILLI_NS));
    cr_assert(serve(B, SL_MILLI_NS));
}

Test(simulate_turns, others_of_its_class_alone_are_compared_and_only_while_they_wait)
{
    sl_turns_wait(&turns, A, 10);
    sl_turns_wait(&turns, B, 1);
    sl_turns_wait(&turns, C, 10);
    cr_assert(serve(C, 100 * SL_SECOND_NS));
    cr_assert(serve(C, 100 * SL_SECOND_NS));
    cr_assert(serve(B, SL_MILLI_NS));
    cr_assert(serve(A, 100 * SL_SECOND_NS));
    cr_assert(serve(A, 100 * SL_SECOND_NS), "nobody else waits");
}

Test(simulate_turns, what_came_back_was_no_service_and_what_nobody_told_may_have_been_none)
{
    both_wait();
    for (int i = 0; i < 100; i++) {
        uint64_t charge_ns;
        cr_assert(lease(A, &charge_ns));
        if (i % 2 == 0)
            sl_turns_back(&turns, A, charge_ns);
        else
            sl_turns_end(&turns, A, charge_ns, 0);
    }
}

/* One that never had anything begins with those that are served, and does not wait for ever. */
Test(simulate_turns, a_newcomer_that_is_never_served_is_missed)
{
    sl_turns_wait(&turns, A, 1000);
    for (int i = 0; i < 10; i++)
        cr_assert(serve(A, SL_SECOND_NS));
    sl_turns_wait(&turns, B, 1);
    bool is_turn = true;
    for (int i = 0; is_turn && i < 5; i++)
        is_turn = serve(A, SL_SECOND_NS);
    cr_assert_not(is_turn);
}

/* What the queue truly decides with passes, whatever tasks cost and however many are under way. */
Test(simulate_turns, finds_nothing_where_shares_are_kept)
{
    enum { LANES = 6, UNDER = 20 };
    struct under {
        uint32_t lane;
        uint64_t charged_ns, charge_ns;
    } under[UNDER];
    struct sl_share *share = sl_share_create();
    struct sl_random random;
    uint64_t left[LANES] = {0};
    uint32_t count = 0;
    sl_random_seed(&random, 3);
    for (uint32_t i = 0; i < LANES; i++)
        cr_assert_eq(sl_share_open(share, i, 1), SL_OK);
    for (int op = 0; op < 200000; op++) {
        uint32_t lane = (uint32_t)sl_random_below(&random, LANES);
        if (left[lane] == 0 && sl_random_below(&random, 50) == 0) {
            left[lane] = 1 + sl_random_below(&random, 100);
            sl_share_join(share, lane);
            sl_turns_wait(&turns, lane * 4, left[lane]);
        }
        lane = sl_share_next(share);
        if (lane != SL_NONE && count < UNDER && sl_random_below(&random, 2) == 0) {
            struct under *u = &under[count++];
            *u = (struct under){.lane = lane, .charged_ns = sl_share_grant(share, lane)};
            cr_assert(lease(lane * 4, &u->charge_ns), "%u before %u by %zu", fault.lane / 4,
                      fault.waiting / 4, (size_t)fault.over_ns);
            if (--left[lane] == 0)
                sl_share_leave(share, lane);
        } else if (count > 0) {
            uint32_t at = (uint32_t)sl_random_below(&random, count);
            struct under u = under[at];
            uint64_t cost_ns = 1 + sl_random_below(&random, 2 * SL_MILLI_NS);
            cost_ns *= u.lane % 2 == 0 ? 100 : 1;
            under[at] = under[--count];
            if (sl_random_below(&random, 20) == 0) {
                sl_share_refund(share, u.lane, u.charged_ns);
                sl_turns_back(&turns, u.lane * 4, u.charge_ns);
            } else {
                sl_share_settle(share, u.lane, u.charged_ns, cost_ns);
                sl_turns_end(&turns, u.lane * 4, u.charge_ns, cost_ns);
            }
        }
    }
    sl_share_destroy(&share);
}
