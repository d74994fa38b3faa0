/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_gates.h - the gateways that a node's agent has links to: their calls come directly. One is
 * known from the head's word until the head has lost it and the link to it has ended. Part of the
 * agent actor.
 */
#ifndef SL_ACTORS_AGENT_GATES_H
#define SL_ACTORS_AGENT_GATES_H

#include "actors/cluster.h"

struct sl_agent_gate {
    uint32_t number;
    bool is_up;       /* Our link to it. */
    bool is_unlisted; /* The head knows it no more: it goes with its link. */
};

struct sl_agent_gates {
    struct sl_agent_gate gates[SL_GATES_MAX];
    uint32_t count;
};

/* The head lists one, or does so no more. */
void sl_agent_gates_add(struct sl_agent_gates *g, struct sl_ctx *ctx, const struct sl_m_gate_up *m);
void sl_agent_gates_drop(struct sl_agent_gates *g, struct sl_ctx *ctx, uint64_t number);
/* The head is another one, or met us anew: what it knows it lists next. */
void sl_agent_gates_unlist(struct sl_agent_gates *g, struct sl_ctx *ctx);
/* A link is up or down; nothing happens if it is to no gateway. */
void sl_agent_gates_link(struct sl_agent_gates *g, struct sl_ctx *ctx, uint64_t number, bool is_up);
/* Tell all that have a link (number 0), or one. */
void sl_agent_gates_greet(const struct sl_agent_gates *g, struct sl_ctx *ctx, uint64_t number,
                          const struct sl_m_node_hello *hello);

#endif
