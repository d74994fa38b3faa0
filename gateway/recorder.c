/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/recorder.h"

#include <math.h>

#include "actors/dispatcher.h"
#include "actors/head.h"
#include "gateway/timeline.h"
#include "gateway/request_counts.h"
#include "gateway/status.h"
#include "queue/look.h"
#include "runtime/alloc.h"
#include "runtime/live.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define TOKEN_LOOK 1u

struct seen { /* What only grows. */
    uint64_t at_ns, cpu_ns;
    uint64_t errors;
    struct sl_request_count requests;
    struct sl_dispatcher_counts tasks;
};

struct recorder {
    struct sl_recorder_options options;
    struct seen last;
};

static float
rate(uint64_t now, uint64_t before, uint64_t took_ns)
{
    return took_ns == 0 ? NAN : (float)((double)(now - before) * SL_SECOND_NS / (double)took_ns);
}

/* ---- looking ------------------------------------------------------------------------------- */

static void
add_tenant(const struct sl_request_tenant *t, struct seen *s)
{
    for (uint32_t i = 0; i < t->used_count; i++) {
        const struct sl_request_count *of = t->routes[t->used[i]];
        s->requests.count += of->count;
        for (uint32_t j = 0; j < SL_REQUEST_STEPS; j++)
            s->requests.steps[j] += of->steps[j];
        for (uint32_t j = 0; j < SL_REQUEST_STATUSES; j++)
            s->errors += of->statuses[j].status >= 500 ? of->statuses[j].count : 0;
    }
}

static void
look(const struct sl_gateway *g, uint64_t now_ns, struct seen *ret_seen)
{
    *ret_seen = (struct seen){.at_ns = now_ns, .cpu_ns = sl_time_processor_ns()};
    const struct sl_request_counts *c = g->requests;
    for (uint32_t i = 0; c != NULL && i < c->count; i++)
        add_tenant(&c->tenants[i], ret_seen);
    if (g->live != NULL)
        sl_dispatcher_counts(sl_live_state(g->live, SL_ACTOR_DISPATCHER), &ret_seen->tasks);
}

/* ---- what is recorded ---------------------------------------------------------------------- */

static void
fill_requests(const struct seen *now, const struct seen *before, float values[])
{
    uint64_t took_ns = now->at_ns - before->at_ns, steps[SL_REQUEST_STEPS];
    for (uint32_t i = 0; i < SL_REQUEST_STEPS; i++)
        steps[i] = now->requests.steps[i] - before->requests.steps[i];
    values[SL_TIMELINE_requests_per_s] = rate(now->requests.count, before->requests.count, took_ns);
    values[SL_TIMELINE_errors_per_s] = rate(now->errors, before->errors, took_ns);
    values[SL_TIMELINE_latency_p50_ms] = (float)sl_request_quantile_ms(steps, 500);
    values[SL_TIMELINE_latency_p99_ms] = (float)sl_request_quantile_ms(steps, 990);
    values[SL_TIMELINE_tasks_per_s] = rate(now->tasks.done, before->tasks.done, took_ns);
    values[SL_TIMELINE_tasks_failed_per_s] = rate(
        now->tasks.retried + now->tasks.dead, before->tasks.retried + before->tasks.dead, took_ns);
    values[SL_TIMELINE_cores] = rate(now->cpu_ns, before->cpu_ns, took_ns) / (float)SL_SECOND_NS;
}

static void
fill_queues(const struct sl_queue *queue, uint64_t now_ms, float values[])
{
    struct sl_queue_depth d;
    uint64_t ready = 0, leased = 0, oldest_ms = now_ms;
    uint32_t at = 0;
    while (sl_queue_depth_next(queue, (struct sl_scope){0}, &at, &d)) {
        ready += d.ready;
        leased += d.leased;
        if (d.oldest_ms != 0 && d.oldest_ms < oldest_ms)
            oldest_ms = d.oldest_ms;
    }
    values[SL_TIMELINE_queue_ready] = (float)ready;
    values[SL_TIMELINE_queue_in_flight] = (float)leased;
    values[SL_TIMELINE_queue_oldest_s] = (float)(now_ms - oldest_ms) / 1000;
}

static void
fill_nodes(struct sl_live *live, float values[])
{
    uint32_t nodes = 0, replicas = 0;
    sl_head_sizes(sl_live_state(live, SL_ACTOR_HEAD), &nodes, &replicas);
    values[SL_TIMELINE_nodes] = (float)nodes;
    values[SL_TIMELINE_replicas] = (float)replicas;
}

static void
record(struct recorder *r, const struct sl_ctx *ctx)
{
    const struct sl_gateway *g = r->options.gateway;
    struct seen now;
    float values[SL_TIMELINE_SERIES];
    for (uint32_t i = 0; i < SL_TIMELINE_SERIES; i++)
        values[i] = NAN;
    look(g, ctx->now_ns, &now);
    fill_requests(&now, &r->last, values);
    if (g->queue != NULL)
        fill_queues(g->queue, ctx->now_ms, values);
    if (g->live != NULL)
        fill_nodes(g->live, values);
    values[SL_TIMELINE_memory_bytes] = (float)sl_status_memory();
    sl_timeline_add(g->timeline, ctx->now_ms, values);
    r->last = now;
}

/* ---- the actor ----------------------------------------------------------------------------- */

static void
on_timer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)msg;
    record(self, ctx);
    sl_after(ctx, SL_TIMELINE_STEP_MS * SL_MILLI_NS, TOKEN_LOOK);
}

static const struct sl_on table[] = {{SL_M_timer, on_timer}};

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (!sl_dispatch(table, SL_COUNT_OF(table), self, ctx, msg))
        sl_report_warn("message-unknown", "actor=recorder message=%s", msg->type->name);
}

static void
init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct recorder *r = self;
    r->options = *(const struct sl_recorder_options *)argument;
    look(r->options.gateway, ctx->now_ns, &r->last);
    sl_after(ctx, SL_TIMELINE_STEP_MS * SL_MILLI_NS, TOKEN_LOOK);
}

const struct sl_actor_class sl_recorder_class = {
    .name = "recorder", .state_size = sizeof(struct recorder), .init = init, .handle = handle};
