/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/api.h"

#include <inttypes.h>

#include "actors/rows.h"
#include "gateway/account.h"
#include "gateway/api_state.h"
#include "gateway/events.h"
#include "gateway/ask.h"
#include "gateway/limits.h"
#include "gateway/logs.h"
#include "gateway/meter.h"
#include "gateway/model/open.h"
#include "gateway/purge.h"
#include "gateway/request_counts.h"
#include "gateway/runner.h"
#include "gateway/trace_log.h"
#include "gateway/use_jobs.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define SL_PROTOCOL_DEF  "gateway/api.def"
#define SL_PROTOCOL_NAME api
#define SL_PROTOCOL_ID   SL_PROTOCOL_API
#define SL_PROTOCOL_LOCAL
#include "runtime/message_table.h"

#define SWEEP_ROWS     1000
#define PURGE_NEXT_NS  (2 * SL_MILLI_NS) /* Calls run between slices. */
#define PURGE_AGAIN_NS SL_SECOND_NS      /* After a failed commit. */
#define SWEEP_NEXT_NS  SL_SECOND_NS
#define SWEEP_ROUND_NS (60 * SL_SECOND_NS) /* Between rounds of all tenants. */
#define EXPIRED_MAX    16                  /* Namespaces of a tenant that end in one sweep. */

/* ---- running ------------------------------------------------------------------------------- */

static void
start_purge(struct sl_api *a, uint64_t delay_ns)
{
    if (!a->options.gateway->has_garbage || a->is_purging)
        return;
    a->is_purging = true;
    sl_after(a->ctx, delay_ns, SL_API_TOKEN_PURGE);
}

static void
start_meter(struct sl_api *a)
{
    uint64_t due_ns = sl_meter_due_ns(a->options.gateway);
    if (due_ns == UINT64_MAX || a->is_metering)
        return;
    a->is_metering = true;
    sl_after(a->ctx, due_ns, SL_API_TOKEN_METER);
}

/* Before the reply to who changed it, which then waits there until they have heard of it. */
static bool
tell_edges(struct sl_api *a, const struct sl_call *call)
{
    struct sl_gateway *g = a->options.gateway;
    if (!a->options.has_edges || (!g->is_touched && !sl_keyring_has_changes(g->keyring)))
        return false;
    struct sl_m_api_changed m = {
        .is_touched = g->is_touched, .scope = g->touched.id, .call = (uint64_t)(uintptr_t)call};
    g->is_touched = false;
    sl_send(a->ctx, sl_at(0, SL_ACTOR_EDGES), SL_M_api_changed, &m);
    return true;
}

static void
tell_asker(struct sl_api *a, struct sl_call *call)
{
    struct sl_m_model_opened reply;
    sl_model_open_reply(call, &reply);
    sl_request(a->ctx, sl_at(call->asker.node, call->asker.actor), call->asker.request,
               SL_M_model_opened, &reply);
    sl_call_destroy(&call);
}

/* Whether it is among the slowest of its minute: then the head keeps where its time went. */
static bool
is_slow(const struct sl_api *a, const struct sl_call *call)
{
    const struct sl_trace_log *log = a->options.gateway->trace_log;
    uint64_t took_ns = call->used.ended_ns - call->used.begun_ns;
    if (call->used.received_ms != 0 && a->ctx->now_ms > call->used.received_ms)
        took_ns = SL_MAX(took_ns, (a->ctx->now_ms - call->used.received_ms) * SL_MILLI_NS);
    if (log == NULL || call->used.is_patient || call->asker.node != 0)
        return false;
    return sl_trace_log_wants(log, (uint64_t)(uintptr_t)call->route, took_ns, a->ctx->now_ms);
}

static void
trace(struct sl_api *a, const struct sl_call *call)
{
    bool is_sampled = a->options.is_traced && (call->sent.trace.flags & SL_TRACE_SAMPLED) != 0;
    if (!is_sampled && !is_slow(a, call))
        return;
    struct sl_m_call_traced m = {.context = sl_slice(&call->sent.trace, sizeof(call->sent.trace)),
                                 .method = sl_slice_str(sl_method_name(call->route->method)),
                                 .route = sl_slice_str(call->route->path),
                                 .tenant = sl_slice_str(call->who.tenant_id),
                                 .request_id = sl_slice_str(call->request_id),
                                 .kind = (uint64_t)(uintptr_t)call->route,
                                 .scope = call->who.scope.id,
                                 .status = call->status,
                                 .received_ms = call->used.received_ms,
                                 .begun_ns = call->used.begun_ns,
                                 .asked_ns = call->used.asked_ns,
                                 .ended_ns = call->used.ended_ns,
                                 .queued_ns = call->used.replica.queued_ns,
                                 .batched_ns = call->used.replica.batched_ns,
                                 .computed_ns = call->used.replica.computed_ns};
    sl_send(a->ctx, sl_at(SL_NODE_PORT, SL_PORT_TRACES), SL_M_call_traced, &m);
}

