/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the log's next segment comes from: one that was released, one that was made ahead, one that
 * is made now, and, when the disk is full, the reserve. That is there so that what is under way may
 * end: while the log is on it, whoever takes new work refuses (sl_log_is_low). Another one is made
 * as soon as there is room.
 */
#include <stdio.h>

#include "runtime/alloc.h"
#include "runtime/log_erase.h"
#include "runtime/log_state.h"
#include "runtime/report.h"

#define SEGMENT_SIZE_FIRST (4 * SL_MIB)
#define RESERVE_SIZE       (32 * SL_MIB) /* Some 300,000 ends of tasks, or the largest record. */
#define FREE_MAX           2             /* Released segments that are kept. */

static uint64_t
reserve_size(const struct sl_log *log)
{
    return SL_MIN(log->options.segment_size_bytes, RESERVE_SIZE);
}

static enum sl_err
make_segment(struct sl_log *log, uint64_t size, struct sl_segment **ret_segment)
{
    char name[32];
    pthread_mutex_lock(&log->lock);
    snprintf(name, sizeof(name), "segment-%010llu", (unsigned long long)log->number++);
    pthread_mutex_unlock(&log->lock);
    return sl_segment_create(&log->options.disk, name, size, ret_segment);
}

/* Put what sl_log_prepare has made where it is wanted. */
static void
adopt(struct sl_log *log)
{
    pthread_mutex_lock(&log->lock);
    struct sl_segment *segment = log->prepared;
    log->prepared = NULL;
    pthread_mutex_unlock(&log->lock);
    if (segment == NULL)
        return;
    if (log->reserve != NULL || segment->size < reserve_size(log)) {
        sl_segment_list_add(&log->free, segment);
        return;
    }
    log->reserve = segment;
    if (log->is_low)
        sl_report_info("log-has-room", "segment=%s", segment->name);
    log->is_low = false;
}

static enum sl_err
take_reserve(struct sl_log *log, uint64_t need, struct sl_segment **ret_segment)
{
    if (log->reserve == NULL || log->reserve->size < need)
        return SL_ENOSPC;
    sl_report_error("log-on-reserve", "segment=%s action=refuse-new-work", log->reserve->name);
    *ret_segment = log->reserve;
    log->reserve = NULL;
    log->is_low = true;
    return SL_OK;
}

enum sl_err
sl_log_take_segment(struct sl_log *log, uint64_t size, struct sl_segment **ret_segment)
{
    uint64_t need = SL_SEGMENT_HEAD_SIZE + size;
    adopt(log);
    pthread_mutex_lock(&log->lock);
    log->has_failed_to_prepare = false;
    pthread_mutex_unlock(&log->lock);
    for (uint32_t i = 0; i < log->free.count; i++) {
        if (log->free.items[i]->size >= need) {
            *ret_segment = sl_segment_list_take(&log->free, i);
            return SL_OK;
        }
    }
    uint64_t normal = SL_MIN(log->options.segment_size_bytes, SEGMENT_SIZE_FIRST);
    enum sl_err err =
        make_segment(log, SL_MAX(normal, (need + 4095) & ~UINT64_C(4095)), ret_segment);
    return err == SL_ENOSPC ? take_reserve(log, need, ret_segment) : err;
}

void
sl_log_trim_free(struct sl_log *log)
{
    for (uint32_t i = log->free.count; i-- > 0;) {
        if (log->free.items[i]->size >= log->options.segment_size_bytes && i < FREE_MAX)
            continue;
        struct sl_segment *segment = sl_segment_list_take(&log->free, i);
        enum sl_err ignored = log->options.disk.remove(log->options.disk.self, segment->name);
        (void)ignored;
        sl_segment_close(&log->options.disk, &segment);
    }
}

static void
drop(struct sl_log *log, struct sl_segment **segment)
{
    enum sl_err err = log->options.disk.remove(log->options.disk.self, (*segment)->name);
    if (err != SL_OK)
        sl_report_error("segment-not-removed", "segment=%s err=%s", (*segment)->name,
                        sl_err_name(err));
    sl_segment_close(&log->options.disk, segment);
}

void
sl_log_drop_free(struct sl_log *log)
{
    sl_log_check(log);
    adopt(log);
    while (log->free.count > 0) {
        struct sl_segment *segment = sl_segment_list_take(&log->free, log->free.count - 1);
        drop(log, &segment);
    }
    if (log->reserve != NULL)
        drop(log, &log->reserve); /* Another is made as soon as there is time. */
    sl_log_windows_deinit(log);
}

void
sl_log_stock(struct sl_log *log)
{
    for (uint32_t i = 0; log->reserve == NULL && i < log->free.count; i++)
        if (log->free.items[i]->size >= reserve_size(log))
            log->reserve = sl_segment_list_take(&log->free, i);
    sl_log_trim_free(log);
}

bool
sl_log_is_low(const struct sl_log *log)
{
    sl_log_check(log);
    return log->is_low;
}

/* What is made ahead must not take the last room: the catalogue needs some now. */
static bool
has_room(const struct sl_log *log, uint64_t size)
{
    const struct sl_disk *disk = &log->options.disk;
    return disk->room == NULL || disk->room(disk->self) / 2 >= size;
}

/* One that failed is tried again with the next segment, or when the disk has got more room. */
static bool
may_prepare(struct sl_log *log, uint64_t size)
{
    const struct sl_disk *disk = &log->options.disk;
    pthread_mutex_lock(&log->lock);
    bool has_more = log->has_failed_to_prepare && disk->room != NULL &&
                    disk->room(disk->self) > log->failed_room && has_room(log, size);
    log->has_failed_to_prepare = log->has_failed_to_prepare && !has_more;
    bool may = log->prepared == NULL && !log->is_preparing && !log->has_failed_to_prepare;
    log->prepare_size = size;
    pthread_mutex_unlock(&log->lock);
    return may;
}

bool
sl_log_wants_prepare(struct sl_log *log)
{
    sl_log_check(log);
    adopt(log);
    bool has_all = log->reserve != NULL && log->free.count > 0;
    bool is_time = log->is_low || log->offset > sl_log_active(log)->size / 4;
    if (has_all || !is_time || log->failed != SL_OK)
        return false;
    /* The reserve first: the next segment may be made when it is needed. */
    return may_prepare(log,
                       log->reserve == NULL ? reserve_size(log) : log->options.segment_size_bytes);
}

enum sl_err
sl_log_prepare(struct sl_log *log)
{
    sl_log_check(log);
    const struct sl_disk *disk = &log->options.disk;
    struct sl_segment *segment = NULL;
    pthread_mutex_lock(&log->lock);
    bool is_needed = log->prepared == NULL && !log->is_preparing;
    uint64_t size = log->prepare_size;
    log->is_preparing = log->is_preparing || is_needed;
    pthread_mutex_unlock(&log->lock);
    if (!is_needed || size == 0)
        return SL_OK;
    enum sl_err err = has_room(log, size) ? make_segment(log, size, &segment) : SL_ENOSPC;
    uint64_t room = err == SL_OK || disk->room == NULL ? UINT64_MAX : disk->room(disk->self);
    pthread_mutex_lock(&log->lock);
    log->is_preparing = false;
    log->has_failed_to_prepare = err != SL_OK;
    log->failed_room = room;
    log->prepared = segment;
    pthread_mutex_unlock(&log->lock);
    return err;
}
