/* SPDX-License-Identifier: Apache-2.0 */
/* pool_find.h - which of an agent's pools has a replica. Part of the agent actor. */
#ifndef SL_ACTORS_POOL_FIND_H
#define SL_ACTORS_POOL_FIND_H

#include "actors/pool.h"

/* Of SL_POOLS_MAX pools; NULL: none has it, and *ret_pool is as it was. */
struct sl_replica *sl_pools_replica(struct sl_pool *pools, uint64_t number,
                                    struct sl_pool **ret_pool);
/* Its process is there. */
void sl_pools_note_pid(struct sl_pool *pools, uint64_t number, uint64_t pid);

#endif
