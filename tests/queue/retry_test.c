/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/retry.h"

#include <criterion/criterion.h>

static struct sl_random source;

static uint64_t
delay_max(const struct sl_retry_policy *policy, uint16_t attempts)
{
    uint64_t most = 0;
    for (int i = 0; i < 2000; i++) {
        uint64_t delay_ms = sl_retry_delay_ms(policy, attempts, &source);
        most = SL_MAX(most, delay_ms);
    }
    return most;
}

static void
setup(void)
{
    sl_random_seed(&source, 1);
}

TestSuite(retry, .init = setup);

Test(retry, doubles_its_bound_and_uses_all_of_it)
{
    struct sl_retry_policy policy = {.attempts_max = 10, .base_ms = 100, .cap_ms = 1000};
    uint64_t bounds[] = {100, 200, 400, 800, 1000, 1000};
    for (uint16_t i = 0; i < SL_COUNT_OF(bounds); i++) {
        uint64_t most = delay_max(&policy, (uint16_t)(i + 1));
        cr_assert_leq(most, bounds[i]);
        cr_assert_gt(most, bounds[i] * 9 / 10);
    }
}

Test(retry, gives_up_after_the_last_attempt)
{
    struct sl_retry_policy policy = {.attempts_max = 2, .base_ms = 1, .cap_ms = 1};
    cr_assert_leq(sl_retry_delay_ms(&policy, 1, &source), 1);
    cr_assert_eq(sl_retry_delay_ms(&policy, 2, &source), UINT64_MAX);
    cr_assert_eq(sl_retry_delay_ms(&policy, UINT16_MAX, &source), UINT64_MAX);
}

Test(retry, takes_its_defaults_for_zeroes)
{
    struct sl_retry_policy policy = {0};
    cr_assert_leq(delay_max(&policy, 1), 200);
    cr_assert_gt(delay_max(&policy, 2), 200);
    cr_assert_eq(sl_retry_delay_ms(&policy, 3, &source), UINT64_MAX);
}

Test(retry, stays_under_its_cap_however_often_it_failed)
{
    struct sl_retry_policy policy = {
        .attempts_max = UINT16_MAX, .base_ms = UINT32_MAX, .cap_ms = UINT32_MAX};
    for (uint16_t attempts = 1; attempts < 100; attempts++)
        cr_assert_leq(delay_max(&policy, attempts), UINT32_MAX);
}
