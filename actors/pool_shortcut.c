/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/pool_shortcut.h"

#include <inttypes.h>
#include <signal.h>

#include "actors/pool_find.h"
#include "runtime/report.h"
#include "runtime/spawn_port.h"

#define SMOOTH_MAX  UINT64_C(64) /* More change nothing. */
#define CALL_NS_MAX (3600 * SL_SECOND_NS)
#define TELL_NS     SL_SECOND_NS /* The router may have forgotten: calls that go by us say so. */

static struct sl_addr
router(void)
{
    return sl_at(SL_NODE_HEAD, SL_ACTOR_ROUTER);
}

void
sl_pool_shortcut_serve(struct sl_pool *p, struct sl_ctx *ctx, const struct sl_item *item)
{
    struct sl_pool_served *s = &p->served;
    uint32_t i = 0;
    if (!p->options->has_shortcuts || item->msg->id != SL_M_embed_run ||
        item->msg->from.node != SL_NODE_HEAD)
        return;
    s->number = s->number == 0 ? item->serial : s->number; /* No two items have one. */
    while (i < SL_POOL_SPECS_MAX && s->extractions[i] != item->spec->number)
        i++;
    if (i < SL_POOL_SPECS_MAX && ctx->now_ns - s->told_ns[i] < TELL_NS)
        return;
    if (i == SL_POOL_SPECS_MAX)
        i = s->next++ % SL_POOL_SPECS_MAX;
    s->extractions[i] = item->spec->number;
    s->told_ns[i] = ctx->now_ns;
    struct sl_m_shortcut_serves m = {.extraction = item->spec->number,
                                     .pool = s->number,
                                     .params = sl_slice_str(item->spec->params)};
    sl_send(ctx, router(), SL_M_shortcut_serves, &m);
}

/* An item that must be alone is at one of its replicas, or the next to go to one. */
static bool
is_alone_due(struct sl_pool *p, const struct sl_replica *r)
{
    const struct sl_item *next = sl_calls_next(&p->calls);
    next = next == NULL ? p->tasks.oldest : next;
    return (next != NULL && next->is_alone) ||
           (r->in_flight.count > 0 && r->in_flight.oldest->is_alone);
}

void
sl_pool_shortcut_open(struct sl_pool *p, struct sl_ctx *ctx)
{
    for (uint32_t i = 0; i < SL_REPLICAS_MAX && p->served.number != 0; i++) {
        struct sl_replica *r = &p->replicas[i];
        bool is_due = r->state == SL_REPLICA_READY && r->shortcut.state == SL_SHORTCUT_SHUT &&
                      !r->is_spare && !r->is_background && !r->is_unwanted && !r->is_killed &&
                      !p->served.is_ending;
        if (!is_due || is_alone_due(p, r))
            continue;
        r->shortcut.state = SL_SHORTCUT_OPEN;
        struct sl_m_shortcut_open m = {.replica = r->number, .pool = p->served.number};
        sl_send(ctx, router(), SL_M_shortcut_open, &m);
    }
}

static void
close_one(struct sl_ctx *ctx, struct sl_replica *r)
{
    struct sl_m_shortcut_close m = {.replica = r->number};
    sl_send(ctx, router(), SL_M_shortcut_close, &m);
    r->shortcut.state = SL_SHORTCUT_CLOSING;
}

void
sl_pool_shortcut_tend(struct sl_pool *p, struct sl_ctx *ctx)
{
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++) {
        if (p->replicas[i].shortcut.state == SL_SHORTCUT_CLOSING)
            close_one(ctx, &p->replicas[i]);
    }
}

bool
sl_pool_shortcut_is_shut(struct sl_ctx *ctx, struct sl_replica *r)
{
    if (r->shortcut.state == SL_SHORTCUT_OPEN)
        close_one(ctx, r);
    return r->shortcut.state == SL_SHORTCUT_NONE || r->shortcut.state == SL_SHORTCUT_SHUT;
}

void
sl_pool_shortcut_end(struct sl_pool *p, struct sl_ctx *ctx)
{
    p->served.is_ending = true;
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++)
        (void)sl_pool_shortcut_is_shut(ctx, &p->replicas[i]);
}

bool
sl_pool_shortcut_is_ending(const struct sl_pool *p)
{
    bool is_ending = false;
    for (uint32_t i = 0; i < SL_REPLICAS_MAX && p->served.is_ending; i++)
        is_ending = is_ending || p->replicas[i].shortcut.state == SL_SHORTCUT_CLOSING;
    return is_ending;
}

