/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/step_window.h"

#include <criterion/criterion.h>

#include "runtime/random.h"

#define STEPS 400

struct history {
    uint64_t at[STEPS + 1];
    uint32_t values[STEPS + 1];
    uint32_t count;
};

/* By looking at every step there ever was. */
static uint32_t
plain_extreme(const struct history *h, bool is_least, uint64_t window_ns, uint64_t now_ns)
{
    uint32_t extreme = h->values[h->count - 1];
    for (uint32_t i = 0; i + 1 < h->count; i++) {
        bool is_inside = now_ns - h->at[i + 1] < window_ns;
        if (is_inside && (is_least ? h->values[i] < extreme : h->values[i] > extreme))
            extreme = h->values[i];
    }
    return extreme;
}

static void
compare(uint64_t seed, bool is_least)
{
    struct sl_random random;
    struct sl_step_window w;
    sl_random_seed(&random, seed);
    uint64_t window_ns = seed % 5 == 0 ? 0 : sl_random_below(&random, 200), now_ns = 1000;
    struct history h = {.values = {(uint32_t)sl_random_below(&random, 9)}, .count = 1};
    sl_step_window_init(&w, is_least, window_ns, h.values[0]);
    while (h.count <= STEPS) {
        now_ns += sl_random_below(&random, 30);
        h.values[h.count] = (uint32_t)sl_random_below(&random, 9);
        h.at[h.count++] = now_ns;
        sl_step_window_push(&w, now_ns, h.values[h.count - 1]);
        cr_assert_leq(w.count, 9);
        uint64_t next_ns, look_ns = now_ns + sl_random_below(&random, 20);
        uint32_t extreme = sl_step_window_extreme(&w, look_ns, &next_ns);
        cr_assert_eq(extreme, plain_extreme(&h, is_least, window_ns, look_ns), "seed %lu",
                     (unsigned long)seed);
        if (next_ns != UINT64_MAX) {
            cr_assert_eq(plain_extreme(&h, is_least, window_ns, next_ns - 1), extreme);
            cr_assert_neq(plain_extreme(&h, is_least, window_ns, next_ns), extreme);
        }
        now_ns = look_ns;
    }
    sl_step_window_deinit(&w);
}

Test(step_window, agrees_with_a_look_at_all_steps)
{
    for (uint64_t seed = 1; seed <= 100; seed++) {
        compare(seed, false);
        compare(seed, true);
    }
}

Test(step_window, counts_the_value_in_force_where_the_window_begins)
{
    struct sl_step_window w;
    uint64_t next_ns;
    sl_step_window_init(&w, false, 10, 5);
    sl_step_window_push(&w, 100, 2);
    cr_assert_eq(sl_step_window_extreme(&w, 109, &next_ns), 5);
    cr_assert_eq(next_ns, 110);
    cr_assert_eq(sl_step_window_extreme(&w, 110, &next_ns), 2);
    cr_assert_eq(next_ns, UINT64_MAX);
    sl_step_window_deinit(&w);
}
