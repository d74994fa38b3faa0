/* SPDX-License-Identifier: Apache-2.0 */
/* Of the dispatcher: what it tells of leases and jobs, for traces. */
#include "tests/actors/dispatcher_say.h"

static void
setup_traced(void)
{
    are_traced = true;
    setup();
}

TestSuite(dispatch_trace, .init = setup_traced, .fini = finish, .timeout = 60);

static struct sl_m_task_traced
expect_traced(struct run run, enum sl_traced_outcome outcome)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_task_traced);
    cr_assert_not_null(msg, "nothing was traced");
    struct sl_m_task_traced m = *SL_BODY(msg, task_traced);
    cr_expect_eq(msg->to.node, SL_NODE_PORT, "what a port hears of is durable");
    cr_expect_eq(msg->to.actor, SL_PORT_TRACES);
    cr_expect_eq(m.task_id, run.task_id);
    cr_expect_eq(m.epoch, run.epoch);
    cr_expect_eq(m.node, run.node);
    cr_expect_eq(m.outcome, outcome);
    cr_expect_leq(m.since_ns, m.ended_ns);
    sl_msg_destroy(&msg);
    return m;
}

Test(dispatch_trace, tells_of_each_run_and_then_of_the_job)
{
    submit(1);
    node_up(2, 1);
    struct run a = expect_run();
    failed(a, SL_FAIL_TRANSIENT, false);
    struct sl_m_task_traced m = expect_traced(a, SL_TRACED_RETRY);
    cr_expect_eq(m.attempt, 1);
    cr_expect_neq(m.created_ms, 0);
    beat_for(2, 1);
    a = expect_run();
    cr_expect_eq(recorder_count(&r, SL_M_job_ended), 0);
    done(a);
    m = expect_traced(a, SL_TRACED_DONE);
    cr_expect_eq(m.attempt, 2);
    cr_expect_eq(m.created_ms, 0, "it has waited before its first run alone");
    cr_expect_eq(recorder_count(&r, SL_M_job_ended), 2, "the api actor hears of it, too");
}

Test(dispatch_trace, tells_of_parts_and_of_what_is_given_up)
{
    submit(2);
    node_up(2, 2);
    struct run a = expect_run(), b = expect_run();
    done_part(a, "on");
    (void)expect_traced(a, SL_TRACED_PART);
    failed(b, SL_FAIL_PERMANENT, false);
    (void)expect_traced(b, SL_TRACED_DEAD);
}

Test(dispatch_trace, does_not_tell_of_what_is_stale)
{
    submit(1);
    node_up(2, 1);
    struct run a = expect_run();
    a.epoch++;
    done(a);
    cr_expect_eq(recorder_count(&r, SL_M_task_traced), 0);
}

static void
setup_told(void)
{
    told_per_s = 2;
    setup();
}

TestSuite(dispatch_told, .init = setup_told, .fini = finish, .timeout = 60);

Test(dispatch_told, tells_of_so_many_a_second_where_nobody_collects)
{
    submit(5);
    node_up(2, 5);
    for (uint32_t i = 0; i < 3; i++)
        done(expect_run());
    cr_expect_eq(recorder_count(&r, SL_M_task_traced), 2);
    r.now_ns += SL_SECOND_NS;
    done(expect_run());
    cr_expect_eq(recorder_count(&r, SL_M_task_traced), 3, "there is room in the next second");
    done(expect_run());
    cr_expect_eq(recorder_count(&r, SL_M_job_ended), 1, "the api actor's alone");
}
