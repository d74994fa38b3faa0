/* SPDX-License-Identifier: Apache-2.0 */
/*
 * up/traces.h - traces of a head (docs/traces.md): the port that hears of things once they are
 * durable, the log of what was slow, and, where the configuration names a collector, the tracer
 * actor. Threading: main's, then the store's.
 */
#ifndef SL_GATEWAY_UP_TRACES_H
#define SL_GATEWAY_UP_TRACES_H

#include <stdatomic.h>

#include "gateway/trace_log.h"
#include "gateway/tracer.h"
#include "runtime/config.h"
#include "runtime/live.h"

struct sl_gateway;

struct sl_up_traces { /* Zeroed: there are none. */
    struct sl_live *live;
    struct sl_trace_log *log;    /* The gateway's; NULL: none is kept. */
    struct sl_trace_clock clock; /* Of what is kept in it. */
    bool is_sent;                /* To a collector: there is a tracer. */
    struct sl_tracer_counts counts;
    char host[64], instance[96];
    uint64_t flush_until_ns; /* 0: it was not asked to yet. */
};

bool sl_up_traces_are_on(const struct sl_config *config);
/* Of requests that name no trace, how many are sampled; 0 where there are no traces. */
double sl_up_traces_ratio(const struct sl_config *config);
/* The port, and where they are on the actor. `traces`, `config` and the rest outlive `live`. */
void sl_up_traces_spawn(struct sl_up_traces *traces, struct sl_live *live,
                        const struct sl_config *config, const struct sl_gateway *gateway,
                        const atomic_bool *is_stopping);
/* At a stop, when nothing else is under way: have all sent. True: it was, or there is no time. */
bool sl_up_traces_are_sent(struct sl_up_traces *traces);

#endif
