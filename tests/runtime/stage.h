/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage.h - one node's actors under either driver, by the test's own clock: the scheduler on the
 * test's thread, or a process of the simulation. What holds on one must hold on the other.
 */
#ifndef SL_TESTS_RUNTIME_STAGE_H
#define SL_TESTS_RUNTIME_STAGE_H

#include <criterion/criterion.h>

#include "runtime/report.h"
#include "runtime/scheduler.h"
#include "runtime/sim.h"
#include "tests/runtime/test_protocol.h"

/* Two tests of one body. */
#define ON_BOTH(suite, name)                                                                       \
    static void name(void);                                                                        \
    Test(suite, name)                                                                              \
    {                                                                                              \
        name();                                                                                    \
    }                                                                                              \
    Test(simulated_##suite, name)                                                                  \
    {                                                                                              \
        name();                                                                                    \
    }                                                                                              \
    static void name(void)

static struct sl_scheduler *s; /* NULL: it is simulated. */
static struct sl_sim *stage_sim;
static uint32_t stage_process;
static uint64_t now_ns, next_ns;

static inline void
stage_open(void)
{
    test_protocol_register();
    sl_report_level_set(SL_REPORT_ERROR + 1);
    s = sl_scheduler_create(
        &(struct sl_scheduler_options){.threads = 1, .is_manual = true, .seed = 1});
}

static inline void
stage_open_simulated(void)
{
    test_protocol_register();
    sl_report_level_set(SL_REPORT_ERROR + 1);
    stage_sim = sl_sim_create(&(struct sl_sim_options){.seed = 1});
    stage_process = sl_sim_start(stage_sim, 1, NULL);
}

static inline void
stage_close(void)
{
    sl_scheduler_destroy(&s);
    sl_sim_destroy(&stage_sim);
}

static inline void
stage_mark(void *is_reached, uint64_t ignored)
{
    (void)ignored;
    *(bool *)is_reached = true;
}

/* Run all that is due at now_ns. */
static inline void
settle(void)
{
    while (s != NULL && sl_scheduler_step(s, (struct sl_instant){now_ns, 0}, &next_ns))
        ;
    /* What is due at the mark's time and was made after it comes before the next mark. */
    for (int i = 0; s == NULL && i < 8; i++) {
        bool is_reached = false;
        sl_sim_at(stage_sim, now_ns - sl_sim_now_ns(stage_sim), stage_mark, &is_reached, 0);
        while (!is_reached)
            cr_assert(sl_sim_step(stage_sim));
    }
}

static inline enum sl_err
stage_spawn(const struct sl_spawn_what *what, const struct sl_spawn_options *options,
            struct sl_addr *ret_addr)
{
    if (s != NULL)
        return sl_scheduler_spawn(s, what, options, ret_addr);
    settle(); /* Its clock is ours. */
    uint32_t number = options == NULL ? 0 : options->number;
    *ret_addr = (struct sl_addr){
        1, sl_sim_spawn(stage_sim, stage_process, number, what->class, what->argument)};
    return SL_OK;
}

static inline void *
stage_state(struct sl_addr who)
{
    if (s != NULL)
        return (void *)(uintptr_t)sl_scheduler_state(s, who);
    return sl_sim_state(stage_sim, stage_process, who.actor);
}

static inline enum sl_err
stage_post(struct sl_addr to, struct sl_msg *msg)
{
    msg->to = to;
    if (s != NULL)
        return sl_scheduler_post(s, msg);
    sl_sim_post(stage_sim, stage_process, to.actor, now_ns - sl_sim_now_ns(stage_sim), msg);
    return SL_OK;
}

/* How many actors there are. */
static inline uint64_t
stage_count(void)
{
    return s != NULL ? sl_scheduler_stats(s).spawned - sl_scheduler_stats(s).ended
                     : sl_sim_actors(stage_sim, stage_process);
}

#endif
