/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/dispatch_end.h"

#include <inttypes.h>

#include "actors/settle.h"
#include "queue/body.h"
#include "runtime/report.h"

#define TURN_NS        SL_MILLI_NS  /* Between slices of what is long: others have their turn. */
#define REFUSED_NS     SL_SECOND_NS /* No leases for so long after the store refused a commit. */
#define UNREADABLE_MAX 10u
#define UNREADABLE_MS  1000u

static struct sl_settle
settle_of(const struct sl_dispatch_end *e, const struct sl_ctx *ctx)
{
    return (struct sl_settle){.store = ctx->store,
                              .indexes = e->options->indexes,
                              .now_ms = ctx->now_ms,
                              .uses = e->options->uses};
}

/* ---- for traces ---------------------------------------------------------------------------- */

static bool
is_told(struct sl_dispatch_end *e, const struct sl_ctx *ctx)
{
    uint64_t second = ctx->now_ns / SL_SECOND_NS;
    if (e->told_second != second)
        e->told = 0;
    e->told_second = second;
    return e->options->is_traced || e->told < e->options->told_per_s;
}

/* What is known of a lease before its end is decided on. */
static void
note(struct sl_dispatch_end *e, const struct sl_ctx *ctx, const struct sl_lease *lease)
{
    if (!is_told(e, ctx))
        return;
    bool is_first = lease->attempts == 0 && lease->crashes == 0 && lease->snoozes == 0;
    e->traced = (struct sl_m_task_traced){.scope = lease->scope.id,
                                          .task_id = lease->task_id,
                                          .epoch = lease->epoch,
                                          .class = lease->class,
                                          .node = lease->holder,
                                          .attempt = (uint64_t)lease->attempts + 1,
                                          .created_ms = is_first ? lease->created_ms : 0,
                                          .since_ns = lease->since_ns,
                                          .ended_ns = ctx->now_ns};
}

/* What the node says of it. */
static void
note_times(struct sl_dispatch_end *e, const struct sl_m_task_done *m,
           const struct sl_dispatch_spec *spec)
{
    if (e->traced.task_id != m->task_id || e->traced.epoch != m->epoch)
        return;
    struct sl_json name = sl_json_member(sl_json_root(spec->doc), "extractor");
    struct sl_buf scratch = {0};
    e->traced.queued_ns = m->queued_ns;
    e->traced.batched_ns = m->batched_ns;
    e->traced.computed_ns = m->computed_ns;
    if (m->first > 0)
        e->traced.created_ms = 0;
    /* A name is an identifier: one with escapes is none. */
    if (sl_json_text(name, &scratch, &e->traced.extractor) != SL_OK || scratch.size > 0)
        e->traced.extractor = (struct sl_slice){0};
    sl_buf_deinit(&scratch);
}

/* Once its end is staged, so that it is told of when that is durable; and before its job's. */
static void
trace(struct sl_dispatch_end *e, struct sl_ctx *ctx, const struct sl_lease *lease,
      enum sl_traced_outcome outcome)
{
    if (e->traced.task_id != lease->task_id || e->traced.epoch != lease->epoch)
        return;
    e->traced.job = sl_slice(lease->job.bytes, sizeof(lease->job.bytes));
    e->traced.outcome = outcome;
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_TRACES), SL_M_task_traced, &e->traced);
    e->traced.task_id = 0;
    e->told++;
}

/* ---- ending tasks -------------------------------------------------------------------------- */

/* How long it was worked on, as far as that can be: a node that errs must not lock a tenant out. */
static void
charge(struct sl_dispatch_end *e, const struct sl_ctx *ctx, const struct sl_lease *lease,
       uint64_t served_ns)
{
    uint64_t most_ns = ctx->now_ns - lease->since_ns;
    if (SL_BUG(sl_queue_served(e->options->queue, lease->task_id, lease->epoch,
                               SL_MIN(served_ns, most_ns)) != SL_OK))
        sl_report_error("charge-failed", "task=%" PRIu64, lease->task_id);
}

/*
 * A commit the store refuses leaves the task leased, and beats would extend that for ever: it goes
 * back to its queue, and nothing is leased for a while, so that a full disk costs no core.
 */
