/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/job.h"

#include "runtime/alloc.h"
#include "runtime/hash.h"

static uint64_t
hash_id(struct sl_job_id id)
{
    return sl_hash64(sl_slice(id.bytes, sizeof(id.bytes)));
}

struct sl_job *
sl_job_lookup(const struct sl_queue *q, struct sl_job_id id)
{
    struct sl_table_link *link = sl_table_find(&q->jobs_by_id, hash_id(id));
    for (; link != NULL; link = sl_table_next(link)) {
        struct sl_job *job = SL_CONTAINER(link, struct sl_job, by_id);
        if (memcmp(job->id.bytes, id.bytes, sizeof(id.bytes)) == 0)
            return job;
    }
    return NULL;
}

static void
list_add(struct sl_job_list *list, struct sl_job *job)
{
    job->next = NULL;
    job->prev = list->last;
    *(list->last == NULL ? &list->first : &list->last->next) = job;
    list->last = job;
}

static void
list_remove(struct sl_job_list *list, struct sl_job *job)
{
    *(job->prev == NULL ? &list->first : &job->prev->next) = job->next;
    *(job->next == NULL ? &list->last : &job->next->prev) = job->prev;
}

static uint32_t
free_number(struct sl_queue *q)
{
    if (q->jobs_free > 0)
        return q->job_numbers_free[--q->jobs_free];
    if (q->jobs_count == q->jobs_capacity) {
        q->jobs_capacity = SL_MAX(q->jobs_capacity * 2, (uint32_t)16);
        q->jobs = sl_realloc(q->jobs, q->jobs_capacity * sizeof(struct sl_job *));
        q->job_numbers_free = sl_realloc(q->job_numbers_free, q->jobs_capacity * sizeof(uint32_t));
    }
    return q->jobs_count++;
}

struct sl_job *
sl_job_add(struct sl_queue *q, const struct sl_job_seed *seed)
{
    struct sl_job *job = sl_zalloc(sizeof(*job));
    job->number = free_number(q);
    job->id = seed->id;
    job->scope = seed->scope;
    job->first_id = seed->first_id;
    job->created_ms = seed->created_ms;
    job->class = (uint8_t)seed->class;
    job->priority = seed->priority;
    job->total = seed->total;
    q->jobs[job->number] = job;
    list_add(&q->live, job);
    sl_table_insert(&q->jobs_by_id, &job->by_id, hash_id(job->id));
    return job;
}

void
sl_job_settle(struct sl_queue *q, struct sl_job *job)
{
    if (job->has_ended || sl_job_live(job) > 0)
        return;
    job->has_ended = true;
    list_remove(&q->live, job);
    list_add(&q->ended, job);
}

void
sl_job_remove(struct sl_queue *q, struct sl_job *job)
{
    sl_assert(job->has_ended);
    list_remove(&q->ended, job);
    sl_table_remove(&q->jobs_by_id, &job->by_id);
    q->jobs[job->number] = NULL;
    q->job_numbers_free[q->jobs_free++] = job->number;
    sl_free(job);
}
