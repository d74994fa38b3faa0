/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/api.h"

#include <inttypes.h>

#include "actors/extraction.h"
#include "actors/rows.h"
#include "gateway/account.h"
#include "gateway/ask.h"
#include "gateway/limits.h"
#include "gateway/meter.h"
#include "gateway/model_open.h"
#include "gateway/purge.h"
#include "gateway/queue_waits.h"
#include "gateway/runner.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

#define SL_PROTOCOL_DEF  "gateway/api.def"
#define SL_PROTOCOL_NAME api
#define SL_PROTOCOL_ID   SL_PROTOCOL_API
#define SL_PROTOCOL_LOCAL
#include "runtime/message_table.h"

#define SWEEP_ROWS     1000
#define TOKEN_SWEEP    0
#define TOKEN_PURGE    1
#define TOKEN_GONE     2
#define TOKEN_METER    3
#define TOKEN_LAST     TOKEN_METER       /* Above it: the serial of a call that gave its turn. */
#define PURGE_NEXT_NS  (2 * SL_MILLI_NS) /* Calls run between slices. */
#define PURGE_AGAIN_NS SL_SECOND_NS      /* After a failed commit. */
#define SWEEP_NEXT_NS  SL_SECOND_NS
#define SWEEP_ROUND_NS (60 * SL_SECOND_NS) /* Between rounds of all tenants. */
#define GONE_NS        (250 * SL_MILLI_NS) /* Between looks for clients that have hung up. */
#define EXPIRED_MAX    16                  /* Namespaces of a tenant that end in one sweep. */

/* One ask under way. */
struct waiting {
    struct waiting *next;
    uint64_t serial;
    struct sl_call *call;
    sl_handler_fn *then;
    void (*work)(struct sl_call *call);
    bool is_long, is_queued; /* Queued: its work has not been given to the pool. */
    bool is_embed;
    struct sl_queue_wait queue; /* Lane 0: it waits for none. */
};

struct api {
    struct sl_api_options options;
    struct sl_ctx *ctx; /* Of the message being handled: asks go out through it. */
    struct waiting *waiting;
    uint32_t waiting_count;
    uint32_t long_count;                               /* Works of minutes under way. */
    struct sl_scope long_scopes[SL_LONG_WORK_AT_ONCE]; /* Whose they are. */
    uint64_t serial_last;
    bool is_purging;  /* Its timer is set. */
    bool is_looking;  /* For clients that have gone: its timer is set. */
    bool is_metering; /* Its timer is set. */
    bool is_stopping;
    struct sl_queue_waits *queues; /* Which calls wait for own queues. */
    struct sl_scope sweep_scope;
    struct sl_buf sweep_tenant, sweep_row; /* Where the sweep of expired replies goes on. */
};

/* ---- asking -------------------------------------------------------------------------------- */

static struct waiting *
begin_wait(struct sl_call *call, sl_handler_fn *then)
{
    struct api *a = call->internal;
    struct waiting *w = sl_zalloc(sizeof(*w));
    *w = (struct waiting){
        .next = a->waiting, .serial = ++a->serial_last, .call = call, .then = then};
    a->waiting = w;
    a->waiting_count++;
    call->is_waiting = true;
    call->wait = (struct sl_wait){0};
    return w;
}

/* Of the time that a request stated; 0: it stated none. A text too late has a nanosecond: the
 * router says so. */
static uint64_t
time_left_ns(const struct sl_call *call)
{
    if (call->deadline_ns == 0)
        return 0;
    return call->deadline_ns > call->now_ns ? call->deadline_ns - call->now_ns : 1;
}

static void
look_for_gone(struct api *a)
{
    if (a->is_looking)
        return;
    a->is_looking = true;
    sl_after(a->ctx, GONE_NS, TOKEN_GONE);
}

