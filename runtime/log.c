/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order of writes, which recovery relies on:
 *
 *   1. records of a batch to the end of the active segment, then fdatasync: the batch is durable;
 *   2. before the log moves to another segment, all records of the old one are durable;
 *   3. the new segment's head goes out with its first batch. It is there twice, in two
 *      sectors, so a crash leaves the new head, or the old one, but never none.
 *
 * So a segment that starts at F proves that all before F was durable; and a record of batch B
 * proves that all before B was. A crash can leave records of a torn batch beyond the first bad one:
 * their heads are wiped at the next open, or they could join a later, different history.
 */
#include "runtime/alloc.h"
#include "runtime/log_erase.h"
#include "runtime/log_state.h"

#define SEGMENT_SIZE (64 * SL_MIB)
#define PENDING_MAX  (8 * SL_MIB) /* Above this an append writes, without syncing. */

void
sl_segment_list_add(struct sl_segment_list *list, struct sl_segment *segment)
{
    list->items = sl_realloc(list->items, (list->count + 1) * sizeof(list->items[0]));
    list->items[list->count++] = segment;
}

struct sl_segment *
sl_segment_list_take(struct sl_segment_list *list, uint32_t index)
{
    struct sl_segment *segment = list->items[index];
    list->count--;
    memmove(&list->items[index], &list->items[index + 1],
            (list->count - index) * sizeof(list->items[0]));
    return segment;
}

void
sl_log_close_files(struct sl_log *log)
{
    struct sl_segment_list *lists[] = {&log->live, &log->free};
    for (size_t k = 0; k < 2; k++) {
        for (uint32_t i = 0; i < lists[k]->count; i++)
            sl_segment_close(&log->options.disk, &lists[k]->items[i]);
        sl_free(lists[k]->items);
        *lists[k] = (struct sl_segment_list){0};
    }
}

/* ---- segments ------------------------------------------------------------------------------ */

enum sl_err
sl_log_sync_active(struct sl_log *log)
{
    if (log->options.is_sync_off)
        return SL_OK;
    return log->options.disk.sync(sl_log_active(log)->file);
}

/*
 * An active segment without a record, too small for the first: back to the free ones. Its head is
 * wiped for good before another segment may start at the same position.
 */
static enum sl_err
abandon_empty(struct sl_log *log)
{
    if (log->live.count == 0 || sl_log_active(log)->last >= sl_log_active(log)->first)
        return SL_OK;
    enum sl_err err = sl_segment_wipe(&log->options.disk, sl_log_active(log));
    if (err == SL_OK)
        err = sl_log_sync_active(log);
    if (err == SL_OK)
        sl_segment_list_add(&log->free, sl_segment_list_take(&log->live, log->live.count - 1));
    return err;
}

enum sl_err
sl_log_switch(struct sl_log *log, uint64_t first, uint64_t size)
{
    struct sl_segment *segment;
    enum sl_err err = sl_log_take_segment(log, size, &segment);
    if (err != SL_OK)
        return err;
    err = abandon_empty(log);
    if (err != SL_OK) {
        sl_segment_list_add(&log->free, segment);
        return err;
    }
    sl_segment_list_add(&log->live, segment);
    log->offset = SL_SEGMENT_HEAD_SIZE;
    /* Synced with its first records: should only these survive a crash, their salt is unknown. */
    return sl_segment_start(&log->options.disk, segment, first, ++log->ordinal);
}

static enum sl_err
write_pending(struct sl_log *log)
{
    if (log->pending.size == 0)
        return SL_OK;
    enum sl_err err = log->options.disk.write(sl_log_active(log)->file, log->offset,
                                              log->pending.data, log->pending.size);
    if (err != SL_OK)
        return err;
    log->offset += log->pending.size;
    log->written = log->last;
    if (log->pending.capacity > SL_MIB) /* One large request must not cost memory for good. */
        sl_buf_deinit(&log->pending);
    sl_buf_clear(&log->pending);
    return SL_OK;
}

