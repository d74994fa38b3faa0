/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/replicas.h - processes that map one model, as replicas do, and what of the machine's memory
 * they take. They are forked from the benchmark and do nothing else: a replica of the product has
 * its plugin's memory besides.
 *
 * Threading: one owner; forks, so call it while there is one thread. False: it failed, and has said
 * why.
 */
#ifndef SL_GATEWAY_BENCH_REPLICAS_H
#define SL_GATEWAY_BENCH_REPLICAS_H

#include "gateway/bench.h"

/* One process that attaches a model, reads a byte of a tensor in its middle and ends. */
struct sl_bench_attach {
    double attach_ms, first_us;
};
bool sl_bench_attach(int model_fd, struct sl_bench_attach *ret_attach);

struct sl_bench_replicas {
    uint64_t weights_pss_kib; /* Of the mappings of the memory file, all processes together. */
    uint64_t private_kib;     /* The median of the others: anonymous, shared in part, tables. */
};
/* `count` processes at a time that have read every page of it. */
bool sl_bench_replicas(int model_fd, uint32_t count, struct sl_bench_replicas *ret_replicas);

/*
 * A process that builds the model below `directory`, attaches, reads and drops it, `warm_up` times
 * and then `rounds` times: how much more anonymous memory it holds after the latter.
 */
bool sl_bench_cycles(const char *directory, uint32_t warm_up, uint32_t rounds,
                     int64_t *ret_drift_kib);

#endif
