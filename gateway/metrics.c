/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "actors/head.h"
#include "actors/index.h"
#include "actors/ledger_sums.h"
#include "actors/rows.h"
#include "gateway/exposition.h"
#include "gateway/request_counts.h"
#include "gateway/resource.h"
#include "gateway/version.h"
#include "queue/look.h"
#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/live.h"

#define OTHER "other"

enum field { /* What of a queue or a node is written. */
             FIELD_NONE,
             FIELD_DEPTH,
             FIELD_DELAYED,
             FIELD_IN_FLIGHT,
             FIELD_DEAD,
             FIELD_AGE,
             FIELD_WORKERS,
             FIELD_REPLICAS,
             FIELD_ONGOING,
             FIELD_MEMORY,
             FIELD_WANTED,
             FIELD_CHANGES,
             FIELD_STORE
};

struct shown { /* A tenant with samples of its own. */
    struct sl_scope scope;
    char id[64];
    uint64_t calls;
};

struct metrics {
    const struct sl_metrics_source *source;
    struct sl_buf *out;
    struct sl_json_doc *nodes;
    struct shown shown[SL_METRICS_TENANTS_MAX]; /* By scope, once they are chosen. */
    uint32_t shown_count;
    const char *family;         /* That is being written. */
    struct sl_ledger_sums sums; /* Of that family, by its labels. */
    struct sl_buf key;
};

static struct sl_slice
label(const char *text)
{
    return sl_slice_str(text);
}

static struct sl_sample
sample_of(const struct metrics *m)
{
    return (struct sl_sample){.family = m->family};
}

/* ---- tenants ------------------------------------------------------------------------------- */

static int
by_calls(const void *a, const void *b)
{
    const struct shown *x = a, *y = b;
    if (x->calls != y->calls)
        return x->calls > y->calls ? -1 : 1;
    return x->scope.id < y->scope.id ? -1 : x->scope.id > y->scope.id;
}

static int
by_scope(const void *a, const void *b)
{
    const struct shown *x = a, *y = b;
    return x->scope.id < y->scope.id ? -1 : x->scope.id > y->scope.id;
}

static void
show(struct shown *s, const struct sl_request_tenant *tenant)
{
    *s = (struct shown){.scope = tenant->scope, .calls = tenant->count};
    memcpy(s->id, tenant->id, sizeof(s->id));
}

/* Those that called most. */
static void
choose_tenants(struct metrics *m)
{
    const struct sl_request_counts *c = m->source->gateway->requests;
    if (m->source->view != SL_METRICS_ALL || c == NULL || c->count <= 1)
        return;
    struct shown *all = sl_zalloc(c->count * sizeof(*all));
    for (uint32_t i = 1; i < c->count; i++)
        show(&all[i - 1], &c->tenants[i]);
    qsort(all, c->count - 1, sizeof(*all), by_calls);
    m->shown_count = SL_MIN(c->count - 1, SL_METRICS_TENANTS_MAX);
    memcpy(m->shown, all, m->shown_count * sizeof(*all));
    qsort(m->shown, m->shown_count, sizeof(*all), by_scope);
    sl_free(all);
}

/* What a tenant is called here; NULL: there is no such label in this view. */
static const char *
tenant_label(const struct metrics *m, struct sl_scope scope)
{
    const struct shown key = {.scope = scope};
    if (m->source->view == SL_METRICS_UNLABELED)
        return NULL;
    if (m->source->view == SL_METRICS_TENANT)
        return m->source->tenant.tenant_id;
    const struct shown *found =
        bsearch(&key, m->shown, m->shown_count, sizeof(m->shown[0]), by_scope);
    return found == NULL ? OTHER : found->id;
}

/* ---- sums by labels ------------------------------------------------------------------------ */

/* What has these labels; an empty one is not written. */
static uint64_t *
sum_of(struct metrics *m, const struct sl_slice labels[], uint32_t count)
{
    sl_buf_clear(&m->key);
    for (uint32_t i = 0; i < count; i++)
        sl_buf_append_block(&m->key, labels[i]);
    return &sl_ledger_sums_get(&m->sums, sl_buf_slice(&m->key))->amount;
}

