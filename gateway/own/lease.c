/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers of a tenant's own queue by HTTP: leases, which a call may wait for, their ends, and their
 * extension.
 */
#include <inttypes.h>

#include "gateway/gateway.h"
#include "gateway/job_events.h"
#include "gateway/own/lines.h"
#include "gateway/own/queue.h"
#include "gateway/resource.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"

#define DURATION_MS    30000
#define PAYLOADS_MAX   (8 * SL_MIB)        /* Of one reply; base64 makes a third more of them. */
#define HOLDER_BY_HTTP (UINT64_C(1) << 63) /* Apart from nodes and their workers. */

/* What a worker asks for; lives as long as its call. */
struct ask {
    struct sl_lease_ask lease;
    struct sl_lease *leases;
    uint64_t until_ns; /* Waits until then. */
};

static bool
is_true(struct sl_json object, const char *name)
{
    return sl_json_bool(sl_json_member(object, name), false);
}

static uint64_t
number_or(struct sl_json object, const char *name, uint64_t fallback)
{
    uint64_t value;
    return sl_json_u64(sl_json_member(object, name), &value) == SL_OK ? value : fallback;
}

/* A worker is who it says, within its tenant. */
static uint64_t
holder_of(struct sl_call *call)
{
    struct sl_slice worker = sl_call_text(call, sl_json_member(call->body, "worker"));
    const char *whole =
        sl_call_format(call, "%" PRIu64 ":%.*s", call->who.scope.id, SL_SLICE_FMT(worker));
    return HOLDER_BY_HTTP | sl_hash64(sl_slice_str(whole));
}

static void
read_ask(struct sl_call *call, const char *count, uint64_t fallback, struct ask *ask)
{
    ask->lease = (struct sl_lease_ask){
        .holder = holder_of(call),
        .duration_ns = number_or(call->body, "duration_ms", DURATION_MS) * SL_MILLI_NS,
        .is_prefetched = is_true(call->body, "prefetched"),
        .max = (uint32_t)number_or(call->body, count, fallback),
        .bytes_max = PAYLOADS_MAX};
    ask->until_ns = call->now_ns + number_or(call->body, "wait_ms", 0) * SL_MILLI_NS;
    ask->leases = sl_call_alloc(call, SL_MAX(ask->lease.max, 1u) * sizeof(*ask->leases));
}

static void
write_lease(struct sl_call *call, const struct sl_lease *l, uint64_t duration_ns)
{
    struct sl_jsonw *w = &call->out;
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "job_id", sl_own_job_id(call, l->task_id));
    sl_jsonw_member_str(w, "epoch", sl_call_format(call, "%" PRIx64, l->epoch));
    sl_jsonw_member_time(w, "until", call->now_ms + duration_ns / SL_MILLI_NS);
    sl_jsonw_member_time(w, "created_at", l->created_ms);
    sl_jsonw_member_u64(w, "attempts", l->attempts);
    sl_jsonw_member_u64(w, "crashes", l->crashes);
    sl_jsonw_member_u64(w, "snoozes", l->snoozes);
    if (l->payload.size > 0)
        sl_own_write_bytes(w, "payload", l->payload);
    sl_jsonw_end(w);
}

/* Lease, and write each job into an open array. */
static enum sl_err
lease_jobs(struct sl_call *call, const struct sl_queue_depth *depth, struct ask *ask,
           uint32_t *ret_count)
{
    struct sl_store_backend b;
    struct sl_buf payloads = {0};
    struct sl_queue_name name = {depth->scope, depth->name};
    sl_own_backend(call, &b);
    enum sl_err err = b.backend.ops->lease(&b.backend, sl_own_when(call), name, &ask->lease,
                                           &payloads, ask->leases, ret_count);
    sl_store_backend_deinit(&b);
    for (uint32_t i = 0; err == SL_OK && i < *ret_count; i++)
        write_lease(call, &ask->leases[i], ask->lease.duration_ns);
    sl_buf_deinit(&payloads);
    return err;
}

static void on_ready(struct sl_call *call);

/* How long to wait: until the client's time is over, or, where jobs are there but their queue's
 * rate holds them, until that lets them go: nobody is told of that. */
