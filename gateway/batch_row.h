/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_row.h - a batch as it is stored: a small JSON row, and beside it the ids of its objects,
 * one a line, so that a batch of many objects is listed without reading them.
 */
#ifndef SL_GATEWAY_BATCH_ROW_H
#define SL_GATEWAY_BATCH_ROW_H

#include "gateway/bucket.h"
#include "gateway/task.h"

struct sl_batch {
    const char *bucket, *id;
    struct sl_json row;
    bool is_draft, has_task;
    struct sl_task_view task; /* With has_task. */
};

/* The batch of a bucket. False: there is none; the call has not failed. */
bool sl_batch_lookup(struct sl_call *call, const char *bucket, const char *id,
                     struct sl_batch *ret_batch);
bool sl_batch_read(struct sl_call *call, const char *bucket, const char *id, struct sl_slice value,
                   struct sl_batch *ret_batch);
const char *sl_batch_status(const struct sl_batch *b);
static inline bool
sl_batch_runs(const struct sl_batch *b)
{
    return b->has_task && !b->task.is_ended;
}

/* Ids of its objects, '\n' between. Arena. */
struct sl_slice sl_batch_objects(struct sl_call *call, const struct sl_batch *b);
void sl_batch_objects_put(struct sl_call *call, const struct sl_batch *b, struct sl_slice ids);

/* What of a row a step replaces: NULL and NONE keep it. */
struct sl_batch_change {
    const char *state, *task_id;
    struct sl_json collection_ids, metadata;
    uint64_t object_count; /* 0: keep. */
};
void sl_batch_put(struct sl_call *call, struct sl_batch *b, const struct sl_batch_change *change);
/* A new draft. `ids` as in sl_batch_objects. */
void sl_batch_make(struct sl_call *call, const char *bucket, struct sl_slice ids,
                   struct sl_batch *ret_batch);
/* The Batch; at most ids_max object ids are shown. */
void sl_batch_write(struct sl_call *call, const struct sl_batch *b, uint64_t ids_max,
                    struct sl_jsonw *w);

/*
 * Submit: one event with a task for each object and collection, the job's row, the batch's row.
 * `only` (an array of ids or names, NONE: all) limits the collections. False: the call has failed.
 */
bool sl_batch_submit(struct sl_call *call, struct sl_batch *b, struct sl_json only);

#endif
