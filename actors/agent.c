/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/agent.h"

#include <inttypes.h>

#include "actors/agent_calls.h"
#include "actors/agent_gates.h"
#include "actors/agent_join.h"
#include "actors/agent_owed.h"
#include "actors/agent_scale.h"
#include "actors/image_message.h"
#include "actors/model_opens.h"
#include "actors/model_shelf.h"
#include "actors/pool_find.h"
#include "actors/work_specs.h"
#include "extractors/replica.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/spawn_port.h"

#define BEAT_NS SL_SECOND_NS
/* Replicas' numbers on the node's links; above any node's. */
#define TOKEN_BEAT 1 /* Of timers; tokens of work are the shelf's. */
#define TOKEN_PUMP 2

enum membership { JOINING, MEMBER, LEAVING };

struct agent {
    struct sl_agent_options options;
    enum membership membership;
    uint64_t taint;    /* As the head says: see home.h. */
    bool is_last_sent; /* LEAVING: the head sends no more. */
    bool is_gone;      /* And we have said that we are. */
    bool is_closed;    /* Cordoned: gateways hear so, too. */
    bool has_met_head;
    struct sl_agent_gates gates;
    struct sl_work_specs specs;
    struct sl_model_shelf models;
    struct sl_model_opens opens;
    struct sl_pool pools[SL_POOLS_MAX];
    uint64_t serial_last;
    uint32_t replica_next;
    uint64_t in_flight; /* Owed ones too. */
    struct sl_agent_owed owed;
    struct sl_scale_book book; /* The head's word on replicas. */
};

static struct sl_addr
head(uint32_t actor)
{
    return sl_at(SL_NODE_HEAD, actor);
}

/* ---- specs and pools ----------------------------------------------------------------------- */

static void
on_extraction(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    (void)ctx;
    sl_work_specs_add(&a->specs, SL_BODY(msg, extraction));
}

static struct sl_pool *
pool_of(struct agent *a, const struct sl_work_spec *spec)
{
    struct sl_pool *free_pool = NULL, *empty = NULL;
    for (uint32_t i = 0; i < SL_POOLS_MAX; i++) {
        struct sl_pool *p = &a->pools[i];
        if (!p->is_used) {
            free_pool = free_pool == NULL ? p : free_pool;
        } else if (strcmp(p->extractor, spec->extractor) == 0 &&
                   strcmp(p->model, spec->model) == 0 && strcmp(p->index, spec->index) == 0 &&
                   strcmp(p->space, spec->space) == 0 && p->tenant == spec->tenant) {
            return p;
        } else if (sl_pool_is_empty(p)) {
            empty = p;
        }
    }
    if (free_pool == NULL && empty != NULL) {
        sl_pool_deinit(empty);
        free_pool = empty;
    }
    if (free_pool != NULL)
        sl_pool_init(free_pool, &a->options.pool, spec);
    return free_pool;
}

/* ---- reporting ends ------------------------------------------------------------------------ */

static void
report_failure(struct agent *a, struct sl_ctx *ctx, const struct sl_item *item,
               const struct sl_m_task_failed *why)
{
    if (item->msg->id == SL_M_run_task) {
        const struct sl_m_run_task *t = SL_BODY(item->msg, run_task);
        struct sl_m_task_failed m = *why;
        m.task_id = t->task_id;
        m.epoch = t->epoch;
        a->in_flight--;
        sl_send(ctx, head(SL_ACTOR_DISPATCHER), SL_M_task_failed, &m);
        return;
    }
    sl_agent_call_failed(ctx, item, why);
}

static void
free_item(struct sl_item *item)
{
    sl_msg_destroy(&item->msg);
    sl_free(item);
}

static void
fail_waiting(struct agent *a, struct sl_ctx *ctx, struct sl_pool *p)
{
    const char *error = p->error == NULL ? "its process ended before it was ready" : p->error;
    char *message = sl_format("the extractor %s does not start: %s", p->extractor, error);
    struct sl_m_task_failed why = {.kind = SL_FAIL_TRANSIENT,
                                   .code = sl_slice_str("replica_start_failed"),
                                   .message = sl_slice_str(message)};
    for (struct sl_item *item; (item = sl_pool_take_waiting(p)) != NULL;) {
        report_failure(a, ctx, item, &why);
        free_item(item);
    }
    sl_free(message);
}