static uint64_t
wait_ns(struct sl_call *call, const struct ask *ask)
{
    struct sl_queue_depth depth; /* As the grant that was none has left it. */
    uint64_t at_ns = ask->until_ns;
    if (sl_own_lookup(call, call->params[0], &depth) && depth.ready > 0 && depth.rate_ns > 0)
        at_ns = SL_MIN(at_ns, depth.rate_ns);
    return at_ns < call->now_ns + SL_MILLI_NS ? SL_MILLI_NS : at_ns - call->now_ns;
}

static void
lease(struct sl_call *call)
{
    struct ask *ask = call->state;
    struct sl_queue_depth depth;
    uint32_t count = 0;
    if (!sl_own_find(call, &depth))
        return;
    sl_jsonw_object(&call->out);
    sl_jsonw_name(&call->out, "jobs");
    sl_jsonw_array(&call->out);
    enum sl_err err = lease_jobs(call, &depth, ask, &count);
    sl_jsonw_end(&call->out);
    sl_jsonw_end(&call->out);
    if (err != SL_OK) {
        sl_own_fail(call, err, "the queue");
    } else if (count == 0 && call->now_ns < ask->until_ns) {
        sl_call_reset(call);
        sl_call_await_queue(call, sl_lane_hash(depth.name), wait_ns(call, ask), on_ready);
    } else if (count > 0) {
        sl_own_wake(call);
    }
}

/*
 * Jobs may be there, or the time is over. Where the server stops, or the client has gone, none are
 * taken: its turn is another's. Who goes just then is not seen to: its leases lapse.
 */
static void
on_ready(struct sl_call *call)
{
    bool is_gone = call->client_gone != NULL && atomic_load(call->client_gone);
    if (!is_gone && sl_call_wait_error(call, NULL) != SL_ECANCELED) {
        lease(call);
        return;
    }
    sl_jsonw_object(&call->out);
    sl_jsonw_name(&call->out, "jobs");
    sl_jsonw_array(&call->out);
    sl_jsonw_end(&call->out);
    sl_jsonw_end(&call->out);
    if (is_gone)
        sl_call_touch_queue(call, call->who.scope, sl_lane_hash(call->params[0]));
}

sl_handler_fn sl_api_lease_own_jobs, sl_api_end_own_jobs, sl_api_extend_own_jobs;

void
sl_api_lease_own_jobs(struct sl_call *call)
{
    call->idempotent_row = (struct sl_slice){0}; /* Epochs are the fence: see docs/queue.md. */
    struct ask *ask = sl_call_alloc(call, sizeof(*ask));
    read_ask(call, "n", 1, ask);
    call->state = ask;
    lease(call);
}

/* ---- ends ---------------------------------------------------------------------------------- */

struct ends {
    struct sl_end_item *items; /* Those that could be read. */
    enum sl_err *errs;
    struct sl_slice *ids; /* Of each end sent, as it was sent... */
    const char **why;     /* ...and what is wrong with it; NULL: it was read. */
    uint32_t count, sent;
    uint64_t lost; /* Leases of a worker that has died. */
};

/* Whether a lease is named, of a job in this queue. */
static bool
read_lease(struct sl_call *call, struct sl_json item, uint64_t *ret_id, uint64_t *ret_epoch)
{
    struct sl_task_info info;
    return sl_own_parse_id(sl_call_text(call, sl_json_member(item, "job_id")), ret_id) &&
           sl_own_parse_epoch(sl_call_text(call, sl_json_member(item, "epoch")), ret_epoch) &&
           sl_queue_task(call->gateway->queue, call->who.scope, *ret_id, &info) == SL_OK &&
           sl_slice_equal(info.lane, call->params[0]);
}

static enum sl_end_kind
kind_of(struct sl_json outcome)
{
    static const char *const names[] = {[SL_END_DONE] = "done",
                                        [SL_END_FAILED] = "failed",
                                        [SL_END_CRASHED] = "crashed",
                                        [SL_END_SNOOZED] = "snoozed",
                                        [SL_END_RELEASED] = "released"};
    unsigned kind = 0;
    while (kind + 1 < SL_COUNT_OF(names) && !sl_json_is(outcome, names[kind]))
        kind++;
    return (enum sl_end_kind)kind;
}

