/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/wheel.h"

#include <criterion/criterion.h>

#include "runtime/alloc.h"
#include "runtime/random.h"

#define ITEMS 600

struct item {
    uint64_t at_ms;
    uint64_t due_ms; /* When the model has it: its time, or that of the wheel if that is later. */
    uint64_t order;
    struct sl_link link;
    bool is_inside;
};

static struct item array[ITEMS];
static struct sl_wheel wheel;
static struct sl_random source;
static uint64_t order_last;

static struct sl_items
items(void)
{
    return SL_TIMED_ITEMS(array, struct item, link, at_ms);
}

static void
setup(void)
{
    sl_random_seed(&source, 11);
    sl_wheel_init(&wheel, 1000);
}

TestSuite(wheel, .init = setup);

static void
insert(uint32_t item, uint64_t at_ms)
{
    array[item] = (struct item){.at_ms = at_ms,
                                .due_ms = SL_MAX(at_ms, wheel.now_ms),
                                .order = ++order_last,
                                .is_inside = true};
    sl_wheel_insert(&wheel, items(), item);
}

static uint32_t
model_first(void)
{
    uint32_t first = SL_NONE;
    for (uint32_t i = 0; i < ITEMS; i++) {
        const struct item *a = &array[i], *b = first == SL_NONE ? NULL : &array[first];
        if (a->is_inside &&
            (b == NULL || a->due_ms < b->due_ms || (a->due_ms == b->due_ms && a->order < b->order)))
            first = i;
    }
    return first;
}

/* Take all that is due, and see that it is what the model has, in its order. */
static void
pop_all(uint64_t now_ms)
{
    for (;;) {
        uint32_t first = model_first();
        bool is_due = first != SL_NONE && array[first].due_ms <= SL_MAX(now_ms, wheel.now_ms);
        uint32_t item = sl_wheel_pop(&wheel, items(), now_ms);
        while (item == SL_NONE && sl_wheel_next_ms(&wheel) <= now_ms)
            item = sl_wheel_pop(&wheel, items(), now_ms);
        cr_assert_eq(item, is_due ? first : SL_NONE);
        if (!is_due)
            break;
        array[item].is_inside = false;
    }
    uint32_t first = model_first();
    if (first == SL_NONE)
        cr_assert_eq(sl_wheel_next_ms(&wheel), UINT64_MAX);
    else
        cr_assert_leq(sl_wheel_next_ms(&wheel), array[first].due_ms);
}

/* Distances of every size: what lies near is as likely as what lies at the horizon. */
static uint64_t
some_distance(void)
{
    return sl_random_u64(&source) >> (16 + sl_random_below(&source, 48));
}

Test(wheel, gives_by_time_and_then_as_inserted_through_random_calls)
{
    uint64_t now_ms = 1000;
    for (int op = 0; op < 30000; op++) {
        uint32_t item = (uint32_t)sl_random_below(&source, ITEMS);
        if (array[item].is_inside && sl_random_below(&source, 2) == 0) {
            sl_wheel_remove(&wheel, items(), item);
            array[item].is_inside = false;
        } else if (!array[item].is_inside) {
            /* Coarse, so that many meet in one millisecond; now and then in the past. */
            uint64_t at_ms = now_ms + some_distance() / 4 * 4;
            insert(item, sl_random_below(&source, 10) == 0 ? at_ms / 2 : at_ms);
        }
        if (sl_random_below(&source, 5) == 0) {
            uint64_t jump_max_ms = UINT64_C(1) << sl_random_below(&source, 20);
            now_ms += sl_random_below(&source, jump_max_ms + 1);
            pop_all(now_ms);
        }
    }
}

