/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger_sums.h - sums of amounts by keys of bytes, in memory: what a ledger is folded and reported
 * with, and what is not in it yet. Zeroed: empty. Sums never wrap: they stay at the largest number.
 *
 * Threading: the owner's.
 */
#ifndef SL_ACTORS_LEDGER_SUMS_H
#define SL_ACTORS_LEDGER_SUMS_H

#include "runtime/base.h"
#include "runtime/buf.h"

struct sl_ledger_sum {
    uint64_t hash;
    uint64_t amount, cost_nano;
    uint32_t key_at, key_size; /* In `keys`. */
};

struct sl_ledger_sums {
    struct sl_ledger_sum *items; /* In the order they came, or were sorted in. */
    uint32_t count, capacity;
    uint32_t *slots; /* Of items, + 1; 0: empty. A power of two, at most half full. */
    uint32_t slots_count;
    struct sl_buf keys;
};

void sl_ledger_sums_deinit(struct sl_ledger_sums *s); /* Empty again. */
void sl_ledger_sums_clear(struct sl_ledger_sums *s);  /* Keeps the memory. */
/* The sum of a key, which is made where there is none. Borrowed until the next. */
struct sl_ledger_sum *sl_ledger_sums_get(struct sl_ledger_sums *s, struct sl_slice key);
/* NULL: there is none. Borrowed until the next add. */
const struct sl_ledger_sum *sl_ledger_sums_lookup(const struct sl_ledger_sums *s,
                                                  struct sl_slice key);
void sl_ledger_sums_add(struct sl_ledger_sums *s, struct sl_slice key, uint64_t amount,
                        uint64_t cost_nano);
/* By the bytes of their keys. */
void sl_ledger_sums_sort(struct sl_ledger_sums *s);
/* Borrowed until the next add. */
struct sl_slice sl_ledger_sums_key(const struct sl_ledger_sums *s, uint32_t index);

static inline uint64_t
sl_ledger_plus(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

#endif
