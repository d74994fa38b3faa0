/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/up_traces.h"

#include <stdio.h>
#include <unistd.h>

#include "actors/cluster.h"
#include "gateway/up_options.h"
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

/* Of what was held back until it was durable. */
static void
take(void *arg, struct sl_msg *msg)
{
    struct sl_up_traces *t = arg;
    msg->to = sl_at(0, SL_ACTOR_TRACER);
    (void)sl_live_post(t->live, msg);
}

void
sl_up_traces_spawn(struct sl_up_traces *t, struct sl_live *live, const struct sl_config *config,
                   struct sl_keyring *keyring, const atomic_bool *is_stopping)
{
    if (!sl_up_traces_are_on(config))
        return;
    t->live = live;
    if (gethostname(t->host, sizeof(t->host) - 1) != 0 || t->host[0] == '\0')
        (void)snprintf(t->host, sizeof(t->host), "unknown");
    (void)snprintf(t->instance, sizeof(t->instance), "%s-%d", t->host, (int)getpid());
    struct sl_tracer_options options = {
        .endpoint = sl_config_string(config, SL_UP_trace_endpoint),
        .headers = sl_config_string(config, SL_UP_trace_headers),
        .keyring = keyring,
        .resource = {.version = SL_VERSION, .host = t->host, .instance = t->instance},
        .counts = &t->counts,
        .is_stopping = is_stopping};
    sl_live_spawn(live, SL_ACTOR_TRACER, &sl_tracer_class, &options);
    sl_live_port(live, SL_PORT_TRACES, take, t);
}

bool
sl_up_traces_are_sent(struct sl_up_traces *t)
{
    uint64_t now_ns = sl_time_mono_ns();
    if (t->live == NULL)
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
