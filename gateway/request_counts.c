/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/request_counts.h"

#include <math.h>
#include <stdio.h>

#include "gateway/gateway.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define SLOTS_MIN    64u
#define TENANTS_MIN  16u
#define STATUS_OTHER 0u
#define USED_STEP    8u

static const uint64_t step_ends_us[SL_REQUEST_STEPS - 1] = {
    100,   250,    500,    1000,   2500,    5000,    10000,   25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

uint64_t
sl_request_step_ns(uint32_t step)
{
    sl_assert(step < SL_REQUEST_STEPS);
    return step == SL_REQUEST_STEPS - 1 ? UINT64_MAX : step_ends_us[step] * 1000;
}

double
sl_request_quantile_ms(const uint64_t steps[static SL_REQUEST_STEPS], uint32_t permille)
{
    uint64_t count = 0, below = 0;
    for (uint32_t i = 0; i < SL_REQUEST_STEPS; i++)
        count += steps[i];
    double rank = (double)count * permille / 1000;
    for (uint32_t i = 0; i < SL_REQUEST_STEPS - 1 && count > 0; i++) {
        double begin_ms = i == 0 ? 0 : (double)step_ends_us[i - 1] / 1000;
        double end_ms = (double)step_ends_us[i] / 1000;
        if (steps[i] > 0 && (double)(below + steps[i]) >= rank)
            return begin_ms + (end_ms - begin_ms) * (rank - (double)below) / (double)steps[i];
        below += steps[i];
    }
    return count == 0 ? NAN : (double)step_ends_us[SL_REQUEST_STEPS - 2] / 1000;
}

/* ---- tenants ------------------------------------------------------------------------------- */

static uint32_t *
slot_of(const struct sl_request_counts *c, struct sl_scope scope)
{
    uint32_t mask = c->slots_count - 1;
    uint32_t at = (uint32_t)((scope.id * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & mask;
    while (c->slots[at] != 0 && c->tenants[c->slots[at] - 1].scope.id != scope.id)
        at = (at + 1) & mask;
    return &c->slots[at];
}

static void
grow_slots(struct sl_request_counts *c)
{
    sl_free(c->slots);
    c->slots_count *= 2;
    c->slots = sl_zalloc(c->slots_count * sizeof(c->slots[0]));
    for (uint32_t i = 0; i < c->count; i++)
        *slot_of(c, c->tenants[i].scope) = i + 1;
}

static struct sl_request_tenant *
add_tenant(struct sl_request_counts *c, struct sl_scope scope, const char *id)
{
    if (c->count == c->capacity) {
        c->capacity *= 2;
        c->tenants = sl_realloc(c->tenants, c->capacity * sizeof(c->tenants[0]));
    }
    if (2 * (c->count + 1) > c->slots_count)
        grow_slots(c);
    struct sl_request_tenant *tenant = &c->tenants[c->count];
    *tenant = (struct sl_request_tenant){
        .scope = scope,
        .hours = sl_zalloc(SL_REQUEST_HOURS * sizeof(struct sl_request_hour)),
        .routes = sl_zalloc(c->routes_count * sizeof(struct sl_request_count *))};
    (void)snprintf(tenant->id, sizeof(tenant->id), "%s", id);
    *slot_of(c, scope) = ++c->count;
    return tenant;
}

struct sl_request_counts *
sl_request_counts_create(void)
{
    struct sl_request_counts *c = sl_zalloc(sizeof(*c));
    (void)sl_routes(&c->routes_count);
    c->capacity = TENANTS_MIN;
    c->tenants = sl_zalloc(c->capacity * sizeof(c->tenants[0]));
    c->slots_count = SLOTS_MIN;
    c->slots = sl_zalloc(c->slots_count * sizeof(c->slots[0]));
    (void)add_tenant(c, (struct sl_scope){0}, "");
    return c;
}

void
sl_request_counts_destroy(struct sl_request_counts **counts)
{
    struct sl_request_counts *c = *counts;
    *counts = NULL;
    if (c == NULL)
        return;
    for (uint32_t i = 0; i < c->count; i++) {
        for (uint32_t j = 0; j < c->tenants[i].used_count; j++)
            sl_free(c->tenants[i].routes[c->tenants[i].used[j]]);
        sl_free(c->tenants[i].routes);
        sl_free(c->tenants[i].used);
        sl_free(c->tenants[i].hours);
    }
    sl_free(c->tenants);
    sl_free(c->slots);
    sl_free(c);
}

const struct sl_request_tenant *
sl_request_counts_of(const struct sl_request_counts *counts, struct sl_scope scope)
{
    uint32_t slot = *slot_of(counts, scope);
    return slot == 0 ? NULL : &counts->tenants[slot - 1];
}

/* ---- counts -------------------------------------------------------------------------------- */

static void
add_status(struct sl_request_count *to, uint16_t status, uint64_t count)
{
    uint32_t i = 0;
    const uint32_t last = SL_REQUEST_STATUSES - 1;
    while (i < last && to->statuses[i].count > 0 && to->statuses[i].status != status)
        i++;
    to->statuses[i].status = i == last ? STATUS_OTHER : status;
    to->statuses[i].count += count;
}

void
sl_request_count_merge(struct sl_request_count *to, const struct sl_request_count *from)
{
    for (uint32_t i = 0; i < SL_REQUEST_STATUSES && from->statuses[i].count > 0; i++)
        add_status(to, from->statuses[i].status, from->statuses[i].count);
    for (uint32_t i = 0; i < SL_REQUEST_STEPS; i++)
        to->steps[i] += from->steps[i];
    to->count += from->count;
    to->sum_ns += from->sum_ns;
}

static uint32_t
step_of(uint64_t took_ns)
{
    uint32_t step = 0;
    while (step < SL_REQUEST_STEPS - 1 && took_ns > step_ends_us[step] * 1000)
        step++;
    return step;
}

const struct sl_request_hour *
sl_request_hour_of(const struct sl_request_tenant *tenant, uint64_t at_ms)
{
    uint64_t hour = at_ms / SL_REQUEST_HOUR_MS;
    const struct sl_request_hour *h = &tenant->hours[hour % SL_REQUEST_HOURS];
    return h->hour == hour && h->count > 0 ? h : NULL;
}

static void
add_hour(struct sl_request_tenant *tenant, const struct sl_request_end *end)
{
    uint64_t hour = end->at_ms / SL_REQUEST_HOUR_MS;
    struct sl_request_hour *h = &tenant->hours[hour % SL_REQUEST_HOURS];
    if (h->hour != hour)
        *h = (struct sl_request_hour){.hour = hour};
    h->count++;
    h->errors += end->status >= 500;
    h->steps[step_of(end->took_ns)]++;
}

/* Its first call: whoever goes over all tenants goes over a dozen of these instead of all routes.
 */
static void
use_route(struct sl_request_tenant *tenant, size_t route)
{
    uint32_t i = tenant->used_count;
    if (tenant->used_count % USED_STEP == 0)
        tenant->used =
            sl_realloc(tenant->used, (tenant->used_count + USED_STEP) * sizeof(tenant->used[0]));
    for (; i > 0 && tenant->used[i - 1] > route; i--)
        tenant->used[i] = tenant->used[i - 1];
    tenant->used[i] = (uint16_t)route;
    tenant->used_count++;
    tenant->routes[route] = sl_zalloc(sizeof(*tenant->routes[route]));
}

void
sl_request_counts_add(struct sl_request_counts *counts, const struct sl_request_end *end)
{
    struct sl_request_tenant *tenant;
    uint32_t slot = *slot_of(counts, end->scope);
    if (slot != 0)
        tenant = &counts->tenants[slot - 1];
    else if (counts->count < SL_REQUEST_TENANTS_MAX)
        tenant = add_tenant(counts, end->scope, end->tenant_id);
    else
        tenant = &counts->tenants[0];
    uint32_t routes_count;
    size_t route = (size_t)(end->route - sl_routes(&routes_count));
    if (SL_BUG(route >= counts->routes_count))
        return;
    if (tenant->routes[route] == NULL)
        use_route(tenant, route);
    struct sl_request_count *count = tenant->routes[route];
    tenant->count++;
    count->count++;
    count->sum_ns += end->took_ns;
    count->steps[step_of(end->took_ns)]++;
    add_status(count, end->status, 1);
    add_hour(tenant, end);
}

void
sl_request_counts_answered(const struct sl_call *call)
{
    if (call->gateway == NULL || call->gateway->requests == NULL || call->asker.node != 0)
        return;
    uint64_t ended_ns = SL_MAX(call->used.begun_ns, call->used.ended_ns);
    struct sl_request_end end = {.scope = call->who.scope,
                                 .tenant_id = call->who.tenant_id,
                                 .route = call->route,
                                 .status = call->status,
                                 .at_ms = call->now_ms,
                                 .took_ns = ended_ns - call->used.begun_ns};
    sl_request_counts_add(call->gateway->requests, &end);
}