/* NULL: it is read. */
static const char *
read_end(struct sl_call *call, struct sl_json item, struct sl_end_item *end)
{
    const char *why = NULL;
    *end = (struct sl_end_item){.kind = kind_of(sl_json_member(item, "outcome")),
                                .served_ns = number_or(item, "served_ms", 0) * SL_MILLI_NS,
                                .after_ms = number_or(item, "after_ms", 0),
                                .signal = (uint32_t)number_or(item, "signal", 0),
                                .peak_bytes = number_or(item, "peak_bytes", 0),
                                .class = sl_call_text(call, sl_json_member(item, "class"))};
    if (!sl_own_read_bytes(call, item, "result", &end->bytes, &why))
        return why;
    if (end->kind != SL_END_DONE)
        end->bytes = sl_call_text(call, sl_json_member(item, "error"));
    /* One that cannot be is as stale as one that was. */
    if (!read_lease(call, item, &end->task_id, &end->epoch))
        end->epoch = 0;
    return NULL;
}

static void
read_ends(struct sl_call *call, struct ends *e)
{
    struct sl_json list = sl_json_member(call->body, "ends");
    e->sent = sl_json_count(list);
    e->items = sl_call_alloc(call, e->sent * sizeof(*e->items));
    e->errs = sl_call_alloc(call, e->sent * sizeof(*e->errs));
    e->ids = sl_call_alloc(call, e->sent * sizeof(*e->ids));
    e->why = sl_call_alloc(call, e->sent * sizeof(*e->why));
    uint32_t at = 0;
    for (struct sl_json_iter i = sl_json_iter(list); sl_json_next(&i); at++) {
        e->ids[at] = sl_call_text(call, sl_json_member(i.value, "job_id"));
        e->why[at] = read_end(call, i.value, &e->items[e->count]);
        e->count += e->why[at] == NULL;
    }
}

static void
write_end(struct sl_jsonw *w, struct sl_slice id, enum sl_err err, const char *why)
{
    sl_jsonw_object(w);
    sl_jsonw_member_slice(w, "job_id", id);
    sl_jsonw_member_bool(w, "success", err == SL_OK);
    if (err != SL_OK)
        sl_own_write_error(w, err, why);
    sl_jsonw_end(w);
}

static void
write_ends(struct sl_call *call, const struct ends *e)
{
    uint32_t at = 0;
    sl_jsonw_name(&call->out, "results");
    sl_jsonw_array(&call->out);
    for (uint32_t i = 0; i < e->sent; i++) {
        enum sl_err err = e->why[i] != NULL ? SL_EINVAL : e->errs[at++];
        write_end(&call->out, e->ids[i], err, e->why[i]);
    }
    sl_jsonw_end(&call->out);
}

/* Its worker is gone: how many leases it had. */
static uint64_t
lose(struct sl_call *call, struct sl_store_backend *b, struct sl_json lost)
{
    struct sl_loss loss = {.holder = holder_of(call),
                           .signal = (uint32_t)number_or(lost, "signal", 0),
                           .peak_bytes = number_or(lost, "peak_bytes", 0),
                           .lines = sl_call_text(call, sl_json_member(lost, "error"))};
    return b->backend.ops->lose(&b->backend, sl_own_when(call), &loss);
}

/* What runs said last is committed before their ends: of one that is not kept nobody would see it.
 * If it cannot be, the ends stand without. */
static void
say_last(struct sl_call *call)
{
    struct sl_json list = sl_json_member(call->body, "ends");
    struct sl_txn *txn = sl_store_begin(call->gateway->store);
    struct sl_task_info info;
    struct sl_lease lease;
    uint64_t id, epoch;
    for (struct sl_json_iter i = sl_json_iter(list); sl_json_next(&i);) {
        struct sl_json text = sl_json_member(i.value, "log");
        if (sl_json_has(text) && read_lease(call, i.value, &id, &epoch) &&
            sl_queue_check(call->gateway->queue, id, epoch, &lease) == SL_OK &&
            sl_queue_task(call->gateway->queue, call->who.scope, id, &info) == SL_OK &&
            (info.retain_ms > 0 || !sl_json_is(sl_json_member(i.value, "outcome"), "done")))
            sl_own_lines_say(call, txn, id, text);
    }
    (void)!sl_txn_commit(&txn);
}

/*
 * Ends are committed before the next lease is granted, since they make room for it, and on a disk
 * that takes nothing new: so not in the call's transaction. A key for repeats is stored in another,
 * which is as well: an end that is repeated is stale.
 */
