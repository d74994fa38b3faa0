/* SPDX-License-Identifier: Apache-2.0 */
/* What tenants used since the start (actors/use_counts.h), and how much of their limits. */
#include "actors/use_counts.h"
#include "gateway/gateway.h"
#include "gateway/limits.h"
#include "gateway/metrics/write.h"
#include "runtime/alloc.h"

#define NANO       1e-9
#define PARTS      1000000.0 /* Of one: sums are whole numbers. */

#define USES_FIRST 64u

static bool
is_in_view(const struct sl_metrics *m, struct sl_scope scope)
{
    return m->source->view != SL_METRICS_TENANT || scope.id == m->source->tenant.scope.id;
}

struct sl_metrics_use {
    struct sl_use use;
    const struct sl_ledger_sum *sum;
};

/* One walk for all families: a tenant has a few of very many. */
static void
read_uses(struct sl_metrics *m)
{
    uint32_t capacity = USES_FIRST;
    struct sl_metrics_use u;
    m->uses = sl_alloc(capacity * sizeof(u));
    for (uint32_t at = 0; sl_use_next(m->source->gateway->uses, &at, &u.use, &u.sum);) {
        if (!is_in_view(m, u.use.scope))
            continue;
        if (m->uses_count == capacity) {
            capacity *= 2;
            m->uses = sl_realloc(m->uses, capacity * sizeof(u));
        }
        m->uses[m->uses_count++] = u;
    }
}

/* The next use of a kind that the view has. */
static bool
next(struct sl_metrics *m, enum sl_use_kind kind, uint32_t *at, struct sl_use *ret_use,
     const struct sl_ledger_sum **ret_sum)
{
    if (m->uses == NULL)
        read_uses(m);
    while (*at < m->uses_count) {
        const struct sl_metrics_use *u = &m->uses[(*at)++];
        if (u->use.kind != kind)
            continue;
        *ret_use = u->use;
        *ret_sum = u->sum;
        return true;
    }
    return false;
}

static void
add(uint64_t *sum, uint64_t amount)
{
    *sum = sl_ledger_plus(*sum, amount);
}

void
sl_metrics_jobs(struct sl_metrics *m, enum sl_metric_field field)
{
    static const char *const names[] = {"tenant", "type", "outcome"};
    struct sl_use use;
    const struct sl_ledger_sum *sum;
    (void)field;
    for (uint32_t at = 0; next(m, SL_USE_JOBS, &at, &use, &sum);) {
        const struct sl_slice labels[] = {sl_metrics_tenant(m, use.scope), use.labels[0],
                                          use.labels[1]};
        add(sl_metrics_sum(m, labels, SL_COUNT_OF(labels)), sum->amount);
    }
    sl_metrics_write_sums(m, names, SL_COUNT_OF(names), 1);
}

void
sl_metrics_checks(struct sl_metrics *m, enum sl_metric_field field)
{
    static const char *const names[] = {"check", "result"};
    struct sl_use use;
    const struct sl_ledger_sum *sum;
    (void)field;
    for (uint32_t at = 0; next(m, SL_USE_CHECKS, &at, &use, &sum);)
        add(sl_metrics_sum(m, use.labels, SL_COUNT_OF(use.labels)), sum->amount);
    sl_metrics_write_sums(m, names, SL_COUNT_OF(names), 1);
}

void
sl_metrics_tokens(struct sl_metrics *m, enum sl_metric_field field)
{
    static const char *const names[] = {"tenant", "model"};
    struct sl_use use;
    const struct sl_ledger_sum *sum;
    (void)field;
    for (uint32_t at = 0; next(m, SL_USE_TOKENS, &at, &use, &sum);) {
        /* A tenant's names of models are nobody else's business. */
        bool is_named = m->source->view != SL_METRICS_UNLABELED;
        const struct sl_slice labels[] = {sl_metrics_tenant(m, use.scope),
                                          is_named ? use.labels[0] : (struct sl_slice){0}};
        add(sl_metrics_sum(m, labels, SL_COUNT_OF(labels)), sum->amount);
    }
    sl_metrics_write_sums(m, names, SL_COUNT_OF(names), 1);
}

