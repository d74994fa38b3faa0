/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/edge.h"

#include <inttypes.h>

#include "actors/node_set.h"
#include "gateway/api.h"
#include "gateway/borrower.h"
#include "gateway/call_wire.h"
#include "gateway/meter.h"
#include "gateway/resolved_cache.h"
#include "object-store/blob.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

#define AGAIN_NS (2 * SL_SECOND_NS) /* A report that was not noted in that time is sent again. */

struct pending {
    uint64_t serial; /* 0: free. */
    struct sl_call *call;
    uint64_t deadline_ns;
    bool has_key; /* What it resolves to is to be kept under that. */
    uint8_t key[SL_SHA256_SIZE];
};

struct node {                 /* A worker, or a child of the head's. */
    struct sl_node_slot slot; /* First. */
    bool is_up, is_closed, is_closed_by_head;
};

struct edge {
    struct sl_edge_options options;
    uint64_t boot; /* Of this process: a restarted one is another member. */
    bool is_member;
    bool has_joined, is_linked; /* Joining waits for a link: what is said without one piles up. */
    bool are_keys_missed;       /* All are asked for; until they come the others mean nothing. */
    bool is_refused;            /* For good: it does not join again. */
    uint64_t term, keys_number, heard_ns;
    uint64_t changes;   /* Number of the last edge_stale. */
    struct sl_buf keys; /* Pieces of all keys, until the last is here. */
    struct sl_relay_parts parts;
    uint64_t serial_last;
    struct sl_edge_counts counts;
    struct sl_node_set nodes;
    struct sl_resolved_cache *cache;
    struct sl_borrower *borrower;
    struct {
        uint64_t number; /* Of the last report. */
        struct sl_buf text;
        bool is_out;
        uint64_t sent_ns, sent_term;
    } used; /* What the head has to note before the next. */
    struct pending pending[SL_EDGE_CALLS_MAX];
};

static struct sl_addr
at_head(void)
{
    return sl_at(SL_NODE_HEAD, SL_ACTOR_EDGES);
}

/* ---- answering ----------------------------------------------------------------------------- */

/* A file that the head did not take would lie about until it starts again. */
static const struct sl_scope all_scopes = {0};

static void
drop_upload(struct edge *e, const struct sl_call *call)
{
    if (call->upload.name[0] != '\0')
        sl_blob_drop_left(e->options.gateway->blobs, call->upload.name);
}

static void
answer(struct edge *e, struct sl_ctx *ctx, struct sl_call *call)
{
    drop_upload(e, call);
    struct sl_m_api_reply m = {.call = (uint64_t)(uintptr_t)call};
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_FRONT), SL_M_api_reply, &m);
}

static void
fail(struct edge *e, struct sl_ctx *ctx, struct sl_call *call, const char *reason)
{
    bool has_run = strcmp(reason, "head_away") != 0 && strcmp(reason, "gateway_full") != 0;
    sl_call_fail(call, SL_API_UNAVAILABLE, "%s",
                 has_run ? "the head did not answer: the request may have been carried out"
                         : "the head cannot be asked now: the request was not carried out");
    sl_call_detail(call, "reason", reason);
    answer(e, ctx, call);
}

static struct sl_call *
end_pending(struct edge *e, struct pending *p)
{
    struct sl_call *call = p->call;
    *p = (struct pending){0};
    e->counts.pending--;
    return call;
}

/* Whether the limits of its tenant let us answer it: none, or within what the head lent us. */
static bool
is_admitted(struct edge *e, struct sl_ctx *ctx, const struct sl_call *call, uint8_t rule)
{
    struct sl_m_edge_loan_ask m = {.term = e->term, .scope = call->who.scope.id};
    bool is_asked = false;
    if (rule == SL_LOAN_FREE || call->who.is_operator)
        return true;
    bool is_admitted =
        rule == SL_LOAN_NEEDED &&
        sl_borrower_admit(e->borrower, call->who.scope, ctx->now_ns, &is_asked, &m.number);
    if (is_asked && e->is_member)
        sl_send(ctx, at_head(), SL_M_edge_loan_ask, &m);
    return is_admitted;
}

