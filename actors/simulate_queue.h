/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_queue.h - tenants' own queues in a simulated run: the real broker in the main process,
 * and *hands*, processes that put tasks and work on them, by the broker's messages. Hands outlive
 * the main process, die and come back as others, and lose their sessions, as their links do. An
 * operator in the main process pauses, resumes and cancels, as the API does.
 *
 *   simulate_queue_plan.c   what is put
 *   simulate_hand.c         producers and workers
 *   simulate_queue.c        their processes and links, the operator, what is said and looked at
 *   simulate_queue_check.c  what must hold
 *
 * Only for actors/simulate*.c. Threading: one owner.
 */
#ifndef SL_ACTORS_SIMULATE_QUEUE_H
#define SL_ACTORS_SIMULATE_QUEUE_H

#include "actors/queue_wire.h"
#include "actors/simulate_fault.h"
#include "actors/simulate_queue_check.h"

#define SL_SIMQ_PRODUCERS  2
#define SL_SIMQ_WORKERS    3
#define SL_SIMQ_HANDS      (SL_SIMQ_PRODUCERS + SL_SIMQ_WORKERS) /* Producers come first. */
#define SL_SIMQ_PREFETCHER 4 /* The hand that tells what it begins. */
#define SL_SIMQ_PORT       9 /* Tells the operator's caller. */
#define SL_SIMQ_REPEATS    2 /* Of a put with a key that holds, though it was answered. */

struct sl_world;

enum sl_simq_asked {
    SL_SIMQ_UNASKED,
    SL_SIMQ_ASKED, /* By a call that has no answer yet. */
    SL_SIMQ_CLOSED /* Answered; or it never will be, and must not be repeated. */
};

struct sl_simq_hand {
    struct sl_simq *own;
    uint32_t index, lives;
    uint32_t process, node; /* process 0: it is gone. */
    uint32_t main;          /* That it has a session with. 0: with none. */
    uint64_t sessions;      /* Begun so far. */
    uint64_t cut_until_ns;
};

struct sl_simq {
    struct sl_world *world;
    struct sl_simq_plan plan;
    struct sl_simq_check check;
    struct sl_simq_hand hands[SL_SIMQ_HANDS];
    enum sl_simq_asked asked[SL_SIMQ_TASKS];
    uint8_t repeats[SL_SIMQ_TASKS];
    bool is_crash_armed;      /* The main process dies about when the broker next answers. */
    const struct sl_msg *msg; /* That the broker is at. */
    struct sl_buf scratch;
};

struct sl_simq *sl_simq_create(struct sl_world *w);
void sl_simq_destroy(struct sl_simq **own);
void sl_simq_begin(struct sl_simq *own); /* Hands start. */
void sl_simq_spawn(struct sl_simq *own); /* The broker and the operator, in a new main process. */
void sl_simq_main_ends(struct sl_simq *own, bool is_power_loss);
void sl_simq_stalled(struct sl_simq *own, uint64_t duration_ns); /* The main process is. */
void sl_simq_skewed(struct sl_simq *own);                        /* It is about to be. */
void sl_simq_observe(struct sl_simq *own, uint32_t what, const struct sl_msg *msg);
/* Whatever a fault does besides to who works for the tenants' own queues. */
void sl_simq_strike(struct sl_simq *own, const struct sl_fault_event *e);
void sl_simq_end_hand(struct sl_simq *own, uint32_t index); /* Not from a handler. */
void sl_simq_look(struct sl_simq *own);                     /* At the queue, between batches. */
bool sl_simq_is_at_rest(const struct sl_simq *own);
void sl_simq_check_end(struct sl_simq *own); /* At rest. */
/* What hands are told goes by the clock of the broker's process. */
struct sl_simq_told sl_simq_told_now(const struct sl_simq *own, enum sl_level level);

/* ---- simulate_hand.c ------------------------------------------------------------------------- */
#define SL_SIMQ_HAND_ACTOR 1
extern const struct sl_actor_class sl_simq_hand_class; /* Argument: struct sl_simq_hand. */
/* What a producer asked for and will not hear of any more. */
void sl_simq_forget_calls(struct sl_simq *own, uint32_t index);

#endif
