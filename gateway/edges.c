/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/edges.h"

#include <inttypes.h>

#include "actors/count.h"
#include "actors/node_facts.h"
#include "actors/rows.h"
#include "gateway/api.h"
#include "gateway/call_wire.h"
#include "gateway/limits.h"
#include "gateway/meter.h"
#include "gateway/route.h"
#include "gateway/tenant.h"
#include "object-store/blob.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

#define CHECK_NS SL_SECOND_NS
#define HELD_NS  SL_SECOND_NS /* A reply waits no longer for a gateway that does not answer. */

struct edge {
    uint32_t node;
    uint64_t term, boot, pid;
    uint64_t heard_ns, joined_ms;
    uint64_t keys_number; /* Of the last edge_keys sent. */
    uint64_t changes;     /* Of the last edge_stale sent. */
    uint64_t marked;      /* It knows what was changed up to there. */
    uint32_t calls;       /* Under way here. */
    uint64_t calls_total;
    struct sl_relay_parts parts;
    char *name, *endpoint;
};

struct held { /* A reply that waits until all gateways know what its call has changed. */
    struct held *next;
    struct sl_call *call;
    uint64_t mark, deadline_ns;
};

struct edges {
    struct sl_edges_options options;
    uint64_t mark_last;
    uint64_t hold; /* The call whose reply is to be held, once it comes. */
    struct held *held;
    struct edge *items[SL_EDGES_MAX];
    uint32_t count;
    bool is_draining, is_timer_set;
    uint64_t touches; /* How often what calls resolve to may have changed. */
};

static struct edge *
edge_lookup(const struct edges *e, uint32_t node)
{
    for (uint32_t i = 0; i < e->count; i++) {
        if (e->items[i]->node == node)
            return e->items[i];
    }
    return NULL;
}

static struct sl_addr
at_edge(const struct edge *edge)
{
    return sl_at(edge->node, SL_ACTOR_EDGE);
}

static void
edge_destroy(struct edges *e, struct edge *edge, const char *why)
{
    sl_report_info("gateway-lost", "node=%u name=%s pid=%" PRIu64 " calls=%u why=%s", edge->node,
                   edge->name, edge->pid, edge->calls, why);
    for (uint32_t i = 0; i < e->count; i++) {
        if (e->items[i] == edge)
            e->items[i] = e->items[--e->count];
    }
    sl_relay_parts_deinit(&edge->parts);
    sl_free(edge->name);
    sl_free(edge->endpoint);
    sl_free(edge);
}

static void release(struct edges *e, struct sl_ctx *ctx);

static void
edge_forget(struct edges *e, struct sl_ctx *ctx, struct edge *edge, const char *why)
{
    sl_send(ctx, sl_at(0, SL_ACTOR_HEAD), SL_M_gate_down,
            &(struct sl_m_gate_down){.gate = edge->node});
    edge_destroy(e, edge, why);
    release(e, ctx);
}

/* ---- keys ---------------------------------------------------------------------------------- */

static void
send_keys(struct sl_ctx *ctx, struct edge *edge, enum sl_edge_keys kind, struct sl_slice rows)
{
    struct sl_m_edge_keys m = {
        .term = edge->term, .number = ++edge->keys_number, .kind = kind, .rows = rows};
    sl_send(ctx, at_edge(edge), SL_M_edge_keys, &m);
}

static void
send_all_keys(const struct edges *e, struct sl_ctx *ctx, struct edge *edge)
{
    struct sl_buf rows = {0};
    size_t at = 0;
    edge->keys_number = 0;
    sl_keyring_write(e->options.gateway->keyring, &rows);
    for (; rows.size - at > SL_EDGE_PIECE_BYTES; at += SL_EDGE_PIECE_BYTES)
        send_keys(ctx, edge, SL_EDGE_KEYS_PART, sl_slice(rows.data + at, SL_EDGE_PIECE_BYTES));
    send_keys(ctx, edge, SL_EDGE_KEYS_LAST,
              sl_slice(rows.data == NULL ? NULL : rows.data + at, rows.size - at));
    sl_buf_deinit(&rows);
}

