/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_calls.h - online calls that wait for a replica, tenants in turn: who sends a hundred times
 * as much as another waits for its own. Part of the agent actor.
 *
 * Each tenant's calls lie in a lane by its number, oldest first; lanes that hold some take turns,
 * and in each may use up so much work (deficit round robin; work is what its inputs measure). There
 * are a fixed number of lanes, so a push and a pop take the same time however many tenants there
 * are; two tenants that share one are to each other as if they were one.
 */
#ifndef SL_ACTORS_POOL_CALLS_H
#define SL_ACTORS_POOL_CALLS_H

#include "actors/pool_items.h"

#define SL_CALL_LANES 256u

struct sl_calls {
    struct sl_items lanes[SL_CALL_LANES];
    uint64_t credit[SL_CALL_LANES]; /* Work that a lane may still use up in its turn. */
    uint32_t at;                    /* Whose turn it is. */
    uint32_t count;                 /* In all. */
};

void sl_calls_init(struct sl_calls *c);
/* `scope`: the tenant. item->work is set. Takes it. */
void sl_calls_push(struct sl_calls *c, struct sl_item *item, uint64_t scope);
/* Which comes next: it stays, and stays the next until something is pushed or taken. NULL: none. */
const struct sl_item *sl_calls_next(struct sl_calls *c);
struct sl_item *sl_calls_pop(struct sl_calls *c); /* NULL: none. */
/* The first that `is` is true of, taken out; NULL: there is none. A walk through all. */
struct sl_item *sl_calls_take(struct sl_calls *c,
                              bool (*is)(const struct sl_item *item, const void *arg),
                              const void *arg);

#endif
