/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.h - the index of all durable tasks of one store: which wait, which are leased, which ended.
 *
 * It is a projection of the log: durable changes are events, written into the transaction that
 * causes them and applied here at commit, at run time and in replay alike. Leases are not events:
 * after a restart every unfinished task is ready again and every old epoch is void. The states and
 * what leads from one to another are in state.def.
 *
 * Queues are named {tenant}:{class}, or {tenant}:{name} for a tenant's own. Between tenants of a
 * class leases go by weighted fair share of service time (share.h), within a queue by priority (9
 * first; waiting raises it), then in the order in which tasks became ready. A task is put alone, or
 * with others as a job, which ends with its last.
 *
 * Payloads stay in the log: the index knows where (struct sl_body; sl_lease_read). Pure state: time
 * is an argument, wall milliseconds where durable, monotonic nanoseconds of leases. One owner.
 */
#ifndef SL_QUEUE_QUEUE_H
#define SL_QUEUE_QUEUE_H

#include "queue/bodies.h"
#include "queue/event.h"
#include "queue/state.h"
#include "runtime/base.h"
#include "runtime/buf.h"
#include "runtime/catalogue.h"
#include "runtime/log.h"

struct sl_queue;

struct sl_lease {
    uint64_t task_id;
    uint64_t epoch;  /* The token: an effect is accepted only with the live one. */
    uint64_t holder; /* Who holds it: a node's id. */
    uint64_t since_ns, deadline_ns, expected_ns; /* expected: of service. */
    struct sl_scope scope;
    struct sl_job_id job; /* Zeroes: a task by itself. */
    enum sl_class class;
    uint16_t attempts; /* Failed attempts so far. */
    uint16_t crashes;  /* How often a process died with it. > 0: run it alone. */
    uint16_t snoozes;
    bool is_begun; /* See lose.h. */
    uint64_t created_ms;
    struct sl_body body;
    struct sl_slice payload; /* The body's bytes, for who has read them (sl_lease_read). */
};

struct sl_queue *sl_queue_create(void);
void sl_queue_destroy(struct sl_queue **queue);

/*
 * Epochs of this run start above boot << 40, and ids that are reserved at SL_TASK_ALONE | boot <<
 * 38: an id that somebody was told, of a task that a crash undid, is never another task's. `boot`
 * (< 2^24) grows with each start of the store. After the replay, before the first lease.
 */
void sl_queue_boot(struct sl_queue *q, uint64_t boot);

/* The id of a task that is put alone; each time another, from SL_TASK_ALONE on. */
#define SL_TASK_ALONE (UINT64_C(1) << 62)
uint64_t sl_queue_reserve(struct sl_queue *q);

/* What happened to a task: told to whoever watches, at run time and in replay. */
struct sl_queue_change {
    enum sl_change change;
    enum sl_state state; /* After it. */
    uint64_t task_id;
    struct sl_scope scope;
    struct sl_job_id job; /* Zeroes: a task by itself. */
    enum sl_class class;
    uint64_t lane;  /* sl_lane_hash of its queue's name; 0: its class'. */
    uint64_t epoch; /* Of the lease it has or had; 0: none. */
};
struct sl_queue_watch {
    void *self;
    void (*changed)(void *self, const struct sl_queue_change *change);
};
void sl_queue_watch_set(struct sl_queue *q, struct sl_queue_watch watch);

/* Tell the time: rates that are set begin then. Leasing and expiring tell it too. */
void sl_queue_clock(struct sl_queue *q, uint64_t now_ns);

/*
 * ---- the projection: bind these into struct sl_projection ----
 *
 * An event that is malformed, names another scope's task, enqueues a job that is there or forgets
 * one that has not ended is a bug of whoever wrote it: reported, and ignored whole. One for a task
 * or job that is gone is ignored. A snapshot depends on the events alone, never on leases or time;
 * after SL_ECORRUPT or SL_EVERSION nothing has changed, after SL_OK no lease is left.
 */
