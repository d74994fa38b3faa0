/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/dispatcher.h"

#include <inttypes.h>
#include <string.h>

#include "actors/dispatch_end.h"
#include "actors/dispatch_homes.h"
#include "actors/group_demand.h"
#include "actors/labels.h"
#include "actors/rows.h"
#include "actors/settle.h"
#include "actors/task_source.h"
#include "runtime/alloc.h"
#include "runtime/limits.h"
#include "runtime/report.h"

#define LEASE_NS     (60 * SL_SECOND_NS) /* Beats extend it; it only matters when they stop. */
#define TOKEN_TICK   1
#define TOKEN_DRAIN  2
#define TOKEN_PUMP   4
#define TICK_BUSY_NS (500 * SL_MILLI_NS)
#define DRAIN_NS     (10 * SL_MILLI_NS)
#define TURN_NS      SL_MILLI_NS /* Between slices of what is long: others have their turn. */
#define ENDED_MAX    256         /* Tasks of a slice that end without a node. */
#define ROOM_NS      (10 * SL_MILLI_NS) /* The disk's room is asked for no more often. */

#define PARKED       UINT64_MAX         /* The holder of parked tasks: no node. */
#define SWEEP_NS     (5 * SL_SECOND_NS) /* Parked tasks are looked through so often. */
#define PUT_OFF_MS   (10 * 60 * 1000)   /* What finds no place to park comes again, so late. */

struct dispatcher {
    struct sl_dispatcher_options options;
    struct sl_dispatch_nodes nodes;
    struct sl_dispatch_end end;
    struct sl_group_demand demand;
    struct sl_dispatch_homes homes;
    uint64_t tick_at_ns; /* When the pending tick is due; UINT64_MAX: none is set. */
    struct sl_buf row, inputs;
    bool is_pumping;  /* A timer of its own is set. */
    bool is_woken;    /* Since the last tick. */
    bool is_low;      /* The disk, when it was asked last. */
    uint64_t room_ns; /* When to ask it next. */
    uint64_t sweep_ns;
};

/* ---- leasing ------------------------------------------------------------------------------- */

/*
 * No node that has what it asks for has room: it waits by itself, and others have their turn. With
 * too many waiting it goes back, uncounted and for long, so that neither memory nor time is lost.
 */
static void
park(struct dispatcher *d, struct sl_ctx *ctx, const struct sl_lease *lease,
     const struct sl_dispatch_spec *spec)
{
    struct sl_parked task = {.task_id = lease->task_id, .epoch = lease->epoch};
    struct sl_parking_need need = {.asked = spec->asked, .home = spec->home, .class = lease->class};
    if (sl_parking_add(&d->nodes.parking, &need, task)) {
        if (SL_BUG(sl_queue_move(d->options.queue, lease->task_id, lease->epoch, PARKED) != SL_OK))
            sl_report_error("park-failed", "task=%" PRIu64, lease->task_id);
        return;
    }
    sl_dispatch_put_off(&d->end, ctx, lease, ctx->now_ms + PUT_OFF_MS);
}

/*
 * A task of a tenant whose work is for nodes of its own, leased in a turn of others; or the other
 * way about, after the tenant's level has changed. Its queue is told, and has it back.
 */
static void
send_home(struct dispatcher *d, struct sl_ctx *ctx, const struct sl_lease *lease)
{
    sl_dispatch_homes_meet(&d->homes, ctx->store, d->options.queue, lease->scope.id);
    sl_dispatch_return(&d->end, lease);
}

