/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "runtime/report.h"
#include "tests/rounds.h"

#define SEEDS      50
#define SEED_FIRST 1

static void
quiet(void)
{
    sl_report_level_set(SL_REPORT_ERROR);
}

TestSuite(simulate, .init = quiet, .timeout = 300);

static struct sl_simulate_result
run(uint64_t seed, uint32_t faults, enum sl_simulate_plant plant)
{
    struct sl_simulate_options options = {.seed = seed, .faults = faults, .plant = plant};
    struct sl_simulate_result result;
    sl_simulate(&options, &result);
    sl_simulate_result_deinit(&result);
    return result;
}

Test(simulate, everything_ends_where_nothing_goes_wrong)
{
    struct sl_simulate_result result = run(SEED_FIRST, 0, SL_PLANT_NONE);
    cr_assert(result.is_ok, "%s", result.failure);
    cr_assert_gt(result.done, 50);
    cr_assert_gt(result.second, 10);
    cr_assert_eq(result.boots, 1);
    cr_assert_eq(result.faults, 0);
    /* Own queues too: their tasks are put, worked on, and given up by workers that die of them. */
    cr_assert_gt(result.own.done, 50);
    cr_assert_gt(result.own.failed, 0);
    cr_assert_gt(result.own.repeats, 10);
    cr_assert_gt(result.own.lost, 0);
}

Test(simulate, the_promises_hold_whatever_fails)
{
    uint64_t boots = 0, stale = 0, faults = 0, seeds = rounds(SEEDS);
    for (uint64_t seed = SEED_FIRST; seed < SEED_FIRST + seeds; seed++) {
        struct sl_simulate_result result = run(seed, SL_FAULT_ALL, SL_PLANT_NONE);
        cr_assert(result.is_ok, "seed %zu: %s", (size_t)seed, result.failure);
        boots += result.boots;
        stale += result.stale;
        faults += result.faults;
    }
    /* The runs have been where it hurts. */
    cr_assert_gt(boots, 2 * seeds);
    cr_assert_gt(stale, 0);
    cr_assert_gt(faults, 10 * seeds);
}

/* Without the lapse of leases that an idle node does not know, every fourth seed stood for ever. */
Test(simulate, what_a_link_loses_is_found_again)
{
    for (uint64_t seed = 2040; seed < 2040 + rounds(20); seed++) {
        struct sl_simulate_result result =
            run(seed, SL_FAULT_PARTITION | SL_FAULT_ONEWAY | SL_FAULT_LOSS, SL_PLANT_NONE);
        cr_assert(result.is_ok, "seed %zu: %s", (size_t)seed, result.failure);
    }
}

/* As many tasks and online calls as asked for, whatever fails. */
Test(simulate, what_a_link_does_not_take_is_sent_again)
{
    uint64_t refused = 0;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct sl_simulate_options options = {.seed = seed, .faults = SL_FAULT_NARROW, .load = 20};
        struct sl_simulate_result result;
        sl_simulate(&options, &result);
        cr_assert(result.is_ok, "seed %zu: %s", (size_t)seed, result.failure);
        refused += result.refused;
        sl_simulate_result_deinit(&result);
    }
    cr_assert_gt(refused, 500);
}

Test(simulate, the_promises_hold_under_load)
{
    for (uint64_t seed = 3; seed < 6; seed++) {
        struct sl_simulate_options options = {
            .seed = seed, .faults = SL_FAULT_ALL, .nodes = 5, .load = 20};
        struct sl_simulate_result result;
        sl_simulate(&options, &result);
        sl_simulate_result_deinit(&result);
        cr_assert(result.is_ok, "seed %zu: %s", (size_t)seed, result.failure);
        cr_assert_gt(result.done + result.dead + result.canceled, 2000);
        cr_assert_gt(result.calls, 1500);
    }
}

Test(simulate, a_seed_replays_exactly_and_another_does_not)
{
    struct sl_simulate_result one = run(7, SL_FAULT_ALL, SL_PLANT_NONE);
    struct sl_simulate_result two = run(7, SL_FAULT_ALL, SL_PLANT_NONE);
    struct sl_simulate_result other = run(8, SL_FAULT_ALL, SL_PLANT_NONE);
    cr_assert_eq(one.hash, two.hash);
    cr_assert_eq(one.events, two.events);
    cr_assert_eq(one.virtual_ns, two.virtual_ns);
    cr_assert_neq(one.hash, other.hash);
}

