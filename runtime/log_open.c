/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/log_state.h"
#include "runtime/report.h"

static int
compare_segments(const void *a_arg, const void *b_arg)
{
    const struct sl_segment *a = *(struct sl_segment *const *)a_arg;
    const struct sl_segment *b = *(struct sl_segment *const *)b_arg;
    return (a->ordinal > b->ordinal) - (a->ordinal < b->ordinal);
}

/* The number in the name of a segment's file; false: it is not one, or one that was not finished.
 */
static bool
read_name(const char *name, unsigned long long *ret_number, bool *ret_is_temporary)
{
    static const char prefix[] = "segment-";
    char *end;
    if (strncmp(name, prefix, sizeof(prefix) - 1) != 0 || strlen(name) > 24)
        return false;
    *ret_number = strtoull(name + sizeof(prefix) - 1, &end, 10);
    *ret_is_temporary = strcmp(end, ".tmp") == 0;
    return *ret_is_temporary || *end == '\0';
}

/* Who is told of files whose head is damaged, and wants nothing changed; NULL: recovery. */
struct lister {
    void (*damaged)(void *arg, const char *name);
    void *arg;
};

static enum sl_err
open_file(struct sl_log *log, const char *name, const struct lister *lister)
{
    struct sl_segment *segment;
    unsigned long long number;
    bool is_temporary;
    if (!read_name(name, &number, &is_temporary))
        return SL_OK;
    log->number = SL_MAX(log->number, (uint64_t)number + 1);
    if (is_temporary && lister->damaged == NULL)
        return log->options.disk.remove(log->options.disk.self, name);
    if (is_temporary)
        return SL_OK;
    enum sl_err err = sl_segment_open(&log->options.disk, name, &segment);
    bool is_damaged = err == SL_ECORRUPT || (err == SL_OK && segment->is_damaged);
    if (is_damaged && lister->damaged != NULL) {
        lister->damaged(lister->arg, name);
        if (err == SL_OK)
            sl_segment_close(&log->options.disk, &segment);
        return SL_OK;
    }
    if (err == SL_ECORRUPT)
        sl_report_error("log-damaged", "segment=%s offset=0", name);
    if (err != SL_OK)
        return err;
    if (is_damaged) {
        /* A head is synced with the first records behind it. If those were, they will be missed. */
        sl_report_warn("segment-head-damaged", "segment=%s action=unused-unless-missed", name);
        log->has_damaged_head = true;
    }
    log->ordinal = SL_MAX(log->ordinal, segment->ordinal);
    sl_segment_list_add(segment->first == 0 ? &log->free : &log->live, segment);
    return SL_OK;
}
enum sl_err
sl_log_list_files(struct sl_log *log, void (*damaged)(void *arg, const char *name), void *arg)
{
    struct lister lister = {damaged, arg};
    struct sl_buf names = {0};
    enum sl_err err = log->options.disk.list(log->options.disk.self, &names);
    char *text = err == SL_OK ? sl_strndup(names.data, names.size) : NULL;
    char *save = NULL;
    for (char *name = text == NULL ? NULL : strtok_r(text, "\n", &save);
         err == SL_OK && name != NULL; name = strtok_r(NULL, "\n", &save))
        err = open_file(log, name, &lister);
    sl_free(text);
    sl_buf_deinit(&names);
    if (err == SL_OK && log->live.count > 0)
        qsort(log->live.items, log->live.count, sizeof(log->live.items[0]), compare_segments);
    return err;
}

/* An open under way. */
struct recovery {
    const struct sl_log_replay *replay;
    uint32_t from;       /* Index of the first live segment whose records are read. */
    struct sl_buf bytes; /* Of the segment at hand. */
    uint64_t offset;     /* Behind its last good record. */
};

/* Acknowledged bytes are not what they were: the record that follows `segment`'s last is bad. */
static enum sl_err
damaged(const struct sl_segment *segment, uint64_t offset)
{
    sl_report_error("log-damaged", "segment=%s offset=%llu position=%llu", segment->name,
                    (unsigned long long)offset, (unsigned long long)segment->last + 1);
    return SL_ECORRUPT;
}

/* Replay one segment up to its first bad record. */
static enum sl_err
replay_segment(struct sl_log *log, struct sl_segment *segment, struct recovery *r)
{
    const struct sl_log_replay *replay = r->replay;
    struct sl_segment_record record;
    enum sl_err err = sl_segment_read(&log->options.disk, segment, &r->bytes);
    r->offset = SL_SEGMENT_HEAD_SIZE;
    while (err == SL_OK &&
           sl_segment_decode(segment, sl_buf_slice(&r->bytes), r->offset, &record)) {
        if (record.position != segment->last + 1)
            break;
        struct sl_log_at at = {segment->ordinal, (uint32_t)r->offset + SL_SEGMENT_RECORD_HEAD};
        segment->last = record.position;
        r->offset += record.size;
        log->bytes += record.size;
        if (record.position > replay->after && replay->record != NULL)
            err = replay->record(replay->arg, record.position, record.payload, at);
    }
    return err;
}

