/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record, little endian: kind u8 | state u8 | reason's size u8 | at ms u48 | task u64 | epoch u64
 * | reason. The kind is the change of a task, or one of those below, behind which the state is a
 * queue's mode. Which id a record has follows from those before it in its chunk.
 */
#include "queue/trail.h"

#include <assert.h>

#include "queue/lane.h"
#include "queue/task.h"
#include "runtime/alloc.h"

#define KIND_QUEUE   254
#define KIND_RESTART 255
#define HEAD_BYTES   25
#define BOOT_SHIFT   24 /* Of what is numbered behind a durable change, in one run. */
#define CHUNKS_MAX   ((uint32_t)(SL_TRAIL_STORE_BYTES / SL_TRAIL_CHUNK_BYTES))
#define OF_QUEUE_MAX ((uint32_t)(SL_TRAIL_QUEUE_BYTES / SL_TRAIL_CHUNK_BYTES))

struct sl_trail_chunk {
    struct sl_trail_chunk *next;          /* Of its trail. */
    struct sl_trail_chunk *newer, *older; /* Of all. */
    struct sl_trail *trail;
    struct sl_trail_id before; /* Of what comes before its first record. */
    uint32_t refs;             /* Its trail, and a snapshot that is written. */
    uint32_t used;
    uint8_t data[SL_TRAIL_CHUNK_BYTES - 56];
};

static_assert(sizeof(struct sl_trail_chunk) == SL_TRAIL_CHUNK_BYTES, "as the bounds say");
static_assert(SL_CHANGE_COUNT < KIND_QUEUE, "a kind of its own each");
static_assert(SL_TRAIL_REASON_MAX <= UINT8_MAX, "its size fits");

static bool
is_before(struct sl_trail_id a, struct sl_trail_id b)
{
    return a.seq < b.seq || (a.seq == b.seq && a.sub < b.sub);
}

/* ---- chunks -------------------------------------------------------------------------------- */

static void
unref(struct sl_trail_chunk *chunk)
{
    if (--chunk->refs == 0)
        sl_free(chunk);
}

static struct sl_trail_chunk *
chunk_add(struct sl_trails *t, struct sl_trail *trail, struct sl_trail_id before)
{
    struct sl_trail_chunk *chunk = sl_alloc(sizeof(*chunk));
    chunk->next = chunk->newer = NULL;
    chunk->older = t->newest;
    chunk->trail = trail;
    chunk->before = before;
    chunk->refs = 1;
    chunk->used = 0;
    if (t->newest != NULL)
        t->newest->newer = chunk;
    else
        t->oldest = chunk;
    t->newest = chunk;
    if (trail->newest != NULL)
        trail->newest->next = chunk;
    else
        trail->first = chunk;
    trail->newest = chunk;
    trail->chunks++;
    t->chunks++;
    return chunk;
}

/* The first of its trail goes, which is the oldest that it has. */
static void
chunk_drop(struct sl_trails *t, struct sl_trail *trail)
{
    struct sl_trail_chunk *chunk = trail->first;
    trail->first = chunk->next;
    trail->dropped = chunk->next == NULL ? trail->last : chunk->next->before;
    if (chunk->next == NULL)
        trail->newest = NULL;
    if (chunk->newer != NULL)
        chunk->newer->older = chunk->older;
    else
        t->newest = chunk->older;
    if (chunk->older != NULL)
        chunk->older->newer = chunk->newer;
    else
        t->oldest = chunk->newer;
    trail->chunks--;
    t->chunks--;
    unref(chunk);
}

/* ---- records ------------------------------------------------------------------------------- */

struct record {
    uint8_t kind, state;
    uint64_t task, epoch;
    struct sl_slice reason;
};

static void
put_u64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* Room for a record, where there is none; the oldest makes it. */
static struct sl_trail_chunk *
chunk_next(struct sl_trails *t, struct sl_trail *trail)
{
    if (trail->chunks == OF_QUEUE_MAX)
        chunk_drop(t, trail);
    else if (t->chunks == CHUNKS_MAX)
        chunk_drop(t, t->oldest->trail);
    return chunk_add(t, trail, trail->last);
}

