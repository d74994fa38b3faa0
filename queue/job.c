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

static struct sl_lane *
lane_of(struct sl_queue *q, struct sl_scope scope, enum sl_class class)
{
    uint64_t hash = sl_table_mix(scope.id);
    struct sl_table_link *link = sl_table_find(&q->lanes[class], hash);
    if (link != NULL)
        return SL_CONTAINER(link, struct sl_lane, link);

    struct sl_lane *lane = sl_zalloc(sizeof(*lane));
    lane->scope = scope;
    lane->class = class;
    lane->weight = 1;
    lane->prev = q->last_lane;
    *(q->last_lane == NULL ? &q->first_lane : &q->last_lane->next) = lane;
    q->last_lane = lane;
    sl_table_insert(&q->lanes[class], &lane->link, hash);
    return lane;
}

static void
lane_remove(struct sl_queue *q, struct sl_lane *lane)
{
    sl_assert(lane->ring_next == NULL);
    sl_assert(lane->ready + lane->delayed + lane->leased == 0);
    *(lane->prev == NULL ? &q->first_lane : &lane->prev->next) = lane->next;
    *(lane->next == NULL ? &q->last_lane : &lane->next->prev) = lane->prev;
    sl_table_remove(&q->lanes[lane->class], &lane->link);
    sl_free(lane);
}

static void
lane_join(struct sl_lane *lane, struct sl_job *job)
{
    job->lane = lane;
    job->lane_prev = lane->last_job;
    *(lane->last_job == NULL ? &lane->first_job : &lane->last_job->lane_next) = job;
    lane->last_job = job;
}

static void
lane_leave(struct sl_queue *q, struct sl_job *job)
{
    struct sl_lane *lane = job->lane;
    *(job->lane_prev == NULL ? &lane->first_job : &job->lane_prev->lane_next) = job->lane_next;
    *(job->lane_next == NULL ? &lane->last_job : &job->lane_next->lane_prev) = job->lane_prev;
    job->lane = NULL;
    job->lane_next = job->lane_prev = NULL;
    if (lane->first_job == NULL)
        lane_remove(q, lane);
}

struct sl_job *
sl_job_add(struct sl_queue *q, const struct sl_job_seed *seed)
{
    sl_assert(seed->serial > (q->last_job == NULL ? 0 : q->last_job->serial));
    sl_assert(seed->tasks_count <= SL_TASKS_MAX);

    struct sl_job *job = sl_zalloc(sizeof(*job));
    job->id = seed->id;
    job->scope = seed->scope;
    job->serial = seed->serial;
    job->created_ms = seed->created_ms;
    job->class = (uint8_t)seed->class;
    job->priority = seed->priority;
    job->tasks_count = seed->tasks_count;
    job->total = seed->tasks_count;

    job->prev = q->last_job;
    *(q->last_job == NULL ? &q->first_job : &q->last_job->next) = job;
    q->last_job = job;
    sl_table_insert(&q->jobs_by_id, &job->by_id, hash_id(job->id));
    if (seed->tasks_count > 0) {
        job->tasks = sl_alloc(seed->tasks_count * sizeof(struct sl_task) + seed->payload_bytes);
        lane_join(lane_of(q, seed->scope, seed->class), job);
        sl_table_insert(&q->jobs_by_serial, &job->by_serial, sl_table_mix(job->serial));
    }
    return job;
}

void
sl_job_settle(struct sl_queue *q, struct sl_job *job)
{
    if (sl_job_live(job) > 0 || job->tasks == NULL)
        return;
    sl_assert(job->waiting == 0);
    sl_assert(job->leased == 0);
    lane_leave(q, job);
    sl_table_remove(&q->jobs_by_serial, &job->by_serial);
    sl_free(job->tasks);
    job->tasks = NULL;
    job->tasks_count = 0;
}

void
sl_job_remove(struct sl_queue *q, struct sl_job *job)
{
    sl_assert(job->tasks == NULL);
    *(job->prev == NULL ? &q->first_job : &job->prev->next) = job->next;
    *(job->next == NULL ? &q->last_job : &job->next->prev) = job->prev;
    sl_table_remove(&q->jobs_by_id, &job->by_id);
    sl_free(job);
}

enum sl_job_state
sl_job_state(const struct sl_job *job)
{
    if (sl_job_live(job) > 0)
        return job->was_run || job->was_leased ? SL_JOB_RUNNING : SL_JOB_PENDING;
    if (job->canceled > 0)
        return SL_JOB_CANCELED;
    if (job->dead == 0)
        return SL_JOB_SUCCEEDED;
    return job->done > 0 ? SL_JOB_PARTIAL : SL_JOB_FAILED;
}
