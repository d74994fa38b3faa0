/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend.h - the verbs of tenants' own queues: what producers, workers and operators may do,
 * whatever keeps the tasks.
 *
 *     producers:  put                workers:  lease, begin, end (+ lease), extend, lose,
 *     operators:  set, drop, order             release_holder    all: task, read, scan, depth
 *
 * Items of one call stand or fall each by itself, with a result of its own. What a call changed is
 * seen by the next one at once, and is durable once `sync` has returned: nobody outside is told of
 * it before (live drivers do that by themselves). A call that returns an error changed nothing.
 *
 * A queue is there once `set` named it; its tenant is the scope. Every other verb answers
 * SL_ENOTFOUND for one that is not there. Threading: one owner, that of the store.
 */
#ifndef SL_QUEUE_BACKEND_H
#define SL_QUEUE_BACKEND_H

#include "queue/look.h"
#include "queue/lose.h"
#include "queue/submit.h"

#define SL_PUT_ITEMS_MAX 4096 /* Of one put, or one end. */
struct sl_when {
    uint64_t now_ns, now_ms; /* Monotonic, wall. */
};
struct sl_queue_name {
    struct sl_scope scope;
    struct sl_slice name; /* Without the tenant. */
};

struct sl_put_item {
    uint8_t priority;        /* 0..9, 9 first. */
    uint64_t delay_ms;       /* From now; 0: at once. Up to SL_TIME_MAX_MS. */
    uint64_t expires_ms;     /* Not begun so long after now it expires; 0: never. Past its delay. */
    uint64_t retain_ms;      /* A result is kept so long; 0: not at all. */
    struct sl_slice policy;  /* sl_retry_encode's bytes; empty: the usual one. */
    struct sl_slice payload; /* At most SL_QUEUE_PAYLOAD_MAX. */
    struct sl_submit_key key; /* Idempotency. */
    struct sl_submit_limit limits[SL_KEYS_PER_TASK_MAX];
    uint32_t limits_count;
};

/* err and code as sl_queue_submit tells them; also SL_ENOSPC "disk_full". */
struct sl_put_result {
    enum sl_err err;
    const char *code;    /* NULL: there is none. */
    uint64_t task_id;    /* The new task, or the one that holds the key. */
    enum sl_state state; /* After it. */
    bool is_existing;    /* It was there. */
    bool is_replaced;    /* And has what was put now (debounce). */
};

struct sl_lease_ask {
    uint64_t holder; /* A worker: all it holds can be extended, or given back, at once. */
    uint64_t duration_ns;
    uint32_t max;       /* Leases. */
    size_t bytes_max;   /* Of payloads; the first counts as within it. */
    bool is_prefetched; /* They have not begun until `begin` says so: lose.h. */
};

enum sl_end_kind {
    SL_END_DONE,    /* bytes: the result. */
    SL_END_FAILED,  /* The code failed: tried again by its policy, or dead. bytes: why. */
    SL_END_CRASHED, /* The process died of it. bytes: its last lines. */
    SL_END_SNOOZED, /* It is put off by after_ms (>= 1), uncounted as an attempt. */
    SL_END_RELEASED /* It did not begin: before those that never left, uncounted. */
};

struct sl_end_item {
    uint64_t task_id, epoch;
    enum sl_end_kind kind;
    uint64_t served_ns;    /* How long it was worked on; 0: unknown. */
    uint64_t after_ms;     /* FAILED: a pause that was asked for, 0 none. SNOOZED: how long. */
    struct sl_slice class; /* FAILED: the error's class, for the policy. */
    uint32_t signal;       /* CRASHED: what killed it, 0 unknown... */
    uint64_t peak_bytes;   /* ...and its memory at most, 0 unknown. */
    struct sl_slice bytes; /* As above. */
};

enum sl_order {
    SL_ORDER_CANCEL,  /* One that has not ended: queued it is gone, running its lease is stale. */
    SL_ORDER_REDRIVE, /* One that failed begins again; with `edit` otherwise than before. */
    SL_ORDER_EDIT,    /* One that waits: time, priority, payload. */
    SL_ORDER_FORGET   /* One that ended. */
};

struct sl_order_edit {
    uint64_t delay_ms;       /* From now; 0: due at once, also if it was scheduled. */
    int priority;            /* < 0: as it was. */
    struct sl_slice payload; /* Empty: as it was. */
};

