/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/dispatcher.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "actors/chain.h"
#include "actors/dispatch_nodes.h"
#include "actors/rows.h"
#include "actors/settle.h"
#include "actors/task_source.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/limits.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define LEASE_NS     (60 * SL_SECOND_NS) /* Beats extend it; it only matters when they stop. */
#define TOKEN_TICK   1
#define TOKEN_DRAIN  2
#define TOKEN_OPEN   3
#define TOKEN_PUMP   4
#define TICK_BUSY_NS (500 * SL_MILLI_NS)
#define DRAIN_NS     (10 * SL_MILLI_NS)
#define TURN_NS      SL_MILLI_NS  /* Between slices of what is long: others have their turn. */
#define ENDED_MAX    256          /* Tasks of a slice that end without a node. */
#define REFUSED_NS   SL_SECOND_NS /* No leases for so long after the store refused a commit. */

struct dispatcher {
    struct sl_dispatcher_options options;
    struct sl_dispatch_nodes nodes;
    struct sl_dispatcher_counts counts;
    uint64_t lease_after_ns;
    uint64_t tick_at_ns; /* When the pending tick is due; UINT64_MAX: none is set. */
    struct sl_buf row, inputs;
    struct sl_chain_opener *opener;
    bool is_opening; /* A timer of its own is set. */
    bool is_pumping; /* Likewise. */
    bool is_draining;
    bool is_woken; /* Since the last tick. */
};

static struct sl_settle
settle_of(const struct dispatcher *d, const struct sl_ctx *ctx)
{
    return (struct sl_settle){
        .store = ctx->store, .indexes = d->options.indexes, .now_ms = ctx->now_ms};
}

/* ---- ending tasks -------------------------------------------------------------------------- */

/*
 * A commit the store refuses leaves the task leased, and beats would extend that for ever: it goes
 * back to its queue, and nothing is leased for a while, so that a full disk costs no core.
 */
static bool
is_settled(struct dispatcher *d, const struct sl_ctx *ctx, const struct sl_lease *lease,
           enum sl_err err)
{
    if (err == SL_OK)
        return true;
    sl_report_error("settle-failed", "task=%" PRIu64 " err=%s", lease->task_id, sl_err_name(err));
    d->lease_after_ns = ctx->now_ns + REFUSED_NS;
    if (sl_queue_release(d->options.queue, lease->task_id, lease->epoch) != SL_OK)
        sl_report_error("release-failed", "task=%" PRIu64, lease->task_id);
    return false;
}

/* Tiers whose tasks are to be made may be there: see to them, slice by slice. */
static void
open_tiers(struct dispatcher *d, struct sl_ctx *ctx)
{
    if (d->is_opening)
        return;
    d->is_opening = true;
    sl_after(ctx, 0, TOKEN_OPEN);
}

/* An ended job's final row; whoever waits for it is told, and the tier after it is opened. False:
   the store refused, a tick tries again. */
static bool
end_job(struct dispatcher *d, struct sl_ctx *ctx, const struct sl_job_info *info)
{
    struct sl_settle settle = settle_of(d, ctx);
    struct sl_job_id next;
    bool has_next = false;
    enum sl_err err = sl_settle_job(&settle, info, &next, &has_next);
    if (err != SL_OK) {
        sl_report_error("settle-failed", "what=job err=%s", sl_err_name(err));
        return false;
    }
    struct sl_m_job_ended ended = {.scope = info->scope.id,
                                   .job = sl_slice(info->id.bytes, sizeof(info->id.bytes))};
    sl_send(ctx, sl_at(0, SL_ACTOR_API), SL_M_job_ended, &ended);
    if (has_next)
        open_tiers(d, ctx);
    return true;
}

static void
finish_job(struct dispatcher *d, struct sl_ctx *ctx, struct sl_job_id id)
{
    struct sl_job_info info;
    if (sl_queue_job(d->options.queue, id, &info) == SL_OK && info.state >= SL_JOB_SUCCEEDED)
        (void)end_job(d, ctx, &info);
}

