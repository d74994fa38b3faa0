/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.h - jobs of several tasks; only for the queue's own files. Threading: one owner.
 */
#ifndef SL_QUEUE_JOB_H
#define SL_QUEUE_JOB_H

#include "queue/index.h"

/* Tasks that were enqueued together: ids first_id to first_id + total - 1. */
struct sl_job {
    struct sl_table_link by_id;
    uint32_t number;            /* Place in q->jobs. */
    struct sl_job *next, *prev; /* All jobs, as they came; or the ended ones, as they ended. */
    struct sl_job_id id;
    struct sl_scope scope;
    uint64_t first_id;
    uint64_t created_ms, started_ms;
    uint32_t total;
    uint32_t count[SL_STATE_COUNT]; /* Of its tasks; ended ones stay counted. */
    uint8_t class, priority;
    bool has_ended;
    bool was_run;    /* An event shows that a task was leased once. Durable. */
    bool was_leased; /* One was, since the start. */
};

struct sl_job_seed {
    struct sl_scope scope;
    struct sl_job_id id;
    uint64_t first_id, created_ms;
    enum sl_class class;
    uint8_t priority;
    uint32_t total;
};
/* Add a live job whose tasks are added by the caller, who settles it then. Borrowed until
 * forgotten. */
struct sl_job *sl_job_add(struct sl_queue *q, const struct sl_job_seed *seed);
/* After its counts have changed: once no task is left it has ended. */
void sl_job_settle(struct sl_queue *q, struct sl_job *job);
void sl_job_remove(struct sl_queue *q, struct sl_job *job); /* It must have ended. */
struct sl_job *sl_job_lookup(const struct sl_queue *q, struct sl_job_id id); /* NULL: none. */
static inline uint32_t
sl_job_done(const struct sl_job *job)
{
    return job->count[SL_STATE_SUCCEEDED];
}
static inline uint32_t
sl_job_dead(const struct sl_job *job)
{
    return job->count[SL_STATE_DEAD] + job->count[SL_STATE_QUARANTINED];
}
static inline uint32_t
sl_job_canceled(const struct sl_job *job)
{
    return job->count[SL_STATE_CANCELED] + job->count[SL_STATE_EXPIRED];
}
static inline uint32_t
sl_job_live(const struct sl_job *job)
{
    return job->total - sl_job_done(job) - sl_job_dead(job) - sl_job_canceled(job);
}

#endif
