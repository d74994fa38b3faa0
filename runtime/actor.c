/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/actor.h"

void
sl_request(struct sl_ctx *ctx, struct sl_addr to, uint64_t request, uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    msg->from = ctx->self;
    msg->to = to;
    msg->request = request;
    msg->level = (uint8_t)ctx->level;
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

/* ---- actors that come and go --------------------------------------------------------------- */

enum sl_err
sl_spawn(struct sl_ctx *ctx, const struct sl_actor_class *class, const void *argument,
         const struct sl_spawn_options *options, struct sl_addr *ret_addr)
{
    static const struct sl_spawn_options none;
    if (ctx->driver->ops->spawn == NULL)
        return SL_EUNAVAIL;
    const struct sl_spawn_what what = {class, argument};
    return ctx->driver->ops->spawn(ctx->driver, ctx, &what, options == NULL ? &none : options,
                                   ret_addr);
}

static void
end_with(struct sl_ctx *ctx, enum sl_err reason)
{
    sl_assert(ctx->driver->ops->stop != NULL);
    ctx->driver->ops->stop(ctx->driver, ctx->self, reason);
}

void
sl_stop(struct sl_ctx *ctx)
{
    end_with(ctx, SL_OK);
}

void
sl_fail(struct sl_ctx *ctx, enum sl_err reason)
{
    sl_assert(reason != SL_OK);
    end_with(ctx, reason);
}

void
sl_exit(struct sl_ctx *ctx, struct sl_addr who, enum sl_err reason)
{
    sl_send(ctx, who, SL_M_exit, &(struct sl_m_exit){.reason = reason});
}

void
sl_kill(struct sl_ctx *ctx, struct sl_addr who, enum sl_err reason)
{
    sl_send(ctx, who, SL_M_exit, &(struct sl_m_exit){.reason = reason, .is_forced = 1});
}

void
sl_watch(struct sl_ctx *ctx, struct sl_addr who)
{
    sl_send(ctx, who, SL_M_watch, NULL);
}

void
sl_unwatch(struct sl_ctx *ctx, struct sl_addr who)
{
    sl_send(ctx, who, SL_M_unwatch, NULL);
}

static void
set_link(struct sl_ctx *ctx, struct sl_addr who, bool is_linked)
{
    if (ctx->driver->ops->link != NULL)
        ctx->driver->ops->link(ctx->driver, ctx->self, who, is_linked);
}

void
sl_link(struct sl_ctx *ctx, struct sl_addr who)
{
    set_link(ctx, who, true);
}

void
sl_unlink(struct sl_ctx *ctx, struct sl_addr who)
{
    set_link(ctx, who, false);
}

uint64_t
sl_call(struct sl_ctx *ctx, struct sl_addr to, uint64_t timeout_ns, uint32_t id, const void *body)
{
    if (ctx->driver->ops->call == NULL)
        return 0;
    struct sl_msg *msg = sl_msg_create(id, body);
    msg->from = ctx->self;
    msg->to = to;
    return ctx->driver->ops->call(ctx->driver, msg, timeout_ns);
}
