/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_groups.h - how many workers of each group a cluster takes, and how many it should have. As
 * the configuration has it, a text or a JSON object:
 *
 *   ""                                        any, without limits
 *   "cpu gpu"                                 those groups alone, without limits
 *   {"cpu":{"min":"2","max":"8"},"gpu":""}    those alone, so many at least and at most
 *
 * "cpu" and "cpu-workers" are the same group. Pure.
 */
#ifndef SL_ACTORS_NODE_GROUPS_H
#define SL_ACTORS_NODE_GROUPS_H

#include "runtime/base.h"

#define SL_NODE_GROUPS_COUNT 4

struct sl_node_group_limits {
    const char *name; /* As sl_node_group names it. */
    bool is_allowed;
    uint64_t min, max; /* max: UINT64_MAX: none. */
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
/* Why one more worker must not join a group that has `count` of them; NULL: it may. Owned. */
char *sl_node_groups_refusal(const struct sl_node_groups *groups, const char *name, uint64_t count);

#endif