void sl_queue_apply(void *queue, struct sl_scope scope, struct sl_slice event, struct sl_log_at at);
void sl_queue_snapshot(void *queue, struct sl_buf *out);
/* The same in slices, of the state in which it began, while events go on; false with the last. */
void sl_queue_snapshot_begin(void *queue);
bool sl_queue_snapshot_some(void *queue, struct sl_buf *out, size_t size);
SL_MUST_CHECK enum sl_err sl_queue_restore(void *queue, struct sl_slice snapshot);
uint64_t sl_queue_held(void *queue, uint32_t segment); /* Bytes of bodies in it. */
/* If `event`, which lies at `at`, holds bodies that are still needed: append the one that moves
 * them to where it will lie itself. */
void sl_queue_relocate(void *queue, struct sl_scope scope, struct sl_slice event,
                       struct sl_log_at at, struct sl_buf *out);
/* A sum over all that is durable: equal queues have equal ones. */
uint64_t sl_queue_digest(const struct sl_queue *q);

/* ---- leases (volatile) --------------------------------------------------------------------- */
struct sl_lease_want {
    enum sl_class class;
    struct sl_scope scope; /* Whose alone, such as are apart.h; 0: whose turn it is. Of class... */
    uint64_t lane;         /* ...OWN which queue of theirs. */
    uint64_t holder;
    uint64_t now_ns, now_ms;
    uint64_t duration_ns;
    bool is_prefetched; /* It begins later: see lose.h. */
};
/* Lease the next task; false when none is ready, or none was found in a bounded search: then
 * sl_queue_next_ns has come. Scheduled tasks become ready here, by now_ms. */
bool sl_queue_lease(struct sl_queue *q, const struct sl_lease_want *want,
                    struct sl_lease *ret_lease);
/*
 * The lease of task_id if `epoch` is its live token. SL_ESTALE otherwise. A lease past its deadline
 * is live until sl_queue_expire took it.
 */
SL_MUST_CHECK enum sl_err sl_queue_check(const struct sl_queue *q, uint64_t task_id, uint64_t epoch,
                                         struct sl_lease *ret_lease);
/* Before its end: how long it was worked on; 0, or a release: not at all. SL_ESTALE. */
SL_MUST_CHECK enum sl_err sl_queue_served(struct sl_queue *q, uint64_t task_id, uint64_t epoch,
                                          uint64_t served_ns);
/* Hand a live lease, granted just now, to another holder. SL_ESTALE. */
SL_MUST_CHECK enum sl_err sl_queue_move(struct sl_queue *q, uint64_t task_id, uint64_t epoch,
                                        uint64_t holder);
/* Extend the leases of a holder, or one (SL_ESTALE); none gets shorter. */
void sl_queue_extend(struct sl_queue *q, uint64_t holder, uint64_t deadline_ns);
SL_MUST_CHECK enum sl_err sl_queue_extend_one(struct sl_queue *q, uint64_t task_id, uint64_t epoch,
                                              uint64_t deadline_ns);
/* Give a task back uncounted (drain, no room): before those of its priority that never left, behind
 * those that came back earlier. SL_ESTALE. */
SL_MUST_CHECK enum sl_err sl_queue_release(struct sl_queue *q, uint64_t task_id, uint64_t epoch);
/* Void every lease of a holder; returns how many tasks are ready again, in their order. */
uint64_t sl_queue_release_holder(struct sl_queue *q, uint64_t holder);
/* Void one lapsed lease (now_ns >= its deadline): true, and *ret_task_id is ready again, as
 * after a release; false when none has lapsed. Of the groups' classes alone. */
bool sl_queue_expire(struct sl_queue *q, uint64_t now_ns, uint64_t *ret_task_id);
/* Monotonic time before which no lease of an own queue lapses; UINT64_MAX: there is none. */
uint64_t sl_queue_deadline_ns(const struct sl_queue *q);
/* Wall ms before which no scheduled task becomes ready, maybe past; UINT64_MAX: never. */
uint64_t sl_queue_next_ms(const struct sl_queue *q);
/* When what waits for a rate, of a queue or key, may go on; UINT64_MAX: nothing waits. */
uint64_t sl_queue_next_ns(const struct sl_queue *q);

#endif
