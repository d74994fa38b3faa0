/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/lane_rates.h"

#include <criterion/criterion.h>

static struct sl_lane_rates r;
static const struct sl_scope tenant = {7};

static double
rate(struct sl_scope scope, uint64_t at_ns)
{
    return sl_lane_rates_per_s(&r, scope, SL_CLASS_CPU, at_ns);
}

Test(lane_rates, is_what_ended_in_a_second_on_average)
{
    uint64_t now_ns = 100 * SL_SECOND_NS;
    cr_expect_eq(rate(tenant, now_ns), 0, "nothing is known");
    for (uint32_t i = 0; i < 2000; i++, now_ns += 10 * SL_MILLI_NS)
        sl_lane_rates_count(&r, tenant, SL_CLASS_CPU, now_ns);
    cr_expect_float_eq(rate(tenant, now_ns), 100, 1);
    cr_expect_eq(sl_lane_rates_per_s(&r, tenant, SL_CLASS_GPU, now_ns), 0);
    cr_expect_eq(rate((struct sl_scope){8}, now_ns), 0);
    for (uint32_t i = 0; i < 600; i++, now_ns += 100 * SL_MILLI_NS)
        sl_lane_rates_count(&r, tenant, SL_CLASS_CPU, now_ns);
    cr_expect_float_eq(rate(tenant, now_ns), 10, 0.5, "what was before half a minute is forgotten");
}

Test(lane_rates, is_not_known_once_none_ends)
{
    for (uint32_t i = 0; i < 50; i++)
        sl_lane_rates_count(&r, tenant, SL_CLASS_CPU, i * SL_SECOND_NS);
    cr_expect_float_eq(rate(tenant, 50 * SL_SECOND_NS), 1, 0.05);
    cr_expect_lt(rate(tenant, 65 * SL_SECOND_NS), 0.6, "it goes down");
    cr_expect_gt(rate(tenant, 65 * SL_SECOND_NS), 0.3);
    cr_expect_eq(rate(tenant, 90 * SL_SECOND_NS), 0);
    sl_lane_rates_count(&r, tenant, SL_CLASS_CPU, 1000 * SL_SECOND_NS);
    cr_expect_float_eq(rate(tenant, 1000 * SL_SECOND_NS), 1, 0.01, "one, in no time at all");
}

Test(lane_rates, keeps_those_that_were_busy_last)
{
    for (uint64_t i = 1; i <= 2 * SL_LANE_RATES; i++)
        sl_lane_rates_count(&r, (struct sl_scope){i}, SL_CLASS_CPU, i * SL_RATE_SPAN_NS);
    uint64_t now_ns = 2 * SL_LANE_RATES * SL_RATE_SPAN_NS;
    cr_expect_eq(rate((struct sl_scope){1}, now_ns), 0);
    cr_expect_gt(rate((struct sl_scope){2 * SL_LANE_RATES}, now_ns), 0);
}
