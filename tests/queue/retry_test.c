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

static enum sl_retry_verdict
decide(const struct sl_retry_policy *policy, struct sl_retry_failure failure, uint64_t *ret_ms)
{
    *ret_ms = UINT64_MAX;
    failure.attempts = SL_MAX(failure.attempts, 1);
    return sl_retry_decide(policy, &failure, &source, ret_ms);
}

Test(retry, waits_as_long_each_time_when_it_is_fixed)
{
    struct sl_retry_policy policy = {
        .kind = SL_RETRY_FIXED, .attempts_max = 100, .base_ms = 90000, .cap_ms = 5};
    cr_assert_eq(sl_retry_check(&policy), SL_OK);
    for (uint16_t attempts = 1; attempts < 100; attempts++)
        cr_assert_eq(sl_retry_delay_ms(&policy, attempts, &source), 90000);
}

Test(retry, spreads_25_runs_over_three_weeks_with_the_fourth_power)
{
    struct sl_retry_policy policy = {.kind = SL_RETRY_FOURTH};
    uint64_t sum_ms = 0;
    for (uint16_t attempts = 1; attempts < 25; attempts++) {
        uint64_t n = attempts - 1u, least_ms = (n * n * n * n + 15) * 1000;
        uint64_t delay_ms = sl_retry_delay_ms(&policy, attempts, &source);
        cr_assert_geq(delay_ms, least_ms);
        cr_assert_lt(delay_ms, least_ms + 10000 * (n + 1));
        sum_ms += delay_ms;
    }
    cr_assert_eq(sl_retry_delay_ms(&policy, 25, &source), UINT64_MAX);
    uint64_t day_ms = 86400000;
    cr_assert(sum_ms > 15 * day_ms && sum_ms < 22 * day_ms);
    policy.attempts_max = UINT16_MAX;
    cr_assert_eq(sl_retry_delay_ms(&policy, UINT16_MAX - 1, &source), UINT32_MAX);
}

Test(retry, does_what_was_asked_for_up_to_a_cap)
{
    struct sl_retry_policy policy = {.cap_ms = 300};
    uint64_t delay_ms;
    cr_assert_eq(decide(&policy, (struct sl_retry_failure){.after_ms = 7000}, &delay_ms),
                 SL_RETRY_AGAIN);
    cr_assert_eq(delay_ms, 7000);
    (void)decide(&policy, (struct sl_retry_failure){.after_ms = UINT64_MAX}, &delay_ms);
    cr_assert_eq(delay_ms, 3600000);
    policy.after_cap_ms = 500;
    (void)decide(&policy, (struct sl_retry_failure){.after_ms = UINT64_MAX}, &delay_ms);
    cr_assert_eq(delay_ms, 500);
    cr_assert_eq(
        decide(&policy, (struct sl_retry_failure){.attempts = 3, .after_ms = 1}, &delay_ms),
        SL_RETRY_SPENT);
}

Test(retry, begins_no_run_later_than_it_may_after_the_first_failure)
{
    struct sl_retry_policy policy = {.kind = SL_RETRY_FIXED, .base_ms = 400, .retry_for_ms = 1000};
    struct sl_retry_failure failure = {.first_failed_ms = 5000, .now_ms = 5000};
    uint64_t delay_ms, runs = 0;
    while (decide(&policy, failure, &delay_ms) == SL_RETRY_AGAIN) {
        failure.now_ms += delay_ms;
        cr_assert_lt(failure.now_ms, 6000);
        cr_assert_leq(++runs, 3);
        failure.attempts = 60000; /* There is no other limit. */
        if (failure.now_ms == 5999)
            failure.now_ms = 6000;
    }
    cr_assert_eq(runs, 3);
    cr_assert_eq(decide(&policy, failure, &delay_ms), SL_RETRY_LATE);

    failure = (struct sl_retry_failure){.first_failed_ms = 5000, .now_ms = 5500, .after_ms = 500};
    cr_assert_eq(decide(&policy, failure, &delay_ms), SL_RETRY_LATE);
    failure.after_ms = 499;
    cr_assert_eq(decide(&policy, failure, &delay_ms), SL_RETRY_AGAIN);
    cr_assert_eq(delay_ms, 499);

    failure = (struct sl_retry_failure){.first_failed_ms = 5000, .now_ms = 10};
    cr_assert_eq(decide(&policy, failure, &delay_ms), SL_RETRY_AGAIN); /* The clock went back. */
}

