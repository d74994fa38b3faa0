/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - the durable log: the one thing that is synced before a reply goes out.
 *
 * A record is opaque bytes with a position (1, 2, 3, ...). Appended records are buffered; one sync
 * makes all of them durable (group commit): one write and one fdatasync.
 *
 *   segment file:  head of 4 KiB {magic, version, first position, salt, crc}, twice; records;
 * zeroes record:        size u32, crc32c u32 (of salt and the rest), position u64, batch u64,
 * payload
 *
 * Records are 8-aligned. `batch` is the position of the first record of the same sync: all before
 * it was durable when this record was written. Segments are preallocated, zeroed and recycled, so
 * that an fdatasync has no metadata to write. The first is 4 MiB (ready in milliseconds); others
 * have segment_size_bytes and are made ahead by sl_log_prepare, which may run on an I/O thread. The
 * old records in a recycled segment have another salt, which ends the replay there; the salt is
 * secret, so that no payload can pass for a record.
 *
 * A torn tail (the last sync never returned) is cut silently. A bad record is SL_ECORRUPT when a
 * good one proves that it had been durable: a record of a later batch, or a later segment.
 * Acknowledged data was damaged then.
 *
 * Threading: one owner; sl_log_prepare alone may run beside it, on another thread.
 */
#ifndef SL_RUNTIME_LOG_H
#define SL_RUNTIME_LOG_H

#include "runtime/base.h"
#include "runtime/file.h"

struct sl_log;

struct sl_log_options {
    struct sl_disk disk;         /* Where the segments lie. Borrowed until destroy. */
    uint64_t segment_size_bytes; /* 0: 64 MiB. A larger record gets a segment of its own size. */
    bool is_sync_off;            /* Never fdatasync: for tests and for those who ask for it. */
};

/*
 * Open the log and call `replay` for every intact record with position > after, in order.
 * SL_ECORRUPT, SL_EVERSION, SL_EIO; whatever `replay` returns but SL_OK ends the open with it.
 */
SL_MUST_CHECK enum sl_err sl_log_open(const struct sl_log_options *options, uint64_t after,
                                      enum sl_err (*replay)(void *arg, uint64_t position,
                                                            struct sl_slice payload),
                                      void *arg, struct sl_log **ret_log);
void sl_log_close(struct sl_log **log); /* Syncs what is buffered. */

/* Buffer one record and return its position. Never fails: errors show at sync. */
uint64_t sl_log_append(struct sl_log *log, struct sl_slice payload);

/* Start positions at least at `position` + 1 (before any append; a store restored past its log). */
void sl_log_skip_to(struct sl_log *log, uint64_t position);

uint64_t sl_log_last(const struct sl_log *log); /* Position of the last appended record; 0: none. */
uint64_t sl_log_durable(const struct sl_log *log); /* Position up to which all is synced. */
uint64_t sl_log_bytes(const struct sl_log *log);   /* Record bytes not yet released. */

/*
 * Make all appended records durable. After an error the log is failed for good (the kernel may have
 * dropped the pages): every later sync returns the same error, and the process should end.
 */
SL_MUST_CHECK enum sl_err sl_log_sync(struct sl_log *log);

/* All records <= position are no longer needed: recycle whole segments. Errors are harmless. */
SL_MUST_CHECK enum sl_err sl_log_release(struct sl_log *log, uint64_t position);

/* Whether the next segment should be made ready, and the work itself (zeroes and syncs a file). */
bool sl_log_wants_prepare(const struct sl_log *log);
SL_MUST_CHECK enum sl_err sl_log_prepare(struct sl_log *log);

#endif
