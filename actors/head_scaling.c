/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/head_scaling.h"

#include <inttypes.h>
#include <stdio.h>

#include "actors/node_facts.h"
#include "actors/router.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

#define HOLD_NS (3 * SL_ROUTER_TELL_NS) /* A router's word may be late. */
#define CALLS_ORDER                                                                                \
    {                                                                                              \
        0, 3, 2, 1                                                                                 \
    } /* Which group gets calls that any may run: cpu, any, gpu, batch. */

static struct sl_scaler_options
options_of(const struct sl_head_scaling *s, uint32_t i)
{
    const struct sl_node_group_limits *limits = &s->groups->limits[i];
    return (struct sl_scaler_options){.group = limits->name,
                                      .min = limits->min,
                                      .max = limits->max,
                                      .idle_ns = limits->idle_ns,
                                      .drain_ns = limits->drain_ns,
                                      .node = {.places = limits->tasks,
                                               .cpus_milli = 1000 * limits->cpus,
                                               .gpus_milli = 1000 * limits->gpus,
                                               .memory_bytes = limits->memory_bytes},
                                      .no_hardware = s->provider.lacks(s->provider.self, limits)};
}

static void
init_group(struct sl_head_scaling *s, uint32_t i)
{
    const struct sl_scaler_options options = options_of(s, i);
    sl_scaler_init(&s->scalers[i], &options);
    s->is_scaled[i] = s->is_on = true;
}

void
sl_head_scaling_init(struct sl_head_scaling *s, const struct sl_node_groups *groups,
                     struct sl_node_provider provider)
{
    s->groups = groups;
    s->provider = provider;
    s->timer_ns = UINT64_MAX;
    for (uint32_t i = 0; i < SL_NODE_GROUPS_COUNT; i++) {
        if (groups->limits[i].is_local)
            init_group(s, i);
    }
}

void
sl_head_scaling_deinit(struct sl_head_scaling *s)
{
    for (uint32_t i = 0; i < SL_NODE_GROUPS_COUNT; i++)
        sl_scaler_deinit(&s->scalers[i]);
    s->provider.deinit(s->provider.self);
    sl_cluster_log_deinit(&s->log);
}

/* The scaler of a group; NULL: nobody scales it. */
static struct sl_scaler *
scaler_of(struct sl_head_scaling *s, const char *group)
{
    for (uint32_t i = 0; i < SL_NODE_GROUPS_COUNT; i++) {
        if (s->is_scaled[i] && strcmp(s->groups->limits[i].name, group) == 0)
            return &s->scalers[i];
    }
    return NULL;
}

/* ---- what happened ------------------------------------------------------------------------- */

void
sl_head_scaling_joined(struct sl_head_scaling *s, const char *group, uint32_t number)
{
    struct sl_scaler *scaler = scaler_of(s, group);
    if (scaler != NULL)
        sl_scaler_joined(scaler, number, s->now_ns);
}

void
sl_head_scaling_busy(struct sl_head_scaling *s, const char *group, uint32_t number,
                     struct sl_scaler_load load)
{
    struct sl_scaler *scaler = scaler_of(s, group);
    if (scaler != NULL)
        sl_scaler_busy(scaler, number, load, s->now_ns);
}

/* What is left of its process is ended too. */
void
sl_head_scaling_gone(struct sl_head_scaling *s, struct sl_ctx *ctx, const char *group,
                     uint32_t number)
{
    struct sl_scaler *scaler = scaler_of(s, group);
    if (scaler == NULL)
        return;
    sl_scaler_gone(scaler, number, s->now_ns);
    s->provider.stop(s->provider.self, ctx, number);
}

void
sl_head_scaling_demand(struct sl_head_scaling *s, const struct sl_m_group_demand *m)
{
    const uint64_t counts[SL_NODE_GROUPS_COUNT] = {m->cpu, m->batch, m->gpu, m->any};
    for (uint32_t i = 0; i < SL_NODE_GROUPS_COUNT; i++) {
        struct sl_pack_kind kind = {.each = {.places = 1}, .count = counts[i]};
        if (s->is_scaled[i])
            sl_scaler_demand(&s->scalers[i], &kind, 1);
    }
}