Test(retry, gives_up_at_once_on_a_final_class)
{
    struct sl_retry_policy policy = {.classes_count = 2, .classes = {"validation", "denied"}};
    uint64_t delay_ms;
    const char *final[] = {"validation", "denied"}, *others[] = {"", "valid", "validation2"};
    for (size_t i = 0; i < SL_COUNT_OF(final); i++)
        cr_assert_eq(
            decide(&policy,
                   (struct sl_retry_failure){.class = sl_slice_str(final[i]), .after_ms = 5},
                   &delay_ms),
            SL_RETRY_FINAL);
    for (size_t i = 0; i < SL_COUNT_OF(others); i++)
        cr_assert_eq(
            decide(&policy, (struct sl_retry_failure){.class = sl_slice_str(others[i])}, &delay_ms),
            SL_RETRY_AGAIN);
}

Test(retry, refuses_policies_that_are_none)
{
    struct sl_retry_policy policies[] = {
        {.kind = SL_RETRY_KIND_COUNT},
        {.base_ms = 100, .cap_ms = 99},
        {.classes_count = SL_RETRY_CLASSES_MAX + 1},
        {.classes_count = 1},
        {.classes_count = 2, .classes = {"a", "a"}},
        {.classes_count = 1, .classes = {"a\0b"}},
        {.classes_count = 1, .classes = {"12345678901234567890123456789012"}},
    };
    for (size_t i = 0; i < SL_COUNT_OF(policies); i++)
        cr_assert_eq(sl_retry_check(&policies[i]), SL_EINVAL, "policy %zu", i);
    cr_assert_eq(sl_retry_check(&(struct sl_retry_policy){.base_ms = 100000}), SL_OK);
    cr_assert_eq(sl_retry_check(&(struct sl_retry_policy){0}), SL_OK);
}

Test(retry, reads_what_it_writes_and_no_part_of_it)
{
    struct sl_retry_policy policy = {.kind = SL_RETRY_FOURTH,
                                     .attempts_max = 0x1234,
                                     .base_ms = 77,
                                     .cap_ms = 0x12345678,
                                     .after_cap_ms = 9,
                                     .retry_for_ms = UINT64_C(1) << 40,
                                     .classes_count = 8};
    for (char i = 0; i < 8; i++)
        memset(policy.classes[(int)i], 'a' + i, SL_RETRY_CLASS_SIZE_MAX);
    struct sl_buf out = {0};
    sl_retry_encode(&policy, &out);
    cr_assert_eq(out.size, SL_RETRY_POLICY_SIZE_MAX);

    struct sl_retry_policy read = {.base_ms = 1};
    for (size_t size = 0; size < out.size; size++)
        cr_assert_eq(sl_retry_decode(sl_slice(out.data, size), &read), SL_ECORRUPT);
    cr_assert_eq(read.base_ms, 1);
    cr_assert_eq(sl_retry_decode(sl_buf_slice(&out), &read), SL_OK);
    cr_assert_eq(memcmp(&read, &policy, sizeof(read)), 0);
    sl_buf_append_u8(&out, 0);
    cr_assert_eq(sl_retry_decode(sl_buf_slice(&out), &read), SL_ECORRUPT);
    out.data[0] = 2;
    cr_assert_eq(sl_retry_decode(sl_buf_slice(&out), &read), SL_EVERSION);
    sl_buf_deinit(&out);
}
