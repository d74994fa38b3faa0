/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/image_serve.h"

#include "runtime/alloc.h"

void
sl_image_serve_init(struct sl_image_serve *s)
{
    *s = (struct sl_image_serve){0};
    s->tail = &s->oldest;
}

static void
destroy_list(struct sl_image_work *list)
{
    for (struct sl_image_work *next; list != NULL; list = next) {
        next = list->next;
        sl_image_work_destroy(&list);
    }
}

void
sl_image_serve_deinit(struct sl_image_serve *s)
{
    destroy_list(s->oldest);
    destroy_list(s->running);
    sl_image_serve_init(s);
}

/* Making a list may mean to read all of a file: once is enough, whoever else asks does so again. */
static bool
is_same_list(const struct sl_image_work *a, const struct sl_image_work *b)
{
    return a->kind == SL_IMAGE_LIST && b->kind == SL_IMAGE_LIST &&
           memcmp(&a->name, &b->name, sizeof(a->name)) == 0;
}

bool
sl_image_serve_add(struct sl_image_serve *s, struct sl_image_work *work)
{
    uint32_t of_node = 0;
    const struct sl_image_work *lists[] = {s->oldest, s->running};
    for (size_t i = 0; i < SL_COUNT_OF(lists); i++) {
        for (const struct sl_image_work *w = lists[i]; w != NULL; w = w->next) {
            of_node += w->from.node == work->from.node;
            if (is_same_list(w, work))
                return false;
        }
    }
    if (s->waiting_count == SL_SERVE_WAITING_MAX || of_node >= SL_SERVE_A_NODE_MAX)
        return false;
    work->next = NULL;
    *s->tail = work;
    s->tail = &work->next;
    s->waiting_count++;
    return true;
}

struct sl_image_work *
sl_image_serve_next(struct sl_image_serve *s)
{
    struct sl_image_work *w = s->oldest;
    if (w == NULL || s->running_count == SL_SERVE_RUNNING_MAX)
        return NULL;
    s->oldest = w->next;
    if (s->oldest == NULL)
        s->tail = &s->oldest;
    s->waiting_count--;
    w->next = s->running;
    s->running = w;
    s->running_count++;
    return w;
}

bool
sl_image_serve_end(struct sl_image_serve *s, const struct sl_image_work *work)
{
    for (struct sl_image_work **at = &s->running; *at != NULL; at = &(*at)->next) {
        if (*at != work)
            continue;
        *at = work->next;
        s->running_count--;
        return true;
    }
    return false;
}

void
sl_image_serve_run(struct sl_image_serve *s, struct sl_ctx *ctx)
{
    for (struct sl_image_work *w; (w = sl_image_serve_next(s)) != NULL;)
        sl_work(ctx, sl_image_work_run, w, SL_IMAGE_WORK_TOKEN);
}

/* ---- questions and answers ----------------------------------------------------------------- */

void
sl_image_serve_refuse(struct sl_ctx *ctx, const struct sl_msg *msg, enum sl_err err,
                      struct sl_slice have)
{
    const struct sl_m_image_chunk_want *want = SL_BODY(msg, image_chunk_want);
    struct sl_m_image_chunk m = {
        .name = want->name, .index = want->index, .err = err, .have = have};
    sl_send(ctx, msg->from, SL_M_image_chunk, &m);
}

void
sl_image_serve_list(struct sl_ctx *ctx, struct sl_addr to, const struct sl_image_name *name,
                    struct sl_m_image_list *m, const struct sl_chunks *chunks)
{
    m->name = sl_image_name_bytes(name);
    m->size_bytes = chunks->size_bytes;
    m->digests = sl_slice(chunks->digests, (size_t)chunks->count * SL_SHA256_SIZE);
    sl_send(ctx, to, SL_M_image_list, m);
}

void
sl_image_serve_want(struct sl_image_serve *s, struct sl_ctx *ctx, const struct sl_images *images,
                    const struct sl_msg *msg)
{
    static const struct sl_chunks none;
    struct sl_image_name name;
    bool is_list = msg->id == SL_M_image_list_want;
    struct sl_slice bytes =
        is_list ? SL_BODY(msg, image_list_want)->name : SL_BODY(msg, image_chunk_want)->name;
    if (!sl_image_name_of(bytes, &name))
        return;
    struct sl_image_work *w =
        sl_image_work_create(images, is_list ? SL_IMAGE_LIST : SL_IMAGE_READ, &name);
    w->index = is_list ? 0 : (uint32_t)SL_BODY(msg, image_chunk_want)->index;
    w->from = msg->from;
    if (!sl_image_serve_add(s, w)) {
        sl_image_work_destroy(&w);
        if (is_list)
            sl_image_serve_list(ctx, msg->from, &name, &(struct sl_m_image_list){.err = SL_EBUSY},
                                &none);
        else
            sl_image_serve_refuse(ctx, msg, SL_EBUSY, (struct sl_slice){0});
    }
    sl_image_serve_run(s, ctx);
}

void
sl_image_serve_reply(struct sl_ctx *ctx, const struct sl_image_work *w, struct sl_slice have)
{
    if (w->kind == SL_IMAGE_LIST) {
        struct sl_m_image_list m = {.err = w->err};
        sl_image_serve_list(ctx, w->from, &w->name, &m, &w->chunks);
        return;
    }
    struct sl_m_image_chunk m = {.name = sl_image_name_bytes(&w->name),
                                 .index = w->index,
                                 .err = w->err,
                                 .have = have,
                                 .bytes = sl_buf_slice(&w->bytes)};
    sl_send(ctx, w->from, SL_M_image_chunk, &m);
}
