/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count.h - counters beside the rows, so that a reply that shows a count does not scan for it.
 * Whoever adds or removes a counted row adds here in the same transaction.
 */
#ifndef SL_ACTORS_COUNT_H
#define SL_ACTORS_COUNT_H

#include "queue/look.h"
#include "runtime/base.h"
#include "runtime/store.h"

/* What is counted, and of which parent: keys of SL_TABLE_COUNT. */
#define SL_COUNT_RECORDS     "records"     /* of a collection */
#define SL_COUNT_SOURCES     "sources"     /* of a namespace, and of a bucket */
#define SL_COUNT_BYTES       "bytes"       /* of sources of a bucket */
#define SL_COUNT_UPLOADED    "uploaded-at" /* in ms, when a bucket's last source came */
#define SL_COUNT_BUCKETS     "buckets"     /* of a namespace */
#define SL_COUNT_COLLECTIONS "collections" /* of a namespace */
#define SL_COUNT_BATCHES     "batches"     /* of a bucket */
#define SL_COUNT_WAITING     "waiting"     /* pending deliveries of a webhook */
#define SL_COUNT_DROPPED     "dropped"     /* events that found too many of them */
/* Jobs of what their `about` names as "counted_under": who submits one adds to the first, its end
 * adds to one of the others. */
#define SL_COUNT_JOBS          "jobs"
#define SL_COUNT_JOBS_DONE     "jobs-done" /* With errors too. */
#define SL_COUNT_JOBS_FAILED   "jobs-failed"
#define SL_COUNT_JOBS_CANCELED "jobs-canceled"
/* How many records a scope may have ("records"), for those who write them; 0: any. */
#define SL_COUNT_MAX "max"

struct sl_counter {
    struct sl_scope scope;
    const char *what, *parent;
};
void sl_count_add(struct sl_txn *t, struct sl_counter counter, int64_t delta);
int64_t sl_count(struct sl_txn *t, struct sl_counter counter);
/* Of all parents, as it was before the transaction. */
int64_t sl_count_sum(struct sl_txn *t, struct sl_scope scope, const char *what);
/* Make it `value` unless it is more already. */
void sl_count_raise(struct sl_txn *t, struct sl_counter counter, int64_t value);
/* Which of the three an ended job counts in. */
const char *sl_count_of_job(enum sl_job_state state);
/* A job, or the last of a chain, has ended: count it under what its `about` (JSON) names. */
void sl_count_job_end(struct sl_txn *t, struct sl_scope scope, struct sl_slice about,
                      enum sl_job_state state);
/* Set back to nothing: its parent is gone. */
void sl_count_forget(struct sl_txn *t, struct sl_counter counter);

#endif
