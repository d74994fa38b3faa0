/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/trace_log.h"

#include <stdio.h>

#include "runtime/alloc.h"

#define MINUTE_MS UINT64_C(60000)
#define NOWHERE   UINT32_MAX

struct minute {
    uint64_t number; /* Since 1970. */
    uint32_t count;
    uint64_t kinds[SL_TRACE_LOG_CALLS], took_ns[SL_TRACE_LOG_CALLS];
    struct sl_kept_call calls[SL_TRACE_LOG_CALLS];
};

struct sl_trace_log {
    struct minute *minutes[SL_TRACE_LOG_MINUTES]; /* By their numbers; NULL: nothing was kept. */
    uint64_t last_id, uses;
    struct sl_kept_job jobs[SL_TRACE_LOG_JOBS];
};

struct sl_trace_log *
sl_trace_log_create(void)
{
    return sl_zalloc(sizeof(struct sl_trace_log));
}

void
sl_trace_log_destroy(struct sl_trace_log **log)
{
    struct sl_trace_log *l = *log;
    if (l == NULL)
        return;
    *log = NULL;
    for (uint32_t i = 0; i < SL_TRACE_LOG_MINUTES; i++)
        sl_free(l->minutes[i]);
    for (uint32_t i = 0; i < SL_TRACE_LOG_JOBS; i++)
        sl_free(l->jobs[i].leases);
    sl_free(l);
}

static void
copy_text(char *to, size_t size, struct sl_slice text)
{
    (void)snprintf(to, size, "%.*s", SL_SLICE_FMT(text));
}

static void
copy_phases(const struct sl_traced *traced, struct sl_kept_phases *ret_phases)
{
    const struct sl_span *whole = &traced->spans[0];
    ret_phases->start_ns = whole->start_ns;
    ret_phases->end_ns = SL_MAX(whole->start_ns, whole->end_ns);
    ret_phases->count = traced->count - 1;
    for (uint32_t i = 0; i < ret_phases->count; i++) {
        const struct sl_span *part = &traced->spans[i + 1];
        ret_phases->each[i] = (struct sl_kept_phase){
            .name = part->name,
            .start_ns = part->start_ns,
            .end_ns = part->end_ns,
            .is_within = memcmp(part->parent, whole->id, sizeof(whole->id)) != 0};
    }
}

