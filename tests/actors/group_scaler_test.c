/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/group_scaler.h"

#include <criterion/criterion.h>

#include "runtime/random.h"

#define IDLE_NS  (10 * SL_SECOND_NS)
#define DRAIN_NS (5 * SL_SECOND_NS)

static struct sl_scaler s;
static uint64_t now_ns = SL_SECOND_NS;
static uint32_t number_last;

static void
begin(uint64_t min, uint64_t max)
{
    sl_scaler_init(&s, &(struct sl_scaler_options){.group = "cpu",
                                                   .min = min,
                                                   .max = max,
                                                   .idle_ns = IDLE_NS,
                                                   .drain_ns = DRAIN_NS,
                                                   .node = {.places = 4}});
}

static void
finish(void)
{
    sl_scaler_deinit(&s);
}

TestSuite(group_scaler, .fini = finish);

static void
tasks(uint64_t count)
{
    sl_scaler_demand(&s, &(struct sl_pack_kind){.count = count}, 1);
}

/* Do all that is ordered; returns how many of a kind there were. */
static uint32_t
run(enum sl_scaler_what what)
{
    struct sl_scaler_order order;
    uint32_t count = 0;
    while (sl_scaler_next(&s, now_ns, &order)) {
        count += order.what == what;
        if (order.what == SL_SCALER_START)
            sl_scaler_started(&s, ++number_last, now_ns);
        cr_assert_leq(s.count, s.options.max);
    }
    return count;
}

static void
join_all(void)
{
    for (uint32_t i = 0; i < s.count; i++)
        sl_scaler_joined(&s, s.nodes[i].number, now_ns);
}

static void
end_draining(void)
{
    for (uint32_t i = s.count; i-- > 0;) {
        if (s.nodes[i].state == SL_SCALER_DRAINING)
            sl_scaler_gone(&s, s.nodes[i].number, now_ns);
    }
}

static void
expect_reason(const char *text)
{
    struct sl_buf reason = {0};
    sl_scaler_reason(&s, now_ns, &reason);
    cr_expect_str_eq(sl_buf_text(&reason), text);
    sl_buf_deinit(&reason);
}

Test(group_scaler, the_first_task_starts_a_node_at_once_and_idle_ends_it)
{
    begin(0, 4);
    cr_expect_eq(run(SL_SCALER_START), 0);
    cr_expect_eq(sl_scaler_wake_ns(&s, now_ns), UINT64_MAX, "an idle group is not looked at");
    expect_reason("at zero: there is no work, and the first task starts a node");
    tasks(1);
    cr_expect_eq(run(SL_SCALER_START), 1);
    expect_reason("0 of 1 nodes are there, the others are starting");
    join_all();
    expect_reason("");
    tasks(0);
    cr_expect_eq(run(SL_SCALER_DRAIN), 0);
    cr_expect_eq(sl_scaler_wake_ns(&s, now_ns), now_ns + IDLE_NS);
    now_ns += IDLE_NS - 1;
    cr_expect_eq(run(SL_SCALER_DRAIN), 0);
    now_ns++;
    cr_expect_eq(run(SL_SCALER_DRAIN), 1);
    end_draining();
    cr_expect_eq(s.count, 0);
    cr_expect_eq(sl_scaler_wake_ns(&s, now_ns), UINT64_MAX);
}

Test(group_scaler, work_within_the_idle_delay_keeps_what_it_needed)
{
    begin(0, 4);
    tasks(16);
    cr_expect_eq(run(SL_SCALER_START), 4);
    join_all();
    tasks(0);
    (void)run(SL_SCALER_DRAIN);
    now_ns += IDLE_NS / 2;
    tasks(8);
    (void)run(SL_SCALER_DRAIN);
    tasks(0);
    (void)run(SL_SCALER_DRAIN);
    now_ns += IDLE_NS / 2;
    cr_expect_eq(run(SL_SCALER_DRAIN), 2, "two were needed within it");
    end_draining();
    now_ns += IDLE_NS;
    (void)run(SL_SCALER_DRAIN);
    now_ns += IDLE_NS;
    (void)run(SL_SCALER_DRAIN);
    end_draining();
    cr_expect_eq(s.count, 0);
}

