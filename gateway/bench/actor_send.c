/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between actors: to and fro, from one to one, from many to one. */
#include <assert.h>

#include "gateway/bench/round.h"
#include "runtime/time.h"

#define SENDERS_MAX 64u
/* Messages between two words from the receiver that it can take more. */
#define STREAM_BURST  256u
#define STREAM_WINDOW 2048u
#define FAN_BURST     16u
#define FAN_WINDOW    48u /* 64 of these fit in one mailbox. */

static_assert(SENDERS_MAX * FAN_WINDOW < 4096, "a fan-in is never refused");

/* ---- ping-pong ----------------------------------------------------------------------------- */

struct player {
    struct sl_bench_round *round;
    uint64_t left;
};

static void
player_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    (void)ctx;
    struct player *p = self;
    p->round = (struct sl_bench_round *)(uintptr_t)argument;
    p->left = p->round->count / 2;
}

static void
player_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct player *p = self;
    if (p->left-- == 0)
        sl_bench_round_finish(p->round);
    else
        sl_send(ctx, msg->from, msg->id, msg->body);
}

static const struct sl_actor_class player_class = {.name = "player",
                                                   .state_size = sizeof(struct player),
                                                   .init = player_init,
                                                   .handle = player_handle};

/* `width` threads. The first ball: as if the other had sent it. */
double
sl_bench_ping_pong(const struct sl_bench_load *load)
{
    struct sl_bench_round r = {0};
    sl_bench_round_begin(&r, load->width, 1, load->count);
    struct sl_addr a = sl_bench_round_spawn(&r, &player_class, &r, 1);
    struct sl_addr b = sl_bench_round_spawn(&r, &player_class, &r, load->width);
    sl_bench_round_start(&r, &a, 1, b);
    return sl_bench_round_end(&r);
}

double
sl_bench_ping_pong_processor(const struct sl_bench_load *load)
{
    uint64_t before_ns = sl_time_processor_ns();
    bool is_ok = sl_bench_ping_pong(load) > 0;
    double s = (double)(sl_time_processor_ns() - before_ns) / 1e9;
    return is_ok && s > 0 ? (double)load->count / s : 0;
}

/* ---- streams: from one to one, and from many to one ---------------------------------------- */

struct sink {
    struct sl_bench_round *round;
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
        sl_bench_round_finish(k->round);
}

static void
sink_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    (void)ctx;
    *(struct sink *)self = *(const struct sink *)argument;
}

struct source {
    struct sl_bench_round *round;
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

/* One source on thread 1, or `width` anywhere; the sink is on thread 2. */
double
sl_bench_stream(const struct sl_bench_load *load)
{
    struct sl_bench_round r = {0};
    uint32_t sources = load->width;
    bool is_one = sources == 1;
    sl_assert(sources <= SENDERS_MAX);
    sl_bench_round_begin(&r, 2, 1, load->count);
    struct sink sink = {&r, load->count, is_one ? STREAM_BURST : FAN_BURST};
    struct source source = {.round = &r,
                            .to = sl_bench_round_spawn(&r, &sink_class, &sink, 2),
                            .left = load->count / sources,
                            .burst = sink.burst,
                            .window = is_one ? STREAM_WINDOW : FAN_WINDOW};
    struct sl_addr addrs[SENDERS_MAX];
    for (uint32_t i = 0; i < sources; i++)
        addrs[i] = sl_bench_round_spawn(&r, &source_class, &source, is_one ? 1 : 0);
    sl_bench_round_start(&r, addrs, sources, (struct sl_addr){0});
    return sl_bench_round_end(&r);
}