/* ---- models -------------------------------------------------------------------------------- */

/* Whether the pool's model is there; if not, it is on its way or the waiting work has been failed.
 */
static bool
has_model(struct agent *a, struct sl_ctx *ctx, struct sl_pool *p)
{
    struct sl_model_file file = sl_model_shelf_want(&a->models, ctx, sl_slice_str(p->model));
    p->model_fd = file.fd;
    p->model_bytes = file.size_bytes;
    if (file.error == NULL)
        return file.is_ready;
    sl_free(p->error);
    p->error = file.error;
    fail_waiting(a, ctx, p);
    return false;
}

static void
pump(struct agent *a, struct sl_ctx *ctx, struct sl_pool *p)
{
    bool has_waiting = p->calls.count + p->tasks.count > 0;
    if (has_waiting && p->model[0] != '\0' && !has_model(a, ctx, p))
        return;
    /* Once a pause the next work is a try: what kept replicas from starting may be gone. */
    if (has_waiting && sl_pool_has_given_up(p) && ctx->now_ns < p->not_before_ns)
        fail_waiting(a, ctx, p);
    sl_pool_pump(p, ctx, &a->replica_next);
    uint64_t next_ns = sl_pool_next_ns(p, ctx->now_ns);
    bool is_set = p->pump_at_ns > ctx->now_ns && p->pump_at_ns <= next_ns;
    if (next_ns == UINT64_MAX || is_set)
        return; /* One that comes early asks again. */
    p->pump_at_ns = next_ns;
    sl_after(ctx, next_ns - SL_MIN(next_ns, ctx->now_ns), TOKEN_PUMP);
}

static void
pump_all(struct agent *a, struct sl_ctx *ctx)
{
    for (uint32_t i = 0; i < SL_POOLS_MAX; i++) {
        if (a->pools[i].is_used)
            pump(a, ctx, &a->pools[i]);
    }
}

static void
on_model_step(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    if (!sl_model_shelf_take_step(&a->models, ctx, msg))
        return;
    pump_all(a, ctx);
    sl_model_opens_tend(&a->opens, ctx, &a->models);
}

static void
on_model_load(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    sl_model_shelf_load(&a->models, ctx, msg);
}

static void
on_model_kept(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    (void)ctx;
    sl_model_shelf_keep(&a->models, SL_BODY(msg, model_kept));
}

static void
on_model_drop(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    struct sl_slice directory = SL_BODY(msg, model_drop)->directory;
    for (uint32_t i = 0; i < SL_POOLS_MAX; i++) {
        if (a->pools[i].is_used && sl_slice_is(directory, a->pools[i].model))
            sl_pool_stop(&a->pools[i], ctx);
    }
    sl_model_shelf_drop(&a->models, ctx, directory);
    sl_model_shelf_forget(&a->models, ctx, directory);
}

/* Evicted models go when no pool has a replica of theirs, nor work that waits for one. */
static void
let_models_go(struct agent *a, struct sl_ctx *ctx)
{
    const char *directory;
    for (uint32_t at = 0; (directory = sl_model_shelf_evicted(&a->models, &at)) != NULL;) {
        bool is_used = false;
        for (uint32_t i = 0; i < SL_POOLS_MAX; i++) {
            struct sl_pool *p = &a->pools[i];
            is_used =
                is_used || (p->is_used && strcmp(p->model, directory) == 0 && !sl_pool_is_empty(p));
        }
        if (is_used)
            continue;
        sl_report_info("model-evicted", "directory=%s", directory);
        sl_model_shelf_drop(&a->models, ctx, sl_slice_str(directory));
    }
}

static void
on_model_evict(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    sl_agent_scale_park(a->pools, SL_BODY(msg, model_evict)->directory);
    sl_model_shelf_evict(&a->models, ctx, SL_BODY(msg, model_evict)->directory);
    pump_all(a, ctx); /* What is kept of it is so no more. */
    let_models_go(a, ctx);
}

