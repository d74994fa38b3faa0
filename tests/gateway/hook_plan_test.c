/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gateway/hook_plan.h"

static const struct sl_hook_policy policy = {
    .attempts_max = 4, .base_ms = 1000, .cap_ms = 10000, .keep_ms = 500000};

static void
try(struct sl_delivery *d, uint32_t status, uint64_t retry_after_ms, uint64_t now_ms)
{
    struct sl_random random;
    sl_random_seed(&random, now_ms);
    sl_hook_plan(&policy,
                 &(struct sl_hook_outcome){.status = status,
                                           .retry_after_ms = retry_after_ms,
                                           .error = sl_slice_str(status == 0 ? "no route" : "")},
                 now_ms, &random, d);
}

Test(hook_plan, any_2xx_ends_it_well)
{
    for (uint32_t status = 200; status < 300; status += 33) {
        struct sl_delivery d = {0};
        try(&d, status, 0, 77);
        cr_assert_eq(d.state, SL_DELIVERY_DELIVERED);
        cr_assert_eq(d.ended_ms, 77);
        cr_assert_eq(d.due_ms, 77 + policy.keep_ms);
        cr_assert_eq(d.attempts, 1);
    }
}

Test(hook_plan, pauses_grow_fourfold_up_to_the_cap_and_are_jittered)
{
    static const uint64_t longest[] = {1000, 4000, 10000};
    uint64_t seen_max[3] = {0}, seen_min[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    for (uint64_t seed = 1; seed < 400; seed++) {
        struct sl_delivery d = {0};
        for (int i = 0; i < 3; i++) {
            try(&d, i == 1 ? 0 : 500, 0, seed);
            cr_assert_eq(d.state, SL_DELIVERY_PENDING);
            cr_assert_leq(d.due_ms - seed, longest[i]);
            seen_max[i] = SL_MAX(seen_max[i], d.due_ms - seed);
            seen_min[i] = SL_MIN(seen_min[i], d.due_ms - seed);
        }
    }
    for (int i = 0; i < 3; i++) {
        cr_assert_gt(seen_max[i], longest[i] * 9 / 10);
        cr_assert_lt(seen_min[i], longest[i] / 10);
    }
}

Test(hook_plan, the_last_try_is_the_end)
{
    struct sl_delivery d = {.attempts = 3};
    try(&d, 0, 0, 5);
    cr_assert_eq(d.state, SL_DELIVERY_DEAD);
    cr_assert_eq(d.attempts, 4);
    cr_assert(sl_slice_is(d.error, "no route"));
    cr_assert_eq(d.due_ms, 5 + policy.keep_ms);
}

Test(hook_plan, gone_is_dead_at_once)
{
    struct sl_delivery d = {0};
    try(&d, 410, 0, 5);
    cr_assert_eq(d.state, SL_DELIVERY_DEAD);
}

Test(hook_plan, a_receiver_may_ask_for_a_longer_pause_but_not_for_ever)
{
    struct sl_delivery d = {0};
    try(&d, 429, 7000, 100);
    cr_assert_eq(d.due_ms, 7100);
    struct sl_delivery greedy = {0};
    try(&greedy, 503, 1000000000, 100);
    cr_assert_eq(greedy.due_ms, 100 + policy.cap_ms);
}

/* Computed with Python's hmac module. */
Test(hook_plan, the_signature_is_that_of_the_time_and_the_body)
{
    char signature[SL_HOOK_SIGNATURE_SIZE];
    sl_hook_sign(sl_slice_str("whsec_test"), 1700000000999, sl_slice_str("{\"a\":1}"), signature);
    cr_assert_str_eq(
        signature,
        "t=1700000000,v1=38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789");
}