/* Run seeds until a planted bug is caught; the failure's text, or an empty one. */
static struct sl_simulate_result
hunt_from(uint64_t first, enum sl_simulate_plant plant, uint32_t faults)
{
    struct sl_simulate_result result = {.is_ok = true};
    for (uint64_t seed = first; result.is_ok && seed < first + 3 * SEEDS; seed++)
        result = run(seed, faults, plant);
    return result;
}

static struct sl_simulate_result
hunt_among(enum sl_simulate_plant plant, uint32_t faults)
{
    return hunt_from(SEED_FIRST, plant, faults);
}

static struct sl_simulate_result
hunt(enum sl_simulate_plant plant)
{
    return hunt_among(plant, SL_FAULT_ALL);
}

Test(simulate, catches_a_reply_that_leaves_before_the_sync)
{
    struct sl_simulate_result result = hunt(SL_PLANT_UNHELD);
    cr_assert_not(result.is_ok);
    bool is_loss = strstr(result.failure, "was acknowledged and is lost") != NULL ||
                   strstr(result.failure, "had ended and has not any more") != NULL ||
                   strstr(result.failure, "ended as succeeded, and is queued") != NULL;
    cr_assert(is_loss, "%s", result.failure);
}

Test(simulate, catches_a_void_lease_that_is_accepted)
{
    struct sl_simulate_result result = hunt(SL_PLANT_STALE);
    cr_assert_not(result.is_ok);
    bool is_it =
        strstr(result.failure, "void") != NULL || strstr(result.failure, "holds it") != NULL;
    cr_assert(is_it, "%s", result.failure);
}

Test(simulate, catches_a_node_that_is_not_started_again)
{
    struct sl_simulate_result result = hunt(SL_PLANT_NO_RESTART);
    cr_assert_not(result.is_ok);
    cr_assert_not_null(strstr(result.failure, "stuck"), "%s", result.failure);
}

Test(simulate, catches_a_task_that_two_nodes_hold_after_a_partition)
{
    struct sl_simulate_result result = hunt(SL_PLANT_DOUBLE);
    cr_assert_not(result.is_ok);
    cr_assert_not_null(strstr(result.failure, "holds it"), "%s", result.failure);
}

Test(simulate, catches_a_lease_that_ends_one_tick_too_early)
{
    uint32_t faults = SL_FAULT_PARTITION | SL_FAULT_ONEWAY | SL_FAULT_LOSS | SL_FAULT_PAUSE;
    struct sl_simulate_result result = hunt_among(SL_PLANT_EARLY, faults);
    cr_assert_not(result.is_ok);
    bool is_it = strstr(result.failure, "holds it") != NULL ||
                 strstr(result.failure, "doubly placed") != NULL;
    cr_assert(is_it, "%s", result.failure);
}

/* About one seed in twenty shows it; the first that does here is early among these. */
Test(simulate, catches_a_chain_that_a_crash_loses)
{
    struct sl_simulate_result result =
        hunt_from(1001, SL_PLANT_FORGET, SL_FAULT_HEAD | SL_FAULT_POWER);
    cr_assert_not(result.is_ok);
    cr_assert_not_null(strstr(result.failure, "has not ended and is not in the queue"), "%s",
                       result.failure);
}

Test(simulate, a_tenant_with_nodes_of_its_own_has_all_its_work_there)
{
    uint64_t homed = 0;
    for (uint64_t seed = 2; seed < 20; seed += 5) {
        struct sl_simulate_result result = run(seed, SL_FAULT_ALL, SL_PLANT_NONE);
        cr_assert(result.is_ok, "seed %zu: %s", (size_t)seed, result.failure);
        homed += result.homed;
    }
    cr_assert_gt(homed, 100);
}

Test(simulate, catches_work_at_a_node_that_is_anothers)
{
    struct sl_simulate_result result = hunt(SL_PLANT_UNTAINTED);
    cr_assert_not(result.is_ok);
    cr_assert_not_null(strstr(result.failure, "home: work of tenant"), "%s", result.failure);
}

Test(simulate, every_end_may_come_twice)
{
    uint64_t stale = 0;
    for (uint64_t seed = SEED_FIRST; seed < SEED_FIRST + 5; seed++) {
        struct sl_simulate_result result = run(seed, SL_FAULT_ALL, SL_PLANT_TWICE);
        cr_assert(result.is_ok, "seed %zu: %s", (size_t)seed, result.failure);
        stale += result.stale;
    }
    cr_assert_gt(stale, 100);
}
