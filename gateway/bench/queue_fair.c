/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/queue_fair.h"

#include <stdlib.h>

#include "queue/look.h"
#include "queue/share_load.h"
#include "runtime/alloc.h"
#include "runtime/random.h"
#include "runtime/time.h"

#define WORKERS      2u
#define START_MS     UINT64_C(1700000000000)
#define HEAVY        1u /* The tenant with so much; the light ones come after it. */
#define LIGHT        999u
#define LIGHT_NS     SL_MILLI_NS /* What a task of theirs takes; of the heavy one, too. */
#define LOAD_TENTHS  7u          /* Of what the workers can do, by the light ones. */
#define EQUALS       20u
#define EQUALS_TASKS 3000u
#define EQUALS_NS    (10 * SL_SECOND_NS)
#define BUSY         100000u
#define BUSY_TASKS   3u /* Of each tenant, so that all have work all the time. */
#define BUSY_LEASES  20000u
#define ROUNDS       9u
#define DECISIONS    1000000u

struct worker {
    struct sl_lease lease;
    uint64_t end_ns; /* 0: it is free. */
};

/* A queue whose tasks are worked on in virtual time. Tenants are numbered from 1. */
struct plant {
    struct sl_queue *q;
    struct sl_buf event;
    struct sl_random random;
    uint64_t now_ns;
    struct worker workers[WORKERS];
    uint64_t *cost_ns, *served_ns; /* Of each tenant: a task, and all so far. */
    uint64_t *since_ns;            /* When a task came, by its id from first_id on. */
    uint64_t first_id;
    uint64_t tasks, tasks_max;
};

static struct plant
plant_create(uint32_t tenants, uint64_t tasks_max)
{
    struct plant p = {.q = sl_queue_create(), .tasks_max = tasks_max};
    sl_random_seed(&p.random, 1);
    sl_queue_boot(p.q, 1);
    p.cost_ns = sl_zalloc((tenants + 1) * sizeof(uint64_t));
    p.served_ns = sl_zalloc((tenants + 1) * sizeof(uint64_t));
    p.since_ns = sl_alloc(tasks_max * sizeof(uint64_t));
    return p;
}

static void
plant_destroy(struct plant *p)
{
    sl_queue_destroy(&p->q);
    sl_buf_deinit(&p->event);
    sl_free(p->cost_ns);
    sl_free(p->served_ns);
    sl_free(p->since_ns);
}

static uint64_t
now_ms(const struct plant *p)
{
    return START_MS + p->now_ns / SL_MILLI_NS;
}

static void
apply(struct plant *p, uint64_t tenant)
{
    sl_queue_apply(p->q, (struct sl_scope){tenant}, sl_buf_slice(&p->event),
                   (struct sl_log_at){1, 0});
    sl_buf_clear(&p->event);
}

static void
put(struct plant *p, uint64_t tenant)
{
    uint64_t id = sl_queue_reserve(p->q);
    sl_assert(p->tasks < p->tasks_max);
    if (p->tasks == 0)
        p->first_id = id;
    p->since_ns[p->tasks++] = p->now_ns;
    sl_queue_event_put(&p->event, &(struct sl_task_put){.task_id = id,
                                                        .created_ms = now_ms(p),
                                                        .payload = sl_slice_str("payload")});
    apply(p, tenant);
}

static bool
lease(struct plant *p, struct sl_lease *ret_lease)
{
    struct sl_lease_want want = {.class = SL_CLASS_CPU,
                                 .holder = 1,
                                 .now_ns = p->now_ns,
                                 .now_ms = now_ms(p),
                                 .duration_ns = 3600 * SL_SECOND_NS};
    return sl_queue_lease(p->q, &want, ret_lease);
}

/* As a dispatcher ends a task whose node told how long it took. */
static void
end(struct plant *p, const struct sl_lease *of, uint64_t served_ns)
{
    enum sl_err err = sl_queue_served(p->q, of->task_id, of->epoch, served_ns);
    sl_assert(err == SL_OK);
    sl_queue_event_done(&p->event, &(struct sl_task_end){.task_id = of->task_id});
    apply(p, of->scope.id);
}