/* Note what one router says; returns until when calls are under way by what all have said. */
static uint64_t
calls_until_ns(struct sl_head_scaling *s, uint32_t router, uint64_t calls)
{
    struct sl_head_router *own = NULL;
    uint64_t until_ns = 0;
    for (uint32_t i = 0; i < SL_HEAD_ROUTERS_MAX; i++) {
        struct sl_head_router *r = &s->routers[i];
        if (r->node == router || r->calls_until_ns <= s->now_ns)
            *r = (struct sl_head_router){0};
        until_ns = SL_MAX(until_ns, r->calls_until_ns);
        own = r->calls_until_ns == 0 ? r : own;
    }
    if (calls == 0)
        return until_ns;
    if (own != NULL) /* Else more have calls than may be linked: theirs will do. */
        *own = (struct sl_head_router){router, s->now_ns + HOLD_NS};
    return s->now_ns + HOLD_NS;
}

void
sl_head_scaling_calls(struct sl_head_scaling *s, uint32_t router, uint64_t calls)
{
    uint64_t until_ns = calls_until_ns(s, router, calls);
    static const uint32_t order[SL_NODE_GROUPS_COUNT] = CALLS_ORDER;
    for (uint32_t i = 0; i < SL_NODE_GROUPS_COUNT; i++) {
        struct sl_scaler *scaler = &s->scalers[order[i]];
        if (!s->is_scaled[order[i]] || scaler->options.no_hardware != NULL ||
            scaler->options.max == 0)
            continue;
        sl_scaler_calls(scaler, until_ns, s->now_ns);
        return;
    }
}

static void
note(struct sl_head_scaling *s, const struct sl_ctx *ctx, const char *kind, const char *group,
     const char *text)
{
    struct sl_cluster_event like = {.time_ms = ctx->now_ms, .kind = kind, .group = group};
    (void)snprintf(like.about, sizeof(like.about), "%s", group);
    sl_cluster_log_add(&s->log, &like, "%s", text);
    sl_report_info(kind, "group=%s why=\"%s\"", group, text);
}

enum sl_err
sl_head_scaling_set(struct sl_head_scaling *s, struct sl_ctx *ctx, const struct sl_m_group_scale *m,
                    char **ret_why)
{
    const char *name = sl_node_group(m->group);
    struct sl_scaler *scaler = name == NULL ? NULL : scaler_of(s, name);
    char text[96];
    *ret_why = NULL;
    if (name == NULL)
        return SL_ENOTFOUND;
    if (scaler == NULL) {
        *ret_why =
            sl_format("the group %s is not started here: its nodes are workers that somebody "
                      "starts, unless cluster.groups.%s has `provider: local`",
                      name, name);
        return SL_EINVAL;
    }
    if (m->replicas == UINT64_MAX) {
        sl_scaler_unset(scaler);
        note(s, ctx, "group-by-demand", scaler->options.group, "by demand again");
        return SL_OK;
    }
    if (sl_scaler_set(scaler, m->replicas) != SL_OK) {
        *ret_why = sl_format("the group %s has a max of %" PRIu64 " nodes: raise cluster.groups.%s."
                             "max first",
                             name, scaler->options.max, name);
        return SL_EINVAL;
    }
    (void)snprintf(text, sizeof(text), "%" PRIu64 " nodes, until the next apply or restart",
                   m->replicas);
    note(s, ctx, "group-by-hand", scaler->options.group, text);
    return SL_OK;
}

void
sl_head_scaling_reset(struct sl_head_scaling *s, struct sl_ctx *ctx)
{
    for (uint32_t i = 0; i < SL_NODE_GROUPS_COUNT; i++) {
        if (!s->is_scaled[i] || !s->groups->limits[i].is_local)
            continue;
        const struct sl_scaler_options options = options_of(s, i);
        if (s->scalers[i].is_manual)
            note(s, ctx, "group-by-demand", options.group, "by demand again: applied anew");
        sl_scaler_reset(&s->scalers[i], &options);
    }
}

/* ---- what is to be done -------------------------------------------------------------------- */

void
sl_head_scaling_clock(struct sl_head_scaling *s, const struct sl_ctx *ctx)
{
    s->now_ns = ctx->now_ns;
}

static void
start(struct sl_head_scaling *s, struct sl_ctx *ctx, uint32_t i)
{
    const struct sl_node_group_limits *limits = &s->groups->limits[i];
    uint32_t number = s->ops->expect(s->head, ctx, limits);
    sl_scaler_started(&s->scalers[i], number, s->now_ns);
    s->provider.start(s->provider.self, ctx, number, limits);
}

