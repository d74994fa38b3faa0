/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_state.h - what the store's files share, and nobody else includes.
 *
 *   store.c             open, sync, commit of the catalogue, close
 *   txn.c               transactions: reads through what is staged (txn_ops.h), commit
 *   store_apply.c       a record's effects on the catalogue and the projections, live and replayed
 *   store_checkpoint.c  snapshots of projections, at once or in slices
 *   store_held.c        segments of the log that projections read from
 *   store_compact.c     emptying those of which little is alive
 *   store_erase.c       what was deleted, gone from the files
 *   store_tick.c        when to commit, to take a checkpoint, to compact
 */
#ifndef SL_RUNTIME_STORE_STATE_H
#define SL_RUNTIME_STORE_STATE_H

#include <stdatomic.h>

#include "runtime/file.h"
#include "runtime/log.h"
#include "runtime/snapshot.h"
#include "runtime/store_held.h"
#include "runtime/txn_ops.h"
#include "runtime/store.h"

#define SL_STORE_MAGIC 0x73746f72u
#define SL_WATCHES_MAX 4

struct sl_txn {
    struct sl_store *store;
    bool is_open;
    int64_t counter; /* Little endian: what sl_txn_get shows of a staged counter. */
    struct sl_txn_ops ops;
};

/* A checkpoint under way, and what is known of the last. */
struct sl_store_checkpoint {
    bool is_running;
    uint32_t index;                    /* Projection that is written in slices. */
    struct sl_snapshot_writer *writer; /* Of its file; NULL: not begun. */
    uint64_t position, log_bytes;      /* When it began. */
    uint64_t bytes, bytes_before;      /* Of this one's snapshots, of the last one's. */
    struct sl_store_held held;
    struct sl_buf slice; /* What is written next; kept from one to the other. */
    uint64_t next_ns;    /* No slice before. */
};

struct sl_store_compact {
    bool is_on;                  /* Some projection holds segments. */
    bool wants_checkpoint;       /* It would release enough. */
    struct sl_log_cursor cursor; /* The segment that is emptied; 0: none. */
    uint64_t held_before, moved_bytes;
    uint32_t overhead; /* 256ths of what living bytes take when they are moved; 0: not known. */
    struct sl_store_held stuck;
    uint64_t next_ns;
};

struct sl_store_erase {
    uint64_t wanted, done; /* Tickets. */
    uint64_t running;      /* The newest that this run is for; 0: none runs. */
    uint32_t segment;      /* All up to this one are to go. */
    bool is_log_done, wants_checkpoint;
    uint64_t page; /* Of the catalogue: where to go on. */
    uint64_t next_ns;
};

struct sl_store {
    uint32_t magic;
    struct sl_store_options options;
    struct sl_projection projections[SL_PROJECTIONS_MAX];
    uint64_t restored[SL_PROJECTIONS_MAX]; /* Position of the snapshot each started from. */
    struct sl_store_held held;             /* Segments that the snapshots on disk refer to. */
    struct sl_store_checkpoint checkpoint;
    struct sl_store_compact compact;
    struct sl_store_erase erase;
    struct sl_disk log_disk, snapshots;
    bool is_log_disk_owned;
    struct sl_catalogue *catalogue;
    struct sl_log *log;
    enum sl_err failed; /* Memory and disk may differ: nothing is written any more. */
    void (*touched[SL_WATCHES_MAX])(void *arg); /* Of sl_store_watch; NULL: it is free. */
    void *touched_arg[SL_WATCHES_MAX];
    uint8_t touched_table[SL_WATCHES_MAX];
    uint64_t dirty_since_ns, noted_since_ns; /* 0: clean. */
    uint64_t checkpoint_at_bytes;            /* Of sl_log_bytes. */
    struct sl_txn txn;
    bool is_backed_up;               /* No checkpoint: files are being copied... */
    atomic_bool is_catalogue_copied; /* ...and this one: no commit. */
};

static inline void
sl_store_check(const struct sl_store *store)
{
    sl_assert(store != NULL);
    sl_assert(store->magic == SL_STORE_MAGIC);
}

/* Commit LMDB, but never ahead of the durable log. An error is final, as sl_store_sync's. */
SL_MUST_CHECK enum sl_err sl_store_commit_catalogue(struct sl_store *store, bool is_durable);

/* store_apply.c */

/* The committed value of the counter that `op` names; absent: 0. SL_ECORRUPT: it is no counter. */
SL_MUST_CHECK enum sl_err sl_store_counter(struct sl_store *store, const struct sl_op *op,
                                           int64_t *ret_value);

/* The projection with this id, and which it is; NULL: none. */
struct sl_projection *sl_store_projection(struct sl_store *store, uint8_t id, uint32_t *ret_index);

/* Apply rows to the catalogue, which then is at `position`. After an error half of it is there. */
SL_MUST_CHECK enum sl_err sl_store_apply_rows(struct sl_store *store, struct sl_slice record,
                                              uint64_t position);

/* Hand events of the record whose first byte is at `at` to projections. `position` 0: at run time,
 * where every one takes its events. */
SL_MUST_CHECK enum sl_err sl_store_apply_events(struct sl_store *store, struct sl_slice record,
                                                uint64_t position, struct sl_log_at at);

/* Apply a record of the log to the parts that lack it; `arg` is the store (see sl_log_replay). */
SL_MUST_CHECK enum sl_err sl_store_replay(void *arg, uint64_t position, struct sl_slice record,
                                          struct sl_log_at at);

/* store_checkpoint.c */

/* Whether the log's events make it: it has snapshots, and replayed events are for it. */
static inline bool
sl_projection_is_kept(const struct sl_projection *p)
{
    return p->snapshot != NULL || p->snapshot_begin != NULL;
}

/* Restore a projection from its snapshot. A bad one counts as none: the log may reach back. */
SL_MUST_CHECK enum sl_err sl_store_restore(struct sl_store *store, uint32_t index);

/* Begin a checkpoint; then steps, of about a millisecond, until none is running or one failed. */
SL_MUST_CHECK enum sl_err sl_store_checkpoint_begin(struct sl_store *store);
SL_MUST_CHECK enum sl_err sl_store_checkpoint_step(struct sl_store *store);
void sl_store_checkpoint_cancel(struct sl_store *store);
/* Say, after the open, when the first one is due. */
void sl_store_checkpoint_plan(struct sl_store *store);

/* store_erase.c: do a turn if one is due. Returns when the next one is, UINT64_MAX: none. */
uint64_t sl_store_erase_tick(struct sl_store *store, uint64_t now_ns);

/* store_compact.c: empty this segment next, unless another is being emptied. */
void sl_store_compact_segment(struct sl_store *store, uint32_t segment, uint64_t held);
/* store_compact.c: do a turn if one is due. Returns when the next one is, UINT64_MAX: none. */
uint64_t sl_store_compact(struct sl_store *store, uint64_t now_ns);

#endif
