/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `actor` within one process: what a message, a call and an actor cost. Each figure is
 * the median of some rounds; a round is one scheduler that is made, loaded and stopped. Handlers do
 * nothing but count and answer, so this is what the runtime costs.
 */
#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "gateway/bench_actor.h"
#include "runtime/handoff.h"
#include "runtime/scheduler.h"
#include "runtime/time.h"

#define ROUNDS      5u
#define PATIENCE_NS (60 * SL_SECOND_NS)
#define CALL_NS     (10 * SL_SECOND_NS)
#define SENDERS     64u
#define PAIRS       8u
#define ACTORS      1000000u
#define STATE_BYTES 64u
/* Messages between two words from the receiver that it can take more. */
#define STREAM_BURST   256u
#define STREAM_WINDOW  2048u
#define FAN_BURST      16u
#define FAN_WINDOW     48u /* 64 of these fit in one mailbox. */
#define PIPELINE_DEPTH 256u

static_assert(SENDERS * FAN_WINDOW < 4096, "a fan-in is never refused");

/* ---- rounds -------------------------------------------------------------------------------- */

/* What all actors of a round share. */
struct round {
    struct sl_scheduler *scheduler;
    struct sl_handoff *over;
    _Atomic uint32_t left; /* Actors that have not finished. */
    _Atomic bool has_failed;
    uint64_t count; /* Of each actor: messages or calls. */
    uint64_t start_ns;
    _Atomic uint64_t end_ns;
};

static void
finish_one(struct round *r)
{
    if (atomic_fetch_sub(&r->left, 1) != 1)
        return;
    r->end_ns = sl_time_mono_ns();
    sl_handoff_give(r->over, sl_slice_str("over"));
}

static void
begin(struct round *r, uint32_t threads, uint32_t actors)
{
    r->scheduler = sl_scheduler_create(&(struct sl_scheduler_options){.threads = threads});
    r->over = sl_handoff_create();
    r->left = actors;
}

static struct sl_addr
spawn(struct round *r, const struct sl_actor_class *class, const void *argument, uint32_t thread)
{
    struct sl_addr addr = {0};
    struct sl_spawn_options options = {.thread = thread};
    if (sl_scheduler_spawn(r->scheduler, &(struct sl_spawn_what){class, argument}, &options,
                           &addr) != SL_OK)
        r->has_failed = true;
    return addr;
}

static void
post(struct round *r, struct sl_addr to, uint64_t number)
{
    struct sl_msg *msg = sl_msg_create(SL_M_bench_number, &(struct sl_m_bench_number){number});
    msg->to = to;
    if (sl_scheduler_post(r->scheduler, msg) != SL_OK)
        r->has_failed = true;
}

/* Seconds from start_ns until the last actor finished; 0: it failed. */
static double
end(struct round *r)
{
    struct sl_buf text = {0};
    bool is_over = sl_handoff_take(r->over, PATIENCE_NS, &text);
    bool is_ok = sl_scheduler_stop(r->scheduler) == SL_OK && is_over && !r->has_failed;
    sl_buf_deinit(&text);
    sl_scheduler_destroy(&r->scheduler);
    return is_ok ? (double)(r->end_ns - r->start_ns) / 1e9 : 0;
}

/* Median of `measure`'s rates; 0: a round failed. */
static double
rate(double (*measure)(uint64_t count), uint64_t count)
{
    double rates[ROUNDS];
    for (uint32_t i = 0; i < ROUNDS; i++) {
        rates[i] = measure(count);
        if (rates[i] <= 0)
            return 0;
    }
    return sl_bench_median(rates, ROUNDS);
}

/* ---- ping-pong ----------------------------------------------------------------------------- */

struct player {
    struct round *round;
    uint64_t left;
};

static void
player_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    (void)ctx;
    struct player *p = self;
    p->round = (struct round *)(uintptr_t)argument;
    p->left = p->round->count / 2;
}

static void
player_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct player *p = self;
    if (p->left-- == 0)
        finish_one(p->round);
    else
        sl_send(ctx, msg->from, msg->id, msg->body);
}

