/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_set.h - the nodes that an actor knows: found by number in constant time, walked in a row.
 * The slot lies first in the actor's own struct of a node, which the actor allocates and frees.
 *
 * Removing moves the last one into the hole, so a walk that removes goes from the end.
 * Threading: one owner.
 */
#ifndef SL_ACTORS_NODE_SET_H
#define SL_ACTORS_NODE_SET_H

#include "runtime/base.h"

struct sl_node_slot {
    struct sl_node_slot *next; /* In its bucket. */
    uint32_t number;
    uint32_t index; /* In slots. */
};

struct sl_node_set {
    struct sl_node_slot **slots, **buckets; /* slots: [0, count) */
    uint32_t count, capacity;               /* capacity: of both; 0 or a power of two. */
};

void sl_node_set_deinit(struct sl_node_set *set); /* The nodes stay as they are. */
/* `number` must not be inside. */
void sl_node_set_add(struct sl_node_set *set, struct sl_node_slot *slot, uint32_t number);
void sl_node_set_remove(struct sl_node_set *set, struct sl_node_slot *slot);
struct sl_node_slot *sl_node_set_lookup(const struct sl_node_set *set, uint64_t number); /* NULL */

#endif
