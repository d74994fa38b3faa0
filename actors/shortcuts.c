/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/shortcuts.h"

#include "extractors/replica.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/report.h"

void
sl_shortcuts_deinit(struct sl_shortcuts *s)
{
    for (uint32_t i = 0; i < SL_SHORTCUT_WORKS_MAX; i++)
        sl_free(s->works[i].params);
    *s = (struct sl_shortcuts){0};
}

struct sl_shortcut *
sl_shortcuts_lookup(struct sl_shortcuts *s, uint32_t node, uint64_t replica)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct sl_shortcut *c = &s->all[i];
        if (c->channel != 0 && c->node == node && c->replica == replica)
            return c;
    }
    return NULL;
}

struct sl_shortcut *
sl_shortcuts_of_node(struct sl_shortcuts *s, uint32_t node, uint32_t *at)
{
    for (; *at < s->count; (*at)++) {
        struct sl_shortcut *c = &s->all[*at];
        if (c->channel != 0 && c->node == node) {
            (*at)++;
            return c;
        }
    }
    return NULL;
}

/* ---- what the agent is told ---------------------------------------------------------------- */

static struct sl_addr
agent_of(const struct sl_shortcut *c)
{
    return sl_at(c->node, SL_ACTOR_AGENT);
}

static void
tell_closed(struct sl_ctx *ctx, struct sl_addr agent, uint64_t replica, bool is_none)
{
    struct sl_m_shortcut_closed m = {.replica = replica, .is_none = is_none};
    sl_send(ctx, agent, SL_M_shortcut_closed, &m);
}

/* Up to now there were as many as there are. */
static void
measure(struct sl_shortcut *c, uint64_t now_ns)
{
    c->area += c->ongoing * (now_ns - c->area_to_ns);
    c->area_to_ns = now_ns;
}

static void
tell_load(struct sl_ctx *ctx, struct sl_shortcut *c, uint64_t thousandths)
{
    struct sl_m_shortcut_load now = {.replica = c->replica,
                                     .ongoing = (thousandths + 999) / 1000,
                                     .arrived = c->arrived,
                                     .answered = c->answered,
                                     .cancelled = c->cancelled,
                                     .overdue = c->overdue,
                                     .thousandths = thousandths};
    struct sl_m_shortcut_load m = now;
    m.arrived -= c->told.arrived;
    m.answered -= c->told.answered;
    m.cancelled -= c->told.cancelled;
    m.overdue -= c->told.overdue;
    struct sl_buf times = {0};
    if (c->times.count > 0) {
        sl_pool_times_pack(&c->times, &times);
        m.busy_ns = c->busy_ns / c->times.count;
        m.times = sl_buf_slice(&times);
    }
    enum sl_level level = ctx->level;
    ctx->level = SL_LEVEL_RAM; /* It is of calls, which write nothing. */
    sl_send(ctx, agent_of(c), SL_M_shortcut_load, &m);
    ctx->level = level;
    sl_buf_deinit(&times);
    c->told = now;
    c->times = (struct sl_pool_times){0};
    c->busy_ns = 0;
    c->area = 0;
    c->area_from_ns = ctx->now_ns;
}

static bool
is_news(const struct sl_shortcut *c)
{
    return c->told.arrived != c->arrived || c->told.answered != c->answered ||
           c->told.cancelled != c->cancelled || c->told.overdue != c->overdue;
}

/* How many were under way on average since it was told, and at least one if one is. */
bool
sl_shortcuts_tick(struct sl_shortcuts *s, struct sl_ctx *ctx)
{
    bool is_busy = false;
    for (uint32_t i = 0; i < s->count; i++) {
        struct sl_shortcut *c = &s->all[i];
        if (c->channel == 0)
            continue;
        measure(c, ctx->now_ns);
        uint64_t span_ns = ctx->now_ns - c->area_from_ns;
        uint64_t mean =
            span_ns == 0 ? 1000 * (uint64_t)c->ongoing : (1000 * c->area + span_ns - 1) / span_ns;
        if (mean != c->told.thousandths || is_news(c))
            tell_load(ctx, c, mean);
        is_busy = is_busy || c->ongoing > 0 || c->told.ongoing > 0;
    }
    return is_busy;
}

static void
end_if_empty(struct sl_ctx *ctx, struct sl_shortcut *c)
{
    if (!c->is_shut || c->ongoing > 0 || c->is_broken)
        return;
    if (is_news(c) || c->told.ongoing > 0)
        tell_load(ctx, c, 0);
    tell_closed(ctx, agent_of(c), c->replica, false);
}