static void
keep_pool(void *self, const struct sl_work_spec *spec)
{
    (void)pool_of(self, spec);
}

/* Replicas that are kept without work are there before any comes. */
static void
on_scale_config(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    const struct sl_m_scale_config *m = SL_BODY(msg, scale_config);
    if (!sl_agent_scale_take(&a->book, m, a->pools, ctx->now_ns))
        return;
    sl_agent_scale_keep(&a->book, m->indexes, keep_pool, a);
    pump_all(a, ctx);
}

/* ---- work from the head -------------------------------------------------------------------- */

static void
take_item(struct agent *a, struct sl_ctx *ctx, const struct sl_msg *msg, uint64_t number,
          bool is_alone)
{
    struct sl_item *item = sl_zalloc(sizeof(*item));
    item->msg = sl_msg_create(msg->id, msg->body);
    item->msg->from = msg->from;
    item->msg->request = msg->request;
    item->serial = ++a->serial_last;
    item->is_alone = is_alone;
    item->deadline_ns = sl_agent_call_deadline_ns(ctx, msg);
    item->spec = sl_work_specs_lookup(&a->specs, number);
    struct sl_pool *p = item->spec == NULL ? NULL : pool_of(a, item->spec);
    if (p == NULL) {
        bool is_known = item->spec != NULL;
        struct sl_m_task_failed why = {
            .kind = SL_FAIL_TRANSIENT,
            .code = sl_slice_str(is_known ? "node_full" : "extractor_unknown"),
            .message = sl_slice_str(is_known ? "this node runs as many extractors as it may"
                                             : "this node does not know the work")};
        report_failure(a, ctx, item, &why);
        free_item(item);
        return;
    }
    sl_pool_shortcut_serve(p, ctx, item);
    sl_pool_add(p, ctx, item);
    pump(a, ctx, p);
}

static void
on_run_task(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    a->in_flight++;
    take_item(a, ctx, msg, SL_BODY(msg, run_task)->extraction, SL_BODY(msg, run_task)->alone != 0);
}

static void
on_embed_run(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    const struct sl_m_embed_run *m = SL_BODY(msg, embed_run);
    take_item(self, ctx, msg, m->extraction, m->alone != 0);
}

static void
on_embed_cancel(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    struct sl_pool *p = sl_agent_call_cancel(ctx, msg, a->pools, SL_POOLS_MAX);
    if (p != NULL)
        pump(a, ctx, p);
}

/* ---- replicas ------------------------------------------------------------------------------ */

static void
on_model_wanted(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    struct sl_pool *p = NULL;
    (void)sl_pools_replica(a->pools, SL_BODY(msg, model_wanted)->replica, &p);
    sl_model_opens_ask(&a->opens, ctx, p, SL_BODY(msg, model_wanted));
}

static void
on_model_opened(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    sl_model_opens_answer(&a->opens, ctx, &a->models, msg);
}

static void
on_replica_ready(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    struct sl_pool *p;
    struct sl_replica *r = sl_pools_replica(a->pools, msg->from.node, &p);
    if (r == NULL)
        return;
    r->sandbox = SL_BODY(msg, replica_ready)->sandbox;
    sl_pool_on_ready(p, ctx, r, SL_BODY(msg, replica_ready)->error);
    pump(a, ctx, p);
}

/* Another has its place with the pump that finds it wanted, at the latest when this one is gone. */
static void
on_replica_retire(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    uint64_t number = SL_BODY(msg, replica_retire)->replica;
    struct sl_pool *p = NULL;
    if (msg->from.node == SL_NODE_HEAD && sl_pools_retire(a->pools, number, &p))
        pump(a, ctx, p);
}