static void
obey(struct sl_head_scaling *s, struct sl_ctx *ctx, uint32_t i, const struct sl_scaler_order *order)
{
    struct sl_cluster_event like = {.time_ms = ctx->now_ms, .group = s->groups->limits[i].name};
    const struct sl_scaler *scaler = &s->scalers[i];
    uint64_t tasks = scaler->tasks;
    (void)snprintf(like.about, sizeof(like.about), "%s", like.group);
    switch (order->what) {
    case SL_SCALER_START:
        start(s, ctx, i);
        like.kind = "node-starting";
        sl_cluster_log_add(&s->log, &like, "%u of %" PRIu64 " nodes, for %" PRIu64 " tasks%s",
                           scaler->count, scaler->options.max, tasks,
                           scaler->is_manual ? ", by hand" : "");
        break;
    case SL_SCALER_DRAIN:
        like.kind = "node-draining";
        sl_cluster_log_add(&s->log, &like, "node %u, which %s", order->number,
                           scaler->is_manual ? "is too many by hand"
                                             : "was not needed for the idle delay");
        s->ops->drain(s->head, ctx, order->number);
        break;
    case SL_SCALER_KILL:
        s->ops->give_up(s->head, ctx, order->number, "overdue");
        break;
    }
}

/* Say once what has changed. */
static void
tell_condition(struct sl_head_scaling *s, const struct sl_ctx *ctx, uint32_t i)
{
    struct sl_scaler_view v = sl_scaler_view(&s->scalers[i], s->now_ns);
    if (v.condition == s->conditions[i])
        return;
    bool is_trouble = v.condition >= SL_SCALER_LIMIT;
    bool was_trouble = s->conditions[i] >= SL_SCALER_LIMIT;
    if (was_trouble && v.condition == SL_SCALER_IS_STARTING)
        return; /* It is tried again: that is not yet the end of it. */
    s->conditions[i] = v.condition;
    if (!is_trouble && !was_trouble)
        return; /* Starting, there, at zero: events of nodes tell that. */
    struct sl_buf reason = {0};
    sl_scaler_reason(&s->scalers[i], s->now_ns, &reason);
    note(s, ctx, is_trouble ? "group-short" : "group-enough", s->groups->limits[i].name,
         is_trouble ? sl_buf_text(&reason) : "it has what it needs again");
    sl_buf_deinit(&reason);
}

void
sl_head_scaling_run(struct sl_head_scaling *s, struct sl_ctx *ctx, uint64_t token)
{
    uint64_t wake_ns = UINT64_MAX;
    for (uint32_t i = 0; s->is_on && i < SL_NODE_GROUPS_COUNT; i++) {
        struct sl_scaler_order order;
        while (s->is_scaled[i] && sl_scaler_next(&s->scalers[i], s->now_ns, &order))
            obey(s, ctx, i, &order);
        if (!s->is_scaled[i])
            continue;
        tell_condition(s, ctx, i);
        wake_ns = SL_MIN(wake_ns, sl_scaler_wake_ns(&s->scalers[i], s->now_ns));
    }
    if (wake_ns >= s->timer_ns)
        return;
    s->timer_ns = wake_ns;
    sl_after(ctx, wake_ns - s->now_ns, token);
}

/* An earlier timer was set after this one, or this is it: then the next run sets another. */
void
sl_head_scaling_rang(struct sl_head_scaling *s, const struct sl_ctx *ctx)
{
    if (ctx->now_ns >= s->timer_ns)
        s->timer_ns = UINT64_MAX;
}

bool
sl_head_scaling_write(const struct sl_head_scaling *s, const char *group, struct sl_jsonw *w)
{
    const struct sl_scaler *scaler = scaler_of((struct sl_head_scaling *)(uintptr_t)s, group);
    struct sl_buf reason = {0};
    if (scaler == NULL)
        return false;
    struct sl_scaler_view v = sl_scaler_view(scaler, s->now_ns);
    sl_scaler_reason(scaler, s->now_ns, &reason);
    sl_jsonw_member_str(w, "provider", s->provider.name);
    sl_jsonw_member_u64(w, "wanted", v.wanted);
    sl_jsonw_member_u64(w, "ready", v.ready);
    sl_jsonw_member_u64(w, "starting", v.starting);
    sl_jsonw_member_u64(w, "draining", v.draining);
    sl_jsonw_member_u64(w, "tasks", scaler->tasks);
    sl_jsonw_member_bool(w, "is_manual", scaler->is_manual);
    if (v.start_ms != UINT64_MAX)
        sl_jsonw_member_u64(w, "predicted_start_ms", v.start_ms);
    sl_jsonw_member_str(w, "condition", sl_scaler_condition_name(v.condition));
    sl_jsonw_member_str(w, "reason", sl_buf_text(&reason));
    sl_buf_deinit(&reason);
    return true;
}
