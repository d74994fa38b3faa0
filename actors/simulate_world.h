/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_world.h - what the parts of a simulated run share; only for actors/simulate*.c.
 *
 *   simulate.c          the run: starts and crashes of the main process, rest
 *   simulate_plan.c     which faults strike when
 *   simulate_fault.c    how they do
 *   simulate_spawner.c  the spawner: processes of nodes and replicas come and go
 *   simulate_double.c   doubles of the gateway (submits, cancels, calls) and of a replica
 *   simulate_queue.h    tenants' own queues, and who works on them; simulate_home.h: own nodes
 *   simulate_check.c    what must hold: messages and the store; simulate_history.c: the history
 */
#ifndef SL_ACTORS_SIMULATE_WORLD_H
#define SL_ACTORS_SIMULATE_WORLD_H

#include "actors/cluster.h"
#include "actors/index.h"
#include "actors/simulate.h"
#include "actors/simulate_history.h"
#include "actors/simulate_job.h"
#include "runtime/sim.h"
#include "runtime/sim_storage.h"

struct sl_world_child {
    uint64_t kind, tag, pid, pool; /* pool: sl_world_pool. */
    uint32_t asker, process;       /* process 0: not started. */
    bool is_gone, is_killed;       /* killed: it will be. */
};

struct sl_world {
    struct sl_simulate_options options;
    struct sl_simulate_result *result;
    struct sl_sim *sim;
    struct sl_sim_storage storage;
    /* Of the main process that runs, if any. */
    uint32_t main;
    struct sl_store *store;
    struct sl_queue *queue;
    struct sl_index_cache *indexes;
    uint64_t queue_before; /* The queue's digest when the last one died; 0: unknown. */
    bool is_spawner_down;
    bool is_crash_armed; /* The main process dies about when it next says something. */
    struct sl_world_child *children;
    uint32_t children_count;
    uint64_t pid_last;
    struct sl_world_job *jobs; /* First tiers, and those without a second; then second ones. */
    uint32_t jobs_count, jobs_all, open_from; /* open_from: all before it need nothing more. */
    struct sl_world_task **live;              /* Those with a lease, as the messages tell. */
    uint32_t live_count, live_capacity;
    struct sl_world_task *by_id[SL_WORLD_BUCKETS];
    uint32_t nodes_wanted;
    struct sl_buf nonces; /* A byte for each run of a task: 1 when it ended under a live lease. */
    uint64_t fault_until_ns;
    struct sl_fault_plan plan;
    struct sl_simq *own; /* simulate_queue.h */
    uint64_t start_fails_until_ns, item_fails_until_ns;
    struct sl_history history;
    uint64_t call_last, stale_before;
    size_t history_mark; /* Where the handler at work began. */
    uint64_t flip_draw;  /* Not 0: a bit of the log turns before the next start. */
};

/* Second tiers: task t is of the record that task t / SL_WORLD_RECORDS of the first tier wrote at
 * position t % SL_WORLD_RECORDS, and not there if none was written. */
static inline bool
sl_world_is_second(const struct sl_world *w, uint32_t job)
{
    return job >= w->jobs_count;
}
/* Jobs that are submitted together, in a class of their own. */
static inline bool
sl_world_is_rival(const struct sl_world *w, uint32_t job)
{
    return job < w->jobs_count && job + SL_WORLD_RIVALS >= w->jobs_count;
}
/* Only here may inputs be missing: those tasks end unseen by the history, so nothing is said of
 * such a lane's share; nor of one with own nodes. Lanes are {tenant}:{class}, six of them. */
static inline bool
sl_world_is_veiled(const struct sl_world *w, uint32_t job)
{
    if (sl_world_is_rival(w, job))
        return false;
    uint32_t lane = (sl_world_is_second(w, job) ? job - w->jobs_count : job) % 6;
    return lane == 0 || lane == 3 || lane == 5 || (lane == 2 && sl_world_has_home(w->options.seed));
}
/* Tenant times 4, and the class. */
static inline uint32_t
sl_world_lane(const struct sl_world *w, uint32_t job)
{
    uint32_t class = sl_world_is_second(w, job) ? 0 : sl_world_is_rival(w, job) ? 2 : job % 2;
    return (uint32_t)w->jobs[job].scope.id * 4 + class;
}
static inline bool
sl_world_is_delayed(const struct sl_world *w, uint32_t job)
{
    return job % 5 == 0 && !sl_world_is_rival(w, job);
}

/* Note what did not hold; the first one counts. */
void sl_world_fail(struct sl_world *w, const char *format, ...) SL_PRINTF(2, 3);
/* Take note of what happened; for the main process' clock. */
void sl_world_tell(struct sl_world *w, struct sl_history_event event);
void sl_world_crash(struct sl_world *w, bool is_power_loss); /* The main process. */
/* The main process says something of weight: if a crash is armed, it comes within moments. */
void sl_world_may_crash(struct sl_world *w);

/* ---- simulate_double.c --------------------------------------------------------------------- */
void sl_world_plan(struct sl_world *w); /* Make up the jobs. */
void sl_world_source_key(const struct sl_world *w, uint32_t job, uint32_t task, struct sl_buf *out);
const char *sl_world_collection(const struct sl_world *w, uint32_t job);
struct sl_slice sl_world_origin(const struct sl_world *w, uint32_t job, struct sl_buf *out);
/* The task whose inputs these are; NULL: of none. */
struct sl_world_task *sl_world_task_of(struct sl_world *w, struct sl_slice inputs);
extern const struct sl_actor_class sl_world_gateway; /* Argument: the world. */
struct sl_world_replica_options {
    struct sl_world *world;
    uint32_t number, agent; /* Nodes. */
};
extern const struct sl_actor_class sl_world_replica;
void sl_world_hang(void *replica); /* Its state: from now on it answers nothing. */

/* ---- simulate_fault.c ---------------------------------------------------------------------- */
void sl_world_plan_faults(struct sl_world *w);

/* ---- simulate_spawner.c -------------------------------------------------------------------- */
void sl_world_take_spawn(void *world, uint32_t process, struct sl_msg *msg); /* Ports. */
void sl_world_take_drain(void *world, uint32_t process, struct sl_msg *msg);
/* End the Nth child; signal 0: by itself with `exit_code`. Gone already is fine. */
void sl_world_end_child(struct sl_world *w, uint32_t index, uint64_t signal, int64_t exit_code);
/* Like the above, by chance; false: there is none of that kind. */
bool sl_world_pick_child(struct sl_world *w, struct sl_random *random, uint64_t kind,
                         uint32_t *ret_index);
void sl_world_kill_spawner(struct sl_world *w);
void sl_world_end_orphans(struct sl_world *w); /* The main process is gone. */

/* ---- simulate_check.c ---------------------------------------------------------------------- */
void sl_world_observe(void *world, enum sl_sim_what what, uint32_t process,
                      const struct sl_msg *msg);
void sl_world_tamper(void *world, uint32_t process, struct sl_msg **msg);
void sl_world_void_leases(struct sl_world *w, uint64_t node); /* 0: of all. */
/* The store, any time between batches; all of it, or without jobs that are settled. */
void sl_world_check(struct sl_world *w, bool is_whole);
void sl_world_check_end(struct sl_world *w); /* At rest. */
bool sl_world_is_at_rest(const struct sl_world *w);
struct sl_world_task *sl_world_task_by_id(const struct sl_world *w, uint64_t task_id);
/* Where a task is: job and place. */
void sl_world_place_of(const struct sl_world *w, const struct sl_world_task *task,
                       uint32_t *ret_job, uint32_t *ret_task);

#endif
