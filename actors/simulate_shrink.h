/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_shrink.h - a failing run with as few faults as can be found: parts of its plan are left
 * out, by halves, quarters and so on, as long as it still fails in some way.
 * Threading: one thread at a time.
 */
#ifndef SL_ACTORS_SIMULATE_SHRINK_H
#define SL_ACTORS_SIMULATE_SHRINK_H

#include "actors/simulate.h"

struct sl_shrink_options {
    const struct sl_simulate_options *run; /* It failed. */
    uint64_t faults_planned;               /* As its result had it. */
    uint32_t runs_max;
    bool (*is_over)(void *arg); /* Ends the search. May be NULL. */
    void *arg;
};

struct sl_shrink {
    uint32_t *only; /* Places in the plan, ascending; owned. */
    uint32_t count;
    uint32_t runs; /* That it took. */
};

/* The result fails too, in one way or another. */
void sl_simulate_shrink(const struct sl_shrink_options *options, struct sl_shrink *ret_shrink);
void sl_shrink_deinit(struct sl_shrink *shrink);

#endif
