/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery.h - one event on its way to one webhook's channel: a row that is written in the
 * transaction of the event's cause, and goes when it has been kept long enough.
 *
 *   event --> PENDING --2xx--> DELIVERED --.
 *              ^  `--out of tries--> DEAD --+--(kept for days)--> gone
 *              `------redrive---------'
 *
 * Every row has exactly one row in SL_TABLE_DUE, at the time when something is next to be done with
 * it: the next try, or its removal.
 * Threading: the store's thread.
 */
#ifndef SL_ACTORS_DELIVERY_H
#define SL_ACTORS_DELIVERY_H

#include "runtime/store.h"

enum sl_delivery_state { SL_DELIVERY_PENDING, SL_DELIVERY_DELIVERED, SL_DELIVERY_DEAD };

struct sl_delivery {
    enum sl_delivery_state state;
    uint32_t channel;              /* Index in the webhook's channels. */
    uint32_t attempts;             /* Tries made since it was last PENDING anew. */
    uint32_t status;               /* HTTP status of the last try; 0: none came. */
    uint64_t due_ms;               /* The time in its key of SL_TABLE_DUE. */
    uint64_t created_ms, ended_ms; /* ended 0: not yet */
    struct sl_slice event_id, type;
    struct sl_slice error; /* Of the last try, for people; empty: none. */
    struct sl_slice body;  /* What is posted, byte for byte. */
};

/* Of one webhook. An event that finds as many waiting is counted as dropped, and that is all. */
#define SL_DELIVERIES_WAITING_MAX 50000

#define SL_DELIVERY_ID_SIZE       20 /* "dlv_" and 16 hex digits, in the order of the events. */

const char *sl_delivery_state_name(enum sl_delivery_state state); /* "pending"... */

/* SL_ENOTFOUND; SL_ECORRUPT. The slices borrow from the row: until the next put. */
SL_MUST_CHECK enum sl_err sl_delivery_get(struct sl_txn *txn, struct sl_scope scope,
                                          const char *webhook, const char *id,
                                          struct sl_delivery *ret_delivery);
SL_MUST_CHECK enum sl_err sl_delivery_decode(struct sl_slice row, struct sl_delivery *ret_delivery);
/*
 * Store it, due at d->due_ms. `was_due_ms` is the time it was due at before, 0 for a new one.
 */
struct sl_delivery_key {
    struct sl_scope scope;
    const char *webhook, *id;
};
void sl_delivery_put(struct sl_txn *txn, const struct sl_delivery_key *key,
                     const struct sl_delivery *d, uint64_t was_due_ms);

/* The key in SL_TABLE_DUE; borrowed from `out`. */
struct sl_slice sl_delivery_due_key(struct sl_buf *out, const char *webhook, uint64_t due_ms,
                                    const char *id);

/* What happened, for whoever wants to hear of it. */
struct sl_event {
    struct sl_scope scope;
    const char *type;         /* As "object.created". */
    const char *namespace_id; /* NULL: of none. */
    uint64_t now_ms;
    struct sl_slice data; /* JSON object. */
};
/* Stage a delivery for each channel of each active webhook of the tenant that wants the type. */
void sl_event_emit(struct sl_txn *txn, const struct sl_event *event);

struct sl_job_row;
/* A batch's last job ended: clients know no other event for it than documents that were written. */
void sl_event_job_ended(struct sl_txn *txn, struct sl_scope scope, const struct sl_job_row *job,
                        uint64_t now_ms);

#endif