enum sl_task_bytes {
    SL_TASK_PAYLOAD, /* SL_ENOTFOUND once it succeeded. */
    SL_TASK_RESULT,
    SL_TASK_WHY,  /* Of its last failure. */
    SL_TASK_LINES /* The last that its runs have said. */
};
struct sl_backend;
struct sl_backend_ops {
    /* SL_ENOTFOUND, SL_EINVAL: none, or more than SL_PUT_ITEMS_MAX; no result is written. */
    enum sl_err (*put)(struct sl_backend *b, struct sl_when when, struct sl_queue_name queue,
                       const struct sl_put_item *items, uint32_t count,
                       struct sl_put_result *ret_results);
    /* *ret_count of ret_leases[ask->max]; payloads are appended to `payloads` and lent from it. */
    enum sl_err (*lease)(struct sl_backend *b, struct sl_when when, struct sl_queue_name queue,
                         const struct sl_lease_ask *ask, struct sl_buf *payloads,
                         struct sl_lease *ret_leases, uint32_t *ret_count);
    /* ret_errs: SL_OK, SL_ESTALE, SL_EINVAL, SL_ETOOBIG (result), SL_ENOSPC. SL_EINVAL: too many.
     */
    enum sl_err (*end)(struct sl_backend *b, struct sl_when when, struct sl_scope scope,
                       const struct sl_end_item *items, uint32_t count, enum sl_err *ret_errs);
    enum sl_err (*extend)(struct sl_backend *b, struct sl_scope scope, uint64_t task_id,
                          uint64_t epoch, uint64_t deadline_ns); /* SL_ESTALE. */
    void (*extend_holder)(struct sl_backend *b, uint64_t holder, uint64_t deadline_ns);
    enum sl_err (*begin)(struct sl_backend *b, struct sl_scope scope, uint64_t task_id,
                         uint64_t epoch); /* SL_ESTALE. */
    /* A worker is gone: lose.h. How many leases it had; some end now, the others by `tick`. */
    uint64_t (*lose)(struct sl_backend *b, struct sl_when when, const struct sl_loss *loss);
    /* All that a holder has goes back at once as if it had not begun. How many. */
    uint64_t (*release_holder)(struct sl_backend *b, uint64_t holder);
    enum sl_err (*set)(struct sl_backend *b, struct sl_queue_name queue,
                       const struct sl_lane_settings *settings); /* SL_EINVAL, SL_ENOSPC. */
    /* Remove a queue, at once, with its jobs and leases; its name is free. SL_ENOTFOUND, SL_ENOSPC,
     * SL_EBUSY: some have not ended, and it is not forced. */
    enum sl_err (*drop)(struct sl_backend *b, struct sl_queue_name queue, bool is_forced);
    /* SL_ENOTFOUND, SL_ENOSPC, SL_EBUSY: its state. SL_EINVAL, SL_ETOOBIG: the edit, if any. */
    enum sl_err (*order)(struct sl_backend *b, struct sl_when when, struct sl_scope scope,
                         uint64_t task_id, enum sl_order order, const struct sl_order_edit *edit);
    enum sl_err (*task)(struct sl_backend *b, struct sl_scope scope, uint64_t task_id,
                        struct sl_task_info *ret_info);
    /* Appends the bytes. SL_ENOTFOUND, SL_ECORRUPT, SL_EIO. */
    enum sl_err (*read)(struct sl_backend *b, struct sl_scope scope, uint64_t task_id,
                        enum sl_task_bytes which, struct sl_buf *out);
    bool (*scan)(struct sl_backend *b, struct sl_task_scan *scan, uint32_t slots_max,
                 struct sl_task_info *ret_info, bool *ret_is_end); /* As sl_queue_scan. */
    enum sl_err (*depth)(struct sl_backend *b, struct sl_queue_name queue,
                         struct sl_queue_depth *ret_depth);
    /* Leases that were lost, or lapsed (crashed, if they had begun), results whose time is over,
     * and the like: some of it, each call. Monotonic nanoseconds when to call again, maybe past. */
    uint64_t (*tick)(struct sl_backend *b, struct sl_when when);
    enum sl_err (*sync)(struct sl_backend *b);
};

struct sl_backend {
    const struct sl_backend_ops *ops;
};

#endif