static void
finish(struct sl_api *a, struct sl_call *call)
{
    start_purge(a, PURGE_NEXT_NS);
    bool is_told = tell_edges(a, call->is_waiting || call->asker.node != 0 ? NULL : call);
    if (call->is_waiting) {
        if (call->used.asked_ns == 0)
            call->used.asked_ns = sl_time_mono_ns();
        return;
    }
    call->used.ended_ns = SL_MAX(sl_time_mono_ns(), call->used.begun_ns);
    trace(a, call);
    sl_limits_answered(call);
    sl_meter_answered(call);
    sl_request_counts_answered(call);
    start_meter(a);
    if (call->asker.node != 0) {
        tell_asker(a, call);
        return;
    }
    struct sl_m_api_reply m = {.call = (uint64_t)(uintptr_t)call};
    struct sl_addr to = sl_at(SL_NODE_PORT, SL_PORT_FRONT);
    if (call->origin.node != 0 || is_told)
        to = sl_at(0, SL_ACTOR_EDGES);
    sl_send(a->ctx, to, SL_M_api_reply, &m);
}

static void
run(struct sl_api *a, struct sl_ctx *ctx, struct sl_call *call)
{
    call->internal = a;
    call->random = ctx->random;
    call->used.received_ms = call->now_ms;
    call->now_ms = ctx->now_ms;
    call->now_ns = call->used.begun_ns = ctx->now_ns;
    call->deadline_ns = call->timeout_ns == 0 ? 0 : ctx->now_ns + call->timeout_ns;
    struct sl_report_about about;
    char trace[SL_LOGS_TRACE_SIZE];
    sl_logs_about(call, &about, trace);
    (void)sl_report_about_set(&about);
    sl_runner_run(a->options.gateway, call);
    (void)sl_report_about_set(NULL);
    finish(a, call);
}

static void
on_call(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    run(self, ctx, (struct sl_call *)(uintptr_t)SL_BODY(msg, api_call)->call);
}

/* By a node's agent; of a head alone, which has the catalogue. */
static void
on_model_open(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct sl_api *a = self;
    if (a->options.gateway->store != NULL)
        run(a, ctx, sl_model_open_call(msg));
}

/* NULL: nobody waits for it. */
static struct sl_api_wait *
end_wait(struct sl_api *a, uint64_t serial)
{
    struct sl_api_wait *w = sl_api_find_wait(a, serial);
    if (w == NULL || w->embeds != NULL)
        return NULL;
    sl_api_end_wait(a, w);
    return w;
}

static void
go_on(struct sl_api *a, struct sl_ctx *ctx, struct sl_api_wait *w)
{
    struct sl_call *call = w->call;
    call->now_ms = ctx->now_ms;
    call->now_ns = ctx->now_ns;
    if (w->queue.lane != 0 && a->is_stopping)
        call->wait.error = SL_ECANCELED;
    struct sl_report_about about;
    char trace[SL_LOGS_TRACE_SIZE];
    sl_logs_about(call, &about, trace);
    (void)sl_report_about_set(&about);
    sl_runner_continue(a->options.gateway, call, w->then);
    (void)sl_report_about_set(NULL);
    sl_free(w);
    finish(a, call);
}

static void
on_embedded(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct sl_api *a = self;
    struct sl_api_wait *w = sl_api_embeds_find(a, msg->request);
    if (w == NULL || !sl_api_embeds_take(a, w, msg))
        return;
    sl_api_end_wait(a, w);
    go_on(a, ctx, w);
}

static void
on_model_loaded(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    const struct sl_m_model_loaded *m = SL_BODY(msg, model_loaded);
    struct sl_api_wait *w = end_wait(self, msg->request);
    if (w == NULL)
        return;
    sl_api_set_wait(w->call, m->err, m->message);
    w->call->wait.is_cached = m->is_cached != 0;
    go_on(self, ctx, w);
}

static void
on_node_ordered(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    const struct sl_m_node_ordered *m = SL_BODY(msg, node_ordered);
    struct sl_api_wait *w = end_wait(self, msg->request);
    if (w == NULL)
        return;
    sl_api_set_wait(w->call, m->err, m->message);
    go_on(self, ctx, w);
}

