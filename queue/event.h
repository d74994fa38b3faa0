/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.h - what is durable about the queue: events, which sl_queue_apply takes from the log. Each
 * function appends one to `out`, for sl_txn_event.
 *
 *   version u8 | kind u8 | fields, little endian. A *body* is size u32, crc32c u32, bytes: it stays
 *   in the log, and the index remembers where. *ms* is wall time in milliseconds.
 *
 *   ENQUEUE  job 16 bytes | class u8 | priority u8 | created ms u64 | not before ms u64 |
 *            each task: body; until the end
 *   PUT      task u64 | class u8 | lane u64 | priority u8 | created ms u64 | not before ms u64 |
 *            options u8 | 1: expires ms u64, retain ms u64, policy block | 2: key hash 16 bytes,
 *            mode u8, until ms u64 | 4: count u8, each: hash u64, limit u32, policy u8,
 *            rate u32, burst u32, period ns u64 | body
 *   DONE     task u64 | ended ms u64 | body (the result; none: size 0)
 *   RETRY    task u64 | not before ms u64 | attempts u16 | has failed u16 | crashes u32 |
 *            snoozes u32 | has failed 1: failed ms u64 | body (why)
 *   KILL     task u64 | ended ms u64 | state u8, + 128: attempts u16, crashes u16 | body (why)
 *   EDIT     task u64 | priority u8 | not before ms u64 | body (size 0: as it was, but empty with
 *            priority + 128)
 *   REDRIVE  task u64 | not before ms u64 | body (size 0: as it was)
 *   MOVE     each: task u64 | which u8 | body: the same bytes again, so that the old place may go
 *   LINES    task u64 | body: the last lines that its runs have said, instead of those before
 *   CANCEL   job 16 bytes
 *   FORGET   job 16 bytes
 *   LANE     class u8 | name block | settings
 *   CANCEL_TASK, EXPIRE_TASK    task u64 | ended ms u64
 *   FORGET_TASK                 task u64
 *   DROP_LANE                   name block; of class OWN. Gone at once, with leases and keys
 *   PURGE                       each: task u64, of a lane that was dropped
 *   DROP_KEYS                   before ms u64 | each: key hash 16 bytes; those free by then
 */
#ifndef SL_QUEUE_EVENT_H
#define SL_QUEUE_EVENT_H

#include "queue/class.h"
#include "queue/dedup.h"
#include "queue/event_kind.h"
#include "queue/lane_settings.h"
#include "queue/state.h"
#include "runtime/base.h"
#include "runtime/buf.h"

#define SL_QUEUE_EVENT_VERSION 2
#define SL_QUEUE_PAYLOAD_MAX   (64 * 1024) /* Bytes of one body; larger ones lie in a blob. */
#define SL_QUEUE_ERROR_MAX     512         /* Bytes kept of a task's last error... */
#define SL_QUEUE_LINES_MAX     4096        /* ...and of what its runs have said. */
#define SL_QUEUE_PRIORITY_MAX  9
#define SL_QUEUE_POLICY_MAX    288                 /* Bytes of an encoded policy. */
#define SL_QUEUE_KEYS_MAX      (UINT32_C(1) << 26) /* Idempotency keys that are held at once. */
#define SL_QUEUE_EDIT_EMPTY    128                 /* Beside the priority of EDIT. */
#define SL_QUEUE_KILL_COUNTED  128                 /* Beside the state of KILL. */
#define SL_TIME_MAX_MS         ((UINT64_C(1) << 48) - 1)

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

struct sl_key_spec;

/* A task that is a job by itself. `class` OWN: `lane` is sl_lane_hash of its queue's name. */
struct sl_task_put {
    uint64_t task_id; /* Of sl_queue_reserve. */
    enum sl_class class;
    uint64_t lane; /* 0 without OWN. */
    uint8_t priority;
    uint64_t created_ms, not_before_ms;
    uint64_t expires_ms;    /* Not begun by then it expires; 0: never. */
    uint64_t retain_ms;     /* How long it is kept once it succeeded; 0: not at all. */
    struct sl_slice policy; /* Of its retries, as sl_retry_policy_encode gives it; empty: usual. */
    struct sl_slice payload;
    struct sl_dedup_entry key;        /* Hash, mode and until_ms; mode NONE: it takes none. */
    const struct sl_key_spec *limits; /* Concurrency keys, of the event's scope, that pass... */
    uint32_t limits_count;            /* ...sl_keys_check; 0: none. */
};
void sl_queue_event_put(struct sl_buf *out, const struct sl_task_put *p);

struct sl_task_end {
    uint64_t task_id;
    uint64_t ended_ms;   /* 0: whoever applies does not care. */
    enum sl_state state; /* Of KILL: DEAD or QUARANTINED. */
    bool is_counted;     /* Of KILL: `attempts` and `crashes` are the last; else as they were. */
    uint16_t attempts, crashes;
    struct sl_slice bytes; /* The result, or why. */
};
void sl_queue_event_done(struct sl_buf *out, const struct sl_task_end *e);
void sl_queue_event_kill(struct sl_buf *out, const struct sl_task_end *e);
struct sl_retry {
    uint64_t task_id;
    uint64_t not_before_ms;
    uint16_t attempts, crashes, snoozes;
    uint64_t failed_ms; /* When the first attempt failed, if its policy asks; 0: not told. */
    struct sl_slice why;
};
void sl_queue_event_retry(struct sl_buf *out, const struct sl_retry *r);
struct sl_edit {
    uint64_t task_id;
    uint64_t not_before_ms;
    uint8_t priority;        /* Of EDIT. */
    struct sl_slice payload; /* Empty: as it was... */
    bool is_empty;           /* ...but of EDIT with this it is empty then. */
};
void sl_queue_event_edit(struct sl_buf *out, const struct sl_edit *e);
void sl_queue_event_redrive(struct sl_buf *out, const struct sl_edit *e);
struct sl_body_move {
    uint64_t task_id;
    enum sl_body_of { SL_BODY_TASK, SL_BODY_WHY, SL_BODY_LINES } of; /* TASK: payload or result. */
    struct sl_slice bytes;
};
/* Begins the event when `out` is empty. */
void sl_queue_event_move(struct sl_buf *out, const struct sl_body_move *m);
void sl_queue_event_cancel(struct sl_buf *out, struct sl_job_id job); /* All that is not ended. */
void sl_queue_event_forget(struct sl_buf *out, struct sl_job_id job); /* An ended job's counts. */
/* CANCEL_TASK, EXPIRE_TASK, FORGET_TASK. */
void sl_queue_event_task_only(struct sl_buf *out, enum sl_queue_event_kind kind, uint64_t task_id,
                              uint64_t ended_ms);
/* Begins the event when `out` is empty; then appends a key's hash. */
void sl_queue_event_drop_key(struct sl_buf *out, uint64_t before_ms, const uint64_t hash[2]);
void sl_queue_event_lane(struct sl_buf *out, enum sl_class class, struct sl_slice name,
                         const struct sl_lane_settings *settings);
void sl_queue_event_lines(struct sl_buf *out, uint64_t task_id, struct sl_slice lines);
void sl_queue_event_drop_lane(struct sl_buf *out, struct sl_slice name);
/* Begins the event when `out` is empty; then appends a task. */
void sl_queue_event_purge(struct sl_buf *out, uint64_t task_id);

#endif
