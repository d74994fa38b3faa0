/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/pool_find.h"

#include "runtime/alloc.h"

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

bool
sl_pools_retire(struct sl_pool *pools, uint64_t number, struct sl_pool **ret_pool)
{
    struct sl_replica *r = sl_pools_replica(pools, number, ret_pool);
    if (r != NULL)
        r->is_unwanted = r->is_retired = true;
    return r != NULL;
}

bool
sl_pools_have_work(const struct sl_pool *pools)
{
    for (uint32_t i = 0; i < SL_POOLS_MAX; i++) {
        if (pools[i].is_used && sl_pool_has_work(&pools[i]))
            return true;
    }
    return false;
}

uint32_t
sl_pools_drop_tasks(struct sl_pool *pools)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SL_POOLS_MAX; i++) {
        for (struct sl_item *item;
             pools[i].is_used && (item = sl_items_pop(&pools[i].tasks)) != NULL; count++) {
            sl_msg_destroy(&item->msg);
            sl_free(item);
        }
    }
    return count;
}