/* A free worker takes what is next; false: there is none, or nothing. *ret_tenant, *ret_wait_ns: of
 * what it took. */
static bool
begin_one(struct plant *p, uint64_t *ret_tenant, uint64_t *ret_wait_ns)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *w = &p->workers[i];
        if (w->end_ns != 0)
            continue;
        if (!lease(p, &w->lease))
            return false;
        *ret_tenant = w->lease.scope.id;
        *ret_wait_ns = p->now_ns - p->since_ns[w->lease.task_id - p->first_id];
        w->end_ns = p->now_ns + p->cost_ns[*ret_tenant];
        return true;
    }
    return false;
}

static struct worker *
next_to_end(struct plant *p)
{
    struct worker *next = NULL;
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker *w = &p->workers[i];
        if (w->end_ns != 0 && (next == NULL || w->end_ns < next->end_ns))
            next = w;
    }
    return next;
}

static void
end_one(struct plant *p, struct worker *w)
{
    uint64_t tenant = w->lease.scope.id;
    p->now_ns = w->end_ns;
    p->served_ns[tenant] += p->cost_ns[tenant];
    w->end_ns = 0;
    end(p, &w->lease, p->cost_ns[tenant]);
}

/* ---- light tenants beside a heavy one ------------------------------------------------------ */

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The 99th percentile of what tasks of light tenants wait, which come at random. */
static double
light_p99_ns(uint32_t count, uint32_t heavy_tasks)
{
    struct plant p = plant_create(HEAVY + LIGHT, heavy_tasks + 2 * (uint64_t)count);
    uint64_t *waits = sl_alloc(count * sizeof(*waits)), arrival_ns = 1, tenant, wait_ns;
    for (uint32_t i = HEAVY; i <= HEAVY + LIGHT; i++)
        p.cost_ns[i] = LIGHT_NS;
    for (uint32_t i = 0; i < heavy_tasks; i++)
        put(&p, HEAVY);
    for (uint32_t got = 0; got < count;) {
        struct worker *w = next_to_end(&p);
        if (w != NULL && w->end_ns <= arrival_ns) {
            end_one(&p, w);
        } else {
            p.now_ns = arrival_ns;
            put(&p, HEAVY + 1 + sl_random_below(&p.random, LIGHT));
            arrival_ns += sl_random_below(&p.random, 2 * LIGHT_NS * 10 / (LOAD_TENTHS * WORKERS));
        }
        while (got < count && begin_one(&p, &tenant, &wait_ns)) {
            if (tenant != HEAVY)
                waits[got++] = wait_ns;
        }
    }
    qsort(waits, count, sizeof(*waits), compare);
    double p99_ns = (double)waits[count - count / 100];
    sl_free(waits);
    plant_destroy(&p);
    return p99_ns;
}

/* ---- equals whose tasks are not ------------------------------------------------------------ */

static double
jain_index(const uint64_t *values, uint32_t count)
{
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += (double)values[i];
        squares += (double)values[i] * (double)values[i];
    }
    return sum * sum / (squares * count);
}

/* Of the service that each had within the time; what is under way then counts as far as it came. */
static double
jain(void)
{
    struct plant p = plant_create(EQUALS, EQUALS * EQUALS_TASKS);
    uint64_t tenant, wait_ns;
    for (uint32_t i = 1; i <= EQUALS; i++) {
        p.cost_ns[i] = (i % 2 == 0 ? 1 : 100) * SL_MILLI_NS;
        for (uint32_t k = 0; k < EQUALS_TASKS; k++)
            put(&p, i);
    }
    for (;;) {
        while (begin_one(&p, &tenant, &wait_ns))
            ;
        struct worker *w = next_to_end(&p);
        if (w->end_ns > EQUALS_NS)
            break;
        end_one(&p, w);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        tenant = p.workers[i].lease.scope.id;
        p.served_ns[tenant] += EQUALS_NS - (p.workers[i].end_ns - p.cost_ns[tenant]);
    }
    double index = jain_index(p.served_ns + 1, EQUALS);
    plant_destroy(&p);
    return index;
}