Test(group_scaler, never_above_max_and_says_so)
{
    begin(1, 4);
    tasks(40);
    cr_expect_eq(run(SL_SCALER_START), 4);
    join_all();
    expect_reason("no capacity: 40 tasks need 10 nodes, limit 4 reached");
    cr_expect_eq(sl_scaler_view(&s, now_ns).condition, SL_SCALER_LIMIT);
}

Test(group_scaler, nodes_of_others_count_and_are_left_alone)
{
    begin(0, 2);
    sl_scaler_joined(&s, 70000, now_ns);
    tasks(8);
    cr_expect_eq(run(SL_SCALER_START), 1);
    join_all();
    tasks(0);
    (void)run(SL_SCALER_DRAIN);
    now_ns += IDLE_NS;
    struct sl_scaler_order order;
    cr_assert(sl_scaler_next(&s, now_ns, &order));
    cr_expect_eq(order.what, SL_SCALER_DRAIN);
    cr_expect_eq(order.number, number_last);
    cr_expect_not(sl_scaler_next(&s, now_ns, &order));
}

Test(group_scaler, a_node_that_drains_counts_until_it_is_gone)
{
    begin(0, 1);
    tasks(1);
    (void)run(SL_SCALER_START);
    join_all();
    tasks(0);
    (void)run(SL_SCALER_DRAIN);
    now_ns += IDLE_NS;
    cr_expect_eq(run(SL_SCALER_DRAIN), 1);
    tasks(1);
    cr_expect_eq(run(SL_SCALER_START), 0);
    end_draining();
    cr_expect_eq(run(SL_SCALER_START), 1);
}

Test(group_scaler, one_that_drains_for_too_long_is_killed)
{
    begin(0, 1);
    tasks(1);
    (void)run(SL_SCALER_START);
    join_all();
    cr_assert_eq(sl_scaler_set(&s, 0), SL_OK);
    cr_expect_eq(run(SL_SCALER_DRAIN), 1);
    cr_expect_eq(sl_scaler_wake_ns(&s, now_ns), now_ns + DRAIN_NS);
    now_ns += DRAIN_NS;
    cr_expect_eq(run(SL_SCALER_KILL), 1);
    cr_expect_eq(s.count, 0);
}

Test(group_scaler, starts_that_fail_are_tried_again_after_pauses_that_grow)
{
    begin(0, 1);
    tasks(1);
    uint32_t starts = 0;
    for (uint64_t until_ns = now_ns + 60 * SL_SECOND_NS; now_ns < until_ns;) {
        starts += run(SL_SCALER_START);
        for (uint32_t i = s.count; i-- > 0;)
            sl_scaler_gone(&s, s.nodes[i].number, now_ns);
        cr_assert_eq(run(SL_SCALER_START), 0, "not at once");
        now_ns = sl_scaler_wake_ns(&s, now_ns);
        cr_assert_neq(now_ns, UINT64_MAX, "it is not given up");
    }
    cr_expect_leq(starts, 15);
    cr_expect_geq(starts, 8);
    now_ns -= 3 * SL_MILLI_NS;
    cr_expect_eq(sl_scaler_view(&s, now_ns).condition, SL_SCALER_BACK_OFF);
    struct sl_buf reason = {0};
    sl_scaler_reason(&s, now_ns, &reason);
    cr_expect_not_null(strstr(sl_buf_text(&reason), "starts failed: the next is tried in 4 ms"));
    sl_buf_deinit(&reason);
}

