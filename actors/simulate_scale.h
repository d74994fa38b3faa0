/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_scale.h - many nodes, tenants and tasks in one process: the real head, dispatcher,
 * router, agents, queue and store under the simulation, in fair weather. Nodes join; then all tasks
 * are submitted at once, and run. What it takes is measured, by clocks that the caller brings.
 * Threading: one thread at a time.
 */
#ifndef SL_ACTORS_SIMULATE_SCALE_H
#define SL_ACTORS_SIMULATE_SCALE_H

#include "runtime/base.h"

#define SL_SCALE_TASKS_MAX   10000000
#define SL_SCALE_TENANTS_MAX 10000

struct sl_scale_options {
    uint64_t seed;
    uint32_t nodes; /* Up to SL_NODES_MAX. */
    uint32_t tasks; /* In jobs of 1000; at least `tenants` of them. */
    uint32_t tenants;
    uint64_t (*ran_ns)(void);       /* What the process has run so far. */
    uint64_t (*memory_bytes)(void); /* What it has allocated. */
};

struct sl_scale_result {
    bool is_ok;
    char failure[256];
    uint64_t done;
    uint64_t virtual_ns, events;
    uint64_t ran_ns; /* All of it, after the nodes had joined. */
    /* Leases that the dispatcher granted, and what its handlers ran, ends included. */
    uint64_t decisions, deciding_ns;
    uint64_t node_bytes; /* A node that waits: its agent, and what all others keep of it. */
    uint64_t task_bytes; /* A task that waits. */
    uint64_t actors;     /* At the end: agents, replicas, and those of the main process. */
    uint64_t actor_bytes;
};

void sl_simulate_scale(const struct sl_scale_options *options, struct sl_scale_result *ret_result);

#endif