/* ---- what it costs ------------------------------------------------------------------------- */

/* Leases alone are timed, not ends, of which there are as many in between. */
static double
lease_ns(uint32_t rounds)
{
    uint64_t tasks = (uint64_t)BUSY * BUSY_TASKS;
    struct plant p = plant_create(BUSY, tasks + (uint64_t)rounds * BUSY_LEASES);
    struct sl_lease *leases = sl_alloc(BUSY_LEASES * sizeof(*leases));
    double each[ROUNDS];
    for (uint64_t i = 0; i < tasks; i++)
        put(&p, 1 + i % BUSY);
    for (uint32_t r = 0; r < rounds; r++) {
        uint64_t start_ns = sl_time_mono_ns();
        for (uint32_t i = 0; i < BUSY_LEASES; i++) {
            bool is_there = lease(&p, &leases[i]);
            sl_assert(is_there);
        }
        each[r] = (double)(sl_time_mono_ns() - start_ns) / BUSY_LEASES;
        for (uint32_t i = 0; i < BUSY_LEASES; i++) {
            end(&p, &leases[i], (1 + sl_random_below(&p.random, 1000)) * SL_MILLI_NS / 10);
            put(&p, leases[i].scope.id);
        }
    }
    sl_free(leases);
    plant_destroy(&p);
    return sl_bench_median(each, rounds);
}

/* Of turns alone: who is next, what that is charged, and the payment when it ends. */
static double
decision_ns(uint32_t rounds)
{
    static volatile uint64_t sum; /* So that nobody finds that nothing is done with it. */
    struct sl_share *share = sl_share_load_create(BUSY);
    double each[ROUNDS];
    for (uint32_t r = 0; r < rounds; r++) {
        uint64_t start_ns = sl_time_mono_ns();
        sum = sl_share_load_run(share, DECISIONS);
        each[r] = (double)(sl_time_mono_ns() - start_ns) / DECISIONS;
    }
    (void)sum;
    sl_share_destroy(&share);
    return sl_bench_median(each, rounds);
}

bool
sl_bench_queue_fair(const struct sl_bench *bench)
{
    uint32_t count = bench->is_quick ? 20000 : 200000, rounds = bench->is_quick ? 3 : ROUNDS;
    double alone_ns = light_p99_ns(count, 0), beside_ns = light_p99_ns(count, 1000000);
    if (alone_ns <= 0)
        return sl_bench_fail("light tenants do not wait at all when they are alone");
    struct sl_bench_figure figures[] = {
        {"queue.fair.light_p99", "ms", SL_BENCH_NO_GOAL, 0, beside_ns / SL_MILLI_NS,
         "wait of 999 tenants beside one with 1,000,000 tasks; tasks of 1 ms, virtual time"},
        {"queue.fair.light_p99_ratio", "x", SL_BENCH_AT_MOST, 2, beside_ns / alone_ns,
         "over the same without that tenant, at 0.7 of what 2 workers can do; virtual time"},
        {"queue.fair.jain", "", SL_BENCH_AT_LEAST, 0.98, jain(),
         "service time of 20 tenants in 10 s of virtual time; tasks of 1 ms and of 100 ms"},
        {"queue.fair.decision_ns", "ns", SL_BENCH_AT_MOST, 1000, decision_ns(rounds),
         "whose turn, charge and payment; 100,000 busy tenants"},
        {"queue.fair.lease_ns", "ns", SL_BENCH_AT_MOST, 1000, lease_ns(rounds),
         "all of a lease; 100,000 busy tenants"}};
    for (size_t i = 0; i < SL_COUNT_OF(figures); i++)
        sl_bench_show(bench, &figures[i]);
    return true;
}
