/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step_mean.h - the mean of a step function over the time just gone by, each value weighted with
 * how long it was in force. Of the window's oldest part, one in SL_STEP_BUCKETS, only the mean is
 * known, so the memory is the same however often the value changes.
 *
 * Threading: plain state, one owner; time comes in and never runs back.
 */
#ifndef SL_ACTORS_STEP_MEAN_H
#define SL_ACTORS_STEP_MEAN_H

#include "runtime/base.h"

#define SL_STEP_BUCKETS 64

struct sl_step_mean {
    uint64_t window_ns; /* 0: the mean is the value. */
    uint64_t start_ns;  /* Nothing is known from before: it is no part of the mean. */
    uint64_t at_ns;     /* Areas are known up to here. */
    double value;       /* In force. */
    double areas[SL_STEP_BUCKETS + 1]; /* Value times ns, by bucket; the one at hand included. */
};

void sl_step_mean_init(struct sl_step_mean *m, uint64_t window_ns, uint64_t now_ns, double value);
void sl_step_mean_push(struct sl_step_mean *m, uint64_t now_ns, double value);
/* The mean, and when to look again if nothing is pushed (UINT64_MAX: it stays as it is). */
double sl_step_mean_get(struct sl_step_mean *m, uint64_t now_ns, uint64_t *ret_next_ns);

#endif