/* Send a lease to the node that is best for it; false: it ended here instead. */
static bool
run_lease(struct dispatcher *d, struct sl_ctx *ctx, struct sl_dispatch_node *turn,
          struct sl_lease *lease)
{
    struct sl_task_payload p;
    struct sl_task_source source;
    struct sl_task_part part = {0};
    struct sl_slice row;
    char *why = NULL;
    if (!sl_dispatch_read(&d->end, ctx, lease))
        return false;
    struct sl_txn *txn = sl_store_begin(ctx->store);
    struct sl_dispatch_spec *spec = sl_dispatch_spec_of(&d->nodes, txn, lease, &p);
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
        sl_dispatch_end_orphan(&d->end, ctx, lease);
        return false;
    }
    if (err != SL_OK) {
        sl_dispatch_end_refused(&d->end, ctx, lease, "input_missing",
                                why == NULL ? sl_err_text(err) : why);
        sl_free(why);
        return false;
    }
    if (d->inputs.size > SL_LIMIT_INPUTS_BYTES) {
        sl_dispatch_end_refused(&d->end, ctx, lease, "input_missing",
                                "the inputs are larger than a task's may be");
        return false;
    }
    if (!sl_placement_is_home(turn->taint, spec->home)) {
        send_home(d, ctx, lease);
        return false;
    }
    struct sl_dispatch_node *n = sl_dispatch_choose(&d->nodes, turn, spec, lease->class);
    if (n == NULL) {
        park(d, ctx, lease, spec);
        return false;
    }
    if (n->slot.number != lease->holder &&
        SL_BUG(sl_queue_move(d->options.queue, lease->task_id, lease->epoch, n->slot.number) !=
               SL_OK))
        n = turn;
    sl_dispatch_tell(ctx, n, spec);
    struct sl_m_run_task m = {.task_id = lease->task_id,
                              .epoch = lease->epoch,
                              .extraction = spec->number,
                              .alone = lease->crashes > 0,
                              .inputs = sl_buf_slice(&d->inputs),
                              .first = part.first,
                              .resume = part.resume,
                              .tenant = lease->scope.id,
                              .job = sl_slice(lease->job.bytes, sizeof(lease->job.bytes))};
    sl_send(ctx, sl_at(n->slot.number, SL_ACTOR_AGENT), SL_M_run_task, &m);
    struct sl_flight flight = {.task_id = lease->task_id,
                               .epoch = lease->epoch,
                               .since_ns = ctx->now_ns,
                               .expected_ns = lease->expected_ns,
                               .bytes = (uint32_t)(m.inputs.size + m.resume.size)};
    sl_dispatch_fly(&d->nodes, n, &flight);
    return true;
}

static bool
lease_any(struct dispatcher *d, struct sl_ctx *ctx, const struct sl_dispatch_node *n,
          struct sl_lease *ret_lease)
{
    for (int class = 0; class < SL_CLASS_COUNT; class ++) {
        if ((n->classes >> class & 1) == 0)
            continue;
        struct sl_lease_want want = {.class = (enum sl_class) class,
                                     .scope = {n->taint},
                                     .holder = n->slot.number,
                                     .now_ns = ctx->now_ns,
                                     .now_ms = ctx->now_ms,
                                     .duration_ns = LEASE_NS};
        if (sl_queue_lease(d->options.queue, &want, ret_lease))
            return true;
    }
    return false;
}

/*
 * The next of a ring that a task can be leased for; NULL: there is none. Without a taint all ask
 * for the same; others ask for their tenant's alone, and only while its level is `physical`.
 */
static struct sl_dispatch_node *
next_with_task(struct dispatcher *d, struct sl_ctx *ctx, struct sl_dispatch_node *first,
               struct sl_lease *ret_lease)
{
    struct sl_dispatch_node *n = first;
    if (n == NULL || n->taint == 0)
        return n != NULL && lease_any(d, ctx, n, ret_lease) ? n : NULL;
    do {
        if (sl_queue_is_apart(d->options.queue, (struct sl_scope){n->taint}) &&
            lease_any(d, ctx, n, ret_lease))
            return n;
        n = n->next;
    } while (n != first);
    return NULL;
}

/* A task for the ring's next node; false: there is none of its classes. `ended` counts those that
   ended here: they take no room, so that nothing else bounds them. */
static bool
pump_one(struct dispatcher *d, struct sl_ctx *ctx, struct sl_dispatch_node **turn, uint32_t *ended)
{
    struct sl_lease lease;
    struct sl_dispatch_node *n = next_with_task(d, ctx, *turn, &lease);
    if (n == NULL)
        return false;
    d->end.counts.leased++;
    *turn = n->next;
    *ended += !run_lease(d, ctx, n, &lease);
    return true;
}

static bool
is_disk_low(struct dispatcher *d, const struct sl_ctx *ctx)
{
    if (ctx->now_ns >= d->room_ns) {
        d->is_low = sl_store_is_low(ctx->store);
        d->room_ns = ctx->now_ns + ROOM_NS;
    }
    return d->is_low;
}

