/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate_shrink.h"

#include <criterion/criterion.h>

#include "runtime/report.h"

static void
quiet(void)
{
    sl_report_level_set(SL_REPORT_ERROR);
}

TestSuite(simulate_shrink, .init = quiet, .timeout = 120);

/* A seed that fails with the plant, and all its faults. */
static struct sl_simulate_options
find(uint64_t *ret_planned)
{
    struct sl_simulate_options run = {.faults = SL_FAULT_ALL, .plant = SL_PLANT_UNHELD};
    struct sl_simulate_result result = {.is_ok = true};
    while (result.is_ok) {
        run.seed += 4; /* With all kinds of faults. */
        sl_simulate(&run, &result);
        sl_simulate_result_deinit(&result);
    }
    *ret_planned = result.faults_planned;
    return run;
}

Test(simulate_shrink, what_is_left_still_fails_and_less_does_not)
{
    uint64_t planned;
    struct sl_simulate_options run = find(&planned);
    struct sl_shrink shrunk;
    struct sl_simulate_result result;
    sl_simulate_shrink(
        &(struct sl_shrink_options){.run = &run, .faults_planned = planned, .runs_max = 1000},
        &shrunk);
    cr_assert_gt(planned, 10);
    cr_assert(shrunk.count >= 1 && shrunk.count <= planned / 2, "%u of %u", shrunk.count,
              (uint32_t)planned);
    run.only = shrunk.only;
    run.only_count = shrunk.count;
    sl_simulate(&run, &result);
    cr_assert_not(result.is_ok);
    sl_simulate_result_deinit(&result);
    struct sl_buf text = {0};
    sl_simulate_list_faults(&run, &text);
    cr_assert_gt(text.size, 0);
    sl_buf_deinit(&text);
    run.only_count--;
    sl_simulate(&run, &result);
    cr_assert(result.is_ok, "%s", result.failure);
    sl_simulate_result_deinit(&result);
    sl_shrink_deinit(&shrunk);
}

Test(simulate_shrink, ends_when_it_is_told_to)
{
    uint64_t planned;
    struct sl_simulate_options run = find(&planned);
    struct sl_shrink shrunk;
    sl_simulate_shrink(
        &(struct sl_shrink_options){.run = &run, .faults_planned = planned, .runs_max = 2},
        &shrunk);
    cr_assert_eq(shrunk.runs, 2);
    cr_assert_gt(shrunk.count, 3);
    sl_shrink_deinit(&shrunk);
}
