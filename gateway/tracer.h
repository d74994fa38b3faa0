/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tracer.h - the tracer actor: makes spans of what was traced (trace_spans.h), holds them in a
 * buffer of a fixed size and sends them to a collector, a batch at a time, on the I/O pool.
 *
 *   call_traced, task_traced, job_ended --> spans --> batches --> POST --> sent
 *                                             |                    |- refused: dropped
 *                                             `- full: dropped     `- busy, away: again, later
 *
 * At most once: what is in the buffer when the process ends is lost. `drain` has it send what it
 * has at once, each batch a single time.
 */
#ifndef SL_GATEWAY_TRACER_H
#define SL_GATEWAY_TRACER_H

#include <stdatomic.h>

#include "gateway/otlp.h"
#include "runtime/actor.h"

#define SL_TRACER_SPANS_MAX 2048u              /* Held in all, those under way included. */
#define SL_TRACER_BATCH     512u               /* Of one request. */
#define SL_TRACER_FLUSH_NS  (2 * SL_SECOND_NS) /* What a stop waits for it. */

struct sl_keyring;

struct sl_tracer_counts {
    uint64_t sent, dropped;
};

struct sl_tracer_options {
    const char *endpoint; /* http://HOST:PORT/v1/traces; borrowed, as all here. */
    const char *headers;  /* More of a request's, a JSON object of texts; "": none. */
    struct sl_keyring *keyring;
    struct sl_otlp_resource resource;
    struct sl_tracer_counts *counts;
    const atomic_bool *is_stopping; /* Then what is under way is given up within a second or so. */
};

extern const struct sl_actor_class sl_tracer_class; /* Argument: sl_tracer_options. */

/* Whether there are spans that were not sent. `tracer`: the actor's state, on its thread. */
bool sl_tracer_is_busy(const void *tracer);

#endif
