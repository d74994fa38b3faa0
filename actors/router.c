/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/router.h"

#include <assert.h>
#include <inttypes.h>

#include "actors/embedded.h"
#include "actors/extraction.h"
#include "actors/head.h"
#include "actors/node_set.h"
#include "actors/placement.h"
#include "actors/shortcuts.h"
#include "actors/tally.h"
#include "extractors/replica.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/report.h"

#define SPECS_MAX 32
#define TELL_AGAIN_NS                                                                              \
    (10 * SL_MILLI_NS) /* That calls are made again; of one and one: not each.                     \
                        */
#define TOKEN_LOOK 0   /* Of timers. */
#define TOKEN_TELL 1
#define TOKEN_LOAD 2
#define TRIES_MAX  2 /* One whose replica died is run again: it may be another's fault. */

static_assert(SL_ROUTER_CALLS_MAX <= SL_TALLY_MAX, "every call is counted");
static_assert(SL_ROUTER_EXTRACTION_MAX < SL_ROUTER_CALLS_MAX, "no extraction takes all");
static_assert(SL_ROUTER_SCOPE_MAX < SL_ROUTER_EXTRACTION_MAX, "no tenant takes all of one");

struct node {
    struct sl_node_slot slot; /* First. */
    uint32_t ongoing;
    uint64_t taint;            /* Whose calls alone it gets (home.h); 0: anybody's. */
    bool is_closed;            /* It gets calls only where no other node is. */
    uint64_t specs[SPECS_MAX]; /* Extractions it was told of, a ring. */
    uint32_t specs_next;
};

/* One call under way or parked. Slots are reused; `serial` tells a late answer from its successor.
 */
struct call {
    uint64_t serial; /* 0: free. */
    uint32_t node;   /* 0: parked. */
    uint32_t tries;
    struct sl_shortcut *shortcut; /* NULL: it went by its node. */
    bool is_by_node;              /* It may not take one. */
    uint64_t deadline_ns;
    uint64_t extraction;
    struct sl_msg *msg; /* A copy of the caller's message. */
};