static bool
may_lease(struct dispatcher *d, const struct sl_ctx *ctx)
{
    /* On a full disk work waits for room, rather than run and lose its results. */
    return !d->end.is_draining && !is_disk_low(d, ctx) && ctx->now_ns >= d->end.refused_until_ns;
}

/* A node may have room: what is parked and fits goes first. `node`: NULL is fine. */
static void
unpark(struct dispatcher *d, struct sl_ctx *ctx, struct sl_dispatch_node *n)
{
    struct sl_parked task;
    struct sl_lease lease;
    struct sl_parking_offer offer = {0};
    if (n != NULL)
        offer = (struct sl_parking_offer){
            .has = sl_json_root(n->labels), .taint = n->taint, .classes = n->classes};
    while (n != NULL && n->next != NULL && d->nodes.parking.count > 0 && may_lease(d, ctx) &&
           sl_parking_take(&d->nodes.parking, &offer, &task)) {
        if (sl_queue_check(d->options.queue, task.task_id, task.epoch, &lease) == SL_OK)
            (void)run_lease(d, ctx, n, &lease);
    }
}

static bool
is_parked(void *queue, struct sl_parked task)
{
    struct sl_lease lease;
    return sl_queue_check(queue, task.task_id, task.epoch, &lease) == SL_OK;
}

/* Their leases go on as long as we do; of cancelled ones nothing is kept. */
static void
sweep_parking(struct dispatcher *d, const struct sl_ctx *ctx)
{
    if (d->nodes.parking.count == 0 || ctx->now_ns < d->sweep_ns)
        return;
    d->sweep_ns = ctx->now_ns + SWEEP_NS;
    sl_queue_extend(d->options.queue, PARKED, ctx->now_ns + LEASE_NS);
    sl_parking_sweep(&d->nodes.parking, is_parked, d->options.queue);
}

