/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - records from one process to one other through memory that both have, without a system
 * call: a ring of bytes with one writer and one reader.
 *
 *   writer:  room? copy, then move `tail`        reader:  tail past ours? copy out, then move
 * `head`
 *
 * The other end is not trusted. Where an end is itself it keeps in memory of its own and only tells
 * the other; what the other tells is read once, checked, and a record is copied before it is looked
 * at. So an end that lies, or writes while it is read, gets SL_ECORRUPT told of it and harms
 * nobody. Whoever has had that from a ring uses it no more.
 *
 * Sleep: a reader that is about to sleep says so (sl_ring_doze) and looks once more; a writer asks
 * (sl_ring_wakes) whether it has to be woken, by whatever bell there is.
 *
 * Threading: each end on one thread; the two may run at the same time.
 */
#ifndef SL_RUNTIME_RING_H
#define SL_RUNTIME_RING_H

#include <stdatomic.h>

#include "runtime/base.h"

#define SL_RING_LINE 64 /* What one end writes lies apart from what the other does. */

/* As it lies in the memory; the bytes follow. */
struct sl_ring_shared {
    _Alignas(SL_RING_LINE) _Atomic uint64_t tail;      /* Bytes ever written; the writer's. */
    _Alignas(SL_RING_LINE) _Atomic uint64_t head;      /* Bytes ever read; the reader's. */
    _Alignas(SL_RING_LINE) _Atomic uint32_t is_dozing; /* The reader's; the writer takes it back. */
    _Alignas(SL_RING_LINE) uint8_t bytes[];
};

/* One end of it. */
struct sl_ring {
    struct sl_ring_shared *shared; /* Borrowed. */
    uint32_t capacity;             /* Bytes; a power of two. */
    uint32_t record_max;           /* Of one record; beside it a ring takes its size. */
    uint64_t at;                   /* Where this end is. */
    uint64_t other;                /* Where the other said last that it is. */
};

/* Of the memory of a ring of so many bytes. */
size_t sl_ring_size(uint32_t capacity);

/* What a record of this size takes of a ring. */
static inline uint64_t
sl_ring_space(size_t size)
{
    return (sizeof(uint32_t) + (uint64_t)size + 7) & ~UINT64_C(7);
}

/* An end of a ring whose memory (aligned to a line) is all zero, or was a moment ago. */
void sl_ring_init(struct sl_ring *r, void *memory, uint32_t capacity, uint32_t record_max);

/* SL_ETOOBIG: more than one record may have. SL_EFULL: no room now. SL_ECORRUPT: the reader lies.
 */
SL_MUST_CHECK enum sl_err sl_ring_write(struct sl_ring *r, struct sl_slice record);
/* Copy the next record to `to`, which has room for record_max. SL_ENOTFOUND: there is none now.
   SL_ECORRUPT: the writer lies. */
SL_MUST_CHECK enum sl_err sl_ring_read(struct sl_ring *r, void *to, size_t *ret_size);
/* Whether something has come, or the writer lies: a read tells. */
bool sl_ring_has_news(const struct sl_ring *r);

/* The reader is about to sleep; false: something has come, and it must not. */
bool sl_ring_doze(struct sl_ring *r);
void sl_ring_rouse(struct sl_ring *r); /* It is awake: no bell is needed. */
/* After a write: whether the reader has to be woken, which is then the caller's to do. */
bool sl_ring_wakes(struct sl_ring *r);

#endif
