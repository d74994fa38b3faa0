/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/queue_remote.h"

#include <stdio.h>

#include "gateway/bench/bare.h"
#include "gateway/bench/queue_load.h"
#include "gateway/bench/server.h"
#include "runtime/alloc.h"

#define ROUNDS      5u
#define BACKLOG     1000000u
#define BACKLOG_ALL 10000000u
#define BARE_WRITES 200u

struct remote {
    const struct sl_bench *bench;
    struct sl_bench_server server;
    struct sl_bench_queue_load *load;
    struct sl_bench_bare bare;
    double seconds; /* Of a phase. */
};

static bool
run(struct remote *r, struct sl_bench_queue_phase phase, struct sl_bench_queue_result *ret_result)
{
    return sl_bench_queue_run(r->load, &phase, r->seconds, ret_result);
}

static bool
run_rate(struct remote *r, struct sl_bench_queue_phase phase, double *ret_per_s)
{
    struct sl_bench_queue_result result;
    if (!run(r, phase, &result))
        return false;
    *ret_per_s = result.per_s;
    return true;
}

static const struct sl_bench_queue_phase end_to_end = {
    .name = "e2e_64", .window = 64, .is_end_to_end = true};

/* ---- rates --------------------------------------------------------------------------------- */

/* In this order: what is only put stays in the server, and what that costs the others is told by
 * the lines of the backlog. */
static const struct rate {
    const char *name, *note;
    double target; /* 0: none. */
    struct sl_bench_queue_phase phase;
} rates[] = {
    {"e2e_64", "put, leased, ended with a result", 80000, {.window = 64, .is_end_to_end = true}},
    {"e2e_1024", NULL, 150000, {.window = 1024, .is_end_to_end = true}},
    {"e2e_64_early",
     "leased before the put is on disk; put and end are answered when they are",
     80000,
     {.window = 64, .is_end_to_end = true, .is_early = true}},
    {"e2e_1024_early", NULL, 150000, {.window = 1024, .is_end_to_end = true, .is_early = true}},
    {"enqueue_64", "another process, each put by itself", 100000, {.window = 64}},
    {"enqueue_batched", "8 puts of 64 in flight", 0, {.window = 8, .batch = 64}},
};

static bool
run_rates(struct remote *r, uint32_t rounds)
{
    double figures[SL_COUNT_OF(rates)][ROUNDS];
    for (size_t n = 0; n < SL_COUNT_OF(rates); n++) {
        struct sl_bench_queue_phase phase = rates[n].phase;
        phase.name = rates[n].name;
        for (uint32_t i = 0; i < rounds; i++) {
            if (!run_rate(r, phase, &figures[n][i]))
                return false;
        }
    }
    for (size_t n = 0; n < SL_COUNT_OF(rates); n++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "queue.remote.%s", rates[n].name);
        sl_bench_show(r->bench,
                      &(struct sl_bench_figure){.name = name,
                                                .unit = "1/s",
                                                .goal = rates[n].target > 0 ? SL_BENCH_AT_LEAST
                                                                            : SL_BENCH_NO_GOAL,
                                                .target = rates[n].target,
                                                .value = sl_bench_median(figures[n], rounds),
                                                .note = rates[n].note});
    }
    return true;
}

/* ---- pickup -------------------------------------------------------------------------------- */

struct pickup {
    double p50_us[ROUNDS], p99_us[ROUNDS], over_us[ROUNDS];
};

/* One round, between two looks at what a bare write and sync take. */
static bool
run_pickup(struct remote *r, bool is_early, uint32_t i, struct pickup *pickup)
{
    struct sl_bench_queue_phase phase = {
        .name = "pickup", .window = 1, .is_pickup = true, .is_early = is_early};
    struct sl_bench_queue_result result;
    double before_us = sl_bench_bare_us(&r->bare, SL_BENCH_PAYLOAD_SIZE, BARE_WRITES);
    if (before_us == 0 || !run(r, phase, &result))
        return false;
    double after_us = sl_bench_bare_us(&r->bare, SL_BENCH_PAYLOAD_SIZE, BARE_WRITES);
    pickup->p50_us[i] = result.p50_us;
    pickup->p99_us[i] = result.p99_us;
    pickup->over_us[i] = result.p50_us - (before_us + after_us) / 2;
    return after_us > 0;
}

