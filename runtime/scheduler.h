/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheduler.h - runs actors on a fixed pool of threads. An actor that has messages is in one run
 * queue; a thread takes it, gives it a turn (at most 64 messages, about a millisecond) and puts it
 * back behind the others. A thread with nothing to do steals half of another's queue, looks around
 * for some microseconds, then sleeps until it is woken or its next timer is due.
 *
 *     create --> spawn, post, ... --> stop: refuses what comes from outside, --> destroy
 *                                     runs until all is silent, ends the threads
 *
 * Order: what one actor sends another arrives in the order it was sent. An actor never runs on two
 * threads at once; the time that it is told is some milliseconds old at most, and never goes back.
 *
 * An actor spawned with `thread` runs on that one alone: for what owns sockets or the store. Thread
 * 1 may be the caller's own (is_manual): it then gives turns by sl_scheduler_step.
 *
 * What cannot be taken goes back to its sender as `undelivered`: SL_EFULL, the mailbox is full;
 * SL_ESTALE, the actor has ended; SL_ENOTFOUND, there is no such actor; SL_EUNAVAIL, the node is
 * not to be reached. Nobody is parked: who floods others learns it, and a request is never silent.
 *
 * Threading: create, stop, destroy, step: one thread. The others: any, but not from a handler.
 */
#ifndef SL_RUNTIME_SCHEDULER_H
#define SL_RUNTIME_SCHEDULER_H

#include "runtime/actor.h"

#define SL_SCHEDULER_THREADS_MAX 64

struct sl_scheduler;
struct sl_io_work;

struct sl_scheduler_options {
    uint32_t node;       /* This node's number. 0: 1. */
    uint32_t threads;    /* 0: as many as processors; at most SL_SCHEDULER_THREADS_MAX. */
    uint32_t io_threads; /* 0: 2 */
    uint32_t actors_max; /* 0: as many as numbers go, 2 million. */
    uint64_t seed;       /* Of random numbers; 0: from the kernel. */
    uint64_t drain_ns;   /* A stop waits this long for silence. 0: a second. */
    /* Thread 1 is the caller's; `wake` (any thread) says that it should step. */
    bool is_manual;
    /* Turns of a manual thread end by the real clock, too; what a step says as time is as given. */
    bool has_real_turns;
    void (*wake)(void *arg);
    /* Takes messages to other nodes and ports, on the sender's thread. NULL: they are refused. */
    void (*remote)(void *arg, struct sl_msg *msg);
    /* Takes work, likewise, to give it to an I/O pool as it is. NULL: one of the scheduler's own.
     */
    void (*work)(void *arg, const struct sl_io_work *work);
    void *arg;
    struct sl_store *store; /* In the contexts of thread 1. Borrowed. */
};

struct sl_scheduler *sl_scheduler_create(const struct sl_scheduler_options *options);
/*
 * SL_ETIMEOUT: it was not silent in drain_ns; messages that were left are destroyed with it. Timers
 * and calls are not waited for, work on the I/O pool is. A manual one steps here.
 */
SL_MUST_CHECK enum sl_err sl_scheduler_stop(struct sl_scheduler *s);
/* Stopped, or manual without threads. Destroys the actors; NULL inside is fine. */
void sl_scheduler_destroy(struct sl_scheduler **s);

/* Run `fn` on a thread (from 1; 0: any) and wait for it: set-up, and looking at a live actor. A
   manual thread 1 runs it at once. Not once it is stopped. */
void sl_scheduler_run(struct sl_scheduler *s, uint32_t thread,
                      void (*fn)(void *arg, struct sl_ctx *ctx), void *arg);
/* sl_spawn from outside. SL_ECANCELED: it stops. */
SL_MUST_CHECK enum sl_err sl_scheduler_spawn(struct sl_scheduler *s,
                                             const struct sl_spawn_what *what,
                                             const struct sl_spawn_options *options,
                                             struct sl_addr *ret_addr);
/* Deliver a message; taken in any case. SL_EFULL, SL_ESTALE, SL_ENOTFOUND, SL_ECANCELED. */
SL_MUST_CHECK enum sl_err sl_scheduler_post(struct sl_scheduler *s, struct sl_msg *msg);

struct sl_instant {
    uint64_t mono_ns, wall_ms;
};
/* Manual: one turn at that time; false: nothing is to be done before *ret_next_ns (or ever,
   UINT64_MAX), and `wake` tells if that changes. */
bool sl_scheduler_step(struct sl_scheduler *s, struct sl_instant now, uint64_t *ret_next_ns);
/* Manual, on thread 1, between steps: a context for code that is no actor. `self` names who replies
   go to. */
struct sl_ctx sl_scheduler_context(struct sl_scheduler *s, struct sl_instant now, uint32_t self);

/* The state of an actor; NULL: it has ended. Only of one that cannot run meanwhile. */
const void *sl_scheduler_state(struct sl_scheduler *s, struct sl_addr who);

struct sl_scheduler_stats {
    uint64_t messages; /* Handled. */
    uint64_t turns;
    uint64_t steals; /* Times a thread took from another's queue. */
    uint64_t sleeps;
    uint64_t spawned, ended, failed; /* failed: of those that ended. */
    uint64_t undelivered;            /* Refused, whoever was told. */
};
struct sl_scheduler_stats sl_scheduler_stats(struct sl_scheduler *s);

#endif
