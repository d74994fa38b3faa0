/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How calls ended and how long they took. What is counted is gone over once, for all families and
 * whichever routes were called: with a thousand tenants and hundreds of routes, a pass for each
 * family or route is what a scrape would spend its time on.
 */
#include <assert.h>
#include <stdio.h>

#include "gateway/gateway.h"
#include "gateway/metrics/write.h"
#include "gateway/request_counts.h"
#include "runtime/alloc.h"

struct sl_metrics_calls {
    struct sl_request_count *routes; /* Of all tenants of the view, by route. */
    struct sl_request_count *others; /* Of those without samples of their own. */
    struct sl_request_count *shown;  /* By tenant, as they are counted; of all routes. */
    struct sl_request_count other;
    uint32_t routes_count, tenants_count;
};

static struct sl_slice
method_of(const struct sl_route *route)
{
    return sl_slice_str(route->method == SL_ANY ? "ANY" : sl_method_name(route->method));
}

/* Those that the view is about; NULL: there are none. */
static const struct sl_request_tenant *
tenants_of(const struct sl_metrics *m, uint32_t *ret_count)
{
    const struct sl_request_counts *c = m->source->gateway->requests;
    *ret_count = c == NULL ? 0 : c->count;
    if (c == NULL || m->source->view != SL_METRICS_TENANT)
        return c == NULL ? NULL : c->tenants;
    const struct sl_request_tenant *one = sl_request_counts_of(c, m->source->tenant.scope);
    *ret_count = one != NULL;
    return one;
}

static bool
is_shown(const struct sl_metrics *m, const struct sl_request_tenant *t)
{
    return m->source->view == SL_METRICS_TENANT ||
           !sl_slice_equal(sl_metrics_tenant(m, t->scope),
                           sl_metrics_tenant(m, (struct sl_scope){0}));
}

static void
add_tenant(struct sl_metrics *m, uint32_t index, const struct sl_request_tenant *t)
{
    struct sl_metrics_calls *calls = m->calls;
    bool has_own = is_shown(m, t), has_tenants = m->source->view != SL_METRICS_UNLABELED;
    for (uint32_t i = 0; i < t->used_count; i++) {
        const uint32_t r = t->used[i];
        const struct sl_request_count *c = t->routes[r];
        sl_request_count_merge(&calls->routes[r], c);
        if (has_own)
            sl_request_count_merge(&calls->shown[index], c);
        else if (has_tenants)
            sl_request_count_merge(&calls->others[r], c);
    }
}

static const struct sl_metrics_calls *
calls_of(struct sl_metrics *m)
{
    if (m->calls != NULL)
        return m->calls;
    struct sl_metrics_calls *calls = m->calls = sl_zalloc(sizeof(*calls));
    const struct sl_request_tenant *tenants = tenants_of(m, &calls->tenants_count);
    (void)sl_routes(&calls->routes_count);
    calls->routes = sl_zalloc(calls->routes_count * sizeof(*calls->routes));
    calls->others = sl_zalloc(calls->routes_count * sizeof(*calls->others));
    calls->shown = sl_zalloc(SL_MAX(calls->tenants_count, 1u) * sizeof(*calls->shown));
    for (uint32_t i = 0; i < calls->tenants_count; i++)
        add_tenant(m, i, &tenants[i]);
    for (uint32_t r = 0; r < calls->routes_count; r++)
        sl_request_count_merge(&calls->other, &calls->others[r]);
    return calls;
}

void
sl_metrics_calls_destroy(struct sl_metrics_calls **calls)
{
    if (*calls != NULL) {
        sl_free((*calls)->routes);
        sl_free((*calls)->others);
        sl_free((*calls)->shown);
    }
    sl_free(*calls);
    *calls = NULL;
}

/* ---- how many ------------------------------------------------------------------------------ */

static struct sl_sample
sample_of_route(const struct sl_metrics *m, struct sl_slice tenant, const struct sl_route *route)
{
    struct sl_sample sample = sl_metrics_sample(m);
    if (tenant.size > 0)
        sl_sample_label(&sample, "tenant", tenant);
    sl_sample_label(&sample, "route", sl_slice_str(route->name));
    sl_sample_label(&sample, "method", method_of(route));
    return sample;
}

