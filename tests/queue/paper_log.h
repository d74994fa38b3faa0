/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paper_log.h - a log that only remembers what was applied: one segment an event, so that a body's
 * address leads back to its bytes.
 */
#ifndef SL_TESTS_QUEUE_PAPER_LOG_H
#define SL_TESTS_QUEUE_PAPER_LOG_H

#include "queue/queue.h"
#include "runtime/alloc.h"

struct sl_paper_log {
    struct sl_slice *events;
    uint32_t count, capacity;
};

static inline void
sl_paper_apply(struct sl_paper_log *log, struct sl_queue *q, uint64_t scope, struct sl_slice event)
{
    if (log->count == log->capacity) {
        log->capacity = SL_MAX(log->capacity * 2, (uint32_t)64);
        log->events = sl_realloc(log->events, log->capacity * sizeof(log->events[0]));
    }
    log->events[log->count++] = sl_slice(sl_memdup(event.data, event.size), event.size);
    struct sl_slice kept = log->events[log->count - 1];
    sl_queue_apply(q, (struct sl_scope){scope}, kept, (struct sl_log_at){log->count, 0});
}

static inline struct sl_slice
sl_paper_read(const struct sl_paper_log *log, struct sl_body body)
{
    if (body.size == 0)
        return (struct sl_slice){0};
    sl_assert(body.at.segment >= 1 && body.at.segment <= log->count);
    struct sl_slice event = log->events[body.at.segment - 1];
    sl_assert((uint64_t)body.at.offset + body.size <= event.size);
    return sl_slice((const uint8_t *)event.data + body.at.offset, body.size);
}

static inline void
sl_paper_deinit(struct sl_paper_log *log)
{
    for (uint32_t i = 0; i < log->count; i++)
        sl_free((void *)log->events[i].data);
    sl_free(log->events);
    *log = (struct sl_paper_log){0};
}

#endif