static void
on_changed(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edges *e = self;
    const struct sl_m_api_changed *m = SL_BODY(msg, api_changed);
    struct sl_buf rows = {0};
    e->touches += m->is_touched != 0;
    for (uint32_t i = 0; i < e->count && m->is_touched != 0; i++)
        sl_send(ctx, at_edge(e->items[i]), SL_M_edge_stale,
                &(struct sl_m_edge_stale){.term = e->items[i]->term,
                                          .scope = m->scope,
                                          .number = ++e->items[i]->changes});
    if (sl_keyring_take_changes(e->options.gateway->keyring, &rows)) {
        for (uint32_t i = 0; i < e->count; i++)
            send_keys(ctx, e->items[i], SL_EDGE_KEYS_CHANGE, sl_buf_slice(&rows));
    }
    sl_buf_deinit(&rows);
    if (e->count == 0 || m->call == 0)
        return;
    e->hold = m->call;
    e->mark_last++;
    for (uint32_t i = 0; i < e->count; i++)
        sl_send(ctx, at_edge(e->items[i]), SL_M_edge_mark,
                &(struct sl_m_edge_mark){.term = e->items[i]->term,
                                         .mark = e->mark_last,
                                         .changes = e->items[i]->changes});
}

/* ---- membership ---------------------------------------------------------------------------- */

static void
welcome(struct edges *e, struct sl_ctx *ctx, struct edge *edge)
{
    struct sl_m_edge_welcome m = {.term = edge->term, .beat_ns = SL_EDGE_BEAT_NS};
    edge->heard_ns = ctx->now_ns;
    edge->changes = 0;
    sl_send(ctx, at_edge(edge), SL_M_edge_welcome, &m);
    send_all_keys(e, ctx, edge);
}

static struct edge *
edge_add(struct edges *e, struct sl_ctx *ctx, uint32_t node, const struct sl_m_edge_join *m)
{
    struct edge *edge = sl_zalloc(sizeof(*edge));
    *edge = (struct edge){.node = node,
                          .term = sl_random_u64(ctx->random) | 1, /* Never 0. */
                          .boot = m->boot,
                          .pid = m->pid,
                          .joined_ms = ctx->now_ms,
                          .marked = e->mark_last, /* All keys follow, and it knows nothing else. */
                          .name = sl_strndup(m->name.data, m->name.size),
                          .endpoint = sl_strndup(m->endpoint.data, m->endpoint.size)};
    e->items[e->count++] = edge;
    return edge;
}

static struct edge *
edge_named(const struct edges *e, struct sl_slice name)
{
    for (uint32_t i = 0; i < e->count; i++) {
        if (sl_slice_is(name, e->items[i]->name))
            return e->items[i];
    }
    return NULL;
}

/* A gateway of a name that is there under another number was started again: the old one is over. */
static void
supersede(struct edges *e, struct sl_ctx *ctx, struct sl_slice name)
{
    struct edge *old = edge_named(e, name);
    if (old == NULL)
        return;
    struct sl_m_edge_refused m = {.why = sl_slice_str("another gateway took its name")};
    sl_send(ctx, at_edge(old), SL_M_edge_refused, &m);
    edge_forget(e, ctx, old, "superseded");
}

/* While there is nobody, nobody falls silent, and no reply is held. */
static void
set_timer(struct edges *e, struct sl_ctx *ctx)
{
    if (e->is_timer_set || e->count == 0)
        return;
    e->is_timer_set = true;
    sl_after(ctx, CHECK_NS, 0);
}

