/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate_fault.h"

#include <criterion/criterion.h>
#include <string.h>

#include "runtime/time.h"

#define UNTIL_NS (600 * SL_SECOND_NS)

Test(simulate_plan, names_are_read_and_others_are_not)
{
    uint32_t faults;
    cr_assert(sl_fault_parse("all", &faults));
    cr_assert_eq(faults, SL_FAULT_ALL);
    cr_assert(sl_fault_parse("none", &faults));
    cr_assert_eq(faults, 0);
    cr_assert(sl_fault_parse("flip,one-way", &faults));
    cr_assert_eq(faults, SL_FAULT_FLIP | SL_FAULT_ONEWAY);
    cr_assert_not(sl_fault_parse("", &faults));
    cr_assert_not(sl_fault_parse("flip,", &faults));
    cr_assert_not(sl_fault_parse("flip,all", &faults));
    cr_assert_not(sl_fault_parse("fli", &faults));
}

Test(simulate_plan, equal_seeds_give_equal_plans_in_order)
{
    struct sl_fault_plan one, two, other;
    sl_fault_plan_init(&one, 8, SL_FAULT_ALL, UNTIL_NS);
    sl_fault_plan_init(&two, 8, SL_FAULT_ALL, UNTIL_NS);
    sl_fault_plan_init(&other, 12, SL_FAULT_ALL, UNTIL_NS);
    cr_assert_gt(one.count, 100);
    cr_assert_eq(one.count, two.count);
    for (uint32_t i = 0; i < one.count; i++) {
        cr_assert_eq(one.events[i].draw, two.events[i].draw);
        cr_assert_lt(one.events[i].at_ns, UNTIL_NS);
        cr_assert(i == 0 || one.events[i].at_ns >= one.events[i - 1].at_ns);
    }
    cr_assert_neq(one.events[0].draw, other.events[0].draw);
    sl_fault_plan_deinit(&one);
    sl_fault_plan_deinit(&two);
    sl_fault_plan_deinit(&other);
}

Test(simulate_plan, leaving_out_a_kind_changes_nothing_about_another)
{
    struct sl_fault_plan both, one;
    uint32_t at = 0;
    sl_fault_plan_init(&both, 3, SL_FAULT_NODE | SL_FAULT_HEAD, UNTIL_NS);
    sl_fault_plan_init(&one, 3, SL_FAULT_NODE, UNTIL_NS);
    for (uint32_t i = 0; i < both.count; i++) {
        if (both.events[i].number != SL_FAULT_NUMBER_NODE)
            continue;
        cr_assert_eq(both.events[i].at_ns, one.events[at].at_ns);
        cr_assert_eq(both.events[i].draw, one.events[at++].draw);
    }
    cr_assert_eq(at, one.count);
    cr_assert_gt(both.count, one.count);
    sl_fault_plan_deinit(&both);
    sl_fault_plan_deinit(&one);
}

/* Each kind strikes in some seeds, and is left out in others. */
Test(simulate_plan, seeds_take_some_of_all_kinds)
{
    uint32_t seeds[SL_FAULTS_COUNT] = {0};
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct sl_fault_plan plan;
        uint32_t kinds = 0;
        sl_fault_plan_init(&plan, seed, SL_FAULT_ALL, 10 * UNTIL_NS);
        for (uint32_t i = 0; i < plan.count; i++)
            kinds |= UINT32_C(1) << plan.events[i].number;
        for (uint32_t i = 0; i < SL_FAULTS_COUNT; i++)
            seeds[i] += kinds >> i & 1;
        cr_assert(seed % 4 != 0 || kinds == SL_FAULT_ALL);
        sl_fault_plan_deinit(&plan);
    }
    for (uint32_t i = 0; i < SL_FAULTS_COUNT; i++)
        cr_assert(seeds[i] > 30 && seeds[i] < 90, "%s: %u", sl_fault_kinds[i].name, seeds[i]);
}