static void
on_open(struct dispatcher *d, struct sl_ctx *ctx)
{
    struct sl_chain_opened opened = {0};
    d->is_opening = false;
    if (d->is_draining)
        return; /* The next start finds them. */
    enum sl_err err = SL_ENOSPC;
    bool is_low = sl_store_is_low(ctx->store);
    if (!is_low)
        err = sl_chain_open_some(d->opener, ctx->store, ctx->now_ms, &opened);
    if (err != SL_OK && !is_low)
        sl_report_error("settle-failed", "what=tier err=%s", sl_err_name(err));
    if (opened.is_job)
        finish_job(d, ctx, opened.job); /* One without tasks has ended at once. */
    if ((err == SL_OK && !opened.is_more) || d->is_opening)
        return;
    d->is_opening = true;
    sl_after(ctx, err == SL_OK ? TURN_NS : REFUSED_NS, TOKEN_OPEN);
}

static void
finish_ended_jobs(struct dispatcher *d, struct sl_ctx *ctx)
{
    struct sl_job_info info;
    while (sl_queue_ended(d->options.queue, &info)) {
        if (!end_job(d, ctx, &info))
            return;
    }
}

static void
fail_task(struct dispatcher *d, struct sl_ctx *ctx, const struct sl_lease *lease,
          const struct sl_task_failure *failure)
{
    struct sl_settle settle = settle_of(d, ctx);
    struct sl_job_id job = lease->job;
    if (!is_settled(d, ctx, lease, sl_settle_dead(&settle, lease, failure)))
        return;
    d->counts.dead++;
    finish_job(d, ctx, job);
}

/* A failed run: tried again after a pause, or given up. `attempts` counts this run when it should.
 */
static void
retry_or_fail(struct dispatcher *d, struct sl_ctx *ctx, const struct sl_lease *lease,
              struct sl_retry *retry, struct sl_task_failure *failure)
{
    uint64_t delay_ms = 0;
    if (retry->attempts > lease->attempts)
        delay_ms = sl_retry_delay_ms(&d->options.retry, retry->attempts, ctx->random);
    failure->attempts = retry->attempts;
    if (delay_ms == UINT64_MAX) {
        fail_task(d, ctx, lease, failure);
        return;
    }
    struct sl_settle settle = settle_of(d, ctx);
    retry->task_id = lease->task_id;
    retry->not_before_ms = delay_ms == 0 ? 0 : ctx->now_ms + delay_ms;
    d->counts.retried += is_settled(d, ctx, lease, sl_settle_retry(&settle, lease, retry, failure));
}

/* ---- leasing ------------------------------------------------------------------------------- */

static void
fail_unresolved(struct dispatcher *d, struct sl_ctx *ctx, const struct sl_lease *lease,
                const char *why)
{
    struct sl_task_failure failure = {.type = "validation",
                                      .code = sl_slice_str("input_missing"),
                                      .message = sl_slice_str(why),
                                      .attempts = (uint16_t)(lease->attempts + 1)};
    fail_task(d, ctx, lease, &failure);
}

/* Its source or collection was deleted after it was submitted: there is nothing to make. */
static void
end_orphan(struct dispatcher *d, struct sl_ctx *ctx, const struct sl_lease *lease)
{
    static const uint8_t no_outputs[4];
    struct sl_settle settle = settle_of(d, ctx);
    struct sl_job_id job = lease->job;
    enum sl_err err = sl_settle_done(&settle, lease, (struct sl_json){0}, sl_slice(no_outputs, 4),
                                     &(struct sl_task_part){0});
    if (is_settled(d, ctx, lease, err))
        finish_job(d, ctx, job);
}