void
sl_pool_shortcut_again(struct sl_pool *p)
{
    p->served = (struct sl_pool_served){.number = p->served.number};
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++) {
        struct sl_replica_shortcut *s = &p->replicas[i].shortcut;
        s->ongoing = s->thousandths = 0;
        s->state = s->state == SL_SHORTCUT_NONE ? SL_SHORTCUT_NONE : SL_SHORTCUT_SHUT;
    }
}

void
sl_pool_shortcut_lost(struct sl_ctx *ctx, const struct sl_replica *r)
{
    struct sl_m_shortcut_gone m = {.replica = r->number};
    if (r->shortcut.state != SL_SHORTCUT_NONE)
        sl_send(ctx, router(), SL_M_shortcut_gone, &m);
}

/* ---- what the router says ------------------------------------------------------------------ */

/* As if each of `count` had taken that long, one after the other. */
static uint64_t
smooth(uint64_t mean_ns, uint64_t ns, uint64_t count)
{
    for (uint64_t i = 0; i < SL_MIN(count, SMOOTH_MAX); i++)
        mean_ns = (mean_ns * 7 + ns) / 8;
    return mean_ns;
}

static void
on_load(struct sl_pool *p, const struct sl_ctx *ctx, struct sl_replica *r,
        const struct sl_m_shortcut_load *m)
{
    bool had_none = r->in_flight.count == 0 && r->shortcut.ongoing == 0;
    p->scale.arrived += m->arrived;
    p->called_ns = ctx->now_ns;
    p->cancelled += m->cancelled;
    p->overdue += m->overdue;
    r->done += m->answered;
    r->used_ns = ctx->now_ns;
    r->shortcut.ongoing = (uint32_t)SL_MIN(m->ongoing, UINT64_C(1000));
    r->shortcut.thousandths = (uint32_t)SL_MIN(m->thousandths, UINT64_C(1000000));
    r->shortcut.has_worked = true;
    if (m->answered > 0 || had_none)
        r->heard_ns = ctx->now_ns;
    if (m->answered > 0)
        p->failures = 0;
    if (m->times.size == 0)
        return;
    if (!sl_pool_times_merge(&p->call_times, m->times))
        sl_report_warn("shortcut-times-unread", "extractor=%s", p->extractor);
    else
        p->call_ns = smooth(p->call_ns, SL_MIN(m->busy_ns, CALL_NS_MAX), m->answered);
}

static void
on_closed(struct sl_replica *r, bool is_none)
{
    r->shortcut.ongoing = r->shortcut.thousandths = 0;
    if (is_none)
        r->shortcut.state = SL_SHORTCUT_NONE;
    else if (r->shortcut.state == SL_SHORTCUT_CLOSING)
        r->shortcut.state = SL_SHORTCUT_SHUT;
}

/* Its end brings back what is under way there. It may be shut for good: whatever it says. */
static void
on_broken(const struct sl_pool *p, struct sl_ctx *ctx, const struct sl_replica *r,
          const struct sl_m_shortcut_broken *m)
{
    struct sl_m_spawn_kill kill = {.tag = r->number, .signal = SIGKILL};
    sl_report_warn("shortcut-misused", "extractor=%s replica=%u action=kill why=\"%.*s\"",
                   p->extractor, r->number, SL_SLICE_FMT(m->why));
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_SPAWNER), SL_M_spawn_kill, &kill);
}

struct sl_pool *
sl_pool_shortcut_take(struct sl_pool *pools, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    uint64_t number = msg->id == SL_M_shortcut_closed ? SL_BODY(msg, shortcut_closed)->replica
                      : msg->id == SL_M_shortcut_load ? SL_BODY(msg, shortcut_load)->replica
                                                      : SL_BODY(msg, shortcut_broken)->replica;
    struct sl_pool *p = NULL;
    struct sl_replica *r =
        msg->from.node == SL_NODE_HEAD ? sl_pools_replica(pools, number, &p) : NULL;
    if (r == NULL)
        return NULL;
    if (msg->id == SL_M_shortcut_load)
        on_load(p, ctx, r, SL_BODY(msg, shortcut_load));
    else if (msg->id == SL_M_shortcut_closed)
        on_closed(r, SL_BODY(msg, shortcut_closed)->is_none != 0);
    else
        on_broken(p, ctx, r, SL_BODY(msg, shortcut_broken));
    return p;
}
