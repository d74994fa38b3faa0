/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch/row.h - a batch as it is stored: a small JSON row, and beside it the ids of its objects,
 * one a line, so that a batch of many objects is listed without reading them.
 */
#ifndef SL_GATEWAY_BATCH_ROW_H
#define SL_GATEWAY_BATCH_ROW_H

#include "gateway/batch/plan.h"
#include "gateway/bucket.h"
#include "gateway/task.h"

/* One tier: its job, and those in which some of its documents were tried again. */
struct sl_batch_tier {
    struct sl_json jobs;      /* Ids; those of jobs that do not exist yet too. */
    bool has_task;            /* A job of it exists: */
    struct sl_task_view task; /* The latest, running or not. */
    enum sl_job_state state;  /* And the sums of all. */
    uint64_t total, done, dead, records, started_ms, ended_ms;
};

struct sl_batch {
    const char *bucket, *id;
    struct sl_json row;
    bool is_draft, has_task;
    enum sl_job_state state;     /* Of the whole, with has_task. */
    struct sl_task_view task;    /* Of the current tier, with has_task. */
    struct sl_batch_tier *tiers; /* Arena; at least one. */
    uint32_t tiers_count, current;
};

/* The batch that the path names. False: the call has failed. */
bool sl_batch_find(struct sl_call *call, struct sl_batch *ret_batch);
/* The id of b->task; arena. */
struct sl_slice sl_batch_task_text(struct sl_call *call, const struct sl_batch *b);
/* The batch of a bucket. False: there is none; the call has not failed. */
bool sl_batch_lookup(struct sl_call *call, const char *bucket, const char *id,
                     struct sl_batch *ret_batch);
bool sl_batch_read(struct sl_call *call, const char *bucket, const char *id, struct sl_slice value,
                   struct sl_batch *ret_batch);
const char *sl_batch_status(const struct sl_batch *b);
static inline bool
sl_batch_runs(const struct sl_batch *b)
{
    return b->has_task && b->state <= SL_JOB_RUNNING;
}

/* Ids of its objects, '\n' between. Arena. */
struct sl_slice sl_batch_objects(struct sl_call *call, const struct sl_batch *b);
/* Cut the next id off; false at the end. */
bool sl_batch_next_id(struct sl_slice *ids, struct sl_slice *ret_id);
void sl_batch_objects_put(struct sl_call *call, const struct sl_batch *b, struct sl_slice ids);

/* What of a row a step replaces: NULL and NONE keep it. */
struct sl_batch_change {
    const char *state, *task_id;
    struct sl_json collection_ids, metadata;
    struct sl_json tiers, tier_jobs; /* [[collection ids]], [[job ids]] */
    uint64_t object_count, runs;     /* 0: keep. */
};
void sl_batch_put(struct sl_call *call, struct sl_batch *b, const struct sl_batch_change *change);
/* A new draft. `ids` as in sl_batch_objects. */
void sl_batch_make(struct sl_call *call, const char *bucket, struct sl_slice ids,
                   struct sl_batch *ret_batch);
/* The same over documents of collections; the bucket is where they come from. */
void sl_batch_make_of_collection(struct sl_call *call, const char *bucket, uint64_t documents,
                                 struct sl_batch *ret_batch);
/* The Batch; at most ids_max object ids are shown. */
void sl_batch_write(struct sl_call *call, const struct sl_batch *b, uint64_t ids_max,
                    struct sl_jsonw *w);

/*
 * Submit: one event with a task for each object and collection of tier 0, the job's row, the
 * batch's row. `only` (an array of ids or names, NONE: all) limits the collections. False: the call
 * has failed.
 */
bool sl_batch_submit(struct sl_call *call, struct sl_batch *b, struct sl_json only);
/* The same for one collection and what it feeds, over what is there: objects of its buckets, or
 * documents of its collections. */
struct sl_batch_sources {
    const char *collection;
    struct sl_slice keys; /* Blocks: "bucket NUL object" or "collection NUL record id". */
    bool is_of_objects;
};
bool sl_batch_submit_sources(struct sl_call *call, struct sl_batch *b,
                             const struct sl_batch_sources *sources);

/* Stop every job of it; nothing follows any more. */
void sl_batch_cancel(struct sl_call *call, struct sl_batch *b);

/* A job of a batch to be enqueued: begin, a task each, put. */
struct sl_batch_job {
    const struct sl_batch *batch;
    const struct sl_batch_plan *plan;
    const char *const *task_ids; /* By tier; the job's own at `tier`. */
    uint32_t tier;
    uint64_t run, total;
    bool is_counted; /* Its end, or that of its chain, counts as the batch's. */
    struct sl_buf event, payload;
};
void sl_batch_job_begin(struct sl_call *call, struct sl_batch_job *job);
void sl_batch_job_task(struct sl_batch_job *job, struct sl_task_payload *p, const char *collection);
/* False: the call has failed. */
bool sl_batch_job_put(struct sl_call *call, struct sl_batch_job *job);
/* New job ids, one a tier; arena. */
const char **sl_batch_task_ids(struct sl_call *call, uint32_t count);

#endif