static inline void
append(struct sl_trails *t, struct sl_trail *trail, struct record r)
{
    size_t reason = SL_MIN(r.reason.size, (size_t)SL_TRAIL_REASON_MAX);
    struct sl_trail_chunk *chunk = trail->newest;
    if (chunk == NULL || chunk->used + HEAD_BYTES + reason > sizeof(chunk->data))
        chunk = chunk_next(t, trail);
    uint8_t *at = chunk->data + chunk->used;
    at[0] = r.kind;
    put_u64(at + 1, t->wall_ms << 16 | reason << 8 | r.state);
    put_u64(at + 9, r.task);
    put_u64(at + 17, r.epoch);
    if (reason > 0)
        memcpy(at + HEAD_BYTES, r.reason.data, reason);
    chunk->used += (uint32_t)(HEAD_BYTES + reason);
}

/* Whether it is in the log, so that a replay numbers it alike. */
static bool
is_durable(uint8_t kind)
{
    return kind == KIND_QUEUE ||
           (kind < SL_CHANGE_COUNT && sl_change_is_durable((enum sl_change)kind));
}

static struct sl_trail_id
id_behind(struct sl_trail_id id, uint8_t kind)
{
    return is_durable(kind) ? (struct sl_trail_id){id.seq + 1, 0}
                            : (struct sl_trail_id){id.seq, id.sub + 1};
}

/* A restart is numbered behind all that its last run may have numbered: read_record follows. */
static struct sl_trail_id
id_of_restart(struct sl_trail_id id, uint64_t boot)
{
    return (struct sl_trail_id){id.seq, SL_MAX(id.sub + 1, boot << BOOT_SHIFT)};
}

static struct sl_trail *
trail_of(struct sl_queue *q, struct sl_lane *lane)
{
    if (lane->trail == NULL) {
        lane->trail = sl_zalloc(sizeof(*lane->trail));
        lane->trail->last.seq = lane->trail->dropped.seq = q->trails.floor;
    }
    return lane->trail;
}

static inline void
note(struct sl_queue *q, struct sl_lane *lane, struct record r)
{
    struct sl_trail *trail = trail_of(q, lane);
    append(&q->trails, trail, r);
    trail->last = id_behind(trail->last, r.kind);
}

void
sl_trail_task(struct sl_queue *q, struct sl_lane *lane, uint64_t task_id,
              const struct sl_become *to, uint64_t epoch)
{
    if (lane->is_dropped)
        return;
    note(q, lane,
         (struct record){.kind = (uint8_t)to->change,
                         .state = (uint8_t)to->state,
                         .task = task_id,
                         .epoch = epoch,
                         .reason = q->trails.reason});
}

void
sl_trail_lane(struct sl_queue *q, struct sl_lane *lane)
{
    note(q, lane, (struct record){.kind = KIND_QUEUE, .state = (uint8_t)lane->settings.mode});
}

void
sl_trail_restart(struct sl_queue *q, uint64_t boot)
{
    for (uint32_t i = 0; i < q->lanes_count; i++) {
        struct sl_trail *trail = q->lanes[i] == NULL ? NULL : q->lanes[i]->trail;
        if (trail == NULL)
            continue;
        append(&q->trails, trail, (struct record){.kind = KIND_RESTART, .epoch = boot});
        trail->last = id_of_restart(trail->last, boot);
    }
}

void
sl_trail_remove(struct sl_queue *q, struct sl_lane *lane)
{
    if (lane->trail == NULL)
        return;
    while (lane->trail->first != NULL)
        chunk_drop(&q->trails, lane->trail);
    q->trails.floor = SL_MAX(q->trails.floor, lane->trail->last.seq);
    sl_free(lane->trail);
    lane->trail = NULL;
}

void
sl_queue_wall(struct sl_queue *q, uint64_t now_ms)
{
    sl_queue_assert(q);
    q->trails.wall_ms = SL_MIN(now_ms, SL_TIME_MAX_MS);
}

/* ---- walking ------------------------------------------------------------------------------- */

/* The record at an offset, if a whole one that can be is there; its size, or 0. */
static size_t
read_record(struct sl_slice bytes, size_t offset, struct sl_trail_id *id,
            struct sl_trail_event *ret_event)
{
    struct sl_reader r = sl_reader(sl_slice(bytes.data + offset, bytes.size - offset));
    uint8_t kind = sl_read_u8(&r), state = sl_read_u8(&r), size = sl_read_u8(&r);
    uint64_t at_ms = sl_read_u32(&r);
    at_ms |= (uint64_t)sl_read_u8(&r) << 32;
    at_ms |= (uint64_t)sl_read_u8(&r) << 40;
    struct sl_trail_event e = {.at_ms = at_ms, .task_id = sl_read_u64(&r)};
    e.epoch = sl_read_u64(&r);
    e.reason = sl_read_bytes(&r, size);
    if (r.is_bad)
        return 0;
    if (kind == KIND_RESTART) {
        e.kind = SL_TRAIL_RESTART;
        *id = id_of_restart(*id, e.epoch);
        e.epoch = 0;
    } else if (kind == KIND_QUEUE && state <= SL_LANE_STOPPING) {
        e.kind = SL_TRAIL_QUEUE;
        e.mode = (enum sl_lane_mode)state;
        *id = id_behind(*id, kind);
    } else if (kind < SL_CHANGE_COUNT && state < SL_STATE_COUNT) {
        e.change = (enum sl_change)kind;
        e.state = (enum sl_state)state;
        *id = id_behind(*id, kind);
    } else {
        return 0;
    }
    e.id = *id;
    *ret_event = e;
    return HEAD_BYTES + (size_t)size;
}

