/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/cluster.h"

#include "actors/image_message.h"

#define SL_PROTOCOL_DEF  "actors/cluster.def"
#define SL_PROTOCOL_NAME cluster
#define SL_PROTOCOL_ID   SL_PROTOCOL_CLUSTER
#include "runtime/message_table.h"

bool
sl_cluster_head_takes(const struct sl_msg *msg)
{
    static const struct {
        enum sl_actor_number actor;
        uint32_t id;
    } taken[] = {
        {SL_ACTOR_HEAD, SL_M_node_join},         {SL_ACTOR_HEAD, SL_M_node_beat},
        {SL_ACTOR_HEAD, SL_M_node_leave},        {SL_ACTOR_DISPATCHER, SL_M_task_done},
        {SL_ACTOR_DISPATCHER, SL_M_task_failed}, {SL_ACTOR_ROUTER, SL_M_embedded},
        {SL_ACTOR_ROUTER, SL_M_model_loaded},    {SL_ACTOR_API, SL_M_model_open},
        {SL_ACTOR_HEAD, SL_M_calls_wanted},      {SL_ACTOR_HEAD, SL_M_node_scaling},
        {SL_ACTOR_HEAD, SL_M_model_kept},        {SL_ACTOR_HEAD, SL_M_model_drop},
        {SL_ACTOR_ROUTER, SL_M_shortcut_open},   {SL_ACTOR_ROUTER, SL_M_shortcut_serves},
        {SL_ACTOR_ROUTER, SL_M_shortcut_close},  {SL_ACTOR_ROUTER, SL_M_shortcut_gone},
    };
    if (msg->to.actor == SL_ACTOR_EDGES)
        return msg->id >> 16 == SL_PROTOCOL_RELAY;
    if (msg->to.actor == SL_ACTOR_BROKER)
        return msg->id >> 16 == SL_PROTOCOL_QUEUE;
    if (msg->id >> 16 == SL_PROTOCOL_IMAGE)
        return sl_image_head_takes(msg);
    for (size_t i = 0; i < SL_COUNT_OF(taken); i++) {
        if (msg->to.actor == taken[i].actor && msg->id == taken[i].id)
            return true;
    }
    return false;
}

bool
sl_dispatch(const struct sl_on *table, size_t count, void *self, struct sl_ctx *ctx,
            const struct sl_msg *msg)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].id == msg->id) {
            table[i].handle(self, ctx, msg);
            return true;
        }
    }
    /* What came back to an actor that does not look is as good as lost on the way: deadlines. */
    return msg->id == SL_M_undelivered;
}

bool
sl_cluster_node_takes(const struct sl_msg *msg)
{
    uint32_t protocol = msg->id >> 16, from = msg->from.node;
    if (protocol == SL_PROTOCOL_IMAGE)
        return sl_image_node_takes(msg);
    if (msg->to.actor != SL_ACTOR_AGENT)
        return false;
    if (from == SL_NODE_HEAD)
        return protocol == SL_PROTOCOL_CLUSTER;
    if (from >= SL_NODE_REPLICAS_FIRST)
        return protocol == SL_PROTOCOL_REPLICA;
    return msg->id == SL_M_extraction || msg->id == SL_M_embed_run || msg->id == SL_M_embed_cancel;
}
