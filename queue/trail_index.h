/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trail_index.h - trails as the index has them; only for the queue's own files.
 *
 * Records lie in chunks, which never change but at their end: a snapshot holds those that are there
 * when it begins, and how far they are full, and so needs no copy.
 */
#ifndef SL_QUEUE_TRAIL_INDEX_H
#define SL_QUEUE_TRAIL_INDEX_H

#include "queue/trail.h"

struct sl_lane;

/* Of one queue. */
struct sl_trail {
    struct sl_trail_id last;    /* Of the last change; none may be kept. */
    struct sl_trail_id dropped; /* Of the last one that is not kept any more. */
    struct sl_trail_chunk *first, *newest;
    uint32_t chunks;
};

struct sl_trail_saved {
    uint32_t lane; /* Its number. */
    struct sl_trail_id last, dropped;
    uint32_t chunks;
};

/* Of all queues. */
struct sl_trails {
    uint64_t wall_ms;       /* The latest that anybody told. */
    struct sl_slice reason; /* Of the change at hand; empty: none. */
    uint64_t floor;         /* No trail that begins now has a lower number. */
    struct sl_trail_chunk *oldest, *newest;
    uint32_t chunks;
    /* Of the snapshot that is written. */
    struct sl_trail_saved *saved;
    struct sl_trail_part {
        struct sl_trail_chunk *chunk;
        uint32_t used;
    } * parts;
    uint32_t saved_count, saved_at, parts_count, parts_at, parts_left;
    uint64_t saved_floor;
    bool is_begun; /* Its first fields are written. */
};

/* A task of a lane of class OWN is about to change. */
struct sl_become;
void sl_trail_task(struct sl_queue *q, struct sl_lane *lane, uint64_t task_id,
                   const struct sl_become *to, uint64_t epoch);
/* A lane of class OWN has been set, or has closed itself. */
void sl_trail_lane(struct sl_queue *q, struct sl_lane *lane);
/* All leases are void from now on. */
void sl_trail_restart(struct sl_queue *q, uint64_t boot);
/* The lane is removed: what it has goes, and numbers go on behind it. */
void sl_trail_remove(struct sl_queue *q, struct sl_lane *lane);
void sl_trails_deinit(struct sl_queue *q);

/* Into a snapshot of the state in which it began; false with the last of it. */
void sl_trails_save_begin(struct sl_queue *q);
bool sl_trails_save_some(struct sl_queue *q, struct sl_buf *out, size_t end);
/* `lanes` are the lanes' numbers by those of the snapshot, SL_NONE none. False: it cannot be. */
bool sl_trails_restore(struct sl_queue *q, struct sl_reader *r, const uint32_t *lanes,
                       uint32_t lanes_count);
uint64_t sl_trails_bytes(const struct sl_queue *q);

#endif