static void
on_join(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edges *e = self;
    const struct sl_m_edge_join *m = SL_BODY(msg, edge_join);
    struct edge *edge = edge_lookup(e, msg->from.node);
    if (edge != NULL && edge->boot != m->boot) {
        edge_forget(e, ctx, edge, "another process of its number joined");
        edge = NULL;
    }
    if (edge == NULL) {
        bool is_full = e->count == SL_EDGES_MAX && edge_named(e, m->name) == NULL;
        if (!sl_node_name_is_good(m->name) || m->endpoint.size > SL_EDGE_ENDPOINT_MAX || is_full) {
            sl_report_warn("gateway-refused", "node=%u gateways=%u", msg->from.node, e->count);
            return;
        }
        supersede(e, ctx, m->name);
        edge = edge_add(e, ctx, msg->from.node, m);
        if (edge->endpoint[0] != '\0')
            sl_send(ctx, sl_at(0, SL_ACTOR_HEAD), SL_M_gate_up,
                    &(struct sl_m_gate_up){.gate = edge->node, .endpoint = m->endpoint});
        sl_report_info("gateway-joined", "node=%u name=%s pid=%" PRIu64, edge->node, edge->name,
                       edge->pid);
    }
    set_timer(e, ctx);
    welcome(e, ctx, edge); /* Also of one that missed the last: the same term, all keys anew. */
}

/* Who sent a message that carries `term`; NULL: it is told that it is not known under that. */
static struct edge *
sender(struct edges *e, struct sl_ctx *ctx, const struct sl_msg *msg, uint64_t term)
{
    struct edge *edge = edge_lookup(e, msg->from.node);
    if (edge != NULL && edge->term == term) {
        edge->heard_ns = ctx->now_ns;
        return edge;
    }
    sl_send(ctx, sl_at(msg->from.node, SL_ACTOR_EDGE), SL_M_edge_unknown,
            &(struct sl_m_edge_unknown){.term = term});
    return NULL;
}

static void
on_beat(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *edge = sender(self, ctx, msg, SL_BODY(msg, edge_beat)->term);
    if (edge != NULL)
        sl_send(ctx, at_edge(edge), SL_M_edge_beat,
                &(struct sl_m_edge_beat){
                    .term = edge->term, .in_flight = edge->calls, .changes = edge->changes});
}

static void
on_leave(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edges *e = self;
    struct edge *edge = edge_lookup(e, msg->from.node);
    if (edge != NULL && edge->term == SL_BODY(msg, edge_leave)->term)
        edge_forget(e, ctx, edge, "left");
}

/* What it was sent and no link took may have been a key or a reply: it joins anew, and hears all.
 */
static void
on_undelivered(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *edge = edge_lookup(self, msg->from.node);
    if (edge != NULL && msg->from.actor == SL_ACTOR_EDGE)
        edge_forget(self, ctx, edge, "unreachable");
}

static void
on_timer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edges *e = self;
    (void)msg;
    e->is_timer_set = false;
    for (uint32_t i = e->count; i-- > 0;) {
        if (ctx->now_ns - e->items[i]->heard_ns >= e->options.silence_ns)
            edge_forget(e, ctx, e->items[i], "silent");
    }
    release(e, ctx);
    set_timer(e, ctx);
}

/* ---- calls --------------------------------------------------------------------------------- */

static void
send_reply(struct sl_ctx *ctx, const struct edge *edge, uint64_t serial, struct sl_call *call)
{
    struct sl_buf text = {0};
    sl_call_reply_write(call, &text);
    if (text.size > SL_EDGE_REPLY_BYTES_MAX) {
        sl_buf_clear(&text);
        sl_call_fail(call, SL_API_INTERNAL, "the reply is too large");
        sl_call_reply_write(call, &text);
    }
    struct sl_relay_head head = {
        .to = at_edge(edge), .id = SL_M_edge_reply, .term = edge->term, .serial = serial};
    sl_relay_send(ctx, &head, sl_buf_slice(&text));
    sl_buf_deinit(&text);
}

/* A call that never began. */
static void
refuse(struct sl_ctx *ctx, const struct edge *edge, uint64_t serial, struct sl_call **call)
{
    send_reply(ctx, edge, serial, *call);
    sl_call_destroy(call);
}

