/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack.h - how many equal nodes a demand in resources needs: kinds of tasks, each so many times,
 * the largest first, each into the first node that has room. A kind costs no more for a million
 * tasks than for one. Pure.
 */
#ifndef SL_ACTORS_PACK_H
#define SL_ACTORS_PACK_H

#include "runtime/base.h"

#define SL_PACK_KINDS_MAX 8

/* What a node offers, or a task takes. A task that takes nothing of anything takes a place. */
struct sl_resources {
    uint64_t places; /* Tasks at a time. */
    uint64_t cpus_milli, gpus_milli, memory_bytes;
};

struct sl_pack_kind {
    struct sl_resources each;
    uint64_t count;
};

/*
 * Nodes that `kinds_count` kinds need, at most SL_PACK_KINDS_MAX; *ret_unfit is how many tasks fit
 * on no node at all: they are not packed.
 */
uint64_t sl_pack(const struct sl_resources *node, const struct sl_pack_kind *kinds,
                 uint32_t kinds_count, uint64_t *ret_unfit);

#endif