void
sl_call_embed(struct sl_call *call, struct sl_json extraction, struct sl_slice text,
              sl_handler_fn *then)
{
    struct api *a = call->internal;
    struct sl_buf spec = {0}, inputs = {0};
    sl_extraction_query(extraction, &spec);
    sl_buf_append_block(&inputs, sl_slice_str("text"));
    sl_buf_append_block(&inputs, sl_slice_str("text"));
    sl_buf_append_block(&inputs, text);
    struct sl_slice known = call->resolved.model;
    char *model = call->resolved.extraction.size > 0
                      ? sl_strndup(known.data, known.size)
                      : sl_extraction_model_directory(call->txn, call->who.scope, extraction);
    struct sl_m_embed m = {.spec = sl_buf_slice(&spec),
                           .model = sl_slice_str(model),
                           .inputs = sl_buf_slice(&inputs),
                           .tenant = sl_extraction_tenant(call->who.scope, extraction, model),
                           .scope = call->who.scope.id,
                           .timeout_ns = time_left_ns(call),
                           .sticky = call->sticky};
    struct waiting *w = begin_wait(call, then);
    w->is_embed = true;
    look_for_gone(a);
    sl_request(a->ctx, sl_at(0, SL_ACTOR_ROUTER), w->serial, SL_M_embed, &m);
    sl_free(model);
    sl_buf_deinit(&spec);
    sl_buf_deinit(&inputs);
}

void
sl_call_model_load(struct sl_call *call, const struct sl_model_load *what, sl_handler_fn *then)
{
    struct api *a = call->internal;
    struct sl_m_model_load m = {.directory = sl_slice_str(what->directory),
                                .size_bytes = what->size_bytes,
                                .node = what->node};
    struct waiting *w = begin_wait(call, then);
    sl_request(a->ctx, sl_at(0, SL_ACTOR_ROUTER), w->serial, SL_M_model_load, &m);
}

void
sl_call_nodes(struct sl_call *call, uint64_t what, sl_handler_fn *then)
{
    struct api *a = call->internal;
    struct waiting *w = begin_wait(call, then);
    sl_request(a->ctx, sl_at(0, SL_ACTOR_HEAD), w->serial, SL_M_node_list,
               &(struct sl_m_node_list){.reason = what});
}

void
sl_call_node_order(struct sl_call *call, struct sl_slice node, uint64_t order, sl_handler_fn *then)
{
    struct api *a = call->internal;
    struct waiting *w = begin_wait(call, then);
    struct sl_m_node_order m = {.name = node, .order = order};
    sl_request(a->ctx, sl_at(0, SL_ACTOR_HEAD), w->serial, SL_M_node_order, &m);
}

void
sl_call_group_scale(struct sl_call *call, struct sl_slice group, uint64_t replicas,
                    sl_handler_fn *then)
{
    struct api *a = call->internal;
    struct waiting *w = begin_wait(call, then);
    struct sl_m_group_scale m = {.group = group, .replicas = replicas};
    sl_request(a->ctx, sl_at(0, SL_ACTOR_HEAD), w->serial, SL_M_group_scale, &m);
}

void
sl_call_head_config(struct sl_call *call, struct sl_slice groups, struct sl_slice extractors,
                    sl_handler_fn *then)
{
    struct api *a = call->internal;
    struct waiting *w = begin_wait(call, then);
    struct sl_m_head_config m = {.groups = groups, .extractors = extractors};
    sl_request(a->ctx, sl_at(0, SL_ACTOR_HEAD), w->serial, SL_M_head_config, &m);
}

void
sl_call_placement(struct sl_call *call, struct sl_job_id job, sl_handler_fn *then)
{
    struct api *a = call->internal;
    struct waiting *w = begin_wait(call, then);
    struct sl_m_placement m = {.job = sl_slice(job.bytes, sizeof(job.bytes))};
    sl_request(a->ctx, sl_at(0, SL_ACTOR_DISPATCHER), w->serial, SL_M_placement, &m);
}

