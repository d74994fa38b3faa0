/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/step_mean.h"

#include <criterion/criterion.h>
#include <math.h>

#include "runtime/random.h"

#define SECOND UINT64_C(1000000000)
#define STEPS  500

Test(step_mean, is_the_value_where_there_is_no_window_or_no_past)
{
    struct sl_step_mean m;
    uint64_t next_ns;
    sl_step_mean_init(&m, 0, 5, 1);
    sl_step_mean_push(&m, 10, 7);
    cr_assert_float_eq(sl_step_mean_get(&m, 10, &next_ns), 7, 0);
    cr_assert_eq(next_ns, UINT64_MAX);
    sl_step_mean_init(&m, SECOND, 5, 3);
    cr_assert_float_eq(sl_step_mean_get(&m, 5, &next_ns), 3, 0);
}

Test(step_mean, forgets_after_the_window_and_says_when_to_look)
{
    struct sl_step_mean m;
    uint64_t next_ns;
    sl_step_mean_init(&m, 64 * SECOND, 0, 10);
    sl_step_mean_push(&m, 64 * SECOND, 0);
    cr_assert_float_eq(sl_step_mean_get(&m, 64 * SECOND, &next_ns), 10, 1e-9);
    cr_assert_eq(next_ns, 65 * SECOND);
    cr_assert_float_eq(sl_step_mean_get(&m, 96 * SECOND, &next_ns), 5, 1e-9);
    cr_assert_float_eq(sl_step_mean_get(&m, 128 * SECOND, &next_ns), 0, 0);
    cr_assert_eq(next_ns, UINT64_MAX);
    sl_step_mean_push(&m, 10000 * SECOND, 4); /* After a long silence. */
    cr_assert_float_eq(sl_step_mean_get(&m, 10064 * SECOND, &next_ns), 4, 0);
}

Test(step_mean, weighs_only_what_it_has_seen)
{
    struct sl_step_mean m;
    uint64_t next_ns;
    sl_step_mean_init(&m, 64 * SECOND, 1000 * SECOND, 2);
    sl_step_mean_push(&m, 1003 * SECOND, 6);
    cr_assert_float_eq(sl_step_mean_get(&m, 1004 * SECOND, &next_ns), 3, 1e-9);
}

/* Within what one bucket may hold more or less than its share. */
Test(step_mean, agrees_with_the_sum_of_all_steps)
{
    static uint64_t at[STEPS + 1];
    static double values[STEPS + 1];
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct sl_random random;
        struct sl_step_mean m;
        uint64_t now_ns = seed * SECOND;
        sl_random_seed(&random, seed);
        uint64_t window_ns = SECOND + sl_random_below(&random, 20 * SECOND);
        uint64_t start_ns = now_ns;
        uint32_t count = 0;
        sl_step_mean_init(&m, window_ns, now_ns, 0);
        at[count] = now_ns;
        values[count++] = 0;
        while (count <= STEPS) {
            uint64_t next_ns;
            now_ns += sl_random_below(&random, SECOND / 4);
            at[count] = now_ns;
            values[count] = (double)sl_random_below(&random, 100);
            sl_step_mean_push(&m, now_ns, values[count++]);
            uint64_t begin_ns = SL_MAX(start_ns, now_ns - SL_MIN(now_ns, window_ns));
            double area = 0;
            for (uint32_t i = 0; i + 1 < count; i++) {
                uint64_t from_ns = SL_MAX(at[i], begin_ns);
                area += at[i + 1] > from_ns ? values[i] * (double)(at[i + 1] - from_ns) : 0;
            }
            double mean =
                now_ns > begin_ns ? area / (double)(now_ns - begin_ns) : values[count - 1];
            double got = sl_step_mean_get(&m, now_ns, &next_ns);
            cr_assert(fabs(got - mean) <= 100.0 / SL_STEP_BUCKETS, "%f is not %f", got, mean);
        }
    }
}
