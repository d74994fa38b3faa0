/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/router.h"

#include <inttypes.h>

#include "actors/extraction.h"
#include "actors/head.h"
#include "actors/node_set.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

#define SPECS_MAX 32
#define CHECK_NS  (500 * SL_MILLI_NS)
#define TELL_NS   SL_SECOND_NS
#define SCAN_MAX  16 /* Among so many nodes the least busy is looked for; else among two. */

struct node {
    struct sl_node_slot slot; /* First. */
    uint32_t ongoing;
    bool is_closed;            /* It gets calls only where no other node is. */
    uint64_t specs[SPECS_MAX]; /* Extractions it was told of, a ring. */
    uint32_t specs_next;
};

/* One call under way or parked. Slots are reused; `serial` tells a late answer from its successor.
 */
struct call {
    uint64_t serial; /* 0: free. */
    uint32_t node;   /* 0: parked. */
    uint64_t deadline_ns;
    struct sl_msg *msg; /* A copy of the caller's message. */
};

struct router {
    struct sl_node_set nodes;
    struct call calls[SL_ROUTER_CALLS_MAX];
    uint64_t serial_last;
    uint32_t calls_count;
    bool is_timer_set;
    uint64_t told_ns; /* When the head heard last that calls are made; 0: never. */
};

static struct sl_msg *
copy_of(const struct sl_msg *msg)
{
    struct sl_msg *copy = sl_msg_create(msg->id, msg->body);
    copy->from = msg->from;
    copy->request = msg->request;
    return copy;
}

static void
fail(struct sl_ctx *ctx, const struct sl_msg *msg, enum sl_err err, const char *why)
{
    uint32_t id = msg->id == SL_M_embed ? SL_M_embedded : SL_M_model_loaded;
    union {
        struct sl_m_embedded embedded;
        struct sl_m_model_loaded loaded;
    } body = {0};
    if (id == SL_M_embedded)
        body.embedded = (struct sl_m_embedded){.err = err, .message = sl_slice_str(why)};
    else
        body.loaded = (struct sl_m_model_loaded){.err = err, .message = sl_slice_str(why)};
    sl_reply(ctx, msg, id, &body);
}

static void
end_call(struct router *r, struct call *c)
{
    struct node *n = (struct node *)sl_node_set_lookup(&r->nodes, c->node);
    if (n != NULL && n->ongoing > 0)
        n->ongoing--;
    sl_msg_destroy(&c->msg);
    *c = (struct call){0};
    r->calls_count--;
}

static bool
is_better(const struct node *n, const struct node *best)
{
    if (best == NULL || n->is_closed != best->is_closed)
        return best == NULL || best->is_closed;
    return n->ongoing < best->ongoing;
}

/* Among many nodes two random ones are enough: the load stays within a few calls of even. */
static struct node *
least_busy(const struct router *r, struct sl_ctx *ctx)
{
    struct node *best = NULL;
    bool is_scan = r->nodes.count <= SCAN_MAX;
    for (uint32_t i = 0; i < (is_scan ? r->nodes.count : 2); i++) {
        uint64_t at = is_scan ? i : sl_random_below(ctx->random, r->nodes.count);
        struct node *n = (struct node *)r->nodes.slots[at];
        if (is_better(n, best))
            best = n;
    }
    return best;
}

static void
send_embed(struct sl_ctx *ctx, struct node *n, const struct call *c)
{
    const struct sl_m_embed *m = SL_BODY(c->msg, embed);
    uint64_t number = sl_extraction_number(m->spec, m->model, m->tenant);
    bool is_told = false;
    for (uint32_t i = 0; i < SPECS_MAX; i++)
        is_told = is_told || n->specs[i] == number;
    if (!is_told) {
        n->specs[n->specs_next++ % SPECS_MAX] = number;
        struct sl_m_extraction spec = {
            .number = number, .spec = m->spec, .model = m->model, .tenant = m->tenant};
        sl_send(ctx, sl_at(n->slot.number, SL_ACTOR_AGENT), SL_M_extraction, &spec);
    }
    struct sl_m_embed_run run = {.extraction = number, .inputs = m->inputs};
    sl_request(ctx, sl_at(n->slot.number, SL_ACTOR_AGENT), c->serial, SL_M_embed_run, &run);
}