static bool
is_settled(struct sl_dispatch_end *e, const struct sl_ctx *ctx, const struct sl_lease *lease,
           enum sl_err err)
{
    if (err == SL_OK)
        return true;
    sl_report_error("settle-failed", "task=%" PRIu64 " err=%s", lease->task_id, sl_err_name(err));
    e->refused_until_ns = ctx->now_ns + REFUSED_NS;
    if (sl_queue_release(e->options->queue, lease->task_id, lease->epoch) != SL_OK)
        sl_report_error("release-failed", "task=%" PRIu64, lease->task_id);
    return false;
}

void
sl_dispatch_tiers_open(struct sl_dispatch_end *e, struct sl_ctx *ctx)
{
    if (e->is_opening)
        return;
    e->is_opening = true;
    sl_after(ctx, 0, SL_DISPATCH_TOKEN_OPEN);
}

/* An ended job's final row; whoever waits for it is told, and the tier after it is opened. False:
   the store refused, a tick tries again. */
static bool
end_job(struct sl_dispatch_end *e, struct sl_ctx *ctx, const struct sl_job_info *info)
{
    struct sl_settle settle = settle_of(e, ctx);
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
    if (e->options->is_traced)
        sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_TRACES), SL_M_job_ended, &ended);
    if (has_next)
        sl_dispatch_tiers_open(e, ctx);
    return true;
}

static void
finish_job(struct sl_dispatch_end *e, struct sl_ctx *ctx, struct sl_job_id id)
{
    struct sl_job_info info;
    if (sl_queue_job(e->options->queue, id, &info) == SL_OK && info.state >= SL_JOB_SUCCEEDED)
        (void)end_job(e, ctx, &info);
}

void
sl_dispatch_tiers_go_on(struct sl_dispatch_end *e, struct sl_ctx *ctx)
{
    struct sl_chain_opened opened = {0};
    e->is_opening = false;
    if (e->is_draining)
        return; /* The next start finds them. */
    enum sl_err err = SL_ENOSPC;
    bool is_low = sl_store_is_low(ctx->store);
    if (!is_low)
        err = sl_chain_open_some(e->opener, ctx->store, ctx->now_ms, &opened);
    if (err != SL_OK && !is_low)
        sl_report_error("settle-failed", "what=tier err=%s", sl_err_name(err));
    if (opened.is_job)
        finish_job(e, ctx, opened.job); /* One without tasks has ended at once. */
    if ((err == SL_OK && !opened.is_more) || e->is_opening)
        return;
    e->is_opening = true;
    sl_after(ctx, err == SL_OK ? TURN_NS : REFUSED_NS, SL_DISPATCH_TOKEN_OPEN);
}

void
sl_dispatch_end_jobs(struct sl_dispatch_end *e, struct sl_ctx *ctx)
{
    struct sl_job_info info;
    while (sl_queue_ended(e->options->queue, &info)) {
        if (!end_job(e, ctx, &info))
            return;
    }
}

static void
fail_task(struct sl_dispatch_end *e, struct sl_ctx *ctx, const struct sl_lease *lease,
          const struct sl_task_failure *failure)
{
    struct sl_settle settle = settle_of(e, ctx);
    struct sl_job_id job = lease->job;
    if (!is_settled(e, ctx, lease, sl_settle_dead(&settle, lease, failure)))
        return;
    e->counts.dead++;
    trace(e, ctx, lease, SL_TRACED_DEAD);
    finish_job(e, ctx, job);
}

/* A failed run: tried again after a pause, or given up. `attempts` counts this run when it should.
 */