static void
write_statuses(struct sl_metrics *m, struct sl_slice tenant, const struct sl_route *route,
               const struct sl_request_count *c)
{
    if (c->count == 0)
        return;
    struct sl_sample sample = sample_of_route(m, tenant, route);
    const uint32_t labels_count = sample.labels_count;
    for (uint32_t i = 0; i < SL_REQUEST_STATUSES && c->statuses[i].count > 0; i++) {
        char status[8] = SL_METRICS_OTHER;
        if (c->statuses[i].status != 0)
            (void)snprintf(status, sizeof(status), "%u", c->statuses[i].status);
        sample.labels_count = labels_count;
        sl_sample_label(&sample, "status", sl_slice_str(status));
        sl_sample_write(&sample, (double)c->statuses[i].count, m->out);
    }
}

void
sl_metrics_requests(struct sl_metrics *m, enum sl_metric_field field)
{
    uint32_t count, routes_count;
    const struct sl_metrics_calls *calls = calls_of(m);
    const struct sl_route *routes = sl_routes(&routes_count);
    const struct sl_request_tenant *tenants = tenants_of(m, &count);
    bool has_tenants = m->source->view != SL_METRICS_UNLABELED;
    struct sl_slice other = sl_metrics_tenant(m, (struct sl_scope){0});
    (void)field;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_slice tenant = sl_metrics_tenant(m, tenants[i].scope);
        for (uint32_t j = 0; j < tenants[i].used_count && calls->shown[i].count > 0; j++) {
            const uint32_t r = tenants[i].used[j];
            write_statuses(m, tenant, &routes[r], tenants[i].routes[r]);
        }
    }
    for (uint32_t r = 0; r < routes_count; r++)
        write_statuses(m, other, &routes[r], has_tenants ? &calls->others[r] : &calls->routes[r]);
}

/* ---- how long ------------------------------------------------------------------------------ */

static void
write_histogram(struct sl_metrics *m, struct sl_sample sample, const struct sl_request_count *c)
{
    static const char *const ends[] = {"0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005",
                                       "0.01",   "0.025",   "0.05",   "0.1",   "0.25",   "0.5",
                                       "1",      "2.5",     "5",      "10",    "+Inf"};
    static_assert(SL_COUNT_OF(ends) == SL_REQUEST_STEPS, "one for each step");
    double below[SL_REQUEST_STEPS] = {0};
    for (uint32_t i = 0; i < SL_REQUEST_STEPS; i++)
        below[i] = (i == 0 ? 0 : below[i - 1]) + (double)c->steps[i];
    sample.suffix = "_bucket";
    sl_sample_write_steps(&sample, ends, below, SL_REQUEST_STEPS, m->out);
    sample.suffix = "_sum";
    sl_sample_write(&sample, (double)c->sum_ns / SL_SECOND_NS, m->out);
    sample.suffix = "_count";
    sl_sample_write(&sample, (double)c->count, m->out);
}

/* By route, and by tenant in a tenant's own view alone: nineteen samples each. */
void
sl_metrics_durations(struct sl_metrics *m, enum sl_metric_field field)
{
    uint32_t count;
    const struct sl_route *routes = sl_routes(&count);
    const struct sl_metrics_calls *calls = calls_of(m);
    struct sl_slice tenant = {0};
    (void)field;
    if (m->source->view == SL_METRICS_TENANT)
        tenant = sl_slice_str(m->source->tenant.tenant_id);
    for (uint32_t r = 0; r < count; r++) {
        if (calls->routes[r].count > 0)
            write_histogram(m, sample_of_route(m, tenant, &routes[r]), &calls->routes[r]);
    }
}

/* By tenant, over all routes. */
void
sl_metrics_tenant_durations(struct sl_metrics *m, enum sl_metric_field field)
{
    uint32_t count;
    const struct sl_request_tenant *tenants = tenants_of(m, &count);
    const struct sl_metrics_calls *calls = calls_of(m);
    struct sl_sample sample = sl_metrics_sample(m);
    (void)field;
    for (uint32_t i = 0; i < count; i++) {
        if (calls->shown[i].count == 0)
            continue;
        sample.labels_count = 0;
        sl_sample_label(&sample, "tenant", sl_metrics_tenant(m, tenants[i].scope));
        write_histogram(m, sample, &calls->shown[i]);
    }
    sample.labels_count = 0;
    sl_sample_label(&sample, "tenant", sl_slice_str(SL_METRICS_OTHER));
    if (calls->other.count > 0)
        write_histogram(m, sample, &calls->other);
}
