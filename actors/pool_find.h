/* SPDX-License-Identifier: Apache-2.0 */
/* pool_find.h - what is done to all of an agent's pools, SL_POOLS_MAX of them: which of them has a
 * replica, for one. Part of the agent actor. */
#ifndef SL_ACTORS_POOL_FIND_H
#define SL_ACTORS_POOL_FIND_H

#include "actors/pool.h"

/* NULL: none has it, and *ret_pool is as it was. */
struct sl_replica *sl_pools_replica(struct sl_pool *pools, uint64_t number,
                                    struct sl_pool **ret_pool);
/* Its process is there. */
void sl_pools_note_pid(struct sl_pool *pools, uint64_t number, uint64_t pid);
/* Have it finish what it has and end. False: none has it. */
bool sl_pools_retire(struct sl_pool *pools, uint64_t number, struct sl_pool **ret_pool);
bool sl_pools_have_work(const struct sl_pool *pools);
/* Forget the tasks that wait there; how many. */
uint32_t sl_pools_drop_tasks(struct sl_pool *pools);

#endif
