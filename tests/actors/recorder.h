/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder.h - a driver that keeps what an actor does, for tests that deliver messages by hand.
 * Time is a field. Effects are kept in order until they are taken.
 */
#ifndef SL_TESTS_ACTORS_RECORDER_H
#define SL_TESTS_ACTORS_RECORDER_H

#include <criterion/criterion.h>

#include "actors/cluster.h"
#include "actors/image_message.h"
#include "extractors/replica.h"
#include "runtime/alloc.h"

struct recorded_timer {
    uint64_t at_ns, token;
};

struct recorded_work {
    void (*work)(void *argument);
    void *argument;
    uint64_t token;
};

struct recorder {
    struct sl_driver driver;
    const struct sl_actor_class *class;
    void *actor;
    struct sl_addr self;
    struct sl_random random;
    struct sl_store *store;
    uint64_t now_ns, now_ms;
    struct sl_msg *sent[4096]; /* NULL: taken. */
    uint32_t sent_count;
    struct recorded_timer timers[1024];
    uint32_t timers_count;
    struct recorded_work works[64];
    uint32_t works_count;
};

static inline void
recorder_send(struct sl_driver *d, struct sl_msg *msg)
{
    struct recorder *r = SL_CONTAINER(d, struct recorder, driver);
    cr_assert_lt(r->sent_count, SL_COUNT_OF(r->sent));
    r->sent[r->sent_count++] = msg;
}

static inline void
recorder_after(struct sl_driver *d, struct sl_addr who, uint64_t delay_ns, uint64_t token)
{
    struct recorder *r = SL_CONTAINER(d, struct recorder, driver);
    cr_assert_eq(who.actor, r->self.actor);
    cr_assert_lt(r->timers_count, SL_COUNT_OF(r->timers));
    r->timers[r->timers_count++] = (struct recorded_timer){r->now_ns + delay_ns, token};
}

static inline void
recorder_work(struct sl_driver *d, struct sl_addr who, void (*work)(void *), void *argument,
              uint64_t token)
{
    struct recorder *r = SL_CONTAINER(d, struct recorder, driver);
    cr_assert_eq(who.actor, r->self.actor);
    cr_assert_lt(r->works_count, SL_COUNT_OF(r->works));
    r->works[r->works_count++] = (struct recorded_work){work, argument, token};
}

static inline struct sl_ctx
recorder_ctx(struct recorder *r)
{
    return (struct sl_ctx){.self = r->self,
                           .now_ns = r->now_ns,
                           .now_ms = r->now_ms,
                           .random = &r->random,
                           .store = r->store,
                           .driver = &r->driver};
}

static inline void
recorder_start(struct recorder *r, const struct sl_actor_class *class, struct sl_addr self,
               const void *argument)
{
    static const struct sl_driver_ops ops = {
        .send = recorder_send, .after = recorder_after, .work = recorder_work};
    sl_protocol_register(&sl_protocol_replica);
    sl_protocol_register(&sl_protocol_cluster);
    sl_protocol_register(&sl_protocol_image);
    r->driver.ops = &ops;
    r->class = class;
    r->self = self;
    r->actor = sl_zalloc(class->state_size);
    sl_random_seed(&r->random, 1);
    r->now_ns = SL_SECOND_NS;
    r->now_ms = UINT64_C(1700000000000);
    struct sl_ctx ctx = recorder_ctx(r);
    if (class->init != NULL)
        class->init(r->actor, &ctx, argument);
}

/* Drop what was sent so far. */
static inline void
recorder_forget_sent(struct recorder *r)
{
    for (uint32_t i = 0; i < r->sent_count; i++)
        sl_msg_destroy(&r->sent[i]);
    r->sent_count = 0;
}

/* Drop what was sent and set so far. */
static inline void
recorder_forget(struct recorder *r)
{
    recorder_forget_sent(r);
    r->timers_count = 0;
}

static inline void
recorder_stop(struct recorder *r)
{
    recorder_forget(r);
    if (r->class->deinit != NULL)
        r->class->deinit(r->actor);
    sl_free(r->actor);
}

static inline void
recorder_deliver(struct recorder *r, struct sl_addr from, uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    struct sl_ctx ctx = recorder_ctx(r);
    msg->from = from;
    msg->to = r->self;
    msg->request = from.actor * 1000 + from.node; /* Replies are told apart by it. */
    r->class->handle(r->actor, &ctx, msg);
    sl_msg_destroy(&msg);
}

#include "tests/actors/recorder_look.h"

#endif
