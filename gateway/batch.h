/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.h - what other resources ask about batches, and creating one with its submit.
 */
#ifndef SL_GATEWAY_BATCH_H
#define SL_GATEWAY_BATCH_H

#include "gateway/call.h"
#include "gateway/purge.h"
#include "gateway/task.h"

/* Does a batch of this bucket run (collection NULL: any; else one that feeds this collection)? */
bool sl_batch_is_active(struct sl_call *call, const char *bucket, const char *collection);
/* Stage the cancel of every batch of the bucket that has not ended. */
void sl_batch_cancel_all(struct sl_call *call, const char *bucket);
/* Stage the delete of every batch's rows. */
void sl_batch_delete_all(struct sl_call *call, const char *bucket, struct sl_purge *purge);
/* How many there are, how many run, how many ended well and badly. */
struct sl_batch_stats {
    uint64_t total, active, completed, failed;
};
void sl_batch_count(struct sl_call *call, const char *bucket, struct sl_batch_stats *ret_stats);
/* The bucket is deleted: so are its counters. */
void sl_batch_count_forget(struct sl_call *call, const char *bucket);

/*
 * Make a batch of these objects ('\n' between) and submit it at once. False: the call has failed.
 * The ids are in arena memory.
 */
bool sl_batch_process(struct sl_call *call, const char *bucket, struct sl_slice object_ids,
                      const char **ret_batch_id, const char **ret_task_id);

#endif
