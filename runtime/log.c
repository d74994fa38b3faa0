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
#include "runtime/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/log_segment.h"

#define LOG_MAGIC          0x6c6f6721u
#define SEGMENT_SIZE       (64 * SL_MIB)
#define SEGMENT_SIZE_FIRST (4 * SL_MIB)
#define PENDING_MAX        (8 * SL_MIB) /* Above this an append writes, without syncing. */
#define FREE_MAX           2            /* Released segments that are kept. */

struct list {
    struct sl_segment **items;
    uint32_t count;
};

struct sl_log {
    uint32_t magic;
    struct sl_log_options options;
    struct list live;      /* By position; the last one is active. */
    struct list free;      /* Released, or made and never used. */
    uint64_t offset;       /* In the active segment: where `pending` goes. */
    struct sl_buf pending; /* Encoded records that are not yet written. */
    bool is_dirty;         /* Something was written and not synced. */
    uint64_t last, durable;
    uint64_t bytes, bytes_released;
    enum sl_err failed;

    pthread_mutex_t lock;        /* Guards what follows, which sl_log_prepare touches. */
    struct sl_segment *prepared; /* Made by sl_log_prepare, not yet in `free`. */
    uint64_t number;             /* Of the next file name. */
    bool is_preparing;
    bool has_failed_to_prepare; /* Not again before the next switch: it fills a full disk. */
};

static void
check(const struct sl_log *log)
{
    sl_assert(log != NULL);
    sl_assert(log->magic == LOG_MAGIC);
}

static void
list_add(struct list *list, struct sl_segment *segment)
{
    list->items = sl_realloc(list->items, (list->count + 1) * sizeof(list->items[0]));
    list->items[list->count++] = segment;
}

static struct sl_segment *
list_take(struct list *list, uint32_t index)
{
    struct sl_segment *segment = list->items[index];
    list->count--;
    memmove(&list->items[index], &list->items[index + 1],
            (list->count - index) * sizeof(list->items[0]));
    return segment;
}

static struct sl_segment *
active(const struct sl_log *log)
{
    return log->live.items[log->live.count - 1];
}

static void
close_all(struct sl_log *log, struct list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        sl_segment_close(&log->options.disk, &list->items[i]);
    sl_free(list->items);
    *list = (struct list){0};
}

/* ---- segments ------------------------------------------------------------------------------ */

static enum sl_err
make_segment(struct sl_log *log, uint64_t size, struct sl_segment **ret_segment)
{
    char name[32];
    pthread_mutex_lock(&log->lock);
    snprintf(name, sizeof(name), "segment-%010llu", (unsigned long long)log->number++);
    pthread_mutex_unlock(&log->lock);
    return sl_segment_create(&log->options.disk, name, size, ret_segment);
}

/* A free segment with room for a record of `size` bytes, else a new, small one. */
static enum sl_err
take_segment(struct sl_log *log, uint64_t size, struct sl_segment **ret_segment)
{
    uint64_t need = SL_SEGMENT_HEAD_SIZE + size;
    pthread_mutex_lock(&log->lock);
    if (log->prepared != NULL)
        list_add(&log->free, log->prepared);
    log->prepared = NULL;
    log->has_failed_to_prepare = false;
    pthread_mutex_unlock(&log->lock);
    for (uint32_t i = 0; i < log->free.count; i++) {
        if (log->free.items[i]->size >= need) {
            *ret_segment = list_take(&log->free, i);
            return SL_OK;
        }
    }
    uint64_t normal = SL_MIN(log->options.segment_size_bytes, SEGMENT_SIZE_FIRST);
    return make_segment(log, SL_MAX(normal, (need + 4095) & ~UINT64_C(4095)), ret_segment);
}

static enum sl_err
sync_active(struct sl_log *log)
{
    if (log->options.is_sync_off)
        return SL_OK;
    return log->options.disk.sync(active(log)->file);
}

/*
 * An active segment without a record, too small for the first: back to the free ones. Its head is
 * wiped for good before another segment may start at the same position.
 */
static enum sl_err
abandon_empty(struct sl_log *log)
{
    if (log->live.count == 0 || active(log)->last >= active(log)->first)
        return SL_OK;
    enum sl_err err = sl_segment_wipe(&log->options.disk, active(log));
    if (err == SL_OK)
        err = sync_active(log);
    if (err == SL_OK)
        list_add(&log->free, list_take(&log->live, log->live.count - 1));
    return err;
}