/* Who calls is what our own keyring says of the key. */
static void
authenticate(struct edges *e, struct sl_ctx *ctx, struct sl_call *call)
{
    struct sl_keyring *keyring = e->options.gateway->keyring;
    struct sl_identity who, tenant;
    struct sl_door door;
    if (call->route->permission == SL_PERMIT_NONE)
        return; /* A signature spoke for it, or nothing has to. */
    if (sl_keyring_find(keyring, call->who.digest, ctx->now_ms, &who) != SL_OK) {
        sl_call_fail(call, SL_API_UNAUTHORIZED, "the API key is not valid");
        sl_call_header(call, "WWW-Authenticate", "Bearer");
        return;
    }
    if (sl_keyring_door(keyring, who.scope, &door) && door.is_suspended) {
        sl_tenant_fail_suspended(call); /* Its gateway has not heard so yet. */
        return;
    }
    if (strcmp(who.tenant_id, call->who.tenant_id) != 0) {
        if (!who.is_operator ||
            sl_keyring_tenant(keyring, sl_slice_str(call->who.tenant_id), &tenant) != SL_OK) {
            sl_call_fail(call, SL_API_FORBIDDEN, "X-Tenant-Id needs an operator's key");
            return;
        }
        sl_identity_enter(&who, &tenant);
    }
    call->who = who;
    if (!sl_identity_may(&who, call->route->permission))
        sl_call_fail(call, SL_API_FORBIDDEN, "the key lacks a permission");
}

static void
take_upload(struct edges *e, struct sl_call *call)
{
    if (call->upload.name[0] == '\0' || sl_call_has_failed(call))
        return;
    struct sl_blobs *blobs = e->options.gateway->blobs;
    if (blobs == NULL || sl_blob_take(blobs, call->upload.name, &call->upload.fd) != SL_OK)
        sl_call_fail(call, SL_API_UNAVAILABLE, "the uploaded file is not where it should be");
}

static void
begin_call(struct edges *e, struct sl_ctx *ctx, struct edge *edge, uint64_t serial,
           struct sl_call *call)
{
    if (e->is_draining)
        sl_call_fail(call, SL_API_UNAVAILABLE, "draining: this server is about to stop");
    else if (edge->calls >= SL_EDGE_CALLS_MAX)
        sl_call_fail(call, SL_API_UNAVAILABLE, "too many requests of this gateway are under way");
    else
        authenticate(e, ctx, call);
    take_upload(e, call);
    if (sl_call_has_failed(call)) {
        refuse(ctx, edge, serial, &call);
        return;
    }
    call->origin =
        (struct sl_call_origin){.node = edge->node, .term = edge->term, .touches = e->touches};
    call->handle = serial;
    edge->calls++;
    edge->calls_total++;
    sl_send(ctx, sl_at(0, SL_ACTOR_API), SL_M_api_call,
            &(struct sl_m_api_call){.call = (uint64_t)(uintptr_t)call});
}

static void
on_call(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edges *e = self;
    const struct sl_m_edge_call *m = SL_BODY(msg, edge_call);
    struct edge *edge = sender(e, ctx, msg, m->term);
    if (edge == NULL)
        return;
    struct sl_relay_piece piece = {m->serial, m->offset, m->total, m->piece};
    struct sl_call *call = NULL;
    enum sl_err err = sl_relay_take(&edge->parts, &piece, SL_EDGE_CALL_BYTES_MAX);
    if (err == SL_EBUSY)
        return;
    if (err == SL_OK)
        err = sl_call_request_read(sl_buf_slice(&edge->parts.text), &call);
    if (err == SL_OK) {
        begin_call(e, ctx, edge, m->serial, call);
        return;
    }
    sl_report_warn("call-refused", "node=%u serial=%" PRIu64 " err=%s", edge->node, m->serial,
                   sl_err_name(err));
    call = sl_call_create();
    sl_call_fail(call, SL_API_INTERNAL,
                 "the head cannot read this request: is it of another version?");
    refuse(ctx, edge, m->serial, &call);
}

