/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench_queue_remote.h"

#include <stdio.h>

#include "gateway/bench_bare.h"
#include "gateway/bench_queue_load.h"
#include "gateway/bench_server.h"
#include "runtime/alloc.h"

#define ROUNDS      5u
#define BACKLOG     1000000u
#define BACKLOG_ALL 10000000u
#define BARE_WRITES 200u

/* Figures of the rounds; what is missing in quick runs is 0. */
struct rounds {
    double enqueue_64[ROUNDS], batched[ROUNDS], e2e_64[ROUNDS], e2e_1024[ROUNDS];
    double pickup_p50[ROUNDS], pickup_p99[ROUNDS], pickup_over[ROUNDS];
};

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

static bool
run_round(struct remote *r, uint32_t i, struct rounds *rounds)
{
    struct sl_bench_queue_result pickup;
    double before_us = sl_bench_bare_us(&r->bare, SL_BENCH_PAYLOAD_SIZE, BARE_WRITES);
    if (before_us == 0 ||
        !run(r, (struct sl_bench_queue_phase){.name = "pickup", .window = 1, .is_pickup = true},
             &pickup))
        return false;
    double after_us = sl_bench_bare_us(&r->bare, SL_BENCH_PAYLOAD_SIZE, BARE_WRITES);
    rounds->pickup_p50[i] = pickup.p50_us;
    rounds->pickup_p99[i] = pickup.p99_us;
    rounds->pickup_over[i] = pickup.p50_us - (before_us + after_us) / 2;
    return after_us > 0 &&
           run_rate(r, (struct sl_bench_queue_phase){.name = "enqueue_64", .window = 64},
                    &rounds->enqueue_64[i]) &&
           run_rate(r, (struct sl_bench_queue_phase){.name = "batched", .window = 8, .batch = 64},
                    &rounds->batched[i]) &&
           run_rate(r, end_to_end, &rounds->e2e_64[i]) &&
           run_rate(r,
                    (struct sl_bench_queue_phase){
                        .name = "e2e_1024", .window = 1024, .is_end_to_end = true},
                    &rounds->e2e_1024[i]);
}

static void
show(const struct remote *r, struct rounds *rounds, uint32_t count)
{
    struct sl_bench_figure figures[] = {
        {"queue.remote.enqueue_64", "1/s", SL_BENCH_AT_LEAST, 100000,
         sl_bench_median(rounds->enqueue_64, count), "another process, each put by itself"},
        {"queue.remote.enqueue_batched", "1/s", SL_BENCH_NO_GOAL, 0,
         sl_bench_median(rounds->batched, count), "8 puts of 64 in flight"},
        {"queue.remote.e2e_64", "1/s", SL_BENCH_AT_LEAST, 80000,
         sl_bench_median(rounds->e2e_64, count), "put, leased, ended with a result"},
        {"queue.remote.e2e_1024", "1/s", SL_BENCH_AT_LEAST, 150000,
         sl_bench_median(rounds->e2e_1024, count), NULL},
        {"queue.remote.pickup_p50", "us", SL_BENCH_NO_GOAL, 0,
         sl_bench_median(rounds->pickup_p50, count), NULL},
        {"queue.remote.pickup_p99", "us", SL_BENCH_NO_GOAL, 0,
         sl_bench_median(rounds->pickup_p99, count), NULL},
        {"queue.remote.pickup_over_sync", "us", SL_BENCH_AT_MOST, 150,
         sl_bench_median(rounds->pickup_over, count), "p50 less a bare write and sync"}};
    for (size_t i = 0; i < SL_COUNT_OF(figures); i++)
        sl_bench_show(r->bench, &figures[i]);
}

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
    struct rounds rounds;
    uint32_t count = r->bench->is_quick ? 1 : ROUNDS;
    for (uint32_t i = 0; i < count; i++) {
        if (!run_round(r, i, &rounds))
            return false;
    }
    show(r, &rounds, count);
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
