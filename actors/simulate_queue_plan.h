/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_queue_plan.h - what is done with tenants' own queues in a simulated run: which tasks are
 * put into them, under which keys and limits, and what becomes of each. Made from the seed alone.
 * Threading: one owner.
 */
#ifndef SL_ACTORS_SIMULATE_QUEUE_PLAN_H
#define SL_ACTORS_SIMULATE_QUEUE_PLAN_H

#include "queue/backend.h"
#include "runtime/actor.h"

#define SL_SIMQ_TASKS     96
#define SL_SIMQ_QUEUES    3
#define SL_SIMQ_GATES     3 /* Concurrency keys, of the second queue. */
#define SL_SIMQ_ATTEMPTS  3
#define SL_SIMQ_PAUSE_MS  300 /* Between attempts. */
#define SL_SIMQ_SNOOZE_MS 700
#define SL_SIMQ_SNOOZES   2
#define SL_SIMQ_LEASE_NS  (5 * SL_SECOND_NS)           /* That workers ask for. */
#define SL_SIMQ_WINDOW_MS (24 * 3600 * UINT64_C(1000)) /* Of keys that hold for a time. */
#define SL_SIMQ_PAYLOAD   8 /* Bytes at least: the task's number, and noise. */

enum sl_simq_work {
    SL_SIMQ_GOOD,
    SL_SIMQ_SLOW,   /* Longer than a lease: beats must keep it. */
    SL_SIMQ_FLAKY,  /* Fails every other time. */
    SL_SIMQ_BAD,    /* Fails each time. */
    SL_SIMQ_SNOOZE, /* Puts itself off, twice. */
    SL_SIMQ_BACK,   /* Is given back half of the times, as if it had not begun. */
    SL_SIMQ_LATE,   /* Half of the times its worker ends it when the lease is long over. */
    SL_SIMQ_POISON, /* Kills its worker. */
    SL_SIMQ_WORKS
};

struct sl_simq_task {
    uint32_t queue;
    enum sl_simq_work work;
    uint64_t delay_ms;
    uint32_t name; /* Of its idempotency key: tasks of one name have one. 0: none. */
    enum sl_dedup_mode mode;
    uint32_t gate; /* Its concurrency key. 0: none. */
    uint8_t priority;
    enum sl_level level; /* Of its put. */
    bool is_cancel_wanted, is_kept;
};

struct sl_simq_plan {
    struct sl_simq_task tasks[SL_SIMQ_TASKS];
};

struct sl_simq_queue {
    uint64_t scope;
    const char *name;
    struct sl_lane_settings settings;
};
extern const struct sl_simq_queue sl_simq_queues[SL_SIMQ_QUEUES];
extern const struct sl_submit_limit sl_simq_gates[SL_SIMQ_GATES + 1]; /* By number, from 1 on. */

void sl_simq_plan_init(struct sl_simq_plan *plan, struct sl_random *random);
struct sl_queue_name sl_simq_queue_name(uint32_t queue);
/* Which queue this is; SL_SIMQ_QUEUES: none. */
uint32_t sl_simq_queue_of(uint64_t scope, struct sl_slice name);
/* The number in a payload or result; SL_SIMQ_TASKS: there is none. */
uint32_t sl_simq_number(struct sl_slice bytes);
/* As it is put. It borrows `payload` and `name` (16 bytes each), which are written, and `policy`.
 */
struct sl_put_item sl_simq_item(const struct sl_simq_plan *plan, uint32_t number, uint8_t *payload,
                                char *name, struct sl_slice policy);
void sl_simq_policy(struct sl_buf *out); /* Of all of them. */

#endif