static void
deliver(struct edges *e, struct sl_ctx *ctx, struct sl_call *call)
{
    struct edge *edge = edge_lookup(e, call->origin.node);
    if (call->origin.node == 0) { /* Of a front in this process. */
        struct sl_m_api_reply m = {.call = (uint64_t)(uintptr_t)call};
        sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_FRONT), SL_M_api_reply, &m);
        return;
    }
    if (edge != NULL && edge->term == call->origin.term) {
        edge->calls--;
        if (call->resolved.rule == SL_LOAN_NEVER || call->who.is_limited ||
            call->origin.touches != e->touches) /* It may have changed since it was looked up. */
            call->resolved = (struct sl_resolved){.rule = call->resolved.rule};
        send_reply(ctx, edge, call->handle, call);
    }
    sl_call_destroy(&call);
}

/* Let go what all gateways know, or what has waited long enough for one that does not answer. */
static void
release(struct edges *e, struct sl_ctx *ctx)
{
    uint64_t known = UINT64_MAX;
    for (uint32_t i = 0; i < e->count; i++)
        known = SL_MIN(known, e->items[i]->marked);
    for (struct held **at = &e->held; *at != NULL;) {
        struct held *h = *at;
        if (h->mark > known && ctx->now_ns < h->deadline_ns) {
            at = &h->next;
            continue;
        }
        *at = h->next;
        deliver(e, ctx, h->call);
        sl_free(h);
    }
}

static void
on_mark(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edge *edge = sender(self, ctx, msg, SL_BODY(msg, edge_mark)->term);
    if (edge == NULL || SL_BODY(msg, edge_mark)->mark <= edge->marked)
        return;
    edge->marked = SL_BODY(msg, edge_mark)->mark;
    release(self, ctx);
}

static void
on_loan_ask(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edges *e = self;
    const struct sl_m_edge_loan_ask *m = SL_BODY(msg, edge_loan_ask);
    struct sl_gateway *g = e->options.gateway;
    struct edge *edge = sender(e, ctx, msg, m->term);
    struct sl_loan loan;
    if (edge == NULL || !sl_limits_remember(g->limits, g->store) ||
        sl_limits_lend(g->limits, (struct sl_scope){m->scope}, ctx->now_ns, &loan) != SL_OK)
        return; /* It goes on sending us the calls. */
    sl_send(ctx, at_edge(edge), SL_M_edge_loan,
            &(struct sl_m_edge_loan){.term = edge->term,
                                     .scope = m->scope,
                                     .number = m->number,
                                     .rate = loan.rate,
                                     .burst = loan.burst,
                                     .credits = loan.credits});
}

/* ---- what their calls used ----------------------------------------------------------------- */

/* Of the lives that a gateway of this name had before, nothing comes any more. */
static void
forget_lives(struct sl_txn *txn, const char *what)
{
    struct sl_buf prefix = {0}, keys = {0};
    struct sl_scan scan;
    sl_txn_scan(txn, SL_SCOPE_SYSTEM, SL_TABLE_COUNT, sl_key_prefix(&prefix, 1, what),
                (struct sl_slice){0}, false, &scan);
    while (sl_scan_next(&scan))
        sl_buf_append_block(&keys, scan.key);
    sl_scan_end(&scan);
    struct sl_reader r = sl_reader(sl_buf_slice(&keys));
    while (!sl_reader_is_done(&r))
        sl_txn_del(txn, SL_SCOPE_SYSTEM, SL_TABLE_COUNT, sl_read_block(&r));
    sl_buf_deinit(&prefix);
    sl_buf_deinit(&keys);
}

/* Once: its number is in the transaction of its records. False: it is to be said again. */
static bool
record(struct sl_gateway *g, const struct edge *edge, const struct sl_m_edge_used *m,
       uint64_t now_ms)
{
    char *what = sl_format("used-%s", edge->name), *life = sl_format("%016" PRIx64, edge->boot);
    struct sl_counter last = {.scope = SL_SCOPE_SYSTEM, .what = what, .parent = life};
    struct sl_txn *txn = sl_store_begin(g->store);
    uint64_t noted = (uint64_t)sl_count(txn, last);
    enum sl_err err = SL_OK;
    if (m->number > noted) {
        if (noted == 0)
            forget_lives(txn, what);
        err = sl_meter_put(g, txn, m->report, now_ms);
        if (err == SL_ECORRUPT)
            sl_report_warn("usage-refused", "node=%u number=%" PRIu64, edge->node, m->number);
        sl_count_add(txn, last, (int64_t)(m->number - noted));
        err = sl_txn_commit(&txn);
    } else {
        sl_txn_abort(&txn);
    }
    sl_free(what);
    sl_free(life);
    return err == SL_OK;
}