static void
shut_broken(struct sl_ctx *ctx, struct sl_shortcut *c, const char *why)
{
    struct sl_m_shortcut_broken m = {.replica = c->replica, .why = sl_slice_str(why)};
    if (!c->is_broken)
        sl_send(ctx, agent_of(c), SL_M_shortcut_broken, &m);
    c->is_shut = c->is_broken = true;
}

/* ---- what agents say ----------------------------------------------------------------------- */

static struct sl_shortcut *
add(struct sl_shortcuts *s, struct sl_ctx *ctx, uint32_t node, uint64_t replica)
{
    uint32_t i = 0;
    while (i < SL_SHORTCUTS_MAX && s->all[i].channel != 0)
        i++;
    uint32_t channel = s->channels == NULL || i == SL_SHORTCUTS_MAX
                           ? 0
                           : s->channels->find(s->channels->arg, node, replica);
    if (channel == 0)
        return NULL;
    s->all[i] = (struct sl_shortcut){.channel = channel,
                                     .node = node,
                                     .replica = replica,
                                     .area_from_ns = ctx->now_ns,
                                     .area_to_ns = ctx->now_ns};
    s->count = SL_MAX(s->count, i + 1);
    return &s->all[i];
}

/* Its agent says no more of it, so its channel is let go here. */
static void
decline(struct sl_shortcuts *s, struct sl_ctx *ctx, struct sl_addr agent, uint64_t replica)
{
    sl_shortcuts_forget(s, agent.node, replica);
    tell_closed(ctx, agent, replica, true);
}

static void
open_one(struct sl_shortcuts *s, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    const struct sl_m_shortcut_open *m = SL_BODY(msg, shortcut_open);
    struct sl_shortcut *c = sl_shortcuts_lookup(s, msg->from.node, m->replica);
    if (c == NULL)
        c = add(s, ctx, msg->from.node, m->replica);
    if (c == NULL) {
        decline(s, ctx, msg->from, m->replica);
        return;
    }
    c->pool = m->pool;
    c->is_shut = c->is_broken || c->is_deaf;
}

static void
close_one(struct sl_shortcuts *s, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    uint64_t replica = SL_BODY(msg, shortcut_close)->replica;
    struct sl_shortcut *c = sl_shortcuts_lookup(s, msg->from.node, replica);
    if (c == NULL) {
        decline(s, ctx, msg->from, replica);
        return;
    }
    c->is_shut = true;
    end_if_empty(ctx, c);
}

static void
learn(struct sl_shortcuts *s, const struct sl_msg *msg)
{
    const struct sl_m_shortcut_serves *m = SL_BODY(msg, shortcut_serves);
    struct sl_shortcut_work *w = NULL;
    for (uint32_t i = 0; i < SL_SHORTCUT_WORKS_MAX && w == NULL; i++) {
        struct sl_shortcut_work *known = &s->works[i];
        if (known->params != NULL && known->extraction == m->extraction &&
            known->node == msg->from.node)
            w = known;
    }
    if (w == NULL) /* The oldest gives way: its agent will say it again. */
        w = &s->works[s->works_next++ % SL_SHORTCUT_WORKS_MAX];
    bool is_known = w->params != NULL && w->extraction == m->extraction;
    uint64_t large_until_ns = is_known ? w->large_until_ns : 0;
    sl_free(w->params);
    *w = (struct sl_shortcut_work){.extraction = m->extraction,
                                   .pool = m->pool,
                                   .node = msg->from.node,
                                   .params = sl_strndup(m->params.data, m->params.size),
                                   .large_until_ns = large_until_ns};
}

void
sl_shortcuts_take(struct sl_shortcuts *s, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (msg->id == SL_M_shortcut_open)
        open_one(s, ctx, msg);
    else if (msg->id == SL_M_shortcut_close)
        close_one(s, ctx, msg);
    else if (msg->id == SL_M_shortcut_serves)
        learn(s, msg);
}

void
sl_shortcuts_node_open(struct sl_shortcuts *s, uint32_t node, bool is_open)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->all[i].node == node)
            s->all[i].is_closed = !is_open;
    }
}

void
sl_shortcuts_too_large(struct sl_shortcuts *s, const struct sl_ctx *ctx, uint64_t extraction)
{
    for (uint32_t i = 0; i < SL_SHORTCUT_WORKS_MAX; i++) {
        if (s->works[i].params != NULL && s->works[i].extraction == extraction)
            s->works[i].large_until_ns = ctx->now_ns + SL_SHORTCUT_LARGE_NS;
    }
}

