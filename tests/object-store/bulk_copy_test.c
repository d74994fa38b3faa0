/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "object-store/bulk_copy.h"
#include "runtime/alloc.h"
#include "runtime/random.h"

#define ROOM (400 * SL_KIB)

/* Bytes before and behind stay as they were, whatever the places and sizes. */
Test(bulk_copy, copies_what_it_is_told_and_nothing_else)
{
    struct sl_random r;
    sl_random_seed(&r, 3);
    uint8_t *from = sl_alloc(ROOM), *to = sl_alloc(ROOM), *want = sl_alloc(ROOM);
    for (size_t i = 0; i < ROOM; i++)
        from[i] = (uint8_t)sl_random_u64(&r);
    for (uint32_t i = 0; i < 400; i++) {
        size_t size = sl_random_below(&r, i % 2 == 0 ? ROOM : 300);
        size_t at = sl_random_below(&r, ROOM - size), source = sl_random_below(&r, ROOM - size);
        memset(to, 0x5a, ROOM);
        memset(want, 0x5a, ROOM);
        memcpy(want + at, from + source, size);
        sl_bulk_copy(to + at, from + source, size);
        cr_assert(memcmp(to, want, ROOM) == 0, "%zu bytes from %zu to %zu", size, source, at);
    }
    sl_free(from);
    sl_free(to);
    sl_free(want);
}
