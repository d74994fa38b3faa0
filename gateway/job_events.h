/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job_events.h - what happens to the jobs of own queues that somebody follows: the last changes and
 * reports of each, numbered, so that who follows can go on where it stopped.
 *
 *     follow --> followed --note, note, ...--> (forgotten a minute after it was last asked for)
 *
 * Only followed jobs cost anything. Numbers rise over all jobs and, as long as the wall clock is
 * not set back, over restarts. In memory alone. Threading: one owner, the store's thread.
 */
#ifndef SL_GATEWAY_JOB_EVENTS_H
#define SL_GATEWAY_JOB_EVENTS_H

#include "queue/queue.h"

#define SL_JOB_EVENTS_KEPT    64   /* Of a job. */
#define SL_JOB_EVENTS_JOBS    4096 /* At a time; the one not asked for longest gives way. */
#define SL_JOB_PROGRESS_BYTES 1024
#define SL_JOB_FOLLOW_MS      60000

struct sl_job_events;

struct sl_job_event {
    uint64_t number; /* Never 0. */
    uint64_t at_ms;
    const char *name; /* "lease", "done", ... of enum sl_change; "progress". Static. */
    enum sl_state state;
    uint64_t epoch;
    struct sl_slice progress; /* JSON; empty: none. Until the next event of any job. */
};

struct sl_job_events *sl_job_events_create(void);
void sl_job_events_destroy(struct sl_job_events **events); /* NULL inside is fine. */

struct sl_job_name {
    struct sl_scope scope;
    uint64_t task_id;
};
/* Follow a job from now on, or go on with it. True: what happened after number `after` is all
 * known. */
bool sl_job_events_follow(struct sl_job_events *e, struct sl_job_name job, uint64_t now_ms,
                          uint64_t after);
/* Whether it is followed already. */
bool sl_job_events_has(const struct sl_job_events *e, struct sl_job_name job);
/* The number of the last event of any job: what happens from now on has higher ones. */
uint64_t sl_job_events_last(const struct sl_job_events *e);
/* The first event of a job above a number; false: there is none. */
bool sl_job_events_next(const struct sl_job_events *e, struct sl_job_name job, uint64_t after,
                        struct sl_job_event *ret_event);

/* Note what happened; false: nobody follows the job. `now_ms` is asked for only if somebody does.
 */
bool sl_job_events_note(struct sl_job_events *e, const struct sl_queue_change *change,
                        uint64_t (*now_ms)(void));
/* What a worker reports, at most SL_JOB_PROGRESS_BYTES of JSON. */
bool sl_job_events_progress(struct sl_job_events *e, struct sl_job_name job,
                            struct sl_slice progress, uint64_t now_ms);

#endif
