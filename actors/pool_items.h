/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_items.h - what waits in a pool or is under way at a replica of it (pool.h), in order. Part
 * of the agent actor.
 */
#ifndef SL_ACTORS_POOL_ITEMS_H
#define SL_ACTORS_POOL_ITEMS_H

#include "actors/pool_times.h"
#include "runtime/message.h"

struct sl_work_spec; /* pool.h */

/* One thing to process: a copy of the head's message. */
struct sl_item {
    struct sl_item *next;
    uint64_t serial; /* Names it towards the replica. */
    struct sl_msg *msg;
    const struct sl_work_spec *spec; /* The agent's, never freed while it runs. */
    uint64_t work;                   /* What it is taken to cost, in bytes of inputs. */
    bool is_alone;
    uint64_t deadline_ns; /* Not run from then on: nobody waits for it. 0: none. */
    struct sl_item_times times;
};

struct sl_items {
    struct sl_item *oldest, **tail;
    uint32_t count;
};

void sl_items_init(struct sl_items *items);
void sl_items_push(struct sl_items *items, struct sl_item *item);
struct sl_item *sl_items_pop(struct sl_items *items);
struct sl_item *sl_items_take(struct sl_items *items, uint64_t serial); /* NULL: not in it. */

#endif
