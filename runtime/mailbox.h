/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox.h - many producers, one consumer, first in first out: an intrusive stack of messages that
 * the consumer takes whole and turns round. A push is one compare-and-swap; taking is one exchange.
 * Beside it, the plain list that such a take is turned into.
 * Threading: push on any thread, take on the owner's.
 */
#ifndef SL_RUNTIME_MAILBOX_H
#define SL_RUNTIME_MAILBOX_H

#include <stdatomic.h>

#include "runtime/message.h"

struct sl_mailbox {
    _Atomic(struct sl_msg *) newest;
};

/* Push a message (taken). True when the box was empty: its owner may need waking. */
static inline bool
sl_mailbox_push(struct sl_mailbox *m, struct sl_msg *msg)
{
    struct sl_msg *newest = atomic_load_explicit(&m->newest, memory_order_relaxed);
    do {
        msg->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&m->newest, &newest, msg, memory_order_release,
                                                    memory_order_relaxed));
    return newest == NULL;
}

/* Everything pushed so far, oldest first, linked by `next`; NULL when empty. */
static inline struct sl_msg *
sl_mailbox_take(struct sl_mailbox *m)
{
    struct sl_msg *newest = atomic_exchange_explicit(&m->newest, NULL, memory_order_acquire);
    struct sl_msg *oldest = NULL;
    while (newest != NULL) {
        struct sl_msg *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* A plain first in, first out list of messages, of one owner. Zeroed is not enough: init it. */
struct sl_msg_list {
    struct sl_msg *oldest, **tail;
};

static inline void
sl_msg_list_init(struct sl_msg_list *l)
{
    l->oldest = NULL;
    l->tail = &l->oldest;
}

static inline void
sl_msg_list_push(struct sl_msg_list *l, struct sl_msg *msg)
{
    msg->next = NULL;
    *l->tail = msg;
    l->tail = &msg->next;
}

static inline struct sl_msg *
sl_msg_list_pop(struct sl_msg_list *l)
{
    struct sl_msg *msg = l->oldest;
    if (msg != NULL) {
        l->oldest = msg->next;
        if (l->oldest == NULL)
            l->tail = &l->oldest;
    }
    return msg;
}

/* Destroy all that is in it. */
static inline void
sl_msg_list_clear(struct sl_msg_list *l)
{
    for (struct sl_msg *msg; (msg = sl_msg_list_pop(l)) != NULL;)
        sl_msg_destroy(&msg);
}

#endif
