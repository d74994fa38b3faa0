/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - several events in one buffer, each with its scope, for who commits them together:
 *
 *   sl_events_stage(&events, txn, SL_PROJECTION_QUEUE);
 *
 * Each: scope u64 | size u32 | the event. It is no format of the log.
 */
#ifndef SL_QUEUE_EVENTS_H
#define SL_QUEUE_EVENTS_H

#include "runtime/buf.h"
#include "runtime/catalogue.h"
#include "runtime/store.h"

/* Before an event is appended to `out`, and after; the number given by the first is for the second.
 */
static inline size_t
sl_events_begin(struct sl_buf *out, struct sl_scope scope)
{
    sl_buf_append_u64(out, scope.id);
    sl_buf_append_u32(out, 0);
    return out->size;
}

static inline void
sl_events_end(struct sl_buf *out, size_t begin)
{
    size_t size = out->size - begin;
    for (int i = 0; i < 4; i++)
        out->data[begin - 4 + (size_t)i] = (uint8_t)(size >> (8 * i));
}

/* The next event, borrowed from the buffer; false: there are no more. */
static inline bool
sl_events_next(struct sl_reader *r, struct sl_scope *ret_scope, struct sl_slice *ret_event)
{
    if (r->at == r->end)
        return false;
    ret_scope->id = sl_read_u64(r);
    *ret_event = sl_read_block(r);
    sl_assert(!r->is_bad);
    return true;
}

/* All of them join a transaction, in their order; the buffer is empty after it. */
static inline void
sl_events_stage(struct sl_buf *events, struct sl_txn *txn, uint8_t projection)
{
    struct sl_scope scope;
    struct sl_slice event;
    struct sl_reader r = sl_reader(sl_buf_slice(events));
    while (sl_events_next(&r, &scope, &event))
        sl_txn_event(txn, projection, scope, event);
    sl_buf_clear(events);
}

#endif
