/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_counts.h - how calls ended and how long they took, since the process started: by tenant,
 * route and status. What metrics are made of; nothing here is stored.
 *
 * Bounded: tenants beyond SL_REQUEST_TENANTS_MAX are counted together as one without a scope, and
 * statuses of a route beyond SL_REQUEST_STATUSES as status 0. A tenant that never calls costs
 * nothing, one that does 9 KiB and 300 bytes for each route it uses.
 *
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_REQUEST_COUNTS_H
#define SL_GATEWAY_REQUEST_COUNTS_H

#include "gateway/route.h"

#define SL_REQUEST_TENANTS_MAX 4096u
#define SL_REQUEST_STATUSES    8u
#define SL_REQUEST_STEPS       17u /* The last is without an end. */
#define SL_REQUEST_HOURS       72u
#define SL_REQUEST_HOUR_MS     UINT64_C(3600000)

struct sl_request_count { /* Of one tenant's calls of one route. */
    struct {
        uint16_t status; /* 0 with a count: all others. */
        uint64_t count;
    } statuses[SL_REQUEST_STATUSES];
    uint64_t count, sum_ns;
    uint64_t steps[SL_REQUEST_STEPS]; /* Not added up. */
};

struct sl_request_hour {    /* All of a tenant's calls in one hour. */
    uint64_t hour;          /* Since 1970. */
    uint64_t count, errors; /* Errors have a status of 500 or more. */
    uint32_t steps[SL_REQUEST_STEPS];
};

struct sl_request_tenant {
    struct sl_scope scope; /* 0: no tenant's, or too many tenants'. */
    char id[64];           /* "": that one's. */
    uint64_t count;
    struct sl_request_hour *hours;    /* A ring, by their numbers. */
    struct sl_request_count **routes; /* By their place in sl_routes; NULL: never called. */
    uint16_t *used;                   /* The places that are not NULL, rising. */
    uint32_t used_count;
};

struct sl_request_counts {
    struct sl_request_tenant *tenants; /* In the order they came; the first has scope 0. */
    uint32_t count, capacity, routes_count;
    uint32_t *slots; /* Of tenants, + 1; 0: empty. A power of two, at most half full. */
    uint32_t slots_count;
};

struct sl_request_counts *sl_request_counts_create(void);
void sl_request_counts_destroy(struct sl_request_counts **counts); /* NULL inside is fine. */

struct sl_request_end {
    struct sl_scope scope; /* 0: without a key. */
    const char *tenant_id;
    const struct sl_route *route;
    uint16_t status;
    uint64_t took_ns, at_ms;
};
void sl_request_counts_add(struct sl_request_counts *counts, const struct sl_request_end *end);
/* Of a call that is answered; nothing where the gateway counts none. */
void sl_request_counts_answered(const struct sl_call *call);
/* NULL: it has not called. Borrowed until the next add. */
const struct sl_request_tenant *sl_request_counts_of(const struct sl_request_counts *counts,
                                                     struct sl_scope scope);
/* The hour that a time is in; NULL: it had no calls, or is longer ago than is known. */
const struct sl_request_hour *sl_request_hour_of(const struct sl_request_tenant *tenant,
                                                 uint64_t at_ms);
/* Add what `from` counts to `to`. */
void sl_request_count_merge(struct sl_request_count *to, const struct sl_request_count *from);
/*
 * What `permille` of calls took at most, between the ends of the step that it falls into; beyond
 * the last end that end. NAN: there was none.
 */
double sl_request_quantile_ms(const uint64_t steps[static SL_REQUEST_STEPS], uint32_t permille);
/* Where a step ends, in ns; UINT64_MAX of the last. */
uint64_t sl_request_step_ns(uint32_t step);

#endif