void
sl_shortcut_end(struct sl_shortcuts *s, struct sl_shortcut *gone)
{
    s->channels->close(s->channels->arg, gone->channel);
    *gone = (struct sl_shortcut){0};
}

void
sl_shortcuts_forget(struct sl_shortcuts *s, uint32_t node, uint64_t replica)
{
    if (s->channels == NULL)
        return;
    uint32_t channel = replica == 0 ? 0 : s->channels->find(s->channels->arg, node, replica);
    if (channel != 0)
        s->channels->close(s->channels->arg, channel);
    if (replica != 0)
        return;
    s->channels->forget(s->channels->arg, node);
    for (uint32_t i = 0; i < SL_SHORTCUT_WORKS_MAX; i++) {
        if (s->works[i].node != node)
            continue;
        sl_free(s->works[i].params);
        s->works[i] = (struct sl_shortcut_work){0};
    }
}

/* ---- which --------------------------------------------------------------------------------- */

static const struct sl_shortcut_work *
work_at(const struct sl_shortcuts *s, const struct sl_shortcut *c, uint64_t extraction)
{
    for (uint32_t i = 0; i < SL_SHORTCUT_WORKS_MAX; i++) {
        const struct sl_shortcut_work *w = &s->works[i];
        if (w->extraction == extraction && w->params != NULL && w->node == c->node &&
            w->pool == c->pool)
            return w;
    }
    return NULL;
}

static bool
has_room(const struct sl_shortcut *c, uint64_t scope)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SL_CHANNEL_CALLS_MAX; i++)
        count += c->items[i].serial != 0 && c->items[i].scope == scope;
    return c->ongoing < SL_CHANNEL_CALLS_MAX && count < SL_SHORTCUT_SCOPE_MAX;
}

/* Each number has an order of its own of all replicas. */
static uint64_t
rank_of(const struct sl_shortcut *c, uint64_t sticky)
{
    uint64_t words[] = {sticky, c->node, c->replica};
    return sl_hash64(sl_slice(words, sizeof(words)));
}

/* Those that serve the call: of a sticky one the first of its order, whether it has room or not; of
 * others two drawn by chance of those that have. */
static struct sl_shortcut *
choose(struct sl_shortcuts *s, struct sl_ctx *ctx, const struct sl_shortcut_call *call,
       const struct sl_shortcut_work **ret_work)
{
    struct sl_shortcut *fit[SL_SHORTCUTS_MAX], *best = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        struct sl_shortcut *c = &s->all[i];
        bool is_open = c->channel != 0 && !c->is_shut && !c->is_closed &&
                       (call->node == 0 || call->node == c->node);
        const struct sl_shortcut_work *w = is_open ? work_at(s, c, call->extraction) : NULL;
        if (w == NULL || ctx->now_ns < w->large_until_ns ||
            (call->sticky == 0 && !has_room(c, call->scope)))
            continue;
        fit[count++] = c;
        if (call->sticky != 0 &&
            (best == NULL || rank_of(c, call->sticky) > rank_of(best, call->sticky)))
            best = c;
    }
    if (count == 0)
        return NULL;
    if (call->sticky == 0) {
        uint64_t at = count == 1 ? 0 : sl_random_below(ctx->random, count);
        uint64_t other =
            count == 1 ? 0 : (at + 1 + sl_random_below(ctx->random, count - 1)) % count;
        best = fit[at]->ongoing <= fit[other]->ongoing ? fit[at] : fit[other];
        if (best->node != call->other && best->ongoing > 0 && best->ongoing >= call->most)
            return NULL;
    } else if (!has_room(best, call->scope)) {
        return NULL;
    }
    *ret_work = work_at(s, best, call->extraction);
    return best;
}

static struct sl_shortcut_item *
item_of(struct sl_shortcut *c, uint64_t serial)
{
    for (uint32_t i = 0; i < SL_CHANNEL_CALLS_MAX; i++) {
        if (c->items[i].serial == serial)
            return &c->items[i];
    }
    return NULL;
}

static enum sl_err
send(struct sl_shortcuts *s, const struct sl_shortcut *c, uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    enum sl_err err = s->channels->send(s->channels->arg, c->channel, id == SL_M_process, msg);
    sl_msg_destroy(&msg);
    return err;
}

