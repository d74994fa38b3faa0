/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/heap.h"

#include "runtime/alloc.h"

#define CAPACITY_MIN 16

void
sl_heap_deinit(struct sl_heap *h)
{
    sl_free(h->entries);
    *h = (struct sl_heap){0};
}

static void
resize(struct sl_heap *h, uint32_t capacity)
{
    h->entries = sl_realloc(h->entries, capacity * sizeof(*h->entries));
    h->capacity = capacity;
}

static bool
is_before(const struct sl_heap_entry *a, const struct sl_heap_entry *b)
{
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void
place(struct sl_heap *h, uint32_t at, struct sl_heap_entry entry)
{
    h->entries[at] = entry;
    *entry.position = at;
}

/* Put `entry` where the hole at `at` rises or sinks to. */
static void
settle(struct sl_heap *h, uint32_t at, struct sl_heap_entry entry)
{
    while (at > 0 && is_before(&entry, &h->entries[(at - 1) / 2])) {
        place(h, at, h->entries[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (uint32_t child; (child = 2 * at + 1) < h->count; at = child) {
        if (child + 1 < h->count && is_before(&h->entries[child + 1], &h->entries[child]))
            child++;
        if (!is_before(&h->entries[child], &entry))
            break;
        place(h, at, h->entries[child]);
    }
    place(h, at, entry);
}

void
sl_heap_push(struct sl_heap *h, struct sl_heap_entry entry)
{
    sl_assert(h->count < UINT32_MAX / 4);
    if (h->count == h->capacity)
        resize(h, SL_MAX(h->capacity * 2, (uint32_t)CAPACITY_MIN));
    settle(h, h->count++, entry);
}

void
sl_heap_remove(struct sl_heap *h, uint32_t position)
{
    sl_assert(position < h->count);
    struct sl_heap_entry last = h->entries[--h->count];
    if (position < h->count)
        settle(h, position, last);
    if (h->capacity > CAPACITY_MIN && h->count < h->capacity / 8)
        resize(h, h->capacity / 4);
}

void
sl_heap_rekey(struct sl_heap *h, uint32_t position, uint64_t key)
{
    sl_assert(position < h->count);
    struct sl_heap_entry entry = h->entries[position];
    entry.key = key;
    settle(h, position, entry);
}
