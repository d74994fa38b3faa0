/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/bucket.h"

#include <criterion/criterion.h>

#include "runtime/random.h"

static struct sl_random source;
static struct sl_bucket bucket;

static void
setup(void)
{
    sl_random_seed(&source, 17);
}

TestSuite(bucket, .init = setup);

static struct sl_rate
some_rate(void)
{
    return (struct sl_rate){.count = (uint32_t)(1 + sl_random_below(&source, 20)),
                            .burst = (uint32_t)(1 + sl_random_below(&source, 8)),
                            .period_ns = 1 + sl_random_below(&source, 1000)};
}

Test(bucket, gives_at_most_its_burst_and_what_flowed_in_over_any_time)
{
    enum { GRANTS = 300 };
    static uint64_t at_ns[GRANTS];
    for (int round = 0; round < 200; round++) {
        struct sl_rate rate = some_rate();
        uint64_t now_ns = sl_random_u64(&source) / 2;
        sl_bucket_init(&bucket, &rate, now_ns);
        for (uint32_t count = 0; count < GRANTS;) {
            now_ns += sl_random_below(&source, sl_random_below(&source, 400) + 1);
            while (count < GRANTS && sl_bucket_take(&bucket, &rate, now_ns, 1))
                at_ns[count++] = now_ns;
        }
        for (int64_t i = 0; i < GRANTS; i++) {
            for (int64_t j = i; j < GRANTS; j++) {
                int64_t over_burst = j - i + 1 - rate.burst;
                cr_assert_leq(over_burst * (int64_t)rate.period_ns,
                              (int64_t)((at_ns[j] - at_ns[i]) * rate.count));
            }
        }
    }
}

/*
 * Whoever takes at once what is there gets all of it: nothing is rounded away. Not so of a bucket
 * of one, which is full before the nanosecond is over in which its token comes.
 */
Test(bucket, gives_all_that_flows_in)
{
    for (int round = 0; round < 200; round++) {
        struct sl_rate rate = some_rate();
        rate.burst += 1;
        rate.period_ns += rate.count;
        uint64_t now_ns = 5, taken = 0;
        sl_bucket_init(&bucket, &rate, now_ns);
        for (int i = 0; i < 1000; i++) {
            now_ns = sl_bucket_next_ns(&bucket, &rate, now_ns, 1);
            cr_assert(sl_bucket_take(&bucket, &rate, now_ns, 1));
            taken++;
        }
        cr_assert_eq(taken + bucket.tokens,
                     rate.burst + (now_ns - 5) * rate.count / rate.period_ns);
    }
}

Test(bucket, says_to_the_nanosecond_when_there_is_enough)
{
    for (int round = 0; round < 5000; round++) {
        struct sl_rate rate = some_rate();
        uint64_t now_ns = 1000;
        sl_bucket_init(&bucket, &rate, now_ns);
        for (int i = 0; i < 3; i++) {
            now_ns += sl_random_below(&source, 300);
            (void)sl_bucket_take(&bucket, &rate, now_ns, 1 + (uint32_t)i);
        }
        uint32_t tokens = (uint32_t)(1 + sl_random_below(&source, rate.burst));
        uint64_t next_ns = sl_bucket_next_ns(&bucket, &rate, now_ns, tokens);
        cr_assert_geq(next_ns, now_ns);
        struct sl_bucket other = bucket;
        if (next_ns > now_ns)
            cr_assert_not(sl_bucket_take(&bucket, &rate, next_ns - 1, tokens));
        cr_assert(sl_bucket_take(&other, &rate, next_ns, tokens));
        cr_assert_eq(sl_bucket_next_ns(&other, &rate, next_ns, rate.burst + 1), UINT64_MAX);
    }
}

Test(bucket, is_full_at_most_after_a_clock_jumped_ahead)
{
    struct sl_rate rate = {.count = UINT32_MAX, .burst = 3, .period_ns = 1};
    sl_bucket_init(&bucket, &rate, 0);
    cr_assert(sl_bucket_take(&bucket, &rate, 0, 3));
    cr_assert(sl_bucket_take(&bucket, &rate, UINT64_MAX, 3));
    cr_assert_not(sl_bucket_take(&bucket, &rate, UINT64_MAX, 1));
}

