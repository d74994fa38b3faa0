/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/metrics.h"

#include <stdlib.h>

#include "actors/dispatcher.h"
#include "actors/head.h"
#include "actors/index.h"
#include "actors/rows.h"
#include "gateway/gateway.h"
#include "gateway/metrics/write.h"
#include "gateway/request_counts.h"
#include "gateway/resource.h"
#include "gateway/tracer.h"
#include "gateway/version.h"
#include "queue/look.h"
#include "runtime/alloc.h"
#include "runtime/live.h"

/* ---- tenants ------------------------------------------------------------------------------- */

static int
by_calls(const void *a, const void *b)
{
    const struct sl_metrics_shown *x = a, *y = b;
    if (x->calls != y->calls)
        return x->calls > y->calls ? -1 : 1;
    return x->scope.id < y->scope.id ? -1 : x->scope.id > y->scope.id;
}

static int
by_scope(const void *a, const void *b)
{
    const struct sl_metrics_shown *x = a, *y = b;
    return x->scope.id < y->scope.id ? -1 : x->scope.id > y->scope.id;
}

static void
show(struct sl_metrics_shown *s, const struct sl_request_tenant *tenant)
{
    *s = (struct sl_metrics_shown){.scope = tenant->scope, .calls = tenant->count};
    memcpy(s->id, tenant->id, sizeof(s->id));
}

/* Those that called most. */
static void
choose_tenants(struct sl_metrics *m)
{
    const struct sl_request_counts *c = m->source->gateway->requests;
    if (m->source->view != SL_METRICS_ALL || c == NULL || c->count <= 1)
        return;
    struct sl_metrics_shown *all = sl_zalloc(c->count * sizeof(*all));
    for (uint32_t i = 1; i < c->count; i++)
        show(&all[i - 1], &c->tenants[i]);
    qsort(all, c->count - 1, sizeof(*all), by_calls);
    m->shown_count = SL_MIN(c->count - 1, SL_METRICS_TENANTS_MAX);
    memcpy(m->shown, all, m->shown_count * sizeof(*all));
    qsort(m->shown, m->shown_count, sizeof(*all), by_scope);
    sl_free(all);
}

struct sl_slice
sl_metrics_tenant(const struct sl_metrics *m, struct sl_scope scope)
{
    const struct sl_metrics_shown key = {.scope = scope};
    if (m->source->view == SL_METRICS_UNLABELED)
        return (struct sl_slice){0};
    if (m->source->view == SL_METRICS_TENANT)
        return sl_slice_str(m->source->tenant.tenant_id);
    const struct sl_metrics_shown *found =
        bsearch(&key, m->shown, m->shown_count, sizeof(m->shown[0]), by_scope);
    return sl_slice_str(found == NULL ? SL_METRICS_OTHER : found->id);
}

/* ---- sums by labels ------------------------------------------------------------------------ */

uint64_t *
sl_metrics_sum(struct sl_metrics *m, const struct sl_slice labels[], uint32_t count)
{
    sl_buf_clear(&m->key);
    for (uint32_t i = 0; i < count; i++)
        sl_buf_append_block(&m->key, labels[i]);
    return &sl_ledger_sums_get(&m->sums, sl_buf_slice(&m->key))->amount;
}

void
sl_metrics_write_sums(struct sl_metrics *m, const char *const names[], uint32_t count, double unit)
{
    sl_ledger_sums_sort(&m->sums);
    for (uint32_t i = 0; i < m->sums.count; i++) {
        struct sl_sample sample = sl_metrics_sample(m);
        struct sl_reader r = sl_reader(sl_ledger_sums_key(&m->sums, i));
        for (uint32_t j = 0; j < count; j++) {
            struct sl_slice value = sl_read_block(&r);
            if (value.size > 0)
                sl_sample_label(&sample, names[j], value);
        }
        sl_sample_write(&sample, (double)m->sums.items[i].amount * unit, m->out);
    }
    sl_ledger_sums_clear(&m->sums);
}

/* ---- this process -------------------------------------------------------------------------- */

static void
write_build(struct sl_metrics *m, enum sl_metric_field field)
{
    (void)field;
    struct sl_sample sample = sl_metrics_sample(m);
    sl_sample_label(&sample, "version", sl_slice_str(SL_VERSION));
    sl_sample_write(&sample, 1, m->out);
}

static void
write_start(struct sl_metrics *m, enum sl_metric_field field)
{
    (void)field;
    struct sl_sample sample = sl_metrics_sample(m);
    sl_sample_write(&sample, (double)m->source->gateway->started_ms / 1000, m->out);
}

static void
write_indexes(struct sl_metrics *m, enum sl_metric_field field)
{
    (void)field;
    struct sl_sample sample = sl_metrics_sample(m);
    if (m->source->gateway->indexes != NULL)
        sl_sample_write(&sample, (double)sl_index_bytes(m->source->gateway->indexes), m->out);
}

/* ---- queues -------------------------------------------------------------------------------- */

