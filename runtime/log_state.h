/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_state.h - what the log's files share, and nobody else includes.
 *
 *   log.c          append, sync, which segment is written, release
 *   log_supply.c   where segments come from; the reserve for a full disk
 *   log_open.c     recovery: what is replayed, what is a torn tail, what is damage
 *   log_read.c     bytes at an address
 *   log_verify.c   going through a log that nobody has open
 *   log_note.c     up to where it was durable, noted beside it
 *   log_segment.c  one file: its head and its records
 */
#ifndef SL_RUNTIME_LOG_STATE_H
#define SL_RUNTIME_LOG_STATE_H

#include <pthread.h>

#include "runtime/log.h"
#include "runtime/log_note.h"
#include "runtime/log_segment.h"

#define SL_LOG_MAGIC   0x6c6f6721u
#define SL_LOG_WINDOWS 8u

/* Bytes of a segment that were read. */
struct sl_log_window {
    uint32_t segment; /* Its ordinal; 0: none. */
    uint64_t from;
    struct sl_buf bytes;
    uint64_t used; /* When last, counted in reads. */
};

struct sl_segment_list {
    struct sl_segment **items;
    uint32_t count;
};

struct sl_log {
    uint32_t magic;
    struct sl_log_options options;
    struct sl_segment_list live; /* By ordinal; the last one is active. */
    struct sl_segment_list free; /* Released, or made and never used. */
    struct sl_segment *reserve;  /* For a full disk; NULL: not made yet, or in use. */
    bool is_low;                 /* It is in use. */
    uint64_t offset;             /* In the active segment: where `pending` goes. */
    struct sl_buf pending;       /* Encoded records that are not yet written. */
    uint64_t last, written, durable;
    uint64_t bytes;
    uint32_t ordinal; /* Of the newest life of any segment. */
    enum sl_err failed;
    struct sl_log_note note;
    struct sl_log_window windows[SL_LOG_WINDOWS];
    uint64_t reads;

    bool is_syncing; /* Between sl_log_sync_begin and its end. */
    uint64_t syncing_last;
    struct sl_file *syncing_file;

    pthread_mutex_t lock; /* Guards what follows, which other threads touch. */
    pthread_cond_t synced;
    bool has_synced;
    enum sl_err synced_err;
    struct sl_segment *prepared; /* Made by sl_log_prepare, not yet in `free`. */
    uint64_t number;             /* Of the next file name. */
    bool has_damaged_head;       /* Of a segment that lies in `free`. */
    uint64_t prepare_size;       /* Of the one to be made next. */
    uint64_t failed_room;        /* What the disk had when that failed. */
    bool is_preparing;
    bool has_failed_to_prepare; /* Not again before the next switch: it fills a full disk. */
};

static inline void
sl_log_check(const struct sl_log *log)
{
    sl_assert(log != NULL);
    sl_assert(log->magic == SL_LOG_MAGIC);
}

static inline struct sl_segment *
sl_log_active(const struct sl_log *log)
{
    return log->live.items[log->live.count - 1];
}

void sl_segment_list_add(struct sl_segment_list *list, struct sl_segment *segment);
struct sl_segment *sl_segment_list_take(struct sl_segment_list *list, uint32_t index);

/* Move to a segment with room for `size` bytes whose first position is `first`. */
SL_MUST_CHECK enum sl_err sl_log_switch(struct sl_log *log, uint64_t first, uint64_t size);
SL_MUST_CHECK enum sl_err sl_log_sync_active(struct sl_log *log);
/* A segment for a record of `size` bytes. SL_ENOSPC: not even the reserve is left. */
SL_MUST_CHECK enum sl_err sl_log_take_segment(struct sl_log *log, uint64_t size,
                                              struct sl_segment **ret_segment);
/* After an open: keep one free segment as the reserve, and trim the others. */
void sl_log_stock(struct sl_log *log);
/* Keep few free segments, and no small ones. A file that cannot be removed is only a waste. */
void sl_log_trim_free(struct sl_log *log);

/* Close all files of segments. */
void sl_log_close_files(struct sl_log *log);

/*
 * log_open.c: open all segments and sort them into live and free. Files that were not finished are
 * removed, and a damaged head is SL_ECORRUPT, unless `damaged` is to hear of those: then nothing is
 * changed. And all that an open does with them.
 */
SL_MUST_CHECK enum sl_err
sl_log_list_files(struct sl_log *log, void (*damaged)(void *arg, const char *name), void *arg);
SL_MUST_CHECK enum sl_err sl_log_recover(struct sl_log *log, const struct sl_log_replay *replay);

/* log_read.c */
void sl_log_windows_deinit(struct sl_log *log);

#endif
