/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_job.h - the jobs of a simulated run, and what is known of their tasks; only for
 * actors/simulate*.c.
 */
#ifndef SL_ACTORS_SIMULATE_JOB_H
#define SL_ACTORS_SIMULATE_JOB_H

#include "actors/record.h"
#include "queue/look.h"

#define SL_WORLD_TENANTS    3
#define SL_WORLD_JOBS       14
#define SL_WORLD_JOBS_MAX   60000
#define SL_WORLD_RIVALS     3  /* The last of the first tiers: see plan_rival. */
#define SL_WORLD_CHAINS     4  /* Of the first jobs; second tiers lie behind the last. */
#define SL_WORLD_TASKS      24 /* Of a job, at most. */
#define SL_WORLD_RECORDS    3  /* Of a task, at most. */
#define SL_WORLD_NODES      3
#define SL_WORLD_NODES_MAX  8
#define SL_WORLD_MINUTES    2
#define SL_WORLD_REPLICAS   2 /* Of a node. */
#define SL_WORLD_ROOM       4 /* Tasks that a node holds, in every other run: so work waits. */
#define SL_WORLD_BUCKETS    4096
#define SL_WORLD_TASK_NS    (30 * SL_SECOND_NS)  /* A replica that is silent so long is killed. */
#define SL_WORLD_REST_NS    (600 * SL_SECOND_NS) /* After the last fault all must rest by then. */
#define SL_WORLD_ATTEMPTS   3
#define SL_WORLD_PORT_ACK   2 /* What the double of the gateway tells its client: `wake`. */
#define SL_WORLD_DIMENSIONS 4
#define SL_WORLD_BUCKET     "bkt"
#define SL_WORLD_COLLECTION "col"
#define SL_WORLD_SECOND     "col2" /* Of second tiers: fed by the other. */
#define SL_WORLD_INDEX      "idx"

/* In these runs nodes come by demand, so many at most as else there are always. */
static inline bool
sl_world_is_scaled(uint64_t seed)
{
    return seed % 4 == 3;
}

/* In these runs the last tenant is at isolation level physical: see simulate_home.h. */
#define SL_WORLD_HOMED SL_WORLD_TENANTS
static inline bool
sl_world_has_home(uint64_t seed)
{
    return seed % 5 == 2 && !sl_world_is_scaled(seed);
}

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
    uint32_t most_ms; /* That a run of it takes. */
    bool is_in_parts; /* One record a run, and the next run goes on: none of a first tier. */
    /* As the messages tell: */
    uint64_t task_id, epoch_last;
    uint64_t epoch_live, node_live; /* 0: no lease. */
    uint64_t extended_ns;           /* When it was granted, or its node last told of work. */
    uint32_t failures;              /* Runs under a live lease that ended badly and count. */
    uint32_t live;                  /* Its place among those with a lease. */
    struct sl_world_task *next;     /* In its bucket, by task_id. */
    char record_ids[SL_WORLD_RECORDS][SL_RECORD_ID_SIZE + 1]; /* Of what it makes; once needed. */
    /* As the store durably told: */
    bool was_done, was_dead;
};

struct sl_world_job {
    struct sl_job_id id;
    struct sl_scope scope;
    uint32_t tasks_count;
    struct sl_world_task tasks[SL_WORLD_TASKS];
    bool is_acked, is_cancel_wanted, is_cancel_acked, was_ended;
    bool is_tried;   /* Somebody submitted it: it may be there. Not told of second tiers. */
    bool is_settled; /* It ended durably, and was looked at since. */
    bool is_skipped; /* A second tier whose first one did not end well: it must not be. */
};

#endif
