/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gateway/queue_waits.h"

static struct sl_queue_waits *w;

static void
setup(void)
{
    w = sl_queue_waits_create();
}

static void
teardown(void)
{
    sl_queue_waits_destroy(&w);
}

TestSuite(queue_waits, .init = setup, .fini = teardown);

static void
add(uint64_t serial, uint64_t scope, uint64_t lane)
{
    sl_queue_waits_add(w, &(struct sl_queue_wait){serial, {scope}, lane});
}

static uint64_t
taken(void)
{
    uint64_t serial;
    return sl_queue_waits_take(w, &serial) ? serial : 0;
}

Test(queue_waits, each_thing_that_happens_makes_the_longest_waiting_one_ready)
{
    add(1, 5, 70);
    add(2, 5, 70);
    cr_expect(sl_queue_waits_touch(w, (struct sl_scope){5}, 70, false));
    cr_expect_eq(taken(), 1);
    cr_expect_eq(taken(), 0);
    cr_expect(sl_queue_waits_touch(w, (struct sl_scope){5}, 70, false));
    cr_expect_eq(taken(), 2);
    cr_expect_not(sl_queue_waits_touch(w, (struct sl_scope){5}, 70, false));
    cr_expect_eq(sl_queue_waits_count(w), 0);
}

Test(queue_waits, who_takes_them_is_told_once)
{
    add(1, 5, 70);
    add(2, 5, 70);
    cr_expect(sl_queue_waits_touch(w, (struct sl_scope){5}, 70, false));
    cr_expect_not(sl_queue_waits_touch(w, (struct sl_scope){5}, 70, false));
    cr_expect_eq(taken(), 1);
    cr_expect_eq(taken(), 2);
}

Test(queue_waits, another_tenant_s_or_another_queue_wakes_nobody)
{
    add(1, 5, 70);
    cr_expect_not(sl_queue_waits_touch(w, (struct sl_scope){6}, 70, true));
    cr_expect_not(sl_queue_waits_touch(w, (struct sl_scope){5}, 71, true));
    cr_expect_not(sl_queue_waits_touch(w, (struct sl_scope){5}, 70 + (UINT64_C(256) << 32), true));
    cr_expect_eq(taken(), 0);
    cr_expect_eq(sl_queue_waits_count(w), 1);
}

Test(queue_waits, among_others_in_its_place_the_right_ones_are_found)
{
    for (uint64_t i = 1; i <= 9; i++)
        add(i, 5, 70 + (i % 3)); /* The same bucket: it goes by higher bits. */
    cr_expect(sl_queue_waits_touch(w, (struct sl_scope){5}, 71, true));
    cr_expect_eq(taken(), 1);
    cr_expect_eq(taken(), 4);
    cr_expect_eq(taken(), 7);
    cr_expect_eq(taken(), 0);
    add(10, 5, 72);
    cr_expect(sl_queue_waits_touch_all(w));
    uint64_t sum = 0;
    for (uint64_t serial; sl_queue_waits_take(w, &serial);)
        sum += serial;
    cr_expect_eq(sum, 2 + 5 + 8 + 3 + 6 + 9 + 10);
    cr_expect_not(sl_queue_waits_touch_all(w));
}

Test(queue_waits, one_that_is_removed_is_not_made_ready_and_not_taken)
{
    add(1, 5, 70);
    add(2, 5, 70);
    add(3, 5, 70);
    sl_queue_waits_remove(w, &(struct sl_queue_wait){3, {5}, 70});
    add(4, 5, 70);
    cr_expect(sl_queue_waits_touch(w, (struct sl_scope){5}, 70, false));
    sl_queue_waits_remove(w, &(struct sl_queue_wait){1, {5}, 70}); /* Ready already. */
    sl_queue_waits_remove(w, &(struct sl_queue_wait){9, {5}, 70}); /* Nobody. */
    cr_expect_eq(sl_queue_waits_count(w), 2);
    cr_expect(sl_queue_waits_touch(w, (struct sl_scope){5}, 70, true));
    cr_expect_eq(taken(), 2);
    cr_expect_eq(taken(), 4);
    cr_expect_eq(sl_queue_waits_count(w), 0);
}
