/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one job went through, as spans of time: of an own queue's job by the queue's trail
 * (queue/trail.h), of a batch's by its row and its log, and its leases by what the head keeps of
 * them (trace_log.h). What the trail has let go is missing, and told so.
 */
#include <inttypes.h>

#include "actors/job_log.h"
#include "actors/job_row.h"
#include "actors/rows.h"
#include "gateway/cluster.h"
#include "gateway/gateway.h"
#include "gateway/own/queue.h"
#include "gateway/resource.h"
#include "gateway/task.h"
#include "gateway/trace_log.h"
#include "queue/trail.h"

#define SPANS_MAX 500u

static void
write_span(struct sl_jsonw *w, const char *phase, uint64_t from_ms, uint64_t to_ms)
{
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "phase", phase);
    sl_jsonw_member_time(w, "started_at", from_ms);
    sl_jsonw_member_time(w, "finished_at", to_ms);
    if (to_ms >= from_ms && to_ms != 0 && from_ms != 0)
        sl_jsonw_member_u64(w, "duration_ms", to_ms - from_ms);
    else
        sl_jsonw_member_null(w, "duration_ms"); /* It is under way, or nobody knows. */
}

/* ---- of a batch ---------------------------------------------------------------------------- */

static void
write_lines(struct sl_call *call, struct sl_scope scope, const char *id)
{
    struct sl_slice value, line;
    struct sl_job_log log;
    uint64_t at_ms;
    sl_jsonw_name(&call->out, "events");
    sl_jsonw_array(&call->out);
    if (sl_txn_get(call->txn, scope, SL_TABLE_JOB_LOG, sl_slice_str(id), &value) == SL_OK &&
        sl_job_log_decode(value, &log) == SL_OK) {
        while (sl_job_log_next(&log, &at_ms, &line)) {
            sl_jsonw_object(&call->out);
            sl_jsonw_member_time(&call->out, "ts", at_ms);
            sl_jsonw_member_slice(&call->out, "message", line);
            sl_jsonw_end(&call->out);
        }
    }
    sl_jsonw_end(&call->out);
}

