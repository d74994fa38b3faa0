/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/log_verify.h"

#include "runtime/alloc.h"
#include "runtime/log_state.h"

struct walk {
    const struct sl_log_verify *verify;
    struct sl_log_verdict verdict;
    struct sl_log log; /* Its files alone. */
    struct sl_buf bytes;
    uint64_t end; /* Behind the last good record of the segment at hand. */
};

static void
tell(struct walk *w, const char *segment, uint64_t offset, uint64_t position)
{
    w->verdict.damages++;
    if (w->verify->damaged != NULL)
        w->verify->damaged(w->verify->replay.arg, segment, offset, position);
}

/* Count records up to the first bad one. */
static enum sl_err
walk_records(struct walk *w, struct sl_segment *segment)
{
    const struct sl_log_replay *replay = &w->verify->replay;
    struct sl_segment_record record;
    enum sl_err err = sl_segment_read(&w->verify->disk, segment, &w->bytes);
    w->verdict.segments++;
    w->end = SL_SEGMENT_HEAD_SIZE;
    while (err == SL_OK && sl_segment_decode(segment, sl_buf_slice(&w->bytes), w->end, &record) &&
           record.position == segment->last + 1) {
        struct sl_log_at at = {segment->ordinal, (uint32_t)w->end + SL_SEGMENT_RECORD_HEAD};
        segment->last = record.position;
        w->end += record.size;
        w->verdict.records++;
        w->verdict.bytes += record.size;
        if (replay->record != NULL)
            err = replay->record(replay->arg, record.position, record.payload, at);
    }
    return err;
}

/* Whether a good record lies behind the first bad one: with `is_later`, of a later sync. */
static bool
has_more(const struct walk *w, const struct sl_segment *segment, bool is_later)
{
    struct sl_segment_record record;
    for (uint64_t at = w->end; at < w->bytes.size; at += 8)
        if (sl_segment_decode(segment, sl_buf_slice(&w->bytes), at, &record) &&
            (!is_later || record.batch > segment->last + 1))
            return true;
    return false;
}

static enum sl_err
walk_segment(struct walk *w, uint32_t index)
{
    struct sl_segment *segment = w->log.live.items[index];
    bool is_last = index + 1 == w->log.live.count;
    enum sl_err err = walk_records(w, segment);
    if (err != SL_OK)
        return err;
    const struct sl_segment *next = is_last ? NULL : w->log.live.items[index + 1];
    bool is_cut =
        next != NULL && next->ordinal == segment->ordinal + 1 && next->first != segment->last + 1;
    if (is_cut || has_more(w, segment, is_last))
        tell(w, segment->name, w->end, segment->last + 1);
    w->verdict.last = segment->last;
    return SL_OK;
}

/* The first segment that is replayed. */
static uint32_t
find_first(const struct walk *w)
{
    const struct sl_segment_list *live = &w->log.live;
    uint32_t first = 0;
    while (first + 1 < live->count && live->items[first + 1]->first <= w->verify->replay.after + 1)
        first++;
    return first;
}

static enum sl_err
walk_all(struct walk *w)
{
    const struct sl_log_replay *replay = &w->verify->replay;
    const struct sl_segment_list *live = &w->log.live;
    enum sl_err err = SL_OK;
    uint32_t first = find_first(w);
    if (live->count > 0 && live->items[first]->first > replay->after + 1)
        tell(w, "missing", 0, replay->after + 1);
    for (uint32_t i = 0; err == SL_OK && i < live->count; i++) {
        const struct sl_segment *segment = live->items[i];
        bool is_held = replay->is_held != NULL && replay->is_held(replay->arg, segment->ordinal);
        if (i > first && segment->first != w->verdict.last + 1 &&
            segment->ordinal != live->items[i - 1]->ordinal + 1)
            tell(w, "missing", 0, w->verdict.last + 1);
        if (i >= first || is_held)
            err = walk_segment(w, i);
    }
    uint64_t known = SL_MAX(w->log.note.position, replay->after);
    if (err == SL_OK && w->verdict.last < known && w->verdict.damages == 0)
        tell(w, live->count > 0 ? sl_log_active(&w->log)->name : "missing", w->end,
             w->verdict.last + 1);
    return err;
}

static void
tell_head(void *arg, const char *name)
{
    tell(arg, name, 0, 0);
}

enum sl_err
sl_log_verify(const struct sl_log_verify *verify, struct sl_log_verdict *ret_verdict)
{
    struct walk w = {.verify = verify, .log = {.options = {.disk = verify->disk}}};
    enum sl_err err = sl_log_note_open(&verify->disk, &w.log.note);
    if (err == SL_OK)
        err = sl_log_list_files(&w.log, tell_head, &w);
    if (err == SL_OK)
        err = walk_all(&w);
    sl_log_note_close(&verify->disk, &w.log.note);
    sl_log_close_files(&w.log);
    sl_buf_deinit(&w.bytes);
    *ret_verdict = w.verdict;
    return err;
}
