/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.h - what Prometheus reads at /metrics. The families are a table, metrics.def.
 *
 * Labels are bounded. Beside a tenant's own view, SL_METRICS_TENANTS_MAX tenants have samples of
 * their own, those that called most; the others' are added up as "other". Names of own queues are
 * in a tenant's own view only, where there may be SL_METRICS_QUEUES_MAX of them.
 *
 * Threading: the store's thread; it borrows all it is given.
 */
#ifndef SL_GATEWAY_METRICS_H
#define SL_GATEWAY_METRICS_H

#include "actors/dispatcher.h"
#include "gateway/gateway.h"
#include "runtime/link.h"

#define SL_METRICS_TENANTS_MAX 100u
#define SL_METRICS_QUEUES_MAX  1000u

enum sl_metrics_view {
    SL_METRICS_ALL,       /* The operator's: by tenant. */
    SL_METRICS_UNLABELED, /* Whoever may reach the page: all tenants as one. */
    SL_METRICS_TENANT     /* One tenant's own part. */
};

struct sl_metrics_source {
    const struct sl_gateway *gateway;
    enum sl_metrics_view view;
    struct sl_identity tenant;        /* Of SL_METRICS_TENANT. */
    const struct sl_head_node *nodes; /* NULL: not known. */
    uint32_t nodes_count;
    const struct sl_served *served; /* What replicas tell; NULL: not known, as below. */
    const struct sl_dispatcher_counts *tasks;
    const struct sl_links_counts *links;
    const void *dispatcher; /* Its state. */
    uint64_t now_ns, now_ms;
};

void sl_metrics_write(const struct sl_metrics_source *source, struct sl_buf *out);
/* The same, of this process: fills what is not given from the gateway's actors, if it has some. */
void sl_metrics_gather(struct sl_metrics_source source, struct sl_buf *out);

#endif
