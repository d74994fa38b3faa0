/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that claim to be keys that are held. Those that are read write the same bytes, and all of
 * them can be found, swept and freed.
 */
#include <stdlib.h>

#include "queue/dedup.h"

static void
free_all(struct sl_dedup *d)
{
    struct sl_dedup_entry e;
    for (uint32_t slot = 0; slot < sl_dedup_slots(d); slot++) {
        if (!sl_dedup_at(d, slot, &e))
            continue;
        struct sl_dedup_want want = {.key = e.key, .mode = SL_DEDUP_TTL, .window_ms = 1};
        struct sl_dedup_answer answer;
        if (sl_dedup_look(d, &want, &answer) != SL_OK || (answer.slot != slot && e.until_ms != 0))
            abort();
        if (slot % 2 == 0)
            (void)sl_dedup_end(d, slot, e.task, false);
    }
    while (sl_dedup_next_ms(d) < UINT64_MAX)
        (void)sl_dedup_sweep(d, UINT64_MAX, 100);
    for (uint32_t slot = 0; slot < sl_dedup_slots(d); slot++) {
        if (sl_dedup_at(d, slot, &e) && !sl_dedup_drop(d, &e.key, UINT64_MAX))
            abort();
    }
    if (sl_dedup_count(d) != 0)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_dedup *d = sl_dedup_create(1000);
    if (sl_dedup_restore(d, sl_slice(data, size)) == SL_OK) {
        struct sl_buf out = {0};
        sl_dedup_snapshot(d, &out);
        if (!sl_slice_equal(sl_buf_slice(&out), sl_slice(data, size)))
            abort();
        sl_buf_deinit(&out);
        free_all(d);
    }
    sl_dedup_destroy(&d);
    return 0;
}
