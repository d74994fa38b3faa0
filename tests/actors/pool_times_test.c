/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/pool_times.h"

#include <criterion/criterion.h>

static struct sl_pool_times times;

TestSuite(pool_times, .timeout = 60);

static void
add(uint64_t queued_ns, uint64_t sent_ns, uint64_t begun_ns, uint64_t ended_ns)
{
    struct sl_item_times item = {queued_ns, sent_ns, begun_ns, ended_ns};
    sl_pool_times_add(&times, &item);
}

Test(pool_times, adds_up_what_lies_between_four_times)
{
    add(1000, 3000, 7000, 20000);
    add(2000, 4000, 4000, 5000);
    cr_assert_eq(times.count, 2);
    cr_assert_eq(times.sum_ns[SL_TIMES_WAIT], 4000);
    cr_assert_eq(times.sum_ns[SL_TIMES_BATCH_WAIT], 4000);
    cr_assert_eq(times.sum_ns[SL_TIMES_COMPUTE], 14000);
}

/* A replica is a plugin's process: what it says of the time is not believed beyond what we saw. */
Test(pool_times, takes_a_lie_for_what_is_possible)
{
    add(1000, 3000, UINT64_MAX, 20000);
    add(1000, 3000, 0, 20000);
    add(5000, 3000, 1, 1);
    cr_assert_eq(times.sum_ns[SL_TIMES_WAIT], 4000);
    cr_assert_eq(times.sum_ns[SL_TIMES_BATCH_WAIT], 17000);
    cr_assert_eq(times.sum_ns[SL_TIMES_COMPUTE], 17000);
}

/* Against all of them in order, over ten powers of ten. */
Test(pool_times, knows_quantiles_within_a_quarter)
{
    for (uint64_t exact = 1000; exact < UINT64_C(3000000000000); exact = exact * 13 / 10 + 1) {
        times = (struct sl_pool_times){0};
        for (uint32_t i = 0; i < 98; i++)
            add(0, exact, 0, exact);
        add(0, 4 * exact, 0, 4 * exact);
        add(0, 4 * exact, 0, 4 * exact);
        uint64_t p50 = sl_pool_times_quantile_ns(&times, SL_TIMES_WAIT, 500);
        uint64_t p99 = sl_pool_times_quantile_ns(&times, SL_TIMES_WAIT, 990);
        cr_assert(p50 >= exact && p50 <= 2 * 1000 + exact * 5 / 4, "%llu: %llu",
                  (unsigned long long)exact, (unsigned long long)p50);
        if (exact < UINT64_C(500000000000)) /* Else it is above the last step. */
            cr_assert(p99 >= 4 * exact && p99 <= 2 * 1000 + 4 * exact * 5 / 4, "%llu: %llu",
                      (unsigned long long)exact, (unsigned long long)p99);
    }
}

Test(pool_times, says_nothing_of_none_and_bears_any_time)
{
    struct sl_buf text = {0};
    struct sl_jsonw w;
    cr_assert_eq(sl_pool_times_quantile_ns(&times, SL_TIMES_COMPUTE, 990), 0);
    add(0, 0, 0, UINT64_MAX);
    cr_assert_gt(sl_pool_times_quantile_ns(&times, SL_TIMES_COMPUTE, 500), 3600 * SL_SECOND_NS / 2);
    sl_jsonw_init(&w, &text);
    sl_pool_times_write(&times, &w);
    sl_jsonw_done(&w);
    cr_assert_not_null(strstr(sl_buf_text(&text), "\"count\":1,\"wait\":{\"sum_ms\":0.000,"));
    sl_buf_deinit(&text);
}

Test(pool_times, those_of_another_are_added_as_they_were_told)
{
    struct sl_pool_times one = {0}, all = {0};
    struct sl_buf packed = {0};
    add(1000, 3000, 7000, 20000);
    add(0, 0, 0, 500 * SL_MILLI_NS);
    one = times;
    sl_pool_times_pack(&one, &packed);
    cr_assert(sl_pool_times_merge(&all, sl_buf_slice(&packed)));
    cr_assert_arr_eq(&all, &one, sizeof(all));
    cr_assert(sl_pool_times_merge(&all, sl_buf_slice(&packed)));
    cr_assert_eq(all.count, 4);
    cr_assert_eq(all.sum_ns[SL_TIMES_COMPUTE], 2 * one.sum_ns[SL_TIMES_COMPUTE]);
    cr_assert_eq(sl_pool_times_quantile_ns(&all, SL_TIMES_COMPUTE, 990),
                 sl_pool_times_quantile_ns(&one, SL_TIMES_COMPUTE, 990));
    sl_buf_deinit(&packed);
}

Test(pool_times, what_was_not_packed_is_not_added)
{
    struct sl_pool_times all = {0};
    static const struct sl_pool_times none;
    struct sl_buf packed = {0};
    add(1000, 3000, 7000, 20000);
    sl_pool_times_pack(&times, &packed);
    for (size_t size = 0; size < packed.size; size++)
        cr_assert_not(sl_pool_times_merge(&all, sl_slice(packed.data, size)));
    packed.data[16] = SL_TIMES_STEPS; /* The first step. */
    cr_assert_not(sl_pool_times_merge(&all, sl_buf_slice(&packed)));
    packed.data[16] = 0;
    sl_buf_append_u8(&packed, 0);
    cr_assert_not(sl_pool_times_merge(&all, sl_buf_slice(&packed)));
    cr_assert_arr_eq(&all, &none, sizeof(all));
    sl_buf_deinit(&packed);
}
