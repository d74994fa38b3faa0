/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_queue_check.h - whether tenants' own queues kept what they promise, judged by what was
 * said to and by their broker, event by event. It knows the plan, and asks no queue and no store.
 *
 * What was said is a fact once its answer is made, and is sure once that has arrived. Between the
 * two a death of the main process may undo it. Facts of lower levels stay unsure for WEAK_NS.
 *
 *   lost: a put or an end whose answer has arrived is gone; early: leased before its time; held:
 *   leased while somebody holds it; stale: an end without a live lease counts; twice: two ends of a
 *   task count, or it is there twice; resurrected: leased after its end or its cancelling; key: two
 *   tasks of one idempotency key; limit, rate: more run, or begin, than may; paused: leased from a
 *   queue that is paused; idle: a task waits while a worker of its queue wants one
 *
 * Threading: one owner.
 */
#ifndef SL_ACTORS_SIMULATE_QUEUE_CHECK_H
#define SL_ACTORS_SIMULATE_QUEUE_CHECK_H

#include "actors/simulate_queue_plan.h"

#define SL_SIMQ_WEAK_NS (60 * SL_MILLI_NS) /* What a lower level may lose, and a sync. */
#define SL_SIMQ_IDLE_NS (5 * SL_SECOND_NS) /* What is ready and wanted is leased within this. */

enum sl_simq_fact { SL_SIMQ_NO, SL_SIMQ_MAYBE, SL_SIMQ_TAKEN, SL_SIMQ_SURE };

/* What was told last. */
struct sl_simq_told {
    uint64_t at_ns;
    enum sl_level level;
};

struct sl_simq_state {
    enum sl_simq_fact put, end, cancel, due; /* due: that it was put off by an end. */
    enum sl_state end_state;
    struct sl_simq_told put_told, end_told, cancel_told, due_told;
    uint64_t epoch_due, due_before_ms; /* Of the end that did so; else it were due then. */
    bool is_asked;                     /* Somebody tried to put it. */
    bool is_unbegun;                   /* Its lease, as far as was told. */
    bool is_merged;                    /* Another task has its key, and stands for it. */
    uint64_t task_id, epoch_end, due_ms;
    uint64_t epoch, epoch_last;           /* epoch 0: no lease. */
    uint64_t since_ns, until_ns, back_ns; /* back: since when it waits. */
    uint32_t node, attempts_sure, attempts_most, crashes_most;
    uint32_t attempts, crashes; /* Of its lease. */
    uint64_t epoch_failed;      /* Of its last failure, */
    uint32_t attempts_failed;   /* the how many-th it was. */
    uint32_t found;             /* At rest: how often it is there... */
    enum sl_state found_state;  /* ...and how. */
};

struct sl_simq_credit {
    uint32_t node, queue;
    uint64_t count, lease_ns; /* lease_ns: for how long it gets them. */
};
struct sl_simq_begun {
    uint64_t at_ns, epoch;
};
struct sl_simq_lane {
    enum sl_simq_fact paused; /* Since the last order... */
    bool is_paused;           /* ...which was this one. */
    uint64_t able_ns; /* Since when it hands out and somebody wants; UINT64_MAX: it does not. */
    struct sl_simq_begun *begun; /* Leases of this life of the head: of its rate. */
    uint32_t begun_count, begun_capacity;
};

struct sl_simq_counts {
    uint64_t puts, repeats, leases, done, failed, stale, lost, canceled;
};

struct sl_simq_check {
    const struct sl_simq_plan *plan;
    struct sl_simq_state states[SL_SIMQ_TASKS];
    uint32_t holders[SL_SIMQ_TASKS + 1]; /* Of names: a task's number + 1. */
    struct sl_simq_lane lanes[SL_SIMQ_QUEUES];
    struct sl_simq_lane gates[SL_SIMQ_GATES + 1]; /* Only their `begun`. */
    struct sl_simq_credit *credits;
    uint32_t credits_count, credits_capacity;
    uint64_t stall_ns, stalled_until_ns; /* The head's last one. */
    uint64_t most_ms;       /* That its wall clock showed: what was due then stays due. */
    bool is_rate_free;      /* Rates are not looked at. */
    bool is_unread;         /* Payloads may not be: such leases lapse, and nobody sees them. */
    bool is_up, is_damaged; /* damaged: a payload may be, and its task dead of it. */
    struct sl_simq_counts counts;
    bool is_ok;
    char failure[256];
};

