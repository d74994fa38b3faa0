/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/trace_spans.h"

#include <stdio.h>

#include "queue/class.h"

#define SET_NS (2 * (int64_t)SL_MILLI_NS) /* A clock that is so far off was set. */

void
sl_trace_clock_look(struct sl_trace_clock *clock, uint64_t now_ns, uint64_t now_ms)
{
    int64_t offset_ns = (int64_t)(now_ms * SL_MILLI_NS) - (int64_t)now_ns;
    clock->now_ns = now_ns;
    if (offset_ns > clock->offset_ns || offset_ns < clock->offset_ns - SET_NS)
        clock->offset_ns = offset_ns;
}

static uint64_t
since_1970(const struct sl_trace_clock *clock, uint64_t mono_ns)
{
    return (uint64_t)((int64_t)mono_ns + clock->offset_ns);
}

/* The thing itself, which the others are part of. */
static struct sl_span *
begin(struct sl_traced *t, const struct sl_trace_context *context, const char *name)
{
    struct sl_span *span = &t->spans[0];
    memset(t, 0, sizeof(*t));
    t->count = 1;
    span->name = name;
    span->kind = SL_SPAN_INTERNAL;
    memcpy(span->trace, context->trace, sizeof(span->trace));
    memcpy(span->parent, context->span, sizeof(span->parent));
    return span;
}

/* A part of span `of`, from where the last one ended; returns where this one ends. */
static uint64_t
part_of(struct sl_traced *t, uint32_t whole, const char *name, uint64_t start_ns, uint64_t end_ns)
{
    uint64_t of;
    sl_assert(t->count < SL_TRACE_SPANS_MAX);
    struct sl_span *span = &t->spans[t->count];
    memcpy(&of, t->spans[0].id, sizeof(of));
    memcpy(span->trace, t->spans[0].trace, sizeof(span->trace));
    memcpy(span->parent, t->spans[whole].id, sizeof(span->parent));
    sl_trace_span_of(of, t->count, span->id);
    span->name = name;
    span->kind = SL_SPAN_INTERNAL;
    span->start_ns = start_ns;
    span->end_ns = SL_MAX(start_ns, end_ns);
    t->count++;
    return span->end_ns;
}

static uint64_t
part(struct sl_traced *t, const char *name, uint64_t start_ns, uint64_t end_ns)
{
    return part_of(t, 0, name, start_ns, end_ns);
}

struct phases { /* What a node says of a run, cut to what is known here to have passed. */
    uint64_t queued_ns, batched_ns, computed_ns, other_ns;
};

static struct phases
phases_within(uint64_t all_ns, uint64_t queued_ns, uint64_t batched_ns, uint64_t computed_ns)
{
    struct phases p;
    p.queued_ns = SL_MIN(queued_ns, all_ns);
    p.batched_ns = SL_MIN(batched_ns, all_ns - p.queued_ns);
    p.computed_ns = SL_MIN(computed_ns, all_ns - p.queued_ns - p.batched_ns);
    p.other_ns = all_ns - p.queued_ns - p.batched_ns - p.computed_ns;
    return p;
}

/* ---- a call -------------------------------------------------------------------------------- */

/* What it waited for others, and of that what its last answer says of its replica: the way there
 * is taken to be as long as the way back. */
static uint64_t
add_ask(struct sl_traced *t, const struct sl_m_call_traced *m, uint64_t at_ns, uint64_t end_ns)
{
    uint32_t ask = t->count;
    end_ns = part(t, "ask", at_ns, end_ns);
    struct phases p = phases_within(end_ns - at_ns, m->queued_ns, m->batched_ns, m->computed_ns);
    if (p.other_ns == end_ns - at_ns)
        return end_ns;
    at_ns += p.other_ns / 2;
    at_ns = part_of(t, ask, "replica wait", at_ns, at_ns + p.queued_ns);
    at_ns = part_of(t, ask, "batch wait", at_ns, at_ns + p.batched_ns);
    (void)part_of(t, ask, "compute", at_ns, at_ns + p.computed_ns);
    return end_ns;
}

void
sl_trace_call(const struct sl_m_call_traced *m, const struct sl_trace_context *context,
              const struct sl_trace_clock *clock, struct sl_traced *ret_traced)
{
    struct sl_span *span = begin(ret_traced, context, ret_traced->name);
    uint64_t begun_ns = since_1970(clock, m->begun_ns);
    uint64_t at_ns = m->received_ms == 0 ? begun_ns : m->received_ms * SL_MILLI_NS;
    memcpy(span->id, context->span, sizeof(span->id));
    memcpy(span->parent, context->parent, sizeof(span->parent));
    (void)snprintf(ret_traced->name, sizeof(ret_traced->name), "%.*s %.*s", SL_SLICE_FMT(m->method),
                   SL_SLICE_FMT(m->route));
    span->kind = SL_SPAN_SERVER;
    span->is_error = m->status >= 500;
    sl_span_text(span, "http.request.method", m->method);
    sl_span_text(span, "http.route", m->route);
    sl_span_number(span, "http.response.status_code", m->status);
    sl_span_text(span, "sluice.tenant", m->tenant);
    sl_span_text(span, "sluice.request.id", m->request_id);
    span->start_ns = at_ns;
    if (m->received_ms != 0)
        at_ns = part(ret_traced, "queue wait", at_ns, begun_ns);
    at_ns = part(ret_traced, "run", at_ns,
                 since_1970(clock, m->asked_ns == 0 ? m->ended_ns : m->asked_ns));
    if (m->asked_ns != 0)
        at_ns = add_ask(ret_traced, m, at_ns, since_1970(clock, m->ended_ns));
    span->end_ns = part(ret_traced, "commit", at_ns, since_1970(clock, clock->now_ns));
}

