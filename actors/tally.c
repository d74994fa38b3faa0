/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/tally.h"

#include <assert.h>

static_assert((SL_TALLY_SLOTS & (SL_TALLY_SLOTS - 1)) == 0, "a mask finds the slot");

static uint32_t
home(uint64_t key)
{
    return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (SL_TALLY_SLOTS - 1);
}

static uint32_t
after(uint32_t at)
{
    return (at + 1) & (SL_TALLY_SLOTS - 1);
}

/* The key's slot, or the free one where it would be. */
static uint32_t
find(const struct sl_tally *t, uint64_t key)
{
    uint32_t at = home(key);
    while (t->slots[at].count > 0 && t->slots[at].key != key)
        at = after(at);
    return at;
}

void
sl_tally_add(struct sl_tally *t, uint64_t key)
{
    sl_assert(t->total < SL_TALLY_MAX);
    uint32_t at = find(t, key);
    t->slots[at].key = key;
    t->slots[at].count++;
    t->total++;
}

/* Close the hole at `at`: whoever lies behind it and would not be found any more moves into it. */
static void
close_hole(struct sl_tally *t, uint32_t at)
{
    uint32_t mask = SL_TALLY_SLOTS - 1;
    for (uint32_t i = after(at); t->slots[i].count > 0; i = after(i)) {
        uint32_t walked = (i - home(t->slots[i].key)) & mask;
        if (walked < ((i - at) & mask))
            continue; /* Its home lies behind the hole. */
        t->slots[at] = t->slots[i];
        t->slots[i].count = 0;
        at = i;
    }
}

void
sl_tally_remove(struct sl_tally *t, uint64_t key)
{
    uint32_t at = find(t, key);
    sl_assert(t->slots[at].count > 0 && t->total > 0);
    t->total--;
    if (--t->slots[at].count == 0)
        close_hole(t, at);
}

uint32_t
sl_tally_count(const struct sl_tally *t, uint64_t key)
{
    return t->slots[find(t, key)].count;
}