struct sl_shortcut *
sl_shortcuts_send(struct sl_shortcuts *s, struct sl_ctx *ctx, const struct sl_shortcut_call *call)
{
    const struct sl_shortcut_work *work = NULL;
    struct sl_shortcut *c = choose(s, ctx, call, &work);
    if (c == NULL)
        return NULL;
    struct sl_m_process m = {.item = call->serial,
                             .params = sl_slice_str(work->params),
                             .inputs = call->inputs,
                             .deadline_ns = call->deadline_ns,
                             .scope = call->scope,
                             .tenant = call->scope};
    enum sl_err err = send(s, c, SL_M_process, &m);
    if (err == SL_ECORRUPT)
        shut_broken(ctx, c, "it says that it has read what was not sent");
    if (err != SL_OK) /* Too large, as a rule; it goes by its node. */
        return NULL;
    measure(c, ctx->now_ns);
    *item_of(c, 0) = (struct sl_shortcut_item){
        .serial = call->serial, .scope = call->scope, .sent_ns = ctx->now_ns};
    c->ongoing++;
    c->arrived++;
    if (c->ongoing > c->told.ongoing) /* More replicas may be wanted, and this one is not idle. */
        tell_load(ctx, c, 1000 * (uint64_t)c->ongoing);
    return c;
}

void
sl_shortcut_cancel(struct sl_shortcuts *s, struct sl_shortcut *to, uint64_t serial)
{
    to->cancelled++;
    if (send(s, to, SL_M_process_cancel, &(struct sl_m_process_cancel){.item = serial}) != SL_OK)
        sl_report_debug("cancel-unsent", "replica=%llu", (unsigned long long)to->replica);
}

/* ---- answers ------------------------------------------------------------------------------- */

static struct sl_shortcut *
of_channel(struct sl_shortcuts *s, uint32_t channel)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->all[i].channel == channel)
            return &s->all[i];
    }
    return NULL;
}

/* What was not run says so by taking no time. More than passed here is not believed. */
static void
note_times(struct sl_shortcut *c, const struct sl_item_times *times, uint64_t busy_ns)
{
    if (busy_ns == 0)
        return;
    sl_pool_times_add(&c->times, times);
    c->busy_ns += SL_MIN(busy_ns, times->ended_ns - times->sent_ns);
}

/* Whether the message answers what is under way there, which then is so no more. */
static bool
take_answer(struct sl_ctx *ctx, struct sl_shortcut *c, const struct sl_msg *msg,
            struct sl_item_times *ret_times)
{
    if (msg->id != SL_M_processed || SL_BODY(msg, processed)->item == 0) {
        shut_broken(ctx, c, "it sends what is no answer");
        return false;
    }
    struct sl_shortcut_item *item = item_of(c, SL_BODY(msg, processed)->item);
    if (item == NULL) {
        shut_broken(ctx, c, "it answers what it was not asked");
        return false;
    }
    measure(c, ctx->now_ns);
    *ret_times = (struct sl_item_times){.queued_ns = item->sent_ns,
                                        .sent_ns = item->sent_ns,
                                        .begun_ns = SL_BODY(msg, processed)->begun_ns,
                                        .ended_ns = ctx->now_ns};
    note_times(c, ret_times, SL_BODY(msg, processed)->busy_ns);
    *item = (struct sl_shortcut_item){0};
    c->ongoing--;
    c->answered++;
    end_if_empty(ctx, c);
    return true;
}

struct sl_msg *
sl_shortcuts_answer(struct sl_shortcuts *s, struct sl_ctx *ctx, struct sl_shortcut **ret_from,
                    struct sl_item_times *ret_times)
{
    struct sl_msg *msg = NULL;
    uint32_t channel = 0;
    enum sl_err err = SL_OK;
    while (s->channels != NULL &&
           (err = s->channels->receive(s->channels->arg, &channel, &msg)) != SL_ENOTFOUND) {
        struct sl_shortcut *c = of_channel(s, channel);
        if (c == NULL) {
            s->channels->close(s->channels->arg, channel);
        } else if (err == SL_EUNAVAIL) {
            c->is_shut = c->is_deaf = true; /* What was answered comes; the rest with its end. */
        } else if (err != SL_OK) {
            shut_broken(ctx, c, "what it writes is no message");
        } else if (take_answer(ctx, c, msg, ret_times)) {
            *ret_from = c;
            return msg;
        }
        sl_msg_destroy(&msg);
    }
    return NULL;
}