enum sl_err
sl_trail_walk_begin(const struct sl_queue *q, struct sl_scope scope, uint64_t lane_hash,
                    struct sl_trail_id after, struct sl_trail_walk *ret_walk)
{
    sl_queue_assert(q);
    const struct sl_lane *lane =
        sl_lane_lookup(q, (struct sl_lane_key){scope, SL_CLASS_OWN, lane_hash});
    if (lane == NULL)
        return SL_ENOTFOUND;
    const struct sl_trail *trail = lane->trail;
    struct sl_trail_id last = trail == NULL ? (struct sl_trail_id){0} : trail->last;
    struct sl_trail_id dropped = trail == NULL ? (struct sl_trail_id){0} : trail->dropped;
    bool is_begin = after.seq == 0 && after.sub == 0;
    struct sl_trail_walk w = {.chunk = trail == NULL ? NULL : trail->first};
    w.has_gap = !is_begin && (is_before(after, dropped) || is_before(last, after));
    struct sl_trail_id from = is_before(after, dropped) ? dropped : after;
    if (w.has_gap && is_before(last, after))
        from = last;
    while (w.chunk != NULL && w.chunk->next != NULL && !is_before(from, w.chunk->next->before))
        w.chunk = w.chunk->next;
    w.at = w.chunk == NULL ? from : w.chunk->before;
    /* Within its chunk, pass over what was told before. */
    struct sl_trail_walk ahead = w;
    struct sl_trail_event event;
    while (is_before(ahead.at, from) && sl_trail_walk_next(&ahead, &event) &&
           !is_before(from, event.id))
        w = ahead;
    *ret_walk = w;
    return SL_OK;
}

bool
sl_trail_walk_next(struct sl_trail_walk *w, struct sl_trail_event *ret_event)
{
    if (w->chunk != NULL && w->offset == w->chunk->used && w->chunk->next != NULL) {
        w->chunk = w->chunk->next;
        w->offset = 0;
    }
    if (w->chunk == NULL || w->offset == w->chunk->used)
        return false;
    size_t size =
        read_record(sl_slice(w->chunk->data, w->chunk->used), w->offset, &w->at, ret_event);
    sl_assert(size > 0);
    w->offset += (uint32_t)size;
    return true;
}

/* ---- snapshots ----------------------------------------------------------------------------- */

static void
forget_saved(struct sl_trails *t)
{
    for (uint32_t i = 0; i < t->parts_count; i++)
        unref(t->parts[i].chunk);
    sl_free(t->parts);
    sl_free(t->saved);
    t->parts = NULL;
    t->saved = NULL;
    t->parts_count = t->saved_count = 0;
}

void
sl_trails_deinit(struct sl_queue *q)
{
    struct sl_trails *t = &q->trails;
    forget_saved(t);
    while (t->oldest != NULL)
        chunk_drop(t, t->oldest->trail);
}

void
sl_trails_save_begin(struct sl_queue *q)
{
    struct sl_trails *t = &q->trails;
    forget_saved(t);
    t->saved = sl_alloc((q->lanes_count + 1) * sizeof(t->saved[0]));
    t->parts = sl_alloc((t->chunks + 1) * sizeof(t->parts[0]));
    t->saved_at = t->parts_at = t->parts_left = 0;
    t->saved_floor = t->floor;
    t->is_begun = false;
    for (uint32_t i = 0; i < q->lanes_count; i++) {
        struct sl_trail *trail = q->lanes[i] == NULL ? NULL : q->lanes[i]->trail;
        if (trail == NULL)
            continue;
        t->saved[t->saved_count++] = (struct sl_trail_saved){
            .lane = i, .last = trail->last, .dropped = trail->dropped, .chunks = trail->chunks};
        for (struct sl_trail_chunk *c = trail->first; c != NULL; c = c->next) {
            c->refs++;
            t->parts[t->parts_count++] = (struct sl_trail_part){c, c->used};
        }
    }
}