static void
report_success(struct agent *a, struct sl_ctx *ctx, const struct sl_item *item,
               const struct sl_m_processed *result)
{
    if (item->msg->id == SL_M_run_task) {
        struct sl_item_phases phases = sl_item_phases_of(&item->times);
        const struct sl_m_run_task *t = SL_BODY(item->msg, run_task);
        struct sl_m_task_done m = {.task_id = t->task_id,
                                   .epoch = t->epoch,
                                   .outputs = result->outputs,
                                   .first = t->first,
                                   .resume = result->resume,
                                   .served_ns = result->served_ns,
                                   .queued_ns = phases.queued_ns,
                                   .batched_ns = phases.batched_ns,
                                   .computed_ns = phases.computed_ns};
        a->in_flight--;
        sl_send(ctx, head(SL_ACTOR_DISPATCHER), SL_M_task_done, &m);
        return;
    }
    sl_agent_call_done(ctx, item, result->outputs);
}

static void
on_processed(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    const struct sl_m_processed *m = SL_BODY(msg, processed);
    struct sl_pool *p;
    struct sl_replica *r = sl_pools_replica(a->pools, msg->from.node, &p);
    struct sl_item *item = r == NULL ? NULL : sl_pool_on_processed(p, ctx, r, m);
    if (item == NULL)
        return;
    if (m->kind == 0) {
        report_success(a, ctx, item, m);
    } else {
        struct sl_m_task_failed why = {.kind = m->kind == SL_FAIL_PERMANENT ? SL_FAIL_PERMANENT
                                                                            : SL_FAIL_TRANSIENT,
                                       .code = m->code,
                                       .message = m->message,
                                       .served_ns = m->served_ns};
        report_failure(a, ctx, item, &why);
    }
    free_item(item);
    pump(a, ctx, p);
}

static void
on_shortcut(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    struct sl_pool *p = sl_pool_shortcut_take(a->pools, ctx, msg);
    if (p != NULL)
        pump(a, ctx, p);
}

static void
on_replica_report(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)ctx;
    sl_pool_report_take(((struct agent *)self)->pools, msg);
}

static void
on_child_started(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    const struct sl_m_child_started *m = SL_BODY(msg, child_started);
    (void)ctx;
    sl_pools_note_pid(((struct agent *)self)->pools, m->tag, m->pid);
}

static void
end_replica(struct agent *a, struct sl_ctx *ctx, struct sl_pool *p, struct sl_replica *r,
            const struct sl_m_child_exited *m)
{
    bool is_stop = r->state == SL_REPLICA_STOPPING && m->signal == 0 && m->exit_code == 0;
    bool is_timeout = r->state == SL_REPLICA_READY && r->is_killed;
    struct sl_replica_end end = sl_replica_end(
        m->exit_code, m->signal,
        sl_scale_book_memory(&a->book, p->extractor, a->options.pool.settings.memory_bytes));
    sl_report(is_stop ? SL_REPORT_INFO : SL_REPORT_WARN, "replica-ended",
              "extractor=%s replica=%" PRIu64 " pid=%" PRIu64 " signal=%" PRIu64
              " exit_code=%" PRId64 " in_flight=%u why=\"%s\"",
              p->extractor, m->tag, m->pid, m->signal, m->exit_code, r->in_flight.count,
              is_stop ? "stopped" : end.text);
    sl_pool_note_end(p, r, is_stop ? NULL : &end, m->exit_code == SL_REPLICA_EXIT_START,
                     ctx->now_ms);
    struct sl_items lost;
    bool is_shared = r->shortcut.state >= SL_SHORTCUT_OPEN; /* What came straight is not in lost. */
    sl_model_opens_forget(&a->opens, m->tag);
    uint64_t served_ns = sl_pool_on_exit(p, ctx, r, &lost);
    struct sl_m_task_failed why = {.kind = SL_FAIL_CRASH,
                                   .signal = end.signal,
                                   .alone = lost.count == 1 && !is_shared,
                                   .code = sl_slice_str(end.code),
                                   .message = sl_slice_str(end.text),
                                   .served_ns = served_ns};
    if (is_timeout && why.alone) { /* With others about, nobody knows who held it up. */
        why.kind = SL_FAIL_TRANSIENT;
        why.code = sl_slice_str("timeout");
        why.message = sl_slice_str("it took longer than tasks.timeout; its replica was killed");
    }
    for (struct sl_item *item; (item = sl_items_pop(&lost)) != NULL;) {
        /* Told to stop it has answered all, but its end may be heard of before its answers. */
        if (is_stop) {
            sl_pool_add(p, ctx, item);
            continue;
        }
        report_failure(a, ctx, item, &why);
        free_item(item);
    }
    pump(a, ctx, p);
}

