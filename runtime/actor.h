/* SPDX-License-Identifier: Apache-2.0 */
/*
 * actor.h - the actor rule. An actor is a state machine with an address: its handler takes one
 * message, runs to completion and writes its effects to the outbox. It calls no clock, socket,
 * thread or file; time and random numbers come in the context. So the same actor runs live and in
 * simulation.
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

struct sl_driver; /* live.h or the simulation. */

/* What a handler may touch besides its own state. */
struct sl_ctx {
    struct sl_addr self;
    uint64_t now_ns; /* Monotonic. */
    uint64_t now_ms; /* Wall clock. */
    struct sl_random *random;
    struct sl_store *store;   /* NULL where this node has none. */
    struct sl_driver *driver; /* Only for the functions below. */
};

struct sl_actor_class {
    const char *name;
    size_t state_size;
    void (*init)(void *self, struct sl_ctx *ctx, const void *argument);
    void (*handle)(void *self, struct sl_ctx *ctx, const struct sl_msg *msg);
    void (*deinit)(void *self); /* May be NULL. */
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

/* How a driver implements them. */
struct sl_driver_ops {
    void (*send)(struct sl_driver *d, struct sl_msg *msg); /* Takes msg; from and to are set. */
    void (*after)(struct sl_driver *d, struct sl_addr who, uint64_t delay_ns, uint64_t token);
    void (*work)(struct sl_driver *d, struct sl_addr who, void (*work)(void *), void *argument,
                 uint64_t token);
};
struct sl_driver {
    const struct sl_driver_ops *ops;
};

#endif
