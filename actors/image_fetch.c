/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/image_fetch.h"

#include "runtime/alloc.h"

#define LOCATE_MAX_NS (5 * SL_SECOND_NS)

struct sl_image_fetch *
sl_image_fetch_lookup(struct sl_image_fetch *list, const struct sl_image_name *name)
{
    while (list != NULL && memcmp(&list->name, name, sizeof(*name)) != 0)
        list = list->next;
    return list;
}

void
sl_image_fetch_destroy(struct sl_image_fetch **fetch)
{
    struct sl_image_fetch *f = *fetch;
    if (f == NULL)
        return;
    for (struct sl_msg *call = f->calls, *next; call != NULL; call = next) {
        next = call->next;
        sl_msg_destroy(&call);
    }
    sl_image_work_destroy(&f->busy);
    sl_image_work_destroy(&f->gathering);
    sl_image_part_close(&f->part);
    sl_pull_destroy(&f->pull);
    sl_free(f);
    *fetch = NULL;
}

struct sl_msg *
sl_image_call_copy(const struct sl_msg *call)
{
    struct sl_msg *copy = sl_msg_create(call->id, call->body);
    copy->from = call->from;
    copy->request = call->request;
    return copy;
}

void
sl_image_fetch_wait(struct sl_image_fetch *f, const struct sl_msg *call)
{
    struct sl_msg *copy = sl_image_call_copy(call);
    copy->next = f->calls;
    f->calls = copy;
}

void
sl_image_fetch_run(struct sl_image_fetch *f, struct sl_ctx *ctx, struct sl_image_work *work)
{
    sl_assert(f->busy == NULL);
    f->busy = work;
    sl_work(ctx, sl_image_work_run, work, SL_IMAGE_WORK_TOKEN);
}

void
sl_image_fetch_run_begin(struct sl_image_fetch *f, struct sl_ctx *ctx,
                         const struct sl_images *images)
{
    struct sl_image_work *w = sl_image_work_create(images, SL_IMAGE_BEGIN, &f->name);
    const struct sl_chunks *chunks = sl_pull_chunks(f->pull);
    if (chunks->digests != NULL) {
        size_t size = SL_MAX((size_t)chunks->count * SL_SHA256_SIZE, (size_t)1);
        w->chunks = *chunks;
        w->chunks.digests = sl_alloc(size);
        memcpy(w->chunks.digests, chunks->digests, (size_t)chunks->count * SL_SHA256_SIZE);
    }
    sl_image_fetch_run(f, ctx, w);
}

void
sl_image_fetch_run_finish(struct sl_image_fetch *f, struct sl_ctx *ctx,
                          const struct sl_images *images)
{
    struct sl_image_work *w = sl_image_work_create(images, SL_IMAGE_FINISH, &f->name);
    w->part = f->part;
    f->part = NULL;
    f->is_finishing = true;
    sl_image_fetch_run(f, ctx, w);
}

void
sl_image_fetch_locate(struct sl_image_fetch *f, struct sl_ctx *ctx)
{
    if (ctx->now_ns < f->locate_ns || !sl_pull_needs_holders(f->pull, ctx->now_ns))
        return;
    struct sl_m_image_locate m = {.name = sl_image_name_bytes(&f->name)};
    f->locate_ns = ctx->now_ns + f->locate_pause_ns;
    f->locate_pause_ns = SL_MIN(2 * f->locate_pause_ns, LOCATE_MAX_NS);
    sl_send(ctx, sl_image_locator(), SL_M_image_locate, &m);
}

void
sl_image_fetch_ask(struct sl_image_fetch *f, struct sl_ctx *ctx)
{
    struct sl_pull_ask ask;
    while (sl_pull_next(f->pull, ctx->now_ns, &ask)) {
        struct sl_addr to = sl_at(ask.node, SL_ACTOR_IMAGES);
        struct sl_slice name = sl_image_name_bytes(&f->name);
        if (ask.index == SL_PULL_LIST)
            sl_send(ctx, to, SL_M_image_list_want, &(struct sl_m_image_list_want){.name = name});
        else
            sl_send(ctx, to, SL_M_image_chunk_want,
                    &(struct sl_m_image_chunk_want){.name = name, .index = ask.index});
    }
}

void
sl_image_fetch_have(const struct sl_image_fetch *f, struct sl_buf *out)
{
    if (f->pull != NULL)
        sl_pull_have(f->pull, out);
    if (out->size == 0)
        sl_buf_append_u8(out, 0);
}
