/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/image_locator.h"

#include "actors/image_message.h"
#include "runtime/report.h"

/* The oldest gives way to one more: whoever was not answered asks again. */
#define ASKS_MAX 256

struct ask {
    uint64_t serial; /* 0: free. */
    struct sl_addr from;
    struct sl_image_name name;
};

struct locator {
    struct sl_image_locator_options options;
    struct sl_image_directory *directory;
    bool has_told_full;
    struct ask asks[ASKS_MAX]; /* Of a star: what our own images are asked for. */
    uint64_t serial_last;
};

static void
check_full(struct locator *l, enum sl_err err)
{
    if (err != SL_OK && !l->has_told_full)
        sl_report_warn(
            "images-unlisted",
            "err=%s action=\"nodes that have them are not asked; more than %u are known\"",
            sl_err_name(err), SL_DIRECTORY_ENTRIES_MAX);
    l->has_told_full = l->has_told_full || err != SL_OK;
}

static void
on_has(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct locator *l = self;
    const struct sl_m_image_has *m = SL_BODY(msg, image_has);
    struct sl_image_name name;
    (void)ctx;
    if (sl_image_name_of(m->name, &name))
        check_full(l, sl_image_directory_has(l->directory, msg->from.node, &name, m->size_bytes));
}

static void
on_gone(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct locator *l = self;
    struct sl_image_name name;
    (void)ctx;
    if (sl_image_name_of(SL_BODY(msg, image_gone)->name, &name))
        sl_image_directory_gone(l->directory, msg->from.node, &name);
}

static void
ask_head(struct locator *l, struct sl_ctx *ctx, struct sl_addr from,
         const struct sl_image_name *name)
{
    struct sl_m_image_fetch m = {.name = sl_image_name_bytes(name)};
    uint64_t serial = ++l->serial_last;
    l->asks[serial % ASKS_MAX] = (struct ask){.serial = serial, .from = from, .name = *name};
    sl_request(ctx, sl_at(0, SL_ACTOR_IMAGES), serial, SL_M_image_fetch, &m);
}

static void
on_fetched(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct locator *l = self;
    struct ask *ask = &l->asks[msg->request % ASKS_MAX];
    struct sl_buf holders = {0};
    if (msg->request == 0 || ask->serial != msg->request)
        return;
    uint64_t err = SL_BODY(msg, image_fetched)->err;
    bool is_known = err == SL_OK;
    if (is_known)
        sl_buf_append_u32(&holders, SL_NODE_HEAD);
    struct sl_m_image_located m = {.name = sl_image_name_bytes(&ask->name),
                                   .is_known = is_known,
                                   .holders = sl_buf_slice(&holders),
                                   .is_final = is_known || err == SL_ENOTFOUND};
    sl_send(ctx, ask->from, SL_M_image_located, &m);
    sl_buf_deinit(&holders);
    *ask = (struct ask){0};
}

static void
on_locate(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct locator *l = self;
    struct sl_image_name name;
    struct sl_image_located located = {0};
    struct sl_buf holders = {0};
    if (!sl_image_name_of(SL_BODY(msg, image_locate)->name, &name))
        return;
    if (l->options.is_star) {
        ask_head(l, ctx, msg->from, &name);
        return;
    }
    check_full(l, sl_image_directory_locate(l->directory, msg->from.node, &name, &located));
    for (uint32_t i = 0; i < located.count; i++)
        sl_buf_append_u32(&holders, located.nodes[i]);
    struct sl_m_image_located m = {.name = sl_image_name_bytes(&name),
                                   .is_known = located.is_known,
                                   .holders = sl_buf_slice(&holders)};
    sl_send(ctx, msg->from, SL_M_image_located, &m);
    sl_buf_deinit(&holders);
}

static void
on_lost(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct locator *l = self;
    if (msg->from.node == ctx->self.node)
        sl_image_directory_lose(l->directory, (uint32_t)SL_BODY(msg, node_lost)->node);
}

static const struct sl_on table[] = {
    {SL_M_image_has, on_has},         {SL_M_image_gone, on_gone}, {SL_M_image_locate, on_locate},
    {SL_M_image_fetched, on_fetched}, {SL_M_node_lost, on_lost},
};

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (!sl_dispatch(table, SL_COUNT_OF(table), self, ctx, msg))
        sl_report_warn("message-unknown", "actor=locator message=%s", msg->type->name);
}

static void
init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct locator *l = self;
    (void)ctx;
    if (argument != NULL)
        l->options = *(const struct sl_image_locator_options *)argument;
    l->directory = sl_image_directory_create(0);
}

static void
deinit(void *self)
{
    struct locator *l = self;
    sl_image_directory_destroy(&l->directory);
}

const struct sl_actor_class sl_image_locator_class = {
    .name = "locator",
    .state_size = sizeof(struct locator),
    .init = init,
    .handle = handle,
    .deinit = deinit,
};

const struct sl_image_directory *
sl_image_locator_directory(const void *locator)
{
    const struct locator *l = locator;
    return l->directory;
}
