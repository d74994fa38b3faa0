/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_spans.h - what was traced, as spans (docs/traces.md): of a call, of a lease of a job's
 * task, and of a job. Pure; times come in. Any thread.
 *
 *   call: POST /v1/... --+-- queue wait, run, ask, commit
 *                        |                    `-- replica wait, batch wait, compute
 *                        `-- job --+-- wait, work
 *                                  `-- task --+-- wait, lease, node wait, batch wait, compute,
 *                                             `   record
 */
#ifndef SL_GATEWAY_TRACE_SPANS_H
#define SL_GATEWAY_TRACE_SPANS_H

#include "actors/cluster.h"
#include "actors/job_row.h"
#include "gateway/api.h"
#include "gateway/otlp.h"

#define SL_TRACE_SPANS_MAX 8u

/* The spans of one thing, its own first, and texts that they borrow. */
struct sl_traced {
    struct sl_span spans[SL_TRACE_SPANS_MAX];
    uint32_t count;
    char name[200], job[37], queue[96];
};

/* Of monotonic times: when they were, since 1970. */
struct sl_trace_clock {
    int64_t offset_ns;
    uint64_t now_ns; /* Monotonic: when what is traced was durable. */
};
/* It is this late now: `now_ms`, whole milliseconds, is never more than the offset says, but where
 * the clock was set. */
void sl_trace_clock_look(struct sl_trace_clock *clock, uint64_t now_ns, uint64_t now_ms);

struct sl_traced_job {
    struct sl_job_id id;
    struct sl_trace_context context; /* Of the request that put it. */
    const char *tenant;
};

/* What is borrowed of the arguments lives on in *ret_traced. */
void sl_trace_call(const struct sl_m_call_traced *m, const struct sl_trace_context *context,
                   const struct sl_trace_clock *clock, struct sl_traced *ret_traced);
void sl_trace_task(const struct sl_m_task_traced *m, const struct sl_traced_job *job,
                   const struct sl_trace_clock *clock, struct sl_traced *ret_traced);
void sl_trace_job(const struct sl_job_row *row, const struct sl_traced_job *job,
                  const struct sl_trace_clock *clock, struct sl_traced *ret_traced);

#endif