static const struct sl_actor_class player_class = {.name = "player",
                                                   .state_size = sizeof(struct player),
                                                   .init = player_init,
                                                   .handle = player_handle};

/* The first ball: as if the other had sent it. */
static double
ping_pong(uint32_t threads, uint64_t count)
{
    struct round r = {.count = count};
    begin(&r, threads, 1);
    struct sl_addr a = spawn(&r, &player_class, &r, 1), b = spawn(&r, &player_class, &r, threads);
    struct sl_msg *msg = sl_msg_create(SL_M_bench_number, &(struct sl_m_bench_number){0});
    msg->to = a;
    msg->from = b;
    r.start_ns = sl_time_mono_ns();
    if (sl_scheduler_post(r.scheduler, msg) != SL_OK)
        r.has_failed = true;
    double s = end(&r);
    return s > 0 ? (double)count / s : 0;
}

static double
ping_pong_one(uint64_t count)
{
    return ping_pong(1, count);
}

/* By the processor's time instead of the wall's: the same where nothing else wants the processor.
 */
static double
ping_pong_processor(uint64_t count)
{
    uint64_t before_ns = sl_time_processor_ns();
    bool is_ok = ping_pong(1, count) > 0;
    double s = (double)(sl_time_processor_ns() - before_ns) / 1e9;
    return is_ok && s > 0 ? (double)count / s : 0;
}

static double
ping_pong_two(uint64_t count)
{
    return ping_pong(2, count);
}

/* ---- streams: from one to one, and from many to one ---------------------------------------- */

struct sink {
    struct round *round;
    uint64_t wanted, burst;
};

/* A source tells in each message whether it wants a word that it may send more. */
static void
sink_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct sink *k = self;
    if (SL_BODY(msg, bench_number)->number % k->burst == 0)
        sl_reply(ctx, msg, SL_M_bench_number, msg->body);
    if (--k->wanted == 0)
        finish_one(k->round);
}

static void
sink_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    (void)ctx;
    *(struct sink *)self = *(const struct sink *)argument;
}

struct source {
    struct round *round;
    struct sl_addr to;
    uint64_t left, burst, window;
};

static void
source_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    (void)ctx;
    *(struct source *)self = *(const struct source *)argument;
}

static void
source_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct source *u = self;
    if (msg->id != SL_M_bench_number) { /* A refusal: the window is too large. */
        u->round->has_failed = true;
        return;
    }
    bool is_first = msg->from.actor == 0;
    uint64_t more = SL_MIN(is_first ? u->window : u->burst, u->left);
    for (uint64_t i = 0; i < more; i++) {
        struct sl_m_bench_number body = {u->left--};
        sl_send(ctx, u->to, SL_M_bench_number, &body);
    }
}

static const struct sl_actor_class sink_class = {
    .name = "sink", .state_size = sizeof(struct sink), .init = sink_init, .handle = sink_handle};
static const struct sl_actor_class source_class = {.name = "source",
                                                   .state_size = sizeof(struct source),
                                                   .init = source_init,
                                                   .handle = source_handle};

/* One source on thread 1, or many anywhere; the sink is on thread 2. */
static double
stream(uint32_t sources, uint64_t count)
{
    struct round r = {.count = count};
    bool is_one = sources == 1;
    begin(&r, 2, 1);
    struct sink sink = {&r, count, is_one ? STREAM_BURST : FAN_BURST};
    struct source source = {.round = &r,
                            .to = spawn(&r, &sink_class, &sink, 2),
                            .left = count / sources,
                            .burst = sink.burst,
                            .window = is_one ? STREAM_WINDOW : FAN_WINDOW};
    struct sl_addr addrs[SENDERS];
    for (uint32_t i = 0; i < sources; i++)
        addrs[i] = spawn(&r, &source_class, &source, is_one ? 1 : 0);
    r.start_ns = sl_time_mono_ns();
    for (uint32_t i = 0; i < sources; i++)
        post(&r, addrs[i], 0);
    double s = end(&r);
    return s > 0 ? (double)count / s : 0;
}

