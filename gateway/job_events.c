/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/job_events.h"

#include "runtime/alloc.h"

#define BUCKETS      1024
#define NUMBER_SHIFT 16 /* So many numbers begin with one millisecond. */

struct kept {
    struct sl_job_event event;
    char *progress;
};

struct job {
    struct job *next;          /* In its bucket. */
    struct job *newer, *older; /* By when they were asked for. */
    struct sl_job_name name;
    uint64_t asked_ms;
    uint64_t since; /* All above this number is known. */
    uint32_t first, count;
    struct kept kept[SL_JOB_EVENTS_KEPT]; /* A ring. */
};

struct sl_job_events {
    uint64_t last;
    uint32_t count;
    struct job *newest, *oldest;
    struct job *buckets[BUCKETS];
};

struct sl_job_events *
sl_job_events_create(void)
{
    return sl_zalloc(sizeof(struct sl_job_events));
}

static struct job **
bucket_of(struct sl_job_events *e, uint64_t task_id)
{
    return &e->buckets[task_id & (BUCKETS - 1)]; /* Ids rise by one. */
}

static struct job *
lookup(const struct sl_job_events *e, struct sl_job_name name)
{
    struct job *job = e->buckets[name.task_id & (BUCKETS - 1)];
    while (job != NULL &&
           (job->name.task_id != name.task_id || job->name.scope.id != name.scope.id))
        job = job->next;
    return job;
}

static void
unlink_age(struct sl_job_events *e, struct job *job)
{
    if (job->newer != NULL)
        job->newer->older = job->older;
    else
        e->newest = job->older;
    if (job->older != NULL)
        job->older->newer = job->newer;
    else
        e->oldest = job->newer;
}

static void
link_newest(struct sl_job_events *e, struct job *job)
{
    job->newer = NULL;
    job->older = e->newest;
    if (e->newest != NULL)
        e->newest->newer = job;
    else
        e->oldest = job;
    e->newest = job;
}

static void
forget(struct sl_job_events *e, struct job *job)
{
    struct job **at = bucket_of(e, job->name.task_id);
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    unlink_age(e, job);
    for (size_t i = 0; i < SL_JOB_EVENTS_KEPT; i++)
        sl_free(job->kept[i].progress);
    sl_free(job);
    e->count--;
}

void
sl_job_events_destroy(struct sl_job_events **events)
{
    struct sl_job_events *e = *events;
    if (e == NULL)
        return;
    while (e->newest != NULL)
        forget(e, e->newest);
    sl_free(e);
    *events = NULL;
}

bool
sl_job_events_follow(struct sl_job_events *e, struct sl_job_name name, uint64_t now_ms,
                     uint64_t after)
{
    struct job *job = lookup(e, name);
    e->last = SL_MAX(e->last, now_ms << NUMBER_SHIFT);
    while (e->oldest != NULL && e->oldest != job &&
           (e->count >= SL_JOB_EVENTS_JOBS || e->oldest->asked_ms + SL_JOB_FOLLOW_MS < now_ms))
        forget(e, e->oldest);
    if (job == NULL) {
        job = sl_zalloc(sizeof(*job));
        *job = (struct job){.next = *bucket_of(e, name.task_id), .name = name, .since = e->last};
        *bucket_of(e, name.task_id) = job;
        e->count++;
    } else {
        unlink_age(e, job);
    }
    job->asked_ms = now_ms;
    link_newest(e, job);
    return after >= job->since && after <= e->last;
}

bool
sl_job_events_has(const struct sl_job_events *e, struct sl_job_name name)
{
    return lookup(e, name) != NULL;
}

uint64_t
sl_job_events_last(const struct sl_job_events *e)
{
    return e->last;
}

bool
sl_job_events_next(const struct sl_job_events *e, struct sl_job_name name, uint64_t after,
                   struct sl_job_event *ret_event)
{
    const struct job *job = lookup(e, name);
    for (uint32_t i = 0; job != NULL && i < job->count; i++) {
        const struct kept *kept = &job->kept[(job->first + i) % SL_JOB_EVENTS_KEPT];
        if (kept->event.number > after) {
            *ret_event = kept->event;
            return true;
        }
    }
    return false;
}

/* Room for one more, which replaces the oldest when there is none. */
static struct kept *
add(struct sl_job_events *e, struct job *job)
{
    uint32_t at = (job->first + job->count) % SL_JOB_EVENTS_KEPT;
    struct kept *kept = &job->kept[at];
    if (job->count == SL_JOB_EVENTS_KEPT) {
        job->since = kept->event.number;
        job->first = (job->first + 1) % SL_JOB_EVENTS_KEPT;
    } else {
        job->count++;
    }
    sl_free(kept->progress);
    *kept = (struct kept){.event = {.number = ++e->last}};
    return kept;
}

bool
sl_job_events_note(struct sl_job_events *e, const struct sl_queue_change *change,
                   uint64_t (*now_ms)(void))
{
    struct sl_job_name name = {change->scope, change->task_id};
    struct job *job = e->count == 0 ? NULL : lookup(e, name);
    if (job == NULL)
        return false;
    struct kept *kept = add(e, job);
    kept->event.at_ms = now_ms();
    kept->event.name = sl_change_name(change->change);
    kept->event.state = change->state;
    kept->event.epoch = change->epoch;
    return true;
}

bool
sl_job_events_progress(struct sl_job_events *e, struct sl_job_name name, struct sl_slice progress,
                       uint64_t now_ms)
{
    struct job *job = e->count == 0 ? NULL : lookup(e, name);
    if (job == NULL || progress.size > SL_JOB_PROGRESS_BYTES)
        return false;
    struct kept *kept = add(e, job);
    kept->event.at_ms = now_ms;
    kept->event.name = "progress";
    kept->event.state = SL_STATE_RUNNING;
    kept->progress = sl_strndup(progress.data, progress.size);
    kept->event.progress = sl_slice(kept->progress, progress.size);
    return true;
}