static void
on_child_exited(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    const struct sl_m_child_exited *m = SL_BODY(msg, child_exited);
    struct sl_pool *p;
    struct sl_replica *r = sl_pools_replica(a->pools, m->tag, &p);
    if (r != NULL)
        end_replica(a, ctx, p, r, m);
}

/* ---- what links did not take --------------------------------------------------------------- */

static void
on_undelivered(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    const struct sl_m_undelivered *m = SL_BODY(msg, undelivered);
    if (m->message == SL_M_task_done || m->message == SL_M_task_failed)
        a->in_flight += sl_agent_owed_add(&a->owed, m, SL_AGENT_ROOM);
    if (m->message == SL_M_shortcut_gone)
        sl_agent_owed_gone(&a->owed, m->first);
    if (m->message == SL_M_model_open)
        sl_model_opens_undelivered(&a->opens, ctx, msg->request);
    /* A replica that takes no more, though it gets no more than it can hold: with its end its items
       come back. One that is not there has ended already. */
    if (m->message == SL_M_process && (m->reason == SL_EFULL || m->reason == SL_ETOOBIG))
        sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_SPAWNER), SL_M_spawn_kill,
                &(struct sl_m_spawn_kill){.tag = msg->from.node, .signal = 9});
}

/* ---- membership ---------------------------------------------------------------------------- */

/* Tasks that wait here are under leases that are void; calls have waiters of their own. */
static void
drop_waiting_tasks(struct agent *a)
{
    a->in_flight -= sl_pools_drop_tasks(a->pools) + a->owed.count;
    a->owed.count = 0;
}

static void
on_unknown(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    if (a->membership == JOINING)
        return; /* A beat from before crossed our joining. */
    sl_report_warn("unknown-to-head", "node=%" PRIu64 " action=\"leases are void, joining again\"",
                   SL_BODY(msg, node_unknown)->node);
    drop_waiting_tasks(a);
    if (a->membership == LEAVING)
        a->is_last_sent = true;
    else
        a->membership = JOINING;
    if (a->membership == JOINING)
        sl_agent_join(&a->options, ctx);
}

/* A worker is told by its port; a child of the head's has been killed by now. */
static void
on_refused(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)self;
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_NODE), msg->id, msg->body);
}

/* Tell gateways that we run calls, or are closed. `number`: one of them; 0: all. */
static void
greet(const struct agent *a, struct sl_ctx *ctx, uint64_t number)
{
    struct sl_m_node_hello m = {.node = a->options.pool.node,
                                .is_open = a->membership != LEAVING && !a->is_closed,
                                .taint = a->taint};
    sl_agent_gates_greet(&a->gates, ctx, number, &m);
}

static void
on_gate_down(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    if (msg->from.node == SL_NODE_HEAD)
        sl_agent_gates_drop(&a->gates, ctx, SL_BODY(msg, gate_down)->gate);
}

/* Cordoned or not: gateways that join later are told by our hello. */
static void
on_node_open(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    if (msg->from.node != SL_NODE_HEAD)
        return;
    a->is_closed = SL_BODY(msg, node_open)->is_open == 0;
    greet(a, ctx, 0);
}

static void
on_gate_up(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    if (msg->from.node == SL_NODE_HEAD)
        sl_agent_gates_add(&a->gates, ctx, SL_BODY(msg, gate_up));
}

