/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_queue.h - what one thread will run next, in order, and others may steal: a ring of a fixed
 * size. The owner pushes at the tail; it and thieves take at the head, by compare-and-swap, so a
 * thief that reads an entry which is gone already fails there and tries again. Thieves take half,
 * the oldest.
 * Threading: push, pop: the owner. steal: the thief, into its own queue, which must be empty.
 */
#ifndef SL_RUNTIME_RUN_QUEUE_H
#define SL_RUNTIME_RUN_QUEUE_H

#include <stdatomic.h>

#include "runtime/base.h"

#define SL_RUN_QUEUE_SIZE 256u /* A power of two. */

struct sl_run_queue {
    _Alignas(64) _Atomic uint32_t head;
    _Alignas(64) _Atomic uint32_t tail; /* tail - head entries, in numbers that wrap. */
    _Atomic(void *) ring[SL_RUN_QUEUE_SIZE];
};

static inline uint32_t
sl_run_queue_count(struct sl_run_queue *q)
{
    /* The head first: it never passes a tail that was read after it. */
    uint32_t head = atomic_load_explicit(&q->head, memory_order_acquire);
    return atomic_load_explicit(&q->tail, memory_order_acquire) - head;
}

/* False: it is full. */
static inline bool
sl_run_queue_push(struct sl_run_queue *q, void *entry)
{
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    if (tail - atomic_load_explicit(&q->head, memory_order_acquire) >= SL_RUN_QUEUE_SIZE)
        return false;
    atomic_store_explicit(&q->ring[tail % SL_RUN_QUEUE_SIZE], entry, memory_order_relaxed);
    atomic_store_explicit(&q->tail, tail + 1, memory_order_release);
    return true;
}

/* NULL: it is empty. */
static inline void *
sl_run_queue_pop(struct sl_run_queue *q)
{
    uint32_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    void *entry;
    do {
        if (head == tail)
            return NULL;
        entry = atomic_load_explicit(&q->ring[head % SL_RUN_QUEUE_SIZE], memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(&q->head, &head, head + 1, memory_order_acq_rel,
                                                    memory_order_relaxed));
    return entry;
}

/* Move half of `from`, rounded up, to `q` and return the first of them; NULL: there is none. */
static inline void *
sl_run_queue_steal(struct sl_run_queue *q, struct sl_run_queue *from)
{
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    for (;;) {
        uint32_t head = atomic_load_explicit(&from->head, memory_order_acquire);
        uint32_t there = atomic_load_explicit(&from->tail, memory_order_acquire) - head;
        uint32_t count = there - there / 2;
        if (count == 0)
            return NULL;
        if (count > SL_RUN_QUEUE_SIZE / 2)
            continue; /* Head and tail are of different moments. */
        void *first =
            atomic_load_explicit(&from->ring[head % SL_RUN_QUEUE_SIZE], memory_order_relaxed);
        for (uint32_t i = 1; i < count; i++) {
            void *entry = atomic_load_explicit(&from->ring[(head + i) % SL_RUN_QUEUE_SIZE],
                                               memory_order_relaxed);
            atomic_store_explicit(&q->ring[(tail + i - 1) % SL_RUN_QUEUE_SIZE], entry,
                                  memory_order_relaxed);
        }
        if (!atomic_compare_exchange_strong_explicit(&from->head, &head, head + count,
                                                     memory_order_acq_rel, memory_order_relaxed))
            continue;
        atomic_store_explicit(&q->tail, tail + count - 1, memory_order_release);
        return first;
    }
}

#endif
