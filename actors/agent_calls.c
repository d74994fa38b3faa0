/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/agent_calls.h"

#include "actors/embedded.h"

uint64_t
sl_agent_call_deadline_ns(const struct sl_ctx *ctx, const struct sl_msg *msg)
{
    uint64_t timeout_ns = msg->id == SL_M_embed_run ? SL_BODY(msg, embed_run)->timeout_ns : 0;
    if (timeout_ns == 0 || timeout_ns > UINT64_MAX - ctx->now_ns)
        return 0;
    return ctx->now_ns + timeout_ns;
}

void
sl_agent_call_done(struct sl_ctx *ctx, const struct sl_item *call, struct sl_slice outputs)
{
    struct sl_m_embedded m = sl_embedded_of_outputs(outputs, &call->times);
    sl_reply(ctx, call->msg, SL_M_embedded, &m);
}

void
sl_agent_call_failed(struct sl_ctx *ctx, const struct sl_item *call,
                     const struct sl_m_task_failed *why)
{
    struct sl_m_embedded m = sl_embedded_of_failure(why->kind, why->message);
    sl_reply(ctx, call->msg, SL_M_embedded, &m);
}

struct sl_pool *
sl_agent_call_cancel(struct sl_ctx *ctx, const struct sl_msg *msg, struct sl_pool *pools,
                     uint32_t pools_count)
{
    for (uint32_t i = 0; i < pools_count; i++) {
        if (pools[i].is_used && sl_pool_cancel(&pools[i], ctx, msg))
            return &pools[i];
    }
    return NULL;
}

static uint64_t
count_of(const struct sl_pool *p)
{
    uint64_t count = p->calls.count;
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++) {
        const struct sl_replica *r = &p->replicas[i];
        const struct sl_item *item = r->state == SL_REPLICA_FREE ? NULL : r->in_flight.oldest;
        count += r->shortcut.ongoing;
        for (; item != NULL; item = item->next)
            count += item->msg->id == SL_M_embed_run;
    }
    return count;
}

uint64_t
sl_agent_calls_count(const struct sl_pool *pools, uint32_t pools_count)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < pools_count; i++)
        count += pools[i].is_used ? count_of(&pools[i]) : 0;
    return count;
}