static void
retry_or_fail(struct sl_dispatch_end *e, struct sl_ctx *ctx, const struct sl_lease *lease,
              struct sl_retry *retry, struct sl_task_failure *failure)
{
    uint64_t delay_ms = 0;
    if (retry->attempts > lease->attempts)
        delay_ms = sl_retry_delay_ms(&e->options->retry, retry->attempts, ctx->random);
    failure->attempts = retry->attempts;
    if (delay_ms == UINT64_MAX) {
        fail_task(e, ctx, lease, failure);
        return;
    }
    struct sl_settle settle = settle_of(e, ctx);
    retry->task_id = lease->task_id;
    retry->snoozes = lease->snoozes;
    retry->not_before_ms = delay_ms == 0 ? 0 : ctx->now_ms + delay_ms;
    if (!is_settled(e, ctx, lease, sl_settle_retry(&settle, lease, retry, failure)))
        return;
    e->counts.retried++;
    trace(e, ctx, lease, SL_TRACED_RETRY);
}

void
sl_dispatch_end_refused(struct sl_dispatch_end *e, struct sl_ctx *ctx, const struct sl_lease *lease,
                        const char *code, const char *why)
{
    struct sl_task_failure failure = {.type = "validation",
                                      .code = sl_slice_str(code),
                                      .message = sl_slice_str(why),
                                      .attempts = (uint16_t)(lease->attempts + 1)};
    charge(e, ctx, lease, 0);
    fail_task(e, ctx, lease, &failure);
}

void
sl_dispatch_end_orphan(struct sl_dispatch_end *e, struct sl_ctx *ctx, const struct sl_lease *lease)
{
    static const uint8_t no_outputs[4];
    struct sl_settle settle = settle_of(e, ctx);
    struct sl_job_id job = lease->job;
    charge(e, ctx, lease, 0);
    enum sl_err err = sl_settle_done(&settle, lease, (struct sl_json){0}, sl_slice(no_outputs, 4),
                                     &(struct sl_task_part){0});
    if (is_settled(e, ctx, lease, err))
        finish_job(e, ctx, job);
}

void
sl_dispatch_put_off(struct sl_dispatch_end *e, struct sl_ctx *ctx, const struct sl_lease *lease,
                    uint64_t until_ms)
{
    struct sl_settle settle = settle_of(e, ctx);
    charge(e, ctx, lease, 0);
    (void)is_settled(e, ctx, lease, sl_settle_put_off(&settle, lease, until_ms));
}

/* A task whose bytes are not what was written ends; where they cannot be had it is put off some
   times first. On a disk that fails for good that ends the process. */
bool
sl_dispatch_read(struct sl_dispatch_end *e, struct sl_ctx *ctx, struct sl_lease *lease)
{
    enum sl_err err = sl_lease_read(ctx->store, lease, &e->payload);
    if (err == SL_OK)
        return true;
    sl_report_error("payload-unreadable", "task=%" PRIu64 " segment=%" PRIu32 " err=%s",
                    lease->task_id, lease->body.at.segment, sl_err_name(err));
    if (err == SL_ECORRUPT || lease->snoozes >= UNREADABLE_MAX)
        sl_dispatch_end_refused(e, ctx, lease, "payload_damaged", sl_err_text(err));
    else
        sl_dispatch_put_off(e, ctx, lease, ctx->now_ms + UNREADABLE_MS);
    return false;
}

void
sl_dispatch_return(struct sl_dispatch_end *e, const struct sl_lease *lease)
{
    e->counts.returned++;
    if (sl_queue_release(e->options->queue, lease->task_id, lease->epoch) != SL_OK)
        sl_report_error("release-failed", "task=%" PRIu64, lease->task_id);
}

/* The rest of a lease whose end a node reports, if its epoch is live. */
static bool
check_end(struct sl_dispatch_end *e, struct sl_ctx *ctx, const struct sl_msg *msg,
          uint64_t served_ns, struct sl_lease *lease)
{
    struct sl_flight *flight = sl_dispatch_flight(e->nodes, lease->task_id, lease->epoch);
    if (flight != NULL)
        sl_dispatch_land(e->nodes, flight);
    if (sl_queue_check(e->options->queue, lease->task_id, lease->epoch, lease) != SL_OK) {
        e->counts.stale++;
        sl_report_debug("end-stale", "task=%" PRIu64 " node=%u", lease->task_id, msg->from.node);
        return false;
    }
    note(e, ctx, lease);
    charge(e, ctx, lease, served_ns);
    sl_lane_rates_count(&e->nodes->rates, lease->scope, lease->class, ctx->now_ns);
    return sl_dispatch_read(e, ctx, lease);
}

