/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.h - jobs of the index and the lanes they lie in; only for the queue's own files.
 * Threading: one owner.
 */
#ifndef SL_QUEUE_JOB_H
#define SL_QUEUE_JOB_H

#include "queue/index.h"

/* What a new job is made with; the block is filled by the caller, then each task is attached. */
struct sl_job_seed {
    struct sl_scope scope;
    struct sl_job_id id;
    uint64_t serial;
    uint64_t created_ms;
    enum sl_class class;
    uint8_t priority;
    uint32_t tasks_count;
    size_t payload_bytes;
};
/* Add a job with an uninitialised block (none when tasks_count is 0). Borrowed until forgotten. */
struct sl_job *sl_job_add(struct sl_queue *q, const struct sl_job_seed *seed);
/* Give back the block and leave the lane, once no task is left. */
void sl_job_settle(struct sl_queue *q, struct sl_job *job);
void sl_job_remove(struct sl_queue *q, struct sl_job *job); /* It must have ended. */
struct sl_job *sl_job_lookup(const struct sl_queue *q, struct sl_job_id id); /* NULL: none. */
enum sl_job_state sl_job_state(const struct sl_job *job);
static inline uint32_t
sl_job_live(const struct sl_job *job)
{
    return job->total - job->done - job->dead - job->canceled;
}
static inline uint8_t *
sl_job_payloads(const struct sl_job *job)
{
    return (uint8_t *)(job->tasks + job->tasks_count);
}

#endif