/* Move to a segment with room for `size` bytes whose first position is `first`. */
static enum sl_err
switch_segment(struct sl_log *log, uint64_t first, uint64_t size)
{
    struct sl_segment *segment;
    enum sl_err err = take_segment(log, size, &segment);
    if (err != SL_OK)
        return err;
    err = abandon_empty(log);
    if (err != SL_OK) {
        list_add(&log->free, segment);
        return err;
    }
    list_add(&log->live, segment);
    log->offset = SL_SEGMENT_HEAD_SIZE;
    /* Synced with its first records: should only these survive a crash, their salt is unknown. */
    return sl_segment_start(&log->options.disk, segment, first);
}

static enum sl_err
write_pending(struct sl_log *log)
{
    if (log->pending.size == 0)
        return SL_OK;
    enum sl_err err = log->options.disk.write(active(log)->file, log->offset, log->pending.data,
                                              log->pending.size);
    if (err != SL_OK)
        return err;
    log->offset += log->pending.size;
    log->is_dirty = true;
    if (log->pending.capacity > SL_MIB) /* One large request must not cost memory for good. */
        sl_buf_deinit(&log->pending);
    sl_buf_clear(&log->pending);
    return SL_OK;
}

enum sl_err
sl_log_sync(struct sl_log *log)
{
    check(log);
    if (log->failed == SL_OK)
        log->failed = write_pending(log);
    if (log->failed == SL_OK && log->is_dirty)
        log->failed = sync_active(log);
    if (log->failed != SL_OK)
        return log->failed;
    log->is_dirty = false;
    log->durable = log->last;
    return SL_OK;
}

uint64_t
sl_log_append(struct sl_log *log, struct sl_slice payload)
{
    check(log);
    uint64_t size = sl_segment_record_size(payload.size);
    uint64_t position = ++log->last;
    if (log->failed == SL_OK && active(log)->size - log->offset - log->pending.size < size) {
        log->last--; /* The record is not part of what this sync makes durable. */
        log->failed = sl_log_sync(log);
        if (log->failed == SL_OK)
            log->failed = switch_segment(log, position, size);
        log->last++;
    }
    if (log->failed != SL_OK)
        return position;
    sl_segment_encode(active(log), position, log->durable + 1, payload, &log->pending);
    active(log)->last = position;
    log->bytes += size;
    if (log->pending.size > PENDING_MAX)
        log->failed = write_pending(log);
    return position;
}

/* ---- open ---------------------------------------------------------------------------------- */

static int
compare_segments(const void *a_arg, const void *b_arg)
{
    const struct sl_segment *a = *(struct sl_segment *const *)a_arg;
    const struct sl_segment *b = *(struct sl_segment *const *)b_arg;
    return (a->first > b->first) - (a->first < b->first);
}

static enum sl_err
open_file(struct sl_log *log, const char *name)
{
    static const char prefix[] = "segment-";
    char *end;
    struct sl_segment *segment;
    if (strncmp(name, prefix, sizeof(prefix) - 1) != 0 || strlen(name) > 24)
        return SL_OK; /* Not ours. */
    unsigned long long number = strtoull(name + sizeof(prefix) - 1, &end, 10);
    log->number = SL_MAX(log->number, (uint64_t)number + 1);
    if (strcmp(end, ".tmp") == 0)
        return log->options.disk.remove(log->options.disk.self, name);
    if (*end != '\0')
        return SL_OK;
    enum sl_err err = sl_segment_open(&log->options.disk, name, &segment);
    if (err == SL_OK)
        list_add(segment->first == 0 ? &log->free : &log->live, segment);
    return err;
}

static enum sl_err
open_files(struct sl_log *log)
{
    struct sl_buf names = {0};
    enum sl_err err = log->options.disk.list(log->options.disk.self, &names);
    char *text = err == SL_OK ? sl_strndup(names.data, names.size) : NULL;
    char *save = NULL;
    for (char *name = text == NULL ? NULL : strtok_r(text, "\n", &save);
         err == SL_OK && name != NULL; name = strtok_r(NULL, "\n", &save))
        err = open_file(log, name);
    sl_free(text);
    sl_buf_deinit(&names);
    if (err == SL_OK && log->live.count > 0)
        qsort(log->live.items, log->live.count, sizeof(log->live.items[0]), compare_segments);
    return err;
}

struct replay {
    uint64_t after;
    enum sl_err (*call)(void *arg, uint64_t position, struct sl_slice payload);
    void *arg;
    struct sl_buf bytes; /* Of the segment at hand. */
    uint64_t offset;     /* Behind its last good record. */
};

