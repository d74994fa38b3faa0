/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/model_opens.h"

#include <inttypes.h>

#include "runtime/alloc.h"
#include "runtime/report.h"

struct sl_model_open {
    uint64_t serial; /* Names it towards the head; 0: free. */
    uint64_t replica, ticket, deadline_ns;
    char *model;
    char *directory; /* NULL: the head has not answered. */
};

void
sl_model_opens_init(struct sl_model_opens *o, uint64_t now_ms)
{
    /* By the time no answer to an agent before this one fits an ask of ours. */
    *o = (struct sl_model_opens){.asks = sl_zalloc(SL_MODEL_OPENS_MAX * sizeof(o->asks[0])),
                                 .serial_last = now_ms << 16};
}

static void
end(struct sl_model_open *a)
{
    sl_free(a->model);
    sl_free(a->directory);
    *a = (struct sl_model_open){0};
}

void
sl_model_opens_deinit(struct sl_model_opens *o)
{
    for (uint32_t i = 0; o->asks != NULL && i < SL_MODEL_OPENS_MAX; i++)
        end(&o->asks[i]);
    sl_free(o->asks);
    *o = (struct sl_model_opens){0};
}

static void
give(struct sl_ctx *ctx, const struct sl_m_model_given *given)
{
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_OBJECTS), SL_M_model_given, given);
}

static void
refuse(struct sl_ctx *ctx, uint64_t ticket, enum sl_err err, struct sl_slice why)
{
    give(ctx, &(struct sl_m_model_given){.ticket = ticket, .err = err, .fd = -1, .message = why});
}

/* Of ours, which the head has not refused, but which cannot be given. */
static void
fail(struct sl_ctx *ctx, struct sl_model_open *a, enum sl_err err, const char *why)
{
    sl_report_warn("model-unopened", "replica=%" PRIu64 " model=%s err=%s why=\"%s\"", a->replica,
                   a->model, sl_err_name(err), why);
    refuse(ctx, a->ticket, err, sl_slice_str(why));
    end(a);
}

/* ---- asking -------------------------------------------------------------------------------- */

/* An id is part of a key, which has no NUL in it. */
static bool
is_id(struct sl_slice text)
{
    return text.size > 0 && memchr(text.data, '\0', text.size) == NULL;
}

/*
 * One that asks again while its ask is under way has given up waiting: the answer is for who asks
 * now. To ask for another meanwhile is not meant to happen, and to have the head loaded with it
 * neither.
 */
static bool
goes_on(struct sl_model_opens *o, struct sl_ctx *ctx, const struct sl_m_model_wanted *m,
        struct sl_model_open **ret_free)
{
    *ret_free = NULL;
    for (uint32_t i = 0; i < SL_MODEL_OPENS_MAX; i++) {
        struct sl_model_open *a = &o->asks[i];
        if (a->serial == 0)
            *ret_free = a;
        if (a->serial == 0 || a->replica != m->replica)
            continue;
        if (sl_slice_is(m->model, a->model))
            a->ticket = m->ticket;
        else
            refuse(ctx, m->ticket, SL_EBUSY,
                   sl_slice_str("a model that this replica asked for before is on its way still"));
        return true;
    }
    return false;
}

void
sl_model_opens_ask(struct sl_model_opens *o, struct sl_ctx *ctx, const struct sl_pool *pool,
                   const struct sl_m_model_wanted *m)
{
    struct sl_model_open *a;
    if (pool == NULL || pool->space[0] == '\0' || !is_id(m->model)) {
        refuse(ctx, m->ticket, pool == NULL ? SL_ECANCELED : SL_ENOTFOUND,
               sl_slice_str("this replica may not open models by such an id"));
        return;
    }
    if (goes_on(o, ctx, m, &a))
        return;
    if (a == NULL) {
        refuse(ctx, m->ticket, SL_EFULL,
               sl_slice_str("too many replicas of this node wait for models: try again"));
        return;
    }
    *a = (struct sl_model_open){.serial = ++o->serial_last,
                                .replica = m->replica,
                                .ticket = m->ticket,
                                .deadline_ns = ctx->now_ns + SL_MODEL_OPEN_NS,
                                .model = sl_strndup(m->model.data, m->model.size)};
    struct sl_m_model_open open = {
        .tenant = pool->tenant, .space = sl_slice_str(pool->space), .model = m->model};
    sl_request(ctx, sl_at(SL_NODE_HEAD, SL_ACTOR_API), a->serial, SL_M_model_open, &open);
}

/* ---- giving -------------------------------------------------------------------------------- */

static struct sl_model_open *
ask_of(const struct sl_model_opens *o, uint64_t serial)
{
    for (uint32_t i = 0; serial != 0 && i < SL_MODEL_OPENS_MAX; i++) {
        if (o->asks[i].serial == serial)
            return &o->asks[i];
    }
    return NULL;
}

/* What was evicted since the head answered is loaded again. */
static void
give_if_ready(struct sl_ctx *ctx, struct sl_model_shelf *shelf, struct sl_model_open *a)
{
    struct sl_model_file file = sl_model_shelf_want(shelf, ctx, sl_slice_str(a->directory));
    if (file.error != NULL) {
        fail(ctx, a, SL_EUNAVAIL, file.error);
        sl_free(file.error);
    } else if (file.is_ready) {
        give(ctx, &(struct sl_m_model_given){
                      .ticket = a->ticket, .fd = file.fd, .size_bytes = file.size_bytes});
        end(a);
    }
}

void
sl_model_opens_answer(struct sl_model_opens *o, struct sl_ctx *ctx, struct sl_model_shelf *shelf,
                      const struct sl_msg *msg)
{
    const struct sl_m_model_opened *m = SL_BODY(msg, model_opened);
    struct sl_model_open *a = ask_of(o, msg->request);
    if (a == NULL || a->directory != NULL)
        return; /* It came too late, or twice. */
    if (m->err != SL_OK || m->directory.size == 0) {
        bool is_known = m->err != SL_OK && m->err < SL_ERR_COUNT;
        refuse(ctx, a->ticket, is_known ? (enum sl_err)m->err : SL_EBUG, m->message);
        end(a);
        return;
    }
    a->directory = sl_strndup(m->directory.data, m->directory.size);
    give_if_ready(ctx, shelf, a);
}

void
sl_model_opens_undelivered(struct sl_model_opens *o, struct sl_ctx *ctx, uint64_t request)
{
    struct sl_model_open *a = ask_of(o, request);
    if (a != NULL)
        fail(ctx, a, SL_EUNAVAIL, "the head is not to be reached");
}

void
sl_model_opens_tend(struct sl_model_opens *o, struct sl_ctx *ctx, struct sl_model_shelf *shelf)
{
    for (uint32_t i = 0; i < SL_MODEL_OPENS_MAX; i++) {
        struct sl_model_open *a = &o->asks[i];
        if (a->serial != 0 && a->directory != NULL)
            give_if_ready(ctx, shelf, a);
        if (a->serial != 0 && ctx->now_ns >= a->deadline_ns)
            fail(ctx, a, SL_ETIMEOUT, "it took too long to load: ask again");
    }
}

void
sl_model_opens_forget(struct sl_model_opens *o, uint64_t replica)
{
    for (uint32_t i = 0; i < SL_MODEL_OPENS_MAX; i++) {
        if (o->asks[i].serial != 0 && o->asks[i].replica == replica)
            end(&o->asks[i]);
    }
}
