/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wants.h - who wants leases of which queue: the broker's own. A worker is the actor of a node; it
 * wants leases of a queue once, so many at a time. Those of a queue that want any are a ring,
 * served in turn. Queues in which something has changed are marked, to be looked at, each once.
 *
 * Pure state. Threading: one owner.
 */
#ifndef SL_ACTORS_WANTS_H
#define SL_ACTORS_WANTS_H

#include "queue/backend.h"
#include "queue/table.h"
#include "runtime/actor.h"

struct sl_want {
    struct sl_table_link link;
    struct sl_wants_lane *lane;
    struct sl_want *next, *prev; /* Of its lane's ring; NULL: its credit is 0. */
    struct sl_addr who;
    uint32_t credit;
    bool tells_begun;    /* What it gets has not begun until it says so. */
    enum sl_level level; /* How far what is pushed to it must have come. */
    uint64_t duration_ns;
};

/* A queue that workers want leases of; gone with the last of them. */
struct sl_wants_lane {
    struct sl_table_link link;
    struct sl_wants_lane *next, *prev; /* All of them. */
    struct sl_wants_lane *marked_next, *marked_prev;
    bool is_marked;
    uint32_t count, hungry; /* Wants, and those in the ring. */
    struct sl_scope scope;
    char name[SL_LANE_NAME_MAX];
    size_t name_size;
    struct sl_want *last; /* Whoever was served last: the one behind is next. NULL: none. */
};

struct sl_wants {
    struct sl_table lanes, nodes; /* The latter: wants, by node. */
    struct sl_wants_lane *first, *marked_first, *marked_last;
    uint32_t count, count_max; /* Wants. */
};

void sl_wants_deinit(struct sl_wants *w); /* Zeroed is fine. */

/* NULL: nobody wants any of it. */
struct sl_wants_lane *sl_wants_lane(const struct sl_wants *w, struct sl_queue_name queue);
/* Lent until the lane goes. */
struct sl_queue_name sl_wants_name(const struct sl_wants_lane *lane);
/* That worker's of that queue, a new one if there was none; `queue` has a valid name. NULL: there
 * are too many. */
struct sl_want *sl_wants_of(struct sl_wants *w, struct sl_queue_name queue, struct sl_addr who);
/* Forget that worker's of that queue, if there is one. */
void sl_wants_remove(struct sl_wants *w, struct sl_queue_name queue, struct sl_addr who);
void sl_wants_forget(struct sl_wants *w, uint32_t node); /* All of that node. */

/* Change what one may have: it joins its ring behind all others, or leaves it. */
void sl_wants_credit(struct sl_want *want, uint32_t credit);
/* Whose turn it is in a lane, NULL: nobody's; and it has got so many, so it is another's. */
struct sl_want *sl_wants_turn(const struct sl_wants_lane *lane);
void sl_wants_serve(struct sl_want *want, uint32_t count);

void sl_wants_mark(struct sl_wants *w, struct sl_wants_lane *lane); /* Behind those that are. */
void sl_wants_mark_all(struct sl_wants *w);
/* The first that is marked, and is no more; NULL: none is. */
struct sl_wants_lane *sl_wants_marked(struct sl_wants *w);

#endif