void sl_simq_check_init(struct sl_simq_check *c, const struct sl_simq_plan *plan);
void sl_simq_check_deinit(struct sl_simq_check *c);
struct sl_simq_at {
    uint64_t ns, ms; /* As the process with the broker has it. */
};
/* ---- what the broker says and hears, in its order ------------------------------------------- */
void sl_simq_saw_put(struct sl_simq_check *c, struct sl_simq_at at, uint32_t number,
                     const struct sl_put_result *result);
struct sl_simq_holder {
    uint32_t node;
    bool tells_begun; /* Until then its leases have not. */
};
void sl_simq_saw_lease(struct sl_simq_check *c, struct sl_simq_at at, uint32_t queue,
                       const struct sl_lease *lease, struct sl_simq_holder holder);
void sl_simq_saw_begun(struct sl_simq_check *c, uint64_t task_id, uint64_t epoch);
void sl_simq_saw_extend(struct sl_simq_check *c, uint64_t task_id, uint64_t epoch,
                        uint64_t until_ns);
/* An end; err: what came of it. */
void sl_simq_saw_end(struct sl_simq_check *c, struct sl_simq_at at, const struct sl_end_item *item,
                     enum sl_err err);
struct sl_simq_wish {
    uint64_t credit, lease_ns; /* lease_ns 0: as before. */
};
void sl_simq_saw_want(struct sl_simq_check *c, struct sl_simq_at at, uint32_t node, uint32_t queue,
                      struct sl_simq_wish wish);
/* A node wants nothing any more, and holds nothing; is_counted: what it held counts as crashed. */
void sl_simq_saw_back(struct sl_simq_check *c, struct sl_simq_at at, uint32_t node,
                      bool is_counted);
void sl_simq_saw_quiet(struct sl_simq_check *c, struct sl_simq_at at, uint32_t node,
                       uint32_t queue);
void sl_simq_saw_cancel(struct sl_simq_check *c, struct sl_simq_at at, uint32_t number);
void sl_simq_saw_mode(struct sl_simq_check *c, struct sl_simq_at at, uint32_t queue,
                      bool is_paused);

/* ---- what others hear ------------------------------------------------------------------------ */
void sl_simq_told_put(struct sl_simq_check *c, struct sl_simq_told told, uint32_t number,
                      const struct sl_put_result *result);
void sl_simq_told_end(struct sl_simq_check *c, struct sl_simq_told told, uint32_t number,
                      const struct sl_end_item *item);
void sl_simq_told_cancel(struct sl_simq_check *c, uint64_t at_ns, uint32_t number);
void sl_simq_told_mode(struct sl_simq_check *c, uint32_t queue, bool is_paused);

/* ---- what happens to the head -----------------------------------------------------------------
 */
void sl_simq_saw_boot(struct sl_simq_check *c, struct sl_simq_at at);
void sl_simq_saw_death(struct sl_simq_check *c, struct sl_simq_at at, bool is_power_loss);
void sl_simq_saw_skew(struct sl_simq_check *c, struct sl_simq_at at); /* Just before. */
void sl_simq_saw_stall(struct sl_simq_check *c, uint64_t at_ns, uint64_t duration_ns);

/* ---- looking -----------------------------------------------------------------------------------
 */
/* Now and then: whether something waits for nothing. */
void sl_simq_check_waits(struct sl_simq_check *c, struct sl_simq_at at);
/* At rest: each task that is there, then the verdict. */
void sl_simq_saw_rest(struct sl_simq_check *c, uint32_t number, uint64_t task_id,
                      enum sl_state state);
void sl_simq_check_rest(struct sl_simq_check *c);
/* The task with this id and, if not 0, epoch; SL_SIMQ_TASKS: none. */
uint32_t sl_simq_by_id(const struct sl_simq_check *c, uint64_t task_id);
void sl_simq_fail(struct sl_simq_check *c, const char *format, ...) SL_PRINTF(2, 3);

#endif