/* Send a lease to the node that is best for it; NULL: it ended here instead. */
static struct sl_dispatch_node *
run_lease(struct dispatcher *d, struct sl_ctx *ctx, struct sl_dispatch_node *turn,
          const struct sl_lease *lease)
{
    struct sl_task_payload p;
    struct sl_task_source source;
    struct sl_task_part part = {0};
    struct sl_slice row;
    char *why = NULL;
    struct sl_txn *txn = sl_store_begin(ctx->store);
    struct sl_dispatch_spec *spec =
        sl_task_payload_decode(lease->payload, &p) == SL_OK
            ? sl_dispatch_spec(&d->nodes, txn, lease->scope, p.collection)
            : NULL;
    bool is_there =
        spec != NULL &&
        sl_txn_get(txn, lease->scope, sl_task_source_table(p.kind), p.source, &row) == SL_OK &&
        sl_task_source_decode(&p, row, &source) == SL_OK;
    enum sl_err err = SL_OK;
    if (is_there) {
        sl_buf_clear(&d->inputs);
        err = sl_extraction_inputs(sl_json_root(spec->doc), &source.as, &d->inputs, &why);
        sl_settle_part(txn, lease, &d->row, &part);
    }
    sl_txn_abort(&txn);
    if (!is_there) {
        end_orphan(d, ctx, lease);
        return NULL;
    }
    if (err != SL_OK) {
        fail_unresolved(d, ctx, lease, why == NULL ? sl_err_text(err) : why);
        sl_free(why);
        return NULL;
    }
    if (d->inputs.size > SL_LIMIT_INPUTS_BYTES) {
        fail_unresolved(d, ctx, lease, "the inputs are larger than a task's may be");
        return NULL;
    }
    struct sl_dispatch_node *n = sl_dispatch_choose(&d->nodes, turn, spec, lease->class);
    if (n != turn && SL_BUG(sl_queue_move(d->options.queue, lease->task_id, lease->epoch,
                                          n->slot.number) != SL_OK))
        n = turn;
    sl_dispatch_tell(ctx, n, spec);
    struct sl_m_run_task m = {.task_id = lease->task_id,
                              .epoch = lease->epoch,
                              .extraction = spec->number,
                              .alone = lease->crashes > 0,
                              .inputs = sl_buf_slice(&d->inputs),
                              .first = part.first,
                              .resume = part.resume};
    sl_send(ctx, sl_at(n->slot.number, SL_ACTOR_AGENT), SL_M_run_task, &m);
    return n;
}

static bool
lease_any(struct dispatcher *d, struct sl_ctx *ctx, const struct sl_dispatch_node *n,
          struct sl_lease *ret_lease)
{
    for (int class = 0; class < SL_CLASS_COUNT; class ++) {
        if ((n->classes >> class & 1) == 0)
            continue;
        struct sl_lease_want want = {.class = (enum sl_class) class,
                                     .holder = n->slot.number,
                                     .now_ns = ctx->now_ns,
                                     .now_ms = ctx->now_ms,
                                     .duration_ns = LEASE_NS};
        if (sl_queue_lease(d->options.queue, &want, ret_lease))
            return true;
    }
    return false;
}

/* A task for the ring's next node; false: there is none of its classes. `ended` counts those that
   ended here: they take no room, so that nothing else bounds them. */
static bool
pump_one(struct dispatcher *d, struct sl_ctx *ctx, struct sl_dispatch_node **turn, uint32_t *ended)
{
    struct sl_lease lease;
    struct sl_dispatch_node *n = *turn;
    if (n == NULL || !lease_any(d, ctx, n, &lease))
        return false;
    d->counts.leased++;
    *turn = n->next;
    n = run_lease(d, ctx, n, &lease);
    if (n != NULL) {
        n->in_flight++;
        sl_dispatch_node_place(&d->nodes, n);
    }
    *ended += n == NULL;
    return true;
}

/* Fill the nodes' room, a task each in turn, so that no node takes all. */
static void
pump(struct dispatcher *d, struct sl_ctx *ctx)
{
    /* On a full disk work waits for room, rather than run and lose its results. */
    bool has_leased = !d->is_draining && !sl_store_is_low(ctx->store);
    uint32_t ended = 0;
    while (has_leased && ended < ENDED_MAX) {
        has_leased = false;
        for (size_t i = 0; i < SL_COUNT_OF(d->nodes.turns) && ctx->now_ns >= d->lease_after_ns; i++)
            has_leased = pump_one(d, ctx, &d->nodes.turns[i], &ended) || has_leased;
    }
    if (ended < ENDED_MAX || d->is_pumping)
        return;
    d->is_pumping = true;
    sl_after(ctx, TURN_NS, TOKEN_PUMP);
}