static void
on_used(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edges *e = self;
    const struct sl_m_edge_used *m = SL_BODY(msg, edge_used);
    struct sl_gateway *g = e->options.gateway;
    const struct edge *edge = sender(e, ctx, msg, m->term);
    if (edge == NULL || g->store == NULL || g->meter == NULL || m->number > INT64_MAX ||
        !record(g, edge, m, ctx->now_ms))
        return;
    sl_send(ctx, at_edge(edge), SL_M_edge_noted,
            &(struct sl_m_edge_noted){.term = edge->term, .number = m->number});
}

static void
on_reply(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edges *e = self;
    uint64_t number = SL_BODY(msg, api_reply)->call;
    struct sl_call *call = (struct sl_call *)(uintptr_t)number;
    bool is_held = number == e->hold && number != 0;
    e->hold = is_held ? 0 : e->hold;
    if (!is_held) {
        deliver(e, ctx, call);
        return;
    }
    struct held *h = sl_alloc(sizeof(*h));
    *h = (struct held){
        .next = e->held, .call = call, .mark = e->mark_last, .deadline_ns = ctx->now_ns + HELD_NS};
    e->held = h;
}

static void
on_drain(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct edges *e = self;
    (void)ctx, (void)msg;
    e->is_draining = true;
}

/* ---- the actor ----------------------------------------------------------------------------- */

static const struct sl_on table[] = {
    {SL_M_edge_mark, on_mark},
    {SL_M_edge_call, on_call},
    {SL_M_api_reply, on_reply},
    {SL_M_edge_beat, on_beat},
    {SL_M_edge_join, on_join},
    {SL_M_edge_leave, on_leave},
    {SL_M_api_changed, on_changed},
    {SL_M_drain, on_drain},
    {SL_M_timer, on_timer},
    {SL_M_undelivered, on_undelivered},
    {SL_M_edge_loan_ask, on_loan_ask},
    {SL_M_edge_used, on_used},
};

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (!sl_dispatch(table, SL_COUNT_OF(table), self, ctx, msg))
        sl_report_warn("message-unknown", "actor=edges message=%s", msg->type->name);
}

static void
init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct edges *e = self;
    (void)ctx;
    e->options = *(const struct sl_edges_options *)argument;
    sl_keyring_note_changes(e->options.gateway->keyring);
}

static void
deinit(void *self)
{
    struct edges *e = self;
    while (e->count > 0)
        edge_destroy(e, e->items[e->count - 1], "stopping");
    for (struct held *h = e->held, *next; h != NULL; h = next) {
        next = h->next;
        sl_call_destroy(&h->call);
        sl_free(h);
    }
}

const struct sl_actor_class sl_edges_class = {
    .name = "edges",
    .state_size = sizeof(struct edges),
    .init = init,
    .handle = handle,
    .deinit = deinit,
};

void
sl_edges_status(const void *edges, struct sl_buf *out)
{
    const struct edges *e = edges;
    struct sl_jsonw w;
    sl_jsonw_init(&w, out);
    sl_jsonw_array(&w);
    for (uint32_t i = 0; i < e->count; i++) {
        sl_jsonw_object(&w);
        sl_jsonw_member_u64(&w, "node", e->items[i]->node);
        sl_jsonw_member_str(&w, "name", e->items[i]->name);
        sl_jsonw_member_u64(&w, "pid", e->items[i]->pid);
        sl_jsonw_member_u64(&w, "in_flight", e->items[i]->calls);
        sl_jsonw_member_u64(&w, "total", e->items[i]->calls_total);
        sl_jsonw_member_time(&w, "joined_at", e->items[i]->joined_ms);
        sl_jsonw_end(&w);
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}
