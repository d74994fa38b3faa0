/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - the durable log: the one thing that is synced before a reply goes out.
 *
 * A record is opaque bytes with a position (1, 2, 3, ...) and an address, from which parts of it
 * can be read as long as its segment is kept. Appended records are buffered; one sync makes all of
 * them durable (group commit): one write and one fdatasync.
 *
 *   segment file:  head of 4 KiB {magic, version, first position, salt, ordinal, crc}, twice;
 *                  records; zeroes
 *   record:        size u32, crc32c u32 (of salt and the rest), position u64, batch u64, payload
 *
 * Records are 8-aligned. `batch` is the position of the first record of the same sync: all before
 * it was durable when this record was written. Segments are preallocated, zeroed and recycled, so
 * that an fdatasync has no metadata to write. The first is 4 MiB (ready in milliseconds); others
 * have segment_size_bytes and are made ahead by sl_log_prepare, which may run on an I/O thread. The
 * old records in a recycled segment have another salt, which ends the replay there; the salt is
 * secret, so that no payload can pass for a record.
 *
 * A torn tail (the last sync never returned) is cut silently. A bad record is SL_ECORRUPT when
 * something proves that it had been durable: a record of a later batch, a later segment, the note
 * beside the log (log_note.h), or who opens it and knows of it (`after`). Acknowledged data was
 * damaged then: the report names segment, offset and position.
 *
 * Threading: one owner; sl_log_prepare and sl_log_sync_run may run beside it, on other threads.
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
 * Where bytes lie. `segment` is its ordinal: each life of a file has the next one, so an address
 * never means other bytes than it once did. {0, 0} is nowhere.
 */
struct sl_log_at {
    uint32_t segment;
    uint32_t offset; /* Bytes from the file's start: segments are < 4 GiB. */
};

/* What an open does with what it finds. Zeroed: every record is checked and passed over. */
struct sl_log_replay {
    uint64_t after; /* Only records behind this position are shown. */
    void *arg;
    /* Called for each, in order; what it returns but SL_OK ends the open. */
    enum sl_err (*record)(void *arg, uint64_t position, struct sl_slice payload,
                          struct sl_log_at at);
    /* Whether a segment that lies whole before `after` is still read from; NULL: none is. */
    bool (*is_held)(void *arg, uint32_t segment);
};

/* Open the log; `replay` NULL: all from the start, shown to nobody. SL_ECORRUPT, SL_EVERSION,
 * SL_EIO, or what replay->record returned. */
SL_MUST_CHECK enum sl_err sl_log_open(const struct sl_log_options *options,
                                      const struct sl_log_replay *replay, struct sl_log **ret_log);
void sl_log_close(struct sl_log **log); /* Syncs what is buffered. */

/*
 * Buffer one record and return its position; *ret_at (may be NULL): where its payload begins. Never
 * fails: errors show at sync, and the address is then {0, 0}.
 */
uint64_t sl_log_append(struct sl_log *log, struct sl_slice payload, struct sl_log_at *ret_at);

uint64_t sl_log_last(const struct sl_log *log); /* Position of the last appended record; 0: none. */
uint64_t sl_log_durable(const struct sl_log *log); /* Position up to which all is synced. */
uint64_t sl_log_bytes(const struct sl_log *log);   /* Of records replayed or appended, ever more. */
uint64_t sl_log_segment_size(const struct sl_log *log); /* Of a usual one, in bytes. */

/*
 * `size` bytes at `at`, synced or not: borrowed until the next call on this log. They were checked
 * when they were written or replayed, not now: who reads has a checksum of its own. Neighbours come
 * from memory when reads go in the order of the log (also several such orders in turn).
 * SL_ENOTFOUND: no kept segment has such bytes. SL_EIO.
 */
SL_MUST_CHECK enum sl_err sl_log_read(struct sl_log *log, struct sl_log_at at, size_t size,
                                      struct sl_slice *ret_bytes);

/* A walk over the records of a segment that is not the last: zeroed but for `segment`. */
struct sl_log_cursor {
    uint32_t segment;
    uint32_t offset;   /* Behind the record that was given last. */
    uint64_t position; /* Of that one. */
};

/* The next record, checked; as sl_log_read's, *ret_payload is borrowed. SL_ENOTFOUND: there is no
 * good one here. SL_EIO. */
SL_MUST_CHECK enum sl_err sl_log_next(struct sl_log *log, struct sl_log_cursor *cursor,
                                      struct sl_slice *ret_payload, struct sl_log_at *ret_at);

/* A segment that is kept. */
struct sl_log_segment {
    uint32_t ordinal;
    uint64_t size_bytes; /* Of the file. */
};

/* Segments that are kept, in order; the last one is being written. */
uint32_t sl_log_segments(const struct sl_log *log);
struct sl_log_segment sl_log_segment(const struct sl_log *log, uint32_t index);

/*
 * Make all appended records durable. After an error the log is failed for good (the kernel may have
 * dropped the pages): every later sync returns the same error, and the process should end.
 */
SL_MUST_CHECK enum sl_err sl_log_sync(struct sl_log *log);

/* Give the kernel what was appended, without waiting for the disk. Errors are as sync's. */
SL_MUST_CHECK enum sl_err sl_log_write(struct sl_log *log);

/* Have the note of what is durable on disk itself: about once a second. Errors are as sync's. */
SL_MUST_CHECK enum sl_err sl_log_settle(struct sl_log *log);
bool sl_log_is_settled(const struct sl_log *log);

/*
 * The same beside the owner, who goes on appending. Begin: true when sl_log_sync_run is to be
 * called once, on any thread; false: nothing is to be synced, or the log has failed. End, once that
 * call has returned or at any time (it waits): sl_log_durable moves to what was appended before
 * begin. Whatever else syncs meanwhile ends it first.
 */
bool sl_log_sync_begin(struct sl_log *log);
void sl_log_sync_run(struct sl_log *log);
SL_MUST_CHECK enum sl_err sl_log_sync_end(struct sl_log *log);

/*
 * Records <= position will not be replayed any more: recycle segments that have no others, save
 * those that `is_held` (NULL: none) names, whose bytes stay readable.
 */
void sl_log_release(struct sl_log *log, uint64_t position,
                    bool (*is_held)(void *arg, uint32_t segment), void *arg);

/* Whether the next segment should be made ready, and the work itself (zeroes and syncs a file). */
bool sl_log_wants_prepare(struct sl_log *log);
SL_MUST_CHECK enum sl_err sl_log_prepare(struct sl_log *log);

/* Whether the disk was full and the log is on its reserve (a segment of up to 32 MiB, made ahead):
 * that is for what is under way, new work should be refused. */
bool sl_log_is_low(const struct sl_log *log);

#endif
