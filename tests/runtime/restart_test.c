/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "runtime/restart.h"

static bool
is_range(struct sl_restart_range r, uint32_t begin, uint32_t end)
{
    return r.begin == begin && r.end == end;
}

Test(restart, each_strategy_names_its_children)
{
    cr_assert(is_range(sl_restart_decide(SL_ONE_FOR_ONE, SL_PERMANENT, SL_ECRASHED, 2, 5), 2, 3));
    cr_assert(is_range(sl_restart_decide(SL_ONE_FOR_ALL, SL_PERMANENT, SL_ECRASHED, 2, 5), 0, 5));
    cr_assert(is_range(sl_restart_decide(SL_REST_FOR_ONE, SL_PERMANENT, SL_ECRASHED, 2, 5), 2, 5));
}

Test(restart, a_kind_says_which_ends_are_failures)
{
    cr_assert(is_range(sl_restart_decide(SL_ONE_FOR_ONE, SL_PERMANENT, SL_OK, 0, 1), 0, 1));
    cr_assert(is_range(sl_restart_decide(SL_ONE_FOR_ONE, SL_TRANSIENT, SL_OK, 0, 1), 0, 0));
    cr_assert(is_range(sl_restart_decide(SL_ONE_FOR_ONE, SL_TRANSIENT, SL_EIO, 0, 1), 0, 1));
    cr_assert(is_range(sl_restart_decide(SL_ONE_FOR_ALL, SL_TEMPORARY, SL_EIO, 0, 3), 0, 0));
}

Test(restart, a_budget_is_spent_within_its_window)
{
    struct sl_restart_budget b = {.restarts_max = 3, .window_ns = 100};
    cr_assert(sl_restart_budget_take(&b, 0));
    cr_assert(sl_restart_budget_take(&b, 50));
    cr_assert(sl_restart_budget_take(&b, 60));
    cr_assert_not(sl_restart_budget_take(&b, 99));
    cr_assert(sl_restart_budget_take(&b, 100)); /* The first one is out of the window. */
    cr_assert_not(sl_restart_budget_take(&b, 149));
    cr_assert(sl_restart_budget_take(&b, 150));
}

Test(restart, no_budget_is_no_restart)
{
    struct sl_restart_budget b = {.restarts_max = 0, .window_ns = 100};
    cr_assert_not(sl_restart_budget_take(&b, 1000));
}

Test(restart, a_clock_that_went_back_opens_no_window)
{
    struct sl_restart_budget b = {.restarts_max = 1, .window_ns = 100};
    cr_assert(sl_restart_budget_take(&b, 1000));
    cr_assert_not(sl_restart_budget_take(&b, 999));
    cr_assert(sl_restart_budget_take(&b, 1100));
}

Test(restart, a_window_of_nothing_is_never_full)
{
    struct sl_restart_budget b = {.restarts_max = 1};
    for (int i = 0; i < 10; i++)
        cr_assert(sl_restart_budget_take(&b, 5));
}