struct router {
    struct sl_node_set nodes;
    struct call calls[SL_ROUTER_CALLS_MAX];
    struct sl_tally extractions, scopes; /* Of the calls that embed. */
    struct sl_shortcuts shortcuts;
    uint64_t serial_last;
    uint64_t told_ns;  /* When the head heard last of calls; 0: never. */
    uint64_t told;     /* How many it was told. */
    bool is_tell_set;  /* The timer for the next word is. */
    uint64_t timer_ns; /* The next look at deadlines; 0: none is due. */
    struct sl_router_counts counts;
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

static bool
is_embed(const struct call *c)
{
    return c->msg->id == SL_M_embed;
}

/* Whose nodes it is for (home.h). */
static uint64_t
home_of(const struct call *c)
{
    return is_embed(c) ? SL_BODY(c->msg, embed)->home : SL_BODY(c->msg, model_load)->home;
}

static void
leave_node(struct router *r, struct call *c)
{
    struct node *n = (struct node *)sl_node_set_lookup(&r->nodes, c->node);
    if (c->node == 0)
        r->counts.parked--;
    else if (n != NULL && n->ongoing > 0)
        n->ongoing--;
}

static void
end_call(struct router *r, struct call *c)
{
    leave_node(r, c);
    if (is_embed(c)) {
        sl_tally_remove(&r->extractions, c->extraction);
        sl_tally_remove(&r->scopes, SL_BODY(c->msg, embed)->scope);
    }
    sl_msg_destroy(&c->msg);
    *c = (struct call){0};
    r->counts.calls--;
}

/* ---- which node ---------------------------------------------------------------------------- */

static bool
is_better(const struct node *n, const struct node *best)
{
    if (best == NULL || n->is_closed != best->is_closed)
        return best == NULL || best->is_closed;
    return n->ongoing < best->ongoing;
}

static bool
is_home(const struct node *n, uint64_t home)
{
    return sl_placement_is_home(n->taint, home);
}

static struct node *
least_busy(const struct router *r, uint64_t home)
{
    struct node *best = NULL;
    for (uint32_t i = 0; i < r->nodes.count; i++) {
        struct node *n = (struct node *)r->nodes.slots[i];
        if (is_home(n, home) && is_better(n, best))
            best = n;
    }
    return best;
}

/*
 * The better of two that are drawn by chance: the load stays within a few calls of even, and
 * routers that know nothing of each other do not all take the same one, as with the least busy of
 * all.
 */
static struct node *
better_of_two(const struct router *r, struct sl_ctx *ctx, uint64_t home)
{
    uint32_t count = r->nodes.count;
    if (count < 2)
        return least_busy(r, home);
    uint64_t at = sl_random_below(ctx->random, count);
    uint64_t other = (at + 1 + sl_random_below(ctx->random, count - 1)) % count;
    struct node *a = (struct node *)r->nodes.slots[at], *b = (struct node *)r->nodes.slots[other];
    struct node *best = is_better(b, a) ? b : a;
    bool may_both = is_home(a, home) && is_home(b, home);
    return best->is_closed || !may_both ? least_busy(r, home) : best;
}

/* Each number has an order of its own of all nodes: one that comes or goes moves only those that
 * now go there, or went there. */
static struct node *
node_of_sticky(const struct router *r, uint64_t sticky, uint64_t home)
{
    struct node *best = NULL;
    uint64_t best_rank = 0;
    for (uint32_t i = 0; i < r->nodes.count; i++) {
        struct node *n = (struct node *)r->nodes.slots[i];
        uint64_t words[] = {sticky, n->slot.number};
        uint64_t rank = sl_hash64(sl_slice(words, sizeof(words)));
        bool is_next =
            best == NULL || (n->is_closed == best->is_closed ? rank > best_rank : best->is_closed);
        if (!is_next || !is_home(n, home))
            continue;
        best = n;
        best_rank = rank;
    }
    return best;
}

static struct node *
choose(const struct router *r, struct sl_ctx *ctx, const struct call *c)
{
    uint64_t home = home_of(c);
    if (!is_embed(c)) {
        uint64_t only = SL_BODY(c->msg, model_load)->node;
        struct node *n = (struct node *)sl_node_set_lookup(&r->nodes, only);
        return only == 0 ? least_busy(r, home) : n != NULL && is_home(n, home) ? n : NULL;
    }
    uint64_t sticky = SL_BODY(c->msg, embed)->sticky;
    return sticky == 0 ? better_of_two(r, ctx, home) : node_of_sticky(r, sticky, home);
}

/* ---- sending ------------------------------------------------------------------------------- */

static void
send_embed(struct sl_ctx *ctx, struct node *n, const struct call *c)
{
    const struct sl_m_embed *m = SL_BODY(c->msg, embed);
    bool is_told = false;
    for (uint32_t i = 0; i < SPECS_MAX; i++)
        is_told = is_told || n->specs[i] == c->extraction;
    if (!is_told) {
        n->specs[n->specs_next++ % SPECS_MAX] = c->extraction;
        struct sl_m_extraction spec = {
            .number = c->extraction, .spec = m->spec, .model = m->model, .tenant = m->tenant};
        sl_send(ctx, sl_at(n->slot.number, SL_ACTOR_AGENT), SL_M_extraction, &spec);
    }
    struct sl_m_embed_run run = {.extraction = c->extraction,
                                 .inputs = m->inputs,
                                 .scope = m->scope,
                                 .timeout_ns = c->deadline_ns - ctx->now_ns,
                                 .alone = c->tries > 1};
    sl_request(ctx, sl_at(n->slot.number, SL_ACTOR_AGENT), c->serial, SL_M_embed_run, &run);
}

static void
tell_now(struct router *r, struct sl_ctx *ctx, bool is_waiting)
{
    r->told_ns = ctx->now_ns;
    r->told = r->counts.calls;
    sl_send(ctx, sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), SL_M_calls_wanted,
            &(struct sl_m_calls_wanted){.waiting = is_waiting, .calls = r->told});
}

/*
 * Nodes that come by demand stay while calls are made, and one comes when there is none. The head
 * hears soon that there are calls, again and again while there are, and at once when the last has
 * ended (handle): then it may end nodes without a pause.
 */