/* Wake again when a delayed task is due, and now and then while there is work. */
static void
set_tick(struct dispatcher *d, struct sl_ctx *ctx)
{
    uint64_t next_ms = sl_queue_next_ms(d->options.queue), delay_ns = UINT64_MAX;
    if (next_ms != UINT64_MAX)
        /* What is due and was not leased just now waits for room, not for time. */
        delay_ns = next_ms <= ctx->now_ms ? TICK_BUSY_NS : (next_ms - ctx->now_ms) * SL_MILLI_NS;
    struct sl_queue_depth any;
    if (d->is_woken || sl_queue_depths(d->options.queue, &any, 1) > 0)
        delay_ns = SL_MIN(delay_ns, TICK_BUSY_NS);
    if (delay_ns == UINT64_MAX || ctx->now_ns + delay_ns >= d->tick_at_ns)
        return;
    d->tick_at_ns = ctx->now_ns + delay_ns;
    sl_after(ctx, delay_ns, TOKEN_TICK);
}

/* ---- messages ------------------------------------------------------------------------------ */

static void
on_node_up(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)ctx;
    struct dispatcher *d = self;
    sl_dispatch_node_add(&d->nodes, SL_BODY(msg, node_up));
}

static void
on_node_lost(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)ctx;
    struct dispatcher *d = self;
    uint64_t number = SL_BODY(msg, node_lost)->node;
    struct sl_dispatch_node *n = sl_dispatch_node(&d->nodes, number);
    if (n != NULL)
        sl_dispatch_node_remove(&d->nodes, n);
    uint64_t count = sl_queue_release_holder(d->options.queue, number);
    if (count > 0)
        sl_report_info("leases-void", "node=%" PRIu64 " tasks=%" PRIu64, number, count);
}

/* Closed, the node is told so behind its last lease: what it holds then is all there will be. */
static void
on_node_open(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct dispatcher *d = self;
    const struct sl_m_node_open *m = SL_BODY(msg, node_open);
    struct sl_dispatch_node *n = sl_dispatch_node(&d->nodes, m->node);
    if (n == NULL)
        return;
    n->is_closed = m->is_open == 0;
    sl_dispatch_node_place(&d->nodes, n);
    if (n->is_closed)
        sl_send(ctx, sl_at(n->slot.number, SL_ACTOR_AGENT), SL_M_node_leave,
                &(struct sl_m_node_leave){.node = n->slot.number});
}

static void
on_node_beat(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct dispatcher *d = self;
    const struct sl_m_node_beat *m = SL_BODY(msg, node_beat);
    /* An idle node holds none: what it should have got, or sent, was lost with a link. */
    if (m->in_flight > 0)
        sl_queue_extend(d->options.queue, m->node, ctx->now_ns + LEASE_NS);
}

/* The lease behind an end that a node reports, if its epoch is live. */
static bool
check_end(struct dispatcher *d, const struct sl_msg *msg, uint64_t task_id, uint64_t epoch,
          struct sl_lease *ret_lease)
{
    struct sl_dispatch_node *n = sl_dispatch_node(&d->nodes, msg->from.node);
    if (n != NULL && n->in_flight > 0) {
        n->in_flight--;
        sl_dispatch_node_place(&d->nodes, n);
    }
    if (sl_queue_check(d->options.queue, task_id, epoch, ret_lease) == SL_OK)
        return true;
    d->counts.stale++;
    sl_report_debug("end-stale", "task=%" PRIu64 " node=%u", task_id, msg->from.node);
    return false;
}

