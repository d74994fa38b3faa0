/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.h - an API task: the handle of one job, written from its row and, while it runs, from the
 * queue's counts.
 */
#ifndef SL_GATEWAY_TASK_H
#define SL_GATEWAY_TASK_H

#include "actors/job_row.h"
#include "gateway/call.h"

struct sl_task_view {
    struct sl_job_row row; /* Slices are in the call's arena. */
    struct sl_job_id id;
    enum sl_job_state state; /* Live where the row is not final. */
    uint64_t done, dead, total;
    bool is_ended;
};

/* Look a job up by its UUID text. False: there is none in this scope (the call has not failed). */
bool sl_task_find(struct sl_call *call, struct sl_slice task_id, struct sl_task_view *ret_view);
/* PENDING, IN_PROGRESS, COMPLETED, COMPLETED_WITH_ERRORS, FAILED, CANCELED */
const char *sl_task_status(enum sl_job_state state);
/* The Task object. */
void sl_task_write(struct sl_call *call, const struct sl_task_view *view, struct sl_jsonw *w);

/* Store a job that is done already (work that was synchronous). Returns its id. */
const char *sl_task_put_done(struct sl_call *call, struct sl_slice kind, struct sl_slice about);
/* Stage the end of a job that has not ended: the queue's event and the row. */
void sl_task_cancel(struct sl_call *call, const struct sl_task_view *view);
/* Write the row of a job that never ran as canceled. */
void sl_task_put_canceled(struct sl_call *call, const struct sl_task_view *view);

#endif
