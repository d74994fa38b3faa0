/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_world.h - what the parts of a simulated run share; only for actors/simulate*.c.
 *
 *   simulate.c         the run: starts and crashes of the main process, faults, rest
 *   simulate_spawner.c the spawner: processes of nodes and replicas come and go
 *   simulate_double.c  doubles of the gateway (submits, cancels) and of a replica
 *   simulate_check.c   what must hold
 */
#ifndef SL_ACTORS_SIMULATE_WORLD_H
#define SL_ACTORS_SIMULATE_WORLD_H

#include "actors/cluster.h"
#include "actors/index.h"
#include "actors/simulate.h"
#include "queue/queue.h"
#include "runtime/sim.h"
#include "runtime/sim_disk.h"

#define SL_WORLD_TENANTS    3
#define SL_WORLD_JOBS       14
#define SL_WORLD_CHAINS     4 /* Of the first jobs; second tiers lie behind the last. */
#define SL_WORLD_JOBS_ALL   (SL_WORLD_JOBS + SL_WORLD_CHAINS)
#define SL_WORLD_TASKS      24 /* Of a job, at most. */
#define SL_WORLD_RECORDS    3  /* Of a task, at most. */
#define SL_WORLD_NODES      3
#define SL_WORLD_ATTEMPTS   3
#define SL_WORLD_PORT_ACK   2 /* What the double of the gateway tells its client: `wake`. */
#define SL_WORLD_DIMENSIONS 4
#define SL_WORLD_BUCKET     "bkt"
#define SL_WORLD_COLLECTION "col"
#define SL_WORLD_SECOND     "col2" /* Of second tiers: fed by the other. */
#define SL_WORLD_INDEX      "idx"

enum sl_world_ack { SL_ACK_SUBMIT, SL_ACK_CANCEL, SL_ACK_ENDED }; /* reason = job << 8 | ack */

enum sl_world_work {
    SL_WORK_GOOD,
    SL_WORK_FLAKY,   /* Fails in passing, half of the times. */
    SL_WORK_SLOW,    /* Takes many seconds. */
    SL_WORK_BAD,     /* Fails for good. */
    SL_WORK_POISON,  /* Kills its replica. */
    SL_WORK_MISSING, /* Its source lacks the input. */
};

struct sl_world_task {
    enum sl_world_work work;
    uint32_t records; /* That it makes. */
    bool is_in_parts; /* One record a run, and the next run goes on: none of a first tier. */
    /* As the messages tell: */
    uint64_t task_id, epoch_last;
    uint64_t epoch_live, node_live; /* 0: no lease. */
    uint64_t extended_ns;           /* When it was granted, or its node last told of work. */
    uint32_t failures;              /* Runs under a live lease that ended badly and count. */
    /* As the store durably told: */
    bool was_done, was_dead;
};

struct sl_world_job {
    struct sl_job_id id;
    struct sl_scope scope;
    uint32_t tasks_count;
    struct sl_world_task tasks[SL_WORLD_TASKS];
    bool is_acked, is_cancel_wanted, is_cancel_acked, was_ended;
    bool is_skipped; /* A second tier whose first one did not end well: it must not be. */
};

/* Second tiers: task t is of the record that task t / SL_WORLD_RECORDS of the first tier wrote at
 * position t % SL_WORLD_RECORDS, and not there if none was written. */
static inline bool
sl_world_is_second(uint32_t job)
{
    return job >= SL_WORLD_JOBS;
}

struct sl_world_child {
    uint64_t kind, tag, pid;
    uint32_t asker, process; /* process 0: not started. */
    bool is_gone;
};

struct sl_world {
    struct sl_simulate_options options;
    struct sl_simulate_result *result;
    struct sl_sim *sim;
    char *directory;
    struct sl_sim_disk *disk;
    struct sl_disk disk_ops;
    /* Of the main process that runs, if any. */
    uint32_t main;
    struct sl_store *store;
    struct sl_queue *queue;
    struct sl_index_cache *indexes;
    struct sl_buf queue_before; /* The queue's snapshot when the last one died; empty: unknown. */
    bool is_spawner_down;
    bool is_crash_armed; /* The main process dies about when it next says something. */
    struct sl_world_child *children;
    uint32_t children_count;
    uint64_t pid_last;
    struct sl_world_job jobs[SL_WORLD_JOBS_ALL];
    struct sl_buf nonces; /* A byte for each run of a task: 1 when it ended under a live lease. */
    uint64_t fault_until_ns;
};

/* Note what did not hold; the first one counts. */
void sl_world_fail(struct sl_world *w, const char *format, ...) SL_PRINTF(2, 3);
bool sl_world_has_fault(const struct sl_world *w, enum sl_simulate_fault fault); /* Now. */
/* The main process says something of weight: if a crash is armed, it comes within moments. */
void sl_world_may_crash(struct sl_world *w);

/* ---- simulate_double.c --------------------------------------------------------------------- */
void sl_world_plan(struct sl_world *w); /* Make up the jobs. */
void sl_world_source_key(uint32_t job, uint32_t task, struct sl_buf *out);
const char *sl_world_collection(uint32_t job);
struct sl_slice sl_world_origin(uint32_t job, struct sl_buf *out);
/* The task whose inputs these are; NULL: of none. */
struct sl_world_task *sl_world_task_of(struct sl_world *w, struct sl_slice inputs);
extern const struct sl_actor_class sl_world_gateway; /* Argument: the world. */
struct sl_world_replica_options {
    struct sl_world *world;
    uint32_t number, agent; /* Nodes. */
};
extern const struct sl_actor_class sl_world_replica;

/* ---- simulate_spawner.c -------------------------------------------------------------------- */
void sl_world_take_spawn(void *world, uint32_t process, struct sl_msg *msg); /* The port. */
/* End the Nth child; signal 0: by itself with `exit_code`. Gone already is fine. */
void sl_world_end_child(struct sl_world *w, uint32_t index, uint64_t signal, int64_t exit_code);
/* Like the above, by chance; false: there is none of that kind. */
bool sl_world_pick_child(struct sl_world *w, uint64_t kind, uint32_t *ret_index);
void sl_world_kill_spawner(struct sl_world *w);
void sl_world_end_orphans(struct sl_world *w); /* The main process is gone. */

/* ---- simulate_check.c ---------------------------------------------------------------------- */
void sl_world_observe(void *world, enum sl_sim_what what, uint32_t process,
                      const struct sl_msg *msg);
void sl_world_tamper(void *world, uint32_t process, struct sl_msg **msg);
void sl_world_void_leases(struct sl_world *w, uint64_t node); /* 0: of all. */
void sl_world_check(struct sl_world *w);     /* The store, any time between batches. */
void sl_world_check_end(struct sl_world *w); /* At rest. */
bool sl_world_is_at_rest(const struct sl_world *w);

#endif
