/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "actors/use_counts.h"

static uint64_t
sum_of(const struct sl_use_counts *counts, enum sl_use_kind kind, uint64_t scope, const char *label)
{
    struct sl_use use;
    const struct sl_ledger_sum *sum;
    uint64_t all = 0;
    for (uint32_t at = 0; sl_use_next(counts, &at, &use, &sum);) {
        if (use.kind == kind && use.scope.id == scope && sl_slice_is(use.labels[0], label))
            all += sum->amount;
    }
    return all;
}

Test(use_counts, a_record_is_counted_by_resource_and_what_is_none_is_not)
{
    struct sl_use_counts *counts = sl_use_counts_create();
    struct sl_buf record = {0};
    const struct sl_ledger_entry one = {.resource = SL_LEDGER_tokens, .amount = 3, .cost_nano = 60};
    const struct sl_ledger_entry two = {
        .resource = SL_LEDGER_documents, .amount = 5, .cost_nano = 1};
    sl_ledger_write(&record, &one);
    sl_ledger_write(&record, &two);
    sl_use_count_record(counts, (struct sl_scope){7}, sl_buf_slice(&record));
    sl_use_count_record(counts, (struct sl_scope){7}, sl_slice("\1x", 2));
    sl_use_count_entry(counts, (struct sl_scope){8}, &one);
    cr_assert_eq(sum_of(counts, SL_USE_LEDGER, 7, "tokens"), 3);
    cr_assert_eq(sum_of(counts, SL_USE_LEDGER, 7, "documents"), 5);
    cr_assert_eq(sum_of(counts, SL_USE_LEDGER, 8, "tokens"), 3);
    sl_use_count_record(NULL, (struct sl_scope){7}, sl_buf_slice(&record));
    sl_buf_deinit(&record);
    sl_use_counts_destroy(&counts);
    sl_use_counts_destroy(&counts);
}

Test(use_counts, those_beyond_the_most_are_counted_as_others)
{
    struct sl_use_counts *counts = sl_use_counts_create();
    struct sl_use use = {.kind = SL_USE_TOKENS, .labels = {sl_slice_str("m")}}, got;
    const struct sl_ledger_sum *sum;
    uint32_t count = 0;
    for (uint32_t i = 0; i < SL_USE_COUNTS_MAX + 500; i++) {
        use.scope.id = i + 1;
        sl_use_count(counts, &use, 1, 0);
    }
    use.scope.id = 1; /* Known: still counted by itself. */
    sl_use_count(counts, &use, 1, 0);
    for (uint32_t at = 0; sl_use_next(counts, &at, &got, &sum);)
        count++;
    cr_assert_eq(count, SL_USE_COUNTS_MAX + 1);
    cr_assert_eq(sum_of(counts, SL_USE_TOKENS, 0, "other"), 500);
    cr_assert_eq(sum_of(counts, SL_USE_TOKENS, 1, "m"), 2);
    sl_use_counts_destroy(&counts);
}

Test(use_counts, long_labels_are_cut)
{
    struct sl_use_counts *counts = sl_use_counts_create();
    char name[200];
    struct sl_use use = {.kind = SL_USE_TOKENS, .labels = {{(const uint8_t *)name, sizeof(name)}}},
                  got;
    const struct sl_ledger_sum *sum;
    uint32_t at = 0;
    memset(name, 'a', sizeof(name));
    sl_use_count(counts, &use, 4, 0);
    cr_assert(sl_use_next(counts, &at, &got, &sum));
    cr_assert_eq(got.labels[0].size, SL_USE_LABEL_MAX);
    cr_assert_eq(sum->amount, 4);
    cr_assert_not(sl_use_next(counts, &at, &got, &sum));
    sl_use_counts_destroy(&counts);
}
