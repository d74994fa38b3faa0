/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/round.h - one round of the suite `actor`: a scheduler that is made, loaded with actors
 * which do a known number of things, and stopped when the last of them has finished.
 *
 *     begin --> spawn, ... --> start --> (actors: finish) --> end
 *
 * Threading: all but `finish` on the thread that measures.
 */
#ifndef SL_GATEWAY_BENCH_ROUND_H
#define SL_GATEWAY_BENCH_ROUND_H

#include <stdatomic.h>

#include "gateway/bench/actor.h"
#include "runtime/scheduler.h"

struct sl_handoff;

/* What all actors of a round share. */
struct sl_bench_round {
    struct sl_scheduler *scheduler;
    struct sl_handoff *over;
    _Atomic uint32_t left; /* Actors that have not finished. */
    _Atomic bool has_failed;
    uint64_t count; /* Messages or calls, of all together. */
    uint64_t start_ns;
    _Atomic uint64_t end_ns;
};

/* `actors`: how many are to finish. */
void sl_bench_round_begin(struct sl_bench_round *r, uint32_t threads, uint32_t actors,
                          uint64_t count);

/* On a thread counted from 1, or on any: 0. */
struct sl_addr sl_bench_round_spawn(struct sl_bench_round *r, const struct sl_actor_class *class,
                                    const void *argument, uint32_t thread);

/* The clock runs: a first message, a bench_number from `from`, goes to each of `to`. */
void sl_bench_round_start(struct sl_bench_round *r, const struct sl_addr *to, uint32_t to_count,
                          struct sl_addr from);

/* From an actor: it has done its part. */
void sl_bench_round_finish(struct sl_bench_round *r);

/* Things a second until the last actor finished; 0: it failed. */
double sl_bench_round_end(struct sl_bench_round *r);

#endif