static void
on_welcome(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    if (a->membership == JOINING && a->options.name != NULL)
        sl_report_info("joined", "node=%" PRIu64 " name=%s", SL_BODY(msg, node_welcome)->node,
                       a->options.name);
    if (a->membership != JOINING)
        return;
    a->membership = MEMBER;
    a->taint = SL_BODY(msg, node_welcome)->taint;
    a->is_closed = false;
    for (uint32_t i = 0; i < SL_POOLS_MAX; i++)
        sl_pool_shortcut_again(&a->pools[i]);
    sl_agent_scale_tell(a->pools, ctx, true);
    sl_agent_gates_unlist(&a->gates, ctx);
}

static void
on_drain(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    (void)msg;
    if (a->membership == LEAVING)
        return;
    a->is_last_sent = a->membership == JOINING; /* It never had anything. */
    a->membership = LEAVING;
    for (uint32_t i = 0; i < SL_POOLS_MAX; i++)
        sl_pool_shortcut_end(&a->pools[i], ctx);
    greet(a, ctx, 0);
    sl_send(ctx, head(SL_ACTOR_HEAD), SL_M_node_leave,
            &(struct sl_m_node_leave){.node = a->options.pool.node});
}

static void
on_leave(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    (void)ctx, (void)msg;
    a->is_last_sent = true; /* Also when it is only cordoned: then we are not leaving. */
}

/* Say so, once, when a node that leaves has nothing left to do. */
static void
leave_if_empty(struct agent *a, struct sl_ctx *ctx)
{
    if (a->membership != LEAVING || !a->is_last_sent || a->is_gone || a->owed.count > 0 ||
        sl_pools_have_work(a->pools))
        return;
    a->is_gone = true;
    sl_send(ctx, head(SL_ACTOR_HEAD), SL_M_node_leave,
            &(struct sl_m_node_leave){.node = a->options.pool.node, .is_done = 1});
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_DRAIN), SL_M_drain, &(struct sl_m_drain){0});
}

/* The spawner of a worker died, and every replica with it: as if each had ended by itself. */
static void
on_spawner_lost(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    (void)msg;
    for (uint32_t i = 0; i < SL_POOLS_MAX; i++) {
        for (uint32_t k = 0; a->pools[i].is_used && k < SL_REPLICAS_MAX; k++) {
            struct sl_replica *r = &a->pools[i].replicas[k];
            if (r->state != SL_REPLICA_FREE)
                end_replica(
                    a, ctx, &a->pools[i], r,
                    &(struct sl_m_child_exited){.tag = r->number, .pid = r->pid, .signal = 9});
        }
    }
}

/* ---- time ---------------------------------------------------------------------------------- */

static void
tell_head(struct agent *a, struct sl_ctx *ctx)
{
    struct sl_buf text = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &text);
    sl_jsonw_array(&w);
    for (uint32_t i = 0; i < SL_POOLS_MAX; i++) {
        if (!a->pools[i].is_used)
            continue;
        if (sl_pool_tend(&a->pools[i], ctx))
            pump(a, ctx, &a->pools[i]);
        sl_pool_status(&a->pools[i], ctx->now_ns, &w);
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    struct sl_buf objects = {0}, images = {0};
    if (a->options.stores != NULL)
        a->options.stores(a->options.shell, &objects, &images);
    struct sl_m_node_beat m = {.node = a->options.pool.node,
                               .in_flight = a->in_flight,
                               .replicas = sl_buf_slice(&text),
                               .objects = sl_buf_slice(&objects),
                               .images = sl_buf_slice(&images),
                               .calls = sl_agent_calls_count(a->pools, SL_POOLS_MAX) +
                                        sl_model_shelf_loading(&a->models)};
    if (a->membership == JOINING)
        sl_agent_join(&a->options, ctx); /* The last one may be lost, or the head not there yet. */
    else
        sl_send(ctx, head(SL_ACTOR_HEAD), SL_M_node_beat, &m);
    a->in_flight -= sl_agent_owed_tell(&a->owed, ctx);
    sl_agent_scale_tell(a->pools, ctx, false);
    sl_buf_deinit(&images);
    sl_buf_deinit(&objects);
    sl_buf_deinit(&text);
}

