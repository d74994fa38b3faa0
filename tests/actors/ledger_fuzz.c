/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a record's bytes are, reading them ends; and what was read is written as it was. */
#include "actors/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_ledger_sums sums = {0};
    struct sl_ledger_entry e;
    enum sl_err err = sl_ledger_sum_record(sl_slice(data, size), &sums);
    sl_assert(err == SL_OK || (err == SL_ECORRUPT && sums.count == 0));
    for (uint32_t i = 0; i < sums.count; i++) {
        uint8_t key[SL_LEDGER_KEY_MAX];
        struct sl_slice had = sl_ledger_sums_key(&sums, i);
        sl_assert(sl_ledger_key_read(had, &e) == SL_OK);
        sl_assert(sl_slice_equal(had, sl_slice(key, sl_ledger_key(&e, key))));
    }
    sl_ledger_sums_deinit(&sums);
    return 0;
}