static void
on_loan(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *e = self;
    const struct sl_m_edge_loan *m = SL_BODY(msg, edge_loan);
    struct sl_loan loan = {.rate = m->rate, .burst = m->burst, .credits = m->credits};
    if (m->term == e->term)
        sl_borrower_take(e->borrower, (struct sl_scope){m->scope}, &loan, m->number, ctx->now_ns);
}

/* Run it here, if it is known what it runs on; without the head also by what was known before. */
static bool
run_directly(struct edge *e, struct sl_ctx *ctx, struct sl_call *call, const uint8_t *key)
{
    struct sl_resolved what;
    if ((e->is_member && e->counts.nodes == 0) ||
        !sl_resolved_get(e->cache, key, !e->is_member, &what) ||
        !is_admitted(e, ctx, call, what.rule))
        return false;
    call->resolved = (struct sl_resolved){.extraction = sl_call_copy(call, what.extraction),
                                          .model = sl_call_copy(call, what.model)};
    e->counts.direct++;
    sl_send(ctx, sl_at(0, SL_ACTOR_API), SL_M_api_call,
            &(struct sl_m_api_call){.call = (uint64_t)(uintptr_t)call});
    return true;
}

/* Whatever waits for the head waits in vain, but for what can be done here. */
static void
lose_head(struct edge *e, struct sl_ctx *ctx, const char *why)
{
    if (!e->is_member)
        return;
    e->is_member = false;
    sl_report_warn("head-lost", "head=%s why=%s calls=%u", e->options.head, why, e->counts.pending);
    for (uint32_t i = 0; i < SL_EDGE_CALLS_MAX && e->counts.pending > 0; i++) {
        if (e->pending[i].serial == 0)
            continue;
        struct pending p = e->pending[i];
        struct sl_call *call = end_pending(e, &e->pending[i]);
        if (p.has_key && run_directly(e, ctx, call, p.key))
            continue; /* It only computes: here as well, and again if need be. */
        e->counts.lost++;
        fail(e, ctx, call, "head_lost");
    }
}

/* ---- membership ---------------------------------------------------------------------------- */

static void
join(struct edge *e, struct sl_ctx *ctx)
{
    struct sl_m_edge_join m = {.boot = e->boot,
                               .pid = e->options.pid,
                               .name = sl_slice_str(e->options.name),
                               .endpoint = sl_slice_str(e->options.endpoint)};
    if (e->is_refused)
        return;
    e->has_joined = true;
    sl_send(ctx, at_head(), SL_M_edge_join, &m);
}

static void
on_welcome(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *e = self;
    const struct sl_m_edge_welcome *m = SL_BODY(msg, edge_welcome);
    if (e->term != m->term)
        lose_head(e, ctx, "began-anew");
    if (!e->is_member)
        sl_report_info("joined", "head=%s name=%s", e->options.head, e->options.name);
    if (!e->is_member || e->are_keys_missed)
        sl_resolved_doubt(e->cache, all_scopes); /* Of changes meanwhile nobody told us. */
    e->is_member = true;
    e->are_keys_missed = false;
    e->term = m->term;
    e->heard_ns = ctx->now_ns;
    e->keys_number = e->changes = 0;
    sl_buf_clear(&e->keys);
}

static void
on_unknown(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *e = self;
    if (SL_BODY(msg, edge_unknown)->term != e->term || !e->is_member)
        return;
    lose_head(e, ctx, "began-anew");
    join(e, ctx);
}

/* The head has sent so many edge_stale: one that is missing may have been of any scope. */
static void
check_changes(struct edge *e, uint64_t changes)
{
    if (changes <= e->changes)
        return;
    sl_report_warn("changes-missed", "head=%s number=%" PRIu64 " known=%" PRIu64, e->options.head,
                   changes, e->changes);
    e->changes = changes;
    sl_resolved_doubt(e->cache, all_scopes);
}

static void
on_beat(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *e = self;
    if (SL_BODY(msg, edge_beat)->term != e->term)
        return;
    e->heard_ns = ctx->now_ns;
    check_changes(e, SL_BODY(msg, edge_beat)->changes);
}