static double
stream_one(uint64_t count)
{
    return stream(1, count);
}

static double
stream_many(uint64_t count)
{
    return stream(SENDERS, count);
}

/* ---- calls --------------------------------------------------------------------------------- */

struct caller {
    struct round *round;
    struct sl_addr to;
    uint64_t left, waiting, depth;
};

static void
caller_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    (void)ctx;
    *(struct caller *)self = *(const struct caller *)argument;
}

/* Keeps `depth` calls open: 1 is a caller that waits for each reply. */
static void
caller_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct caller *c = self;
    if (msg->id != SL_M_bench_number) /* A timeout or a refusal. */
        c->round->has_failed = true;
    if (msg->from.actor != 0)
        c->waiting--;
    for (; c->waiting < c->depth && c->left > 0; c->waiting++, c->left--) {
        struct sl_m_bench_number body = {c->left};
        if (sl_call(ctx, c->to, CALL_NS, SL_M_bench_number, &body) == 0)
            c->round->has_failed = true;
    }
    if (c->waiting == 0)
        finish_one(c->round);
}

static void
callee_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)self;
    sl_reply(ctx, msg, SL_M_bench_number, msg->body);
}

static const struct sl_actor_class caller_class = {.name = "caller",
                                                   .state_size = sizeof(struct caller),
                                                   .init = caller_init,
                                                   .handle = caller_handle};
static const struct sl_actor_class callee_class = {.name = "callee", .handle = callee_handle};

static double
call(uint32_t pairs, uint64_t depth, uint64_t count)
{
    struct round r = {.count = count};
    bool is_one = pairs == 1;
    begin(&r, 2, pairs);
    struct sl_addr callees[PAIRS], callers[PAIRS];
    for (uint32_t i = 0; i < pairs; i++)
        callees[i] = spawn(&r, &callee_class, NULL, is_one ? 2 : 0);
    for (uint32_t i = 0; i < pairs; i++) {
        /* With several, the other thread's actors are called too. */
        struct caller caller = {&r, callees[(i + pairs / 2) % pairs], count / pairs, 0, depth};
        callers[i] = spawn(&r, &caller_class, &caller, is_one ? 1 : 0);
    }
    r.start_ns = sl_time_mono_ns();
    for (uint32_t i = 0; i < pairs; i++)
        post(&r, callers[i], 0);
    double s = end(&r);
    return s > 0 ? (double)count / s : 0;
}

static double
call_sync(uint64_t count)
{
    return call(1, 1, count);
}

static double
call_async(uint64_t count)
{
    return call(1, PIPELINE_DEPTH, count);
}

static double
call_many(uint64_t count)
{
    return call(PAIRS, PIPELINE_DEPTH, count);
}

/* ---- tasks: an actor for each, which answers one call and ends ----------------------------- */

static void
task_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)self;
    sl_reply(ctx, msg, SL_M_bench_number, msg->body);
    sl_stop(ctx);
}

static const struct sl_actor_class task_class = {
    .name = "task", .state_size = STATE_BYTES, .handle = task_handle};

static void
tasker_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct caller *c = self;
    if (msg->id != SL_M_bench_number)
        c->round->has_failed = true;
    if (msg->from.actor != 0)
        c->waiting--;
    for (; c->waiting < c->depth && c->left > 0; c->waiting++, c->left--) {
        struct sl_m_bench_number body = {c->left};
        struct sl_addr task;
        if (sl_spawn(ctx, &task_class, NULL, NULL, &task) != SL_OK ||
            sl_call(ctx, task, CALL_NS, SL_M_bench_number, &body) == 0)
            c->round->has_failed = true;
    }
    if (c->waiting == 0)
        finish_one(c->round);
}

static const struct sl_actor_class tasker_class = {.name = "tasker",
                                                   .state_size = sizeof(struct caller),
                                                   .init = caller_init,
                                                   .handle = tasker_handle};