/* Those of the view, read once for all families. */
static void
read_queues(struct sl_metrics *m)
{
    const struct sl_metrics_source *s = m->source;
    struct sl_scope scope = {0};
    uint32_t at = 0, capacity = 0;
    struct sl_queue_depth d;
    if (s->view == SL_METRICS_TENANT)
        scope = s->tenant.scope;
    m->has_queues = true;
    while (s->gateway->queue != NULL && sl_queue_depth_next(s->gateway->queue, scope, &at, &d)) {
        if (m->queues_count == capacity) {
            capacity = SL_MAX(2 * capacity, 64u);
            m->queues = sl_realloc(m->queues, capacity * sizeof(d));
        }
        m->queues[m->queues_count++] = d;
    }
}

/* When one that is put now would begin, at the rate at which tasks ended lately. */
static bool
start_of(const struct sl_metrics *m, const struct sl_queue_depth *d, uint64_t *ret_ms)
{
    const struct sl_metrics_source *s = m->source;
    double per_s = 0;
    if (s->dispatcher != NULL)
        per_s = sl_dispatcher_rate_per_s(s->dispatcher, d->scope, d->class, s->now_ns);
    if (d->ready > 0 && !(per_s > 0))
        return false;
    *ret_ms = d->ready == 0 ? 0 : (uint64_t)SL_MIN(1000 * (double)d->ready / per_s, 1e15);
    return true;
}

static bool
queue_value(const struct sl_metrics *m, const struct sl_queue_depth *d, enum sl_metric_field field,
            uint64_t *ret_value)
{
    uint64_t now_ms = m->source->now_ms;
    switch (field) {
    case FIELD_DEPTH:
        *ret_value = d->ready;
        break;
    case FIELD_DELAYED:
        *ret_value = d->delayed;
        break;
    case FIELD_IN_FLIGHT:
        *ret_value = d->leased;
        break;
    case FIELD_DEAD:
        *ret_value = d->count[SL_STATE_DEAD] + d->count[SL_STATE_QUARANTINED];
        break;
    case FIELD_POSITION:
        *ret_value = d->ready + 1;
        break;
    case FIELD_START:
        return start_of(m, d, ret_value);
    default:
        *ret_value = d->oldest_ms == 0 || d->oldest_ms > now_ms ? 0 : now_ms - d->oldest_ms;
        break;
    }
    return true;
}

static void
write_queues(struct sl_metrics *m, enum sl_metric_field field)
{
    static const char *const names[] = {"tenant", "queue"};
    bool is_one = m->source->view == SL_METRICS_TENANT;
    bool is_most = field == FIELD_AGE || field == FIELD_POSITION || field == FIELD_START;
    uint32_t seen = 0;
    if (!m->has_queues)
        read_queues(m);
    for (uint32_t i = 0; i < m->queues_count; i++) {
        const struct sl_queue_depth *d = &m->queues[i];
        bool is_named = is_one && d->class == SL_CLASS_OWN;
        uint64_t value;
        if (is_named && seen++ >= SL_METRICS_QUEUES_MAX)
            is_named = false;
        if (!queue_value(m, d, field, &value))
            continue;
        const struct sl_slice labels[] = {
            sl_metrics_tenant(m, d->scope),
            is_named ? d->name
                     : sl_slice_str(d->class == SL_CLASS_OWN ? "own" : sl_class_name(d->class))};
        uint64_t *sum = sl_metrics_sum(m, labels, SL_COUNT_OF(labels));
        *sum = is_most ? SL_MAX(*sum, value) : *sum + value; /* The oldest of several. */
    }
    sl_metrics_write_sums(m, names, SL_COUNT_OF(names), field == FIELD_AGE ? 0.001 : 1);
}

/* ---- tasks and links ----------------------------------------------------------------------- */

struct outcome {
    const char *name;
    uint64_t count;
};

static void
write_outcomes(struct sl_metrics *m, const char *name, const struct outcome outcomes[],
               size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct sl_sample sample = sl_metrics_sample(m);
        sl_sample_label(&sample, name, sl_slice_str(outcomes[i].name));
        sl_sample_write(&sample, (double)outcomes[i].count, m->out);
    }
}

static void
write_tasks(struct sl_metrics *m, enum sl_metric_field field)
{
    const struct sl_dispatcher_counts *t = m->source->tasks;
    (void)field;
    if (t == NULL)
        return;
    const struct outcome outcomes[] = {{"done", t->done},   {"retried", t->retried},
                                       {"dead", t->dead},   {"crashed", t->crashed},
                                       {"stale", t->stale}, {"returned", t->returned}};
    write_outcomes(m, "outcome", outcomes, SL_COUNT_OF(outcomes));
}

static void
write_traces(struct sl_metrics *m, enum sl_metric_field field)
{
    const struct sl_tracer_counts *c = m->source->gateway->traces;
    (void)field;
    if (c == NULL)
        return;
    const struct outcome outcomes[] = {{"sent", c->sent}, {"dropped", c->dropped}};
    write_outcomes(m, "state", outcomes, SL_COUNT_OF(outcomes));
}

