/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheduler_state.h - what the scheduler's own files share. Locks are taken in this order: none of
 * them is held while another is taken.
 */
#ifndef SL_RUNTIME_SCHEDULER_STATE_H
#define SL_RUNTIME_SCHEDULER_STATE_H

#include "runtime/actor_table.h"
#include "runtime/iopool.h"
#include "runtime/run_queue.h"
#include "runtime/scheduler.h"
#include "runtime/timers.h"

/* Something to run on a thread that is no actor; lives on its caller's stack. */
struct sl_errand {
    struct sl_errand *next;
    void (*fn)(void *arg, struct sl_ctx *ctx);
    void *arg;
    bool is_done;
};

/* A list of actors, first in, first out, by next_run. */
struct sl_slot_list {
    struct sl_actor_slot *oldest, *newest;
};

static inline void
sl_slot_list_push(struct sl_slot_list *l, struct sl_actor_slot *slot)
{
    slot->next_run = NULL;
    if (l->oldest == NULL)
        l->oldest = slot;
    else
        l->newest->next_run = slot;
    l->newest = slot;
}

static inline struct sl_actor_slot *
sl_slot_list_pop(struct sl_slot_list *l)
{
    struct sl_actor_slot *slot = l->oldest;
    if (slot != NULL)
        l->oldest = slot->next_run;
    return slot;
}

/* Written by its thread only; others may read. */
struct sl_actor_thread_stats {
    _Atomic uint64_t messages, turns, steals, sleeps, spawned, ended, failed, undelivered;
};

static inline void
sl_stat_add(_Atomic uint64_t *stat, uint64_t more)
{
    atomic_store_explicit(stat, atomic_load_explicit(stat, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

struct sl_actor_thread {
    struct sl_driver driver; /* Effects come back to us by it. */
    struct sl_scheduler *scheduler;
    uint32_t index, round, looks_left_out;
    uint64_t look_ns; /* How long it looks for work before it sleeps. */
    uint64_t now_ns, now_ms;
    uint64_t coarse_ns;         /* The coarse clock, when now_ns was read. */
    struct sl_slot_list pinned; /* Runnable, and this thread's alone. */
    struct sl_timers timers;
    struct sl_random random;
    struct sl_actor_thread_stats stats;
    struct sl_run_queue queue;                          /* Runnable on any. */
    _Alignas(64) _Atomic(struct sl_actor_slot *) inbox; /* Pinned ones that others made runnable. */
    _Atomic(struct sl_errand *) errands;
    _Atomic uint32_t awake; /* A futex: 1 tells a sleeper to go on. */
    pthread_t thread;
};

struct sl_scheduler {
    struct sl_scheduler_options options;
    struct sl_actor_table table;
    struct sl_iopool *pool;
    struct sl_actor_thread *workers;
    uint32_t workers_count;
    bool has_joined;
    /* Runnable actors that no thread has: from outside, and what a full ring could not hold. */
    pthread_mutex_t lock; /* Also of errands' ends. */
    pthread_cond_t errand_done;
    struct sl_slot_list shared;
    _Alignas(64) _Atomic uint32_t shared_count;
    _Alignas(64) _Atomic uint64_t asleep; /* A bit for each thread that sleeps, or is about to. */
    _Atomic uint32_t next_thread;         /* For errands that any thread may run. */
    _Atomic uint32_t works_count;         /* On the I/O pool, or on the way back. */
    _Atomic uint64_t refused_outside;
    _Atomic bool is_draining;
    _Atomic uint32_t is_done; /* A futex: the threads end. */
};

/* ---- scheduler_deliver.c: messages to mailboxes. `w` is NULL on threads that are not ours. ----
 */
/* Takes msg; who cannot be reached is told to the sender, unless it comes from outside. */
enum sl_err sl_deliver(struct sl_scheduler *s, struct sl_actor_thread *w, struct sl_msg *msg);
/* A message that was in the mailbox of an actor that has ended, or is not what `to` says. */
void sl_refuse(struct sl_scheduler *s, struct sl_actor_thread *w, struct sl_msg *msg,
               enum sl_err reason);
/* Put an actor that is BUSY into a run queue. */
void sl_make_runnable(struct sl_scheduler *s, struct sl_actor_thread *w,
                      struct sl_actor_slot *slot);
void sl_wake(struct sl_scheduler *s, uint32_t index);
void sl_wake_one(struct sl_scheduler *s);
/* A message of the driver's own, from `from` to `to`. */
void sl_deliver_system(struct sl_actor_thread *w, struct sl_addr from, struct sl_addr to,
                       uint32_t id, const void *body);

/* ---- scheduler_life.c: how actors start and end -------------------------------------------- */
enum sl_err sl_life_spawn(struct sl_actor_thread *w, const struct sl_ctx *by,
                          const struct sl_spawn_what *what, const struct sl_spawn_options *options,
                          struct sl_addr *ret_addr);
/* Its handler has returned and it is to end: tells all who are to know. */
void sl_life_end(struct sl_actor_thread *w, struct sl_actor_slot *slot);
struct sl_relations *sl_relations_of(struct sl_actor_slot *slot); /* Made if there are none. */

/* ---- scheduler_turn.c: an actor's turn, and its effects ------------------------------------ */
extern const struct sl_driver_ops sl_scheduler_effects;
struct sl_ctx sl_actor_thread_context(struct sl_actor_thread *w, uint32_t self);
void sl_actor_thread_read_clock(struct sl_actor_thread *w);
void sl_turn(struct sl_actor_thread *w, struct sl_actor_slot *slot);

/* ---- scheduler_worker.c: what a thread does ------------------------------------------------ */
/* Something that is to be done now; false: there is nothing. */
bool sl_actor_thread_step(struct sl_actor_thread *w);
void *sl_actor_thread_main(void *worker);
/* Says so; false: there is work after all. */
bool sl_actor_thread_sleeps(struct sl_actor_thread *w);
void sl_actor_thread_wakes(struct sl_actor_thread *w);
void sl_scheduler_finish(struct sl_scheduler *s); /* All threads end after their turn. */

static inline struct sl_actor_thread *
sl_actor_thread_of(struct sl_driver *d)
{
    return SL_CONTAINER(d, struct sl_actor_thread, driver);
}

static inline bool
sl_is_system(const struct sl_msg *msg)
{
    return msg->id >> 16 == SL_PROTOCOL_SYSTEM;
}

#endif
