/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate_scale.h"

#include <criterion/criterion.h>

#include "runtime/report.h"

static uint64_t ticks;

static uint64_t
tick(void)
{
    return ticks += 10;
}

static struct sl_scale_result
run(uint32_t nodes, uint32_t tasks)
{
    struct sl_scale_options options = {.seed = 1,
                                       .nodes = nodes,
                                       .tasks = tasks,
                                       .tenants = 7,
                                       .ran_ns = tick,
                                       .memory_bytes = tick};
    struct sl_scale_result result;
    sl_report_level_set(SL_REPORT_ERROR);
    sl_simulate_scale(&options, &result);
    return result;
}

Test(simulate_scale, every_task_is_leased_once_and_done)
{
    struct sl_scale_result one = run(120, 12345), two = run(120, 12345);
    cr_assert(one.is_ok, "%s", one.failure);
    cr_assert_eq(one.done, 12345);
    cr_assert_eq(one.decisions, 12345);
    cr_assert_gt(one.deciding_ns, 0);
    cr_assert_gt(one.actors, 120 + 3);
    cr_assert_eq(one.events, two.events);
    cr_assert_eq(one.virtual_ns, two.virtual_ns);
}

/* As many decisions for as many tasks: what one costs may grow, their number may not. */
Test(simulate_scale, more_nodes_finish_sooner)
{
    struct sl_scale_result few = run(10, 5000), many = run(200, 5000);
    cr_assert(few.is_ok && many.is_ok, "%s%s", few.failure, many.failure);
    cr_assert_eq(few.decisions, many.decisions);
    cr_assert_lt(many.virtual_ns * 2, few.virtual_ns);
}