static void
send_drop(struct sl_call *call, void *arg)
{
    struct api *a = call->internal;
    struct sl_m_model_drop m = {.directory = sl_slice_str(arg)};
    sl_send(a->ctx, sl_at(0, SL_ACTOR_ROUTER), SL_M_model_drop, &m);
    sl_send(a->ctx, sl_at(0, SL_ACTOR_HEAD), SL_M_model_drop, &m);
}

void
sl_call_model_drop(struct sl_call *call, const char *directory)
{
    sl_call_after_commit(call, send_drop, sl_call_format(call, "%s", directory));
}

static void
send_evict(struct sl_call *call, void *arg)
{
    struct api *a = call->internal;
    struct sl_m_model_evict m = {.directory = sl_slice_str(arg)};
    sl_send(a->ctx, sl_at(0, SL_ACTOR_ROUTER), SL_M_model_evict, &m);
    /* What it keeps for nodes that come goes at once; those that have it go on. */
    sl_send(a->ctx, sl_at(0, SL_ACTOR_HEAD), SL_M_model_drop,
            &(struct sl_m_model_drop){.directory = m.directory});
}

void
sl_call_model_evict(struct sl_call *call, const char *directory)
{
    sl_call_after_commit(call, send_evict, sl_call_format(call, "%s", directory));
}

static void
run_work(void *argument)
{
    struct waiting *w = argument;
    w->work(w->call);
}

void
sl_call_work(struct sl_call *call, void (*work)(struct sl_call *call), sl_handler_fn *then)
{
    struct api *a = call->internal;
    struct waiting *w = begin_wait(call, then);
    w->work = work;
    sl_work(a->ctx, run_work, w, w->serial);
}

static uint32_t
long_works_of(const struct api *a, struct sl_scope scope)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->long_count; i++)
        count += a->long_scopes[i].id == scope.id;
    return count;
}

/* Of those who wait: a tenant's that has the fewest under way, and of these who came first. The
 * list is newest first, so that this is the last that is found. */
static void
start_long(struct api *a)
{
    struct waiting *next = NULL;
    uint32_t least = SL_LONG_WORK_OF_TENANT - 1;
    if (a->long_count == SL_LONG_WORK_AT_ONCE)
        return;
    for (struct waiting *w = a->waiting; w != NULL; w = w->next) {
        if (!w->is_queued || long_works_of(a, w->call->who.scope) > least)
            continue;
        least = long_works_of(a, w->call->who.scope);
        next = w;
    }
    if (next == NULL)
        return;
    next->is_queued = false;
    a->long_scopes[a->long_count++] = next->call->who.scope;
    sl_work(a->ctx, run_work, next, next->serial);
}

static void
end_long(struct api *a, struct sl_scope scope)
{
    uint32_t i = 0;
    while (i < a->long_count && a->long_scopes[i].id != scope.id)
        i++;
    if (SL_BUG(i == a->long_count))
        return;
    a->long_scopes[i] = a->long_scopes[--a->long_count];
    start_long(a);
}

void
sl_call_work_long(struct sl_call *call, void (*work)(struct sl_call *call), sl_handler_fn *then)
{
    struct waiting *w = begin_wait(call, then);
    w->work = work;
    w->is_long = w->is_queued = true;
    start_long(call->internal);
}

/* By a timer: it needs no thread, and no mailbox refuses it. */
void
sl_call_yield(struct sl_call *call, sl_handler_fn *then)
{
    struct api *a = call->internal;
    struct waiting *w = begin_wait(call, then);
    sl_after(a->ctx, 0, w->serial);
}

void
sl_call_await_queue(struct sl_call *call, uint64_t lane, uint64_t delay_ns, sl_handler_fn *then)
{
    struct api *a = call->internal;
    struct waiting *w = begin_wait(call, then);
    w->queue = (struct sl_queue_wait){.serial = w->serial, .scope = call->who.scope, .lane = lane};
    sl_queue_waits_add(a->queues, &w->queue);
    sl_after(a->ctx, a->is_stopping ? 0 : delay_ns, w->serial);
}

static void
send_ready(struct api *a)
{
    sl_send(a->ctx, sl_at(0, SL_ACTOR_API), SL_M_queue_ready, &(struct sl_m_queue_ready){0});
}

