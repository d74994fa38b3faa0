/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch/plan.h - which collections a batch runs, tier by tier: those that its bucket feeds, then
 * those that these feed, and so on. Each runs once, in the tier after its last source's.
 */
#ifndef SL_GATEWAY_BATCH_PLAN_H
#define SL_GATEWAY_BATCH_PLAN_H

#include "actors/chain.h"
#include "gateway/resource.h"

struct sl_batch_step {
    const char *collection;
    struct sl_json row;
    uint32_t tier;
    bool is_chained; /* A later step reads what it writes. */
};

struct sl_batch_plan {
    struct sl_batch_step *steps; /* Arena; by tier. */
    uint32_t steps_count, tiers_count;
};

struct sl_batch_start {
    const char *bucket;     /* Tier 0 is what it feeds; */
    const char *collection; /* or, not NULL, this one alone. */
    struct sl_json only;    /* Ids or names; NONE or empty: every collection. */
};

/* False: the call has failed: 400, nothing to run, or more tiers than SL_CHAIN_TIERS_MAX; 409, an
 * extractor that it takes is disabled. */
bool sl_batch_plan(struct sl_call *call, const struct sl_batch_start *start,
                   struct sl_batch_plan *ret_plan);

/* [[collection ids of tier 0], ...] */
struct sl_json sl_batch_plan_tiers(struct sl_call *call, const struct sl_batch_plan *plan);
/* [collection ids] of all tiers. */
struct sl_json sl_batch_plan_collections(struct sl_call *call, const struct sl_batch_plan *plan);
/*
 * Members "run", "current_tier", "total_tiers", "collection_ids" and "chain" of a job's `about`
 * (chain.h) for the job of `tier`; the jobs after it get the ids in task_ids, by tier.
 */
void sl_batch_plan_write(struct sl_call *call, const struct sl_batch_plan *plan, uint32_t tier,
                         uint64_t run, const char *const *task_ids, struct sl_jsonw *w);

#endif
