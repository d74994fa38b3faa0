/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/ledger_sums.h"

#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/hash.h"

#define SLOTS_MIN 64

void
sl_ledger_sums_deinit(struct sl_ledger_sums *s)
{
    sl_free(s->items);
    sl_free(s->slots);
    sl_buf_deinit(&s->keys);
    *s = (struct sl_ledger_sums){0};
}

void
sl_ledger_sums_clear(struct sl_ledger_sums *s)
{
    if (s->count > 0)
        memset(s->slots, 0, s->slots_count * sizeof(*s->slots));
    s->count = 0;
    sl_buf_clear(&s->keys);
}

static void
fill_slots(struct sl_ledger_sums *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t at = (uint32_t)s->items[i].hash & (s->slots_count - 1);
        while (s->slots[at] != 0)
            at = (at + 1) & (s->slots_count - 1);
        s->slots[at] = i + 1;
    }
}

static void
grow(struct sl_ledger_sums *s)
{
    s->slots_count = s->slots_count == 0 ? SLOTS_MIN : 2 * s->slots_count;
    s->capacity = s->slots_count / 2;
    s->items = sl_realloc(s->items, s->capacity * sizeof(*s->items));
    sl_free(s->slots);
    s->slots = sl_zalloc(s->slots_count * sizeof(*s->slots));
    fill_slots(s);
}

static bool
is_key(const struct sl_ledger_sums *s, const struct sl_ledger_sum *sum, uint64_t hash,
       struct sl_slice key)
{
    return sum->hash == hash && sum->key_size == key.size &&
           (key.size == 0 || memcmp(s->keys.data + sum->key_at, key.data, key.size) == 0);
}

struct sl_ledger_sum *
sl_ledger_sums_get(struct sl_ledger_sums *s, struct sl_slice key)
{
    if (s->count == s->capacity)
        grow(s);
    uint64_t hash = sl_hash64(key);
    uint32_t mask = s->slots_count - 1, at = (uint32_t)hash & mask;
    while (s->slots[at] != 0 && !is_key(s, &s->items[s->slots[at] - 1], hash, key))
        at = (at + 1) & mask;
    if (s->slots[at] == 0) {
        s->items[s->count] = (struct sl_ledger_sum){
            .hash = hash, .key_at = (uint32_t)s->keys.size, .key_size = (uint32_t)key.size};
        sl_buf_append_slice(&s->keys, key);
        s->slots[at] = ++s->count;
    }
    return &s->items[s->slots[at] - 1];
}

const struct sl_ledger_sum *
sl_ledger_sums_lookup(const struct sl_ledger_sums *s, struct sl_slice key)
{
    uint64_t hash = sl_hash64(key);
    uint32_t mask = s->slots_count - 1, at = (uint32_t)hash & mask;
    if (s->slots_count == 0)
        return NULL;
    while (s->slots[at] != 0 && !is_key(s, &s->items[s->slots[at] - 1], hash, key))
        at = (at + 1) & mask;
    return s->slots[at] == 0 ? NULL : &s->items[s->slots[at] - 1];
}

void
sl_ledger_sums_add(struct sl_ledger_sums *s, struct sl_slice key, uint64_t amount,
                   uint64_t cost_nano)
{
    struct sl_ledger_sum *sum = sl_ledger_sums_get(s, key);
    sum->amount = sl_ledger_plus(sum->amount, amount);
    sum->cost_nano = sl_ledger_plus(sum->cost_nano, cost_nano);
}

static int
order(const void *a, const void *b, void *arg)
{
    const struct sl_ledger_sum *x = a, *y = b;
    const struct sl_buf *keys = arg;
    size_t size = SL_MIN(x->key_size, y->key_size);
    int by = size == 0 ? 0 : memcmp(keys->data + x->key_at, keys->data + y->key_at, size);
    return by != 0 ? by : (x->key_size > y->key_size) - (x->key_size < y->key_size);
}

void
sl_ledger_sums_sort(struct sl_ledger_sums *s)
{
    if (s->count < 2)
        return;
    qsort_r(s->items, s->count, sizeof(*s->items), order, &s->keys);
    memset(s->slots, 0, s->slots_count * sizeof(*s->slots));
    fill_slots(s);
}

struct sl_slice
sl_ledger_sums_key(const struct sl_ledger_sums *s, uint32_t index)
{
    sl_assert(index < s->count);
    return sl_slice(s->keys.data + s->items[index].key_at, s->items[index].key_size);
}
