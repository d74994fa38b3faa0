/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate.h - one seeded run of the whole job path: the real head, dispatcher, router and agents
 * on the real store, over a simulated network, disk, spawner and replicas, while things are killed,
 * cut off and stalled; then the promises are checked. Some jobs have a second tier, which works on
 * each record of the first. Equal options give equal runs.
 * Threading: one thread at a time; a run has a directory of its own.
 */
#ifndef SL_ACTORS_SIMULATE_H
#define SL_ACTORS_SIMULATE_H

#include "runtime/base.h"
#include "runtime/buf.h"

enum sl_simulate_fault {
    SL_FAULT_REPLICA = 1, /* A replica is killed. */
    SL_FAULT_NODE = 2,    /* A node, and with it its replicas. */
    SL_FAULT_HEAD = 4,    /* The main process; half of the times the power goes too. */
    SL_FAULT_SPAWNER = 8,
    SL_FAULT_STALL = 16, /* A process stands still for up to 15 s. */
    SL_FAULT_LINK = 32,  /* What a node and the head say waits, or is lost. */
    SL_FAULT_DISK = 64,  /* The log's disk fails. */
    SL_FAULT_WORK = 128, /* Replicas do not start, items fail in passing. */
    SL_FAULT_ALL = 255
};

/* Bugs put in on purpose, to see that they are caught, or that the product bears them. */
enum sl_simulate_plant {
    SL_PLANT_NONE,
    SL_PLANT_UNHELD, /* Effects leave before the sync: acknowledged jobs get lost. */
    SL_PLANT_STALE,  /* A late end carries the live epoch: as if none were checked. */
    SL_PLANT_TWICE,  /* Every end comes twice: must be borne. */
    SL_PLANT_FORGET  /* A start forgets which tiers are to be opened: chains get lost. */
};

struct sl_simulate_options {
    uint64_t seed;
    uint32_t faults;  /* enum sl_simulate_fault, or-ed. */
    uint32_t minutes; /* Of faults, in virtual time; 0: 2. Then all must come to rest. */
    enum sl_simulate_plant plant;
    uint32_t trace_lines; /* How many of the last events to tell of a failure. */
    const char
        *directory; /* Where the run makes its own; NULL: in memory where there is /dev/shm. */
};

struct sl_simulate_result {
    bool is_ok;
    char failure[512]; /* What did not hold. */
    struct sl_buf trace;
    uint64_t hash, events, virtual_ns, faults;
    uint64_t done, dead, canceled; /* Tasks. */
    uint64_t second;               /* Of those done, tasks of second tiers. */
    uint64_t stale;                /* Ends that came after their lease was void. */
    uint64_t boots;
};

void sl_simulate(const struct sl_simulate_options *options, struct sl_simulate_result *ret_result);
void sl_simulate_result_deinit(struct sl_simulate_result *result);

#endif
