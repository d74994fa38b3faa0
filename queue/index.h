/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h - what the queue is made of; only for the queue's own files.
 *
 *   queue --> lane {tenant}:{class} --> ready lists, one per priority --> tasks
 *     |         `--> its live jobs, oldest first
 *     `--> job --> one block: its tasks side by side, then their payloads
 *
 * A task's id is its job's serial and its place in the job, so that finding one needs no table of
 * tasks; the block is one allocation, and goes back whole when the job has ended. The counts stay
 * until the job is forgotten.
 *
 * Every durable field of a task is kept as the events gave it, whatever leases and time made of the
 * task since: so a snapshot depends on the events alone.
 */
#ifndef SL_QUEUE_INDEX_H
#define SL_QUEUE_INDEX_H

#include <assert.h>

#include "queue/heap.h"
#include "queue/queue.h"
#include "queue/table.h"

#define SL_TASK_INDEX_BITS 24 /* Of a task id; the job's serial lies above. */
#define SL_TASKS_MAX       ((UINT32_C(1) << SL_TASK_INDEX_BITS) - 1)
#define SL_SERIAL_MAX      ((UINT64_C(1) << (64 - SL_TASK_INDEX_BITS)) - 1)
#define SL_QUEUE_MAGIC     UINT32_C(0x51554555)

enum sl_task_state { SL_TASK_READY, SL_TASK_DELAYED, SL_TASK_LEASED, SL_TASK_ENDED };

struct sl_task {
    union {
        struct {
            struct sl_task *next, *prev;
        } ready;
        uint32_t delayed_position; /* In the heap of its class. */
        struct sl_held *held;
    };
    struct sl_job *job;
    uint64_t not_before_ms; /* As the last event said; it stays when the task became ready. */
    uint64_t order;         /* Grows with each enqueue and retry: the order within a priority. */
    uint32_t payload_at;    /* Offset behind the tasks of the job's block. */
    uint32_t index;         /* Place in the job as it was enqueued. */
    uint16_t payload_size;
    uint16_t attempts, crashes;
    uint8_t state;
};

static_assert(sizeof(struct sl_task) <= 64, "a waiting task is small");

/* A lease in force. */
struct sl_held {
    uint32_t position; /* In the heap of deadlines, whose key may lag behind deadline_ns. */
    uint64_t epoch;
    uint64_t deadline_ns;
    struct sl_task *task;
    struct sl_holder *holder;
    struct sl_held *older, *newer; /* Of the same holder. */
};

/* Who holds leases; gone with its last one. */
struct sl_holder {
    struct sl_table_link link;
    uint64_t id;
    struct sl_held *newest;
};

struct sl_ready_list {
    struct sl_task *first, *last;
};

/* One {tenant}:{class}, from its first live job to its last. */
struct sl_lane {
    struct sl_table_link link;
    struct sl_scope scope;
    enum sl_class class;
    uint32_t weight, credit;               /* Leases per turn, and left of this turn. */
    struct sl_lane *ring_next, *ring_prev; /* NULL: nothing is ready. */
    struct sl_lane *next, *prev;           /* All lanes. */
    struct sl_job *first_job, *last_job;   /* Live ones, in the order of their serials. */
    uint64_t ready, delayed, leased;
    uint32_t priorities; /* Bit p: lists[p] is not empty. */
    struct sl_ready_list lists[SL_QUEUE_PRIORITY_MAX + 1];
};

struct sl_job {
    struct sl_table_link by_id, by_serial;
    struct sl_job *next, *prev; /* All jobs, in the order of their serials. */
    struct sl_job *lane_next, *lane_prev;
    struct sl_lane *lane;  /* NULL once ended. */
    struct sl_task *tasks; /* The block; NULL once ended. */
    struct sl_job_id id;
    struct sl_scope scope;
    uint64_t serial;
    uint64_t created_ms, started_ms;
    uint32_t tasks_count; /* In the block: all of them, or those not ended at a restore. */
    uint32_t total, done, dead, canceled;
    uint32_t leased, waiting; /* waiting: ready and delayed. */
    uint8_t class, priority;
    bool was_run;    /* An event shows that a task was leased once. Durable. */
    bool was_leased; /* One was, since the start. */
};

struct sl_queue {
    uint32_t magic;
    uint64_t serial_last;
    uint64_t order_last;
    uint64_t epoch_last;
    struct sl_table jobs_by_id, jobs_by_serial; /* by_serial: only those not ended. */
    struct sl_job *first_job, *last_job;
    struct sl_table lanes[SL_CLASS_COUNT];
    struct sl_lane *first_lane, *last_lane;
    struct sl_lane *turn[SL_CLASS_COUNT]; /* The ring's head: whose turn it is. */
    struct sl_heap delayed[SL_CLASS_COUNT];
    uint64_t ready[SL_CLASS_COUNT];
    struct sl_table holders;
    struct sl_heap deadlines;
};

static inline void
sl_queue_assert(const struct sl_queue *q)
{
    sl_assert(q != NULL);
    sl_assert(q->magic == SL_QUEUE_MAGIC);
}

#endif
