/* SPDX-License-Identifier: Apache-2.0 */
/* Calls between actors: of actors that stay, and of one made for each call, which then ends. */
#include "gateway/bench/round.h"

#define PAIRS_MAX 8u
#define CALL_NS   (10 * SL_SECOND_NS)

struct caller {
    struct sl_bench_round *round;
    struct sl_addr to; /* Zero: an actor made for each call. */
    uint64_t left, waiting, depth;
};

static void
callee_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)self;
    sl_reply(ctx, msg, SL_M_bench_number, msg->body);
}

static void
task_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    callee_handle(self, ctx, msg);
    sl_stop(ctx);
}

static void
caller_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    (void)ctx;
    *(struct caller *)self = *(const struct caller *)argument;
}

static const struct sl_actor_class callee_class = {.name = "callee", .handle = callee_handle};
static const struct sl_actor_class task_class = {
    .name = "task", .state_size = SL_BENCH_STATE_BYTES, .handle = task_handle};

static void
open_call(struct caller *c, struct sl_ctx *ctx)
{
    struct sl_m_bench_number body = {c->left};
    struct sl_addr to = c->to;
    enum sl_err err = SL_OK;
    if (to.actor == 0)
        err = sl_spawn(ctx, &task_class, NULL, NULL, &to);
    if (err != SL_OK || sl_call(ctx, to, CALL_NS, SL_M_bench_number, &body) == 0)
        c->round->has_failed = true;
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
    for (; c->waiting < c->depth && c->left > 0; c->waiting++, c->left--)
        open_call(c, ctx);
    if (c->waiting == 0)
        sl_bench_round_finish(c->round);
}

static const struct sl_actor_class caller_class = {.name = "caller",
                                                   .state_size = sizeof(struct caller),
                                                   .init = caller_init,
                                                   .handle = caller_handle};

double
sl_bench_call(const struct sl_bench_load *load)
{
    struct sl_bench_round r = {0};
    uint32_t pairs = load->width;
    bool is_one = pairs == 1;
    sl_assert(pairs <= PAIRS_MAX);
    sl_bench_round_begin(&r, 2, pairs, load->count);
    struct sl_addr callees[PAIRS_MAX], callers[PAIRS_MAX];
    for (uint32_t i = 0; i < pairs; i++)
        callees[i] = sl_bench_round_spawn(&r, &callee_class, NULL, is_one ? 2 : 0);
    for (uint32_t i = 0; i < pairs; i++) {
        /* With several, the other thread's actors are called too. */
        struct caller caller = {.round = &r,
                                .to = callees[(i + pairs / 2) % pairs],
                                .left = load->count / pairs,
                                .depth = load->depth};
        callers[i] = sl_bench_round_spawn(&r, &caller_class, &caller, is_one ? 1 : 0);
    }
    sl_bench_round_start(&r, callers, pairs, (struct sl_addr){0});
    return sl_bench_round_end(&r);
}

double
sl_bench_task(const struct sl_bench_load *load)
{
    struct sl_bench_round r = {0};
    sl_bench_round_begin(&r, 2, 1, load->count);
    struct caller caller = {.round = &r, .left = load->count, .depth = load->depth};
    struct sl_addr addr = sl_bench_round_spawn(&r, &caller_class, &caller, 1);
    sl_bench_round_start(&r, &addr, 1, (struct sl_addr){0});
    return sl_bench_round_end(&r);
}
