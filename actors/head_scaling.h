/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head_scaling.h - the head's part that starts and stops nodes of worker groups by demand: it keeps
 * a scaler (group_scaler.h) for each group with a provider (node_provider.h), tells them what
 * happens, and has the head do what they order. It also keeps the events of nodes and groups.
 *
 * Groups are numbers, as in struct sl_node_groups. Threading: owned by the head actor.
 */
#ifndef SL_ACTORS_HEAD_SCALING_H
#define SL_ACTORS_HEAD_SCALING_H

#include "actors/cluster.h"
#include "actors/cluster_log.h"
#include "actors/group_scaler.h"
#include "actors/node_provider.h"

/* Gateways' routers, and our own. One that is gone says no more, and is forgotten then. */
#define SL_HEAD_ROUTERS_MAX (SL_GATES_MAX + 1)

struct sl_head_router {
    uint32_t node;
    uint64_t calls_until_ns; /* 0: the slot is free. */
};

/* What the head does for it. */
struct sl_head_scaling_ops {
    /* Make up a node that is to come; returns its number. */
    uint32_t (*expect)(void *head, struct sl_ctx *ctx, const struct sl_node_group_limits *group);
    void (*drain)(void *head, struct sl_ctx *ctx, uint32_t number);
    /* It is given up, and sl_head_scaling_gone says so. */
    void (*give_up)(void *head, struct sl_ctx *ctx, uint32_t number, const char *why);
};

struct sl_head_scaling {
    const struct sl_node_groups *groups;
    const struct sl_head_scaling_ops *ops;
    void *head;
    struct sl_node_provider provider;
    struct sl_scaler scalers[SL_NODE_GROUPS_COUNT];
    bool is_scaled[SL_NODE_GROUPS_COUNT];
    bool is_on;                                                /* Any is. */
    enum sl_scaler_condition conditions[SL_NODE_GROUPS_COUNT]; /* That were told last. */
    struct sl_head_router routers[SL_HEAD_ROUTERS_MAX];        /* That have calls under way. */
    uint64_t timer_ns; /* When the pending timer is due; UINT64_MAX: none is set. */
    uint64_t now_ns;
    struct sl_cluster_log log;
};

/* `provider` is taken; `groups`, `ops` and `head` outlive it. */
void sl_head_scaling_init(struct sl_head_scaling *s, const struct sl_node_groups *groups,
                          struct sl_node_provider provider);
/* `groups` are others now: their limits hold from here, and what was set by hand no more. Who
 * starts a group's nodes (its provider) stays who it was. */
void sl_head_scaling_reset(struct sl_head_scaling *s, struct sl_ctx *ctx);
void sl_head_scaling_deinit(struct sl_head_scaling *s);

/* ---- what happened ------------------------------------------------------------------------- */
/* Groups are by name; those that nobody scales are none of ours, and ignored. */
void sl_head_scaling_joined(struct sl_head_scaling *s, const char *group, uint32_t number);
void sl_head_scaling_busy(struct sl_head_scaling *s, const char *group, uint32_t number,
                          struct sl_scaler_load load);
void sl_head_scaling_gone(struct sl_head_scaling *s, struct sl_ctx *ctx, const char *group,
                          uint32_t number);
void sl_head_scaling_demand(struct sl_head_scaling *s, const struct sl_m_group_demand *m);
/* A router says how many calls it has; it says so again within SL_ROUTER_TELL_NS, or has none. */
void sl_head_scaling_calls(struct sl_head_scaling *s, uint32_t router, uint64_t calls);
/* SL_ENOTFOUND, SL_EINVAL: *ret_why is a text, owned. */
SL_MUST_CHECK enum sl_err sl_head_scaling_set(struct sl_head_scaling *s, struct sl_ctx *ctx,
                                              const struct sl_m_group_scale *m, char **ret_why);

/* ---- what is to be done -------------------------------------------------------------------- */
/* The time is now; before each of the above. */
void sl_head_scaling_clock(struct sl_head_scaling *s, const struct sl_ctx *ctx);
/* Do all that is ordered, and set the timer for the next. After each message. */
void sl_head_scaling_run(struct sl_head_scaling *s, struct sl_ctx *ctx, uint64_t token);
void sl_head_scaling_rang(struct sl_head_scaling *s, const struct sl_ctx *ctx); /* The timer. */

/* Whether the group is scaled: then append its members to an object that is begun. */
bool sl_head_scaling_write(const struct sl_head_scaling *s, const char *group, struct sl_jsonw *w);

#endif
