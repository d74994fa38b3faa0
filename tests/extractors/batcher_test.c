/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/batcher.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "runtime/alloc.h"
#include "runtime/random.h"

#define ENTRIES 4096

static struct sl_batcher *batcher;
static struct sl_batch_entry entries[ENTRIES], *taken[SL_BATCH_ITEMS_MAX];
static uint32_t count;

static void
setup(void)
{
    count = 0;
}

static void
teardown(void)
{
    while (sl_batcher_take(batcher, taken) > 0)
        ;
    sl_batcher_destroy(&batcher);
}

TestSuite(batcher, .init = setup, .fini = teardown);

static void
plan(uint64_t units_max, uint32_t items_max, uint64_t delay_ns)
{
    struct sl_batch_plan p = {.units_max = units_max, .items_max = items_max, .delay_ns = delay_ns};
    batcher = sl_batcher_create(&p);
}

static void
add(uint64_t scope, uint64_t units, uint64_t arrived_ns)
{
    cr_assert_lt(count, ENTRIES);
    struct sl_batch_entry *entry = &entries[count++];
    *entry = (struct sl_batch_entry){.scope = scope, .units = units, .arrived_ns = arrived_ns};
    sl_batcher_add(batcher, entry);
}

/* The next batch, as the numbers of its entries. */
static const char *
take(void)
{
    static char text[2048];
    size_t at = 0;
    uint32_t n = sl_batcher_take(batcher, taken);
    text[0] = '\0';
    for (uint32_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%u", i > 0 ? " " : "",
                               (uint32_t)(taken[i] - entries));
    return text;
}

Test(batcher, has_all_that_waits_in_a_batch_where_nothing_is_stated)
{
    plan(0, 0, 0);
    cr_assert_eq(sl_batcher_due_ns(batcher), UINT64_MAX);
    for (uint32_t i = 0; i < 3; i++)
        add(1, 1000000, 5);
    cr_assert_eq(sl_batcher_due_ns(batcher), 0);
    cr_assert_str_eq(take(), "0 1 2");
    cr_assert_eq(sl_batcher_take(batcher, taken), 0);
}

Test(batcher, keeps_to_its_budget_of_units)
{
    plan(10, 0, 0);
    add(1, 4, 1);
    add(1, 6, 2);
    add(1, 1, 3);
    cr_assert_str_eq(take(), "0 1", "all of the budget, and no more");
    cr_assert_str_eq(take(), "2");
}

Test(batcher, has_one_that_is_larger_than_the_budget_alone)
{
    plan(10, 0, 0);
    add(1, 3, 1);
    add(1, 11, 2);
    add(1, SL_BATCH_UNITS_MAX, 3);
    add(1, 1, 4);
    cr_assert_str_eq(take(), "0");
    cr_assert_str_eq(take(), "1");
    cr_assert_str_eq(take(), "2");
    cr_assert_str_eq(take(), "3");
}

Test(batcher, keeps_to_the_most_items)
{
    plan(0, 2, 0);
    for (uint32_t i = 0; i < 5; i++)
        add(1, 1, i);
    cr_assert_str_eq(take(), "0 1");
    cr_assert_str_eq(take(), "2 3");
    cr_assert_str_eq(take(), "4");
}

Test(batcher, is_due_when_it_is_full_or_its_oldest_has_waited)
{
    plan(10, 3, 1000);
    add(1, 2, 500);
    add(2, 2, 900);
    cr_assert_eq(sl_batcher_due_ns(batcher), 1500);
    add(1, 2, 950);
    cr_assert_eq(sl_batcher_due_ns(batcher), 0, "there are so many items");
    cr_assert_str_eq(take(), "0 1 2");
    add(1, 10, 2000);
    cr_assert_eq(sl_batcher_due_ns(batcher), 0, "there are so many units");
    cr_assert_str_eq(take(), "3");
    add(1, 9, 3000);
    cr_assert_eq(sl_batcher_due_ns(batcher), 4000);
}

