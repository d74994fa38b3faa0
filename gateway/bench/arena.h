/* SPDX-License-Identifier: Apache-2.0 */
/* bench/arena.h - the parts of the suite `object-store` about objects. Threading: one owner. */
#ifndef SL_GATEWAY_BENCH_ARENA_H
#define SL_GATEWAY_BENCH_ARENA_H

#include "gateway/bench.h"

/* Forks: call it while there is one thread. False: it failed, and has said why. */
bool sl_bench_arena(const struct sl_bench *bench);   /* In the store's process, and readers. */
bool sl_bench_objects(const struct sl_bench *bench); /* Clients, over their sockets. */

#endif
