/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stand.h - a queue in a store, as the product has it: in a directory, or on simulated disks that
 * can lose power.
 */
#ifndef SL_TESTS_QUEUE_STAND_H
#define SL_TESTS_QUEUE_STAND_H

#include "queue/body.h"
#include "queue/look.h"
#include "runtime/sim_storage.h"
#include "runtime/store.h"

enum { SL_STAND_QUEUE = 1, SL_STAND_SCOPE = 1 };

struct sl_stand {
    const char *directory;          /* NULL: `storage`. */
    struct sl_sim_storage *storage; /* Borrowed. */
    uint64_t segment_bytes, checkpoint_bytes;
    uint64_t boot; /* Of the last start. */
    struct sl_queue *q;
    struct sl_store *store;
};

/* Start; nothing is left open after an error. */
static inline enum sl_err
sl_stand_open(struct sl_stand *s)
{
    s->q = sl_queue_create();
    struct sl_projection projection = {.id = SL_STAND_QUEUE,
                                       .name = "queue",
                                       .self = s->q,
                                       .apply = sl_queue_apply,
                                       .snapshot_begin = sl_queue_snapshot_begin,
                                       .snapshot_some = sl_queue_snapshot_some,
                                       .restore = sl_queue_restore,
                                       .held = sl_queue_held,
                                       .relocate = sl_queue_relocate};
    struct sl_store_options options = {.directory = s->directory,
                                       .projections = &projection,
                                       .projections_count = 1,
                                       .segment_bytes = s->segment_bytes,
                                       .checkpoint_bytes = s->checkpoint_bytes};
    if (s->directory == NULL)
        sl_sim_storage_use(s->storage, &options);
    enum sl_err err = sl_store_open(&options, &s->store);
    if (err == SL_OK)
        sl_queue_boot(s->q, ++s->boot);
    else
        sl_queue_destroy(&s->q);
    return err;
}

static inline void
sl_stand_close(struct sl_stand *s)
{
    sl_store_close(&s->store);
    sl_queue_destroy(&s->q);
}

/* As a process that is killed leaves it. */
static inline void
sl_stand_abandon(struct sl_stand *s)
{
    sl_store_abandon(&s->store);
    sl_queue_destroy(&s->q);
}

/* Stage the event in a transaction, and clear it. */
static inline void
sl_stand_stage(struct sl_txn *t, struct sl_buf *event)
{
    sl_txn_event(t, SL_STAND_QUEUE, (struct sl_scope){SL_STAND_SCOPE}, sl_buf_slice(event));
    sl_buf_clear(event);
}

/* The same, in a transaction of its own. */
static inline enum sl_err
sl_stand_commit(struct sl_stand *s, struct sl_buf *event)
{
    struct sl_txn *t = sl_store_begin(s->store);
    sl_stand_stage(t, event);
    return sl_txn_commit(&t);
}

#endif