/* A sync has returned. */
static enum sl_err
set_durable(struct sl_log *log, uint64_t position)
{
    if (!log->options.is_sync_off && position > log->note.position)
        log->failed = sl_log_note_write(&log->options.disk, &log->note, position);
    if (log->failed == SL_OK)
        log->durable = position;
    return log->failed;
}

/* The kernel tells of an error once: so no other sync may run beside the one under way. */
enum sl_err
sl_log_sync_end(struct sl_log *log)
{
    sl_log_check(log);
    if (!log->is_syncing)
        return log->failed;
    pthread_mutex_lock(&log->lock);
    while (!log->has_synced)
        pthread_cond_wait(&log->synced, &log->lock);
    enum sl_err err = log->synced_err;
    pthread_mutex_unlock(&log->lock);
    log->is_syncing = false;
    if (log->failed == SL_OK)
        log->failed = err;
    return log->failed == SL_OK ? set_durable(log, log->syncing_last) : log->failed;
}

enum sl_err
sl_log_sync(struct sl_log *log)
{
    sl_log_check(log);
    if (sl_log_sync_end(log) == SL_OK)
        log->failed = write_pending(log);
    if (log->failed == SL_OK && log->written > log->durable)
        log->failed = sl_log_sync_active(log);
    return log->failed == SL_OK ? set_durable(log, log->last) : log->failed;
}

enum sl_err
sl_log_write(struct sl_log *log)
{
    sl_log_check(log);
    if (log->failed == SL_OK)
        log->failed = write_pending(log);
    return log->failed;
}

bool
sl_log_sync_begin(struct sl_log *log)
{
    sl_log_check(log);
    if (sl_log_sync_end(log) == SL_OK)
        log->failed = write_pending(log);
    if (log->failed != SL_OK || log->durable == log->last)
        return false;
    log->is_syncing = true;
    log->syncing_last = log->last;
    log->syncing_file = sl_log_active(log)->file;
    log->has_synced = false;
    return true;
}

void
sl_log_sync_run(struct sl_log *log)
{
    enum sl_err err = log->options.is_sync_off ? SL_OK : log->options.disk.sync(log->syncing_file);
    pthread_mutex_lock(&log->lock);
    log->synced_err = err;
    log->has_synced = true;
    pthread_cond_signal(&log->synced);
    pthread_mutex_unlock(&log->lock);
}

enum sl_err
sl_log_settle(struct sl_log *log)
{
    sl_log_check(log);
    if (log->failed == SL_OK)
        log->failed = sl_log_note_sync(&log->options.disk, &log->note);
    return log->failed;
}

bool
sl_log_is_settled(const struct sl_log *log)
{
    sl_log_check(log);
    return !log->note.is_dirty;
}

enum sl_err
sl_log_rotate(struct sl_log *log)
{
    sl_log_check(log);
    if (sl_log_sync(log) == SL_OK)
        log->failed = sl_log_switch(log, log->last + 1, 0);
    return log->failed;
}

uint64_t
sl_log_append(struct sl_log *log, struct sl_slice payload, struct sl_log_at *ret_at)
{
    sl_log_check(log);
    uint64_t size = sl_segment_record_size(payload.size);
    uint64_t position = ++log->last;
    if (log->failed == SL_OK && sl_log_active(log)->size - log->offset - log->pending.size < size) {
        log->last--; /* The record is not part of what this sync makes durable. */
        log->failed = sl_log_sync(log);
        if (log->failed == SL_OK)
            log->failed = sl_log_switch(log, position, size);
        log->last++;
    }
    struct sl_log_at at = {0};
    if (log->failed == SL_OK)
        at = (struct sl_log_at){
            sl_log_active(log)->ordinal,
            (uint32_t)(log->offset + log->pending.size + SL_SEGMENT_RECORD_HEAD)};
    if (ret_at != NULL)
        *ret_at = at;
    if (log->failed != SL_OK)
        return position;
    sl_segment_encode(sl_log_active(log), position, log->durable + 1, payload, &log->pending);
    sl_log_active(log)->last = position;
    log->bytes += size;
    if (log->pending.size > PENDING_MAX)
        log->failed = write_pending(log);
    return position;
}

