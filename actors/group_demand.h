/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_demand.h - what the dispatcher tells the head of the work for worker groups that are
 * started by demand: whenever it packs on another number of nodes. Nothing is told where no group
 * is. Part of the dispatcher actor.
 */
#ifndef SL_ACTORS_GROUP_DEMAND_H
#define SL_ACTORS_GROUP_DEMAND_H

#include "actors/cluster.h"
#include "actors/dispatch_nodes.h"
#include "actors/node_groups.h"
#include "queue/look.h"

struct sl_group_demand {
    struct sl_node_groups groups;
    bool is_on;                             /* There are such groups. */
    uint64_t told[SL_NODE_GROUPS_COUNT];    /* Nodes' worth of tasks, by group. */
    uint8_t group_of_class[SL_CLASS_COUNT]; /* Whose nodes are started for it; COUNT: nobody's. */
};

/* `config`: cluster.groups, checked; NULL: none. */
void sl_group_demand_init(struct sl_group_demand *d, const char *config);
/* Look, after each message; tell the head what has changed. `may_lease`: false: nothing waits. */
void sl_group_demand_look(struct sl_group_demand *d, struct sl_ctx *ctx, struct sl_queue *queue,
                          const struct sl_dispatch_nodes *nodes, bool may_lease);

#endif