static void
on_task_done(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct dispatcher *d = self;
    const struct sl_m_task_done *m = SL_BODY(msg, task_done);
    struct sl_lease lease;
    struct sl_task_payload p;
    if (!check_end(d, msg, m->task_id, m->epoch, &lease))
        return;
    struct sl_txn *txn = sl_store_begin(ctx->store);
    struct sl_dispatch_spec *spec =
        sl_task_payload_decode(lease.payload, &p) == SL_OK
            ? sl_dispatch_spec(&d->nodes, txn, lease.scope, p.collection)
            : NULL;
    sl_txn_abort(&txn);
    struct sl_settle settle = settle_of(d, ctx);
    struct sl_job_id job = lease.job;
    if (spec == NULL) {
        end_orphan(d, ctx, &lease);
        return;
    }
    struct sl_task_part part = {.first = m->first, .resume = m->resume};
    enum sl_err err = sl_settle_done(&settle, &lease, sl_json_root(spec->doc), m->outputs, &part);
    /* The rest comes with another lease, when its turn is; without its source it ended here. */
    if (err == SL_OK && part.resume.size > 0 &&
        sl_queue_release(d->options.queue, lease.task_id, lease.epoch) == SL_OK)
        return;
    if (err == SL_OK) {
        d->counts.done++;
        finish_job(d, ctx, job);
        return;
    }
    struct sl_task_failure failure = {.type = err == SL_EINVAL ? "validation" : "resource",
                                      .code = sl_slice_str(sl_err_name(err)),
                                      .message = sl_slice_str(sl_err_text(err)),
                                      .is_transient = err != SL_EINVAL && err != SL_ETOOBIG};
    struct sl_retry retry = {.attempts = (uint16_t)(lease.attempts + 1), .crashes = lease.crashes};
    if (failure.is_transient)
        retry_or_fail(d, ctx, &lease, &retry, &failure);
    else
        fail_task(d, ctx, &lease, &failure);
}

static void
on_crashed(struct dispatcher *d, struct sl_ctx *ctx, const struct sl_lease *lease,
           const struct sl_m_task_failed *m)
{
    char message[160];
    const char *name = m->signal == 0 ? NULL : sigdescr_np((int)m->signal);
    snprintf(message, sizeof(message), "the replica died of signal %" PRIu64 " (%s)", m->signal,
             name == NULL ? "it exited" : name);
    struct sl_task_failure failure = {.type = "runtime",
                                      .code = sl_slice_str("replica_crashed"),
                                      .message = sl_slice_str(message),
                                      .signal = m->signal};
    /* Tasks that merely shared the replica are not to blame: they run alone, uncounted. */
    struct sl_retry retry = {.attempts = (uint16_t)(lease->attempts + (m->alone != 0)),
                             .crashes = (uint16_t)(lease->crashes + 1)};
    d->counts.crashed++;
    retry_or_fail(d, ctx, lease, &retry, &failure);
}

static void
on_task_failed(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct dispatcher *d = self;
    const struct sl_m_task_failed *m = SL_BODY(msg, task_failed);
    struct sl_lease lease;
    if (!check_end(d, msg, m->task_id, m->epoch, &lease))
        return;
    if (m->kind == SL_FAIL_CRASH) {
        on_crashed(d, ctx, &lease, m);
        return;
    }
    struct sl_task_failure failure = {.type =
                                          m->kind == SL_FAIL_PERMANENT ? "validation" : "runtime",
                                      .code = m->code,
                                      .message = m->message,
                                      .is_transient = m->kind == SL_FAIL_TRANSIENT};
    struct sl_retry retry = {.attempts = (uint16_t)(lease.attempts + 1), .crashes = lease.crashes};
    failure.attempts = retry.attempts;
    if (m->kind == SL_FAIL_PERMANENT)
        fail_task(d, ctx, &lease, &failure);
    else
        retry_or_fail(d, ctx, &lease, &retry, &failure);
}

