/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.h - a binary min-heap over (key, order) whose items know their place, so that any of them
 * can be removed in O(log n). An item holds a uint32_t; SL_CONTAINER leads from it back to the
 * item. Threading: one owner.
 */
#ifndef SL_QUEUE_HEAP_H
#define SL_QUEUE_HEAP_H

#include "runtime/base.h"

struct sl_heap_entry {
    uint64_t key;
    uint64_t order;     /* Among equal keys the smaller one first. */
    uint32_t *position; /* In the item; kept up to date while it is inside. */
};

struct sl_heap {
    struct sl_heap_entry *entries; /* entries[0] is the smallest. */
    uint32_t count;
    uint32_t capacity;
};

void sl_heap_deinit(struct sl_heap *h); /* Zeroed is fine. */
void sl_heap_push(struct sl_heap *h, struct sl_heap_entry entry);
void sl_heap_remove(struct sl_heap *h, uint32_t position); /* position < count */
void sl_heap_rekey(struct sl_heap *h, uint32_t position, uint64_t key);

#endif