static void
tell_wanted(struct router *r, struct sl_ctx *ctx, bool is_waiting)
{
    uint64_t pause_ns = r->told == 0 ? TELL_AGAIN_NS : SL_ROUTER_TELL_NS;
    if (is_waiting || r->told_ns == 0 || ctx->now_ns - r->told_ns >= pause_ns) {
        tell_now(r, ctx, is_waiting);
        pause_ns = SL_ROUTER_TELL_NS;
    }
    if (r->is_tell_set)
        return;
    r->is_tell_set = true;
    sl_after(ctx, r->told_ns + pause_ns - ctx->now_ns, TOKEN_TELL);
}

/*
 * To a replica, past its node. One that was tried before goes by a node, where it runs alone; and
 * one that belongs to others goes where they do: to a replica of the node that is theirs.
 */
static bool
go_straight(struct router *r, struct sl_ctx *ctx, struct call *c, const struct node *n)
{
    const struct sl_m_embed *m = SL_BODY(c->msg, embed);
    struct sl_shortcut_call call = {.serial = c->serial,
                                    .extraction = c->extraction,
                                    .scope = m->scope,
                                    .sticky = m->sticky,
                                    .deadline_ns = c->deadline_ns,
                                    .node = m->sticky == 0 ? 0 : n->slot.number,
                                    .other = n->slot.number,
                                    .most = n->ongoing,
                                    .inputs = m->inputs};
    if (c->tries > 0 || c->is_by_node)
        return false;
    struct sl_shortcut *to = sl_shortcuts_send(&r->shortcuts, ctx, &call);
    if (to == NULL)
        return false;
    struct node *by = (struct node *)sl_node_set_lookup(&r->nodes, to->node);
    if (by != NULL)
        by->ongoing++;
    if (!r->shortcuts.is_tick_set)
        sl_after(ctx, SL_SHORTCUT_TICK_NS, TOKEN_LOAD);
    r->shortcuts.is_tick_set = true;
    r->counts.parked--;
    r->counts.straight++;
    c->node = to->node;
    c->shortcut = to;
    c->tries++;
    return true;
}

/* Send a parked call to a node, if there is one. One that is past its deadline stays: its time is
 * looked at next. */
static void
route(struct router *r, struct sl_ctx *ctx, struct call *c)
{
    struct node *n = c->deadline_ns <= ctx->now_ns ? NULL : choose(r, ctx, c);
    /* Nodes that come by demand are nobody's own. */
    if (home_of(c) == 0 && (is_embed(c) || SL_BODY(c->msg, model_load)->node == 0))
        tell_wanted(r, ctx, n == NULL);
    if (n == NULL || (is_embed(c) && go_straight(r, ctx, c, n)))
        return;
    r->counts.parked--;
    c->node = n->slot.number;
    n->ongoing++;
    if (is_embed(c)) {
        /* It only computes, so it need not wait until others' writes are on the disk; nor may what
         * it runs on come behind it. */
        enum sl_level level = ctx->level;
        ctx->level = SL_LEVEL_RAM;
        c->tries++;
        send_embed(ctx, n, c);
        ctx->level = level;
    } else {
        c->deadline_ns = ctx->now_ns + SL_ROUTER_LOAD_DEADLINE_NS;
        sl_request(ctx, sl_at(n->slot.number, SL_ACTOR_AGENT), c->serial, c->msg->id, c->msg->body);
    }
}

static void
park(struct router *r, struct call *c)
{
    leave_node(r, c);
    c->node = 0;
    c->shortcut = NULL;
    r->counts.parked++;
}

/* A look that was set for later comes as well, and finds nothing due. */
static void
set_timer(struct router *r, struct sl_ctx *ctx, uint64_t deadline_ns)
{
    if (r->timer_ns != 0 && r->timer_ns <= deadline_ns)
        return;
    r->timer_ns = deadline_ns;
    sl_after(ctx, deadline_ns > ctx->now_ns ? deadline_ns - ctx->now_ns : 0, TOKEN_LOOK);
}

