/* SPDX-License-Identifier: Apache-2.0 */
/*
 * submit.h - what becomes of one task that is submitted: a new one, one that is there already, a
 * newer payload for that, or a refusal that says why.
 *
 *   struct sl_submit_batch batch = {0};
 *   for each item
 *       while (!sl_queue_submit(q, &batch, &item, &events, &result))
 *           commit the events, which applies them; clear both buffer and batch
 *
 * Idempotency keys (dedup.h): whoever submits a key that is held is told of the task that holds it,
 * with its state; a debounce replaces its payload, priority and time. A key that is held until its
 * task starts is free while that runs. Answers come before anything that refuses new tasks, so that
 * who repeats a submit is answered also by a queue that drains or is full.
 *
 * Concurrency keys (key.h): a submit may be refused (cancel newest) or cancel others, in its own
 * events: those that run lose their lease at once, and whoever works on them is to be told.
 */
#ifndef SL_QUEUE_SUBMIT_H
#define SL_QUEUE_SUBMIT_H

#include "queue/key_policy.h"
#include "queue/queue.h"
#include "queue/retry.h"

#define SL_SUBMIT_NAME_MAX  256 /* Bytes of a key. */
#define SL_SUBMIT_BATCH_MAX 192 /* Keys that events not applied yet may name. */

/* As it comes from outside: whatever the numbers are, they are checked. */
struct sl_submit {
    struct sl_scope scope;
    enum sl_class class;   /* OWN: the queue of this name, which must be there. */
    struct sl_slice queue; /* Empty without OWN. */
    uint64_t now_ms;
    int64_t priority;       /* 0..9 */
    int64_t delay_ms;       /* From now; 0: none. */
    int64_t at_ms;          /* Instead of a delay: wall time. 0: none; past: now. */
    int64_t expires_ms;     /* Not begun so long after now it expires; 0: never. Past its delay. */
    int64_t retain_ms;      /* Its result is kept so long; 0: not at all. */
    struct sl_slice policy; /* sl_retry_encode's bytes; empty: the usual one. */
    struct sl_slice payload;
    struct sl_submit_key {
        struct sl_slice name; /* 1..SL_SUBMIT_NAME_MAX bytes, with a mode. */
        int64_t mode;         /* enum sl_dedup_mode; NONE: it has no key. */
        int64_t window_ms;    /* ttl, throttle, debounce: >= 1. */
        int64_t max_ms;       /* debounce: the longest that it is put off. 0: no limit. */
    } key;
    const struct sl_submit_limit {
        struct sl_slice name;
        int64_t limit;       /* Tasks that run at once; 0: any number. */
        int64_t policy;      /* enum sl_key_policy */
        struct sl_rate rate; /* Tasks that begin; count 0: any number. */
    } * limits;
    uint32_t limits_count; /* 0..SL_KEYS_PER_TASK_MAX */
};

/*
 * err, with the code that tells the submitter more: SL_EINVAL "priority", "delay", "expires",
 * "retain", "policy", "key_name", "key_mode", "key_window", "limits"; SL_ETOOBIG "payload";
 * SL_ENOTFOUND "queue"; SL_EUNAVAIL "queue_draining"; SL_EFULL "queue_full", "keys_full"; SL_EBUSY
 * "limit_reached" (cancel newest).
 */
struct sl_submitted {
    enum sl_err err;
    const char *code;    /* NULL with SL_OK. */
    uint64_t task_id;    /* With SL_OK: the new task, or the one that holds the key. */
    enum sl_state state; /* Of it, after this. NONE: it is forgotten, and its key still holds. */
    bool is_existing;    /* It was there. */
    bool is_replaced;    /* It was, and has what was submitted now (debounce). */
    uint32_t canceled;   /* Others that make room. */
};

/* What was submitted since events were applied last. Zeroed is empty. */
struct sl_submit_batch {
    uint64_t keys[SL_SUBMIT_BATCH_MAX / 3 * 4]; /* A table; 0: free. */
    uint32_t keys_count, puts;
    bool is_closed; /* Others were cancelled. */
};

/*
 * Decide about one item, and append its events, if any, as queue/events.h has them, all of its
 * scope. False: it depends on events that were appended since `batch` was cleared; apply those
 * first. Without a batch all that were appended must have been applied.
 */
SL_MUST_CHECK bool sl_queue_submit(struct sl_queue *q, struct sl_submit_batch *batch,
                                   const struct sl_submit *item, struct sl_buf *out,
                                   struct sl_submitted *ret_submitted);

#endif
