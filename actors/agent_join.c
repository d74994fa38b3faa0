/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/agent_join.h"

#include "actors/cluster.h"

void
sl_agent_join(const struct sl_agent_options *o, struct sl_ctx *ctx)
{
    struct sl_m_node_join m = {.node = o->pool.node,
                               .pid = o->pid,
                               .room = o->room == 0 ? SL_AGENT_ROOM : o->room,
                               .name = sl_slice_str(o->name == NULL ? "" : o->name),
                               .facts = sl_slice_str(o->facts == NULL ? "" : o->facts)};
    sl_send(ctx, sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), SL_M_node_join, &m);
}
