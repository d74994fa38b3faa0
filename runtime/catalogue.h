/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalogue.h - ordered rows, in LMDB or in memory, keyed by (scope, table, key). It is built from
 * the log: the position up to which it holds the log's effects is stored in the same LMDB
 * transaction.
 *
 * Writes go to one open write transaction, which reads see at once; sl_catalogue_commit ends it and
 * the next write starts another. Commits are rare and cheap to lose (the log replays them).
 *
 * Threading: one owner.
 */
#ifndef SL_RUNTIME_CATALOGUE_H
#define SL_RUNTIME_CATALOGUE_H

#include "runtime/base.h"

#define SL_KEY_SIZE_MAX 480 /* Of a row's key; LMDB allows 511 with scope and table. */

/* Who owns a row. No call on stored data exists without one. 0 is the system's own. */
struct sl_scope {
    uint64_t id;
};

struct sl_catalogue;
struct sl_catalogue_memory;

struct sl_catalogue_options {
    const char *path;                   /* Directory, made when absent. */
    uint64_t map_size_bytes;            /* 0: 64 GiB of address space; the file grows as needed. */
    struct sl_catalogue_memory *memory; /* Not NULL: rows lie there, not in a file. Borrowed. */
};

/* SL_EIO, SL_ECORRUPT, SL_EVERSION, SL_EBUSY (another process has it open). */
SL_MUST_CHECK enum sl_err sl_catalogue_open(const struct sl_catalogue_options *options,
                                            struct sl_catalogue **ret_catalogue);
void sl_catalogue_close(struct sl_catalogue **catalogue); /* Drops what is not committed. */

uint64_t sl_catalogue_position(const struct sl_catalogue *c); /* Of the open transaction. */
void sl_catalogue_position_set(struct sl_catalogue *c, uint64_t position);

/* SL_ENOTFOUND. *ret_value is borrowed until the next put, del or commit. */
SL_MUST_CHECK enum sl_err sl_catalogue_get(struct sl_catalogue *c, struct sl_scope scope,
                                           uint8_t table, struct sl_slice key,
                                           struct sl_slice *ret_value);
/* SL_ENOSPC: the map or disk is full. SL_EINVAL: a key that is empty or too long. */
SL_MUST_CHECK enum sl_err sl_catalogue_put(struct sl_catalogue *c, struct sl_scope scope,
                                           uint8_t table, struct sl_slice key,
                                           struct sl_slice value);
SL_MUST_CHECK enum sl_err sl_catalogue_del(struct sl_catalogue *c, struct sl_scope scope,
                                           uint8_t table, struct sl_slice key); /* Absent: SL_OK. */

/*
 * Rows of one table of one scope whose keys start with `prefix`, in byte order, from the first key
 * > `after` (empty: from the start; with is_reverse: < `after`, empty: from the end).
 * In place: init, next until false, deinit. A put or del by the owner meanwhile ends the scan's
 * guarantee: collect first, then write.
 */
struct sl_scan {
    struct sl_slice key, value; /* The current row; borrowed until the next call. */
    const struct sl_catalogue_backend_ops *backend;
    void *cursor;
    uint8_t full[512]; /* scope, table, prefix */
    uint16_t full_size, prefix_size;
    bool is_started, is_reverse;
    uint8_t from[512];
    uint16_t from_size;
};
void sl_catalogue_scan(struct sl_catalogue *c, struct sl_scope scope, uint8_t table,
                       struct sl_slice prefix, struct sl_slice after, bool is_reverse,
                       struct sl_scan *ret_scan);
bool sl_scan_next(struct sl_scan *scan);
void sl_scan_end(struct sl_scan *scan); /* Zeroed or ended already is fine. */

/*
 * Copy what is committed, synced, to an empty directory that sl_catalogue_open then takes. It may
 * run on another thread, while the owner reads and writes but does not commit. SL_EUNAVAIL: it is
 * in memory. SL_ENOSPC, SL_EIO.
 */
SL_MUST_CHECK enum sl_err sl_catalogue_copy(struct sl_catalogue *c, const char *path);

/*
 * Overwrite with zeroes what deleted rows have left in the file: `pages_max` pages from *page on,
 * which 0 begins; it is 0 again once all were looked at. All is committed and durable, and no scan
 * is open. Between two calls anything may be written. SL_EIO: some may be left; what is stored is
 * not touched. SL_ECORRUPT: the file cannot be opened any more, and is not.
 */
SL_MUST_CHECK enum sl_err sl_catalogue_scrub(struct sl_catalogue *c, uint64_t *page,
                                             uint64_t pages_max);

/* Commit the open transaction. With is_durable also force it to disk (before a log release). */
SL_MUST_CHECK enum sl_err sl_catalogue_commit(struct sl_catalogue *c, bool is_durable);
/*
 * Whether `ops` more writes of `bytes` in all (0: deletes alone) are sure to fit in the map. LMDB
 * gives up the whole open transaction when it runs full, so ask before writing; a commit first
 * makes the answer exacter.
 */
bool sl_catalogue_has_room(struct sl_catalogue *c, uint64_t ops, uint64_t bytes);
uint64_t
sl_catalogue_dirty_bytes(const struct sl_catalogue *c); /* Written since the last commit. */

#endif
