/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "runtime/random.h"
#include "runtime/timers.h"

static void
add(struct sl_timers *t, uint64_t at_ns, uint64_t token)
{
    sl_timers_add(t, &(struct sl_timer){.at_ns = at_ns, .token = token});
}

Test(timers, fires_at_its_deadline_and_not_before)
{
    struct sl_timers t = {0};
    struct sl_timer fired = {.token = 99};
    cr_assert_eq(sl_timers_next_ns(&t), UINT64_MAX);
    add(&t, 100, 1);
    cr_assert_eq(sl_timers_next_ns(&t), 100);
    cr_assert_not(sl_timers_pop(&t, 99, &fired));
    cr_assert_eq(fired.token, 99);
    cr_assert(sl_timers_pop(&t, 100, &fired));
    cr_assert_eq(fired.token, 1);
    cr_assert_not(sl_timers_pop(&t, UINT64_MAX, &fired));
    sl_timers_deinit(&t);
}

Test(timers, equal_deadlines_fire_in_the_order_they_were_set)
{
    struct sl_timers t = {0};
    struct sl_timer fired;
    for (uint64_t i = 0; i < 100; i++)
        add(&t, 5, i);
    for (uint64_t i = 0; i < 100; i++) {
        cr_assert(sl_timers_pop(&t, 5, &fired));
        cr_assert_eq(fired.token, i);
    }
    sl_timers_deinit(&t);
}

Test(timers, come_in_order_whatever_the_order_of_setting)
{
    struct sl_timers t = {0};
    struct sl_timer fired;
    struct sl_random random;
    sl_random_seed(&random, 20);
    uint64_t last_ns = 0, in = 0, out = 0;
    /* Sets and fires mixed, as a scheduler does: what is set never lies before what has fired. */
    while (out < 20000) {
        for (uint64_t more = sl_random_below(&random, 4); more > 0 && in < 20000; more--, in++)
            add(&t, last_ns + sl_random_below(&random, 50), in);
        if (!sl_timers_pop(&t, UINT64_MAX, &fired))
            continue;
        cr_assert_geq(fired.at_ns, last_ns);
        last_ns = fired.at_ns;
        out++;
    }
    cr_assert_eq(t.count, 0);
    sl_timers_deinit(&t);
}
