/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - transactions over the log and everything that is built from it.
 *
 * A handler opens a transaction, reads, and stages puts, deletes, adds and events. Commit turns all
 * of it into one log record and applies it at once to the catalogue (LMDB) and to the projections
 * (the queue's index, the vectors): so the next handler sees it. Nothing may leave the process on
 * account of it before sl_store_sync has returned: the live driver holds the outbox until then.
 *
 *     begin --> get / scan / put / del / add / event --> commit --> ... --> sync (many commits)
 *                                                   `--> abort (nothing has happened)
 *
 * Start: the catalogue is at position C and each projection was restored from a snapshot at S;
 * records after min(C, S) are replayed, each part skipping what it has. Checkpoint: commit LMDB
 * durably, write the snapshots (file, fsync, rename), then release the log up to the oldest of
 * both, save segments that a projection still reads from: a snapshot names these. Large snapshots
 * come in slices over many ticks, and are due when the log has grown by half of their size.
 *
 * Threading: one owner.
 */
#ifndef SL_RUNTIME_STORE_H
#define SL_RUNTIME_STORE_H

#include "runtime/base.h"
#include "runtime/buf.h"
#include "runtime/catalogue.h"
#include "runtime/file.h"
#include "runtime/log.h"

#define SL_PROJECTIONS_MAX 8

struct sl_store;
struct sl_txn;

/* State in memory that is built from the log's events. `id` is in the log: never reuse one. */
struct sl_projection {
    uint8_t id;
    const char *name; /* Names its snapshot file. */
    void *self;
    /* Apply one event, whose first byte lies in the log at `at`; the same at run time and in
     * replay. Must not fail. */
    void (*apply)(void *self, struct sl_scope scope, struct sl_slice event, struct sl_log_at at);
    /* Append the whole state. NULL, and no snapshot_begin: the state is rebuilt by other means and
     * takes no replayed events. */
    void (*snapshot)(void *self, struct sl_buf *out);
    /* Replace the state. SL_ECORRUPT. */
    enum sl_err (*restore)(void *self, struct sl_slice snapshot);

    /* What follows is for states of millions of entries, or whose payloads lie in the log. */

    /* Instead of `snapshot`: fix the state of now (and forget one fixed before), then append it in
     * slices of about `size` bytes, each call the next; false with the last one. Events are applied
     * between these calls. */
    void (*snapshot_begin)(void *self);
    bool (*snapshot_some)(void *self, struct sl_buf *out, size_t size);
    /* How many bytes of this segment of the log the state refers to. The segment stays until that
     * is 0 and a snapshot says so. NULL: it refers to none. */
    uint64_t (*held)(void *self, uint32_t segment);
    /* Append to *out an event that moves all that the state refers to in this one (as apply got
     * it): afterwards it refers to the new one's bytes instead. Nothing: it refers to none. */
    void (*relocate)(void *self, struct sl_scope scope, struct sl_slice event, struct sl_log_at at,
                     struct sl_buf *out);
};

struct sl_store_options {
    const char *directory;      /* Holds log/, catalogue/, snapshots/. Made when absent. */
    const struct sl_disk *disk; /* For the log; NULL: the real one at directory/log. */
    /* Both or none: instead of a directory, for simulations. With `disk`. Borrowed. */
    struct sl_catalogue_memory *memory;
    const struct sl_disk *snapshots;
    const struct sl_projection *projections;
    uint32_t projections_count;
    uint64_t map_size_bytes;   /* 0: the catalogue's default. */
    uint64_t checkpoint_bytes; /* Log bytes between checkpoints at least; 0: 64 MiB. */
    uint64_t segment_bytes;    /* Of the log; 0: its default. */
    bool is_sync_off;
};

/* SL_EBUSY: open in another process. SL_ECORRUPT, SL_EVERSION, SL_EIO. */
SL_MUST_CHECK enum sl_err sl_store_open(const struct sl_store_options *options,
                                        struct sl_store **ret_store);
void sl_store_close(struct sl_store **store); /* Syncs, commits. NULL inside is fine. */
/* Close without either, as a crash does: only what was synced before is sure to be there. */
void sl_store_abandon(struct sl_store **store);

/* Have `touched` called behind each commit that staged something in `table`. One watch of a table;
   NULL ends it. It runs within whoever commits: it may read and post a message, and no more. */
void sl_store_watch(struct sl_store *store, uint8_t table, void (*touched)(void *arg), void *arg);

/* One transaction at a time. Borrowed until commit or abort. */
struct sl_txn *sl_store_begin(struct sl_store *store);

/* Reads see this transaction's own staged puts and deletes (get), or the state before it (scan). */
SL_MUST_CHECK enum sl_err sl_txn_get(struct sl_txn *t, struct sl_scope scope, uint8_t table,
                                     struct sl_slice key, struct sl_slice *ret_value);
void sl_txn_scan(struct sl_txn *t, struct sl_scope scope, uint8_t table, struct sl_slice prefix,
                 struct sl_slice after, bool is_reverse, struct sl_scan *ret_scan);
void sl_txn_put(struct sl_txn *t, struct sl_scope scope, uint8_t table, struct sl_slice key,
                struct sl_slice value);
void sl_txn_del(struct sl_txn *t, struct sl_scope scope, uint8_t table, struct sl_slice key);
/* Add to a counter row (i64); absent counts as 0; a row that becomes 0 stays. */
void sl_txn_add(struct sl_txn *t, struct sl_scope scope, uint8_t table, struct sl_slice key,
                int64_t delta);
/* The counter's value as committed, plus what this transaction added. */
int64_t sl_txn_counter(struct sl_txn *t, struct sl_scope scope, uint8_t table, struct sl_slice key);
/* Hand an event to projection `id` at commit. */
void sl_txn_event(struct sl_txn *t, uint8_t projection, struct sl_scope scope,
                  struct sl_slice event);

/* Whether anything was staged to a table, be it undone since. */
bool sl_txn_touches(const struct sl_txn *t, uint8_t table);
bool sl_txn_is_empty(const struct sl_txn *t); /* Nothing staged: commit writes no record. */

/* Apply, append to the log's buffer, end. SL_ENOSPC, SL_ETOOBIG: nothing has changed. */
SL_MUST_CHECK enum sl_err sl_txn_commit(struct sl_txn **txn);
void sl_txn_abort(struct sl_txn **txn);

/* Undo what was staged since `mark` (bulk calls: one item fails, the others stand). */
size_t sl_txn_mark(const struct sl_txn *t);
void sl_txn_rollback_to(struct sl_txn *t, size_t mark);

/* Whether the disk has too little room left for new work. What is under way may still be finished:
   when the log finds no room at all, the process ends. */
bool sl_store_is_low(const struct sl_store *store);
/* Commits that are not synced yet, or never will be: sl_store_sync says which. */
bool sl_store_is_dirty(const struct sl_store *store);
/* Make every committed transaction durable; or give it to the kernel, so that it outlives this
 * process, and not the machine's power. An error is final: the process should end. */
SL_MUST_CHECK enum sl_err sl_store_sync(struct sl_store *store);
SL_MUST_CHECK enum sl_err sl_store_write(struct sl_store *store);
/* The same beside the owner, by sl_log_sync_run (log.h). True: it has begun. */
bool sl_store_sync_begin(struct sl_store *store);
SL_MUST_CHECK enum sl_err sl_store_sync_end(struct sl_store *store);

/*
 * Housekeeping, called by the driver between batches: commits LMDB when much is dirty or `is_idle`,
 * takes a checkpoint when the log has grown, empties segments in which little is alive (by commits
 * of its own). Returns the nanoseconds until it wants to be called again (UINT64_MAX: not before
 * the next commit).
 */
uint64_t sl_store_tick(struct sl_store *store, uint64_t now_ns, bool is_idle);
/* Take a whole checkpoint now. SL_EBUSY: a backup is under way. */
SL_MUST_CHECK enum sl_err sl_store_checkpoint(struct sl_store *store);
/* Bytes of the log that a projection refers to: see sl_log_read. SL_ENOTFOUND, SL_EIO. */
SL_MUST_CHECK enum sl_err sl_store_read(struct sl_store *store, struct sl_log_at at, size_t size,
                                        struct sl_slice *ret_bytes);
/* Blocking work the log wants done on an I/O thread; NULL when none. See sl_log_prepare. */
struct sl_log *sl_store_log(struct sl_store *store);

#endif