/* NULL: there is room for it. */
static const char *
why_full(const struct router *r, const struct sl_msg *msg, uint64_t extraction)
{
    if (r->counts.calls == SL_ROUTER_CALLS_MAX)
        return "as many requests wait for replicas as may: send fewer at a time";
    if (r->nodes.count == 0 && r->counts.parked >= SL_ROUTER_PARKED_MAX)
        return "no worker node is there, and as many requests wait for one as may";
    if (msg->id != SL_M_embed)
        return NULL;
    if (sl_tally_count(&r->extractions, extraction) >= SL_ROUTER_EXTRACTION_MAX)
        return "as many requests wait for this extractor as may: send fewer at a time";
    if (sl_tally_count(&r->scopes, SL_BODY(msg, embed)->scope) >= SL_ROUTER_SCOPE_MAX)
        return "as many requests of this organization wait for replicas as may: send fewer at a "
               "time";
    return NULL;
}

static struct call *
add_call(struct router *r, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (r->serial_last == 0) /* No answer to a process before this one fits a call of ours. */
        r->serial_last = sl_random_u64(ctx->random) >> 16;
    uint32_t i = (uint32_t)(r->serial_last % SL_ROUTER_CALLS_MAX);
    while (r->calls[i].serial != 0)
        i = (i + 1) % SL_ROUTER_CALLS_MAX;
    /* The slot is in the serial, so that an answer finds its call at once. */
    r->serial_last =
        r->serial_last - r->serial_last % SL_ROUTER_CALLS_MAX + SL_ROUTER_CALLS_MAX + i;
    r->calls[i] = (struct call){.serial = r->serial_last, .msg = copy_of(msg)};
    r->counts.calls++;
    r->counts.parked++;
    return &r->calls[i];
}

static void
on_call(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct router *r = self;
    uint64_t extraction = 0, timeout_ns = SL_ROUTER_DEADLINE_NS;
    if (msg->id == SL_M_embed) {
        const struct sl_m_embed *m = SL_BODY(msg, embed);
        extraction = sl_extraction_number(m->spec, m->model, m->tenant);
        timeout_ns =
            m->timeout_ns == 0 ? timeout_ns : SL_MIN(m->timeout_ns, SL_ROUTER_TIMEOUT_MAX_NS);
    }
    const char *why = why_full(r, msg, extraction);
    if (why != NULL) {
        r->counts.refused++;
        fail(ctx, msg, SL_EFULL, why);
        return;
    }
    struct call *c = add_call(r, ctx, msg);
    c->deadline_ns = ctx->now_ns + timeout_ns;
    if (msg->id == SL_M_embed) {
        c->extraction = extraction;
        sl_tally_add(&r->extractions, extraction);
        sl_tally_add(&r->scopes, SL_BODY(msg, embed)->scope);
    }
    route(r, ctx, c);
    set_timer(r, ctx, c->deadline_ns);
}

/* ---- answers ------------------------------------------------------------------------------- */

/* Its replica died with others in it: alone it shows who is to blame, and the rest get answers. */
static bool
try_again(struct router *r, struct sl_ctx *ctx, struct call *c, const struct sl_msg *answer)
{
    bool is_due = answer->id == SL_M_embedded && is_embed(c) && c->tries < TRIES_MAX &&
                  SL_BODY(answer, embedded)->err == SL_ECRASHED;
    if (!is_due)
        return false;
    park(r, c);
    r->counts.again++;
    route(r, ctx, c);
    return true;
}

static void
on_answer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct router *r = self;
    struct call *c = &r->calls[msg->request % SL_ROUTER_CALLS_MAX];
    if (c->serial != msg->request || c->serial == 0 || c->node != msg->from.node ||
        c->shortcut != NULL)
        return; /* It came after its deadline, twice, or from one that was not asked. */
    if (try_again(r, ctx, c, msg))
        return;
    r->counts.answered++;
    sl_reply(ctx, c->msg, msg->id, msg->body);
    end_call(r, c);
}

/* ---- shortcuts ----------------------------------------------------------------------------- */