static void
touch_queue(struct sl_call *call, void *arg)
{
    struct api *a = call->internal;
    const struct sl_queue_wait *what = arg;
    if (sl_queue_waits_touch(a->queues, what->scope, what->lane, true))
        send_ready(a);
}

void
sl_call_touch_queue(struct sl_call *call, struct sl_scope scope, uint64_t lane)
{
    struct sl_queue_wait *what = sl_call_alloc(call, sizeof(*what));
    *what = (struct sl_queue_wait){.scope = scope, .lane = lane};
    sl_call_after_commit(call, touch_queue, what);
}

struct later {
    void (*work)(void *arg);
    void *arg;
};

static void
run_later(void *argument)
{
    struct later *l = argument;
    l->work(l->arg);
    sl_free(l->arg);
    sl_free(l);
}

void
sl_call_when_durable(struct sl_call *call, void (*work)(void *arg), void *arg)
{
    struct api *a = call->internal;
    struct later *l = sl_zalloc(sizeof(*l));
    *l = (struct later){work, arg};
    sl_work(a->ctx, run_later, l, 0); /* Work is held until the log is synced. Nobody waits. */
}

static void
send_wake(struct sl_call *call, void *arg)
{
    (void)arg;
    struct api *a = call->internal;
    sl_send(a->ctx, sl_at(0, SL_ACTOR_DISPATCHER), SL_M_wake, &(struct sl_m_wake){0});
}

void
sl_call_wake_dispatcher(struct sl_call *call)
{
    sl_call_after_commit(call, send_wake, NULL);
}

static void
send_wake_broker(struct sl_call *call, void *arg)
{
    (void)arg;
    struct api *a = call->internal;
    sl_send(a->ctx, sl_at(0, SL_ACTOR_BROKER), SL_M_wake, &(struct sl_m_wake){0});
}

void
sl_call_wake_broker(struct sl_call *call)
{
    sl_call_after_commit(call, send_wake_broker, NULL);
}

/* ---- running ------------------------------------------------------------------------------- */

static void
start_purge(struct api *a, uint64_t delay_ns)
{
    if (!a->options.gateway->has_garbage || a->is_purging)
        return;
    a->is_purging = true;
    sl_after(a->ctx, delay_ns, TOKEN_PURGE);
}

static void
start_meter(struct api *a)
{
    uint64_t due_ns = sl_meter_due_ns(a->options.gateway);
    if (due_ns == UINT64_MAX || a->is_metering)
        return;
    a->is_metering = true;
    sl_after(a->ctx, due_ns, TOKEN_METER);
}

/* Before the reply to who changed it, which then waits there until they have heard of it. */
static bool
tell_edges(struct api *a, const struct sl_call *call)
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
tell_asker(struct api *a, struct sl_call *call)
{
    struct sl_m_model_opened reply;
    sl_model_open_reply(call, &reply);
    sl_request(a->ctx, sl_at(call->asker.node, call->asker.actor), call->asker.request,
               SL_M_model_opened, &reply);
    sl_call_destroy(&call);
}

