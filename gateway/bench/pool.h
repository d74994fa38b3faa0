/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/pool.h - a part of the suite `mixed`: what it costs the agent to form batches.
 * Threading: one owner.
 */
#ifndef SL_GATEWAY_BENCH_POOL_H
#define SL_GATEWAY_BENCH_POOL_H

#include "gateway/bench.h"

/* Show mixed.batch_formation. */
void sl_bench_pool(const struct sl_bench *bench);

#endif
