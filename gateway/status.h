/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.h - what the status page shows, gathered on the store's thread and handed to the page's.
 */
#ifndef SL_GATEWAY_STATUS_H
#define SL_GATEWAY_STATUS_H

#include "gateway/api.h"
#include "gateway/front.h"
#include "gateway/gateway.h"
#include "runtime/live.h"

struct sl_status;

enum sl_status_part { SL_STATUS_ALL, SL_STATUS_BRIEF, SL_STATUS_METRICS, SL_STATUS_HISTORY };

struct sl_status_sources { /* Borrowed for the status's life. */
    struct sl_live *live;
    struct sl_gateway *gateway;
    struct sl_front *const *front; /* Where the front will be; NULL there: not yet. */
    const char *version;
    uint64_t started_ms;
};

struct sl_status *sl_status_create(const struct sl_status_sources *sources);
void sl_status_destroy(struct sl_status **status);

/* For sl_dashboard: asks the store's thread and waits for up to a second. Any other thread. */
void sl_status_text(void *status, struct sl_buf *out);
/* The same without what has no end: nodes have their state alone, replicas are counted. Nothing
 * where the store's thread did not answer. */
void sl_status_brief(void *status, struct sl_buf *out);
/* Likewise metrics, of all tenants as one; false: it did not answer in time. */
bool sl_status_metrics(void *status, struct sl_buf *out);
/* Likewise the history of a span, as "12h"; false also where there is no such span. */
bool sl_status_history(void *status, struct sl_slice span, struct sl_buf *out);

/* Anonymous resident memory of this process, in bytes; 0 where the kernel does not tell. */
uint64_t sl_status_memory(void);

/* For sl_api_options: fills the request. On the store's thread. */
void sl_status_fill(void *status, struct sl_ctx *ctx, const struct sl_m_api_status *ask);

#endif
