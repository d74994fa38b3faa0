/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate.h - one seeded run of the whole job path: the real head, dispatcher, router and agents
 * on the real store, over a simulated network, disk, spawner and replicas, while things are killed,
 * cut off and stalled; then the promises are checked. Some jobs have a second tier, which works on
 * each record of the first; meanwhile online calls come through the router. Equal options give
 * equal runs.
 * Threading: one thread at a time.
 */
#ifndef SL_ACTORS_SIMULATE_H
#define SL_ACTORS_SIMULATE_H

#include "actors/simulate_fault.h"
#include "actors/simulate_queue_check.h"
#include "runtime/buf.h"

/* Bugs put in on purpose, to see that they are caught, or that the product bears them. */
#define SL_PLANTS(X)                                                                               \
    X(NONE, "none", "nothing")                                                                     \
    X(UNHELD, "acknowledge-before-commit", "effects leave the process before the sync")            \
    X(STALE, "stale-lease-accepted", "a late end carries the live epoch, as if none were checked") \
    X(NO_RESTART, "no-restart", "a node that crashed is not started again")                        \
    X(DOUBLE, "double-placement", "a node behind a partition is given up without a fence")         \
    X(EARLY, "expiry-off-by-one", "leases expire one tick of the dispatcher too early")            \
    X(FORGET, "forgotten-tier", "a start forgets which tiers are to be opened")                    \
    X(UNTAINTED, "forgotten-taint", "the dispatcher is not told that a node is one tenant's")      \
    X(TWICE, "every-end-twice", "every end comes twice: this must be borne")
enum sl_simulate_plant {
#define X(NAME, name, what) SL_PLANT_##NAME,
    SL_PLANTS(X)
#undef X
};

#define SL_SIMULATE_LOAD_MAX  100
#define SL_SIMULATE_NODES_MAX 1000

struct sl_simulate_options {
    uint64_t seed;
    uint32_t faults;  /* enum sl_simulate_fault, or-ed. */
    uint32_t minutes; /* Of faults, in virtual time; 0: 2. Then all must come to rest. */
    /* Of the plan's faults only these, by place, ascending; NULL: all. */
    const uint32_t *only;
    uint32_t only_count;
    uint32_t load;       /* Tasks a second, mostly good ones; 0: 14 jobs with a bit of all. */
    uint32_t nodes;      /* 0: 3. */
    uint32_t calls_rate; /* Online requests a second; 0: 4, or like load. */
    enum sl_simulate_plant plant;
    uint32_t trace_lines; /* How many of the last events to tell of a failure. */
};

struct sl_simulate_result {
    bool is_ok;
    char failure[512]; /* What did not hold. */
    struct sl_buf trace;
    uint64_t hash, events, virtual_ns;
    uint64_t faults, faults_planned; /* That struck; of the plan. */
    uint64_t calls, answers, failed_calls, history;
    uint64_t lost, duplicates, reordered; /* Frames. */
    uint64_t refused;                     /* Messages, by links that held no more. */
    uint64_t done, dead, canceled;        /* Tasks. */
    uint64_t second;                      /* Of those done, tasks of second tiers. */
    uint64_t stale;                       /* Ends that came after their lease was void. */
    uint64_t boots;
    uint64_t homed; /* Tasks and calls of the tenant with a node of its own, sent there. */
    struct sl_simq_counts own; /* Of tenants' own queues. */
};

void sl_simulate(const struct sl_simulate_options *options, struct sl_simulate_result *ret_result);
/* One line for each of the faults in options->only, or of all of the plan. */
void sl_simulate_list_faults(const struct sl_simulate_options *options, struct sl_buf *out);
void sl_simulate_result_deinit(struct sl_simulate_result *result);

#endif
