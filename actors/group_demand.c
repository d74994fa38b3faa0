/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/group_demand.h"

#include <assert.h>

#include "actors/node_facts.h"
#include "runtime/alloc.h"

#define ANY (SL_NODE_GROUPS_COUNT - 1)

/* The classes' own groups come first, in their order. */
static_assert(ANY == SL_CLASS_COUNT, "a group for each class, and any");

void
sl_group_demand_init(struct sl_group_demand *d, const char *config)
{
    char *why = NULL;
    if (sl_node_groups_read(config, &d->groups, &why) != SL_OK) {
        sl_free(why); /* The head says so. */
        return;
    }
    for (uint8_t i = 0; i < SL_CLASS_COUNT; i++) {
        bool has_any = d->groups.limits[ANY].is_local;
        d->group_of_class[i] = d->groups.limits[i].is_local ? i
                               : has_any                    ? ANY
                                                            : SL_NODE_GROUPS_COUNT;
        d->is_on = d->is_on || d->group_of_class[i] != SL_NODE_GROUPS_COUNT;
    }
}

static uint64_t
nodes_of(const struct sl_group_demand *d, uint32_t group, uint64_t tasks)
{
    uint64_t each = d->groups.limits[group].tasks;
    return tasks / each + (tasks % each != 0);
}

void
sl_group_demand_look(struct sl_group_demand *d, struct sl_ctx *ctx, struct sl_queue *queue,
                     const struct sl_dispatch_nodes *nodes, bool may_lease)
{
    uint64_t tasks[SL_NODE_GROUPS_COUNT + 1] = {0};
    bool has_changed = false;
    if (!d->is_on)
        return;
    for (uint32_t i = 0; may_lease && i < SL_CLASS_COUNT; i++) {
        if (d->group_of_class[i] != SL_NODE_GROUPS_COUNT)
            tasks[d->group_of_class[i]] +=
                sl_queue_leasable(queue, (enum sl_class)i, ctx->now_ns, ctx->now_ms);
    }
    for (uint32_t i = 0; i < SL_NODE_GROUPS_COUNT; i++) {
        const struct sl_node_group_limits *limits = &d->groups.limits[i];
        if (!limits->is_local)
            continue;
        tasks[i] += nodes->under_way[sl_node_classes(limits->name)];
        uint64_t worth = nodes_of(d, i, tasks[i]);
        has_changed = has_changed || worth != d->told[i];
        d->told[i] = worth;
    }
    if (!has_changed)
        return;
    struct sl_m_group_demand m = {
        .cpu = tasks[0], .batch = tasks[1], .gpu = tasks[2], .any = tasks[ANY]};
    sl_send(ctx, sl_at(0, SL_ACTOR_HEAD), SL_M_group_demand, &m);
}
