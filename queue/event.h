/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.h - what is durable about the queue: events, which sl_queue_apply takes from the log. Each
 * function appends one to `out`, for sl_txn_event. The numbers are in the log: never reuse one.
 *
 *   version u8 | kind u8 | fields, little endian
 *   ENQUEUE  job 16 bytes | class u8 | priority u8 | created_ms u64 | not_before_ms u64 |
 *            each task: size u32, payload; until the end
 *   DONE     task u64                 DEAD    task u64
 *   RETRY    task u64 | not_before_ms u64 | attempts u32 | crashes u32
 *   CANCEL   job 16 bytes             FORGET  job 16 bytes
 */
#ifndef SL_QUEUE_EVENT_H
#define SL_QUEUE_EVENT_H

#include "runtime/base.h"
#include "runtime/buf.h"

#define SL_QUEUE_EVENT_VERSION 1
#define SL_QUEUE_PAYLOAD_MAX   1024 /* Bytes of one task: names of things, never the things. */
#define SL_QUEUE_ERROR_MAX     512  /* Bytes kept of a task's last error. */
#define SL_QUEUE_PRIORITY_MAX  9

enum sl_queue_event_kind {
    SL_QUEUE_ENQUEUE = 1,
    SL_QUEUE_DONE = 2,
    SL_QUEUE_RETRY = 3,
    SL_QUEUE_DEAD = 4,
    SL_QUEUE_CANCEL = 5,
    SL_QUEUE_FORGET = 6
};

enum sl_class { SL_CLASS_CPU, SL_CLASS_BATCH, SL_CLASS_GPU, SL_CLASS_COUNT };
const char *sl_class_name(enum sl_class class); /* "cpu", "batch", "gpu" */

struct sl_job_id {
    uint8_t bytes[16];
};

struct sl_enqueue {
    struct sl_job_id job;
    enum sl_class class;
    uint8_t priority; /* 0..9, 9 first. */
    uint64_t created_ms;
    uint64_t not_before_ms; /* 0: now. */
};
/*
 * Begin an enqueue of one new job, then append a task each (payload at most SL_QUEUE_PAYLOAD_MAX);
 * the event is all of `out` from the beginning on. Ids are assigned when it is applied, ascending
 * in the order of the tasks. A job without tasks has succeeded.
 */
void sl_queue_event_enqueue(struct sl_buf *out, const struct sl_enqueue *e);
void sl_queue_event_task(struct sl_buf *out, struct sl_slice payload);
void sl_queue_event_done(struct sl_buf *out, uint64_t task_id);
struct sl_retry {
    uint64_t task_id;
    uint64_t not_before_ms;
    uint16_t attempts, crashes;
};
void sl_queue_event_retry(struct sl_buf *out, const struct sl_retry *r);
void sl_queue_event_dead(struct sl_buf *out, uint64_t task_id);
void sl_queue_event_cancel(struct sl_buf *out, struct sl_job_id job); /* All that is not ended. */
void sl_queue_event_forget(struct sl_buf *out, struct sl_job_id job); /* An ended job's counts. */

#endif