void
sl_dispatch_done(struct sl_dispatch_end *e, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    const struct sl_m_task_done *m = SL_BODY(msg, task_done);
    struct sl_lease lease = {.task_id = m->task_id, .epoch = m->epoch};
    struct sl_task_payload p;
    if (!check_end(e, ctx, msg, m->served_ns, &lease))
        return;
    struct sl_txn *txn = sl_store_begin(ctx->store);
    struct sl_dispatch_spec *spec = sl_dispatch_spec_of(e->nodes, txn, &lease, &p);
    sl_txn_abort(&txn);
    struct sl_settle settle = settle_of(e, ctx);
    struct sl_job_id job = lease.job;
    settle.served_ns = SL_MIN(m->served_ns, ctx->now_ns - lease.since_ns); /* A node says it. */
    if (spec == NULL) {
        sl_dispatch_end_orphan(e, ctx, &lease);
        return;
    }
    struct sl_task_part part = {.first = m->first, .resume = m->resume};
    note_times(e, m, spec);
    enum sl_err err = sl_settle_done(&settle, &lease, sl_json_root(spec->doc), m->outputs, &part);
    /* The rest comes with another lease, when its turn is; without its source it ended here. */
    if (err == SL_OK && part.resume.size > 0 &&
        sl_queue_release(e->options->queue, lease.task_id, lease.epoch) == SL_OK) {
        trace(e, ctx, &lease, SL_TRACED_PART);
        return;
    }
    if (err == SL_OK) {
        e->counts.done++;
        trace(e, ctx, &lease, SL_TRACED_DONE);
        finish_job(e, ctx, job);
        return;
    }
    struct sl_task_failure failure = {.type = err == SL_EINVAL ? "validation" : "resource",
                                      .code = sl_slice_str(sl_err_name(err)),
                                      .message = sl_slice_str(sl_err_text(err)),
                                      .is_transient =
                                          err != SL_EINVAL && err != SL_ETOOBIG && err != SL_EFULL};
    if (err == SL_EFULL) {
        failure.code = sl_slice_str("quota_exceeded");
        failure.message = sl_slice_str("max_embeddings allows no more documents: delete some");
    }
    struct sl_retry retry = {.attempts = (uint16_t)(lease.attempts + 1), .crashes = lease.crashes};
    if (failure.is_transient)
        retry_or_fail(e, ctx, &lease, &retry, &failure);
    else
        fail_task(e, ctx, &lease, &failure);
}

static void
on_crashed(struct sl_dispatch_end *e, struct sl_ctx *ctx, const struct sl_lease *lease,
           const struct sl_m_task_failed *m)
{
    char message[SL_CRASH_TEXT_MAX];
    struct sl_task_failure failure = sl_task_failure_crash(m->signal, message);
    if (m->code.size > 0) /* Its node knows more than the signal. */
        failure.code = m->code;
    if (m->message.size > 0)
        failure.message = m->message;
    /* Tasks that merely shared the replica are not to blame: they run alone, uncounted. */
    struct sl_retry retry = {.attempts = (uint16_t)(lease->attempts + (m->alone != 0)),
                             .crashes = (uint16_t)(lease->crashes + 1)};
    e->counts.crashed++;
    retry_or_fail(e, ctx, lease, &retry, &failure);
}

void
sl_dispatch_failed(struct sl_dispatch_end *e, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    const struct sl_m_task_failed *m = SL_BODY(msg, task_failed);
    struct sl_lease lease = {.task_id = m->task_id, .epoch = m->epoch};
    if (!check_end(e, ctx, msg, m->served_ns, &lease))
        return;
    if (m->kind == SL_FAIL_CRASH) {
        on_crashed(e, ctx, &lease, m);
        return;
    }
    if (m->kind == SL_FAIL_UNSENT) {
        sl_dispatch_return(e, &lease);
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
        fail_task(e, ctx, &lease, &failure);
    else
        retry_or_fail(e, ctx, &lease, &retry, &failure);
}