static void
on_refused(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *e = self;
    e->is_refused = true;
    lose_head(e, ctx, "refused");
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_NODE), msg->id, msg->body);
}

/* ---- workers ------------------------------------------------------------------------------- */

static struct node *
node_make(struct edge *e, uint32_t number)
{
    struct node *n = (struct node *)sl_node_set_lookup(&e->nodes, number);
    if (n == NULL) {
        n = sl_zalloc(sizeof(*n));
        sl_node_set_add(&e->nodes, &n->slot, number);
    }
    return n;
}

static void
tell_router_open(struct sl_ctx *ctx, const struct node *n)
{
    struct sl_m_node_open m = {.node = n->slot.number,
                               .is_open = !n->is_closed && !n->is_closed_by_head};
    sl_send(ctx, sl_at(0, SL_ACTOR_ROUTER), SL_M_node_open, &m);
}

static void
on_hello(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *e = self;
    struct node *n = node_make(e, msg->from.node);
    n->is_closed = SL_BODY(msg, node_hello)->is_open == 0;
    if (!n->is_up) {
        n->is_up = true;
        e->counts.nodes++;
        sl_report_info("node-linked", "node=%u nodes=%u", n->slot.number, e->counts.nodes);
        sl_send(ctx, sl_at(0, SL_ACTOR_ROUTER), SL_M_node_up,
                &(struct sl_m_node_up){.node = n->slot.number,
                                       .taint = SL_BODY(msg, node_hello)->taint});
    }
    tell_router_open(ctx, n);
}

/* The head says whether a node is cordoned. */
static void
on_node_open(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    const struct sl_m_node_open *m = SL_BODY(msg, node_open);
    if (msg->from.node != SL_NODE_HEAD || m->node > UINT32_MAX)
        return;
    struct node *n = (struct node *)sl_node_set_lookup(&((struct edge *)self)->nodes, m->node);
    if (n == NULL)
        return;
    n->is_closed_by_head = m->is_open == 0;
    tell_router_open(ctx, n);
}

static void
lose_node(struct edge *e, struct sl_ctx *ctx, uint32_t number)
{
    struct node *n = (struct node *)sl_node_set_lookup(&e->nodes, number);
    if (n == NULL)
        return;
    e->counts.nodes -= n->is_up;
    sl_report_info("node-unlinked", "node=%u nodes=%u", number, e->counts.nodes);
    sl_send(ctx, sl_at(0, SL_ACTOR_ROUTER), SL_M_node_lost,
            &(struct sl_m_node_lost){.node = number});
    sl_node_set_remove(&e->nodes, &n->slot);
    sl_free(n);
}

/* The head knows that its process has ended. */
static void
on_node_lost(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (msg->from.node == SL_NODE_HEAD)
        lose_node(self, ctx, (uint32_t)SL_BODY(msg, node_lost)->node);
}

/* Nothing that was under way on the link comes any more. */
static void
on_peer_down(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *e = self;
    uint64_t number = SL_BODY(msg, peer_down)->node;
    if (number == SL_NODE_HEAD) {
        e->is_linked = false;
        lose_head(e, ctx, "link-down");
    } else {
        lose_node(e, ctx, (uint32_t)number);
    }
}

static void
on_peer_up(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *e = self;
    if (SL_BODY(msg, peer_up)->node != SL_NODE_HEAD)
        return;
    e->is_linked = true;
    if (!e->is_member && e->term != 0)
        join(e, ctx); /* The first time our joining is on its way already. */
}

