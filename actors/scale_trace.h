/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale_trace.h - an autoscaler against a load, in simulated time: what a day of yesterday's
 * traffic would have got with other settings.
 *
 *   arrivals (Poisson, by the trace's rate) --> queue --> slots of replicas --> answered
 *                        |                                    ^
 *                        `--demand--> autoscaler --start, drain
 *
 * A replica has so many slots, is ready so long after it was asked for, and when it is one too many
 * it ends what it has begun. Nothing here looks at a clock: equal
 * seeds give equal runs.
 */
#ifndef SL_ACTORS_SCALE_TRACE_H
#define SL_ACTORS_SCALE_TRACE_H

#include "actors/autoscaler.h"

#define SL_TRACE_REQUESTS_MAX (UINT32_C(1) << 25)
#define SL_TRACE_POINTS_MAX   (UINT32_C(1) << 20)

struct sl_trace_point { /* From at_ns on. */
    uint64_t at_ns;
    double per_second;
};

struct sl_trace {
    struct sl_trace_point *points; /* The caller's; sl_trace_read's to free. In order of time. */
    uint32_t count;
    uint64_t end_ns;
};

/*
 * Read lines of "SECONDS,REQUESTS_PER_SECOND"; '#' begins a remark; the last line's seconds end the
 * trace. SL_EINVAL: *ret_error says which line and why, and is the caller's.
 */
SL_MUST_CHECK enum sl_err sl_trace_read(struct sl_slice text, struct sl_trace *ret_trace,
                                        char **ret_error);
void sl_trace_deinit(struct sl_trace *trace); /* Zeroed is fine. */

struct sl_trace_row { /* How it stood. */
    uint64_t at_ns;
    double per_second;
    uint32_t replicas, ready; /* Wanted; able to work. */
    uint32_t waiting, running;
    uint64_t worst_ns; /* Of the answers since the last row. */
};

struct sl_trace_options {
    struct sl_scale_settings settings;
    uint32_t slots;      /* Of a replica; 0: 2.5 times target_ongoing. */
    uint64_t service_ns; /* Of one request in its slot. */
    uint64_t start_ns;   /* From wanted to ready. */
    uint64_t seed;
    uint64_t row_ns; /* 0: no rows. */
    void (*row)(void *arg, const struct sl_trace_row *row);
    /* Each input and decision, in order; may be NULL. */
    void (*decided)(void *arg, const struct sl_scale_input *input,
                    const struct sl_scale_decision *decision);
    void *arg;
};

struct sl_trace_outcome {
    uint64_t requests;
    uint64_t p50_ns, p99_ns, worst_ns; /* From arrival to answer. */
    uint64_t decisions;
    uint32_t changes, turns; /* Of the wanted number; changes against the one before. */
    uint32_t most, needed;   /* Replicas wanted at most; those for the trace's greatest rate. */
    double replica_seconds;
    double fitting_seconds; /* The same, had there always been just enough. */
};

/* SL_ETOOBIG: over SL_TRACE_REQUESTS_MAX requests. */
SL_MUST_CHECK enum sl_err sl_trace_run(const struct sl_trace *trace,
                                       const struct sl_trace_options *options,
                                       struct sl_trace_outcome *ret_outcome);

#endif
