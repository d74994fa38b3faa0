/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_state.h - what the simulation's own files share.
 *
 *   sim.c          time: what happens next, and what happened
 *   sim_process.c  processes, their clocks and links
 *   sim_life.c     how actors start and end, and their relations
 *   sim_turn.c     what a process does with its messages, and what comes of it
 */
#ifndef SL_RUNTIME_SIM_STATE_H
#define SL_RUNTIME_SIM_STATE_H

#include "runtime/mailbox.h"
#include "runtime/relations.h"
#include "runtime/sim.h"
#include "runtime/sim_events.h"
#include "runtime/sim_trace.h"

#define SL_SIM_PORTS_MAX  16
#define SL_SIM_NO_PROCESS 0

struct sl_sim_actor {
    uint32_t number;
    uint8_t ending; /* Once it is to end: the reason + 1. */
    const struct sl_actor_class *class;
    void *state;
    struct sl_relations *relations; /* NULL: none. */
};

struct sl_sim_work {
    struct sl_sim_work *next;
    void (*work)(void *argument);
    void *argument;
    uint64_t token;
    uint32_t actor;
};

struct sl_sim_process {
    struct sl_driver driver; /* First: effects come back by it. */
    struct sl_sim *sim;
    uint32_t id, node;
    bool is_alive, is_syncing, is_running;
    struct sl_store *store;
    struct sl_sim_actor **actors;
    uint32_t actors_count, spawned; /* spawned: those without a known number, ever. */
    struct sl_sim_link *links;      /* By node. */
    uint32_t links_count;
    struct sl_msg_list inbox, local, held;
    struct sl_sim_work *work_oldest, **work_tail;
    uint64_t stalled_until_ns;
    uint64_t killed_ns, lost_after_ns; /* Once dead: what it sent later than this is lost. */
    uint64_t tick_at_ns;
    /* Its own clocks: at base_at_ns of ours the monotonic one showed base_ns. */
    uint64_t base_at_ns, base_ns;
    int64_t rate_ppm, wall_ms;
};

struct sl_sim_port {
    void (*take)(void *arg, uint32_t process, struct sl_msg *msg);
    void *arg;
};

struct sl_sim {
    struct sl_sim_options options;
    struct sl_random random;
    struct sl_sim_events events;
    struct sl_sim_session *sessions;
    struct sl_sim_link_counts counts;
    uint64_t now_ns, events_count, hash;
    struct sl_sim_process **processes; /* Process n at n - 1, dead ones too. */
    uint32_t processes_count;
    struct sl_sim_port ports[SL_SIM_PORTS_MAX];
    struct sl_buf scratch;
    struct sl_sim_trace trace;
};

static inline struct sl_sim_process *
sl_sim_process_of(const struct sl_sim *sim, uint32_t id)
{
    sl_assert(id > SL_SIM_NO_PROCESS && id <= sim->processes_count);
    return sim->processes[id - 1];
}

static inline struct sl_sim_process *
sl_sim_process_of_driver(struct sl_driver *d)
{
    return SL_CONTAINER(d, struct sl_sim_process, driver);
}

/* ---- sim_process.c ------------------------------------------------------------------------- */
uint64_t sl_sim_process_ns(const struct sl_sim_process *p); /* What its own clock shows. */
/* How long a delay by that clock is for us; never so short that it would show less. */
uint64_t sl_sim_process_delay(const struct sl_sim_process *p, uint64_t delay_ns);
struct sl_sim_link *sl_sim_link_lookup(const struct sl_sim_process *p, uint32_t node);

/* ---- sim_life.c ---------------------------------------------------------------------------- */
struct sl_sim_actor *sl_sim_actor_lookup(const struct sl_sim_process *p, uint32_t number);
/* As sl_spawn. `by` NULL: nobody's child. */
enum sl_err sl_sim_life_spawn(struct sl_sim_process *p, const struct sl_ctx *by,
                              const struct sl_spawn_what *what,
                              const struct sl_spawn_options *options, struct sl_addr *ret_addr);
void sl_sim_life_end(struct sl_sim_process *p, struct sl_sim_actor *a); /* Its `ending` is set. */
void sl_sim_life_drop(struct sl_sim_process *p); /* All of them, telling nobody. */
/* Whether the handler is to see a message; it may have set `ending`. */
bool sl_sim_life_take(struct sl_sim_process *p, struct sl_sim_actor *a, struct sl_ctx *ctx,
                      const struct sl_msg *msg);
void sl_sim_refuse(struct sl_sim_process *p, struct sl_msg *msg, enum sl_err reason);
enum sl_err sl_sim_gone(uint32_t number); /* Why who has this number cannot be reached. */
enum sl_err sl_sim_effect_spawn(struct sl_driver *d, const struct sl_ctx *by,
                                const struct sl_spawn_what *what,
                                const struct sl_spawn_options *options, struct sl_addr *ret_addr);
void sl_sim_effect_stop(struct sl_driver *d, struct sl_addr who, enum sl_err reason);
void sl_sim_effect_link(struct sl_driver *d, struct sl_addr who, struct sl_addr to, bool is_linked);
uint64_t sl_sim_effect_call(struct sl_driver *d, struct sl_msg *msg, uint64_t timeout_ns);

/* ---- sim_turn.c ---------------------------------------------------------------------------- */
extern const struct sl_driver_ops sl_sim_effects;
struct sl_ctx sl_sim_context(struct sl_sim_process *p, uint32_t actor);
/* Run batches until nothing is left, or until one has to be synced first. */
void sl_sim_run(struct sl_sim_process *p);
void sl_sim_finish_sync(struct sl_sim_process *p);
void sl_sim_tick_store(struct sl_sim_process *p, bool is_idle);

#endif