/* Fill the nodes' room, a task each in turn, so that no node takes all. */
static void
pump(struct dispatcher *d, struct sl_ctx *ctx)
{
    bool has_leased = may_lease(d, ctx);
    uint32_t ended = 0;
    while (has_leased && ended < ENDED_MAX) {
        has_leased = false;
        for (size_t i = 0;
             i < SL_COUNT_OF(d->nodes.turns) && ctx->now_ns >= d->end.refused_until_ns; i++)
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
    if (d->is_woken || sl_queue_has_work(d->options.queue))
        delay_ns = SL_MIN(delay_ns, TICK_BUSY_NS);
    uint64_t rate_ns = sl_queue_next_ns(d->options.queue);
    if (rate_ns != UINT64_MAX && rate_ns > ctx->now_ns) /* What is past waits for room. */
        delay_ns = SL_MIN(delay_ns, rate_ns - ctx->now_ns);
    if (delay_ns == UINT64_MAX || ctx->now_ns + delay_ns >= d->tick_at_ns)
        return;
    d->tick_at_ns = ctx->now_ns + delay_ns;
    sl_after(ctx, delay_ns, TOKEN_TICK);
}

/* ---- messages ------------------------------------------------------------------------------ */

static void
on_node_up(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct dispatcher *d = self;
    const struct sl_m_node_up *m = SL_BODY(msg, node_up);
    sl_dispatch_node_add(&d->nodes, m);
    if (m->taint != 0)
        sl_dispatch_homes_meet(&d->homes, ctx->store, d->options.queue, m->taint);
    unpark(d, ctx, sl_dispatch_node(&d->nodes, m->node));
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

static void
tell_closed(struct sl_ctx *ctx, struct sl_dispatch_node *n)
{
    n->is_told_owed = false;
    sl_send(ctx, sl_at(n->slot.number, SL_ACTOR_AGENT), SL_M_node_leave,
            &(struct sl_m_node_leave){.node = n->slot.number});
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
        tell_closed(ctx, n);
    unpark(d, ctx, n);
}

/* What an idle node was sent so long ago, and nobody waits for, it never got, or its end is lost.
 */
static void
land_lost(struct dispatcher *d, const struct sl_ctx *ctx, struct sl_dispatch_node *n)
{
    struct sl_lease lease;
    for (struct sl_flight *f; (f = n->flights.oldest) != NULL;) {
        if (ctx->now_ns - f->since_ns < LEASE_NS ||
            sl_queue_check(d->options.queue, f->task_id, f->epoch, &lease) == SL_OK)
            return;
        sl_dispatch_land(&d->nodes, f);
    }
}

static void
on_node_beat(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct dispatcher *d = self;
    const struct sl_m_node_beat *m = SL_BODY(msg, node_beat);
    struct sl_dispatch_node *n = sl_dispatch_node(&d->nodes, m->node);
    if (n == NULL)
        return;
    n->is_full = false; /* It hears, and is heard: try again. */
    if (n->is_told_owed && n->is_closed)
        tell_closed(ctx, n);
    sl_dispatch_node_place(&d->nodes, n);
    /* An idle node holds none: what it should have got, or sent, was lost with a link. */
    if (m->in_flight > 0)
        sl_queue_extend(d->options.queue, m->node, ctx->now_ns + LEASE_NS);
    else
        land_lost(d, ctx, n);
    unpark(d, ctx, n);
}

/* A link did not take what we sent: the task has not run, so the queue has it back uncounted. */
static void
return_task(struct dispatcher *d, struct sl_ctx *ctx, const struct sl_m_undelivered *m)
{
    struct sl_flight *flight = sl_dispatch_flight(&d->nodes, m->first, m->second);
    struct sl_lease lease;
    if (flight != NULL)
        sl_dispatch_land(&d->nodes, flight);
    if (sl_queue_check(d->options.queue, m->first, m->second, &lease) != SL_OK)
        return;
    if (m->reason != SL_ETOOBIG)
        sl_dispatch_return(&d->end, &lease);
    else if (sl_dispatch_read(&d->end, ctx, &lease))
        sl_dispatch_end_refused(&d->end, ctx, &lease, "input_missing",
                                "the inputs are larger than a message may be");
}

static void
on_undelivered(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct dispatcher *d = self;
    const struct sl_m_undelivered *m = SL_BODY(msg, undelivered);
    struct sl_dispatch_node *n = sl_dispatch_node(&d->nodes, msg->from.node);
    if (n != NULL) {
        n->is_full = true;
        if (m->message == SL_M_extraction)
            sl_dispatch_untell(n, m->first);
        n->is_told_owed = n->is_told_owed || m->message == SL_M_node_leave;
        sl_dispatch_node_place(&d->nodes, n);
    }
    if (m->message == SL_M_run_task)
        return_task(d, ctx, m);
}

static void
on_task_done(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    sl_dispatch_done(&((struct dispatcher *)self)->end, ctx, msg);
}

static void
on_task_failed(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    sl_dispatch_failed(&((struct dispatcher *)self)->end, ctx, msg);
}

static void
on_placement(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct dispatcher *d = self;
    struct sl_buf text = {0};
    struct sl_m_node_ordered reply = {0};
    struct sl_dispatch_asking ask = {
        .nodes = &d->nodes, .queue = d->options.queue, .now_ns = ctx->now_ns};
    reply.err =
        (uint64_t)sl_dispatch_explain(&ask, ctx->store, SL_BODY(msg, placement)->job, &text);
    reply.message = sl_buf_slice(&text);
    sl_reply(ctx, msg, SL_M_node_ordered, &reply);
    sl_buf_deinit(&text);
}

static void
on_drain(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)msg;
    struct dispatcher *d = self;
    if (!d->end.is_draining) /* What waits here holds up nobody who stops. */
        (void)sl_queue_release_holder(d->options.queue, PARKED);
    d->end.is_draining = true;
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_DRAIN), SL_M_drain, &(struct sl_m_drain){0});
    sl_after(ctx, DRAIN_NS, TOKEN_DRAIN);
}

/* Tenants' levels may have changed. What is parked for nodes of a tenant's own that any node may
 * have now goes back, with the rest: it is found again at once. */
static void
look_homes(struct dispatcher *d, struct sl_ctx *ctx)
{
    if (sl_dispatch_homes_look(&d->homes, ctx->store, d->options.queue) && !d->end.is_draining)
        (void)sl_queue_release_holder(d->options.queue, PARKED);
}

