/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatcher.h - the actor between the queue and the nodes: it leases tasks to nodes with room,
 * takes their ends, and writes what they made in the same transaction that ends them.
 *
 *   wake, join, room --> lease: payload -> source + extraction -> inputs --> run_task to the node
 *   task_done   --> live epoch? --> records + vectors + counters + done, one log record
 *   task_failed --> live epoch? --> retry with back-off, or a failure row + dead
 *
 * A node's silence or end voids its leases; what it still sends carries dead epochs and is refused.
 */
#ifndef SL_ACTORS_DISPATCHER_H
#define SL_ACTORS_DISPATCHER_H

#include "actors/cluster.h"
#include "actors/index.h"
#include "queue/look.h"
#include "queue/retry.h"
#include "runtime/json.h"
#include "runtime/store.h"

struct sl_use_counts;

struct sl_dispatcher_options {
    struct sl_queue *queue;
    struct sl_index_cache *indexes;
    struct sl_retry_policy retry;
    struct sl_use_counts *uses; /* NULL: nobody asks. */
    bool is_traced;             /* SL_PORT_TRACES hears of each lease's end and of each job's; */
    uint32_t told_per_s;        /* else of so many leases a second, the first ones. */
    const char
        *extractors;    /* What they ask for, checked (labels.h); borrowed. NULL, "": nothing. */
    const char *groups; /* cluster.groups, checked (node_groups.h). NULL: none. */
};

extern const struct sl_actor_class sl_dispatcher_class; /* Argument: sl_dispatcher_options. */

struct sl_dispatcher_counts {
    uint64_t leased, done, retried, dead, stale, crashed, returned;
    uint64_t parked; /* Now: they wait for a node with their labels. */
};
void sl_dispatcher_counts(const void *dispatcher, struct sl_dispatcher_counts *ret_counts);
/* Tasks of a tenant's queue that end in a second, lately; 0: not known (lane_rates.h). */
double sl_dispatcher_rate_per_s(const void *dispatcher, struct sl_scope scope, enum sl_class class,
                                uint64_t now_ns);

#endif
