/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_provider.h - where the nodes of a worker group come from: a machine's own processes
 * (local_provider.h) or, later, others. A provider does what it is told by effects of the actor
 * that calls it; whether a node comes is seen by its joining, and that it has ended is told to
 * `ended` by whoever hears of it.
 *
 * Threading: one owner, the head.
 */
#ifndef SL_ACTORS_NODE_PROVIDER_H
#define SL_ACTORS_NODE_PROVIDER_H

#include "actors/node_groups.h"
#include "runtime/actor.h"

struct sl_node_provider {
    const char *name; /* For people. */
    void *self;
    /* A node of a group that is to join under that number, which was never used before. */
    void (*start)(void *self, struct sl_ctx *ctx, uint32_t number,
                  const struct sl_node_group_limits *group);
    /* End it now, whatever it does; one that is gone already is fine. */
    void (*stop)(void *self, struct sl_ctx *ctx, uint32_t number);
    /* It is not there any more; unknown ones are fine. */
    void (*ended)(void *self, uint32_t number);
    /* The numbers of those that were started and have not ended, `max` at most; returns how many
     * there are. */
    uint32_t (*list)(const void *self, uint32_t *ret_numbers, uint32_t max);
    /* Why a node of the group cannot be had here; static. NULL: it can. */
    const char *(*lacks)(const void *self, const struct sl_node_group_limits *group);
    void (*deinit)(void *self);
};

#endif