static void
on_placement(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct dispatcher *d = self;
    struct sl_slice job = SL_BODY(msg, placement)->job;
    struct sl_job_info info;
    struct sl_job_id id = {0};
    struct sl_buf text = {0};
    struct sl_m_node_ordered reply = {.err = SL_ENOTFOUND};
    memcpy(id.bytes, job.data, SL_MIN(job.size, sizeof(id.bytes)));
    if (sl_queue_job(d->options.queue, id, &info) == SL_OK) {
        struct sl_txn *txn = sl_store_begin(ctx->store);
        sl_dispatch_explain(&d->nodes, txn, &info, &text);
        sl_txn_abort(&txn);
        reply = (struct sl_m_node_ordered){.message = sl_buf_slice(&text)};
    }
    sl_reply(ctx, msg, SL_M_node_ordered, &reply);
    sl_buf_deinit(&text);
}

static void
on_drain(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)msg;
    struct dispatcher *d = self;
    d->is_draining = true;
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_DRAIN), SL_M_drain, &(struct sl_m_drain){0});
    sl_after(ctx, DRAIN_NS, TOKEN_DRAIN);
}

static void
on_timer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct dispatcher *d = self;
    uint64_t task_id;
    uint64_t token = SL_BODY(msg, timer)->token;
    if (token == TOKEN_DRAIN)
        on_drain(self, ctx, msg);
    if (token == TOKEN_OPEN)
        on_open(d, ctx);
    if (token == TOKEN_PUMP)
        d->is_pumping = false; /* Every message ends with a pump. */
    if (token != TOKEN_TICK)
        return;
    /* An earlier tick was set after this one: were it to set another, ticks would only ever grow.
     */
    if (ctx->now_ns < d->tick_at_ns)
        return;
    d->tick_at_ns = UINT64_MAX;
    d->is_woken = false;
    while (sl_queue_expire(d->options.queue, ctx->now_ns, &task_id))
        sl_report_warn("lease-expired", "task=%" PRIu64, task_id);
    finish_ended_jobs(d, ctx);
}

static void
on_wake(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)msg;
    open_tiers(self, ctx); /* One that waits may have been cancelled. */
    /* Every message ends with a pump. A job may have ended where we do not see it, by a cancel: the
       next tick finds it. */
    ((struct dispatcher *)self)->is_woken = true;
}

static const struct sl_on table[] = {
    {SL_M_task_done, on_task_done}, {SL_M_task_failed, on_task_failed},
    {SL_M_node_beat, on_node_beat}, {SL_M_node_up, on_node_up},
    {SL_M_node_lost, on_node_lost}, {SL_M_node_open, on_node_open},
    {SL_M_wake, on_wake},           {SL_M_drain, on_drain},
    {SL_M_placement, on_placement}, {SL_M_timer, on_timer},
};

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (!sl_dispatch(table, SL_COUNT_OF(table), self, ctx, msg)) {
        sl_report_warn("message-unknown", "actor=dispatcher message=%s", msg->type->name);
        return;
    }
    pump(self, ctx);
    set_tick(self, ctx);
}

static void
init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct dispatcher *d = self;
    d->options = *(const struct sl_dispatcher_options *)argument;
    d->tick_at_ns = UINT64_MAX;
    d->opener = sl_chain_opener_create();
    finish_ended_jobs(d, ctx);
    open_tiers(d, ctx);
    set_tick(d, ctx);
}

static void
deinit(void *self)
{
    struct dispatcher *d = self;
    sl_dispatch_nodes_deinit(&d->nodes);
    sl_chain_opener_destroy(&d->opener);
    sl_buf_deinit(&d->row);
    sl_buf_deinit(&d->inputs);
}

const struct sl_actor_class sl_dispatcher_class = {
    .name = "dispatcher",
    .state_size = sizeof(struct dispatcher),
    .init = init,
    .handle = handle,
    .deinit = deinit,
};

void
sl_dispatcher_counts(const void *dispatcher, struct sl_dispatcher_counts *ret_counts)
{
    *ret_counts = ((const struct dispatcher *)dispatcher)->counts;
}
