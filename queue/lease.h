/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease.h - who holds which task until when; only for the queue's own files. Threading: one owner.
 */
#ifndef SL_QUEUE_LEASE_H
#define SL_QUEUE_LEASE_H

#include "queue/index.h"

/* A lease in force. */
struct sl_held {
    uint32_t position; /* In the heap of deadlines, whose key may lag behind deadline_ns. */
    uint32_t slot;
    uint64_t epoch;
    uint64_t since_ns, deadline_ns;
    uint64_t charged_ns, served_ns; /* To its lane; and what it took, if is_served. */
    bool is_served, is_own;         /* is_own: of a tenant's own queue. */
    bool is_begun;                  /* In which list of its holder it is. */
    struct sl_holder *holder;
    struct sl_held *older, *newer; /* Of the same list. */
};

struct sl_held_list {
    struct sl_held *newest, *oldest;
    uint32_t count;
};

/* Who holds leases; gone with its last one. */
struct sl_holder {
    struct sl_table_link link;
    uint64_t id;
    struct sl_held_list held[2]; /* Those that have not begun, and those that have. */
    struct sl_lost *lost;        /* NULL: it is not lost (lose.c). */
};

/* A new lease with the next epoch; the task takes it over as it becomes RUNNING. */
struct sl_held *sl_held_add(struct sl_queue *q, uint32_t slot, const struct sl_lease_want *want);
void sl_held_remove(struct sl_queue *q, struct sl_held *held);
/* Void the leases of a lane of class OWN: its tasks are ready again. */
void sl_held_void(struct sl_queue *q, uint32_t lane);
void sl_held_begin(struct sl_held *held);
struct sl_holder *sl_holder_lookup(const struct sl_queue *q, uint64_t id); /* NULL: none. */
/* The next lease whose deadline has passed, in own queues or the others; NULL: none has. */
struct sl_held *sl_held_lapsed(struct sl_queue *q, bool is_own, uint64_t now_ns);
struct sl_lease sl_held_lease(const struct sl_queue *q, const struct sl_held *held);
/* What a lost holder is remembered by goes with it. */
void sl_lost_free(struct sl_queue *q, struct sl_holder *holder);
void sl_held_free_all(struct sl_queue *q);

#endif