/* ---- open and close ------------------------------------------------------------------------ */

enum sl_err
sl_log_open(const struct sl_log_options *options, const struct sl_log_replay *replay,
            struct sl_log **ret_log)
{
    static const struct sl_log_replay none;
    struct sl_log *log = sl_zalloc(sizeof(*log));
    log->magic = SL_LOG_MAGIC;
    log->options = *options;
    if (log->options.segment_size_bytes == 0)
        log->options.segment_size_bytes = SEGMENT_SIZE;
    log->options.segment_size_bytes =
        SL_MAX(log->options.segment_size_bytes, (uint64_t)2 * SL_SEGMENT_HEAD_SIZE);
    sl_assert(log->options.segment_size_bytes <= SL_SEGMENT_SIZE_MAX);
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->synced, NULL);
    enum sl_err err = sl_log_recover(log, replay == NULL ? &none : replay);
    if (err != SL_OK) {
        log->failed = err; /* So that the close below writes nothing. */
        sl_log_close(&log);
        return err;
    }
    sl_log_stock(log);
    *ret_log = log;
    return SL_OK;
}

void
sl_log_close(struct sl_log **log_arg)
{
    struct sl_log *log = *log_arg;
    if (log == NULL)
        return;
    sl_log_check(log);
    enum sl_err ignored = log->live.count == 0 ? SL_OK : sl_log_sync(log);
    if (ignored == SL_OK)
        ignored = sl_log_settle(log);
    (void)ignored; /* Whoever must know has called sl_log_sync. */
    sl_segment_close(&log->options.disk, &log->prepared);
    sl_segment_close(&log->options.disk, &log->reserve);
    sl_log_close_files(log);
    sl_buf_deinit(&log->pending);
    sl_log_note_close(&log->options.disk, &log->note);
    sl_log_windows_deinit(log);
    pthread_cond_destroy(&log->synced);
    pthread_mutex_destroy(&log->lock);
    log->magic = 0;
    sl_free(log);
    *log_arg = NULL;
}

/* ---- positions ----------------------------------------------------------------------------- */

uint64_t
sl_log_last(const struct sl_log *log)
{
    sl_log_check(log);
    return log->last;
}

uint64_t
sl_log_durable(const struct sl_log *log)
{
    sl_log_check(log);
    return log->durable;
}

uint32_t
sl_log_segments(const struct sl_log *log)
{
    sl_log_check(log);
    return log->live.count;
}

struct sl_log_segment
sl_log_segment(const struct sl_log *log, uint32_t index)
{
    sl_log_check(log);
    sl_assert(index < log->live.count);
    const struct sl_segment *segment = log->live.items[index];
    return (struct sl_log_segment){.ordinal = segment->ordinal, .size_bytes = segment->size};
}

uint64_t
sl_log_bytes(const struct sl_log *log)
{
    sl_log_check(log);
    return log->bytes;
}

uint64_t
sl_log_segment_size(const struct sl_log *log)
{
    sl_log_check(log);
    return log->options.segment_size_bytes;
}

void
sl_log_release(struct sl_log *log, uint64_t position, bool (*is_held)(void *arg, uint32_t segment),
               void *arg)
{
    sl_log_check(log);
    enum sl_err ignored = sl_log_sync_end(log); /* It may be on a file that is closed here. */
    (void)ignored;
    for (uint32_t i = 0; i + 1 < log->live.count && log->live.items[i]->last <= position;) {
        if (is_held != NULL && is_held(arg, log->live.items[i]->ordinal))
            i++;
        else
            sl_segment_list_add(&log->free, sl_segment_list_take(&log->live, i));
    }
    sl_log_trim_free(log);
}
