/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.h - tasks of the index and where they are; only for the queue's own files. What they count
 * for in their job and queue follows. Threading: one owner.
 */
#ifndef SL_QUEUE_TASK_H
#define SL_QUEUE_TASK_H

#include "queue/index.h"

static inline struct sl_items
sl_task_items(const struct sl_queue *q)
{
    return SL_TIMED_ITEMS(q->tasks, struct sl_task, link, time_ms);
}
static inline struct sl_body
sl_task_body(const struct sl_task *task)
{
    return (struct sl_body){.at = task->at, .size = task->size};
}
static inline struct sl_job *
sl_task_job(const struct sl_queue *q, const struct sl_task *task)
{
    return task->job == SL_NONE ? NULL : q->jobs[task->job];
}

/* A slot for task `id` (the next of its kind), in state NONE and in no list. */
uint32_t sl_task_add(struct sl_queue *q, uint64_t id);
/* Make room for so many in an empty queue, at once rather than in steps. */
void sl_task_reserve(struct sl_queue *q, uint32_t count);
/* The slot of a task; SL_NONE: it is not there. */
uint32_t sl_task_slot(const struct sl_queue *q, uint64_t id);

/* Where a change leads, and how. */
struct sl_become {
    enum sl_change change;
    enum sl_state state;
    bool has_returned;             /* QUEUED: before those of its priority that never left. */
    bool is_out;                   /* It was taken out of its list or wheel before. */
    struct sl_held *held;          /* RUNNING: the lease, taken over. */
    const struct sl_task_set *set; /* What changes of the task with it; NULL: nothing. */
};
struct sl_task_set {
    uint64_t time_ms;
    struct sl_body body; /* Of size 0: as it was, but of one that succeeded... */
    bool is_emptied;     /* ...or with this. */
    int priority;        /* < 0: as it was. */
};
/*
 * Take a task out of where it is and put it where `to` says, count it there, and tell who watches.
 * One that becomes NONE gives back its slot and all it had; so does one that ended and is not kept
 * (it belongs to a job, or no time to keep it was named), after it was counted.
 */
void sl_task_become(struct sl_queue *q, uint32_t slot, const struct sl_become *to);
/* QUEUED or SCHEDULED, as its time says: what is 0 is now. */
enum sl_state sl_task_rest_state(const struct sl_task *task);

/* Its queue was dropped: it goes, whatever it is, and so does the idempotency key that it has. */
void sl_task_purge(struct sl_queue *q, uint32_t slot);

/* Before what events gave the task changes: a snapshot under way takes it as it is. */
void sl_task_save(struct sl_queue *q, uint32_t slot);
/* Give the task another body; the old one's bytes are no longer needed. */
void sl_task_body_set(struct sl_queue *q, uint32_t slot, struct sl_body body);
void sl_task_why_set(struct sl_queue *q, uint32_t slot, struct sl_body why);
void sl_task_lines_set(struct sl_queue *q, uint32_t slot, struct sl_body lines);
/* What few tasks have; made when absent. Borrowed until another task's is made. */
struct sl_extra *sl_task_extra(struct sl_queue *q, uint32_t slot);
static inline const struct sl_extra *
sl_task_extra_lookup(const struct sl_queue *q, const struct sl_task *task)
{
    return task->extra == SL_NONE ? NULL : &q->extras[task->extra];
}

/* A task of a snapshot, all set but for its place: count it in `state`. False: it cannot be. */
bool sl_task_restore(struct sl_queue *q, uint32_t slot, enum sl_state state);
/* Once all are there: put each in its place, in the order of their ids. */
void sl_task_restored(struct sl_queue *q);

/* Scheduled tasks whose time has come become queued. */
void sl_task_ripen(struct sl_queue *q, uint64_t now_ms);

#endif
