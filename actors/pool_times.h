/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_times.h - what the items of a pool waited for and how long they were worked on, since the
 * pool is there:
 *
 *   queued ---wait---> sent ---batch wait---> begun ---compute---> ended
 *
 * Counts and sums are whole. Quantiles come from histograms of a fixed size, whose steps are at
 * most a quarter of their value: they are too high by no more than that. What the replica says of
 * when it began is taken for no more than lies between what we know ourselves.
 *
 * Threading: part of the agent actor; plain state.
 */
#ifndef SL_ACTORS_POOL_TIMES_H
#define SL_ACTORS_POOL_TIMES_H

#include "runtime/buf.h"
#include "runtime/json.h"

#define SL_TIMES_STEPS 128u /* From below 1 us to above an hour, four for each doubling. */

/* TOTAL: from queued to ended. */
enum sl_times_part {
    SL_TIMES_WAIT,
    SL_TIMES_BATCH_WAIT,
    SL_TIMES_COMPUTE,
    SL_TIMES_TOTAL,
    SL_TIMES_PARTS
};

struct sl_pool_times { /* Zeroed: nothing has ended. */
    uint64_t count;
    uint64_t sum_ns[SL_TIMES_PARTS];
    uint32_t steps[SL_TIMES_PARTS][SL_TIMES_STEPS];
};

struct sl_item_times {                               /* By one clock. */
    uint64_t queued_ns, sent_ns, begun_ns, ended_ns; /* begun_ns 0: nobody knows. */
};

struct sl_item_phases { /* What lies between them; 0 where nobody knows. */
    uint64_t queued_ns, batched_ns, computed_ns;
};
/* What others are told with an item's end. */
struct sl_item_phases sl_item_phases_of(const struct sl_item_times *item);

void sl_pool_times_add(struct sl_pool_times *t, const struct sl_item_times *item);
/* Append what was counted, for who merges it into his own. */
void sl_pool_times_pack(const struct sl_pool_times *t, struct sl_buf *out);
/* False: it is nothing that was packed, and nothing was added. */
bool sl_pool_times_merge(struct sl_pool_times *t, struct sl_slice packed);
/* What `permille` of them took at most, within a quarter; 0: there was none. */
uint64_t sl_pool_times_quantile_ns(const struct sl_pool_times *t, enum sl_times_part part,
                                   uint32_t permille);
/* An object: count, and of each part sum_ms, p50_ms, p95_ms and p99_ms. */
void sl_pool_times_write(const struct sl_pool_times *t, struct sl_jsonw *w);

#endif