void
sl_kept_phases_write(const struct sl_kept_phases *p, struct sl_jsonw *w)
{
    const char *whole = "";
    sl_jsonw_member_time(w, "started_at", p->start_ns / SL_MILLI_NS);
    sl_jsonw_member_u64(w, "duration_us", (p->end_ns - p->start_ns) / 1000);
    sl_jsonw_name(w, "phases");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < p->count; i++) {
        const struct sl_kept_phase *phase = &p->each[i];
        sl_jsonw_object(w);
        sl_jsonw_member_str(w, "phase", phase->name);
        if (phase->is_within)
            sl_jsonw_member_str(w, "within", whole);
        else
            whole = phase->name;
        sl_jsonw_member_u64(w, "start_us", (phase->start_ns - p->start_ns) / 1000);
        sl_jsonw_member_u64(w, "duration_us", (phase->end_ns - phase->start_ns) / 1000);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

/* ---- calls --------------------------------------------------------------------------------- */

static uint32_t
least_of(const struct minute *m, bool is_any, uint64_t kind)
{
    uint32_t least = NOWHERE;
    for (uint32_t i = 0; i < m->count; i++) {
        if ((is_any || m->kinds[i] == kind) &&
            (least == NOWHERE || m->took_ns[i] < m->took_ns[least]))
            least = i;
    }
    return least;
}

/* Where one that took so long goes: to a free place, or to that of one which took less. */
static uint32_t
place_of(const struct minute *m, uint64_t kind, uint64_t took_ns)
{
    uint32_t same = 0;
    for (uint32_t i = 0; i < m->count; i++)
        same += m->kinds[i] == kind;
    bool is_route_full = same >= SL_TRACE_LOG_OF_ROUTE;
    if (!is_route_full && m->count < SL_TRACE_LOG_CALLS)
        return m->count;
    uint32_t least = least_of(m, !is_route_full, kind);
    return took_ns > m->took_ns[least] ? least : NOWHERE;
}

bool
sl_trace_log_wants(const struct sl_trace_log *log, uint64_t kind, uint64_t took_ns, uint64_t now_ms)
{
    uint64_t number = now_ms / MINUTE_MS;
    const struct minute *m = log->minutes[number % SL_TRACE_LOG_MINUTES];
    return m == NULL || m->number != number || place_of(m, kind, took_ns) != NOWHERE;
}

static struct minute *
minute_of(struct sl_trace_log *log, uint64_t now_ms)
{
    uint64_t number = now_ms / MINUTE_MS;
    struct minute **m = &log->minutes[number % SL_TRACE_LOG_MINUTES];
    if (*m == NULL)
        *m = sl_zalloc(sizeof(**m));
    if ((*m)->number != number)
        (*m)->count = 0;
    (*m)->number = number;
    return *m;
}

void
sl_trace_log_call(struct sl_trace_log *log, const struct sl_m_call_traced *m,
                  const struct sl_trace_clock *now)
{
    struct sl_trace_context context;
    struct sl_traced traced;
    if (SL_BUG(m->context.size != sizeof(context)))
        return;
    memcpy(&context, m->context.data, sizeof(context));
    sl_trace_call(m, &context, now, &traced);
    uint64_t end_ns = traced.spans[0].end_ns;
    uint64_t took_ns = end_ns - SL_MIN(traced.spans[0].start_ns, end_ns);
    struct minute *minute = minute_of(log, end_ns / SL_MILLI_NS);
    uint32_t place = place_of(minute, m->kind, took_ns);
    if (place == NOWHERE)
        return;
    minute->count = SL_MAX(minute->count, place + 1);
    minute->kinds[place] = m->kind;
    minute->took_ns[place] = took_ns;
    struct sl_kept_call *call = &minute->calls[place];
    *call = (struct sl_kept_call){
        .id = ++log->last_id, .scope = {m->scope}, .status = (uint16_t)m->status};
    copy_text(call->tenant, sizeof(call->tenant), m->tenant);
    copy_text(call->request, sizeof(call->request), m->request_id);
    copy_text(call->name, sizeof(call->name), sl_slice_str(traced.name));
    for (size_t i = 0; i < sizeof(context.trace); i++)
        (void)snprintf(&call->trace[2 * i], 3, "%02x", context.trace[i]);
    copy_phases(&traced, &call->phases);
}

void
sl_trace_log_calls(const struct sl_trace_log *log,
                   void (*take)(void *arg, const struct sl_kept_call *call), void *arg)
{
    for (uint32_t i = 0; i < SL_TRACE_LOG_MINUTES; i++) {
        const struct minute *m = log->minutes[i];
        for (uint32_t k = 0; m != NULL && k < m->count; k++)
            take(arg, &m->calls[k]);
    }
}

/* ---- leases -------------------------------------------------------------------------------- */

static struct sl_kept_job *
find_job(const struct sl_trace_log *log, struct sl_scope scope, struct sl_job_id id)
{
    for (uint32_t i = 0; i < SL_TRACE_LOG_JOBS; i++) {
        const struct sl_kept_job *j = &log->jobs[i];
        if (j->scope.id == scope.id && memcmp(j->id.bytes, id.bytes, sizeof(id.bytes)) == 0)
            return (struct sl_kept_job *)j;
    }
    return NULL;
}

const struct sl_kept_job *
sl_trace_log_job(const struct sl_trace_log *log, struct sl_scope scope, struct sl_job_id id)
{
    return scope.id == 0 ? NULL : find_job(log, scope, id);
}

/* The place of the one that nothing was heard of for the longest time. */
static struct sl_kept_job *
replace_job(struct sl_trace_log *log, struct sl_scope scope, struct sl_job_id id)
{
    struct sl_kept_job *oldest = &log->jobs[0];
    for (uint32_t i = 1; i < SL_TRACE_LOG_JOBS; i++) {
        if (log->jobs[i].used < oldest->used)
            oldest = &log->jobs[i];
    }
    sl_free(oldest->leases);
    *oldest = (struct sl_kept_job){.id = id, .scope = scope};
    return oldest;
}

/* How long it took, but for the wait for its turn: the last of a job have the most of that. */
static uint64_t
length_ns(const struct sl_kept_lease *lease)
{
    const struct sl_kept_phases *p = &lease->phases;
    bool has_waited = p->count > 0 && strcmp(p->each[0].name, "wait") == 0;
    return p->end_ns - (has_waited ? p->each[0].end_ns : p->start_ns);
}

static struct sl_kept_lease *
make_place(struct sl_kept_job *j, const struct sl_kept_lease *lease)
{
    if (j->count < SL_TRACE_LOG_LEASES) {
        if (j->count == j->capacity) {
            j->capacity = j->capacity == 0 ? 1 : SL_MIN(2 * j->capacity, SL_TRACE_LOG_LEASES);
            j->leases = sl_realloc(j->leases, j->capacity * sizeof(j->leases[0]));
        }
        return &j->leases[j->count++];
    }
    struct sl_kept_lease *least = &j->leases[0];
    for (uint32_t i = 1; i < j->count; i++) {
        if (length_ns(&j->leases[i]) < length_ns(least))
            least = &j->leases[i];
    }
    return length_ns(lease) > length_ns(least) ? least : NULL;
}

void
sl_trace_log_task(struct sl_trace_log *log, const struct sl_m_task_traced *m,
                  const struct sl_trace_clock *now)
{
    struct sl_traced_job job = {.tenant = ""};
    struct sl_scope scope = {m->scope};
    struct sl_traced traced;
    if (scope.id == 0 || SL_BUG(m->job.size != sizeof(job.id.bytes)))
        return;
    memcpy(job.id.bytes, m->job.data, sizeof(job.id.bytes));
    struct sl_kept_job *j = find_job(log, scope, job.id);
    if (j == NULL)
        j = replace_job(log, scope, job.id);
    j->used = ++log->uses;
    j->told++;
    struct sl_kept_lease lease = {.task_id = m->task_id,
                                  .node = m->node,
                                  .attempt = m->attempt,
                                  .outcome = (enum sl_traced_outcome)m->outcome};
    copy_text(lease.extractor, sizeof(lease.extractor), m->extractor);
    sl_trace_task(m, &job, now, &traced);
    copy_phases(&traced, &lease.phases);
    struct sl_kept_lease *place = make_place(j, &lease);
    if (place != NULL)
        *place = lease;
}

void
sl_trace_log_forget(struct sl_trace_log *log, struct sl_scope scope)
{
    for (uint32_t i = 0; i < SL_TRACE_LOG_MINUTES; i++) {
        struct minute *m = log->minutes[i];
        for (uint32_t k = 0; m != NULL && k < m->count;) {
            if (m->calls[k].scope.id != scope.id) {
                k++;
                continue;
            }
            m->count--;
            m->calls[k] = m->calls[m->count];
            m->kinds[k] = m->kinds[m->count];
            m->took_ns[k] = m->took_ns[m->count];
            memset(&m->calls[m->count], 0, sizeof(m->calls[0]));
        }
    }
    for (uint32_t i = 0; i < SL_TRACE_LOG_JOBS; i++) {
        struct sl_kept_job *j = &log->jobs[i];
        if (j->scope.id != scope.id)
            continue;
        sl_free(j->leases);
        *j = (struct sl_kept_job){0};
    }
}