static void
on_work_done(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct sl_api *a = self;
    struct sl_api_wait *w = end_wait(a, SL_BODY(msg, work_done)->token);
    if (w == NULL)
        return;
    if (w->is_long)
        sl_api_end_long(a, w->call->who.scope);
    go_on(a, ctx, w);
}

/* Those that are ready now; who waits again meanwhile is not. */
static void
on_queue_ready(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct sl_api *a = self;
    uint64_t serial;
    if (SL_BODY(msg, queue_ready)->is_stopping) {
        a->is_stopping = true;
        (void)sl_queue_waits_touch_all(a->queues);
    }
    while (sl_queue_waits_take(a->queues, &serial)) {
        struct sl_api_wait *w = end_wait(a, serial);
        if (w != NULL)
            go_on(a, ctx, w);
    }
}

static void
on_status(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct sl_api *a = self;
    a->options.status(a->options.arg, ctx, SL_BODY(msg, api_status));
}

static void
on_job_ended(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    /* What its tiers noted for each other may be garbage now. */
    struct sl_api *a = self;
    const struct sl_m_job_ended *m = SL_BODY(msg, job_ended);
    (void)ctx;
    sl_use_job_ended(a->options.gateway, (struct sl_scope){m->scope}, m->job);
    a->options.gateway->has_garbage = true;
    start_purge(a, PURGE_NEXT_NS);
}

static void
expire_namespaces(struct sl_api *a, struct sl_ctx *ctx, struct sl_scope scope)
{
    const char *id = "";
    for (uint32_t i = 0; id != NULL && i < EXPIRED_MAX; i++) {
        struct sl_call *call = sl_call_create();
        call->who.scope = scope;
        call->now_ms = ctx->now_ms;
        call->random = ctx->random;
        call->internal = a;
        enum sl_err err = sl_runner_expire(a->options.gateway, call, &id);
        if (id != NULL)
            sl_report_info("namespace-expired", "scope=%" PRIu64 " namespace=%s err=%s", scope.id,
                           id, sl_err_name(err));
        if (err != SL_OK)
            id = NULL; /* The next round tries again. */
        sl_call_destroy(&call);
    }
    start_purge(a, PURGE_NEXT_NS);
    (void)tell_edges(a, NULL);
}

static void
purge(struct sl_api *a, struct sl_ctx *ctx)
{
    bool is_more = false;
    enum sl_err err = sl_purge_step(a->options.gateway, ctx->now_ms, SL_PURGE_ROWS, &is_more);
    if (err != SL_OK)
        sl_report_warn("purge-failed", "err=%s action=\"it is tried again\"", sl_err_name(err));
    (void)tell_edges(a, NULL);
    a->is_purging = false;
    /* What is due soon is looked at each second, and what is due later at each turn of the sweep.
     */
    uint64_t due_ms = a->options.gateway->passage_due_ms;
    bool is_soon = due_ms != UINT64_MAX && due_ms < ctx->now_ms + SWEEP_ROUND_NS / SL_MILLI_NS;
    a->options.gateway->has_garbage = is_more || is_soon || err != SL_OK;
    start_purge(a, err == SL_OK && is_more ? PURGE_NEXT_NS : PURGE_AGAIN_NS);
}

/*
 * Stored replies outlive their day by the time a round of all tenants takes: nobody waits for it. A
 * tenant with many of them takes several turns, from where the last one stopped.
 */
static void
sweep(struct sl_api *a, struct sl_ctx *ctx)
{
    bool has_tenant = a->sweep_row.size > 0;
    if (!has_tenant) {
        struct sl_txn *txn = sl_store_begin(ctx->store);
        has_tenant = sl_tenant_next(txn, &a->sweep_tenant, &a->sweep_scope);
        sl_txn_abort(&txn);
        if (has_tenant)
            expire_namespaces(a, ctx, a->sweep_scope);
    }
    enum sl_err err = SL_OK;
    if (has_tenant)
        err = sl_runner_sweep(a->options.gateway, a->sweep_scope, ctx->now_ms, SWEEP_ROWS,
                              &a->sweep_row);
    if (err != SL_OK) {
        sl_report_warn("sweep-failed", "scope=%" PRIu64 " err=%s", a->sweep_scope.id,
                       sl_err_name(err));
        sl_buf_clear(&a->sweep_row); /* On to the next: this one's turn comes again. */
    }
    a->options.gateway->has_garbage = true; /* Perhaps: a passage may have fallen due. */
    start_purge(a, PURGE_NEXT_NS);
    sl_after(ctx, has_tenant ? SWEEP_NEXT_NS : SWEEP_ROUND_NS, SL_API_TOKEN_SWEEP);
}