/* Nodes that come by demand stay while calls are made, and one comes when there is none. */
static void
tell_wanted(struct router *r, struct sl_ctx *ctx, bool is_waiting)
{
    if (!is_waiting && r->told_ns != 0 && ctx->now_ns - r->told_ns < TELL_NS)
        return;
    r->told_ns = ctx->now_ns;
    sl_send(ctx, sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), SL_M_calls_wanted,
            &(struct sl_m_calls_wanted){.waiting = is_waiting});
}

/* Send a parked call to a node, if there is one. */
static void
route(struct router *r, struct sl_ctx *ctx, struct call *c)
{
    uint64_t only = c->msg->id == SL_M_model_load ? SL_BODY(c->msg, model_load)->node : 0;
    struct node *n =
        only == 0 ? least_busy(r, ctx) : (struct node *)sl_node_set_lookup(&r->nodes, only);
    if (only == 0)
        tell_wanted(r, ctx, n == NULL);
    if (n == NULL)
        return;
    c->node = n->slot.number;
    n->ongoing++;
    if (c->msg->id == SL_M_embed) {
        send_embed(ctx, n, c);
    } else {
        c->deadline_ns = ctx->now_ns + SL_ROUTER_LOAD_DEADLINE_NS;
        sl_request(ctx, sl_at(n->slot.number, SL_ACTOR_AGENT), c->serial, c->msg->id, c->msg->body);
    }
}

static void
set_timer(struct router *r, struct sl_ctx *ctx)
{
    if (r->is_timer_set || r->calls_count == 0)
        return;
    r->is_timer_set = true;
    sl_after(ctx, CHECK_NS, 0);
}

static void
on_call(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct router *r = self;
    if (r->calls_count == SL_ROUTER_CALLS_MAX) {
        fail(ctx, msg, SL_EFULL, "too many calls wait for a replica");
        return;
    }
    if (r->serial_last == 0) /* No answer to a process before this one fits a call of ours. */
        r->serial_last = sl_random_u64(ctx->random) >> 16;
    uint32_t i = (uint32_t)(r->serial_last % SL_ROUTER_CALLS_MAX);
    while (r->calls[i].serial != 0)
        i = (i + 1) % SL_ROUTER_CALLS_MAX;
    /* The slot is in the serial, so that an answer finds its call at once. */
    r->serial_last =
        r->serial_last - r->serial_last % SL_ROUTER_CALLS_MAX + SL_ROUTER_CALLS_MAX + i;
    r->calls[i] = (struct call){.serial = r->serial_last,
                                .deadline_ns = ctx->now_ns + SL_ROUTER_DEADLINE_NS,
                                .msg = copy_of(msg)};
    r->calls_count++;
    route(r, ctx, &r->calls[i]);
    set_timer(r, ctx);
}

static void
on_answer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct router *r = self;
    struct call *c = &r->calls[msg->request % SL_ROUTER_CALLS_MAX];
    if (c->serial != msg->request || c->serial == 0 || c->node != msg->from.node)
        return; /* It came after its deadline, twice, or from one that was not asked. */
    sl_reply(ctx, c->msg, msg->id, msg->body);
    end_call(r, c);
}

/* A link did not take it. One that is gone we hear of, and run the call elsewhere. */
static void
on_undelivered(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct router *r = self;
    const struct sl_m_undelivered *m = SL_BODY(msg, undelivered);
    struct node *n = (struct node *)sl_node_set_lookup(&r->nodes, msg->from.node);
    struct call *c = &r->calls[msg->request % SL_ROUTER_CALLS_MAX];
    for (uint32_t i = 0; n != NULL && m->message == SL_M_extraction && i < SPECS_MAX; i++) {
        if (n->specs[i] == m->first)
            n->specs[i] = 0;
    }
    bool is_call = msg->request != 0 && c->serial == msg->request && c->node == msg->from.node;
    if (!is_call || (m->reason != SL_EFULL && m->reason != SL_ETOOBIG))
        return;
    fail(ctx, c->msg, (enum sl_err)m->reason, "the link to the node takes no more");
    end_call(r, c);
}

