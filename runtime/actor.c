/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/actor.h"

void
sl_request(struct sl_ctx *ctx, struct sl_addr to, uint64_t request, uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    msg->from = ctx->self;
    msg->to = to;
    msg->request = request;
    ctx->driver->ops->send(ctx->driver, msg);
}

void
sl_send(struct sl_ctx *ctx, struct sl_addr to, uint32_t id, const void *body)
{
    sl_request(ctx, to, 0, id, body);
}

void
sl_reply(struct sl_ctx *ctx, const struct sl_msg *to, uint32_t id, const void *body)
{
    sl_request(ctx, to->from, to->request, id, body);
}

void
sl_after(struct sl_ctx *ctx, uint64_t delay_ns, uint64_t token)
{
    ctx->driver->ops->after(ctx->driver, ctx->self, delay_ns, token);
}

void
sl_work(struct sl_ctx *ctx, void (*work)(void *argument), void *argument, uint64_t token)
{
    ctx->driver->ops->work(ctx->driver, ctx->self, work, argument, token);
}