static void
write_sums(struct metrics *m, const char *const names[], uint32_t count, double unit)
{
    sl_ledger_sums_sort(&m->sums);
    for (uint32_t i = 0; i < m->sums.count; i++) {
        struct sl_sample sample = sample_of(m);
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
write_build(struct metrics *m, enum field field)
{
    (void)field;
    struct sl_sample sample = sample_of(m);
    sl_sample_label(&sample, "version", label(SL_VERSION));
    sl_sample_write(&sample, 1, m->out);
}

static void
write_start(struct metrics *m, enum field field)
{
    (void)field;
    struct sl_sample sample = sample_of(m);
    sl_sample_write(&sample, (double)m->source->gateway->started_ms / 1000, m->out);
}

static void
write_indexes(struct metrics *m, enum field field)
{
    (void)field;
    struct sl_sample sample = sample_of(m);
    if (m->source->gateway->indexes != NULL)
        sl_sample_write(&sample, (double)sl_index_bytes(m->source->gateway->indexes), m->out);
}

/* ---- requests ------------------------------------------------------------------------------ */

static struct sl_slice
method_label(const struct sl_route *route)
{
    return label(route->method == SL_ANY ? "ANY" : sl_method_name(route->method));
}

/* Calls `seen` with what each route was called, by tenant where the view has tenants. */
static void
each_tenant(struct metrics *m, void (*seen)(struct metrics *m, const struct sl_request_tenant *t))
{
    const struct sl_request_counts *c = m->source->gateway->requests;
    const struct sl_request_tenant *one = NULL;
    if (c != NULL && m->source->view == SL_METRICS_TENANT)
        one = sl_request_counts_of(c, m->source->tenant.scope);
    if (one != NULL)
        seen(m, one);
    for (uint32_t i = 0; c != NULL && m->source->view != SL_METRICS_TENANT && i < c->count; i++)
        seen(m, &c->tenants[i]);
}

static void
add_requests(struct metrics *m, const struct sl_request_tenant *t)
{
    uint32_t count;
    const struct sl_route *routes = sl_routes(&count);
    const char *tenant = tenant_label(m, t->scope);
    for (uint32_t i = 0; i < count; i++) {
        const struct sl_request_count *c = t->routes[i];
        for (uint32_t j = 0; c != NULL && j < SL_REQUEST_STATUSES; j++) {
            char status[8] = OTHER;
            if (c->statuses[j].count == 0)
                break;
            if (c->statuses[j].status != 0)
                (void)snprintf(status, sizeof(status), "%u", c->statuses[j].status);
            const struct sl_slice labels[] = {tenant == NULL ? (struct sl_slice){0} : label(tenant),
                                              label(routes[i].name), method_label(&routes[i]),
                                              label(status)};
            *sum_of(m, labels, SL_COUNT_OF(labels)) += c->statuses[j].count;
        }
    }
}

static void
write_requests(struct metrics *m, enum field field)
{
    static const char *const names[] = {"tenant", "route", "method", "status"};
    (void)field;
    each_tenant(m, add_requests);
    write_sums(m, names, SL_COUNT_OF(names), 1);
}

static void
write_histogram(struct metrics *m, struct sl_sample sample, const struct sl_request_count *c)
{
    const uint32_t labels_count = sample.labels_count;
    uint64_t below = 0;
    sample.suffix = "_bucket";
    for (uint32_t i = 0; i < SL_REQUEST_STEPS; i++) {
        char end[24] = "+Inf";
        below += c->steps[i];
        if (i < SL_REQUEST_STEPS - 1)
            (void)snprintf(end, sizeof(end), "%g", (double)sl_request_step_ns(i) / SL_SECOND_NS);
        sample.labels_count = labels_count;
        sl_sample_label(&sample, "le", label(end));
        sl_sample_write(&sample, (double)below, m->out);
    }
    sample.labels_count = labels_count;
    sample.suffix = "_sum";
    sl_sample_write(&sample, (double)c->sum_ns / SL_SECOND_NS, m->out);
    sample.suffix = "_count";
    sl_sample_write(&sample, (double)c->count, m->out);
}

/* By route, and by tenant in a tenant's own view alone: nineteen samples each. */
static void
write_durations(struct metrics *m, enum field field)
{
    uint32_t count;
    const struct sl_route *routes = sl_routes(&count);
    const struct sl_request_counts *c = m->source->gateway->requests;
    bool is_one = m->source->view == SL_METRICS_TENANT;
    (void)field;
    for (uint32_t i = 0; c != NULL && i < count; i++) {
        struct sl_request_count sum = {0};
        struct sl_sample sample = sample_of(m);
        for (uint32_t j = 0; j < c->count; j++) {
            if (c->tenants[j].routes[i] != NULL &&
                (!is_one || c->tenants[j].scope.id == m->source->tenant.scope.id))
                sl_request_count_merge(&sum, c->tenants[j].routes[i]);
        }
        if (is_one)
            sl_sample_label(&sample, "tenant", label(m->source->tenant.tenant_id));
        sl_sample_label(&sample, "route", label(routes[i].name));
        sl_sample_label(&sample, "method", method_label(&routes[i]));
        if (sum.count > 0)
            write_histogram(m, sample, &sum);
    }
}

/* ---- queues -------------------------------------------------------------------------------- */

static uint64_t
queue_value(const struct sl_queue_depth *d, enum field field, uint64_t now_ms)
{
    switch (field) {
    case FIELD_DEPTH:
        return d->ready;
    case FIELD_DELAYED:
        return d->delayed;
    case FIELD_IN_FLIGHT:
        return d->leased;
    case FIELD_DEAD:
        return d->count[SL_STATE_DEAD] + d->count[SL_STATE_QUARANTINED];
    default:
        return d->oldest_ms == 0 || d->oldest_ms > now_ms ? 0 : now_ms - d->oldest_ms;
    }
}

static void
write_queues(struct metrics *m, enum field field)
{
    static const char *const names[] = {"tenant", "queue"};
    const struct sl_metrics_source *s = m->source;
    bool is_one = s->view == SL_METRICS_TENANT, is_age = field == FIELD_AGE;
    struct sl_queue_depth d;
    uint32_t at = 0, seen = 0;
    struct sl_scope scope = is_one ? s->tenant.scope : (struct sl_scope){0};
    while (s->gateway->queue != NULL && sl_queue_depth_next(s->gateway->queue, scope, &at, &d)) {
        const char *tenant = tenant_label(m, d.scope);
        bool is_named = is_one && d.class == SL_CLASS_OWN;
        if (is_named && seen++ >= SL_METRICS_QUEUES_MAX)
            is_named = false;
        const struct sl_slice labels[] = {
            tenant == NULL ? (struct sl_slice){0} : label(tenant),
            is_named ? d.name : label(d.class == SL_CLASS_OWN ? "own" : sl_class_name(d.class))};
        uint64_t value = queue_value(&d, field, s->now_ms);
        uint64_t *sum = sum_of(m, labels, SL_COUNT_OF(labels));
        *sum = is_age ? SL_MAX(*sum, value) : *sum + value; /* The oldest of several. */
    }
    write_sums(m, names, SL_COUNT_OF(names), is_age ? 0.001 : 1);
}

/* ---- tasks and links ----------------------------------------------------------------------- */

struct outcome {
    const char *name;
    uint64_t count;
};

static void
write_outcomes(struct metrics *m, const char *name, const struct outcome outcomes[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct sl_sample sample = sample_of(m);
        sl_sample_label(&sample, name, label(outcomes[i].name));
        sl_sample_write(&sample, (double)outcomes[i].count, m->out);
    }
}

static void
write_tasks(struct metrics *m, enum field field)
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
write_parked(struct metrics *m, enum field field)
{
    struct sl_sample sample = sample_of(m);
    (void)field;
    if (m->source->tasks != NULL)
        sl_sample_write(&sample, (double)m->source->tasks->parked, m->out);
}

static void
write_links(struct metrics *m, enum field field)
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

/* ---- nodes and replicas, as nodes tell of them --------------------------------------------- */

static uint64_t
number(struct sl_json of, const char *name)
{
    uint64_t value = 0;
    return sl_json_u64(sl_json_member(of, name), &value) == SL_OK ? value : 0;
}

/* A node is a process of ours, but what it tells came over a link. */
static void
add_named(struct metrics *m, struct sl_json first, struct sl_json second, uint64_t amount)
{
    struct sl_buf scratch = {0}, other = {0};
    struct sl_slice labels[2] = {{0}};
    if (sl_json_text(first, &scratch, &labels[0]) == SL_OK) {
        if (sl_json_text(second, &other, &labels[1]) != SL_OK)
            labels[1] = (struct sl_slice){0};
        *sum_of(m, labels, SL_COUNT_OF(labels)) += amount;
    }
    sl_buf_deinit(&scratch);
    sl_buf_deinit(&other);
}

static void
add_workers(struct metrics *m, struct sl_json node)
{
    add_named(m, sl_json_member(node, "group"), sl_json_member(node, "state"), 1);
}

static void
add_replicas(struct metrics *m, struct sl_json node)
{
    struct sl_json replicas = sl_json_member(node, "replicas");
    for (struct sl_json_iter i = sl_json_iter(replicas); sl_json_next(&i);)
        add_named(m, sl_json_member(i.value, "extractor"), sl_json_member(i.value, "state"), 1);
}

static void
add_ongoing(struct metrics *m, struct sl_json node)
{
    struct sl_json replicas = sl_json_member(node, "replicas");
    for (struct sl_json_iter i = sl_json_iter(replicas); sl_json_next(&i);)
        add_named(m, sl_json_member(i.value, "extractor"), (struct sl_json){0},
                  number(i.value, "ongoing"));
}

static void
add_memory(struct metrics *m, struct sl_json node)
{
    static const char *const kinds[][2] = {{"resident", "resident_bytes"},
                                           {"private", "private_bytes"},
                                           {"host", "host_bytes"},
                                           {"device", "device_bytes"}};
    struct sl_json replicas = sl_json_member(node, "replicas");
    struct sl_buf scratch = {0};
    for (struct sl_json_iter i = sl_json_iter(replicas); sl_json_next(&i);) {
        struct sl_json memory = sl_json_member(i.value, "memory");
        struct sl_slice labels[2] = {{0}};
        sl_buf_clear(&scratch);
        if (!sl_json_has(memory) ||
            sl_json_text(sl_json_member(i.value, "extractor"), &scratch, &labels[0]) != SL_OK)
            continue;
        for (size_t k = 0; k < SL_COUNT_OF(kinds); k++) {
            labels[1] = label(kinds[k][0]);
            uint64_t *sum = sum_of(m, labels, SL_COUNT_OF(labels));
            *sum += SL_MIN(number(memory, kinds[k][1]), UINT64_MAX - *sum); /* Plugins say it. */
        }
    }
    sl_buf_deinit(&scratch);
}

static void
add_scaling(struct metrics *m, struct sl_json node, const char *what)
{
    struct sl_json pools = sl_json_member(node, "scaling");
    for (struct sl_json_iter i = sl_json_iter(pools); sl_json_next(&i);)
        add_named(m, sl_json_member(i.value, "extractor"), (struct sl_json){0},
                  number(i.value, what));
}

static void
add_wanted(struct metrics *m, struct sl_json node)
{
    add_scaling(m, node, "wanted");
}

static void
add_changes(struct metrics *m, struct sl_json node)
{
    add_scaling(m, node, "changes");
}

static void
add_store(struct metrics *m, struct sl_json node)
{
    static const struct {
        const char *kind, *of, *name;
    } parts[] = {{"objects", "objects", "memory_bytes"},
                 {"spilled", "objects", "spilled_bytes"},
                 {"images", "images", "bytes"}};
    for (size_t i = 0; i < SL_COUNT_OF(parts); i++) {
        struct sl_json of = sl_json_member(node, parts[i].of);
        const struct sl_slice labels[2] = {label(parts[i].kind)};
        *sum_of(m, labels, SL_COUNT_OF(labels)) += number(of, parts[i].name);
    }
}

static void
write_counted(struct metrics *m, enum field field)
{
    static const struct {
        void (*add)(struct metrics *m, struct sl_json node);
        const char *names[2];
    } counted[] = {[FIELD_WORKERS] = {add_workers, {"group", "state"}},
                   [FIELD_REPLICAS] = {add_replicas, {"extractor", "state"}},
                   [FIELD_ONGOING] = {add_ongoing, {"extractor", ""}},
                   [FIELD_MEMORY] = {add_memory, {"extractor", "kind"}},
                   [FIELD_WANTED] = {add_wanted, {"extractor", ""}},
                   [FIELD_CHANGES] = {add_changes, {"extractor", ""}},
                   [FIELD_STORE] = {add_store, {"kind", ""}}};
    for (struct sl_json_iter i = sl_json_iter(sl_json_root(m->nodes)); sl_json_next(&i);)
        counted[field].add(m, i.value);
    write_sums(m, counted[field].names, 2, 1);
}

/* Of a pool, each of whose replicas tells the same. */
static void
add_phases(struct metrics *m, struct sl_json replica, bool is_count)
{
    static const char *const kinds[] = {"calls", "tasks"};
    static const char *const phases[] = {"wait", "batch_wait", "compute"};
    struct sl_buf scratch = {0};
    struct sl_slice extractor;
    if (sl_json_text(sl_json_member(replica, "extractor"), &scratch, &extractor) != SL_OK)
        extractor = (struct sl_slice){0};
    for (size_t i = 0; i < SL_COUNT_OF(kinds); i++) {
        struct sl_json of = sl_json_member(sl_json_member(replica, "times"), kinds[i]);
        for (size_t j = 0; j < SL_COUNT_OF(phases); j++) {
            double sum_ms = 0;
            struct sl_json sum = sl_json_member(sl_json_member(of, phases[j]), "sum_ms");
            const struct sl_slice labels[] = {extractor, label(kinds[i]), label(phases[j])};
            if (sl_json_f64(sum, &sum_ms) != SL_OK || !(sum_ms >= 0) || sum_ms > 1e15)
                continue;
            *sum_of(m, labels, SL_COUNT_OF(labels)) +=
                is_count ? number(of, "count") : (uint64_t)(sum_ms * 1000);
        }
    }
    sl_buf_deinit(&scratch);
}

/* Whether it is of the same pool as the one before it in its node's list. */
static bool
is_same_pool(struct sl_json a, struct sl_json b)
{
    static const char *const names[] = {"extractor", "index", "times"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        if (!sl_slice_equal(sl_json_raw(sl_json_member(a, names[i])),
                            sl_json_raw(sl_json_member(b, names[i]))))
            return false;
    }
    return true;
}

static void
write_phases(struct metrics *m, enum field field)
{
    static const char *const names[] = {"extractor", "kind", "phase"};
    static const char *const parts[] = {"sluice_item_seconds_sum", "sluice_item_seconds_count"};
    (void)field;
    for (unsigned is_count = 0; is_count < 2; is_count++) {
        m->family = parts[is_count];
        for (struct sl_json_iter i = sl_json_iter(sl_json_root(m->nodes)); sl_json_next(&i);) {
            struct sl_json before = {0}, replicas = sl_json_member(i.value, "replicas");
            for (struct sl_json_iter r = sl_json_iter(replicas); sl_json_next(&r);) {
                if (before.doc == NULL || !is_same_pool(before, r.value))
                    add_phases(m, r.value, is_count != 0);
                before = r.value;
            }
        }
        write_sums(m, names, SL_COUNT_OF(names), is_count ? 1 : 1e-6);
    }
}

/* ---- all of it ----------------------------------------------------------------------------- */

static const struct family {
    const char *name;
    enum sl_metric_kind kind;
    bool is_tenants;
    void (*write)(struct metrics *m, enum field field);
    enum field field;
    const char *help;
} families[] = {
#define IS_TENANT  true
#define IS_CLUSTER false
#define FAMILY(name, kind, whose, writer, field, help)                                             \
    {"sluice_" #name, SL_METRIC_##kind, IS_##whose, write_##writer, FIELD_##field, help},
#include "gateway/metrics.def"
};

void
sl_metrics_write(const struct sl_metrics_source *source, struct sl_buf *out)
{
    struct metrics *m = sl_zalloc(sizeof(*m));
    m->source = source;
    m->out = out;
    if (source->nodes.size > 0 && sl_json_parse(source->nodes, &m->nodes, NULL) != SL_OK)
        m->nodes = NULL;
    choose_tenants(m);
    for (size_t i = 0; i < SL_COUNT_OF(families); i++) {
        const struct family *f = &families[i];
        if (source->view == SL_METRICS_TENANT && !f->is_tenants)
            continue;
        sl_exposition_family(out, f->name, f->kind, f->help);
        m->family = f->name;
        f->write(m, f->field);
    }
    sl_json_destroy(&m->nodes);
    sl_ledger_sums_deinit(&m->sums);
    sl_buf_deinit(&m->key);
    sl_free(m);
}

void
sl_metrics_gather(struct sl_metrics_source source, struct sl_buf *out)
{
    struct sl_live *live = source.gateway->live;
    struct sl_buf nodes = {0};
    struct sl_dispatcher_counts tasks;
    struct sl_links_counts links;
    if (live != NULL) {
        sl_head_status(sl_live_state(live, SL_ACTOR_HEAD), &nodes);
        sl_dispatcher_counts(sl_live_state(live, SL_ACTOR_DISPATCHER), &tasks);
        sl_live_links_counts(live, &links);
        source.nodes = sl_buf_slice(&nodes);
        source.tasks = &tasks;
        source.links = &links;
    }
    sl_metrics_write(&source, out);
    sl_buf_deinit(&nodes);
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
