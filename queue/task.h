/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.h - where a task is: ready, delayed, leased or ended; only for the queue's own files.
 * Counts of its job, lane and queue follow. Threading: one owner.
 */
#ifndef SL_QUEUE_TASK_H
#define SL_QUEUE_TASK_H

#include "queue/index.h"

static inline uint64_t
sl_task_id(const struct sl_task *task)
{
    return task->job->serial << SL_TASK_INDEX_BITS | task->index;
}
/* The task, if it is not ended; else NULL. */
struct sl_task *sl_task_lookup(const struct sl_queue *q, uint64_t task_id);
/* Put a task that is nowhere where its not_before_ms says: ready at the back, or delayed. */
void sl_task_attach(struct sl_queue *q, struct sl_task *task);
/* Take it out of wherever it is; a lease ends. */
void sl_task_detach(struct sl_queue *q, struct sl_task *task);
/* Detach and mark as ended. The caller counts it and settles the job. */
void sl_task_end(struct sl_queue *q, struct sl_task *task);
/* The one whose turn it is, or NULL; it stays where it is. */
struct sl_task *sl_task_next(const struct sl_queue *q, enum sl_class class);
/* Note that the lane of the turn has had one. Before the task is detached. */
void sl_task_charge(struct sl_queue *q, enum sl_class class);
/* Delayed tasks whose time has come become ready. */
void sl_task_ripen(struct sl_queue *q, enum sl_class class, uint64_t now_ms);
/* Make a detached task leased. */
void sl_task_hold(struct sl_queue *q, struct sl_task *task, const struct sl_lease_want *want);
void sl_task_move(struct sl_queue *q, struct sl_task *task, uint64_t holder);
/* End a lease; the task is ready again, at the front. */
void sl_task_give_back(struct sl_queue *q, struct sl_task *task);

#endif
