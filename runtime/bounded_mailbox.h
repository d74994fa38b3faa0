/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bounded_mailbox.h - an actor's mailbox: many producers, one consumer, first in first out. One
 * word holds the newest message, how many wait, and whether the actor has to be scheduled, so that
 * a push is one compare-and-swap and never waits.
 *
 *     CLOSED --open--> BUSY --rest, when empty--> IDLE --push: the pusher schedules--> BUSY
 *                        `-----------close, with what waits----------------> CLOSED
 *
 * BUSY is the word 0 or a message: the consumer runs, or is in a run queue. It takes all at once;
 * the count starts again then, so that up to twice the bound can be there at a time.
 * Threading: push on any thread; the others on the one that has the actor.
 */
#ifndef SL_RUNTIME_BOUNDED_MAILBOX_H
#define SL_RUNTIME_BOUNDED_MAILBOX_H

#include <stdatomic.h>

#include "runtime/message.h"

/* Pointers have 48 bits; the count of messages lies above them. */
#define SL_BOX_COUNT_SHIFT 48
#define SL_BOX_POINTER     ((UINT64_C(1) << SL_BOX_COUNT_SHIFT) - 1)
#define SL_BOX_MAX         UINT64_C(0xffff)
#define SL_BOX_IDLE        UINT64_C(1)
#define SL_BOX_CLOSED      UINT64_C(2)

struct sl_box {
    _Atomic uint64_t word;
};

enum sl_box_push {
    SL_BOX_QUEUED,
    SL_BOX_WOKEN,   /* It was idle: schedule its actor. */
    SL_BOX_FULL,    /* Not taken. */
    SL_BOX_REFUSED, /* Closed; not taken. */
};

/* Push a message (taken if it is queued) unless `max` wait. */
static inline enum sl_box_push
sl_box_push(struct sl_box *box, struct sl_msg *msg, uint64_t max)
{
    uint64_t old = atomic_load_explicit(&box->word, memory_order_relaxed), new;
    do {
        if (old == SL_BOX_CLOSED)
            return SL_BOX_REFUSED;
        uint64_t count = old == SL_BOX_IDLE ? 0 : old >> SL_BOX_COUNT_SHIFT;
        if (count >= max)
            return SL_BOX_FULL;
        msg->next = old == SL_BOX_IDLE ? NULL : (struct sl_msg *)(uintptr_t)(old & SL_BOX_POINTER);
        new = (count + 1) << SL_BOX_COUNT_SHIFT | (uint64_t)(uintptr_t)msg;
    } while (!atomic_compare_exchange_weak_explicit(&box->word, &old, new, memory_order_acq_rel,
                                                    memory_order_relaxed));
    return old == SL_BOX_IDLE ? SL_BOX_WOKEN : SL_BOX_QUEUED;
}

/* What a taken word holds, oldest first. */
static inline struct sl_msg *
sl_box_turn_round(uint64_t word)
{
    struct sl_msg *newest = (struct sl_msg *)(uintptr_t)(word & SL_BOX_POINTER), *oldest = NULL;
    while (newest != NULL) {
        struct sl_msg *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* Everything that waits, oldest first. The box is BUSY, and stays so. */
static inline struct sl_msg *
sl_box_take(struct sl_box *box)
{
    return sl_box_turn_round(atomic_exchange_explicit(&box->word, 0, memory_order_acq_rel));
}

/* Become IDLE, if nothing waits. The actor is not the caller's any more when this is true. */
static inline bool
sl_box_rest(struct sl_box *box)
{
    uint64_t empty = 0;
    return atomic_load_explicit(&box->word, memory_order_relaxed) == 0 &&
           atomic_compare_exchange_strong_explicit(&box->word, &empty, SL_BOX_IDLE,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

static inline void
sl_box_open(struct sl_box *box)
{
    atomic_store_explicit(&box->word, 0, memory_order_release);
}

/* From BUSY to CLOSED: what waited, oldest first. */
static inline struct sl_msg *
sl_box_close(struct sl_box *box)
{
    return sl_box_turn_round(
        atomic_exchange_explicit(&box->word, SL_BOX_CLOSED, memory_order_acq_rel));
}

#endif
