/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever reads, mostly reads on where it, or another like it, has read before: tasks are leased in
 * the order in which they came, but those of some tenants in turn. So there are a few windows, each
 * the neighbourhood of one such reader: a read right behind a window moves it on by a large step,
 * one elsewhere takes a small bite with the window that was idle longest. One window of 256 KiB
 * would read as much for each task of two tenants in turn.
 */
#include "runtime/alloc.h"
#include "runtime/log_state.h"

#define BITE ((size_t)8 * SL_KIB)
#define STEP ((size_t)64 * SL_KIB)

static struct sl_segment *
find_segment(const struct sl_log *log, uint32_t ordinal)
{
    uint32_t low = 0, high = log->live.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (log->live.items[middle]->ordinal < ordinal)
            low = middle + 1;
        else
            high = middle;
    }
    bool is_found = low < log->live.count && log->live.items[low]->ordinal == ordinal;
    return is_found ? log->live.items[low] : NULL;
}

static bool
has(const struct sl_log_window *w, struct sl_log_at at, size_t size)
{
    return w->segment == at.segment && at.offset >= w->from &&
           at.offset + (uint64_t)size <= w->from + w->bytes.size;
}

/* Whether `at` lies in the window or not far behind it: its reader has read on. */
static bool
is_next(const struct sl_log_window *w, struct sl_log_at at)
{
    return w->segment == at.segment && at.offset >= w->from &&
           at.offset <= w->from + w->bytes.size + BITE;
}

static struct sl_log_window *
choose(struct sl_log *log, struct sl_log_at at, size_t *ret_step)
{
    struct sl_log_window *oldest = &log->windows[0];
    for (uint32_t i = 0; i < SL_LOG_WINDOWS; i++) {
        struct sl_log_window *w = &log->windows[i];
        if (is_next(w, at)) {
            *ret_step = STEP;
            return w;
        }
        if (w->used < oldest->used)
            oldest = w;
    }
    *ret_step = BITE;
    return oldest;
}

/* Fill a window from `at` on, up to `end` of what the file has. */
static enum sl_err
fill(struct sl_log *log, const struct sl_segment *segment, struct sl_log_at at, size_t size,
     struct sl_log_window **ret_window)
{
    uint64_t end = segment == sl_log_active(log) ? log->offset : segment->size;
    if (at.offset + (uint64_t)size > end)
        return SL_ENOTFOUND;
    size_t step, got;
    struct sl_log_window *w = choose(log, at, &step);
    size_t want = (size_t)SL_MIN(SL_MAX((uint64_t)step, (uint64_t)size), end - at.offset);
    if (w->bytes.capacity > STEP) /* One large read must not cost memory for good. */
        sl_buf_deinit(&w->bytes);
    w->segment = 0;
    sl_buf_clear(&w->bytes);
    sl_buf_reserve(&w->bytes, SL_MAX(want, BITE));
    enum sl_err err = log->options.disk.read(segment->file, at.offset, w->bytes.data, want, &got);
    if (err != SL_OK || got < size)
        return err != SL_OK ? err : SL_EIO;
    w->bytes.size = got;
    w->from = at.offset;
    w->segment = at.segment;
    *ret_window = w;
    return SL_OK;
}

enum sl_err
sl_log_read(struct sl_log *log, struct sl_log_at at, size_t size, struct sl_slice *ret_bytes)
{
    sl_log_check(log);
    struct sl_segment *segment = find_segment(log, at.segment);
    if (segment == NULL)
        return SL_ENOTFOUND;
    *ret_bytes = sl_slice(NULL, 0);
    if (size == 0)
        return SL_OK;
    if (segment == sl_log_active(log) && at.offset >= log->offset) {
        uint64_t from = at.offset - log->offset;
        if (from + size > log->pending.size)
            return SL_ENOTFOUND;
        *ret_bytes = sl_slice(log->pending.data + from, size);
        return SL_OK;
    }
    struct sl_log_window *w = NULL;
    for (uint32_t i = 0; w == NULL && i < SL_LOG_WINDOWS; i++)
        if (has(&log->windows[i], at, size))
            w = &log->windows[i];
    enum sl_err err = w == NULL ? fill(log, segment, at, size, &w) : SL_OK;
    if (err != SL_OK)
        return err;
    w->used = ++log->reads;
    *ret_bytes = sl_slice(w->bytes.data + (at.offset - w->from), size);
    return SL_OK;
}

/* The size of the record whose head is at `at`: not checked yet. */
static enum sl_err
read_size(struct sl_log *log, struct sl_log_at at, uint64_t *ret_size)
{
    struct sl_slice head;
    enum sl_err err = sl_log_read(log, at, SL_SEGMENT_RECORD_HEAD, &head);
    if (err != SL_OK)
        return err;
    struct sl_reader r = sl_reader(head);
    *ret_size = sl_segment_record_size(sl_read_u32(&r));
    return SL_OK;
}

enum sl_err
sl_log_next(struct sl_log *log, struct sl_log_cursor *cursor, struct sl_slice *ret_payload,
            struct sl_log_at *ret_at)
{
    sl_log_check(log);
    const struct sl_segment *segment = find_segment(log, cursor->segment);
    if (segment == NULL || segment == sl_log_active(log))
        return SL_ENOTFOUND;
    uint32_t offset = cursor->offset == 0 ? SL_SEGMENT_HEAD_SIZE : cursor->offset;
    uint64_t position = cursor->offset == 0 ? segment->first : cursor->position + 1, size;
    struct sl_segment_record record;
    struct sl_slice bytes;
    struct sl_log_at at = {cursor->segment, offset};
    enum sl_err err = read_size(log, at, &size);
    if (err == SL_OK && size > segment->size - offset)
        err = SL_ENOTFOUND;
    if (err == SL_OK)
        err = sl_log_read(log, at, (size_t)size, &bytes);
    if (err != SL_OK)
        return err;
    if (!sl_segment_decode(segment, bytes, 0, &record) || record.position != position)
        return SL_ENOTFOUND;
    cursor->offset = offset + (uint32_t)record.size;
    cursor->position = position;
    *ret_payload = record.payload;
    *ret_at = (struct sl_log_at){cursor->segment, offset + SL_SEGMENT_RECORD_HEAD};
    return SL_OK;
}

void
sl_log_windows_deinit(struct sl_log *log)
{
    for (uint32_t i = 0; i < SL_LOG_WINDOWS; i++)
        sl_buf_deinit(&log->windows[i].bytes);
}