static void
expire_leases(struct dispatcher *d, const struct sl_ctx *ctx)
{
    uint64_t task_id;
    while (sl_queue_expire(d->options.queue, ctx->now_ns, &task_id)) {
        struct sl_flight *flight = sl_flight_lookup(&d->nodes.flights, task_id);
        if (flight != NULL)
            sl_dispatch_land(&d->nodes, flight);
        sl_report_warn("lease-expired", "task=%" PRIu64, task_id);
    }
}

static void
on_timer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct dispatcher *d = self;
    uint64_t token = SL_BODY(msg, timer)->token;
    if (token == TOKEN_DRAIN)
        on_drain(self, ctx, msg);
    if (token == SL_DISPATCH_TOKEN_OPEN)
        sl_dispatch_tiers_go_on(&d->end, ctx);
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
    look_homes(d, ctx);
    sweep_parking(d, ctx);
    expire_leases(d, ctx);
    sl_dispatch_end_jobs(&d->end, ctx);
}

static void
on_wake(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)msg;
    struct dispatcher *d = self;
    sl_dispatch_tiers_open(&d->end, ctx); /* One that waits may have been cancelled. */
    /* Every message ends with a pump. A job may have ended where we do not see it, by a cancel: the
       next tick finds it. */
    d->is_woken = true;
}

static const struct sl_on table[] = {
    {SL_M_task_done, on_task_done},
    {SL_M_task_failed, on_task_failed},
    {SL_M_node_beat, on_node_beat},
    {SL_M_node_up, on_node_up},
    {SL_M_node_lost, on_node_lost},
    {SL_M_node_open, on_node_open},
    {SL_M_wake, on_wake},
    {SL_M_drain, on_drain},
    {SL_M_placement, on_placement},
    {SL_M_timer, on_timer},
    {SL_M_undelivered, on_undelivered},
};

/* An end has made room at the node that it came from. */
static bool
is_end(const struct sl_msg *msg)
{
    return msg->id == SL_M_task_done || msg->id == SL_M_task_failed;
}

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (!sl_dispatch(table, SL_COUNT_OF(table), self, ctx, msg)) {
        sl_report_warn("message-unknown", "actor=dispatcher message=%s", msg->type->name);
        return;
    }
    struct dispatcher *d = self;
    if (is_end(msg))
        unpark(d, ctx, sl_dispatch_node(&d->nodes, msg->from.node));
    pump(d, ctx);
    sl_group_demand_look(&d->demand, ctx, d->options.queue, &d->nodes, may_lease(d, ctx));
    set_tick(d, ctx);
}

static void
init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct dispatcher *d = self;
    d->options = *(const struct sl_dispatcher_options *)argument;
    d->end = (struct sl_dispatch_end){.options = &d->options, .nodes = &d->nodes};
    d->tick_at_ns = UINT64_MAX;
    d->end.opener = sl_chain_opener_create();
    const char *asked = d->options.extractors == NULL ? "" : d->options.extractors;
    char *why = NULL;
    if (sl_labels_read(sl_slice_str(asked), &d->nodes.asked, &why) != SL_OK)
        sl_report_error("labels-refused", "why=\"%s\"", why);
    sl_free(why);
    sl_dispatch_end_jobs(&d->end, ctx);
    sl_dispatch_tiers_open(&d->end, ctx);
    sl_group_demand_init(&d->demand, d->options.groups);
    if (d->demand.is_on)
        sl_after(ctx, 0, TOKEN_PUMP); /* What a restart left waits for nodes that are not there. */
    set_tick(d, ctx);
}

static void
deinit(void *self)
{
    struct dispatcher *d = self;
    sl_dispatch_nodes_deinit(&d->nodes);
    sl_dispatch_homes_deinit(&d->homes);
    sl_chain_opener_destroy(&d->end.opener);
    sl_buf_deinit(&d->row);
    sl_buf_deinit(&d->inputs);
    sl_buf_deinit(&d->end.payload);
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
    const struct dispatcher *d = dispatcher;
    *ret_counts = d->end.counts;
    ret_counts->parked = d->nodes.parking.count;
}

double
sl_dispatcher_rate_per_s(const void *dispatcher, struct sl_scope scope, enum sl_class class,
                         uint64_t now_ns)
{
    const struct dispatcher *d = dispatcher;
    return sl_lane_rates_per_s(&d->nodes.rates, scope, class, now_ns);
}
