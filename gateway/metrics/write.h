/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics/write.h - what the writers of /metrics' families share (metrics.def names them): who is
 * asked for, which tenants have samples of their own, and sums by labels. For metrics*.c alone.
 *
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_METRICS_WRITE_H
#define SL_GATEWAY_METRICS_WRITE_H

#include "actors/ledger_sums.h"
#include "gateway/exposition.h"
#include "gateway/metrics.h"
#include "runtime/json.h"

#define SL_METRICS_OTHER "other"

enum sl_metric_field { /* What of a queue, a node or the process is written. */
                       FIELD_NONE,
                       FIELD_DEPTH,
                       FIELD_DELAYED,
                       FIELD_IN_FLIGHT,
                       FIELD_DEAD,
                       FIELD_AGE,
                       FIELD_POSITION,
                       FIELD_START,
                       FIELD_WORKERS,
                       FIELD_REPLICAS,
                       FIELD_ONGOING,
                       FIELD_MEMORY,
                       FIELD_WANTED,
                       FIELD_CHANGES,
                       FIELD_STORE,
                       FIELD_CPU,
                       FIELD_RESIDENT,
                       FIELD_VIRTUAL,
                       FIELD_OPEN_FDS,
                       FIELD_MAX_FDS,
                       FIELD_THREADS,
                       FIELD_DISK,
                       FIELD_DISK_FREE,
                       FIELD_STARTED
};

struct sl_metrics_shown { /* A tenant with samples of its own. */
    struct sl_scope scope;
    char id[64];
    uint64_t calls;
};

struct sl_metrics_use; /* metrics/uses.c */
struct sl_queue_depth;
struct sl_metrics_calls; /* metrics/requests.c */
struct sl_served_figures;

struct sl_metrics {
    const struct sl_metrics_source *source;
    struct sl_buf *out;
    struct sl_metrics_shown shown[SL_METRICS_TENANTS_MAX]; /* By scope, once they are chosen. */
    uint32_t shown_count;
    struct sl_queue_depth *queues; /* Read once: several families are of them. */
    uint32_t queues_count;
    bool has_queues;
    struct sl_metrics_calls *calls;    /* Likewise. */
    struct sl_metrics_use *uses;       /* Likewise, those of the view; NULL: not read yet. */
    struct sl_served_figures *figures; /* Likewise; NULL: not read yet. */
    uint32_t uses_count, figures_count;
    const char *family;         /* That is being written. */
    struct sl_ledger_sums sums; /* Of that family, by its labels. */
    struct sl_buf key;
};

static inline struct sl_slice
sl_metrics_label(const char *text)
{
    return sl_slice_str(text);
}

static inline struct sl_sample
sl_metrics_sample(const struct sl_metrics *m)
{
    return (struct sl_sample){.family = m->family};
}

/* What a tenant is called here; empty: there is no such label in this view. */
struct sl_slice sl_metrics_tenant(const struct sl_metrics *m, struct sl_scope scope);

/* The sum of these labels, of which an empty one is not written. Borrowed until the next. */
uint64_t *sl_metrics_sum(struct sl_metrics *m, const struct sl_slice labels[], uint32_t count);
/* Write all sums of the family, each times `unit`, and forget them. */
void sl_metrics_write_sums(struct sl_metrics *m, const char *const names[], uint32_t count,
                           double unit);

void sl_metrics_calls_destroy(struct sl_metrics_calls **calls); /* NULL inside is fine. */

typedef void sl_metrics_fn(struct sl_metrics *m, enum sl_metric_field field);
sl_metrics_fn sl_metrics_requests, sl_metrics_durations;                  /* metrics/requests.c */
sl_metrics_fn sl_metrics_tenant_durations;                                /* likewise */
sl_metrics_fn sl_metrics_counted, sl_metrics_of_nodes, sl_metrics_phases; /* metrics/nodes.c */
sl_metrics_fn sl_metrics_jobs, sl_metrics_tokens, sl_metrics_no_tokens;   /* metrics/uses.c */
sl_metrics_fn sl_metrics_costs, sl_metrics_used, sl_metrics_decode;       /* likewise */
sl_metrics_fn sl_metrics_checks, sl_metrics_quotas;                       /* likewise */
sl_metrics_fn sl_metrics_process;                                         /* metrics/process.c */

#endif