Test(group_scaler, one_that_never_joins_is_killed_and_counts_as_failed)
{
    begin(0, 1);
    tasks(1);
    cr_expect_eq(run(SL_SCALER_START), 1);
    cr_expect_eq(sl_scaler_wake_ns(&s, now_ns), now_ns + SL_SCALER_JOIN_NS);
    now_ns += SL_SCALER_JOIN_NS;
    cr_expect_eq(run(SL_SCALER_KILL), 1);
    cr_expect_eq(s.count, 0);
    cr_expect_eq(s.failures, 1);
    now_ns = sl_scaler_wake_ns(&s, now_ns);
    cr_expect_eq(run(SL_SCALER_START), 1);
    join_all();
    now_ns += SL_SCALER_PROVEN_NS;
    sl_scaler_busy(&s, number_last, (struct sl_scaler_load){.tasks = 1}, now_ns);
    cr_expect_eq(s.failures, 0);
}

Test(group_scaler, by_hand_is_at_once_and_within_max)
{
    begin(1, 3);
    (void)run(SL_SCALER_START);
    join_all();
    cr_expect_eq(sl_scaler_set(&s, 4), SL_EINVAL);
    cr_assert_eq(sl_scaler_set(&s, 3), SL_OK);
    cr_expect_eq(run(SL_SCALER_START), 2);
    join_all();
    cr_assert_eq(sl_scaler_set(&s, 0), SL_OK);
    cr_expect_eq(run(SL_SCALER_DRAIN), 3, "below min, too");
    end_draining();
    tasks(5);
    cr_expect_eq(run(SL_SCALER_START), 0);
    expect_reason("set to 0 by hand, until the next apply or restart: 5 tasks need 2 nodes");
    sl_scaler_unset(&s);
    cr_expect_eq(run(SL_SCALER_START), 2);
}

Test(group_scaler, hardware_that_is_not_there_is_not_started)
{
    sl_scaler_init(&s, &(struct sl_scaler_options){.group = "gpu",
                                                   .max = 8,
                                                   .idle_ns = IDLE_NS,
                                                   .node = {.places = 4},
                                                   .no_hardware = "this machine has no GPU"});
    tasks(1);
    cr_expect_eq(run(SL_SCALER_START), 0);
    expect_reason("no such hardware: this machine has no GPU");
    cr_expect_eq(sl_scaler_wake_ns(&s, now_ns), UINT64_MAX);
}

Test(group_scaler, a_task_that_fits_on_no_node_is_said)
{
    begin(0, 8);
    sl_scaler_demand(&s, &(struct sl_pack_kind){{.gpus_milli = 1000}, 3}, 1);
    cr_expect_eq(run(SL_SCALER_START), 0);
    expect_reason("no such hardware: 3 tasks need more than a node of the group cpu has");
}

Test(group_scaler, calls_want_a_node_until_the_idle_delay_is_over)
{
    begin(0, 2);
    sl_scaler_calls(&s, 0, now_ns);
    cr_expect_eq(run(SL_SCALER_START), 1);
    join_all();
    now_ns += IDLE_NS - 1;
    sl_scaler_calls(&s, 0, now_ns);
    cr_expect_eq(run(SL_SCALER_DRAIN), 0);
    now_ns = sl_scaler_wake_ns(&s, now_ns);
    (void)run(SL_SCALER_DRAIN);
    now_ns = sl_scaler_wake_ns(&s, now_ns);
    cr_expect_eq(run(SL_SCALER_DRAIN), 1);
}

Test(group_scaler, a_call_that_is_under_way_keeps_its_node_also_without_an_idle_delay)
{
    begin(0, 2);
    s.options.idle_ns = 0;
    sl_scaler_calls(&s, now_ns + SL_SECOND_NS, now_ns);
    cr_expect_eq(run(SL_SCALER_START), 1, "the call that waits for it is not there yet");
    now_ns += SL_SECOND_NS / 2;
    join_all();
    cr_expect_eq(run(SL_SCALER_DRAIN), 0);
    sl_scaler_calls(&s, now_ns + SL_SECOND_NS, now_ns);
    now_ns += SL_SECOND_NS - 1;
    cr_expect_eq(run(SL_SCALER_DRAIN), 0);
    cr_expect_eq(sl_scaler_wake_ns(&s, now_ns), now_ns + 1, "who said so may be gone");
    sl_scaler_calls(&s, 0, now_ns);
    cr_expect_eq(run(SL_SCALER_DRAIN), 1, "it has ended");
}

