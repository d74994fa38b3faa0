/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate_queue_plan.h"

#include <stdio.h>
#include <string.h>

#define RETAIN_MS (24 * 3600 * UINT64_C(1000))

/* One that is plain, one of tasks with concurrency keys, one with limits of its own. */
const struct sl_simq_queue sl_simq_queues[SL_SIMQ_QUEUES] = {
    {.scope = 1, .name = "mail"},
    {.scope = 1, .name = "gated"},
    {.scope = 2,
     .name = "slow",
     .settings = {.running_max = 3, .rate = 8, .rate_period_ms = 1000, .burst = 2}},
};

const struct sl_submit_limit sl_simq_gates[SL_SIMQ_GATES + 1] = {
    [1] = {.name = {(const uint8_t *)"one", 3}, .limit = 1},
    [2] = {.name = {(const uint8_t *)"two", 3}, .limit = 2},
    [3] = {.name = {(const uint8_t *)"rate", 4},
           .limit = 3,
           .rate = {.count = 4, .burst = 2, .period_ns = SL_SECOND_NS}},
};

static enum sl_simq_work
pick_work(struct sl_random *random)
{
    static const enum sl_simq_work works[] = {
        SL_SIMQ_GOOD, SL_SIMQ_GOOD,   SL_SIMQ_GOOD, SL_SIMQ_GOOD, SL_SIMQ_GOOD, SL_SIMQ_GOOD,
        SL_SIMQ_SLOW, SL_SIMQ_FLAKY,  SL_SIMQ_BAD,  SL_SIMQ_LATE, SL_SIMQ_LATE, SL_SIMQ_SNOOZE,
        SL_SIMQ_BACK, SL_SIMQ_POISON, SL_SIMQ_GOOD, SL_SIMQ_GOOD};
    return works[sl_random_below(random, SL_COUNT_OF(works))];
}

/* Every third has a key for a time, so that it can be put again and again; some share one with
 * their neighbour, which holds while one of the two is not done. */
static void
name_tasks(struct sl_simq_plan *plan)
{
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++) {
        struct sl_simq_task *t = &plan->tasks[i];
        if (i % 3 == 0) {
            t->name = i + 1;
            t->mode = SL_DEDUP_TTL;
        } else if (i % 12 == 1) {
            t->name = plan->tasks[i + 1].name = i + 1;
            t->mode = plan->tasks[i + 1].mode = SL_DEDUP_UNTIL_DONE;
            t->queue = 0;
            t->delay_ms = 3000;
        } else if (i % 12 == 2) {
            t->queue = 0;
        }
        if (t->queue != 1)
            t->gate = 0;
    }
}

void
sl_simq_plan_init(struct sl_simq_plan *plan, struct sl_random *random)
{
    *plan = (struct sl_simq_plan){0};
    for (uint32_t i = 0; i < SL_SIMQ_TASKS; i++) {
        uint64_t draw = sl_random_below(random, 8);
        bool is_delayed = sl_random_below(random, 4) == 0;
        plan->tasks[i] = (struct sl_simq_task){
            .queue = draw < 4   ? 0
                     : draw < 6 ? 1
                                : 2,
            .work = pick_work(random),
            .delay_ms = is_delayed ? 1 + sl_random_below(random, 20000) : 0,
            .gate = 1 + (uint32_t)sl_random_below(random, SL_SIMQ_GATES),
            .priority = (uint8_t)sl_random_below(random, SL_QUEUE_PRIORITY_MAX + 1),
            .level = sl_random_below(random, 3) > 0 ? SL_LEVEL_DISK
                                                    : SL_LEVEL_OS + (enum sl_level)(draw % 2),
            .is_cancel_wanted = sl_random_below(random, 8) == 0,
            .is_kept = sl_random_below(random, 4) > 0};
    }
    name_tasks(plan);
}

struct sl_queue_name
sl_simq_queue_name(uint32_t queue)
{
    const struct sl_simq_queue *q = &sl_simq_queues[queue];
    return (struct sl_queue_name){.scope = {q->scope}, .name = sl_slice_str(q->name)};
}

uint32_t
sl_simq_queue_of(uint64_t scope, struct sl_slice name)
{
    uint32_t i = 0;
    while (i < SL_SIMQ_QUEUES &&
           (sl_simq_queues[i].scope != scope || !sl_slice_is(name, sl_simq_queues[i].name)))
        i++;
    return i;
}

uint32_t
sl_simq_number(struct sl_slice bytes)
{
    struct sl_reader r = sl_reader(bytes);
    uint32_t number = sl_read_u32(&r);
    return r.is_bad || number >= SL_SIMQ_TASKS ? SL_SIMQ_TASKS : number;
}

struct sl_put_item
sl_simq_item(const struct sl_simq_plan *plan, uint32_t number, uint8_t *payload, char *name,
             struct sl_slice policy)
{
    const struct sl_simq_task *t = &plan->tasks[number];
    memset(payload, (int)number, 16);
    for (int i = 0; i < 4; i++)
        payload[i] = (uint8_t)(number >> (8 * i));
    struct sl_put_item item = {.priority = t->priority,
                               .delay_ms = t->delay_ms,
                               .retain_ms = t->is_kept ? RETAIN_MS : 0,
                               .policy = policy,
                               .payload = sl_slice(payload, SL_SIMQ_PAYLOAD + number % 9)};
    if (t->name != 0) {
        (void)snprintf(name, 16, "key-%u", t->name);
        item.key.name = sl_slice_str(name);
        item.key.mode = t->mode;
        item.key.window_ms = t->mode == SL_DEDUP_TTL ? (int64_t)SL_SIMQ_WINDOW_MS : 0;
    }
    if (t->gate != 0) {
        item.limits[0] = sl_simq_gates[t->gate];
        item.limits_count = 1;
    }
    return item;
}

void
sl_simq_policy(struct sl_buf *out)
{
    struct sl_retry_policy policy = {
        .kind = SL_RETRY_FIXED, .attempts_max = SL_SIMQ_ATTEMPTS, .base_ms = SL_SIMQ_PAUSE_MS};
    sl_retry_encode(&policy, out);
}
