/* SPDX-License-Identifier: Apache-2.0 */
/*
 * actor.h - the actor rule. An actor is a state machine with an address: its handler takes one
 * message, runs to completion and writes its effects to the outbox. It calls no clock, socket,
 * thread or file; time and random numbers come in the context. So the same actor runs live and in
 * simulation.
 *
 *     spawn --> init --> handle, handle, ... --> sl_stop, sl_fail, an exit or a link --> deinit
 *
 * An actor ends with a reason: SL_OK is normal, all others are failures. Whoever watches it gets
 * `down`; who is linked to it fails with it, unless its class traps. What an actor was sent and
 * did not handle comes back to its sender as `undelivered`, and so does what a full mailbox
 * refuses: that is the back-pressure, nobody waits.
 *
 * Effects that leave the process (frames, ports, work) are held back until everything that was
 * committed to the store before them is durable: what anybody hears of has happened for good.
 */
#ifndef SL_RUNTIME_ACTOR_H
#define SL_RUNTIME_ACTOR_H

#include "runtime/base.h"
#include "runtime/message.h"
#include "runtime/random.h"
#include "runtime/store.h"

struct sl_driver; /* live.h, scheduler.h or the simulation. */

/* What was committed before must have come so far before an effect leaves the process. */
enum sl_level {
    SL_LEVEL_DISK, /* On the disk: nothing loses it. */
    SL_LEVEL_OS,   /* With the kernel: lost with the machine's power, not with this process. */
    SL_LEVEL_RAM,  /* Nowhere: lost with this process, within some 50 ms. */
    SL_LEVEL_COUNT
};

/* What a handler may touch besides its own state. */
struct sl_ctx {
    struct sl_addr self;
    uint64_t now_ns; /* Monotonic. */
    uint64_t now_ms; /* Wall clock. */
    struct sl_random *random;
    struct sl_store *store;   /* NULL where this node has none. */
    struct sl_driver *driver; /* Only for the functions below. */
    /* Of the messages that are sent from here on: a handler may lower what it promises. */
    enum sl_level level;
};

struct sl_actor_class {
    const char *name;
    size_t state_size;
    void (*init)(void *self, struct sl_ctx *ctx, const void *argument);
    void (*handle)(void *self, struct sl_ctx *ctx, const struct sl_msg *msg);
    void (*deinit)(void *self); /* May be NULL. */
    bool is_trapping;           /* `exit` and `link_down` come as messages and end nothing. */
};

/* ---- effects ------------------------------------------------------------------------------- */
void sl_send(struct sl_ctx *ctx, struct sl_addr to, uint32_t id, const void *body);
/* A call: the reply comes back with `request`. Every wait needs a deadline of the caller's own. */
void sl_request(struct sl_ctx *ctx, struct sl_addr to, uint64_t request, uint32_t id,
                const void *body);
void sl_reply(struct sl_ctx *ctx, const struct sl_msg *to, uint32_t id, const void *body);
/* A `timer` message with `token` comes to this actor after `delay_ns`. */
void sl_after(struct sl_ctx *ctx, uint64_t delay_ns, uint64_t token);
/* Blocking work on the I/O pool; then a `work_done` message with token and argument comes back. */
void sl_work(struct sl_ctx *ctx, void (*work)(void *argument), void *argument, uint64_t token);

/* ---- actors that come and go ---------------------------------------------------------------- */
struct sl_spawn_options {
    uint32_t number;      /* A known address, 1 to 1023. 0: any, never one that was used lately. */
    uint32_t thread;      /* Runs on this thread only, counted from 1. 0: on any. */
    uint32_t mailbox_max; /* Messages that may wait, up to 32768. 0: 4096. */
    bool is_linked;       /* With who spawns it. */
    bool is_watched;      /* By who spawns it. */
};
/*
 * Its `init` has run when this returns; it may already have failed. `options` may be NULL.
 * SL_EFULL: too many actors. SL_EEXIST: the number is taken. SL_EUNAVAIL: not under this driver.
 */
SL_MUST_CHECK enum sl_err sl_spawn(struct sl_ctx *ctx, const struct sl_actor_class *class,
                                   const void *argument, const struct sl_spawn_options *options,
                                   struct sl_addr *ret_addr);
/* End this actor, once its handler returns. sl_fail: with any reason but SL_OK. */
void sl_stop(struct sl_ctx *ctx);
void sl_fail(struct sl_ctx *ctx, enum sl_err reason);
/* Ask another to end with `reason`; one that traps decides for itself. sl_kill: also one that
 * traps.
 */
void sl_exit(struct sl_ctx *ctx, struct sl_addr who, enum sl_err reason);
void sl_kill(struct sl_ctx *ctx, struct sl_addr who, enum sl_err reason);
/* Once `who` has ended, or at once if it is not there, `down` comes from its address. */
void sl_watch(struct sl_ctx *ctx, struct sl_addr who);
void sl_unwatch(struct sl_ctx *ctx, struct sl_addr who); /* One `down` may still be under way. */
void sl_link(struct sl_ctx *ctx, struct sl_addr who);
void sl_unlink(struct sl_ctx *ctx, struct sl_addr who);
/*
 * A call with a deadline: exactly one message carries the number returned: the reply (sl_reply),
 * `timeout` or `undelivered`. A reply after the deadline is dropped. 0: too many calls are open, or
 * this driver has none; nothing was sent.
 */
uint64_t sl_call(struct sl_ctx *ctx, struct sl_addr to, uint64_t timeout_ns, uint32_t id,
                 const void *body);

/* ---- how a driver implements them: those after `work` may be NULL ------------------------------
 */
/* What `spawn` is given. */
struct sl_spawn_what {
    const struct sl_actor_class *class;
    const void *argument;
};
struct sl_driver_ops {
    void (*send)(struct sl_driver *d, struct sl_msg *msg); /* Takes msg; from and to are set. */
    void (*after)(struct sl_driver *d, struct sl_addr who, uint64_t delay_ns, uint64_t token);
    void (*work)(struct sl_driver *d, struct sl_addr who, void (*work)(void *), void *argument,
                 uint64_t token);
    enum sl_err (*spawn)(struct sl_driver *d, const struct sl_ctx *by,
                         const struct sl_spawn_what *what, const struct sl_spawn_options *options,
                         struct sl_addr *ret_addr);
    void (*stop)(struct sl_driver *d, struct sl_addr who, enum sl_err reason);
    void (*link)(struct sl_driver *d, struct sl_addr who, struct sl_addr to, bool is_linked);
    uint64_t (*call)(struct sl_driver *d, struct sl_msg *msg, uint64_t timeout_ns); /* Takes msg. */
};
struct sl_driver {
    const struct sl_driver_ops *ops;
};

#endif
