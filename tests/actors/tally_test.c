/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/tally.h"

#include <criterion/criterion.h>

#include "runtime/alloc.h"
#include "runtime/random.h"

#define KEYS 300u

Test(tally, counts_each_key_alone)
{
    struct sl_tally *t = sl_zalloc(sizeof(*t));
    cr_expect_eq(sl_tally_count(t, 7), 0);
    sl_tally_add(t, 7);
    sl_tally_add(t, 7);
    sl_tally_add(t, 0);
    cr_expect_eq(sl_tally_count(t, 7), 2);
    cr_expect_eq(sl_tally_count(t, 0), 1);
    sl_tally_remove(t, 7);
    sl_tally_remove(t, 7);
    cr_expect_eq(sl_tally_count(t, 7), 0);
    cr_expect_eq(sl_tally_count(t, 0), 1);
    cr_expect_eq(t->total, 1);
    sl_free(t);
}

/* Against a plain array, with as many in the table as it takes: holes are closed, none is lost. */
Test(tally, agrees_with_an_array_whatever_comes_and_goes)
{
    struct sl_tally *t = sl_zalloc(sizeof(*t));
    uint32_t counts[KEYS] = {0};
    struct sl_random random;
    sl_random_seed(&random, 7);
    for (uint32_t step = 0; step < 200000; step++) {
        uint64_t key = sl_random_below(&random, KEYS);
        bool is_add = sl_random_below(&random, 2) == 0 || counts[key] == 0;
        if (is_add && t->total < SL_TALLY_MAX) {
            sl_tally_add(t, key << 40);
            counts[key]++;
        } else if (counts[key] > 0) {
            sl_tally_remove(t, key << 40);
            counts[key]--;
        }
        uint64_t other = sl_random_below(&random, KEYS);
        cr_assert_eq(sl_tally_count(t, other << 40), counts[other], "step %u", step);
    }
    sl_free(t);
}