static enum sl_err
end_jobs(struct sl_call *call, struct ends *e)
{
    struct sl_store_backend b;
    struct sl_json lost = sl_json_member(call->body, "lost");
    enum sl_err err = SL_OK;
    if (e->count == 0 && !sl_json_has(lost))
        return SL_OK;
    sl_txn_abort(&call->txn); /* Nothing was staged. */
    say_last(call);
    sl_own_backend(call, &b);
    if (e->count > 0)
        err = b.backend.ops->end(&b.backend, sl_own_when(call), call->who.scope, e->items, e->count,
                                 e->errs);
    if (err == SL_OK && sl_json_has(lost))
        e->lost = lose(call, &b, lost);
    sl_store_backend_deinit(&b);
    call->txn = sl_store_begin(call->gateway->store);
    return err;
}

void
sl_api_end_own_jobs(struct sl_call *call)
{
    call->idempotent_row = (struct sl_slice){0}; /* Epochs are the fence: see docs/queue.md. */
    struct sl_queue_depth depth;
    struct ends ends = {0};
    struct ask ask;
    uint32_t count = 0;
    if (!sl_own_find(call, &depth))
        return;
    if (sl_json_has(sl_json_member(call->body, "lost")) &&
        sl_call_text(call, sl_json_member(call->body, "worker")).size == 0) {
        sl_call_invalid(call, "body.worker", "value_error", "which worker is lost");
        return;
    }
    read_ends(call, &ends);
    read_ask(call, "next", 0, &ask);
    enum sl_err err = end_jobs(call, &ends);
    if (err != SL_OK) {
        sl_own_fail(call, err, "the ends");
        return;
    }
    sl_jsonw_object(&call->out);
    write_ends(call, &ends);
    if (sl_json_has(sl_json_member(call->body, "lost")))
        sl_jsonw_member_u64(&call->out, "lost", ends.lost);
    sl_jsonw_name(&call->out, "jobs");
    sl_jsonw_array(&call->out);
    if (ask.lease.max > 0 && sl_own_find(call, &depth))
        (void)lease_jobs(call, &depth, &ask, &count); /* The ends stand, with or without. */
    sl_jsonw_end(&call->out);
    sl_jsonw_end(&call->out);
    sl_own_wake(call);
}

/* ---- extending ----------------------------------------------------------------------------- */

/* What the worker says of how far it is goes to those who follow the job. */
static enum sl_err
report(struct sl_call *call, uint64_t id, struct sl_json progress)
{
    struct sl_job_name job = {call->who.scope, id};
    if (!sl_json_has(progress))
        return SL_OK;
    if (sl_json_raw(progress).size > SL_JOB_PROGRESS_BYTES)
        return SL_EINVAL;
    if (sl_job_events_progress(call->gateway->job_events, job, sl_json_raw(progress), call->now_ms))
        sl_call_touch_queue(call, job.scope, id);
    return SL_OK;
}

void
sl_api_extend_own_jobs(struct sl_call *call)
{
    struct sl_queue_depth depth;
    struct sl_store_backend b;
    struct sl_json list = sl_json_member(call->body, "leases");
    uint64_t duration_ms = number_or(call->body, "duration_ms", DURATION_MS), id, epoch;
    if (!sl_own_find(call, &depth))
        return;
    uint64_t deadline_ns = call->now_ns + duration_ms * SL_MILLI_NS;
    sl_own_backend(call, &b);
    sl_jsonw_object(&call->out);
    sl_jsonw_name(&call->out, "results");
    sl_jsonw_array(&call->out);
    for (struct sl_json_iter i = sl_json_iter(list); sl_json_next(&i);) {
        enum sl_err err = SL_ESTALE;
        if (read_lease(call, i.value, &id, &epoch))
            err = b.backend.ops->extend(&b.backend, call->who.scope, id, epoch, deadline_ns);
        if (err == SL_OK && is_true(i.value, "begun"))
            err = b.backend.ops->begin(&b.backend, call->who.scope, id, epoch);
        if (err == SL_OK)
            err = report(call, id, sl_json_member(i.value, "progress"));
        if (err == SL_OK)
            sl_own_lines_say(call, call->txn, id, sl_json_member(i.value, "log"));
        write_end(&call->out, sl_call_text(call, sl_json_member(i.value, "job_id")), err, NULL);
    }
    sl_jsonw_end(&call->out);
    sl_jsonw_member_time(&call->out, "until", call->now_ms + duration_ms);
    sl_jsonw_end(&call->out);
    sl_store_backend_deinit(&b);
    sl_own_wake(call);
}
