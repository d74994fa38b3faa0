/* SPDX-License-Identifier: Apache-2.0 */
/* What a pool tells of itself. */
#include "actors/pool.h"

#include "runtime/sandbox.h"

/* Of all its replicas, also those that are gone. */
static void
write_times(const struct sl_pool *p, struct sl_jsonw *w)
{
    sl_jsonw_name(w, "times");
    sl_jsonw_object(w);
    sl_jsonw_name(w, "calls");
    sl_pool_times_write(&p->call_times, w);
    sl_jsonw_name(w, "tasks");
    sl_pool_times_write(&p->task_times, w);
    sl_jsonw_end(w);
}

void
sl_pool_status(const struct sl_pool *p, uint64_t now_ns, struct sl_jsonw *w)
{
    bool is_first = true; /* What is told of the pool is told again by each: one counts. */
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++) {
        const struct sl_replica *r = &p->replicas[i];
        if (r->state == SL_REPLICA_FREE)
            continue;
        sl_jsonw_object(w);
        sl_jsonw_member_str(w, "extractor", p->extractor);
        sl_jsonw_member_str(w, "index", p->index);
        sl_jsonw_member_u64(w, "tenant", p->tenant);
        sl_jsonw_member_bool(w, "is_first", is_first);
        is_first = false;
        sl_jsonw_member_u64(w, "id", r->number);
        sl_jsonw_member_u64(w, "pid", r->pid);
        sl_jsonw_member_str(w, "state", sl_replica_state_name(r));
        sl_jsonw_member_bool(w, "background", r->is_background);
        sl_jsonw_member_u64(w, "ongoing", r->in_flight.count + r->shortcut.ongoing);
        sl_jsonw_member_u64(w, "waiting", p->calls.count + p->tasks.count);
        sl_jsonw_member_u64(w, "done", r->done);
        sl_jsonw_member_u64(w, "age_ms", (now_ns - r->started_ns) / SL_MILLI_NS);
        sl_jsonw_member_u64(w, "cold_start_ms", p->life.cold_ms);
        sl_jsonw_member_u64(w, "answered", p->life.answered);
        sl_jsonw_member_u64(w, "failed", p->life.failed);
        sl_jsonw_member_u64(w, "overdue", p->overdue);
        sl_jsonw_member_u64(w, "cancelled", p->cancelled);
        write_times(p, w);
        sl_pool_report_write(&r->report, w);
        sl_jsonw_member_u64(w, "model_bytes", p->model_bytes);
        sl_jsonw_member_u64(w, "idle_ms", (now_ns - r->used_ns) / SL_MILLI_NS);
        sl_jsonw_name(w, "ends");
        sl_replica_ends_write(p->ends, w);
        if (r->state != SL_REPLICA_STARTING) {
            sl_jsonw_name(w, "sandbox");
            sl_sandbox_write(r->sandbox, w);
        }
        sl_jsonw_end(w);
    }
}