/*
 * The active segment ends at r->offset. Good records beyond it are either proof of damage, or
 * leftovers of a torn batch: wipe those. Only once all were looked at: where there is damage the
 * start is refused, and what is still good must stay for whoever mends it.
 */
static enum sl_err
clean_tail(struct sl_log *log, struct sl_segment *segment, const struct recovery *r)
{
    static const uint8_t zeroes[SL_SEGMENT_RECORD_HEAD];
    struct sl_slice bytes = sl_buf_slice(&r->bytes);
    struct sl_segment_record record;
    uint64_t first = 0, last = 0;
    for (uint64_t at = r->offset; at < bytes.size; at += 8) {
        if (!sl_segment_decode(segment, bytes, at, &record))
            continue;
        if (record.batch > segment->last + 1)
            return damaged(segment, r->offset);
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

/*
 * Segments before the one that holds after + 1 are free, save those that are read from: their
 * records are not replayed. SL_ECORRUPT: no segment reaches back to after + 1.
 */
static enum sl_err
drop_released(struct sl_log *log, struct recovery *r)
{
    const struct sl_log_replay *replay = r->replay;
    struct sl_segment_list *live = &log->live;
    while (r->from + 1 < live->count && live->items[r->from + 1]->first <= replay->after + 1) {
        struct sl_segment *segment = live->items[r->from];
        if (replay->is_held != NULL && replay->is_held(replay->arg, segment->ordinal)) {
            segment->last = replay->after; /* Or earlier: nobody asks. */
            r->from++;
        } else {
            sl_segment_list_add(&log->free, sl_segment_list_take(live, r->from));
        }
    }
    if (live->count == 0 || live->items[r->from]->first <= replay->after + 1)
        return SL_OK;
    sl_report_error("log-damaged", "missing=%llu..%llu", (unsigned long long)replay->after + 1,
                    (unsigned long long)live->items[r->from]->first - 1);
    return SL_ECORRUPT;
}

static enum sl_err
replay_all(struct sl_log *log, struct recovery *r)
{
    struct sl_segment *before = NULL;
    enum sl_err err = drop_released(log, r);
    for (uint32_t i = r->from; err == SL_OK && i < log->live.count; i++) {
        struct sl_segment *segment = log->live.items[i];
        /* What is missing between two segments was durable once; it may only miss if not needed. */
        if (before != NULL && segment->first != log->last + 1 &&
            (segment->first <= log->last || segment->first - 1 > r->replay->after))
            return damaged(before, r->offset);
        err = replay_segment(log, segment, r);
        log->last = segment->last;
        before = segment;
    }
    if (err != SL_OK || before == NULL)
        return err;
    err = clean_tail(log, before, r);
    log->offset = r->offset;
    /* What was read may be in the page cache only; later batches will claim that it is durable. */
    return err == SL_OK ? sl_log_sync_active(log) : err;
}

/*
 * The log must reach to what its note says, and to what whoever opens it has: the last sync that
 * returned has nothing else to prove it. Without syncs a power cut may leave others ahead of it.
 */
static enum sl_err
check_end(const struct sl_log *log, const struct recovery *r)
{
    uint64_t known = log->note.position;
    if ((log->live.count > 0 || log->has_damaged_head) && !log->options.is_sync_off)
        known = SL_MAX(known, r->replay->after);
    if (log->last >= known)
        return SL_OK;
    if (log->live.count > 0)
        return damaged(sl_log_active(log), r->offset);
    sl_report_error("log-damaged", "missing=1..%llu", (unsigned long long)known);
    return SL_ECORRUPT;
}

enum sl_err
sl_log_recover(struct sl_log *log, const struct sl_log_replay *replay)
{
    struct recovery r = {.replay = replay};
    enum sl_err err = sl_log_note_open(&log->options.disk, &log->note);
    if (err == SL_OK)
        err = sl_log_list_files(log, NULL, NULL);
    for (uint32_t i = 1; err == SL_OK && i < log->live.count; i++)
        if (log->live.items[i]->ordinal == log->live.items[i - 1]->ordinal)
            err = SL_ECORRUPT; /* One file twice: a copy that somebody made. */
    if (err == SL_OK)
        err = replay_all(log, &r);
    if (err == SL_OK)
        err = check_end(log, &r);
    sl_buf_deinit(&r.bytes);
    log->durable = log->last;
    if (err == SL_OK && (log->live.count == 0 || log->last < replay->after)) {
        log->last = log->durable = SL_MAX(log->last, replay->after);
        err = sl_log_switch(log, log->last + 1, 0);
    }
    return err;
}