Test(batcher, takes_of_each_tenant_in_turn)
{
    plan(6, 0, 0);
    for (uint32_t i = 0; i < 10; i++)
        add(1, 1, i);
    add(2, 1, 20);
    add(3, 1, 21);
    cr_assert_str_eq(take(), "0 10 11 1 2 3");
}

Test(batcher, counts_turns_by_units_and_not_by_items)
{
    plan(8, 0, 0);
    for (uint32_t i = 0; i < 4; i++)
        add(1, 4, i);
    for (uint32_t i = 0; i < 8; i++)
        add(2, 1, i);
    cr_assert_str_eq(take(), "0 4 5 6 7", "four units of each");
    cr_assert_str_eq(take(), "1 8 9 10 11");
    cr_assert_str_eq(take(), "2 3", "the other has nothing left");
}

Test(batcher, has_a_tenant_earn_nothing_while_it_asks_for_nothing)
{
    plan(4, 0, 0);
    for (uint32_t i = 0; i < 20; i++)
        add(1, 1, i);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(sl_batcher_take(batcher, taken), 4);
    for (uint32_t i = 0; i < 8; i++)
        add(2, 1, 100);
    uint32_t of_first = 0, n = sl_batcher_take(batcher, taken);
    for (uint32_t i = 0; i < n; i++)
        of_first += taken[i]->scope == 1;
    cr_assert_geq(of_first, 1, "the twelve that went before are not made up for");
    cr_assert_leq(of_first, 3);
}

static bool
is_it(const struct sl_batch_entry *entry, const void *arg)
{
    return entry == arg;
}

Test(batcher, removes_from_anywhere)
{
    plan(0, 0, 0);
    for (uint32_t i = 0; i < 4; i++)
        add(1, 1, i);
    add(2, 1, 9);
    cr_assert_eq(sl_batcher_remove(batcher, is_it, &entries[1]), &entries[1]);
    cr_assert_eq(sl_batcher_remove(batcher, is_it, &entries[3]), &entries[3], "the newest");
    cr_assert_eq(sl_batcher_remove(batcher, is_it, &entries[4]), &entries[4], "all of a tenant");
    cr_assert_null(sl_batcher_remove(batcher, is_it, &entries[4]));
    add(1, 1, 10);
    cr_assert_str_eq(take(), "0 2 5");
}

Test(batcher, takes_as_many_as_may_wait)
{
    plan(0, 0, 1000);
    for (uint32_t i = 0; i < SL_BATCHER_WAITING_MAX; i++) {
        cr_assert_not(sl_batcher_is_full(batcher));
        add(i, 1, 0);
    }
    cr_assert(sl_batcher_is_full(batcher));
    cr_assert_eq(sl_batcher_due_ns(batcher), 0, "it is never full and waits");
    cr_assert_eq(sl_batcher_take(batcher, taken), SL_BATCH_ITEMS_MAX);
    cr_assert_not(sl_batcher_is_full(batcher));
}

/*
 * A replica by a clock of its own: entries of any size come at any time, batches take some time.
 * None is over the budget, unless it is single; while the replica is free nobody waits longer than
 * the delay; and all come out, a tenant's in order.
 */
