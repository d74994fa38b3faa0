/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_events.h - all that will happen in a simulation: a heap ordered by time and then by the order
 * of making, over events that are taken from a pool and go back to it.
 * Threading: one owner.
 */
#ifndef SL_RUNTIME_SIM_EVENTS_H
#define SL_RUNTIME_SIM_EVENTS_H

#include "runtime/message.h"

enum sl_sim_event_kind {
    SL_SIM_ARRIVE,
    SL_SIM_TIMER,
    SL_SIM_SYNC,
    SL_SIM_TICK,
    SL_SIM_CALL, /* Of a function, not of an actor. */
    SL_SIM_DUE   /* A call of an actor may have gone unanswered for too long. */
};

struct sl_sim_event {
    enum sl_sim_event_kind kind;
    uint32_t process;               /* Of a CALL: 0. */
    uint32_t sender;                /* Of an ARRIVE: who sent it, 0 when it was posted. */
    uint32_t actor;                 /* Of a TIMER or DUE: whose. */
    uint64_t sent_ns;               /* Of those: what its process' clock shows when it is due. */
    struct sl_msg *msg;             /* Of an ARRIVE, owned. */
    struct sl_sim_session *session; /* Of an ARRIVE over a link. */
    void (*fn)(void *arg, uint64_t value);
    void *arg;
    uint64_t value; /* Of a CALL; the session's number; the timer's token. */
};

struct sl_sim_due {
    uint64_t at_ns, order;
    struct sl_sim_event *event;
};

struct sl_sim_events {
    struct sl_sim_due *heap;
    uint32_t count, capacity;
    uint64_t order_next;
    struct sl_sim_event *free; /* Linked by arg. */
    void **blocks;
    uint32_t blocks_count;
};

void sl_sim_events_deinit(struct sl_sim_events *e); /* Messages inside go too. */
/* Add a copy of `event`. */
void sl_sim_events_add(struct sl_sim_events *e, uint64_t at_ns, const struct sl_sim_event *event);
/* Put one back that was popped: for later. */
void sl_sim_events_again(struct sl_sim_events *e, uint64_t at_ns, struct sl_sim_event *event);
/* The next one, and when; NULL: there is none. The caller gives it back with release. */
struct sl_sim_event *sl_sim_events_pop(struct sl_sim_events *e, uint64_t *ret_at_ns);
void sl_sim_events_release(struct sl_sim_events *e, struct sl_sim_event *event);

#endif
