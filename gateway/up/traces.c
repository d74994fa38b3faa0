/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/up/traces.h"

#include <stdio.h>
#include <unistd.h>

#include "actors/cluster.h"
#include "gateway/gateway.h"
#include "gateway/up/options.h"
#include "gateway/version.h"
#include "runtime/time.h"

bool
sl_up_traces_are_on(const struct sl_config *config)
{
    return sl_config_string(config, SL_UP_trace_endpoint)[0] != '\0';
}

double
sl_up_traces_ratio(const struct sl_config *config)
{
    return sl_up_traces_are_on(config) ? sl_config_float(config, SL_UP_trace_ratio) : 0;
}

/* A call's says so itself; of a job's the tracer finds out. */
static bool
is_sampled(const struct sl_msg *msg)
{
    struct sl_trace_context context;
    if (msg->id != SL_M_call_traced)
        return true;
    memcpy(&context, SL_BODY(msg, call_traced)->context.data, sizeof(context));
    return (context.flags & SL_TRACE_SAMPLED) != 0;
}

/* Of what was held back until it was durable. */
static void
take(void *arg, struct sl_msg *msg)
{
    struct sl_up_traces *t = arg;
    sl_trace_clock_look(&t->clock, sl_time_mono_ns(), sl_time_wall_ms());
    if (t->log != NULL && msg->id == SL_M_call_traced)
        sl_trace_log_call(t->log, SL_BODY(msg, call_traced), &t->clock);
    else if (t->log != NULL && msg->id == SL_M_task_traced)
        sl_trace_log_task(t->log, SL_BODY(msg, task_traced), &t->clock);
    if (!t->is_sent || !is_sampled(msg)) {
        sl_msg_destroy(&msg);
        return;
    }
    msg->to = sl_at(0, SL_ACTOR_TRACER);
    (void)sl_live_post(t->live, msg);
}

void
sl_up_traces_spawn(struct sl_up_traces *t, struct sl_live *live, const struct sl_config *config,
                   const struct sl_gateway *gateway, const atomic_bool *is_stopping)
{
    t->live = live;
    t->log = gateway->trace_log;
    t->clock.offset_ns = INT64_MIN / 2;
    sl_live_port(live, SL_PORT_TRACES, take, t);
    if (!sl_up_traces_are_on(config))
        return;
    t->is_sent = true;
    if (gethostname(t->host, sizeof(t->host) - 1) != 0 || t->host[0] == '\0')
        (void)snprintf(t->host, sizeof(t->host), "unknown");
    (void)snprintf(t->instance, sizeof(t->instance), "%s-%d", t->host, (int)getpid());
    struct sl_tracer_options options = {
        .endpoint = sl_config_string(config, SL_UP_trace_endpoint),
        .headers = sl_config_string(config, SL_UP_trace_headers),
        .keyring = gateway->keyring,
        .resource = {.version = SL_VERSION, .host = t->host, .instance = t->instance},
        .counts = &t->counts,
        .is_stopping = is_stopping};
    sl_live_spawn(live, SL_ACTOR_TRACER, &sl_tracer_class, &options);
}

bool
sl_up_traces_are_sent(struct sl_up_traces *t)
{
    uint64_t now_ns = sl_time_mono_ns();
    if (!t->is_sent)
        return true;
    if (t->flush_until_ns == 0) {
        struct sl_ctx ctx = sl_live_context(t->live, SL_ACTOR_TRACER);
        sl_send(&ctx, sl_at(0, SL_ACTOR_TRACER), SL_M_drain, &(struct sl_m_drain){0});
        t->flush_until_ns = now_ns + SL_TRACER_FLUSH_NS;
        return false;
    }
    return now_ns >= t->flush_until_ns ||
           !sl_tracer_is_busy(sl_live_state(t->live, SL_ACTOR_TRACER));
}