static void
live(uint64_t seed)
{
    struct sl_random random;
    sl_random_seed(&random, seed);
    uint64_t budget = 1 + sl_random_below(&random, 200), delay = sl_random_below(&random, 50);
    uint32_t items_max = 1 + (uint32_t)sl_random_below(&random, 20);
    uint64_t largest = 1 + sl_random_below(&random, 2 * budget);
    uint64_t free_at = 0, last[5] = {0};
    uint32_t came = 0, left = 0;
    count = 0;
    plan(budget, items_max, delay);
    for (uint64_t now = 1; left < came || now < 2000; now++) {
        while (now < 2000 && sl_random_below(&random, 3) == 0 && count < ENTRIES &&
               !sl_batcher_is_full(batcher)) {
            add(sl_random_below(&random, 5), 1 + sl_random_below(&random, largest), now);
            came++;
        }
        if (now < free_at)
            continue;
        for (uint32_t i = 0; i < count; i++) {
            bool is_waiting = entries[i].scope != UINT64_MAX;
            cr_assert(!is_waiting || now - entries[i].arrived_ns <= delay || now == free_at,
                      "seed %lu: %u waits too long", (unsigned long)seed, i);
        }
        if (sl_batcher_due_ns(batcher) > now)
            continue;
        uint64_t units = 0;
        uint32_t n = sl_batcher_take(batcher, taken);
        cr_assert(n >= 1 && n <= items_max);
        for (uint32_t i = 0; i < n; i++) {
            uint64_t scope = taken[i]->scope;
            units += taken[i]->units;
            cr_assert_geq((uint64_t)(taken[i] - entries) + 1, last[scope] + 1, "in order");
            last[scope] = (uint64_t)(taken[i] - entries);
            taken[i]->scope = UINT64_MAX;
        }
        cr_assert(n == 1 || units <= budget, "seed %lu", (unsigned long)seed);
        left += n;
        free_at = now + 1 + sl_random_below(&random, 10);
    }
    cr_assert_eq(left, came);
    cr_assert_eq(sl_batcher_count(batcher), 0);
}

Test(batcher, holds_to_its_plan_whatever_comes)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        live(seed);
        sl_batcher_destroy(&batcher);
    }
    plan(0, 0, 0);
}

/* One has small entries and another large ones, and both have always some waiting. */
static void
share(uint64_t seed)
{
    struct sl_random random;
    sl_random_seed(&random, seed);
    uint64_t largest[2] = {1 + sl_random_below(&random, 40), 1 + sl_random_below(&random, 400)};
    uint64_t served[2] = {0}, most = SL_MAX(largest[0], largest[1]);
    count = 0;
    plan(1 + sl_random_below(&random, 200), 0, 0);
    for (uint32_t i = 0; i < SL_BATCHER_WAITING_MAX; i++)
        add(i % 2, 1 + sl_random_below(&random, largest[i % 2]), i);
    for (uint32_t round = 0; round < 500; round++) {
        uint32_t n = sl_batcher_take(batcher, taken);
        for (uint32_t i = 0; i < n; i++) {
            struct sl_batch_entry *entry = taken[i];
            served[entry->scope] += entry->units;
            cr_assert_leq(SL_MAX(served[0], served[1]) - SL_MIN(served[0], served[1]), most);
            entry->units = 1 + sl_random_below(&random, largest[entry->scope]);
            sl_batcher_add(batcher, entry);
        }
    }
}

Test(batcher, gives_tenants_that_always_ask_equal_shares)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        share(seed);
        while (sl_batcher_take(batcher, taken) > 0)
            ;
        sl_batcher_destroy(&batcher);
    }
    plan(0, 0, 0);
}

/* Its lane empties with each turn: it has made up for it before it has the next. */
Test(batcher, gives_who_keeps_one_large_entry_waiting_no_more_than_its_share)
{
    uint64_t served[3] = {0};
    plan(8, 1, 0);
    add(1, 8, 0);
    for (uint32_t i = 0; i < 100; i++)
        add(2, 1, 1 + i);
    for (uint32_t round = 0; round < 1000; round++) {
        cr_assert_eq(sl_batcher_take(batcher, taken), 1);
        served[taken[0]->scope] += taken[0]->units;
        cr_assert_leq(SL_MAX(served[1], served[2]) - SL_MIN(served[1], served[2]), 8);
        sl_batcher_add(batcher, taken[0]);
    }
    cr_assert_gt(served[1], 400);
}

Test(batcher, forgets_of_many_that_left_those_with_the_least_to_make_up_for)
{
    plan(0, 1, 0);
    add(1000, 1, 0);
    for (uint32_t i = 0; i < 300; i++)
        add(i, 1000 + i, 1 + i);
    for (uint32_t i = 0; i < 301; i++)
        cr_assert_eq(sl_batcher_take(batcher, taken), 1);
    add(299, 1, 400);
    add(5000, 1, 401);
    cr_assert_str_eq(take(), "302", "the newcomer: the other has had much");
    cr_assert_str_eq(take(), "301");
}
