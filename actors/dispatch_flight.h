/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch_flight.h - the tasks that are under way at nodes: what the dispatcher sent where, and
 * how much of a node's room each takes. A flight is what a node was sent, not a lease: it ends with
 * its task's answer, with its node, when the link did not take it, or when its lease lapsed.
 *
 * Found by task, walked by node from the oldest. Threading: one owner.
 */
#ifndef SL_ACTORS_DISPATCH_FLIGHT_H
#define SL_ACTORS_DISPATCH_FLIGHT_H

#include "runtime/base.h"

struct sl_flight {
    struct sl_flight *chain;         /* In its bucket. */
    struct sl_flight *newer, *older; /* Of the same node. */
    struct sl_flight_list *list;     /* Its node's. */
    uint64_t task_id, epoch;
    uint64_t since_ns;    /* When it was sent. */
    uint64_t expected_ns; /* Of service. */
    uint32_t bytes;       /* Of its inputs. */
};

/* Of a node. */
struct sl_flight_list {
    struct sl_flight *oldest, *newest;
    uint64_t count, bytes, expected_ns;
    uint64_t *sum; /* Counts those of several nodes; NULL: none does. */
};

struct sl_flights {
    struct sl_flight **buckets;
    size_t capacity, count; /* capacity: 0 or a power of two. */
};

void sl_flights_deinit(struct sl_flights *flights);
/* A task was sent; an older flight of the same task is over. `like`: all but the links. */
void sl_flight_add(struct sl_flights *flights, struct sl_flight_list *list,
                   const struct sl_flight *like);
struct sl_flight *sl_flight_lookup(const struct sl_flights *flights, uint64_t task_id); /* NULL */
void sl_flight_end(struct sl_flights *flights, struct sl_flight *flight);
void sl_flights_end_all(struct sl_flights *flights, struct sl_flight_list *list);

#endif
