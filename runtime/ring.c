/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/ring.h"

#include <assert.h>

/* A record is its size and its bytes, filled up to eight: so a size never lies across the end. */
#define HEAD_BYTES sizeof(uint32_t)

static_assert(sizeof(struct sl_ring_shared) == 3 * SL_RING_LINE, "each end's words lie apart");

size_t
sl_ring_size(uint32_t capacity)
{
    return sizeof(struct sl_ring_shared) + capacity;
}

void
sl_ring_init(struct sl_ring *r, void *memory, uint32_t capacity, uint32_t record_max)
{
    sl_assert(memory != NULL && (uintptr_t)memory % SL_RING_LINE == 0);
    sl_assert(capacity >= SL_RING_LINE && (capacity & (capacity - 1)) == 0);
    sl_assert(sl_ring_space(record_max) <= capacity);
    *r = (struct sl_ring){.shared = memory, .capacity = capacity, .record_max = record_max};
}

/* ---- bytes --------------------------------------------------------------------------------- */

static void
put(struct sl_ring *r, uint64_t at, const void *bytes, size_t size)
{
    size_t from = (size_t)(at & (r->capacity - 1)), first = SL_MIN(size, r->capacity - from);
    if (size == 0)
        return;
    memcpy(r->shared->bytes + from, bytes, first);
    memcpy(r->shared->bytes, (const uint8_t *)bytes + first, size - first);
}

static void
take(const struct sl_ring *r, uint64_t at, void *to, size_t size)
{
    size_t from = (size_t)(at & (r->capacity - 1)), first = SL_MIN(size, r->capacity - from);
    if (size == 0)
        return;
    memcpy(to, r->shared->bytes + from, first);
    memcpy((uint8_t *)to + first, r->shared->bytes, size - first);
}

/* ---- the writer ---------------------------------------------------------------------------- */

enum sl_err
sl_ring_write(struct sl_ring *r, struct sl_slice record)
{
    if (record.size > r->record_max)
        return SL_ETOOBIG;
    uint64_t space = sl_ring_space(record.size);
    if (space > r->capacity - (r->at - r->other)) {
        uint64_t head = atomic_load_explicit(&r->shared->head, memory_order_acquire);
        /* It goes only forward, and not past what was written. */
        if (head - r->other > r->at - r->other)
            return SL_ECORRUPT;
        r->other = head;
    }
    if (space > r->capacity - (r->at - r->other))
        return SL_EFULL;
    uint32_t size = (uint32_t)record.size;
    put(r, r->at, &size, sizeof(size));
    put(r, r->at + HEAD_BYTES, record.data, record.size);
    r->at += space;
    atomic_store(&r->shared->tail, r->at); /* In one order with the words on dozing: see below. */
    return SL_OK;
}

/* The two ends' stores and loads here are of one order that both see. So either this sees that the
 * reader dozes, or the reader, which looks once more after it said so, sees the record. */
bool
sl_ring_wakes(struct sl_ring *r)
{
    return atomic_load(&r->shared->is_dozing) != 0 &&
           atomic_exchange(&r->shared->is_dozing, 0) != 0;
}

/* ---- the reader ---------------------------------------------------------------------------- */

enum sl_err
sl_ring_read(struct sl_ring *r, void *to, size_t *ret_size)
{
    if (r->other == r->at) {
        uint64_t tail = atomic_load_explicit(&r->shared->tail, memory_order_acquire);
        if (tail == r->at)
            return SL_ENOTFOUND;
        if (tail - r->at > r->capacity || tail % 8 != 0)
            return SL_ECORRUPT;
        r->other = tail;
    }
    uint32_t size;
    take(r, r->at, &size, sizeof(size));
    uint64_t space = sl_ring_space(size);
    if (size > r->record_max || space > r->other - r->at)
        return SL_ECORRUPT;
    take(r, r->at + HEAD_BYTES, to, size);
    r->at += space;
    atomic_store_explicit(&r->shared->head, r->at, memory_order_release);
    *ret_size = size;
    return SL_OK;
}

bool
sl_ring_has_news(const struct sl_ring *r)
{
    return r->other != r->at ||
           atomic_load_explicit(&r->shared->tail, memory_order_acquire) != r->at;
}

bool
sl_ring_doze(struct sl_ring *r)
{
    atomic_store(&r->shared->is_dozing, 1);
    if (r->other == r->at && atomic_load(&r->shared->tail) == r->at)
        return true;
    sl_ring_rouse(r);
    return false;
}

void
sl_ring_rouse(struct sl_ring *r)
{
    atomic_store_explicit(&r->shared->is_dozing, 0, memory_order_relaxed);
}