static void
on_timer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (SL_BODY(msg, timer)->token != TOKEN_BEAT) {
        pump_all(self, ctx);
        return;
    }
    sl_after(ctx, BEAT_NS, TOKEN_BEAT);
    struct agent *a = self;
    let_models_go(a, ctx);
    sl_model_opens_tend(&a->opens, ctx, &a->models);
    tell_head(a, ctx);
}

/* A head that was away, or is another one, hears of us at once: it may not know us any more. */
static void
on_peer_up(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    uint64_t node = SL_BODY(msg, peer_up)->node;
    sl_agent_gates_link(&a->gates, ctx, node, true);
    greet(a, ctx, node);
    if (node != SL_NODE_HEAD)
        return;
    if (a->has_met_head) /* The first time our joining is on its way already. */
        tell_head(a, ctx);
    a->has_met_head = true;
}

/* Replicas' ends are told by their spawner; a head that is gone will be there again. */
static void
on_peer_down(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct agent *a = self;
    sl_agent_gates_link(&a->gates, ctx, SL_BODY(msg, peer_down)->node, false);
}

static const struct sl_on table[] = {
    {SL_M_run_task, on_run_task},
    {SL_M_processed, on_processed},
    {SL_M_shortcut_load, on_shortcut},
    {SL_M_shortcut_closed, on_shortcut},
    {SL_M_shortcut_broken, on_shortcut},
    {SL_M_embed_run, on_embed_run},
    {SL_M_embed_cancel, on_embed_cancel},
    {SL_M_extraction, on_extraction},
    {SL_M_replica_ready, on_replica_ready},
    {SL_M_replica_report, on_replica_report},
    {SL_M_replica_retire, on_replica_retire},
    {SL_M_child_started, on_child_started},
    {SL_M_child_exited, on_child_exited},
    {SL_M_model_load, on_model_load},
    {SL_M_model_kept, on_model_kept},
    {SL_M_model_drop, on_model_drop},
    {SL_M_model_evict, on_model_evict},
    {SL_M_model_wanted, on_model_wanted},
    {SL_M_model_opened, on_model_opened},
    {SL_M_work_done, on_model_step},
    {SL_M_image_fetched, on_model_step},
    {SL_M_scale_config, on_scale_config},
    {SL_M_node_welcome, on_welcome},
    {SL_M_node_unknown, on_unknown},
    {SL_M_node_refused, on_refused},
    {SL_M_node_leave, on_leave},
    {SL_M_drain, on_drain},
    {SL_M_spawner_lost, on_spawner_lost},
    {SL_M_gate_up, on_gate_up},
    {SL_M_gate_down, on_gate_down},
    {SL_M_node_open, on_node_open},
    {SL_M_peer_up, on_peer_up},
    {SL_M_peer_down, on_peer_down},
    {SL_M_timer, on_timer},
    {SL_M_undelivered, on_undelivered},
};

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (!sl_dispatch(table, SL_COUNT_OF(table), self, ctx, msg))
        sl_report_warn("message-unknown", "actor=agent message=%s", msg->type->name);
    leave_if_empty(self, ctx);
}

static void
init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct agent *a = self;
    a->options = *(const struct sl_agent_options *)argument;
    sl_model_shelf_init(&a->models, a->options.data_directory, a->options.images_directory);
    sl_model_opens_init(&a->opens, ctx->now_ms);
    a->options.pool.book = &a->book;
    a->replica_next = SL_NODE_REPLICAS_FIRST;
    sl_agent_join(&a->options, ctx);
    sl_after(ctx, BEAT_NS, TOKEN_BEAT);
}

static void
deinit(void *self)
{
    struct agent *a = self;
    for (uint32_t i = 0; i < SL_POOLS_MAX; i++)
        sl_pool_deinit(&a->pools[i]);
    sl_model_shelf_deinit(&a->models);
    sl_model_opens_deinit(&a->opens);
    sl_work_specs_deinit(&a->specs);
    sl_agent_owed_deinit(&a->owed);
    sl_scale_book_deinit(&a->book);
}

const struct sl_actor_class sl_agent_class = {
    .name = "agent",
    .state_size = sizeof(struct agent),
    .init = init,
    .handle = handle,
    .deinit = deinit,
};