/* What nobody waits for is not computed: its connection is gone, and so will its reply be. */
static void
cancel_gone(struct sl_api *a, struct sl_ctx *ctx)
{
    bool has_embeds = false;
    a->is_looking = false;
    for (struct sl_api_wait *w = a->waiting, *next; w != NULL; w = next) {
        const atomic_bool *gone = w->call->client_gone;
        next = w->next;
        has_embeds = has_embeds || w->embeds != NULL;
        if (w->embeds == NULL || gone == NULL || !atomic_load(gone))
            continue;
        sl_api_embeds_cancel(a, w);
        sl_api_end_wait(a, w);
        sl_api_set_wait(w->call, SL_ECANCELED,
                        sl_slice_str("the client has closed the connection"));
        go_on(a, ctx, w);
    }
    if (has_embeds)
        sl_api_look_for_gone(a);
}

static void
tick_meter(struct sl_api *a, struct sl_ctx *ctx)
{
    enum sl_err err = sl_meter_tick(a->options.gateway, ctx->now_ms);
    if (err != SL_OK)
        sl_report_warn("meter-failed", "err=%s action=\"it is tried again\"", sl_err_name(err));
    a->is_metering = false;
    start_meter(a);
}

static void
on_timer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct sl_api *a = self;
    uint64_t token = SL_BODY(msg, timer)->token;
    if (token == SL_API_TOKEN_GONE) {
        cancel_gone(a, ctx);
        return;
    }
    if (token == SL_API_TOKEN_PURGE) {
        purge(a, ctx);
        return;
    }
    if (token == SL_API_TOKEN_METER) {
        tick_meter(a, ctx);
        return;
    }
    if (token == SL_API_TOKEN_SWEEP) {
        sweep(a, ctx);
        return;
    }
    struct sl_api_wait *w = end_wait(a, token);
    if (w != NULL)
        go_on(a, ctx, w);
}

static const struct sl_on table[] = {
    {SL_M_api_call, on_call},
    {SL_M_embedded, on_embedded},
    {SL_M_model_loaded, on_model_loaded},
    {SL_M_model_open, on_model_open},
    {SL_M_work_done, on_work_done},
    {SL_M_node_ordered, on_node_ordered},
    {SL_M_api_status, on_status},
    {SL_M_queue_ready, on_queue_ready},
    {SL_M_job_ended, on_job_ended},
    {SL_M_cluster_event, sl_events_take},
    {SL_M_timer, on_timer},
};

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct sl_api *a = self;
    a->ctx = ctx;
    if (!sl_dispatch(table, SL_COUNT_OF(table), self, ctx, msg))
        sl_report_warn("message-unknown", "actor=api message=%s", msg->type->name);
    a->ctx = NULL;
}

static void
init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct sl_api *a = self;
    a->options = *(const struct sl_api_options *)argument;
    a->serial_last = SL_API_TOKEN_LAST;
    a->queues = sl_queue_waits_create();
    if (a->options.gateway->store == NULL)
        return; /* A gateway's: it runs calls that need none. */
    a->ctx = ctx;
    sl_events_watch(a);
    a->options.gateway->has_garbage = true; /* Perhaps: of a run before this one. */
    start_purge(a, SL_SECOND_NS);
    a->ctx = NULL;
    sl_after(ctx, SWEEP_ROUND_NS, SL_API_TOKEN_SWEEP);
}

static void
deinit(void *self)
{
    struct sl_api *a = self;
    for (struct sl_api_wait *w = a->waiting, *next; w != NULL; w = next) {
        next = w->next;
        sl_call_destroy(&w->call);
        sl_free(w);
    }
    sl_queue_waits_destroy(&a->queues);
    sl_buf_deinit(&a->sweep_tenant);
    sl_buf_deinit(&a->sweep_row);
}

const struct sl_actor_class sl_api_class = {
    .name = "api",
    .state_size = sizeof(struct sl_api),
    .init = init,
    .handle = handle,
    .deinit = deinit,
};

uint32_t
sl_api_waiting(const void *api)
{
    return ((const struct sl_api *)api)->waiting_count;
}

bool
sl_api_touch(void *api, struct sl_scope scope, uint64_t lane, bool is_all)
{
    return sl_queue_waits_touch(((struct sl_api *)api)->queues, scope, lane, is_all);
}
