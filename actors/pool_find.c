/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/pool_find.h"

struct sl_replica *
sl_pools_replica(struct sl_pool *pools, uint64_t number, struct sl_pool **ret_pool)
{
    for (uint32_t i = 0; i < SL_POOLS_MAX; i++) {
        struct sl_replica *r = pools[i].is_used ? sl_pool_replica(&pools[i], number) : NULL;
        if (r != NULL) {
            *ret_pool = &pools[i];
            return r;
        }
    }
    return NULL;
}

void
sl_pools_note_pid(struct sl_pool *pools, uint64_t number, uint64_t pid)
{
    struct sl_pool *p;
    struct sl_replica *r = sl_pools_replica(pools, number, &p);
    if (r != NULL)
        r->pid = pid;
}