static void
finish(struct api *a, struct sl_call *call)
{
    start_purge(a, PURGE_NEXT_NS);
    bool is_told = tell_edges(a, call->is_waiting || call->asker.node != 0 ? NULL : call);
    if (call->is_waiting)
        return;
    sl_limits_answered(call);
    sl_meter_answered(call);
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
run(struct api *a, struct sl_ctx *ctx, struct sl_call *call)
{
    call->internal = a;
    call->random = ctx->random;
    call->now_ms = ctx->now_ms;
    call->now_ns = ctx->now_ns;
    call->deadline_ns = call->timeout_ns == 0 ? 0 : ctx->now_ns + call->timeout_ns;
    sl_runner_run(a->options.gateway, call);
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
    struct api *a = self;
    if (a->options.gateway->store != NULL)
        run(a, ctx, sl_model_open_call(msg));
}

static struct waiting *
end_wait(struct api *a, uint64_t serial)
{
    for (struct waiting **at = &a->waiting; *at != NULL; at = &(*at)->next) {
        struct waiting *w = *at;
        if (w->serial != serial)
            continue;
        *at = w->next;
        a->waiting_count--;
        if (w->queue.lane != 0)
            sl_queue_waits_remove(a->queues, &w->queue);
        return w;
    }
    return NULL;
}

static void
go_on(struct api *a, struct sl_ctx *ctx, struct waiting *w)
{
    struct sl_call *call = w->call;
    call->now_ms = ctx->now_ms;
    call->now_ns = ctx->now_ns;
    if (w->queue.lane != 0 && a->is_stopping)
        call->wait.error = SL_ECANCELED;
    sl_runner_continue(a->options.gateway, call, w->then);
    sl_free(w);
    finish(a, call);
}

static void
on_embedded(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    const struct sl_m_embedded *m = SL_BODY(msg, embedded);
    struct waiting *w = end_wait(self, msg->request);
    if (w == NULL)
        return;
    struct sl_wait *wait = &w->call->wait;
    if (m->err == SL_OK)
        sl_meter_use(w->call, SL_LEDGER_embeddings, 1, "");
    wait->error = m->err < SL_ERR_COUNT ? (enum sl_err)m->err : SL_EBUG;
    wait->message = (const char *)sl_call_copy(w->call, m->message).data;
    wait->dimensions = (uint32_t)(m->vector.size / sizeof(float));
    if (wait->dimensions > 0) {
        float *vector = sl_call_alloc(w->call, m->vector.size);
        memcpy(vector, m->vector.data, m->vector.size);
        wait->vector = vector;
    }
    go_on(self, ctx, w);
}

/* What came is an error and a text. */
static void
set_wait(struct sl_call *call, uint64_t err, struct sl_slice message)
{
    call->wait.error = err < SL_ERR_COUNT ? (enum sl_err)err : SL_EBUG;
    call->wait.message = (const char *)sl_call_copy(call, message).data;
}

static void
on_model_loaded(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    const struct sl_m_model_loaded *m = SL_BODY(msg, model_loaded);
    struct waiting *w = end_wait(self, msg->request);
    if (w == NULL)
        return;
    set_wait(w->call, m->err, m->message);
    w->call->wait.is_cached = m->is_cached != 0;
    go_on(self, ctx, w);
}

static void
on_node_ordered(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    const struct sl_m_node_ordered *m = SL_BODY(msg, node_ordered);
    struct waiting *w = end_wait(self, msg->request);
    if (w == NULL)
        return;
    set_wait(w->call, m->err, m->message);
    go_on(self, ctx, w);
}

static void
on_work_done(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct api *a = self;
    struct waiting *w = end_wait(a, SL_BODY(msg, work_done)->token);
    if (w == NULL)
        return;
    if (w->is_long)
        end_long(a, w->call->who.scope);
    go_on(a, ctx, w);
}

/* Those that are ready now; who waits again meanwhile is not. */
static void
on_queue_ready(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct api *a = self;
    uint64_t serial;
    if (SL_BODY(msg, queue_ready)->is_stopping) {
        a->is_stopping = true;
        (void)sl_queue_waits_touch_all(a->queues);
    }
    while (sl_queue_waits_take(a->queues, &serial)) {
        struct waiting *w = end_wait(a, serial);
        if (w != NULL)
            go_on(a, ctx, w);
    }
}

static void
on_status(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct api *a = self;
    a->options.status(a->options.arg, ctx, SL_BODY(msg, api_status)->request);
}

static void
on_job_ended(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    /* What its tiers noted for each other may be garbage now. */
    struct api *a = self;
    (void)ctx;
    (void)msg;
    a->options.gateway->has_garbage = true;
    start_purge(a, PURGE_NEXT_NS);
}

static void
expire_namespaces(struct api *a, struct sl_ctx *ctx, struct sl_scope scope)
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
purge(struct api *a, struct sl_ctx *ctx)
{
    bool is_more = false;
    enum sl_err err = sl_purge_step(a->options.gateway, ctx->now_ms, SL_PURGE_ROWS, &is_more);
    if (err != SL_OK)
        sl_report_warn("purge-failed", "err=%s action=\"it is tried again\"", sl_err_name(err));
    (void)tell_edges(a, NULL);
    a->is_purging = false;
    a->options.gateway->has_garbage = is_more;
    start_purge(a, err == SL_OK ? PURGE_NEXT_NS : PURGE_AGAIN_NS);
}

/*
 * Stored replies outlive their day by the time a round of all tenants takes: nobody waits for it. A
 * tenant with many of them takes several turns, from where the last one stopped.
 */
static void
sweep(struct api *a, struct sl_ctx *ctx)
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
    sl_after(ctx, has_tenant ? SWEEP_NEXT_NS : SWEEP_ROUND_NS, TOKEN_SWEEP);
}