static void
write_parked(struct sl_metrics *m, enum sl_metric_field field)
{
    struct sl_sample sample = sl_metrics_sample(m);
    (void)field;
    if (m->source->tasks != NULL)
        sl_sample_write(&sample, (double)m->source->tasks->parked, m->out);
}

static void
write_links(struct sl_metrics *m, enum sl_metric_field field)
{
    const struct sl_links_counts *c = m->source->links;
    (void)field;
    if (c == NULL)
        return;
    const struct outcome outcomes[] = {
        {"sent", c->frames_sent},     {"received", c->frames_received}, {"malformed", c->malformed},
        {"foreign", c->foreign},      {"refused", c->refused},          {"resent", c->resent},
        {"duplicate", c->duplicates}, {"overflow", c->overflows}};
    write_outcomes(m, "outcome", outcomes, SL_COUNT_OF(outcomes));
}

/* ---- all of it ----------------------------------------------------------------------------- */

enum whose { WHOSE_TENANT, WHOSE_LABELED, WHOSE_CLUSTER };

static const struct family {
    const char *name;
    enum sl_metric_kind kind;
    enum whose whose;
    sl_metrics_fn *write;
    enum sl_metric_field field;
    const char *help;
} families[] = {
#define FAMILY(name, kind, whose, writer, field, help)                                             \
    {#name, SL_METRIC_##kind, WHOSE_##whose, writer, FIELD_##field, help},
#include "gateway/metrics.def"
};

static bool
is_in_view(const struct family *f, enum sl_metrics_view view)
{
    if (view == SL_METRICS_TENANT)
        return f->whose != WHOSE_CLUSTER;
    return view == SL_METRICS_ALL || f->whose != WHOSE_LABELED;
}

void
sl_metrics_write(const struct sl_metrics_source *source, struct sl_buf *out)
{
    struct sl_metrics *m = sl_zalloc(sizeof(*m));
    m->source = source;
    m->out = out;
    choose_tenants(m);
    for (size_t i = 0; i < SL_COUNT_OF(families); i++) {
        const struct family *f = &families[i];
        if (!is_in_view(f, source->view))
            continue;
        sl_exposition_family(out, f->name, f->kind, f->help);
        m->family = f->name;
        f->write(m, f->field);
    }
    sl_ledger_sums_deinit(&m->sums);
    sl_buf_deinit(&m->key);
    sl_free(m->queues);
    sl_free(m->uses);
    sl_free(m->figures);
    sl_metrics_calls_destroy(&m->calls);
    sl_free(m);
}

/* Owned; until the head's next message. */
static struct sl_head_node *
nodes_of(const void *head, uint32_t *ret_count)
{
    struct sl_head_node *nodes = sl_zalloc((sl_head_nodes(head) + 1) * sizeof(*nodes));
    for (*ret_count = 0; sl_head_node_next(head, ret_count, &nodes[*ret_count]);)
        continue;
    return nodes;
}

void
sl_metrics_gather(struct sl_metrics_source source, struct sl_buf *out)
{
    struct sl_live *live = source.gateway->live;
    struct sl_head_node *nodes = NULL;
    struct sl_dispatcher_counts tasks;
    struct sl_links_counts links;
    if (live != NULL) {
        const void *head = sl_live_state(live, SL_ACTOR_HEAD);
        source.nodes = nodes = nodes_of(head, &source.nodes_count);
        source.served = sl_head_served(head);
        sl_dispatcher_counts(sl_live_state(live, SL_ACTOR_DISPATCHER), &tasks);
        sl_live_links_counts(live, &links);
        source.tasks = &tasks;
        source.links = &links;
        source.dispatcher = sl_live_state(live, SL_ACTOR_DISPATCHER);
    }
    sl_metrics_write(&source, out);
    sl_free(nodes);
}

/* ---- the route ----------------------------------------------------------------------------- */

sl_handler_fn sl_api_get_metrics;

void
sl_api_get_metrics(struct sl_call *call)
{
    struct sl_slice wanted = sl_call_query(call, "tenant_id");
    struct sl_metrics_source source = {.gateway = call->gateway,
                                       .view = SL_METRICS_TENANT,
                                       .tenant = call->who,
                                       .now_ns = call->now_ns,
                                       .now_ms = call->now_ms};
    if (call->who.is_operator && wanted.size == 0)
        source.view = SL_METRICS_ALL;
    else if (call->who.is_operator &&
             sl_keyring_tenant(call->gateway->keyring, wanted, &source.tenant) != SL_OK)
        sl_call_not_found(call, "tenant", wanted);
    else if (!call->who.is_operator && wanted.size > 0 && !sl_slice_is(wanted, call->who.tenant_id))
        sl_call_not_found(call, "tenant", wanted);
    if (sl_call_has_failed(call))
        return;
    call->reply_type = SL_EXPOSITION_TYPE;
    sl_metrics_gather(source, &call->reply);
}
