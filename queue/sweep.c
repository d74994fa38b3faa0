/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/sweep.h"

#include "queue/events.h"
#include "queue/lane.h"
#include "queue/options.h"
#include "queue/task.h"

#define CLOCK_BACK_MS 1000

struct sweep {
    struct sl_queue *q;
    uint64_t now_ms;
    struct sl_buf *out;
    struct sl_swept swept;
    uint32_t left; /* Events that this call may still append. */
};

static void
add(struct sweep *s, enum sl_queue_event_kind kind, uint32_t slot)
{
    const struct sl_task *task = sl_task_at(s->q, slot);
    size_t begin = sl_events_begin(s->out, s->q->lanes[task->lane]->scope);
    sl_queue_event_task_only(s->out, kind, task->id, s->now_ms);
    sl_events_end(s->out, begin);
    s->left--;
}

/*
 * Items of a wheel that are due: numbers. They stay inside, since only an event takes them out; due
 * as they are, they are found again if there was none.
 */
static uint32_t
due(struct sl_wheel *w, struct sl_items items, const struct sweep *s, uint32_t *ret_items)
{
    uint32_t count = 0;
    if (s->now_ms + CLOCK_BACK_MS < w->now_ms) /* The clock was ahead, and is not any more. */
        sl_wheel_rewind(w, items, s->now_ms);
    while (count < s->left && sl_wheel_next_ms(w) <= s->now_ms) {
        uint32_t item = sl_wheel_pop(w, items, s->now_ms);
        if (item != SL_NONE)
            ret_items[count++] = item;
    }
    for (uint32_t i = 0; i < count; i++)
        sl_wheel_insert(w, items, ret_items[i]);
    return count;
}

static void
expire(struct sweep *s)
{
    uint32_t items[SL_QUEUE_SWEEP_MAX];
    uint32_t count = due(&s->q->expiring, sl_options_items(s->q), s, items);
    for (uint32_t i = 0; i < count; i++)
        add(s, SL_QUEUE_EXPIRE_TASK, s->q->extras[items[i]].slot);
    s->swept.expired = count;
}

static void
forget_kept(struct sweep *s)
{
    uint32_t slots[SL_QUEUE_SWEEP_MAX];
    uint32_t count = due(&s->q->kept, sl_task_items(s->q), s, slots);
    for (uint32_t i = 0; i < count; i++)
        add(s, SL_QUEUE_FORGET_TASK, slots[i]);
    s->swept.forgotten = count;
}

/* Idempotency keys: one event for those of a scope that come one after the other. */
static void
drop_keys(struct sweep *s)
{
    uint32_t slots[SL_QUEUE_SWEEP_MAX];
    uint32_t count = sl_dedup_due(s->q->dedup, s->now_ms, slots, s->left);
    struct sl_buf event = {0};
    struct sl_dedup_entry e = {.task = 0};
    uint64_t scope = 0;
    for (uint32_t i = 0; i <= count; i++) {
        bool is_there = i < count && sl_dedup_at(s->q->dedup, slots[i], &e);
        if (event.size > 0 && (!is_there || e.key.scope != scope)) {
            size_t begin = sl_events_begin(s->out, (struct sl_scope){scope});
            sl_buf_append_slice(s->out, sl_buf_slice(&event));
            sl_events_end(s->out, begin);
            sl_buf_clear(&event);
        }
        scope = e.key.scope;
        if (is_there)
            sl_queue_event_drop_key(&event, s->now_ms, e.key.hash);
    }
    sl_buf_deinit(&event);
    s->left -= count;
    s->swept.keys = count;
}

/* A queue's failed tasks: too many of them, or kept for as long as it was told. */
static void
forget_failed(struct sweep *s, const struct sl_lane *lane)
{
    uint64_t over = sl_lane_failed_over(lane);
    for (uint32_t slot = lane->failed.first; slot != SL_NONE && s->left > 0; over -= over > 0) {
        if (over == 0 && sl_lane_failed_due_ms(s->q, lane, slot) > s->now_ms)
            return;
        add(s, SL_QUEUE_FORGET_TASK, slot);
        s->swept.dead++;
        slot = sl_task_at(s->q, slot)->link.next;
    }
}

/* Queues whose time has come are the top of the heap: of a later one's children none is due. */
static void
forget_failed_from(struct sweep *s, uint32_t at)
{
    const struct sl_heap *heap = &s->q->dying;
    if (at >= heap->count || heap->entries[at].key > s->now_ms || s->left == 0)
        return;
    forget_failed(s, SL_CONTAINER(heap->entries[at].position, struct sl_lane, dying));
    forget_failed_from(s, 2 * at + 1); /* As deep as the heap. */
    forget_failed_from(s, 2 * at + 2);
}

/* Of the queue that was dropped last, in passes over all slots: what its event misses, since that
 * was not committed, the next pass finds. */
static void
purge(struct sweep *s)
{
    struct sl_lane *lane = s->q->dropped;
    struct sl_buf event = {0};
    if (lane == NULL)
        return;
    if (lane->purged >= s->q->tasks_used)
        lane->purged = 0;
    uint32_t end = SL_MIN(s->q->tasks_used, lane->purged + SL_QUEUE_PURGE_LOOK);
    for (; lane->purged < end && s->swept.purged < SL_QUEUE_PURGE_MAX; lane->purged++) {
        const struct sl_task *task = &s->q->tasks[lane->purged];
        if (task->id == 0 || task->lane != lane->number)
            continue;
        sl_queue_event_purge(&event, task->id);
        s->swept.purged++;
    }
    if (event.size > 0) {
        size_t begin = sl_events_begin(s->out, lane->scope);
        sl_buf_append_slice(s->out, sl_buf_slice(&event));
        sl_events_end(s->out, begin);
    }
    sl_buf_deinit(&event);
}

uint32_t
sl_queue_sweep(struct sl_queue *q, uint64_t now_ms, struct sl_buf *out, struct sl_swept *ret_swept)
{
    sl_queue_assert(q);
    struct sweep s = {
        .q = q, .now_ms = SL_MIN(now_ms, SL_TIME_MAX_MS), .out = out, .left = SL_QUEUE_SWEEP_MAX};
    expire(&s);
    forget_kept(&s);
    forget_failed_from(&s, 0);
    drop_keys(&s);
    purge(&s);
    s.swept.is_more = s.left == 0 || s.q->dropped != NULL;
    *ret_swept = s.swept;
    return SL_QUEUE_SWEEP_MAX - s.left + s.swept.purged;
}

uint64_t
sl_queue_sweep_next_ms(const struct sl_queue *q)
{
    sl_queue_assert(q);
    if (q->dropped != NULL)
        return 0;
    uint64_t next_ms = SL_MIN(sl_wheel_next_ms(&q->expiring), sl_wheel_next_ms(&q->kept));
    next_ms = SL_MIN(next_ms, sl_dedup_next_ms(q->dedup));
    return q->dying.count == 0 ? next_ms : SL_MIN(next_ms, q->dying.entries[0].key);
}
