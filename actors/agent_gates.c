/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/agent_gates.h"

#include <inttypes.h>

#include "runtime/report.h"

static struct sl_agent_gate *
lookup(struct sl_agent_gates *g, uint64_t number)
{
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->gates[i].number == number)
            return &g->gates[i];
    }
    return NULL;
}

/* The links themselves are made and ended beside the actors. */
static void
forget(struct sl_agent_gates *g, struct sl_ctx *ctx, struct sl_agent_gate *gate)
{
    struct sl_m_gate_down m = {.gate = gate->number};
    *gate = g->gates[--g->count];
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_GATES), SL_M_gate_down, &m);
}

void
sl_agent_gates_add(struct sl_agent_gates *g, struct sl_ctx *ctx, const struct sl_m_gate_up *m)
{
    struct sl_agent_gate *known = lookup(g, m->gate);
    if (known != NULL) {
        known->is_unlisted = false;
        return;
    }
    if (g->count == SL_GATES_MAX) {
        sl_report_warn("gateway-unlinked", "node=%" PRIu64 " gateways=%u", m->gate, SL_GATES_MAX);
        return;
    }
    g->gates[g->count++] = (struct sl_agent_gate){.number = (uint32_t)m->gate};
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_GATES), SL_M_gate_up, m);
}

/* As long as our link to it is up it may have work for us, whatever the head has lost. */
void
sl_agent_gates_drop(struct sl_agent_gates *g, struct sl_ctx *ctx, uint64_t number)
{
    struct sl_agent_gate *gate = lookup(g, number);
    if (gate == NULL)
        return;
    gate->is_unlisted = true;
    if (!gate->is_up)
        forget(g, ctx, gate);
}

void
sl_agent_gates_unlist(struct sl_agent_gates *g, struct sl_ctx *ctx)
{
    for (uint32_t i = g->count; i-- > 0;) {
        g->gates[i].is_unlisted = true;
        if (!g->gates[i].is_up)
            forget(g, ctx, &g->gates[i]);
    }
}

void
sl_agent_gates_link(struct sl_agent_gates *g, struct sl_ctx *ctx, uint64_t number, bool is_up)
{
    struct sl_agent_gate *gate = lookup(g, number);
    if (gate == NULL)
        return;
    gate->is_up = is_up;
    if (!is_up && gate->is_unlisted)
        forget(g, ctx, gate);
}

void
sl_agent_gates_greet(const struct sl_agent_gates *g, struct sl_ctx *ctx, uint64_t number,
                     const struct sl_m_node_hello *hello)
{
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->gates[i].is_up && (number == 0 || number == g->gates[i].number))
            sl_send(ctx, sl_at(g->gates[i].number, SL_ACTOR_EDGE), SL_M_node_hello, hello);
    }
}