Test(bucket, goes_on_from_where_a_clock_jumped_back_to)
{
    struct sl_rate rate = {.count = 1, .burst = 2, .period_ns = 10};
    sl_bucket_init(&bucket, &rate, 1000);
    cr_assert(sl_bucket_take(&bucket, &rate, 1000, 2));
    cr_assert_not(sl_bucket_take(&bucket, &rate, 100, 1));
    cr_assert_not(sl_bucket_take(&bucket, &rate, 109, 1));
    cr_assert(sl_bucket_take(&bucket, &rate, 110, 1));
}

Test(bucket, has_room_for_the_largest_numbers)
{
    struct sl_rate rate = {.count = 1, .burst = UINT32_MAX, .period_ns = SL_RATE_PERIOD_MAX_NS};
    cr_assert_eq(sl_rate_check(&rate), SL_OK);
    sl_bucket_init(&bucket, &rate, 0);
    cr_assert(sl_bucket_take(&bucket, &rate, 0, UINT32_MAX));
    cr_assert_eq(sl_bucket_next_ns(&bucket, &rate, 0, 1), SL_RATE_PERIOD_MAX_NS);
    cr_assert_eq(sl_bucket_next_ns(&bucket, &rate, 0, UINT32_MAX), UINT64_MAX);
}

Test(bucket, takes_back_what_was_for_nothing_and_no_more_than_fits)
{
    struct sl_rate rate = {.count = 1, .burst = 5, .period_ns = 1000};
    sl_bucket_init(&bucket, &rate, 0);
    cr_assert(sl_bucket_take(&bucket, &rate, 0, 4));
    sl_bucket_give(&bucket, &rate, 0, 2);
    cr_assert_eq(bucket.tokens, 3);
    sl_bucket_give(&bucket, &rate, 0, UINT32_MAX);
    cr_assert_eq(bucket.tokens, 5);
}

/* What was held and put back came on top of what had flowed in for it meanwhile. */
Test(bucket, takes_back_less_by_what_has_flowed_in_since)
{
    struct sl_rate rate = {.count = 1, .burst = 2, .period_ns = 100};
    sl_bucket_init(&bucket, &rate, 0);
    cr_assert(sl_bucket_take(&bucket, &rate, 0, 1)); /* This one comes to nothing... */
    cr_assert(sl_bucket_take(&bucket, &rate, 90, 1));
    sl_bucket_give(&bucket, &rate, 90, 1); /* ...and without it there would be one now, */
    cr_assert(sl_bucket_take(&bucket, &rate, 90, 1));
    cr_assert_eq(sl_bucket_next_ns(&bucket, &rate, 90, 1), 190); /* and no more for a while. */

    sl_bucket_init(&bucket, &rate, 1000);
    cr_assert(sl_bucket_take(&bucket, &rate, 1000, 2));
    sl_bucket_give(&bucket, &rate, 0, 1); /* Back at once. */
    cr_assert(sl_bucket_take(&bucket, &rate, 1000, 1));
    sl_bucket_give(&bucket, &rate, 100, 1); /* Another is there since. */
    cr_assert_not(sl_bucket_take(&bucket, &rate, 1000, 1));
}

Test(bucket, keeps_whole_tokens_when_its_rate_changes)
{
    struct sl_rate rate = {.count = 1, .burst = 5, .period_ns = 10};
    struct sl_rate other = {.count = 1, .burst = 2, .period_ns = 1000};
    sl_bucket_init(&bucket, &rate, 0);
    cr_assert(sl_bucket_take(&bucket, &rate, 0, 5));
    sl_bucket_change(&bucket, &rate, &other, 15);
    cr_assert_eq(bucket.tokens, 1);
    cr_assert_eq(sl_bucket_next_ns(&bucket, &other, 15, 2), 1015);
    sl_bucket_change(&bucket, &other, &rate, 100000);
    cr_assert_eq(bucket.tokens, 2);
}

Test(bucket, refuses_rates_that_are_none)
{
    struct sl_rate rates[] = {{.count = 0, .burst = 1, .period_ns = 1},
                              {.count = 1, .burst = 0, .period_ns = 1},
                              {.count = 1, .burst = 1, .period_ns = 0},
                              {.count = 1, .burst = 1, .period_ns = SL_RATE_PERIOD_MAX_NS + 1}};
    for (size_t i = 0; i < SL_COUNT_OF(rates); i++)
        cr_assert_eq(sl_rate_check(&rates[i]), SL_EINVAL);
}
