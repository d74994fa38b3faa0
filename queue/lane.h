/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane.h - one {tenant}:{class} or {tenant}:{name}: its ready tasks, and its turn among the others
 * of its class; only for the queue's own files. Threading: one owner.
 */
#ifndef SL_QUEUE_LANE_H
#define SL_QUEUE_LANE_H

#include "queue/index.h"

/* One {tenant}:{class}, or a tenant's own queue; there while it has tasks or settings. */
struct sl_lane {
    struct sl_table_link link; /* By sl_lane_key. */
    struct sl_scope scope;
    enum sl_class class;
    uint64_t hash; /* Of the name; 0 without one. */
    char *name;    /* Of class OWN; else NULL. */
    uint32_t number;
    bool is_set;     /* It has settings: it stays without tasks. */
    bool is_dropped; /* It has no name any more, and goes with the last of its tasks... */
    struct sl_lane *dropped_next;
    uint32_t purged; /* ...whose slots were looked at up to here. */
    struct sl_lane_settings settings;
    uint32_t priorities; /* Bit p: ready[p] is not empty. */
    struct sl_list ready[SL_PRIORITIES];
    uint32_t returned[SL_PRIORITIES]; /* The last in ready[p] of those that came back; SL_NONE. */
    struct sl_bucket bucket;          /* Of its rate, if that is limited. */
    uint32_t throttled;               /* Place in q->throttled, until the bucket has a token. */
    bool is_throttled;
    bool is_apart;         /* See apart.h. */
    struct sl_list failed; /* Dead and the like, that are kept; in the order of their ends. */
    uint32_t dying;        /* Place in q->dying, while it forgets some of those in time. */
    bool is_dying;
    uint64_t count[SL_STATE_COUNT];
    struct sl_trail *trail; /* Of class OWN; NULL: nothing happened yet. */
};

struct sl_lane_key {
    struct sl_scope scope;
    enum sl_class class;
    uint64_t hash; /* 0 without OWN. */
};
struct sl_lane *sl_lane_lookup(const struct sl_queue *q, struct sl_lane_key key); /* NULL: none. */
/* The same, made when it is not there; `name` is copied. */
struct sl_lane *sl_lane_add(struct sl_queue *q, struct sl_lane_key key, struct sl_slice name);
/* One of a snapshot that was dropped. */
struct sl_lane *sl_lane_add_dropped(struct sl_queue *q, struct sl_lane_key key,
                                    struct sl_slice name);
/* Nobody finds it from now on, its leases are void, and another may have its name. What is left in
 * it is purged later (sweep.h); it is gone at once when it is empty. */
void sl_lane_drop(struct sl_queue *q, struct sl_lane *lane);
void sl_lane_free(struct sl_lane *lane);
void sl_lane_settings_set(struct sl_queue *q, struct sl_lane *lane,
                          const struct sl_lane_settings *settings);

/* After an event: one that is STOPPING closes once nothing in it is unfinished. No event says so,
 * since those that ended its tasks do. */
void sl_lane_stop(struct sl_queue *q, struct sl_lane *lane);

/* A task whose state is, or is about to be, QUEUED. One that came back goes before all that never
 * left, and behind those that came back before it: each has its turn, however many come back. */
void sl_lane_ready_add(struct sl_queue *q, struct sl_lane *lane, uint32_t slot, bool has_returned);
void sl_lane_ready_remove(struct sl_queue *q, struct sl_lane *lane, uint32_t slot);
/* After its counts have changed: take part in turns, or not; gone once nothing is left of it. */
void sl_lane_settle(struct sl_queue *q, struct sl_lane *lane);

/* Whose turn it is; NULL: no lane of the class hands out anything to whoever asks. */
struct sl_lane *sl_lane_turn(const struct sl_queue *q, enum sl_class class);
/* The task that it hands out next: SL_NONE only where it is not its turn. */
uint32_t sl_lane_next(const struct sl_queue *q, const struct sl_lane *lane, uint64_t now_ms);
/* Its settings are there: begin with all that they allow at once. */
void sl_lane_begin(struct sl_queue *q, struct sl_lane *lane);
/* Out of turns until the next call of sl_lane_wake, which is due at once. */
void sl_lane_step_aside(struct sl_queue *q, struct sl_lane *lane);
/* Lanes, and tasks at keys, whose rate lets them go on by now take part in turns again. */
void sl_lane_wake(struct sl_queue *q, uint64_t now_ns);
/* Charge the lane for a lease that begins, and settle it as the lease ends. */
void sl_lane_grant(struct sl_queue *q, struct sl_lane *lane, struct sl_held *held);
void sl_lane_pay(struct sl_queue *q, struct sl_lane *lane, const struct sl_held *held);

/* After its failed tasks or what is set about them changed: when the first is to be forgotten. */
void sl_lane_dying_settle(struct sl_queue *q, struct sl_lane *lane);
/* How many failed ones it has beyond those it keeps; and until when it keeps one of them. */
uint64_t sl_lane_failed_over(const struct sl_lane *lane);
uint64_t sl_lane_failed_due_ms(const struct sl_queue *q, const struct sl_lane *lane, uint32_t slot);

static inline uint64_t
sl_lane_unfinished(const struct sl_lane *lane)
{
    return lane->count[SL_STATE_SCHEDULED] + lane->count[SL_STATE_QUEUED] +
           lane->count[SL_STATE_BLOCKED] + lane->count[SL_STATE_RUNNING];
}

static inline uint64_t
sl_lane_tasks(const struct sl_lane *lane)
{
    uint64_t count = 0;
    for (int i = 0; i < SL_STATE_COUNT; i++)
        count += lane->count[i];
    return count;
}

#endif