static void
on_node_up(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct router *r = self;
    uint64_t number = SL_BODY(msg, node_up)->node;
    if (sl_node_set_lookup(&r->nodes, number) == NULL) {
        struct node *n = sl_zalloc(sizeof(*n));
        sl_node_set_add(&r->nodes, &n->slot, (uint32_t)number);
    }
    for (uint32_t i = 0; i < SL_ROUTER_CALLS_MAX; i++) {
        if (r->calls[i].serial != 0 && r->calls[i].node == 0)
            route(r, ctx, &r->calls[i]);
    }
}

static void
on_node_open(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct router *r = self;
    const struct sl_m_node_open *m = SL_BODY(msg, node_open);
    struct node *n = (struct node *)sl_node_set_lookup(&r->nodes, m->node);
    (void)ctx;
    if (n != NULL)
        n->is_closed = m->is_open == 0;
}

static void
on_node_lost(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct router *r = self;
    uint64_t number = SL_BODY(msg, node_lost)->node;
    struct sl_node_slot *gone = sl_node_set_lookup(&r->nodes, number);
    if (gone != NULL) {
        sl_node_set_remove(&r->nodes, gone);
        sl_free(gone);
    }
    /* Its calls have changed nothing anywhere, so another node may run them. */
    for (uint32_t i = 0; i < SL_ROUTER_CALLS_MAX; i++) {
        struct call *c = &r->calls[i];
        if (c->serial == 0 || c->node != number)
            continue;
        c->node = 0;
        c->deadline_ns = SL_MIN(c->deadline_ns, ctx->now_ns + SL_ROUTER_DEADLINE_NS);
        route(r, ctx, c);
    }
}

static void
on_timer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)msg;
    struct router *r = self;
    r->is_timer_set = false;
    for (uint32_t i = 0; i < SL_ROUTER_CALLS_MAX; i++) {
        struct call *c = &r->calls[i];
        if (c->serial == 0 || ctx->now_ns < c->deadline_ns)
            continue;
        fail(ctx, c->msg, SL_ETIMEOUT, "no replica answered in time");
        end_call(r, c);
    }
    set_timer(r, ctx);
}

/* A model that is dropped or evicted is so everywhere. */
static void
on_drop(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct router *r = self;
    for (uint32_t i = 0; i < r->nodes.count; i++)
        sl_send(ctx, sl_at(r->nodes.slots[i]->number, SL_ACTOR_AGENT), msg->id, msg->body);
}

static const struct sl_on table[] = {
    {SL_M_embed, on_call},          {SL_M_model_load, on_call},
    {SL_M_embedded, on_answer},     {SL_M_model_loaded, on_answer},
    {SL_M_node_up, on_node_up},     {SL_M_node_lost, on_node_lost},
    {SL_M_model_drop, on_drop},     {SL_M_model_evict, on_drop},
    {SL_M_timer, on_timer},         {SL_M_undelivered, on_undelivered},
    {SL_M_node_open, on_node_open},
};

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (!sl_dispatch(table, SL_COUNT_OF(table), self, ctx, msg))
        sl_report_warn("message-unknown", "actor=router message=%s", msg->type->name);
}

static void
deinit(void *self)
{
    struct router *r = self;
    for (uint32_t i = 0; i < SL_ROUTER_CALLS_MAX; i++)
        sl_msg_destroy(&r->calls[i].msg);
    for (uint32_t i = 0; i < r->nodes.count; i++)
        sl_free(r->nodes.slots[i]);
    sl_node_set_deinit(&r->nodes);
}

const struct sl_actor_class sl_router_class = {
    .name = "router",
    .state_size = sizeof(struct router),
    .handle = handle,
    .deinit = deinit,
};