/* What nobody waits for is not computed: its connection is gone, and so will its reply be. */
static void
cancel_gone(struct api *a, struct sl_ctx *ctx)
{
    bool has_embeds = false;
    a->is_looking = false;
    for (struct waiting *w = a->waiting, *next; w != NULL; w = next) {
        const atomic_bool *gone = w->call->client_gone;
        next = w->next;
        has_embeds = has_embeds || w->is_embed;
        if (!w->is_embed || gone == NULL || !atomic_load(gone))
            continue;
        sl_request(ctx, sl_at(0, SL_ACTOR_ROUTER), w->serial, SL_M_embed_cancel,
                   &(struct sl_m_embed_cancel){0});
        w = end_wait(a, w->serial);
        set_wait(w->call, SL_ECANCELED, sl_slice_str("the client has closed the connection"));
        go_on(a, ctx, w);
    }
    if (has_embeds)
        look_for_gone(a);
}

static void
tick_meter(struct api *a, struct sl_ctx *ctx)
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
    struct api *a = self;
    uint64_t token = SL_BODY(msg, timer)->token;
    if (token == TOKEN_GONE) {
        cancel_gone(a, ctx);
        return;
    }
    if (token == TOKEN_PURGE) {
        purge(a, ctx);
        return;
    }
    if (token == TOKEN_METER) {
        tick_meter(a, ctx);
        return;
    }
    if (token == TOKEN_SWEEP) {
        sweep(a, ctx);
        return;
    }
    struct waiting *w = end_wait(a, token);
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
    {SL_M_timer, on_timer},
};

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct api *a = self;
    a->ctx = ctx;
    if (!sl_dispatch(table, SL_COUNT_OF(table), self, ctx, msg))
        sl_report_warn("message-unknown", "actor=api message=%s", msg->type->name);
    a->ctx = NULL;
}

static void
init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct api *a = self;
    a->options = *(const struct sl_api_options *)argument;
    a->serial_last = TOKEN_LAST;
    a->queues = sl_queue_waits_create();
    if (a->options.gateway->store == NULL)
        return; /* A gateway's: it runs calls that need none. */
    a->ctx = ctx;
    a->options.gateway->has_garbage = true; /* Perhaps: of a run before this one. */
    start_purge(a, SL_SECOND_NS);
    a->ctx = NULL;
    sl_after(ctx, SWEEP_ROUND_NS, TOKEN_SWEEP);
}

static void
deinit(void *self)
{
    struct api *a = self;
    for (struct waiting *w = a->waiting, *next; w != NULL; w = next) {
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
    .state_size = sizeof(struct api),
    .init = init,
    .handle = handle,
    .deinit = deinit,
};

uint32_t
sl_api_waiting(const void *api)
{
    return ((const struct api *)api)->waiting_count;
}

bool
sl_api_touch(void *api, struct sl_scope scope, uint64_t lane, bool is_all)
{
    return sl_queue_waits_touch(((struct api *)api)->queues, scope, lane, is_all);
}