static void
append_id(struct sl_buf *out, struct sl_trail_id id)
{
    sl_buf_append_u64(out, id.seq);
    sl_buf_append_u64(out, id.sub);
}

static void
append_saved(struct sl_buf *out, const struct sl_trail_saved *s)
{
    sl_buf_append_u32(out, s->lane);
    append_id(out, s->last);
    append_id(out, s->dropped);
    sl_buf_append_u32(out, s->chunks);
}

bool
sl_trails_save_some(struct sl_queue *q, struct sl_buf *out, size_t end)
{
    struct sl_trails *t = &q->trails;
    if (!t->is_begun) {
        t->is_begun = true;
        sl_buf_append_u64(out, t->saved_floor);
        sl_buf_append_u32(out, t->saved_count);
    }
    while (t->parts_left > 0 || t->saved_at < t->saved_count) {
        if (out->size >= end)
            return true;
        if (t->parts_left == 0) {
            append_saved(out, &t->saved[t->saved_at]);
            t->parts_left = t->saved[t->saved_at++].chunks;
            continue;
        }
        const struct sl_trail_part *part = &t->parts[t->parts_at++];
        append_id(out, part->chunk->before);
        sl_buf_append_block(out, sl_slice(part->chunk->data, part->used));
        t->parts_left--;
    }
    forget_saved(t);
    return false;
}

static struct sl_trail_id
read_id(struct sl_reader *r)
{
    struct sl_trail_id id = {.seq = sl_read_u64(r)};
    id.sub = sl_read_u64(r);
    return id;
}

/* Whether the bytes are records that lead from one id to another. */
static bool
leads(struct sl_slice bytes, struct sl_trail_id from, struct sl_trail_id to)
{
    struct sl_trail_event event;
    size_t offset = 0, size = 1;
    while (offset < bytes.size && size > 0) {
        size = read_record(bytes, offset, &from, &event);
        offset += size;
    }
    return size > 0 && from.seq == to.seq && from.sub == to.sub;
}

/* The bytes of a chunk have to lead to the next one, and those of the last to the end. */
static bool
read_chunks(struct sl_queue *q, struct sl_trail *trail, struct sl_reader *r, uint32_t count)
{
    struct sl_trail_id at = trail->dropped;
    struct sl_slice bytes = {0};
    for (uint32_t i = 0; i < count; i++) {
        struct sl_trail_id before = read_id(r);
        if (r->is_bad || !leads(bytes, at, before))
            return false;
        bytes = sl_read_block(r);
        if (r->is_bad || bytes.size > sizeof(trail->first->data) || q->trails.chunks == CHUNKS_MAX)
            return false;
        struct sl_trail_chunk *chunk = chunk_add(&q->trails, trail, before);
        if (bytes.size > 0)
            memcpy(chunk->data, bytes.data, bytes.size);
        chunk->used = (uint32_t)bytes.size;
        at = before;
    }
    return leads(bytes, at, trail->last);
}

static bool
read_trail(struct sl_queue *q, struct sl_reader *r, const uint32_t *lanes, uint32_t lanes_count)
{
    uint32_t number = sl_read_u32(r);
    struct sl_trail_id last = read_id(r), dropped = read_id(r);
    uint32_t chunks = sl_read_u32(r);
    if (r->is_bad || number >= lanes_count || lanes[number] == SL_NONE || chunks > OF_QUEUE_MAX ||
        last.seq >= SL_TASK_LAST || last.sub >= SL_TASK_LAST)
        return false;
    struct sl_lane *lane = q->lanes[lanes[number]];
    if (lane->class != SL_CLASS_OWN || lane->is_dropped || lane->trail != NULL)
        return false;
    lane->trail = sl_zalloc(sizeof(*lane->trail));
    lane->trail->last = last;
    lane->trail->dropped = dropped;
    return read_chunks(q, lane->trail, r, chunks);
}

bool
sl_trails_restore(struct sl_queue *q, struct sl_reader *r, const uint32_t *lanes,
                  uint32_t lanes_count)
{
    q->trails.floor = sl_read_u64(r);
    uint32_t count = sl_read_u32(r);
    if (r->is_bad || q->trails.floor >= SL_TASK_LAST)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!read_trail(q, r, lanes, lanes_count))
            return false;
    }
    return true;
}

uint64_t
sl_trails_bytes(const struct sl_queue *q)
{
    return q->trails.chunks * SL_TRAIL_CHUNK_BYTES;
}