/* ---- a task -------------------------------------------------------------------------------- */

/* Clocks of nodes are not compared: ways are as those of a call. */
static uint64_t
add_run(struct sl_traced *t, const struct sl_m_task_traced *m, uint64_t since_ns, uint64_t ended_ns)
{
    struct phases p =
        phases_within(ended_ns - since_ns, m->queued_ns, m->batched_ns, m->computed_ns);
    if (p.other_ns == ended_ns - since_ns)
        return part(t, "run", since_ns, ended_ns);
    uint64_t at_ns = part(t, "lease", since_ns, since_ns + p.other_ns / 2);
    at_ns = part(t, "node wait", at_ns, at_ns + p.queued_ns);
    at_ns = part(t, "batch wait", at_ns, at_ns + p.batched_ns);
    (void)part(t, "compute", at_ns, at_ns + p.computed_ns);
    return ended_ns;
}

void
sl_trace_task(const struct sl_m_task_traced *m, const struct sl_traced_job *job,
              const struct sl_trace_clock *clock, struct sl_traced *ret_traced)
{
    static const char *const outcomes[] = {"done", "part", "retry", "dead"};
    struct sl_span *span = begin(ret_traced, &job->context, "task");
    uint64_t created_ns = m->created_ms * SL_MILLI_NS;
    uint64_t since_ns = SL_MAX(since_1970(clock, m->since_ns), created_ns);
    uint64_t ended_ns = SL_MAX(since_1970(clock, m->ended_ns), since_ns);
    const char *outcome = m->outcome < SL_COUNT_OF(outcomes) ? outcomes[m->outcome] : "";
    uint64_t high, low;
    memcpy(&high, job->id.bytes, sizeof(high));
    memcpy(&low, job->id.bytes + sizeof(high), sizeof(low));
    sl_trace_span_of(high, low, span->parent);
    sl_trace_span_of(m->task_id, m->epoch, span->id);
    span->is_error = m->outcome == SL_TRACED_RETRY || m->outcome == SL_TRACED_DEAD;
    sl_job_id_format(job->id, ret_traced->job);
    (void)snprintf(ret_traced->queue, sizeof(ret_traced->queue), "%s:%s", job->tenant,
                   m->class < SL_CLASS_COUNT ? sl_class_name((enum sl_class)m->class) : "");
    sl_span_text(span, "sluice.job.id", sl_slice_str(ret_traced->job));
    sl_span_text(span, "sluice.tenant", sl_slice_str(job->tenant));
    sl_span_text(span, "sluice.queue", sl_slice_str(ret_traced->queue));
    sl_span_text(span, "sluice.extractor", m->extractor);
    sl_span_text(span, "sluice.outcome", sl_slice_str(outcome));
    sl_span_number(span, "sluice.task", m->task_id);
    sl_span_number(span, "sluice.node", m->node);
    sl_span_number(span, "sluice.attempt", m->attempt);
    span->start_ns = since_ns;
    if (created_ns != 0) {
        span->start_ns = created_ns;
        (void)part(ret_traced, "wait", created_ns, since_ns);
    }
    ended_ns = add_run(ret_traced, m, since_ns, ended_ns);
    span->end_ns = part(ret_traced, "record", ended_ns, since_1970(clock, clock->now_ns));
}

/* ---- a job --------------------------------------------------------------------------------- */

void
sl_trace_job(const struct sl_job_row *row, const struct sl_traced_job *job,
             const struct sl_trace_clock *clock, struct sl_traced *ret_traced)
{
    static const char *const states[] = {"pending", "running", "succeeded",
                                         "partial", "failed",  "canceled"};
    struct sl_span *span = begin(ret_traced, &job->context, "job");
    uint64_t high, low, created_ns = row->created_ms * SL_MILLI_NS;
    uint64_t now_ns = SL_MAX(since_1970(clock, clock->now_ns), created_ns);
    uint64_t started_ns = row->started_ms == 0 ? now_ns : row->started_ms * SL_MILLI_NS;
    memcpy(&high, job->id.bytes, sizeof(high));
    memcpy(&low, job->id.bytes + sizeof(high), sizeof(low));
    sl_trace_span_of(high, low, span->id);
    span->is_error = row->state == SL_JOB_FAILED;
    sl_job_id_format(job->id, ret_traced->job);
    sl_span_text(span, "sluice.job.id", sl_slice_str(ret_traced->job));
    sl_span_text(span, "sluice.job.type", row->kind);
    sl_span_text(span, "sluice.tenant", sl_slice_str(job->tenant));
    if ((size_t)row->state < SL_COUNT_OF(states))
        sl_span_text(span, "sluice.state", sl_slice_str(states[row->state]));
    sl_span_number(span, "sluice.tasks", row->total);
    sl_span_number(span, "sluice.tasks.done", row->done);
    sl_span_number(span, "sluice.tasks.dead", row->dead);
    sl_span_number(span, "sluice.records", row->records);
    span->start_ns = created_ns;
    span->end_ns = now_ns;
    started_ns = part(ret_traced, "wait", created_ns, SL_MIN(started_ns, now_ns));
    if (row->started_ms != 0)
        (void)part(ret_traced, "work", started_ns, now_ns);
}
