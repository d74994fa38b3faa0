/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_groups.h - how many workers of each group a cluster takes, and how many it should have. As
 * the configuration has it, a text or a JSON object:
 *
 *   ""                                        any, without limits
 *   "cpu gpu"                                 those groups alone, without limits
 *   {"cpu":{"min":"2","max":"8"},"gpu":""}    those alone, so many at least and at most
 *   {"cpu":{"provider":"local","max":"4"}}    and this machine starts and stops them by demand
 *
 * "cpu" and "cpu-workers" are the same group. Pure.
 */
#ifndef SL_ACTORS_NODE_GROUPS_H
#define SL_ACTORS_NODE_GROUPS_H

#include "runtime/base.h"

#define SL_NODE_GROUPS_COUNT    4
#define SL_NODE_GROUP_LOCAL_MAX 128 /* Nodes of one group that a machine starts. */

struct sl_node_group_limits {
    const char *name; /* As sl_node_group names it. */
    bool is_allowed;
    uint64_t min, max; /* max: UINT64_MAX: none. */
    /* By demand, as children of this machine's spawner; the rest is for these alone. */
    bool is_local;
    uint64_t idle_ns;                  /* One that was not needed for so long goes. */
    uint64_t drain_ns;                 /* What it has may take so long then. */
    uint64_t tasks;                    /* That one takes at a time. */
    uint64_t cpus, gpus, memory_bytes; /* What one has; cpus, memory_bytes: 0: not said. */
};

struct sl_node_groups {
    struct sl_node_group_limits limits[SL_NODE_GROUPS_COUNT];
};

/* SL_EINVAL: *ret_why is a text, owned. */
SL_MUST_CHECK enum sl_err sl_node_groups_read(const char *config, struct sl_node_groups *ret_groups,
                                              char **ret_why);
/* Of a group by the name that sl_node_group gave it. Lives as long as `groups`. */
const struct sl_node_group_limits *sl_node_groups_of(const struct sl_node_groups *groups,
                                                     const char *name);
/* How many nodes this machine may come to start for them. */
uint64_t sl_node_groups_local_max(const struct sl_node_groups *groups);
/* Why one more worker must not join a group that has `count` of them; NULL: it may. Owned. */
char *sl_node_groups_refusal(const struct sl_node_groups *groups, const char *name, uint64_t count);

#endif