static enum sl_err
read_segment(struct sl_log *log, struct sl_segment *segment, struct sl_buf *bytes)
{
    size_t size;
    if (segment->size > SIZE_MAX / 8)
        return SL_ECORRUPT;
    sl_buf_clear(bytes);
    sl_buf_reserve(bytes, (size_t)segment->size);
    enum sl_err err =
        log->options.disk.read(segment->file, 0, bytes->data, (size_t)segment->size, &size);
    bytes->size = err == SL_OK ? size : 0;
    return err == SL_OK && size < segment->size ? SL_EIO : err;
}

/* Replay one segment up to its first bad record. */
static enum sl_err
replay_segment(struct sl_log *log, struct sl_segment *segment, struct replay *replay)
{
    enum sl_err err = read_segment(log, segment, &replay->bytes);
    struct sl_segment_record record;
    replay->offset = SL_SEGMENT_HEAD_SIZE;
    while (err == SL_OK &&
           sl_segment_decode(segment, sl_buf_slice(&replay->bytes), replay->offset, &record)) {
        if (record.position != segment->last + 1)
            break;
        segment->last = record.position;
        replay->offset += record.size;
        log->bytes += record.size;
        if (record.position > replay->after && replay->call != NULL)
            err = replay->call(replay->arg, record.position, record.payload);
    }
    return err;
}

/*
 * The active segment ends at replay->offset. Good records beyond it are either proof of damage, or
 * leftovers of a torn batch: wipe those. Only once all were looked at: where there is damage the
 * start is refused, and what is still good must stay for whoever mends it.
 */
static enum sl_err
clean_tail(struct sl_log *log, struct sl_segment *segment, const struct replay *replay)
{
    static const uint8_t zeroes[SL_SEGMENT_RECORD_HEAD];
    struct sl_slice bytes = sl_buf_slice(&replay->bytes);
    struct sl_segment_record record;
    uint64_t first = 0, last = 0;
    for (uint64_t at = replay->offset; at < bytes.size; at += 8) {
        if (!sl_segment_decode(segment, bytes, at, &record))
            continue;
        if (record.batch > segment->last + 1)
            return SL_ECORRUPT;
        first = first == 0 ? at : first;
        last = at;
    }
    enum sl_err err = SL_OK;
    for (uint64_t at = first; err == SL_OK && first != 0 && at <= last; at += 8) {
        if (sl_segment_decode(segment, bytes, at, &record))
            err = log->options.disk.write(segment->file, at, zeroes, sizeof(zeroes));
    }
    return err;
}

/* Segments before the one that holds after + 1 are free; SL_ECORRUPT: none reaches back to it. */
static enum sl_err
drop_released(struct sl_log *log, uint64_t after)
{
    while (log->live.count > 1 && log->live.items[1]->first <= after + 1)
        list_add(&log->free, list_take(&log->live, 0));
    if (log->live.count > 0 && log->live.items[0]->first > after + 1)
        return SL_ECORRUPT;
    return SL_OK;
}

static enum sl_err
replay_all(struct sl_log *log, struct replay *replay)
{
    enum sl_err err = drop_released(log, replay->after);
    for (uint32_t i = 0; err == SL_OK && i < log->live.count; i++) {
        struct sl_segment *segment = log->live.items[i];
        /* What is missing between two segments was durable once; it may only miss if not needed. */
        if (i > 0 && segment->first != log->last + 1 &&
            (segment->first <= log->last || segment->first - 1 > replay->after))
            return SL_ECORRUPT;
        err = replay_segment(log, segment, replay);
        log->last = segment->last;
    }
    if (err == SL_OK && log->live.count > 0) {
        err = clean_tail(log, active(log), replay);
        log->offset = replay->offset;
        /* What was read may be in the page cache only; later batches will claim that it is durable.
         */
        if (err == SL_OK)
            err = sync_active(log);
    }
    return err;
}

/* Keep few free segments, and no small ones. A file that cannot be removed is only a waste. */
static void
trim_free(struct sl_log *log)
{
    for (uint32_t i = log->free.count; i-- > 0;) {
        if (log->free.items[i]->size >= log->options.segment_size_bytes && i < FREE_MAX)
            continue;
        struct sl_segment *segment = list_take(&log->free, i);
        enum sl_err ignored = log->options.disk.remove(log->options.disk.self, segment->name);
        (void)ignored;
        sl_segment_close(&log->options.disk, &segment);
    }
}

