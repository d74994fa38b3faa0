/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `actor` within one process: what a message, a call and an actor cost. Each figure is
 * the median of some rounds. Handlers do nothing but count and answer, so this is what the runtime
 * costs.
 */
#include <stdio.h>
#include <unistd.h>

#include "gateway/bench/round.h"
#include "runtime/time.h"

#define ROUNDS      5u
#define PATIENCE_NS (60 * SL_SECOND_NS)
#define ACTORS      1000000u

/* ---- creation and memory ------------------------------------------------------------------- */

static void
idle_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)ctx;
    *(uint64_t *)self += SL_BODY(msg, bench_number)->number;
}

static const struct sl_actor_class idle_class = {
    .name = "idle", .state_size = SL_BENCH_STATE_BYTES, .handle = idle_handle};

struct crowd {
    uint64_t count, took_ns;
    bool has_failed;
};

static void
make_crowd(void *arg, struct sl_ctx *ctx)
{
    struct crowd *c = arg;
    uint64_t start_ns = sl_time_mono_ns();
    struct sl_addr addr;
    for (uint64_t i = 0; i < c->count; i++) {
        if (sl_spawn(ctx, &idle_class, NULL, NULL, &addr) != SL_OK)
            c->has_failed = true;
        /* Each runs once, so that what it costs is there. */
        sl_send(ctx, addr, SL_M_bench_number, &(struct sl_m_bench_number){1});
    }
    c->took_ns = sl_time_mono_ns() - start_ns;
}

static double
resident_mib(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL || fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    if (file != NULL)
        (void)fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (double)SL_MIB;
}

/* Actors made a second, and what they take while they live. */
static double
create(uint64_t count, double *ret_mib)
{
    double before = resident_mib();
    struct sl_scheduler *s =
        sl_scheduler_create(&(struct sl_scheduler_options){.threads = 1, .drain_ns = PATIENCE_NS});
    struct crowd crowd = {.count = count};
    sl_scheduler_run(s, 1, make_crowd, &crowd);
    bool is_ok = sl_scheduler_stop(s) == SL_OK && !crowd.has_failed;
    *ret_mib = resident_mib() - before;
    is_ok &= sl_scheduler_stats(s).messages == count && sl_scheduler_stats(s).spawned == count;
    sl_scheduler_destroy(&s);
    return is_ok ? (double)count / ((double)crowd.took_ns / 1e9) : 0;
}

/* ---- the suite ----------------------------------------------------------------------------- */

static bool
show(const struct sl_bench *bench, const struct sl_bench_figure *figure)
{
    if (figure->value <= 0)
        return sl_bench_fail("%s could not be measured", figure->name);
    sl_bench_show(bench, figure);
    return true;
}

static bool
measure_creation(const struct sl_bench *bench)
{
    double mib;
    double made = create(ACTORS, &mib);
    struct sl_bench_figure rate_figure = {.name = "actor.created_per_s",
                                          .unit = "1/s",
                                          .value = made,
                                          .note = "spawned on one thread, each sent a message"};
    struct sl_bench_figure memory = {
        .name = "actor.million_memory",
        .unit = "MiB",
        .goal = SL_BENCH_AT_MOST,
        .target = 1024,
        .value = mib,
        .note = "1,000,000 actors of 64 bytes, one message handled by each"};
    struct sl_bench_figure bytes = {.name = "actor.bytes",
                                    .unit = "B/actor",
                                    .value = mib * (double)SL_MIB / ACTORS,
                                    .note = "of those, with their state"};
    return show(bench, &rate_figure) && show(bench, &memory) && show(bench, &bytes);
}

/* Median of `measure`'s rates; 0: a round failed. */
static double
rate(sl_bench_measure_fn *measure, const struct sl_bench_load *load)
{
    double rates[ROUNDS];
    for (uint32_t i = 0; i < ROUNDS; i++) {
        rates[i] = measure(load);
        if (rates[i] <= 0)
            return 0;
    }
    return sl_bench_median(rates, ROUNDS);
}

bool
sl_bench_actor_local(const struct sl_bench *bench)
{
    static const struct measured {
        struct sl_bench_figure figure;
        sl_bench_measure_fn *measure;
        struct sl_bench_load load;
    } all[] = {
        {{"actor.pingpong_one_thread", "msg/s", SL_BENCH_AT_LEAST, 20e6, 0, NULL},
         sl_bench_ping_pong,
         {1, 0, 8000000}},
        {{"actor.pingpong_one_thread_cpu", "msg/s", SL_BENCH_NO_GOAL, 0, 0,
          "in a second of processor time"},
         sl_bench_ping_pong_processor,
         {1, 0, 8000000}},
        {{"actor.between_threads", "msg/s", SL_BENCH_AT_LEAST, 5e6, 0,
          "one sender, one receiver, windows of 2048"},
         sl_bench_stream,
         {1, 0, 4000000}},
        {{"actor.limit_ring", "msg/s", SL_BENCH_NO_GOAL, 0, 0,
          "the limit: a bare ring of 64-byte entries between two threads"},
         sl_bench_limit_ring,
         {0, 0, 8000000}},
        {{"actor.limit_zmq_inproc", "msg/s", SL_BENCH_NO_GOAL, 0, 0,
          "beside it: libzmq inproc, PAIR, 8 bytes"},
         sl_bench_limit_zmq,
         {0, 0, 2000000}},
        {{"actor.pingpong_two_threads", "msg/s", SL_BENCH_NO_GOAL, 0, 0, NULL},
         sl_bench_ping_pong,
         {2, 0, 400000}},
        {{"actor.limit_zmq_pingpong", "msg/s", SL_BENCH_NO_GOAL, 0, 0,
          "beside it: libzmq inproc, two threads"},
         sl_bench_limit_zmq_pingpong,
         {0, 0, 100000}},
        {{"actor.fan_in", "msg/s", SL_BENCH_NO_GOAL, 0, 0, "64 senders"},
         sl_bench_stream,
         {64, 0, 4000000}},
        {{"actor.call_sync", "1/s", SL_BENCH_NO_GOAL, 0, 0, "two threads, one call at a time"},
         sl_bench_call,
         {1, 1, 200000}},
        {{"actor.call_async", "1/s", SL_BENCH_NO_GOAL, 0, 0, "two threads, 256 calls open"},
         sl_bench_call,
         {1, 256, 1000000}},
        {{"actor.call_n_n", "1/s", SL_BENCH_NO_GOAL, 0, 0, "8 callers, 8 callees, 256 open each"},
         sl_bench_call,
         {8, 256, 2000000}},
        {{"actor.task_sync", "1/s", SL_BENCH_NO_GOAL, 0, 0,
          "an actor that answers one call and ends, one at a time"},
         sl_bench_task,
         {1, 1, 1000000}},
        {{"actor.task_async", "1/s", SL_BENCH_NO_GOAL, 0, 0, "256 at a time"},
         sl_bench_task,
         {1, 256, 1000000}},
    };
    for (size_t i = 0; i < SL_COUNT_OF(all); i++) {
        struct sl_bench_figure figure = all[i].figure;
        struct sl_bench_load load = all[i].load;
        load.count = bench->is_quick ? load.count / 4 : load.count;
        figure.value = rate(all[i].measure, &load);
        if (!show(bench, &figure))
            return false;
    }
    return measure_creation(bench);
}