static bool
run_pickups(struct remote *r, uint32_t rounds)
{
    struct pickup synced, early;
    for (uint32_t i = 0; i < rounds; i++) {
        if (!run_pickup(r, false, i, &synced) || !run_pickup(r, true, i, &early))
            return false;
    }
    struct sl_bench_figure figures[] = {
        {"queue.remote.pickup_p50", "us", SL_BENCH_NO_GOAL, 0,
         sl_bench_median(synced.p50_us, rounds), "by a worker that waits"},
        {"queue.remote.pickup_p99", "us", SL_BENCH_NO_GOAL, 0,
         sl_bench_median(synced.p99_us, rounds), NULL},
        {"queue.remote.pickup_over_sync", "us", SL_BENCH_AT_MOST, 150,
         sl_bench_median(synced.over_us, rounds), "p50 less a bare write and sync"},
        {"queue.remote.pickup_early_p50", "us", SL_BENCH_NO_GOAL, 0,
         sl_bench_median(early.p50_us, rounds), "leased before the put is on disk"},
        {"queue.remote.pickup_early_over_sync", "us", SL_BENCH_AT_MOST, 150,
         sl_bench_median(early.over_us, rounds), "p50 less a bare write and sync"}};
    for (size_t i = 0; i < SL_COUNT_OF(figures); i++)
        sl_bench_show(r->bench, &figures[i]);
    return true;
}

/* ---- with a backlog ------------------------------------------------------------------------ */

/* What the same load does in a queue in which so many wait. */
static bool
run_backlog(struct remote *r, uint64_t count, const char *name, double goal)
{
    double with[ROUNDS], without[ROUNDS], ratios[ROUNDS];
    uint32_t rounds = r->bench->is_quick ? 1 : ROUNDS;
    struct sl_bench_queue_phase there = end_to_end, apart = end_to_end;
    sl_bench_say(r->bench, "queue: filling %llu", (unsigned long long)count);
    if (!sl_bench_queue_fill(r->load, count))
        return false;
    there.is_filled = there.is_tied = apart.is_tied = true;
    for (uint32_t i = 0; i < rounds; i++) {
        if (!run_rate(r, there, &with[i]) || !run_rate(r, apart, &without[i]))
            return false;
        ratios[i] = with[i] / without[i];
    }
    sl_bench_show(r->bench, &(struct sl_bench_figure){.name = name,
                                                      .unit = "x",
                                                      .goal = SL_BENCH_AT_LEAST,
                                                      .target = goal,
                                                      .value = sl_bench_median(ratios, rounds),
                                                      .note = "end to end, 64 unfinished, of an "
                                                              "empty queue's in turn"});
    return true;
}

static bool
run_all(struct remote *r)
{
    uint32_t rounds = r->bench->is_quick ? 1 : ROUNDS;
    if (!run_pickups(r, rounds) || !run_rates(r, rounds))
        return false;
    return run_backlog(r, r->bench->is_quick ? BACKLOG / 10 : BACKLOG, "queue.remote.backlog_1m",
                       0.9) &&
           (r->bench->is_quick || run_backlog(r, BACKLOG_ALL, "queue.remote.backlog_10m", 0.9));
}

bool
sl_bench_queue_remote(const struct sl_bench *bench)
{
    struct remote r = {.bench = bench, .bare = {.fd = -1}, .seconds = bench->is_quick ? 0.3 : 1};
    if (!sl_bench_server_start_as(bench, "nodes: 0\n", &r.server))
        return false;
    char *endpoint = sl_bench_server_address(&r.server, "head");
    bool is_ok = endpoint != NULL && sl_bench_bare_open(r.server.directory, &r.bare);
    r.load = is_ok ? sl_bench_queue_open(endpoint, SL_LEVEL_DISK) : NULL;
    is_ok = r.load != NULL && run_all(&r);
    sl_bench_queue_close(&r.load);
    sl_bench_bare_close(&r.bare);
    sl_free(endpoint);
    return sl_bench_server_stop(&r.server) && is_ok;
}
