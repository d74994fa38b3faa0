/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h - the simulation: many nodes in one thread, with a seeded clock and network. It runs the
 * same actors as live.h, so what fails here is a seed that replays exactly.
 *
 *     process:  start --> spawn actors, link --> ... --> kill (its actors, timers and messages go)
 *
 * A process is one life of a node: numbers may come back, processes never do. Messages between
 * linked processes take a random time, in order within a link (sim_link.h); a link can be cut (what
 * is sent meanwhile waits, or is lost), a process stalled, its clock skewed. As in live.h, what
 * leaves a process whose store has commits waits for the sync, which takes time, unless its level
 * asks for less: who kills it before then loses both.
 *
 * Threading: one thread.
 */
#ifndef SL_RUNTIME_SIM_H
#define SL_RUNTIME_SIM_H

#include "runtime/actor.h"
#include "runtime/sim_link.h"

struct sl_sim;

enum sl_sim_what { SL_SIM_SENT, SL_SIM_DELIVERED, SL_SIM_HANDLED };
enum sl_sim_cut { SL_SIM_CUT_LOSSY = 1, SL_SIM_CUT_ONE_WAY = 2 }; /* Or-ed. */

struct sl_sim_options {
    uint64_t seed;
    uint64_t start_ms;                   /* The wall clock at the start. */
    uint64_t delay_min_ns, delay_max_ns; /* Of a link. 0: 20 us, 2 ms. */
    uint64_t sync_min_ns, sync_max_ns;   /* Of a store. 0: 50 us, 5 ms. */
    uint32_t trace_lines;                /* How many of the last events are kept as text. */
    bool is_unheld; /* Let effects out before the sync: a planted bug, for tests of tests. */
    /* Hears of a message when a handler sends it, when one is about to take it, and when it has.
       May be NULL. */
    void (*observe)(void *arg, enum sl_sim_what what, uint32_t process, const struct sl_msg *msg);
    /* May change what is about to be delivered: another planted bug. May be NULL. */
    void (*tamper)(void *arg, uint32_t process, struct sl_msg **msg);
    /* A store could not be synced: the process is to be killed. */
    void (*failed)(void *arg, uint32_t process, enum sl_err err);
    void *arg;
};

struct sl_sim *sl_sim_create(const struct sl_sim_options *options);
void sl_sim_destroy(struct sl_sim **sim); /* Kills all processes. NULL inside is fine. */

/* ---- processes ----------------------------------------------------------------------------- */
/* Start a process that is node `node`. `store` is borrowed until it is killed; NULL: none. */
uint32_t sl_sim_start(struct sl_sim *sim, uint32_t node, struct sl_store *store);
/* Start an actor with a known number, or any (0): the number. */
uint32_t sl_sim_spawn(struct sl_sim *sim, uint32_t process, uint32_t actor,
                      const struct sl_actor_class *class, const void *argument);
/* Let an actor fail, as by sl_fail; one that is not there is fine. Not from a handler or observer.
 */
void sl_sim_fail(struct sl_sim *sim, uint32_t process, uint32_t actor, enum sl_err reason);
/* What it sent within the last moments may be lost. Not from a handler or observer. */
void sl_sim_kill(struct sl_sim *sim, uint32_t process);
bool sl_sim_is_alive(const struct sl_sim *sim, uint32_t process);
uint32_t sl_sim_node(const struct sl_sim *sim, uint32_t process);
uint32_t sl_sim_actors(const struct sl_sim *sim, uint32_t process);       /* How many it has. */
void *sl_sim_state(struct sl_sim *sim, uint32_t process, uint32_t actor); /* NULL: none. */
void sl_sim_stall(struct sl_sim *sim, uint32_t process, uint64_t duration_ns);

/* Each finds the other by its node's number; a link made before to that number is forgotten. */
void sl_sim_link(struct sl_sim *sim, uint32_t a, uint32_t b);
/* The session between them ends: what is under way either way is lost, and more comes back to its
 * sender. Who is to hear of it (peer_down) is told by a post. One of them may be dead. */
void sl_sim_unlink(struct sl_sim *sim, uint32_t a, uint32_t b);
/* What either sends the other (one way: what a sends b) meanwhile waits, or is lost. */
void sl_sim_cut(struct sl_sim *sim, uint32_t a, uint32_t b, uint64_t duration_ns, uint32_t how);
/* Both ways; the session above it keeps what links promise. */
void sl_sim_weather(struct sl_sim *sim, uint32_t a, uint32_t b,
                    const struct sl_sim_weather *weather);
void sl_sim_link_counts(const struct sl_sim *sim, struct sl_sim_link_counts *ret_counts);
/* Let a process' clock run faster by `rate_ppm`, and its wall clock be ahead by `wall_ms`. */
void sl_sim_skew(struct sl_sim *sim, uint32_t process, int64_t rate_ppm, int64_t wall_ms);

/* Messages to {SL_NODE_PORT, port} of any process go to `take`, which owns them. port < 16. */
void sl_sim_port(struct sl_sim *sim, uint32_t port,
                 void (*take)(void *arg, uint32_t process, struct sl_msg *msg), void *arg);
/* Deliver a message (taken) to an actor of a process after a time, if it is alive then. */
void sl_sim_post(struct sl_sim *sim, uint32_t process, uint32_t actor, uint64_t delay_ns,
                 struct sl_msg *msg);

/* ---- time ---------------------------------------------------------------------------------- */
/* Call `fn` later. */
void sl_sim_at(struct sl_sim *sim, uint64_t delay_ns, void (*fn)(void *arg, uint64_t value),
               void *arg, uint64_t value);
bool sl_sim_step(struct sl_sim *sim); /* One event; false: there is none. */
uint64_t sl_sim_now_ns(const struct sl_sim *sim);
uint64_t sl_sim_now_ms(const struct sl_sim *sim);                     /* The wall clock. */
uint64_t sl_sim_local_ns(const struct sl_sim *sim, uint32_t process); /* As its own clock has it. */
uint64_t sl_sim_local_ms(const struct sl_sim *sim, uint32_t process);
struct sl_random *sl_sim_random(struct sl_sim *sim);
uint64_t sl_sim_between(struct sl_sim *sim, uint64_t min, uint64_t max); /* Inclusive. */

uint64_t sl_sim_events(const struct sl_sim *sim); /* So far. */
uint64_t sl_sim_hash(const struct sl_sim *sim);   /* Of all events so far, in order. */
/* Add a line of one's own to the trace. */
void sl_sim_say(struct sl_sim *sim, const char *format, ...) SL_PRINTF(2, 3);
void sl_sim_trace(const struct sl_sim *sim,
                  struct sl_buf *out); /* The last events, oldest first. */

#endif