static void
on_keys(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *e = self;
    const struct sl_m_edge_keys *m = SL_BODY(msg, edge_keys);
    struct sl_keyring *keyring = e->options.gateway->keyring;
    enum sl_err err = SL_OK;
    if (m->term != e->term || e->are_keys_missed)
        return;
    if (m->number != ++e->keys_number)
        err = SL_ESTALE;
    else if (m->kind == SL_EDGE_KEYS_CHANGE)
        err = sl_keyring_apply(keyring, m->rows, false);
    else
        sl_buf_append_slice(&e->keys, m->rows);
    if (err == SL_OK && m->kind == SL_EDGE_KEYS_LAST) {
        err = sl_keyring_apply(keyring, sl_buf_slice(&e->keys), true);
        sl_buf_deinit(&e->keys);
    }
    if (err == SL_OK)
        return;
    sl_report_warn("keys-missed", "number=%" PRIu64 " err=%s action=\"all are asked for again\"",
                   m->number, sl_err_name(err));
    e->are_keys_missed = true;
    join(e, ctx);
}

/* ---- calls --------------------------------------------------------------------------------- */

static struct pending *
pending_add(struct edge *e, struct sl_ctx *ctx, struct sl_call *call)
{
    uint64_t at = e->serial_last % SL_EDGE_CALLS_MAX;
    while (e->pending[at].serial != 0)
        at = (at + 1) % SL_EDGE_CALLS_MAX;
    /* The slot is in the serial, so that an answer finds its call at once. */
    e->serial_last += SL_EDGE_CALLS_MAX - e->serial_last % SL_EDGE_CALLS_MAX + at;
    e->pending[at] = (struct pending){
        .serial = e->serial_last, .call = call, .deadline_ns = ctx->now_ns + e->options.timeout_ns};
    e->counts.pending++;
    return &e->pending[at];
}

/* What was sent before it has been taken: keys in force, what is stale dropped. */
static void
on_mark(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *e = self;
    if (SL_BODY(msg, edge_mark)->term != e->term)
        return;
    check_changes(e, SL_BODY(msg, edge_mark)->changes);
    sl_send(ctx, at_head(), SL_M_edge_mark, SL_BODY(msg, edge_mark));
}

static void
on_stale(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *e = self;
    const struct sl_m_edge_stale *m = SL_BODY(msg, edge_stale);
    (void)ctx;
    /* Of a former membership: its welcome has put all in doubt that was known then. */
    if (m->term != e->term || m->number <= e->changes)
        return;
    check_changes(e, m->number - 1);
    e->changes = m->number;
    sl_resolved_doubt(e->cache, (struct sl_scope){m->scope});
    sl_borrower_drop(e->borrower, (struct sl_scope){m->scope});
}

static void
on_call(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *e = self;
    struct sl_call *call = (struct sl_call *)(uintptr_t)SL_BODY(msg, api_call)->call;
    uint8_t key[SL_SHA256_SIZE];
    bool has_key = !call->who.is_limited && sl_resolved_key(call, key);
    if (has_key && run_directly(e, ctx, call, key))
        return;
    if (!e->is_member || e->counts.pending == SL_EDGE_CALLS_MAX) {
        e->counts.refused++;
        fail(e, ctx, call, e->is_member ? "gateway_full" : "head_away");
        return;
    }
    struct sl_buf text = {0};
    sl_call_request_write(call, &text);
    struct pending *p = pending_add(e, ctx, call);
    p->has_key = has_key;
    if (has_key)
        memcpy(p->key, key, sizeof(key));
    struct sl_relay_head head = {
        .to = at_head(), .id = SL_M_edge_call, .term = e->term, .serial = p->serial};
    sl_relay_send(ctx, &head, sl_buf_slice(&text));
    sl_buf_deinit(&text);
    e->counts.sent++;
}

/* No link took a piece of it, so the head never has the whole: it will not run. */
static void
on_undelivered(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *e = self;
    struct pending *p = &e->pending[msg->request % SL_EDGE_CALLS_MAX];
    if (SL_BODY(msg, undelivered)->message != SL_M_edge_call || msg->from.node != SL_NODE_HEAD ||
        p->serial == 0 || p->serial != msg->request)
        return;
    e->counts.refused++;
    fail(e, ctx, end_pending(e, p), "head_away");
}

static void
open_reply_file(struct edge *e, struct sl_call *call)
{
    if (call->reply_blob[0] == '\0')
        return;
    enum sl_err err = sl_blob_open(e->options.gateway->blobs, call->reply_blob, &call->reply_fd,
                                   &call->reply_file_size);
    if (err != SL_OK)
        sl_call_fail(call, SL_API_UNAVAILABLE, "the content cannot be read: %s", sl_err_text(err));
}