enum sl_err
sl_log_open(const struct sl_log_options *options, uint64_t after,
            enum sl_err (*replay_call)(void *arg, uint64_t position, struct sl_slice payload),
            void *arg, struct sl_log **ret_log)
{
    struct sl_log *log = sl_zalloc(sizeof(*log));
    struct replay replay = {.after = after, .call = replay_call, .arg = arg};
    log->magic = LOG_MAGIC;
    log->options = *options;
    if (log->options.segment_size_bytes == 0)
        log->options.segment_size_bytes = SEGMENT_SIZE;
    log->options.segment_size_bytes =
        SL_MAX(log->options.segment_size_bytes, (uint64_t)2 * SL_SEGMENT_HEAD_SIZE);
    pthread_mutex_init(&log->lock, NULL);

    enum sl_err err = open_files(log);
    if (err == SL_OK)
        err = replay_all(log, &replay);
    sl_buf_deinit(&replay.bytes);
    log->durable = log->last;
    if (err == SL_OK && (log->live.count == 0 || log->last < after)) {
        log->last = log->durable = SL_MAX(log->last, after);
        err = switch_segment(log, log->last + 1, 0);
    }
    if (err != SL_OK) {
        log->failed = err; /* So that the close below writes nothing. */
        sl_log_close(&log);
        return err;
    }
    trim_free(log);
    *ret_log = log;
    return SL_OK;
}

void
sl_log_close(struct sl_log **log_arg)
{
    struct sl_log *log = *log_arg;
    if (log == NULL)
        return;
    check(log);
    enum sl_err ignored = log->live.count == 0 ? SL_OK : sl_log_sync(log);
    (void)ignored; /* Whoever must know has called sl_log_sync. */
    if (log->prepared != NULL)
        sl_segment_close(&log->options.disk, &log->prepared);
    close_all(log, &log->live);
    close_all(log, &log->free);
    sl_buf_deinit(&log->pending);
    pthread_mutex_destroy(&log->lock);
    log->magic = 0;
    sl_free(log);
    *log_arg = NULL;
}

/* ---- the rest ------------------------------------------------------------------------------ */

void
sl_log_skip_to(struct sl_log *log, uint64_t position)
{
    check(log);
    if (position <= log->last || log->failed != SL_OK)
        return;
    sl_assert(log->pending.size == 0);
    log->last = log->durable = position;
    log->failed = switch_segment(log, position + 1, 0);
}

uint64_t
sl_log_last(const struct sl_log *log)
{
    check(log);
    return log->last;
}

uint64_t
sl_log_durable(const struct sl_log *log)
{
    check(log);
    return log->durable;
}

uint64_t
sl_log_bytes(const struct sl_log *log)
{
    check(log);
    return log->bytes - log->bytes_released;
}

enum sl_err
sl_log_release(struct sl_log *log, uint64_t position)
{
    check(log);
    if (position >= log->last)
        log->bytes_released = log->bytes;
    while (log->live.count > 1 && log->live.items[0]->last <= position)
        list_add(&log->free, list_take(&log->live, 0));
    trim_free(log);
    return SL_OK;
}

bool
sl_log_wants_prepare(const struct sl_log *log)
{
    check(log);
    /* The lock is not const; nothing else about the log changes. */
    pthread_mutex_t *lock = (pthread_mutex_t *)&log->lock;
    pthread_mutex_lock(lock);
    bool has_next = log->prepared != NULL || log->is_preparing || log->has_failed_to_prepare;
    pthread_mutex_unlock(lock);
    return !has_next && log->free.count == 0 && log->failed == SL_OK &&
           log->offset > active(log)->size / 4;
}

/* What is made ahead must not take the last room: the catalogue needs some now. */
static bool
has_room(const struct sl_log *log)
{
    const struct sl_disk *disk = &log->options.disk;
    return disk->room == NULL || disk->room(disk->self) / 2 >= log->options.segment_size_bytes;
}

enum sl_err
sl_log_prepare(struct sl_log *log)
{
    check(log);
    struct sl_segment *segment = NULL;
    pthread_mutex_lock(&log->lock);
    bool is_needed = log->prepared == NULL && !log->is_preparing;
    log->is_preparing = log->is_preparing || is_needed;
    pthread_mutex_unlock(&log->lock);
    if (!is_needed)
        return SL_OK;
    enum sl_err err =
        has_room(log) ? make_segment(log, log->options.segment_size_bytes, &segment) : SL_ENOSPC;
    pthread_mutex_lock(&log->lock);
    log->is_preparing = false;
    log->has_failed_to_prepare = err != SL_OK;
    log->prepared = segment;
    pthread_mutex_unlock(&log->lock);
    return err;
}
