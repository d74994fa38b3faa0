/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trail.h - what happened in each queue of class OWN, in order, as far as it is kept: for who wants
 * to hear of every change, and to go on where it stopped.
 *
 * A trail follows from the events of the log, as the index does, and is in its snapshots: nothing
 * is written for it, and after a restart each durable change has the number that it had. Leases and
 * time are no events of the log: what they do is numbered behind the durable change before, and
 * what of it no snapshot has is gone with the process; a `restart` in the trail says so.
 *
 *   id   seq: durable changes, 1 on; sub: those behind it that are not, 0: the durable one itself.
 *        Both rise for ever, over restarts and over a queue that is removed and made again.
 *
 * Kept are the last SL_TRAIL_QUEUE_BYTES of a queue, SL_TRAIL_STORE_BYTES of all queues together;
 * the oldest go first, a chunk at a time, and who asks for what is gone is told of the gap.
 * Threading: one owner, the queue's.
 */
#ifndef SL_QUEUE_TRAIL_H
#define SL_QUEUE_TRAIL_H

#include "queue/queue.h"

#define SL_TRAIL_CHUNK_BYTES ((size_t)4096)
#define SL_TRAIL_QUEUE_BYTES (64 * SL_TRAIL_CHUNK_BYTES)   /* About 10,000 changes. */
#define SL_TRAIL_STORE_BYTES (8192 * SL_TRAIL_CHUNK_BYTES) /* 32 MiB. */
#define SL_TRAIL_REASON_MAX  96 /* Bytes of a reason that are kept here. */

struct sl_trail_id {
    uint64_t seq, sub;
};

enum sl_trail_kind {
    SL_TRAIL_TASK,   /* A task changed. */
    SL_TRAIL_QUEUE,  /* The queue was set, or closed itself: `mode`. */
    SL_TRAIL_RESTART /* Leases from before are void; what they did last is not told. */
};

struct sl_trail_event {
    struct sl_trail_id id;
    enum sl_trail_kind kind;
    enum sl_change change; /* Of a task; the state after it. */
    enum sl_state state;
    enum sl_lane_mode mode; /* Of a queue. */
    uint64_t task_id;
    uint64_t epoch; /* Of the lease that it has or had; 0: none, or not known since a restart. */
    uint64_t at_ms; /* Wall time; where the event does not say, the latest that was known. */
    struct sl_slice reason; /* Why it failed, cut short; empty: none. Until the next event. */
};

/* A walk; valid until the next event or lease of the queue. */
struct sl_trail_walk {
    const struct sl_trail_chunk *chunk;
    uint32_t offset;
    struct sl_trail_id at; /* Of the last one that was given, or passed over. */
    /* What was asked for is not there any more: the first that is comes behind `at`. Or it never
     * was: then that is the last there is. */
    bool has_gap;
};

/* Begin behind an id; zeroes: with the first that is kept, and no gap. SL_ENOTFOUND: no queue. */
SL_MUST_CHECK enum sl_err sl_trail_walk_begin(const struct sl_queue *q, struct sl_scope scope,
                                              uint64_t lane, struct sl_trail_id after,
                                              struct sl_trail_walk *ret_walk);
bool sl_trail_walk_next(struct sl_trail_walk *w, struct sl_trail_event *ret_event);

/* Tell the wall time, for what is to happen now. */
void sl_queue_wall(struct sl_queue *q, uint64_t now_ms);

#endif
