/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply.h - an event being read; only for the queue's own files.
 */
#ifndef SL_QUEUE_APPLY_H
#define SL_QUEUE_APPLY_H

#include "queue/index.h"

struct sl_event {
    struct sl_queue *q;
    struct sl_scope scope;
    struct sl_reader fields;
    const uint8_t *start; /* Of the event, which lies at `at` in the log. */
    struct sl_log_at at;
};

/* Read a body: its bytes, and where in the log they are. */
struct sl_slice sl_event_body(struct sl_event *e, struct sl_body *ret_body);
struct sl_job_id sl_event_job(struct sl_event *e);

#endif
