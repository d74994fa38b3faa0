/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aggregate.h - rows in, one result for each group of them out: counts, sums and the like.
 *
 *   {"group_by": [{"field", "alias", "date_trunc" or "date_part"}], "aggregations": [{"function",
 *    "field", "alias"}], "unwind", "range_buckets", "having", "sort_by", "sort_direction", "limit"}
 *
 *   create --> add (each row) --> write --> destroy
 *
 * A result is {"group": {alias: value}, "metrics": {alias: value}}. Without `group_by` all rows are
 * one group, also when there are none.
 * Threading: plain state of its owner.
 */
#ifndef SL_GATEWAY_AGGREGATE_H
#define SL_GATEWAY_AGGREGATE_H

#include "runtime/base.h"
#include "runtime/json.h"

#define SL_AGGREGATION_FIELDS_MAX 8
#define SL_AGGREGATION_OPS_MAX    32
#define SL_AGGREGATION_GROUPS_MAX 10000
#define SL_AGGREGATION_SIZE_MAX   (32 * SL_MIB) /* Of all values that are held. */

struct sl_aggregation;

struct sl_aggregation_error {
    char place[64]; /* "aggregations.0.function" */
    char why[192];
};

/* Nothing of the request is borrowed. SL_EINVAL: *ret_error says what is wrong with it. */
SL_MUST_CHECK enum sl_err sl_aggregation_create(struct sl_json request,
                                                struct sl_aggregation **ret_aggregation,
                                                struct sl_aggregation_error *ret_error);
void sl_aggregation_destroy(struct sl_aggregation **aggregation); /* NULL inside is fine. */

/* SL_EFULL: more groups or values than the limits above; what was added before is kept. */
SL_MUST_CHECK enum sl_err sl_aggregation_add(struct sl_aggregation *a, struct sl_json row);

/* Write the array of results; returns how many groups there were before `limit`. */
uint64_t sl_aggregation_write(struct sl_aggregation *a, struct sl_jsonw *w);

#endif