static void
write_batch_spans(struct sl_call *call, const struct sl_job_row *row, uint64_t started_ms)
{
    struct sl_jsonw *w = &call->out;
    uint64_t begun_ms = started_ms != 0 ? started_ms : row->started_ms;
    sl_jsonw_name(w, "spans");
    sl_jsonw_array(w);
    write_span(w, "wait", row->created_ms, begun_ms);
    sl_jsonw_end(w);
    if (begun_ms != 0) {
        write_span(w, "compute", begun_ms, row->ended_ms);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

/* Of its leases those that took longest, as far as the head remembers. */
static void
write_leases(struct sl_call *call, struct sl_scope scope, struct sl_job_id id)
{
    static const char *const outcomes[] = {"done", "part", "retry", "dead"};
    const struct sl_trace_log *log = call->gateway->trace_log;
    const struct sl_kept_job *job = log == NULL ? NULL : sl_trace_log_job(log, scope, id);
    struct sl_jsonw *w = &call->out;
    sl_jsonw_member_u64(w, "leases_seen", job == NULL ? 0 : job->told);
    sl_jsonw_name(w, "leases");
    sl_jsonw_array(w);
    for (uint32_t i = 0; job != NULL && i < job->count; i++) {
        const struct sl_kept_lease *lease = &job->leases[i];
        sl_jsonw_object(w);
        sl_jsonw_member_u64(w, "task", lease->task_id);
        sl_jsonw_member_u64(w, "attempt", lease->attempt);
        sl_jsonw_member_str(w, "node_id", sl_call_format(call, "%" PRIu64, lease->node));
        sl_jsonw_member_str(w, "extractor", lease->extractor);
        sl_jsonw_member_str(w, "outcome", outcomes[lease->outcome]);
        sl_kept_phases_write(&lease->phases, w);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

static void
trace_batch(struct sl_call *call, struct sl_scope scope, struct sl_job_id job)
{
    static const char *const states[] = {"pending", "running", "succeeded",
                                         "partial", "failed",  "canceled"};
    struct sl_job_row row;
    struct sl_job_info info = {0};
    struct sl_slice value;
    char id[37];
    sl_job_id_format(job, id);
    if (sl_txn_get(call->txn, scope, SL_TABLE_JOB, sl_slice(job.bytes, sizeof(job.bytes)),
                   &value) != SL_OK ||
        sl_job_row_decode(sl_call_copy(call, value), &row) != SL_OK) {
        sl_call_not_found(call, "job", call->params[0]);
        return;
    }
    bool is_live = sl_queue_job(call->gateway->queue, job, &info) == SL_OK &&
                   info.scope.id == scope.id && row.ended_ms == 0;
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "job_id", id);
    sl_jsonw_member_str(&call->out, "state", states[is_live ? info.state : row.state]);
    sl_jsonw_member_bool(&call->out, "is_partial", false);
    write_batch_spans(call, &row, is_live ? info.started_ms : 0);
    write_leases(call, scope, job);
    write_lines(call, scope, id);
    sl_jsonw_end(&call->out);
}

/* ---- of an own queue ----------------------------------------------------------------------- */

/* What time that a job spends in a state is called; NULL: none passes. */
static const char *
phase_of(enum sl_state state)
{
    switch (state) {
    case SL_STATE_SCHEDULED:
        return "delay";
    case SL_STATE_QUEUED:
        return "wait";
    case SL_STATE_BLOCKED:
        return "blocked";
    case SL_STATE_RUNNING:
        return "lease";
    default:
        return NULL;
    }
}

struct spans {
    struct sl_call *call;
    const char *phase; /* Of the one that is open; NULL: none is. */
    uint64_t since_ms, epoch;
    uint32_t count;
    bool is_cut;
};

static void
end_span(struct spans *s, uint64_t at_ms, const struct sl_trail_event *by)
{
    struct sl_jsonw *w = &s->call->out;
    if (s->phase == NULL)
        return;
    s->is_cut = s->is_cut || s->count == SPANS_MAX;
    if (s->count++ >= SPANS_MAX)
        return;
    write_span(w, s->phase, s->since_ms, at_ms);
    if (s->epoch != 0)
        sl_jsonw_member_str(w, "epoch", sl_call_format(s->call, "%" PRIx64, s->epoch));
    if (by != NULL)
        sl_jsonw_member_str(w, "ended_by", sl_change_name(by->change));
    if (by != NULL && by->reason.size > 0)
        sl_jsonw_member_slice(w, "reason", by->reason);
    sl_jsonw_end(w);
}

static void
take(struct spans *s, const struct sl_trail_event *event)
{
    end_span(s, event->at_ms, event);
    s->phase = phase_of(event->state);
    s->since_ms = event->at_ms;
    s->epoch = event->state == SL_STATE_RUNNING ? event->epoch : 0;
}

/* The trail is the queue's: those of other jobs are passed over, as many as it keeps. */
static void
write_own_spans(struct sl_call *call, const struct sl_task_info *info, uint64_t lane)
{
    struct spans s = {.call = call};
    struct sl_trail_walk walk;
    struct sl_trail_event event;
    bool has_put = false;
    sl_jsonw_name(&call->out, "spans");
    sl_jsonw_array(&call->out);
    if (sl_trail_walk_begin(call->gateway->queue, info->scope, lane, (struct sl_trail_id){0},
                            &walk) == SL_OK) {
        while (sl_trail_walk_next(&walk, &event)) {
            if (event.kind != SL_TRAIL_TASK || event.task_id != info->id)
                continue;
            has_put = has_put || event.change == SL_CHANGE_PUT;
            take(&s, &event);
        }
    }
    end_span(&s, 0, NULL);
    sl_jsonw_end(&call->out);
    sl_jsonw_member_bool(&call->out, "is_partial", !has_put || s.is_cut);
}

static void
trace_own(struct sl_call *call, struct sl_scope scope, uint64_t id)
{
    struct sl_task_info info;
    if (sl_queue_task(call->gateway->queue, scope, id, &info) != SL_OK ||
        info.class != SL_CLASS_OWN) {
        sl_call_not_found(call, "job", call->params[0]);
        return;
    }
    uint64_t lane = sl_lane_hash(info.lane);
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "job_id", sl_own_job_id(call, id));
    sl_jsonw_member_str(&call->out, "state", sl_state_name(info.state));
    write_own_spans(call, &info, lane);
    sl_jsonw_name(&call->out, "events");
    sl_jsonw_array(&call->out);
    sl_jsonw_end(&call->out);
    sl_jsonw_end(&call->out);
}

/* ---- the route ------------------------------------------------------------------------------ */

sl_handler_fn sl_api_trace_job;

/* A batch's job is found whoever's it is, while it is in the queue; else an operator says whose. */
void
sl_api_trace_job(struct sl_call *call)
{
    struct sl_scope scope;
    struct sl_job_id job;
    struct sl_job_info info;
    uint64_t task;
    if (!sl_cluster_scope(call, &scope))
        return;
    bool is_batch = sl_job_id_parse(call->params[0], &job) == SL_OK;
    if (scope.id == 0 && is_batch && sl_queue_job(call->gateway->queue, job, &info) == SL_OK)
        scope = info.scope;
    else if (scope.id == 0)
        scope = call->who.scope;
    if (is_batch)
        trace_batch(call, scope, job);
    else if (sl_own_parse_id(call->params[0], &task))
        trace_own(call, scope, task);
    else
        sl_call_not_found(call, "job", call->params[0]);
}
