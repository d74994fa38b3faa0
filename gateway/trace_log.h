/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_log.h - what a head keeps of traces by itself, whether or not a collector gets any
 * (docs/traces.md): of each minute of the last hour the calls that took longest, and of each of the
 * last jobs the leases that did; each with its phases, which are trace_spans.h's.
 *
 *   minute 27 [ call 310 ms | call 95 ms | ... ]   16 calls, 4 of them of one route
 *   job  9f.. [ lease 12 s  | lease 3 s  | ... ]   24 leases, of 256 jobs
 *
 * Bounded: 0.5 MiB of calls, 1.8 MiB of leases; what nobody uses takes nothing. It is memory: a
 * start begins anew.
 *
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_TRACE_LOG_H
#define SL_GATEWAY_TRACE_LOG_H

#include "gateway/trace_spans.h"

#define SL_TRACE_LOG_MINUTES  60u
#define SL_TRACE_LOG_CALLS    16u /* Of a minute; */
#define SL_TRACE_LOG_OF_ROUTE 4u  /* of these, of one route. */
#define SL_TRACE_LOG_JOBS     256u
#define SL_TRACE_LOG_LEASES   24u  /* Of a job. */
#define SL_TRACE_LOG_PER_S    200u /* Leases that are looked at, of all jobs. */

struct sl_kept_phase {
    const char *name; /* "compute": constant. */
    uint64_t start_ns, end_ns;
    bool is_within; /* A part of the last one before it that is not. */
};

struct sl_kept_phases {
    uint64_t start_ns, end_ns; /* Of all of it, since 1970. */
    struct sl_kept_phase each[SL_TRACE_SPANS_MAX];
    uint32_t count;
};

struct sl_kept_call {
    uint64_t id; /* Rises; 0: there is none. */
    struct sl_scope scope;
    char tenant[64], request[64], trace[33]; /* The last: 32 hex digits. */
    char name[96];                           /* "POST /v1/..." */
    uint16_t status;
    struct sl_kept_phases phases;
};

struct sl_kept_lease {
    uint64_t task_id, node, attempt;
    enum sl_traced_outcome outcome;
    char extractor[48];
    struct sl_kept_phases phases;
};

struct sl_kept_job {
    struct sl_job_id id;
    struct sl_scope scope; /* 0: a free place. */
    uint64_t used;         /* When, by a number that rises. */
    uint64_t told;         /* Leases that ended and were looked at. */
    struct sl_kept_lease *leases;
    uint32_t count, capacity;
};

/* Members started_at, duration_us, and phases: objects with start_us, since it started. */
void sl_kept_phases_write(const struct sl_kept_phases *p, struct sl_jsonw *w);

struct sl_trace_log;

struct sl_trace_log *sl_trace_log_create(void);
void sl_trace_log_destroy(struct sl_trace_log **log);

/* Whether a call that ends now would be kept; `kind`: as in call_traced. A few nanoseconds. */
bool sl_trace_log_wants(const struct sl_trace_log *log, uint64_t kind, uint64_t took_ns,
                        uint64_t now_ms);
/* What SL_PORT_TRACES hears; `now`: when. */
void sl_trace_log_call(struct sl_trace_log *log, const struct sl_m_call_traced *m,
                       const struct sl_trace_clock *now);
void sl_trace_log_task(struct sl_trace_log *log, const struct sl_m_task_traced *m,
                       const struct sl_trace_clock *now);

/* Call `take` for each call that is kept, in no order. */
void sl_trace_log_calls(const struct sl_trace_log *log,
                        void (*take)(void *arg, const struct sl_kept_call *call), void *arg);
/* NULL: nothing is kept of it. */
const struct sl_kept_job *sl_trace_log_job(const struct sl_trace_log *log, struct sl_scope scope,
                                           struct sl_job_id id);
/* Of a tenant that is erased: all of it. */
void sl_trace_log_forget(struct sl_trace_log *log, struct sl_scope scope);

#endif