static double
run_tasks(uint64_t depth, uint64_t count)
{
    struct round r = {.count = count};
    begin(&r, 2, 1);
    struct caller tasker = {.round = &r, .left = count, .depth = depth};
    struct sl_addr addr = spawn(&r, &tasker_class, &tasker, 1);
    r.start_ns = sl_time_mono_ns();
    post(&r, addr, 0);
    double s = end(&r);
    return s > 0 ? (double)count / s : 0;
}

static double
tasks_sync(uint64_t count)
{
    return run_tasks(1, count);
}

static double
tasks_async(uint64_t count)
{
    return run_tasks(PIPELINE_DEPTH, count);
}

/* ---- creation and memory ------------------------------------------------------------------- */

static void
idle_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)ctx;
    *(uint64_t *)self += SL_BODY(msg, bench_number)->number;
}

static const struct sl_actor_class idle_class = {
    .name = "idle", .state_size = STATE_BYTES, .handle = idle_handle};

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

bool
sl_bench_actor_local(const struct sl_bench *bench)
{
    static const struct measured {
        struct sl_bench_figure figure;
        double (*measure)(uint64_t count);
        uint64_t count;
    } all[] = {
        {{"actor.pingpong_one_thread", "msg/s", SL_BENCH_AT_LEAST, 20e6, 0, NULL},
         ping_pong_one,
         8000000},
        {{"actor.pingpong_one_thread_cpu", "msg/s", SL_BENCH_NO_GOAL, 0, 0,
          "in a second of processor time"},
         ping_pong_processor,
         8000000},
        {{"actor.between_threads", "msg/s", SL_BENCH_AT_LEAST, 5e6, 0,
          "one sender, one receiver, windows of 2048"},
         stream_one,
         4000000},
        {{"actor.limit_ring", "msg/s", SL_BENCH_NO_GOAL, 0, 0,
          "the limit: a bare ring of 64-byte entries between two threads"},
         sl_bench_limit_ring,
         8000000},
        {{"actor.limit_zmq_inproc", "msg/s", SL_BENCH_NO_GOAL, 0, 0,
          "beside it: libzmq inproc, PAIR, 8 bytes"},
         sl_bench_limit_zmq,
         2000000},
        {{"actor.pingpong_two_threads", "msg/s", SL_BENCH_NO_GOAL, 0, 0, NULL},
         ping_pong_two,
         400000},
        {{"actor.limit_zmq_pingpong", "msg/s", SL_BENCH_NO_GOAL, 0, 0,
          "beside it: libzmq inproc, two threads"},
         sl_bench_limit_zmq_pingpong,
         100000},
        {{"actor.fan_in", "msg/s", SL_BENCH_NO_GOAL, 0, 0, "64 senders"}, stream_many, 4000000},
        {{"actor.call_sync", "1/s", SL_BENCH_NO_GOAL, 0, 0, "two threads, one call at a time"},
         call_sync,
         200000},
        {{"actor.call_async", "1/s", SL_BENCH_NO_GOAL, 0, 0, "two threads, 256 calls open"},
         call_async,
         1000000},
        {{"actor.call_n_n", "1/s", SL_BENCH_NO_GOAL, 0, 0, "4 callers, 4 callees, 256 open each"},
         call_many,
         2000000},
        {{"actor.task_sync", "1/s", SL_BENCH_NO_GOAL, 0, 0,
          "an actor that answers one call and ends, one at a time"},
         tasks_sync,
         1000000},
        {{"actor.task_async", "1/s", SL_BENCH_NO_GOAL, 0, 0, "256 at a time"},
         tasks_async,
         1000000},
    };
    for (size_t i = 0; i < SL_COUNT_OF(all); i++) {
        struct sl_bench_figure figure = all[i].figure;
        figure.value = rate(all[i].measure, bench->is_quick ? all[i].count / 4 : all[i].count);
        if (!show(bench, &figure))
            return false;
    }
    return measure_creation(bench);
}
