/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane_rates.h - how many tasks of a tenant's queue end in a second, as measured over the last half
 * minute: what the start of one that waits is predicted from. Of the queues that were busy last.
 *
 * Threading: plain state, one owner. Time is an argument, and never runs back.
 */
#ifndef SL_ACTORS_LANE_RATES_H
#define SL_ACTORS_LANE_RATES_H

#include "queue/queue.h"
#include "runtime/store.h"

#define SL_LANE_RATES   64u
#define SL_RATE_BUCKETS 6u
#define SL_RATE_SPAN_NS (5 * SL_SECOND_NS) /* Of a bucket. */

struct sl_lane_rate {
    struct sl_scope scope;
    uint32_t class;
    uint64_t first_ns;                /* When the first was counted since it was last idle. */
    uint64_t span;                    /* The latest bucket's number since the epoch; 0: unused. */
    uint32_t counts[SL_RATE_BUCKETS]; /* By the bucket's number. */
};

struct sl_lane_rates { /* Zeroed: nothing is known. */
    struct sl_lane_rate lanes[SL_LANE_RATES];
};

/* A task has ended, well or badly. */
void sl_lane_rates_count(struct sl_lane_rates *r, struct sl_scope scope, enum sl_class class,
                         uint64_t now_ns);
/* In a second; 0: not known, since none ended for half a minute, or many other queues are busier.
 */
double sl_lane_rates_per_s(const struct sl_lane_rates *r, struct sl_scope scope,
                           enum sl_class class, uint64_t now_ns);

#endif
