/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_backend.h - the backend whose tasks are events of a store's log: on a disk, or in the
 * memory of a simulation, as the store is.
 */
#ifndef SL_QUEUE_STORE_BACKEND_H
#define SL_QUEUE_STORE_BACKEND_H

#include "queue/backend.h"
#include "runtime/random.h"
#include "runtime/store.h"

struct sl_store_backend_options {
    struct sl_store *store; /* These three are borrowed. */
    struct sl_queue *queue;
    struct sl_random *random; /* For pauses between tries. */
    uint8_t projection;       /* The queue's number in the store. */
};

struct sl_store_backend {
    struct sl_backend backend;
    struct sl_store_backend_options options;
    /* Borrowed: what is changed is staged here, and is seen once its owner has committed; a put
     * takes none. NULL: each call commits what it did. */
    struct sl_txn *txn;
    struct sl_buf event, seen;
    struct sl_submit_batch batch;
    struct sl_lease *lost; /* Those at hand; NULL: none were lost yet. */
    bool is_low;           /* The disk, when it was asked last. */
    uint64_t room_ns;      /* When to ask it next. */
    uint64_t sweep_ms;     /* No sweep before: the store refused one. */
};

void sl_store_backend_init(struct sl_store_backend *b,
                           const struct sl_store_backend_options *options);
void sl_store_backend_deinit(struct sl_store_backend *b);

#endif
