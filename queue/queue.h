/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.h - the index of all durable tasks of one store: which wait, which are leased, which ended.
 *
 * It is a projection of the log: durable changes are events, written into the transaction that
 * causes them and applied here at commit, at run time and in replay alike. Leases are not events:
 * after a restart every unfinished task is ready again and every old epoch is void.
 *
 *                enqueue              lease                    done
 *      (nothing) ------> READY ----------------> LEASED ---------------> (gone, counted as done)
 *                          ^  ^                  |  |  \     dead / cancel
 *               not_before |  |  release, expire |  |   `--------------> (gone, counted)
 *                          |  `------------------'  |
 *                       DELAYED <-------------------'
 *                                     retry
 *
 * Queues are named {tenant}:{class}. Between tenants of a class leases go round robin by weight,
 * within a tenant by priority (9 first), then in the order of enqueue; a retried task goes to the
 * back. A job is the sum of its tasks; it ends with the last.
 *
 * Pure state: no clock, no I/O. Durable times are wall milliseconds, lease deadlines monotonic
 * nanoseconds; both are arguments. Threading: one owner.
 */
#ifndef SL_QUEUE_QUEUE_H
#define SL_QUEUE_QUEUE_H

#include "queue/event.h"
#include "runtime/base.h"
#include "runtime/buf.h"
#include "runtime/catalogue.h"

struct sl_queue;

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

struct sl_lease {
    uint64_t task_id;
    uint64_t epoch;  /* The token: an effect is accepted only with the live one. */
    uint64_t holder; /* Who holds it: a node's id. */
    uint64_t deadline_ns;
    struct sl_scope scope;
    struct sl_job_id job;
    enum sl_class class;
    uint16_t attempts;       /* Failed attempts so far. */
    uint16_t crashes;        /* How often a process died with it. > 0: run it alone. */
    struct sl_slice payload; /* Borrowed until the task ends. */
};

struct sl_queue *sl_queue_create(void);
void sl_queue_destroy(struct sl_queue **queue);

/*
 * Epochs of this run start above boot << 40; `boot` (< 2^24) grows with each start of the store.
 * After the replay, before the first lease.
 */
void sl_queue_boot(struct sl_queue *q, uint64_t boot);

/*
 * ---- the projection: bind these three into struct sl_projection ----
 *
 * An event that is malformed, names another scope's job, enqueues a job that is there or forgets
 * one that has not ended is a bug of whoever wrote it: reported, and ignored whole. One for a task
 * or job that is gone is ignored. A snapshot depends on the events alone, never on leases or time;
 * after SL_ECORRUPT or SL_EVERSION nothing has changed, after SL_OK no lease is left.
 */
void sl_queue_apply(void *queue, struct sl_scope scope, struct sl_slice event);
void sl_queue_snapshot(void *queue, struct sl_buf *out);
SL_MUST_CHECK
enum sl_err sl_queue_restore(void *queue, struct sl_slice snapshot);

/* ---- leases (volatile) --------------------------------------------------------------------- */
struct sl_lease_want {
    enum sl_class class;
    uint64_t holder;
    uint64_t now_ns, now_ms;
    uint64_t duration_ns;
};
/* Lease the next task; false when none is ready. Delayed tasks become ready here, by now_ms. */
bool sl_queue_lease(struct sl_queue *q, const struct sl_lease_want *want,
                    struct sl_lease *ret_lease);
/*
 * The lease of task_id if `epoch` is its live token. SL_ESTALE otherwise. A lease past its deadline
 * is live until sl_queue_expire took it.
 */
SL_MUST_CHECK
enum sl_err sl_queue_check(const struct sl_queue *q, uint64_t task_id, uint64_t epoch,
                           struct sl_lease *ret_lease);
/* Hand a live lease, granted just now, to another holder. SL_ESTALE. */
SL_MUST_CHECK
enum sl_err sl_queue_move(struct sl_queue *q, uint64_t task_id, uint64_t epoch, uint64_t holder);
/* Extend the leases of a holder; none gets shorter. */
void sl_queue_extend(struct sl_queue *q, uint64_t holder, uint64_t deadline_ns);
/* Give a task back uncounted, to the front of its priority (drain, no room). SL_ESTALE. */
SL_MUST_CHECK
enum sl_err sl_queue_release(struct sl_queue *q, uint64_t task_id, uint64_t epoch);
/* Void every lease of a holder that is gone; returns how many tasks are ready again. */
uint64_t sl_queue_release_holder(struct sl_queue *q, uint64_t holder);
/*
 * Void one lapsed lease (now_ns >= its deadline): true, and *ret_task_id is ready again, at the
 * front; false when none has lapsed.
 */
bool sl_queue_expire(struct sl_queue *q, uint64_t now_ns, uint64_t *ret_task_id);

/* Wall milliseconds when the next delayed task becomes ready, maybe past; UINT64_MAX: none. */
uint64_t sl_queue_next_ms(const struct sl_queue *q);

/* ---- looking ------------------------------------------------------------------------------- */
SL_MUST_CHECK
enum sl_err sl_queue_job(const struct sl_queue *q, struct sl_job_id job,
                         struct sl_job_info *ret_info); /* SL_ENOTFOUND. */
/* The oldest job that has ended and is not forgotten; false: there is none. Walks all jobs. */
bool sl_queue_ended(const struct sl_queue *q, struct sl_job_info *ret_info);
/* Jobs that are not forgotten, newest first: at most `max`, returns how many. */
uint32_t sl_queue_jobs(const struct sl_queue *q, struct sl_job_info *ret_infos, uint32_t max);
struct sl_queue_depth {
    struct sl_scope scope;
    enum sl_class class;
    uint64_t ready, delayed, leased;
    uint64_t oldest_ms; /* created_ms of the first job with a waiting task; 0: none. */
};
/* Depth of each {tenant}:{class} that is not empty: at most `max`, returns how many. */
uint32_t sl_queue_depths(const struct sl_queue *q, struct sl_queue_depth *ret, uint32_t max);
uint64_t sl_queue_leased_count(const struct sl_queue *q); /* Of all tenants and classes. */
uint64_t sl_queue_ready_count(const struct sl_queue *q, enum sl_class class);

#endif
