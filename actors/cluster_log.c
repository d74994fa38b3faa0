/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/cluster_log.h"

#include <stdarg.h>
#include <stdio.h>

#include "actors/cluster.h"
#include "runtime/alloc.h"

void
sl_cluster_log_deinit(struct sl_cluster_log *log)
{
    sl_free(log->events);
    *log = (struct sl_cluster_log){0};
}

void
sl_cluster_log_add(struct sl_cluster_log *log, const struct sl_cluster_event *like,
                   const char *format, ...)
{
    if (log->events == NULL)
        log->events = sl_zalloc(SL_CLUSTER_LOG_MAX * sizeof(log->events[0]));
    struct sl_cluster_event *e = &log->events[log->count++ % SL_CLUSTER_LOG_MAX];
    va_list args;
    *e = *like;
    va_start(args, format);
    (void)vsnprintf(e->text, sizeof(e->text), format, args);
    va_end(args);
}

void
sl_cluster_log_tell(struct sl_cluster_log *log, struct sl_ctx *ctx)
{
    if (log->count > SL_CLUSTER_LOG_MAX && log->told < log->count - SL_CLUSTER_LOG_MAX)
        log->told = log->count - SL_CLUSTER_LOG_MAX;
    for (; log->told < log->count; log->told++) {
        const struct sl_cluster_event *e = &log->events[log->told % SL_CLUSTER_LOG_MAX];
        struct sl_m_cluster_event m = {.time_ms = e->time_ms,
                                       .is_critical = e->is_critical,
                                       .word = sl_slice_str(e->kind),
                                       .group = sl_slice_str(e->group == NULL ? "" : e->group),
                                       .about = sl_slice_str(e->about),
                                       .text = sl_slice_str(e->text)};
        sl_send(ctx, sl_at(0, SL_ACTOR_API), SL_M_cluster_event, &m);
    }
}

void
sl_cluster_log_write(const struct sl_cluster_log *log, uint64_t max, struct sl_jsonw *w)
{
    uint64_t count = SL_MIN(SL_MIN(max, log->count), (uint64_t)SL_CLUSTER_LOG_MAX);
    sl_jsonw_array(w);
    for (uint64_t i = log->count - count; i < log->count; i++) {
        const struct sl_cluster_event *e = &log->events[i % SL_CLUSTER_LOG_MAX];
        sl_jsonw_object(w);
        sl_jsonw_member_time(w, "time", e->time_ms);
        sl_jsonw_member_str(w, "event", e->kind);
        sl_jsonw_member_str(w, "severity", e->is_critical ? "critical" : "info");
        sl_jsonw_member_str(w, "group", e->group == NULL ? "" : e->group);
        sl_jsonw_member_str(w, "about", e->about);
        sl_jsonw_member_str(w, "message", e->text);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}
