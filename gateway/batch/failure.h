/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch/failure.h - the documents of a batch that failed for good: rows that the dispatcher wrote,
 * one for each, under the job that gave them up.
 */
#ifndef SL_GATEWAY_BATCH_FAILURE_H
#define SL_GATEWAY_BATCH_FAILURE_H

#include "gateway/batch/row.h"

struct sl_batch_failure {
    uint32_t tier;
    struct sl_slice key, value; /* In SL_TABLE_FAILURE. */
};

typedef bool sl_batch_failure_fn(struct sl_call *call, void *arg, const struct sl_batch_failure *f);

/*
 * Hand every failure of the batch to `visit`, in the order of tiers, until it returns false. What
 * it takes from the arena is given back; it must not write.
 */
void sl_batch_failures(struct sl_call *call, const struct sl_batch *b, sl_batch_failure_fn *visit,
                       void *arg);

/* Its row: parsed only where it is asked for, for counting 100,000 of them needs none. Arena. */
struct sl_json sl_batch_failure_row(struct sl_call *call, const struct sl_batch_failure *f);

/* A number of its row; 0: there is none. */
uint64_t sl_batch_number(struct sl_json row, const char *name);

#endif