static void
on_reply(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *e = self;
    const struct sl_m_edge_reply *m = SL_BODY(msg, edge_reply);
    struct sl_relay_piece piece = {m->serial, m->offset, m->total, m->piece};
    struct pending *p = &e->pending[m->serial % SL_EDGE_CALLS_MAX];
    if (m->term != e->term)
        return;
    e->heard_ns = ctx->now_ns;
    enum sl_err err = sl_relay_take(&e->parts, &piece, SL_EDGE_REPLY_BYTES_MAX);
    if (err == SL_EBUSY || p->serial != m->serial || p->serial == 0)
        return; /* Not whole yet, or given up before it came. */
    struct pending ended = *p;
    struct sl_call *call = end_pending(e, p);
    if (err == SL_OK)
        err = sl_call_reply_read(sl_buf_slice(&e->parts.text), call);
    bool is_refused = call->status >= 400 && call->status < 500 && call->status != 429;
    if (err == SL_OK && ended.has_key && (is_refused || call->resolved.rule == SL_LOAN_NEVER))
        sl_resolved_forget(e->cache, ended.key);
    else if (err == SL_OK && ended.has_key)
        sl_resolved_put(e->cache, ended.key, call->who.scope, &call->resolved);
    if (err == SL_OK)
        open_reply_file(e, call);
    else
        sl_call_fail(call, SL_API_INTERNAL, "the head's reply cannot be read");
    e->counts.answered++;
    answer(e, ctx, call);
}

/* ---- what was used ------------------------------------------------------------------------- */

/* One report at a time, the same until the head has it: it knows their numbers. */
static void
report_used(struct edge *e, struct sl_ctx *ctx)
{
    struct sl_meter *meter = e->options.gateway->meter;
    bool is_waited_for =
        e->used.is_out && e->used.sent_term == e->term && ctx->now_ns - e->used.sent_ns < AGAIN_NS;
    if (meter == NULL || !e->is_member || is_waited_for)
        return;
    if (!e->used.is_out) {
        sl_buf_clear(&e->used.text);
        if (!sl_meter_take(meter, &e->used.text))
            return;
        e->used.number++;
        e->used.is_out = true;
    }
    e->used.sent_ns = ctx->now_ns;
    e->used.sent_term = e->term;
    sl_send(ctx, at_head(), SL_M_edge_used,
            &(struct sl_m_edge_used){
                .term = e->term, .number = e->used.number, .report = sl_buf_slice(&e->used.text)});
}

static void
on_noted(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *e = self;
    (void)ctx;
    if (SL_BODY(msg, edge_noted)->number == e->used.number)
        e->used.is_out = false;
}

/* ---- time ---------------------------------------------------------------------------------- */

static void
give_up_late(struct edge *e, struct sl_ctx *ctx)
{
    for (uint32_t i = 0; i < SL_EDGE_CALLS_MAX && e->counts.pending > 0; i++) {
        struct pending *p = &e->pending[i];
        if (p->serial == 0 || ctx->now_ns < p->deadline_ns)
            continue;
        e->counts.late++;
        fail(e, ctx, end_pending(e, p), "head_late");
    }
}

static void
on_timer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *e = self;
    (void)msg;
    if (e->is_member && ctx->now_ns - e->heard_ns >= e->options.silence_ns)
        lose_head(e, ctx, "silent");
    give_up_late(e, ctx);
    if (e->is_member)
        sl_send(ctx, at_head(), SL_M_edge_beat,
                &(struct sl_m_edge_beat){.term = e->term, .in_flight = e->counts.pending});
    else if (e->is_linked || !e->has_joined)
        join(e, ctx);
    report_used(e, ctx);
    sl_after(ctx, SL_EDGE_BEAT_NS, 0);
}

