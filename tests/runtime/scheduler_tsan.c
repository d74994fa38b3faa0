/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What threads share in the scheduler, under ThreadSanitizer: mailboxes, run queues and stealing,
 * pinned actors, sleeping and waking, work, and actors that come, go, watch and link at random
 * while others send to them. A plain program; it ends with a wrong exit code where a count is
 * wrong.
 */
#include <stdio.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/scheduler.h"
#include "tests/runtime/test_protocol.h"

#define THREADS 4

static void
send_number(struct sl_ctx *ctx, struct sl_addr to, uint64_t number)
{
    sl_send(ctx, to, SL_M_count, &(struct sl_m_count){number});
}

static struct sl_addr
spawn(struct sl_scheduler *s, const struct sl_actor_class *class, const void *argument,
      uint32_t thread)
{
    struct sl_addr addr;
    struct sl_spawn_options options = {.thread = thread};
    sl_assert(sl_scheduler_spawn(s, &(struct sl_spawn_what){class, argument}, &options, &addr) ==
              SL_OK);
    return addr;
}

static void
post_number(struct sl_scheduler *s, struct sl_addr to, uint64_t number)
{
    struct sl_msg *msg = sl_msg_create(SL_M_count, &(struct sl_m_count){number});
    msg->to = to;
    sl_assert(sl_scheduler_post(s, msg) == SL_OK);
}

/* ---- tokens that go round ------------------------------------------------------------------ */

#define RING   64
#define TOKENS 16
#define HOPS   2000

struct member {
    struct sl_addr next;
    uint64_t hops, ended, now_ns;
};

static void
member_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    *(struct member *)self =
        (struct member){.next = *(const struct sl_addr *)argument, .now_ns = ctx->now_ns};
}

static void
member_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct member *m = self;
    uint64_t left = SL_BODY(msg, count)->number;
    m->hops++;
    sl_assert(ctx->now_ns >= m->now_ns); /* Wherever it runs. */
    m->now_ns = ctx->now_ns;
    if (left == 0)
        m->ended++;
    else
        send_number(ctx, m->next, left - 1);
}

static const struct sl_actor_class member_class = {.name = "member",
                                                   .state_size = sizeof(struct member),
                                                   .init = member_init,
                                                   .handle = member_handle};

/* A third of the ring may run anywhere, the others on threads of their own. */
static void
check_ring(void)
{
    struct sl_scheduler *s = sl_scheduler_create(
        &(struct sl_scheduler_options){.threads = THREADS, .drain_ns = 60 * SL_SECOND_NS});
    /* Numbers are given in order, so that the first can know the last. */
    struct sl_addr addrs[RING], next = {.actor = 1024 + RING - 1};
    for (uint32_t i = 0; i < RING; i++) {
        addrs[i] = spawn(s, &member_class, &next, i % 3 == 0 ? 0 : i % THREADS + 1);
        next = addrs[i];
    }
    sl_assert(addrs[RING - 1].actor == 1024 + RING - 1);
    for (uint32_t i = 0; i < TOKENS; i++)
        post_number(s, addrs[i * (RING / TOKENS)], HOPS);
    sl_assert(sl_scheduler_stop(s) == SL_OK);
    uint64_t hops = 0, ended = 0;
    for (uint32_t i = 0; i < RING; i++) {
        const struct member *m = sl_scheduler_state(s, addrs[i]);
        hops += m->hops;
        ended += m->ended;
    }
    sl_assert(hops == TOKENS * (HOPS + 1) && ended == TOKENS);
    sl_assert(sl_scheduler_stats(s).messages == hops);
    sl_scheduler_destroy(&s);
}

/* ---- order: each sender's messages arrive as they were sent, and nothing is lost ------------ */

#define SENDERS 16
#define NUMBERS 2000
#define WINDOW  32

struct sink {
    struct sl_addr senders[SENDERS];
    uint64_t next[SENDERS];
    uint32_t count;
    uint64_t works;
};

static void
square(void *argument)
{
    *(uint64_t *)argument *= *(uint64_t *)argument;
}

