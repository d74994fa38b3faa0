/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h - what the queue is made of; only for the queue's own files.
 *
 *   queue --> lane {tenant}:{class or name} --> lists of tasks by state and priority
 *     |
 *     |--> tasks: slots of 64 bytes in one array, found by id; their bodies lie in the log
 *     `--> jobs: what tasks that were enqueued together share
 *
 * Slots are named by number, since the array moves when it grows: no pointer to one outlives a call
 * that may add a task. A slot's place in a list or in the wheel of timers is its link; which of
 * them, its state says.
 *
 * What events gave a task stays as they gave it, whatever leases and time made of the task since:
 * so a snapshot depends on the events alone.
 */
#ifndef SL_QUEUE_INDEX_H
#define SL_QUEUE_INDEX_H

#include <assert.h>

#include "queue/bodies.h"
#include "queue/bucket.h"
#include "queue/extra.h"
#include "queue/heap.h"
#include "queue/lane_settings.h"
#include "queue/list.h"
#include "queue/queue.h"
#include "queue/share.h"
#include "queue/state.h"
#include "queue/table.h"
#include "queue/trail_index.h"
#include "queue/wheel.h"

#define SL_TASKS_MAX   UINT32_C(0x7fffffff) /* Slots. */
#define SL_TASK_LAST   (UINT64_MAX / 2)     /* No run of events counts so far. */
#define SL_QUEUE_MAGIC UINT32_C(0x51554555)
#define SL_PRIORITIES  (SL_QUEUE_PRIORITY_MAX + 1)

struct sl_task {
    uint64_t id; /* 0: the slot is free. */
    union {
        struct sl_link link;
        struct sl_held *held; /* RUNNING. */
    };
    /* Waiting: not before this, as the last event said. Ended and kept: when it ended; of a
     * SUCCEEDED one, when it is forgotten. */
    uint64_t time_ms;
    uint64_t created_ms : 48, attempts : 16;
    struct sl_log_at at; /* Of its body's bytes. */
    uint32_t size : 20, priority : 4, state : 7;
    uint32_t is_saved : 1; /* As q->saving.mark: the snapshot being written has it, or needs not. */
    uint32_t lane;
    uint32_t job;   /* SL_NONE: it is one by itself. */
    uint32_t extra; /* SL_NONE: it has nothing of the kind. */
    uint32_t next;  /* Of those whose ids share a bucket. */
    uint16_t crashes, snoozes;
};

static_assert(sizeof(struct sl_task) == 64, "a waiting task is small");

struct sl_job_list {
    struct sl_job *first, *last;
};

/* A snapshot that is written in slices, of the state in which it began. */
struct sl_saving {
    bool is_on;
    uint32_t mark;       /* What is_saved is of tasks that it has. Turned by each that begins. */
    uint32_t at;         /* The next slot to look at. */
    struct sl_buf ahead; /* To be written before: the head, then tasks that were about to change. */
    struct sl_buf keys;  /* To be written after all tasks. */
    size_t keys_at;
};

struct sl_queue {
    uint32_t magic;
    uint64_t task_last;                  /* Ids of tasks of jobs, given as events are applied... */
    uint64_t alone_last, alone_reserved; /* ...and of others, of which their events tell. */
    uint64_t epoch_last;

    struct sl_task *tasks;
    uint32_t tasks_used, tasks_capacity, tasks_free; /* tasks_free: first of a chain by `next`. */
    uint32_t tasks_count;
    uint32_t *buckets; /* By id: the first slot. */
    uint32_t buckets_count;
    struct sl_extra *extras;
    uint32_t extras_used, extras_capacity, extras_free;
    struct sl_bodies bodies;

    struct sl_wheel scheduled, kept; /* SCHEDULED ones; SUCCEEDED ones that are kept. */
    struct sl_wheel expiring;        /* Extras of those that may expire. */
    struct sl_heap dying;            /* Lanes, by when they have failed ones to forget. */
    struct sl_lane *dropped;         /* Those whose tasks are to be purged. */
    uint64_t blocked;                /* BLOCKED ones. */
    struct sl_dedup *dedup;          /* Idempotency keys. What is durable of them events say. */
    struct sl_keys *keys;            /* Concurrency keys, by slot of tasks that have not ended. */
    struct sl_woken woken;
    bool has_limits; /* Some task ever had concurrency keys: others pay nothing for them. */
    struct sl_table lanes_by_key;
    struct sl_lane **lanes; /* By number; NULL: free. */
    uint32_t lanes_count, lanes_capacity;
    uint32_t *lane_numbers_free; /* A stack, of lanes_free. */
    uint32_t lanes_free;
    struct sl_share *shares[SL_CLASS_COUNT]; /* Of lanes by number: whose turn it is. */
    uint64_t *apart;                         /* Scopes, in order: see apart.h. */
    uint32_t apart_count;
    struct sl_heap throttled; /* Lanes, by when they may go on. */
    uint64_t now_ns;          /* The latest that anybody has told. */
    uint64_t ready[SL_CLASS_COUNT + 1];

    struct sl_table jobs_by_id;
    struct sl_job **jobs; /* By number; NULL: free. */
    uint32_t jobs_count, jobs_capacity;
    uint32_t *job_numbers_free; /* A stack, of jobs_free. */
    uint32_t jobs_free;
    struct sl_job_list live, ended;

    struct sl_table holders;
    struct sl_holder *lost;      /* Whose leases are to be taken from them; in no table. */
    struct sl_heap deadlines[2]; /* Of the groups' classes; of tenants' own queues. */
    struct sl_saving saving;
    struct sl_trails trails;
    struct sl_queue_watch watch;
};

static inline void
sl_queue_assert(const struct sl_queue *q)
{
    sl_assert(q != NULL);
    sl_assert(q->magic == SL_QUEUE_MAGIC);
}

static inline struct sl_task *
sl_task_at(const struct sl_queue *q, uint32_t slot)
{
    sl_assert(slot < q->tasks_used);
    return &q->tasks[slot];
}

#endif
