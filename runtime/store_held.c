/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments of the log that projections read from. What a snapshot on disk names stays, though the
 * state may have let go of it since: a start begins with that snapshot.
 */
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/store_state.h"

void
sl_store_held_add(struct sl_store_held *held, uint32_t segment)
{
    held->segments = sl_realloc(held->segments, (held->count + 1) * sizeof(held->segments[0]));
    held->segments[held->count++] = segment;
}

bool
sl_store_held_has(const struct sl_store_held *held, uint32_t segment)
{
    for (uint32_t i = 0; i < held->count; i++)
        if (held->segments[i] == segment)
            return true;
    return false;
}

void
sl_store_held_deinit(struct sl_store_held *held)
{
    sl_free(held->segments);
    *held = (struct sl_store_held){0};
}

bool
sl_store_is_held(void *arg, uint32_t segment)
{
    return sl_store_held_has(&((const struct sl_store *)arg)->held, segment);
}

uint64_t
sl_store_held_bytes(const struct sl_store *store, uint32_t segment)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < store->options.projections_count; i++) {
        const struct sl_projection *p = &store->projections[i];
        if (p->held != NULL)
            bytes += p->held(p->self, segment);
    }
    return bytes;
}

void
sl_store_held_now(const struct sl_store *store, struct sl_store_held *ret_held)
{
    sl_store_held_deinit(ret_held);
    for (uint32_t i = 0; i < sl_log_segments(store->log); i++) {
        uint32_t segment = sl_log_segment(store->log, i).ordinal;
        if (sl_store_held_bytes(store, segment) > 0)
            sl_store_held_add(ret_held, segment);
    }
}

void
sl_store_held_encode(const struct sl_store_held *held, struct sl_buf *out)
{
    sl_buf_append_u32(out, held->count);
    for (uint32_t i = 0; i < held->count; i++)
        sl_buf_append_u32(out, held->segments[i]);
}

enum sl_err
sl_store_held_decode(struct sl_reader *r, struct sl_store_held *held)
{
    uint32_t count = sl_read_u32(r);
    for (uint32_t i = 0; i < count && !r->is_bad; i++) {
        uint32_t segment = sl_read_u32(r);
        if (!r->is_bad && !sl_store_held_has(held, segment))
            sl_store_held_add(held, segment);
    }
    return r->is_bad ? SL_ECORRUPT : SL_OK;
}

enum sl_err
sl_store_check_held(const struct sl_store *store)
{
    enum sl_err err = SL_OK;
    for (uint32_t i = 0; i < store->held.count; i++) {
        uint32_t k = 0, count = sl_log_segments(store->log);
        while (k < count && sl_log_segment(store->log, k).ordinal != store->held.segments[i])
            k++;
        if (k < count)
            continue;
        sl_report_error("log-damaged", "missing-segment=%u", store->held.segments[i]);
        err = SL_ECORRUPT;
    }
    return err;
}