static void
sink_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct sink *k = self;
    if (msg->id == SL_M_work_done) {
        uint64_t token = SL_BODY(msg, work_done)->token;
        uint64_t *number = (uint64_t *)(uintptr_t)SL_BODY(msg, work_done)->argument;
        sl_assert(*number == token * token);
        sl_free(number);
        k->works++;
        return;
    }
    uint32_t i = 0;
    while (i < k->count && k->senders[i].actor != msg->from.actor)
        i++;
    if (i == k->count)
        k->senders[k->count++] = msg->from;
    uint64_t number = SL_BODY(msg, count)->number;
    sl_assert(number == k->next[i]++);
    if (number % WINDOW == WINDOW - 1)
        sl_reply(ctx, msg, SL_M_bare, NULL);
    if (number % 500 == 0) {
        uint64_t *argument = sl_alloc(sizeof(*argument));
        *argument = number;
        sl_work(ctx, square, argument, number);
    }
}

struct source {
    struct sl_addr to;
    uint64_t sent;
};

static void
source_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    (void)ctx;
    ((struct source *)self)->to = *(const struct sl_addr *)argument;
}

static void
source_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct source *u = self;
    (void)msg;
    sl_assert(msg->id != SL_M_undelivered);
    for (int i = 0; i < WINDOW && u->sent < NUMBERS; i++)
        send_number(ctx, u->to, u->sent++);
}

static const struct sl_actor_class sink_class = {
    .name = "sink", .state_size = sizeof(struct sink), .handle = sink_handle};
static const struct sl_actor_class source_class = {.name = "source",
                                                   .state_size = sizeof(struct source),
                                                   .init = source_init,
                                                   .handle = source_handle};

static void
check_order(uint32_t sink_thread)
{
    struct sl_scheduler *s = sl_scheduler_create(
        &(struct sl_scheduler_options){.threads = THREADS, .drain_ns = 60 * SL_SECOND_NS});
    struct sl_addr sink = spawn(s, &sink_class, NULL, sink_thread);
    for (uint32_t i = 0; i < SENDERS; i++)
        post_number(s, spawn(s, &source_class, &sink, 0), 0);
    sl_assert(sl_scheduler_stop(s) == SL_OK);
    const struct sink *k = sl_scheduler_state(s, sink);
    sl_assert(k->count == SENDERS && k->works == SENDERS * NUMBERS / 500);
    for (uint32_t i = 0; i < SENDERS; i++)
        sl_assert(k->next[i] == NUMBERS);
    sl_assert(sl_scheduler_stats(s).undelivered == 0);
    sl_scheduler_destroy(&s);
}

/* ---- chaos: actors that start, end, fail, send, watch, link and call at random -------------- */

#define ROOTS   32
#define LIVES   300 /* Steps that a root takes. */
#define KNOWN   8
#define CALL_NS (10 * SL_MILLI_NS)

struct chaos {
    struct sl_addr known[KNOWN];
    uint64_t watches, downs, calls, answers;
    uint32_t left; /* Steps; others are children, which live until somebody ends them. */
    bool is_root;
};

struct tally {
    _Atomic uint64_t init, deinit, watches, downs, calls, answers;
};
static struct tally tally;

static void chaos_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg);

static void
chaos_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct chaos *c = self;
    (void)ctx;
    c->is_root = argument != NULL;
    c->left = c->is_root ? LIVES : 0;
    tally.init++;
}

static void
chaos_deinit(void *self)
{
    const struct chaos *c = self;
    tally.deinit++;
    if (!c->is_root)
        return;
    tally.watches += c->watches;
    tally.downs += c->downs;
    tally.calls += c->calls;
    tally.answers += c->answers;
}

static const struct sl_actor_class root_class = {.name = "root",
                                                 .state_size = sizeof(struct chaos),
                                                 .init = chaos_init,
                                                 .handle = chaos_handle,
                                                 .deinit = chaos_deinit,
                                                 .is_trapping = true};
static const struct sl_actor_class child_class = {.name = "child",
                                                  .state_size = sizeof(struct chaos),
                                                  .init = chaos_init,
                                                  .handle = chaos_handle,
                                                  .deinit = chaos_deinit};

