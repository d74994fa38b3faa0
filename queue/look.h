/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look.h - what can be seen of a queue: tasks, jobs, depths. Nothing here changes it, but for time
 * that passes.
 */
#ifndef SL_QUEUE_LOOK_H
#define SL_QUEUE_LOOK_H

#include "queue/queue.h"

enum sl_job_state {
    SL_JOB_PENDING, /* No task was leased yet. */
    SL_JOB_RUNNING,
    SL_JOB_SUCCEEDED, /* All tasks done. */
    SL_JOB_PARTIAL,   /* Ended; some done, some dead. */
    SL_JOB_FAILED,    /* Ended; none done, some dead. */
    SL_JOB_CANCELED
};

struct sl_job_info {
    struct sl_job_id id;
    struct sl_scope scope;
    enum sl_class class;
    enum sl_job_state state;
    uint64_t total, done, dead, canceled; /* done + dead + canceled == total once it ended. */
    uint64_t leased;
    uint64_t created_ms, started_ms; /* started_ms is volatile: first lease since start. */
};
SL_MUST_CHECK
enum sl_err sl_queue_job(const struct sl_queue *q, struct sl_job_id job,
                         struct sl_job_info *ret_info); /* SL_ENOTFOUND. */
/* A job that has ended and is not forgotten, the first to end; false: there is none. */
bool sl_queue_ended(const struct sl_queue *q, struct sl_job_info *ret_info);
/* Jobs that are not forgotten, live ones first, each newest first: at most `max`, returns how
 * many. */
uint32_t sl_queue_jobs(const struct sl_queue *q, struct sl_job_info *ret_infos, uint32_t max);

/* A walk in that order; it goes on where it stopped also if jobs came and went. Zeroed: begins. */
struct sl_job_walk {
    struct sl_scope scope; /* 0: of all. */
    uint64_t after;        /* The last one's first task: unique, and lower for those before it. */
    struct sl_job_id id;   /* The last one. */
    bool is_ended;         /* It had ended. */
    bool is_lost;          /* The last one has ended far from both ends of the live: begin anew. */
    uint32_t looked;       /* How many the last call looked at. */
};
/* The next one after looking at `looks_max` at most; false: not among those. *ret_is_end: there are
 * no more. One that ends in between may be told twice: as live and as ended. */
bool sl_queue_job_next(const struct sl_queue *q, struct sl_job_walk *walk, uint32_t looks_max,
                       struct sl_job_info *ret_info, bool *ret_is_end);

struct sl_task_info {
    uint64_t id;
    enum sl_state state;
    struct sl_scope scope;
    enum sl_class class;
    struct sl_slice lane; /* Its queue's name, of class OWN. Borrowed until the next event. */
    uint8_t priority;
    uint64_t created_ms;
    uint64_t time_ms; /* Not before; of an ended one: when it ended, or is forgotten. */
    uint64_t expires_ms, retain_ms;
    uint64_t failed_ms; /* When the first attempt failed, if its policy asks for it; 0: unknown. */
    uint16_t attempts, crashes, snoozes;
    uint64_t holder, epoch; /* Of a running one. */
    uint64_t since_ns, deadline_ns;
    struct sl_slice policy; /* Borrowed until the next event. */
    struct sl_body payload; /* Of a succeeded one its result. */
    struct sl_body why, lines;
};
/* A task of this scope that is a job by itself. SL_ENOTFOUND. */
SL_MUST_CHECK
enum sl_err sl_queue_task(const struct sl_queue *q, struct sl_scope scope, uint64_t task_id,
                          struct sl_task_info *ret_info);

/* The tasks that a queue is to hand out next, by priority and then as they became ready (aging_ms
 * may let one go before): at most `max`, returns how many. `lane` as in sl_queue_depth. */
uint32_t sl_queue_peek(const struct sl_queue *q, struct sl_scope scope, enum sl_class class,
                       uint64_t lane, struct sl_task_info *ret_infos, uint32_t max);

/*
 * How many tasks of its queue are handed out before the first that is ready of a job: those of a
 * higher priority, and of its own those that became ready before (aging_ms may change that). It
 * looks at no more than `max`. SL_ENOTFOUND: none of the job's is ready; SL_EFULL: there are so
 * many before it, and *ret_ahead is `max`.
 */
