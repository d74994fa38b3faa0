/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/queue_load.h - the load that queues are measured with, on a sluice that runs: a producer's
 * and a worker's link, served by one thread, so that the generator costs little of the machine.
 * Phases and figures are those of benchmarks/queue_load, which loads other queues.
 * Threading: one thread.
 */
#ifndef SL_GATEWAY_BENCH_QUEUE_LOAD_H
#define SL_GATEWAY_BENCH_QUEUE_LOAD_H

#include "gateway/queue_client.h"

#define SL_BENCH_PAYLOAD_SIZE 200

struct sl_bench_queue_load;

/* NULL: the head at that endpoint cannot be reached; it has been said. */
struct sl_bench_queue_load *sl_bench_queue_open(const char *endpoint, enum sl_level level);
void sl_bench_queue_close(struct sl_bench_queue_load **load);

struct sl_bench_queue_phase {
    const char *name;
    uint32_t window;    /* Tasks under way: not answered, or, end to end, not ended. */
    uint32_t batch;     /* Tasks of one put; 0: 1. */
    bool is_filled;     /* In the queue that was filled last, not in a new one. */
    bool is_tied;       /* End to end: the worker takes one more for each put that was answered, not
                         * for each end, so that a backlog is not worked off beside. */
    bool is_early;      /* Leases do not wait for the sync of the put. */
    bool is_end_to_end; /* A worker leases and ends each by a message of its own. */
    bool is_pickup;     /* One at a time, to a worker that waits; a sample is until it has it. */
};
struct sl_bench_queue_result {
    uint64_t count;
    double per_s;
    double busy;           /* Of a core, this process. */
    double p50_us, p99_us; /* With a window of 1; else 0. */
};
/* False: it failed, and has said why. Each phase has a queue of its own, which is left as it is. */
bool sl_bench_queue_run(struct sl_bench_queue_load *load, const struct sl_bench_queue_phase *phase,
                        double seconds, struct sl_bench_queue_result *ret_result);
/* Put so many that stay, into a queue that the phases after use. */
bool sl_bench_queue_fill(struct sl_bench_queue_load *load, uint64_t count);
/* Put for so long, or until the head is gone: how many were answered. */
uint64_t sl_bench_queue_flood(struct sl_bench_queue_load *load, double seconds);
/* How many of these there are, by taking leases of them all. */
uint64_t sl_bench_queue_count(struct sl_bench_queue_load *load);

#endif