/* The family is there for whoever expects it; what runs here makes vectors. */
void
sl_metrics_no_tokens(struct sl_metrics *m, enum sl_metric_field field)
{
    (void)m;
    (void)field;
}

void
sl_metrics_costs(struct sl_metrics *m, enum sl_metric_field field)
{
    static const char *const names[] = {"tenant"};
    struct sl_use use;
    const struct sl_ledger_sum *sum;
    (void)field;
    for (uint32_t at = 0; next(m, SL_USE_LEDGER, &at, &use, &sum);) {
        const struct sl_slice labels[] = {sl_metrics_tenant(m, use.scope)};
        add(sl_metrics_sum(m, labels, SL_COUNT_OF(labels)), sum->cost_nano);
    }
    sl_metrics_write_sums(m, names, SL_COUNT_OF(names), NANO);
}

void
sl_metrics_used(struct sl_metrics *m, enum sl_metric_field field)
{
    static const char *const names[] = {"tenant", "resource"};
    struct sl_use use;
    const struct sl_ledger_sum *sum;
    (void)field;
    for (uint32_t at = 0; next(m, SL_USE_LEDGER, &at, &use, &sum);) {
        const struct sl_slice labels[] = {sl_metrics_tenant(m, use.scope), use.labels[0]};
        add(sl_metrics_sum(m, labels, SL_COUNT_OF(labels)), sum->amount);
    }
    sl_metrics_write_sums(m, names, SL_COUNT_OF(names), 1);
}

static void
write_decode(struct sl_metrics *m, const char *resource, const char *family)
{
    static const char *const names[] = {"tenant"};
    struct sl_use use;
    const struct sl_ledger_sum *sum;
    m->family = family;
    for (uint32_t at = 0; next(m, SL_USE_LEDGER, &at, &use, &sum);) {
        const struct sl_slice labels[] = {sl_metrics_tenant(m, use.scope)};
        if (sl_slice_is(use.labels[0], resource))
            add(sl_metrics_sum(m, labels, SL_COUNT_OF(labels)), sum->amount);
    }
    sl_metrics_write_sums(m, names, SL_COUNT_OF(names), 1);
}

void
sl_metrics_decode(struct sl_metrics *m, enum sl_metric_field field)
{
    (void)field;
    write_decode(m, "compute_ms", "sluice_decode_time_ms_sum");
    write_decode(m, "tasks", "sluice_decode_time_ms_count");
}

/* ---- limits -------------------------------------------------------------------------------- */

static void
add_limits(struct sl_metrics *m, struct sl_scope scope, const struct sl_limit_state *s)
{
    const struct sl_limit_clock now = {m->source->now_ns, m->source->now_ms};
    for (unsigned i = 0; i < SL_LIMIT_COUNT; i++) {
        struct sl_limit_verdict v = sl_limit_look(s, (enum sl_limit)i, now);
        bool is_of_stock = sl_limit_is_stock((enum sl_limit)i); /* It would have to be counted. */
        if (v.max == 0 || is_of_stock || (enum sl_limit)i == SL_LIMIT_max_batch_size)
            continue;
        const struct sl_slice labels[] = {sl_metrics_tenant(m, scope),
                                          sl_slice_str(sl_limit_name((enum sl_limit)i))};
        uint64_t parts = (uint64_t)(PARTS * SL_MIN((double)v.used / (double)v.max, 1e6));
        uint64_t *most = sl_metrics_sum(m, labels, SL_COUNT_OF(labels));
        *most = SL_MAX(*most, parts);
    }
}

void
sl_metrics_quotas(struct sl_metrics *m, enum sl_metric_field field)
{
    static const char *const names[] = {"tenant", "limit"};
    const struct sl_limits *limits = m->source->gateway->limits;
    const struct sl_limit_clock now = {m->source->now_ns, m->source->now_ms};
    struct sl_scope scope;
    const struct sl_limit_state *s;
    (void)field;
    for (uint32_t at = 0; limits != NULL && (s = sl_limits_next(limits, &at, &scope)) != NULL;) {
        /* What was counted another day is not what is used today: not known, before its next call.
         */
        if (is_in_view(m, scope) && !sl_limit_is_old(s, now))
            add_limits(m, scope, s);
    }
    sl_metrics_write_sums(m, names, SL_COUNT_OF(names), 1 / PARTS);
}