static void
on_straight_answer(struct router *r, struct sl_ctx *ctx, const struct sl_shortcut *from,
                   const struct sl_m_processed *m, const struct sl_item_times *times)
{
    struct call *c = &r->calls[m->item % SL_ROUTER_CALLS_MAX];
    if (c->serial != m->item || c->shortcut != from)
        return; /* Its caller waits no more. */
    if (m->kind != 0 && sl_slice_is(m->code, SL_REPLICA_TOO_LARGE)) {
        sl_shortcuts_too_large(&r->shortcuts, ctx, c->extraction);
        c->is_by_node = true;
        c->tries = 0;
        park(r, c);
        route(r, ctx, c);
        return;
    }
    /* Its word: that it crashed, say, is the agent's to tell. */
    uint64_t kind = m->kind == SL_FAIL_PERMANENT ? SL_FAIL_PERMANENT : SL_FAIL_TRANSIENT;
    struct sl_m_embedded reply = m->kind == 0 ? sl_embedded_of_outputs(m->outputs, times)
                                              : sl_embedded_of_failure(kind, m->message);
    r->counts.answered++;
    sl_reply(ctx, c->msg, SL_M_embedded, &reply);
    end_call(r, c);
}

static void
take_answers(struct router *r, struct sl_ctx *ctx)
{
    struct sl_shortcut *from;
    struct sl_item_times times;
    for (struct sl_msg *msg;
         (msg = sl_shortcuts_answer(&r->shortcuts, ctx, &from, &times)) != NULL;) {
        on_straight_answer(r, ctx, from, SL_BODY(msg, processed), &times);
        sl_msg_destroy(&msg);
    }
}

static void
on_news(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)msg;
    take_answers(self, ctx);
}

static void
on_shortcut(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct router *r = self;
    sl_shortcuts_take(&r->shortcuts, ctx, msg);
    const struct node *n = (const struct node *)sl_node_set_lookup(&r->nodes, msg->from.node);
    if (n != NULL && msg->id == SL_M_shortcut_open)
        sl_shortcuts_node_open(&r->shortcuts, n->slot.number, !n->is_closed);
}

/* What was under way there died with it: once more, alone, as those that went by the node. */
static void
on_shortcut_gone(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct router *r = self;
    uint64_t replica = SL_BODY(msg, shortcut_gone)->replica;
    take_answers(r, ctx); /* It had answered these before it ended. */
    struct sl_shortcut *gone = sl_shortcuts_lookup(&r->shortcuts, msg->from.node, replica);
    if (gone == NULL) {
        sl_shortcuts_forget(&r->shortcuts, msg->from.node, replica);
        return;
    }
    uint32_t left = gone->ongoing;
    sl_shortcut_end(&r->shortcuts, gone);
    for (uint32_t i = 0; left > 0 && i < SL_ROUTER_CALLS_MAX; i++) {
        struct call *c = &r->calls[i];
        if (c->serial == 0 || c->shortcut != gone)
            continue;
        park(r, c);
        r->counts.again++;
        route(r, ctx, c);
        left--;
    }
}

static void
end_shortcuts(struct router *r, uint32_t node)
{
    uint32_t at = 0;
    for (struct sl_shortcut *c; (c = sl_shortcuts_of_node(&r->shortcuts, node, &at)) != NULL;)
        sl_shortcut_end(&r->shortcuts, c);
    sl_shortcuts_forget(&r->shortcuts, node, 0);
}

/* ---- calls that end otherwise --------------------------------------------------------------- */

static void
tell_node(struct router *r, struct sl_ctx *ctx, const struct call *c)
{
    if (c->shortcut != NULL)
        sl_shortcut_cancel(&r->shortcuts, c->shortcut, c->serial);
    else if (c->node != 0 && is_embed(c))
        sl_request(ctx, sl_at(c->node, SL_ACTOR_AGENT), c->serial, SL_M_embed_cancel,
                   &(struct sl_m_embed_cancel){0});
}