static void
step(struct chaos *c, struct sl_ctx *ctx)
{
    struct sl_addr *known = &c->known[sl_random_below(ctx->random, KNOWN)];
    switch (sl_random_below(ctx->random, 8)) {
    case 0:
    case 1: {
        struct sl_spawn_options options = {.thread =
                                               (uint32_t)sl_random_below(ctx->random, THREADS + 1),
                                           .is_linked = sl_random_below(ctx->random, 2) == 0,
                                           .is_watched = sl_random_below(ctx->random, 2) == 0};
        c->watches += options.is_watched;
        sl_assert(sl_spawn(ctx, &child_class, NULL, &options, known) == SL_OK);
        break;
    }
    case 2:
        sl_exit(ctx, *known, SL_ECRASHED);
        break;
    case 3:
        sl_kill(ctx, *known, SL_ECANCELED);
        break;
    case 4:
        sl_link(ctx, *known);
        break;
    case 5:
        if (known->actor != 0)
            c->calls += sl_call(ctx, *known, CALL_NS, SL_M_count, &(struct sl_m_count){1}) != 0;
        break;
    default:
        send_number(ctx, *known, sl_random_below(ctx->random, 4));
    }
}

static void
chaos_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct chaos *c = self;
    c->downs += msg->id == SL_M_down;
    c->answers += msg->request >> 63 != 0 && (uint32_t)msg->request == ctx->self.actor;
    if (c->is_root) {
        if (msg->id != SL_M_timer && c->left != LIVES)
            return;
        if (c->left > 0) {
            c->left--;
            step(c, ctx);
            sl_after(ctx, 0, 0);
        }
        return;
    }
    if (msg->id != SL_M_count)
        return;
    if (SL_BODY(msg, count)->number == 3)
        sl_fail(ctx, SL_ECRASHED);
    else if (msg->request != 0 && sl_random_below(ctx->random, 2) == 0)
        sl_reply(ctx, msg, SL_M_bare, NULL);
}

struct look {
    struct sl_scheduler *s;
    const struct sl_addr *roots;
    bool is_over;
};

static void
look(void *arg, struct sl_ctx *ctx)
{
    (void)ctx;
    struct look *l = arg;
    l->is_over = true;
    for (uint32_t i = 0; i < ROOTS; i++) {
        const struct chaos *c = sl_scheduler_state(l->s, l->roots[i]);
        l->is_over &= c->left == 0 && c->calls == c->answers;
    }
}

/* Roots are all on thread 1, so a look from there sees them whole. */
static void
check_chaos(void)
{
    struct sl_scheduler *s = sl_scheduler_create(
        &(struct sl_scheduler_options){.threads = THREADS, .drain_ns = 60 * SL_SECOND_NS});
    struct sl_addr roots[ROOTS];
    for (uint32_t i = 0; i < ROOTS; i++)
        roots[i] = spawn(s, &root_class, s, 1);
    for (uint32_t i = 0; i < ROOTS; i++)
        post_number(s, roots[i], 0);
    struct look l = {.s = s, .roots = roots};
    while (!l.is_over)
        sl_scheduler_run(s, 1, look, &l);
    sl_assert(sl_scheduler_stop(s) == SL_OK);
    struct sl_scheduler_stats stats = sl_scheduler_stats(s);
    uint64_t live = tally.init - tally.deinit;
    sl_assert(stats.spawned == tally.init && stats.ended == tally.deinit);
    sl_assert(stats.spawned - stats.ended == live && live >= ROOTS);
    sl_scheduler_destroy(&s);
    sl_assert(tally.init == tally.deinit);
    sl_assert(tally.calls > 0 && tally.calls == tally.answers);
    sl_assert(tally.downs > 0 && tally.downs <= tally.watches);
}

int
main(void)
{
    sl_report_level_set(SL_REPORT_ERROR);
    test_protocol_register();
    check_ring();
    check_order(0);
    check_order(2);
    check_chaos();
    return 0;
}
