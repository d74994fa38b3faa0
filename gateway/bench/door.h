/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/door.h - what the front door costs: parts of the suite `gateway`. Each starts what it needs
 * and stops it. False: it failed, and has said why.
 *
 * Threading: one owner. Blocks.
 */
#ifndef SL_GATEWAY_BENCH_DOOR_H
#define SL_GATEWAY_BENCH_DOOR_H

#include "gateway/bench.h"

/* In this process, without HTTP: keys, limits and the ledger, of a call. */
bool sl_bench_door_costs(const struct sl_bench *bench);
/* Over HTTP, in turn with the bare library. */
bool sl_bench_door_http(const struct sl_bench *bench);
/* Many clients that wait, and many that are slow. */
bool sl_bench_door_clients(const struct sl_bench *bench);
/* Many tenants, of which few are active. */
bool sl_bench_door_tenants(const struct sl_bench *bench);

#endif