Test(wheel, says_exactly_when_the_next_is_due_within_64_ms)
{
    sl_wheel_init(&wheel, 640);
    insert(0, 703);
    cr_assert_eq(sl_wheel_next_ms(&wheel), 703);
    insert(1, 641);
    cr_assert_eq(sl_wheel_next_ms(&wheel), 641);
    cr_assert_eq(sl_wheel_pop(&wheel, items(), 640), SL_NONE);
    cr_assert_eq(sl_wheel_pop(&wheel, items(), 641), 1);
    cr_assert_eq(sl_wheel_next_ms(&wheel), 703);
}

Test(wheel, comes_to_the_furthest_time_in_at_most_eight_looks)
{
    insert(0, UINT64_MAX);
    uint64_t now_ms = 0;
    int looks = 0;
    uint32_t item = SL_NONE;
    while (item == SL_NONE) {
        uint64_t next_ms = sl_wheel_next_ms(&wheel);
        cr_assert_gt(next_ms, now_ms);
        now_ms = next_ms;
        item = sl_wheel_pop(&wheel, items(), now_ms);
        cr_assert_leq(++looks, 8);
    }
    cr_assert_eq(item, 0);
    cr_assert_eq(now_ms, (UINT64_C(1) << 48) - 1);
    cr_assert_eq(sl_wheel_next_ms(&wheel), UINT64_MAX);
}

Test(wheel, moves_a_long_list_in_steps_and_keeps_the_order_of_what_comes_between)
{
    enum { MANY = 10 * SL_WHEEL_STEP };
    struct item *many = sl_zalloc((MANY + 1) * sizeof(*many));
    struct sl_items all = SL_TIMED_ITEMS(many, struct item, link, at_ms);
    sl_wheel_init(&wheel, 0);
    uint64_t at_ms = 64 * 64 * 3 + 5; /* Two levels up, and all of one time. */
    for (uint32_t i = 0; i < MANY; i++) {
        many[i].at_ms = at_ms;
        sl_wheel_insert(&wheel, all, i);
    }
    cr_assert_eq(sl_wheel_pop(&wheel, all, at_ms), SL_NONE);
    cr_assert_leq(sl_wheel_next_ms(&wheel), at_ms);
    many[MANY].at_ms = at_ms;
    sl_wheel_insert(&wheel, all, MANY);
    sl_wheel_remove(&wheel, all, 7);
    sl_wheel_remove(&wheel, all, 5000);
    for (uint32_t i = 0; i <= MANY; i++) {
        if (i == 7 || i == 5000)
            continue;
        uint32_t item = sl_wheel_pop(&wheel, all, at_ms);
        while (item == SL_NONE && sl_wheel_next_ms(&wheel) <= at_ms)
            item = sl_wheel_pop(&wheel, all, at_ms);
        cr_assert_eq(item, i);
    }
    cr_assert_eq(wheel.count, 0);
    sl_free(many);
}

Test(wheel, sorts_anew_after_a_clock_that_went_ahead_and_back)
{
    for (uint32_t i = 0; i < ITEMS; i++)
        insert(i, 1000 + some_distance() / 4 * 4);
    uint64_t ahead_ms = 1000 + (UINT64_C(1) << 24);
    uint32_t popped = sl_wheel_pop(&wheel, items(), ahead_ms);
    cr_assert_eq(popped, model_first());
    array[popped].is_inside = false;

    sl_wheel_rewind(&wheel, items(), 1000);
    cr_assert_eq(wheel.now_ms, 1000);
    cr_assert_eq(wheel.count, ITEMS - 1);
    for (uint64_t now_ms = 1000; now_ms < ahead_ms; now_ms += 1 + now_ms / 4)
        pop_all(now_ms);
    pop_all(UINT64_C(1) << 48);
    cr_assert_eq(wheel.count, 0);
}

Test(wheel, gives_what_is_due_even_if_the_clock_went_back)
{
    insert(0, 2000);
    insert(1, 2000);
    cr_assert_eq(sl_wheel_pop(&wheel, items(), 3000), 0);
    cr_assert_eq(sl_wheel_pop(&wheel, items(), 10), 1);
    cr_assert_eq(sl_wheel_pop(&wheel, items(), 10), SL_NONE);
}