SL_MUST_CHECK
enum sl_err sl_queue_ahead(const struct sl_queue *q, struct sl_job_id job, uint64_t max,
                           uint64_t *ret_ahead);

/* Tasks that are jobs by themselves, by slot: so that one can go on where one stopped. */
struct sl_task_scan {
    struct sl_scope scope; /* 0: of all. */
    enum sl_class class;
    uint64_t lane;   /* Of class OWN; 0: all of the scope's own queues. */
    uint32_t states; /* SL_IN(...) | ...; 0: all. */
    uint32_t at;     /* Where to go on; 0 begins. */
    uint32_t looked; /* How many slots the last call looked at. */
};
/* The next, after looking at `slots_max` slots at most; false: not among those. *ret_is_end: there
 * are no more. */
bool sl_queue_scan(const struct sl_queue *q, struct sl_task_scan *scan, uint32_t slots_max,
                   struct sl_task_info *ret_info, bool *ret_is_end);
/* SUCCEEDED tasks whose time to be forgotten has come: ids, at most `max`; returns how many. */
uint32_t sl_queue_due(struct sl_queue *q, uint64_t now_ms, uint64_t *ret_ids, uint32_t max);

struct sl_queue_depth {
    struct sl_scope scope;
    enum sl_class class;
    struct sl_slice name; /* Of class OWN. Borrowed until the next event. */
    struct sl_lane_settings settings;
    uint64_t count[SL_STATE_COUNT];
    uint64_t ready, delayed, leased; /* QUEUED, SCHEDULED, RUNNING. */
    uint64_t oldest_ms; /* When the ready task that waits longest became so; 0: none. */
    uint64_t rate_ns;   /* When its rate lets the next one begin; 0: nothing holds it. */
};
static inline uint64_t
sl_queue_depth_unfinished(const struct sl_queue_depth *d)
{
    return d->count[SL_STATE_QUEUED] + d->count[SL_STATE_SCHEDULED] + d->count[SL_STATE_BLOCKED] +
           d->count[SL_STATE_RUNNING];
}
/* Depth of each queue that has tasks or settings: at most `max`, returns how many. */
uint32_t sl_queue_depths(const struct sl_queue *q, struct sl_queue_depth *ret, uint32_t max);
/* The next of them from *at on, which 0 begins, of one scope (0: of all); false: there is none. */
bool sl_queue_depth_next(const struct sl_queue *q, struct sl_scope scope, uint32_t *at,
                         struct sl_queue_depth *ret_depth);
/* Of one: `lane` 0 with a class. SL_ENOTFOUND. */
SL_MUST_CHECK
enum sl_err sl_queue_depth(const struct sl_queue *q, struct sl_scope scope, enum sl_class class,
                           uint64_t lane, struct sl_queue_depth *ret_depth);
/* How many tasks of one are QUEUED; false: it is not there. Cheaper than its depth. */
bool sl_queue_ready(const struct sl_queue *q, struct sl_scope scope, enum sl_class class,
                    uint64_t lane, uint64_t *ret_count);
/* Whether tasks of queues of this scope that were dropped are there still: a sweep has them go. */
bool sl_queue_has_dropped(const struct sl_queue *q, struct sl_scope scope);
/* Whether any task waits or runs, of whatever class. */
bool sl_queue_has_limits(const struct sl_queue *q); /* Whether tasks ever had concurrency keys. */
bool sl_queue_has_work(const struct sl_queue *q);
uint64_t sl_queue_leased_count(const struct sl_queue *q);     /* Of all tenants and classes. */
uint64_t sl_queue_leased_own_count(const struct sl_queue *q); /* Of class OWN alone. */
uint64_t sl_queue_ready_count(const struct sl_queue *q, enum sl_class class);
/*
 * About how many tasks of a class could be leased now: of 64 queues that hand some out, and one for
 * each beyond. 0: none. Not of class OWN. Scheduled tasks become ready here, as in a lease.
 */
uint64_t sl_queue_leasable(struct sl_queue *q, enum sl_class class, uint64_t now_ns,
                           uint64_t now_ms);
uint64_t sl_queue_memory(const struct sl_queue *q); /* Bytes, about. */

#endif