Test(group_scaler, what_is_too_many_goes_but_not_with_calls)
{
    begin(0, 2);
    tasks(8);
    (void)run(SL_SCALER_START);
    join_all();
    tasks(0);
    for (uint32_t i = 0; i < 2; i++)
        sl_scaler_busy(&s, s.nodes[i].number, (struct sl_scaler_load){.calls = 1}, now_ns);
    for (uint32_t i = 0; i < 5; i++, now_ns += IDLE_NS)
        cr_expect_eq(run(SL_SCALER_DRAIN), 0, "each is waited for");
    uint32_t number = s.nodes[0].number;
    sl_scaler_busy(&s, number, (struct sl_scaler_load){.tasks = 3}, now_ns);
    (void)run(SL_SCALER_DRAIN);
    now_ns += IDLE_NS;
    cr_expect_eq(run(SL_SCALER_DRAIN), 1);
    cr_expect_eq(s.nodes[0].state, SL_SCALER_DRAINING, "the one that has none");
    cr_assert_eq(sl_scaler_set(&s, 0), SL_OK);
    cr_expect_eq(run(SL_SCALER_DRAIN), 1, "by hand it goes with what it has");
}

Test(group_scaler, tells_when_a_node_may_be_there_once_it_has_seen_one_start)
{
    begin(0, 2);
    tasks(1);
    (void)run(SL_SCALER_START);
    cr_expect_eq(sl_scaler_view(&s, now_ns).start_ms, UINT64_MAX);
    now_ns += 8 * SL_MILLI_NS;
    join_all();
    tasks(8);
    (void)run(SL_SCALER_START);
    now_ns += 3 * SL_MILLI_NS;
    cr_expect_eq(sl_scaler_view(&s, now_ns).start_ms, 5);
}

/* ---- random histories ---------------------------------------------------------------------- */

struct history {
    struct sl_random random;
    uint64_t tasks;
    uint64_t ends_ns[64]; /* When a draining node is gone. */
};

static uint64_t
below(struct history *h, uint64_t limit)
{
    return sl_random_below(&h->random, limit);
}

static void
happen(struct history *h)
{
    uint32_t number = s.count == 0 ? 0 : s.nodes[below(h, s.count)].number;
    switch (below(h, 9)) {
    case 0:
        h->tasks = below(h, 3) == 0 ? 0 : below(h, 60);
        tasks(h->tasks);
        break;
    case 1:
        sl_scaler_gone(&s, number, now_ns); /* It died. */
        break;
    case 2:
        sl_scaler_calls(&s, below(h, 2) * (now_ns + below(h, 5 * SL_SECOND_NS)), now_ns);
        break;
    case 3:
        sl_scaler_busy(
            &s, number,
            (struct sl_scaler_load){.tasks = below(h, 5), .calls = below(h, 3) == 0 ? 1 : 0},
            now_ns);
        break;
    case 4:
        if (below(h, 4) != 0 || sl_scaler_set(&s, below(h, s.options.max + 2)) != SL_OK)
            sl_scaler_unset(&s);
        break;
    case 5:
        if (s.count < s.options.max) /* The head refuses one more. */
            sl_scaler_joined(&s, 100000 + ++number_last, now_ns);
        break;
    case 6:
        end_draining();
        break;
    default:
        sl_scaler_joined(&s, number, now_ns);
    }
}

