/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/head_gates.h"

#include <inttypes.h>

#include "runtime/alloc.h"
#include "runtime/report.h"

void
sl_head_gates_deinit(struct sl_head_gates *g)
{
    while (g->count > 0)
        sl_head_gates_drop(g, g->gates[0].number);
}

void
sl_head_gates_drop(struct sl_head_gates *g, uint64_t number)
{
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->gates[i].number != number)
            continue;
        sl_free(g->gates[i].endpoint);
        g->gates[i] = g->gates[--g->count];
        return;
    }
}

const struct sl_head_gate *
sl_head_gates_add(struct sl_head_gates *g, const struct sl_m_gate_up *m)
{
    sl_head_gates_drop(g, m->gate);
    if (g->count == SL_GATES_MAX) {
        sl_report_warn("gateway-unlinked", "node=%" PRIu64 " gateways=%u", m->gate, SL_GATES_MAX);
        return NULL;
    }
    struct sl_head_gate *gate = &g->gates[g->count++];
    *gate = (struct sl_head_gate){.number = (uint32_t)m->gate,
                                  .endpoint = sl_strndup(m->endpoint.data, m->endpoint.size)};
    return gate;
}

void
sl_head_gate_tell(struct sl_ctx *ctx, uint32_t node, const struct sl_head_gate *gate)
{
    struct sl_m_gate_up m = {.gate = gate->number, .endpoint = sl_slice_str(gate->endpoint)};
    sl_send(ctx, sl_at(node, SL_ACTOR_AGENT), SL_M_gate_up, &m);
}

void
sl_head_gates_lost(const struct sl_head_gates *g, struct sl_ctx *ctx, uint32_t node)
{
    struct sl_m_node_lost m = {.node = node};
    for (uint32_t i = 0; i < g->count; i++)
        sl_send(ctx, sl_at(g->gates[i].number, SL_ACTOR_EDGE), SL_M_node_lost, &m);
}