/* The process is about to end; what the links are given now is still sent. */
static void
on_drain(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *e = self;
    report_used(e, ctx);
    sl_send(ctx, at_head(), SL_M_edge_leave, &(struct sl_m_edge_leave){.term = e->term});
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_DRAIN), msg->id, msg->body);
}

static void
publish(const struct edge *e)
{
    struct sl_edge_view *v = e->options.view;
    if (v == NULL)
        return;
    atomic_store_explicit(&v->is_up, e->is_member, memory_order_relaxed);
    atomic_store_explicit(&v->is_refused, e->is_refused, memory_order_relaxed);
    atomic_store_explicit(&v->pending, e->counts.pending, memory_order_relaxed);
    atomic_store_explicit(&v->nodes, e->counts.nodes, memory_order_relaxed);
    atomic_store_explicit(&v->sent, e->counts.sent, memory_order_relaxed);
    atomic_store_explicit(&v->answered, e->counts.answered, memory_order_relaxed);
    atomic_store_explicit(&v->refused, e->counts.refused, memory_order_relaxed);
    atomic_store_explicit(&v->lost, e->counts.lost, memory_order_relaxed);
    atomic_store_explicit(&v->late, e->counts.late, memory_order_relaxed);
    atomic_store_explicit(&v->direct, e->counts.direct, memory_order_relaxed);
}

/* ---- the actor ----------------------------------------------------------------------------- */

static const struct sl_on table[] = {
    {SL_M_api_call, on_call},           {SL_M_edge_reply, on_reply},
    {SL_M_edge_keys, on_keys},          {SL_M_edge_welcome, on_welcome},
    {SL_M_edge_unknown, on_unknown},    {SL_M_edge_beat, on_beat},
    {SL_M_edge_mark, on_mark},          {SL_M_edge_stale, on_stale},
    {SL_M_edge_refused, on_refused},    {SL_M_node_hello, on_hello},
    {SL_M_node_open, on_node_open},     {SL_M_peer_up, on_peer_up},
    {SL_M_peer_down, on_peer_down},     {SL_M_timer, on_timer},
    {SL_M_undelivered, on_undelivered}, {SL_M_drain, on_drain},
    {SL_M_node_lost, on_node_lost},     {SL_M_edge_loan, on_loan},
    {SL_M_edge_noted, on_noted},
};

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (msg->id >> 16 == SL_PROTOCOL_RELAY && msg->from.node != SL_NODE_HEAD)
        return; /* Workers have links to us as well. */
    if (!sl_dispatch(table, SL_COUNT_OF(table), self, ctx, msg))
        sl_report_warn("message-unknown", "actor=edge message=%s", msg->type->name);
    publish(self);
}

static void
init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct edge *e = self;
    e->options = *(const struct sl_edge_options *)argument;
    if (e->options.head == NULL)
        e->options.head = "";
    e->boot = sl_random_u64(ctx->random);
    e->cache = sl_resolved_cache_create();
    e->borrower = sl_borrower_create();
    join(e, ctx);
    sl_after(ctx, SL_EDGE_BEAT_NS, 0);
}

static void
deinit(void *self)
{
    struct edge *e = self;
    for (uint32_t i = 0; i < SL_EDGE_CALLS_MAX; i++)
        sl_call_destroy(&e->pending[i].call);
    sl_buf_deinit(&e->keys);
    sl_relay_parts_deinit(&e->parts);
    while (e->nodes.count > 0) {
        struct sl_node_slot *slot = e->nodes.slots[e->nodes.count - 1];
        sl_node_set_remove(&e->nodes, slot);
        sl_free(slot);
    }
    sl_node_set_deinit(&e->nodes);
    sl_resolved_cache_destroy(&e->cache);
    sl_borrower_destroy(&e->borrower);
    sl_buf_deinit(&e->used.text);
}

const struct sl_actor_class sl_edge_class = {
    .name = "edge",
    .state_size = sizeof(struct edge),
    .init = init,
    .handle = handle,
    .deinit = deinit,
};

void
sl_edge_counts(const void *edge, struct sl_edge_counts *ret_counts)
{
    *ret_counts = ((const struct edge *)edge)->counts;
}