/* Whatever is wanted and may be had is ordered, or there is a time at which it will be. */
static void
check_orders(void)
{
    struct sl_scaler_order order;
    uint64_t drained = 0;
    while (sl_scaler_next(&s, now_ns, &order)) {
        if (order.what == SL_SCALER_START)
            sl_scaler_started(&s, ++number_last, now_ns);
        drained += order.what == SL_SCALER_DRAIN;
        cr_assert_leq(s.count, s.options.max, "never above max");
    }
    struct sl_scaler_view v = sl_scaler_view(&s, now_ns);
    uint64_t live = v.ready + v.starting;
    cr_assert(drained == 0 || live >= v.wanted, "drained below what is wanted");
    cr_assert(drained == 0 || s.is_manual || live >= s.options.min, "drained below min");
    uint64_t wake_ns = sl_scaler_wake_ns(&s, now_ns);
    cr_assert(wake_ns > now_ns, "a time that has come means work");
    if (live < v.wanted)
        cr_assert(wake_ns != UINT64_MAX || v.draining > 0, "a lost wake-up");
    if (v.condition != SL_SCALER_OK) {
        struct sl_buf reason = {0};
        sl_scaler_reason(&s, now_ns, &reason);
        cr_assert_gt(reason.size, 0);
        sl_buf_deinit(&reason);
    }
}

/* Left alone, the group comes to where it should be. Nodes say so when their calls have ended. */
static void
settle(uint64_t wanted_tasks)
{
    sl_scaler_unset(&s);
    for (uint32_t i = 0; i < s.count; i++)
        sl_scaler_busy(&s, s.nodes[i].number, (struct sl_scaler_load){0}, now_ns);
    tasks(wanted_tasks);
    for (int i = 0; i < 400; i++) {
        end_draining();
        check_orders();
        join_all();
        uint64_t wake_ns = sl_scaler_wake_ns(&s, now_ns);
        if (wake_ns == UINT64_MAX)
            break;
        now_ns = wake_ns;
    }
    end_draining();
}

static uint64_t
count_ours(void)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < s.count; i++)
        count += s.nodes[i].is_ours;
    return count;
}

Test(group_scaler, keeps_its_promises_in_any_history)
{
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct history h = {.tasks = 0};
        sl_random_seed(&h.random, seed);
        uint64_t max = 1 + below(&h, 9);
        begin(below(&h, max + 1), max);
        for (int step = 0; step < 300; step++) {
            now_ns += below(&h, 3) == 0 ? below(&h, 2 * IDLE_NS) : below(&h, SL_SECOND_NS);
            happen(&h);
            check_orders();
        }
        settle(1000);
        cr_assert_eq(s.count, max, "seed %lu: all that may be had", (unsigned long)seed);
        settle(0);
        cr_assert(s.count == SL_MAX(s.options.min, s.count - count_ours()),
                  "seed %lu: back to its least", (unsigned long)seed);
        sl_scaler_deinit(&s);
    }
}

Test(group_scaler, other_limits_hold_at_once_and_end_what_was_set_by_hand)
{
    begin(0, 2);
    cr_assert_eq(sl_scaler_set(&s, 2), SL_OK);
    cr_expect_eq(run(SL_SCALER_START), 2);
    join_all();
    struct sl_scaler_options options = s.options;
    options.min = 3;
    options.max = 4;
    sl_scaler_reset(&s, &options);
    cr_expect_not(s.is_manual);
    cr_expect_eq(run(SL_SCALER_START), 1);
    join_all();
    options.min = 0;
    options.max = 1;
    sl_scaler_reset(&s, &options);
    tasks(40);
    struct sl_scaler_order order;
    uint32_t drained = 0;
    while (sl_scaler_next(&s, now_ns, &order))
        drained += order.what == SL_SCALER_DRAIN;
    cr_expect_eq(drained, 2, "at once: those above the limit");
    end_draining();
    cr_expect_eq(s.count, 1);
    expect_reason("no capacity: 40 tasks need 10 nodes, limit 1 reached");
}
