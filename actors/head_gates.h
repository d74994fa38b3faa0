/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head_gates.h - the gateways that the head's nodes connect to. Part of the head actor.
 */
#ifndef SL_ACTORS_HEAD_GATES_H
#define SL_ACTORS_HEAD_GATES_H

#include "actors/cluster.h"

struct sl_head_gate { /* A gateway process. */
    uint32_t number;
    char *endpoint;
};

struct sl_head_gates {
    struct sl_head_gate gates[SL_GATES_MAX];
    uint32_t count;
};

void sl_head_gates_deinit(struct sl_head_gates *g);
/* Known already, it takes the new endpoint. NULL, reported: they are as many as may be. */
const struct sl_head_gate *sl_head_gates_add(struct sl_head_gates *g, const struct sl_m_gate_up *m);
void sl_head_gates_drop(struct sl_head_gates *g, uint64_t number);
/* Tell a node's agent of one. */
void sl_head_gate_tell(struct sl_ctx *ctx, uint32_t node, const struct sl_head_gate *gate);
/* Tell all of a node whose process has ended, so that they need not find out by its link. */
void sl_head_gates_lost(const struct sl_head_gates *g, struct sl_ctx *ctx, uint32_t node);

#endif
