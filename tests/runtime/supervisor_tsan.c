/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Supervisors under ThreadSanitizer: a tree whose children live on all threads under known numbers
 * and fail whenever they are told to, by each other and from outside, also while they are being
 * stopped. A plain program; it ends with a wrong exit code where somebody is lost or left behind.
 */
#include "runtime/report.h"
#include "runtime/scheduler.h"
#include "runtime/supervisor.h"
#include "tests/runtime/test_protocol.h"

#define THREADS  4
#define BRANCHES 3
#define CHILDREN 8
#define FAILURES 20000

static _Atomic uint64_t inits, deinits;

static void
child_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    (void)self, (void)ctx, (void)argument;
    inits++;
}

static struct sl_addr
anyone(struct sl_random *random)
{
    return (struct sl_addr){.actor = 1 + (uint32_t)sl_random_below(random, BRANCHES * CHILDREN)};
}

/* The number: how often the failure is passed on before it happens. */
static void
child_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)self;
    if (msg->id != SL_M_count)
        return;
    uint64_t left = SL_BODY(msg, count)->number;
    if (left == 0)
        sl_fail(ctx, SL_ECRASHED);
    else
        sl_send(ctx, anyone(ctx->random), SL_M_count, &(struct sl_m_count){left - 1});
}

static void
child_deinit(void *self)
{
    (void)self;
    deinits++;
}

static const struct sl_actor_class child_class = {
    .name = "child", .init = child_init, .handle = child_handle, .deinit = child_deinit};

static struct sl_child_spec children[BRANCHES][CHILDREN], branches[BRANCHES];
static struct sl_supervisor_spec specs[BRANCHES];
/* A window of nothing: the budget is never spent. */
static const struct sl_supervisor_spec tree = {
    .restarts_max = 1, .children = branches, .children_count = BRANCHES};

static void
plant(void)
{
    static const enum sl_restart_strategy strategies[BRANCHES] = {SL_ONE_FOR_ONE, SL_ONE_FOR_ALL,
                                                                  SL_REST_FOR_ONE};
    for (uint32_t b = 0; b < BRANCHES; b++) {
        for (uint32_t i = 0; i < CHILDREN; i++)
            children[b][i] = (struct sl_child_spec){
                .name = "child",
                .class = &child_class,
                .options = {.number = 1 + b * CHILDREN + i, .thread = i % (THREADS + 1)}};
        specs[b] = (struct sl_supervisor_spec){.strategy = strategies[b],
                                               .restarts_max = 1,
                                               .children = children[b],
                                               .children_count = CHILDREN};
        branches[b] = (struct sl_child_spec){
            .name = "branch", .class = &sl_supervisor_class, .argument = &specs[b]};
    }
}

static void
post(struct sl_scheduler *s, struct sl_addr to, uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    msg->to = to;
    enum sl_err err = sl_scheduler_post(s, msg);
    sl_assert(err == SL_OK || err == SL_ENOTFOUND || err == SL_ESTALE); /* Between two lives. */
}

int
main(void)
{
    sl_report_level_set(SL_REPORT_ERROR + 1);
    test_protocol_register();
    plant();
    struct sl_scheduler *s = sl_scheduler_create(
        &(struct sl_scheduler_options){.threads = THREADS, .drain_ns = 60 * SL_SECOND_NS});
    struct sl_addr top;
    sl_assert(sl_scheduler_spawn(s, &(struct sl_spawn_what){&sl_supervisor_class, &tree}, NULL,
                                 &top) == SL_OK);
    struct sl_random random;
    sl_random_seed(&random, 1);
    for (int i = 0; i < FAILURES; i++)
        post(s, anyone(&random), SL_M_count, &(struct sl_m_count){sl_random_below(&random, 3)});
    post(s, top, SL_M_exit, &(struct sl_m_exit){.reason = SL_ECANCELED});
    sl_assert(sl_scheduler_stop(s) == SL_OK);
    struct sl_scheduler_stats stats = sl_scheduler_stats(s);
    sl_assert(stats.spawned == stats.ended);
    sl_assert(inits == deinits && inits > BRANCHES * CHILDREN);
    sl_scheduler_destroy(&s);
    return 0;
}