/* Its caller waits no more, and is not answered. Rare, so a walk is enough. */
static void
on_cancel(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct router *r = self;
    for (uint32_t i = 0; i < SL_ROUTER_CALLS_MAX; i++) {
        struct call *c = &r->calls[i];
        if (c->serial == 0 || !is_embed(c) || c->msg->request != msg->request ||
            c->msg->from.node != msg->from.node || c->msg->from.actor != msg->from.actor)
            continue;
        r->counts.cancelled++;
        tell_node(r, ctx, c);
        end_call(r, c);
        return;
    }
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
        n->taint = SL_BODY(msg, node_up)->taint;
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
    sl_shortcuts_node_open(&r->shortcuts, (uint32_t)m->node, m->is_open != 0);
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
    take_answers(r, ctx);
    end_shortcuts(r, (uint32_t)number);
    /* Its calls have changed nothing anywhere, so another node may run them. */
    for (uint32_t i = 0; i < SL_ROUTER_CALLS_MAX; i++) {
        struct call *c = &r->calls[i];
        if (c->serial == 0 || c->node != number)
            continue;
        park(r, c);
        c->deadline_ns = SL_MIN(c->deadline_ns, ctx->now_ns + SL_ROUTER_DEADLINE_NS);
        set_timer(r, ctx, c->deadline_ns);
        route(r, ctx, c);
    }
}

static const char *
why_late(const struct call *c)
{
    if (c->node != 0)
        return "no replica answered in time";
    return home_of(c) == 0 ? "no worker node was there in time"
                           : "no worker node with this tenant's taint was there in time, and at "
                             "isolation level physical no other is asked";
}

/* The node runs nothing after the deadline: it needs no word of it. */
static void
on_timer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct router *r = self;
    uint64_t next_ns = UINT64_MAX;
    if (SL_BODY(msg, timer)->token == TOKEN_LOAD) {
        r->shortcuts.is_tick_set = sl_shortcuts_tick(&r->shortcuts, ctx);
        if (r->shortcuts.is_tick_set)
            sl_after(ctx, SL_SHORTCUT_TICK_NS, TOKEN_LOAD);
        return;
    }
    if (SL_BODY(msg, timer)->token == TOKEN_TELL) {
        r->is_tell_set = false;
        if (r->counts.calls > 0)
            tell_wanted(r, ctx, false);
        return;
    }
    if (r->timer_ns == 0 || ctx->now_ns < r->timer_ns)
        return;
    for (uint32_t i = 0; i < SL_ROUTER_CALLS_MAX; i++) {
        struct call *c = &r->calls[i];
        if (c->serial == 0)
            continue;
        if (ctx->now_ns < c->deadline_ns) {
            next_ns = SL_MIN(next_ns, c->deadline_ns);
            continue;
        }
        r->counts.overdue++;
        if (c->shortcut != NULL)
            c->shortcut->overdue++;
        fail(ctx, c->msg, SL_ETIMEOUT, why_late(c));
        end_call(r, c);
    }
    r->timer_ns = 0;
    if (next_ns != UINT64_MAX)
        set_timer(r, ctx, next_ns);
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
    {SL_M_embed, on_call},
    {SL_M_embedded, on_answer},
    {SL_M_model_load, on_call},
    {SL_M_model_loaded, on_answer},
    {SL_M_node_up, on_node_up},
    {SL_M_node_lost, on_node_lost},
    {SL_M_model_drop, on_drop},
    {SL_M_model_evict, on_drop},
    {SL_M_timer, on_timer},
    {SL_M_undelivered, on_undelivered},
    {SL_M_node_open, on_node_open},
    {SL_M_embed_cancel, on_cancel},
    {SL_M_channel_news, on_news},
    {SL_M_shortcut_open, on_shortcut},
    {SL_M_shortcut_serves, on_shortcut},
    {SL_M_shortcut_close, on_shortcut},
    {SL_M_shortcut_gone, on_shortcut_gone},
};

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (!sl_dispatch(table, SL_COUNT_OF(table), self, ctx, msg))
        sl_report_warn("message-unknown", "actor=router message=%s", msg->type->name);
    const struct router *r = self;
    if (r->told > 0 && r->counts.calls == 0)
        tell_now(self, ctx, false);
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
    sl_shortcuts_deinit(&r->shortcuts);
}

static void
init(void *self, struct sl_ctx *ctx, const void *argument)
{
    (void)ctx;
    ((struct router *)self)->shortcuts.channels = argument;
}

const struct sl_actor_class sl_router_class = {
    .name = "router",
    .state_size = sizeof(struct router),
    .init = init,
    .handle = handle,
    .deinit = deinit,
};

void
sl_router_counts(const void *router, struct sl_router_counts *ret_counts)
{
    *ret_counts = ((const struct router *)router)->counts;
}
