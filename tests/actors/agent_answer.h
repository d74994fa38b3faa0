/* SPDX-License-Identifier: Apache-2.0 */
/* agent_answer.h - what an agent under test answers, taken from the recorder of agent_say.h. */
#ifndef SL_TESTS_ACTORS_AGENT_ANSWER_H
#define SL_TESTS_ACTORS_AGENT_ANSWER_H

#include "tests/actors/agent_say.h"

/* The number of the replica that the agent asked the spawner for; 0: it asked for none. */
static inline uint32_t
spawned(void)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_spawn);
    if (msg == NULL)
        return 0;
    cr_assert_eq(msg->to.node, SL_NODE_PORT);
    cr_assert_eq(msg->to.actor, SL_PORT_SPAWNER);
    cr_assert_eq(SL_BODY(msg, spawn)->kind, SL_CHILD_REPLICA);
    uint32_t number = (uint32_t)SL_BODY(msg, spawn)->tag;
    sl_msg_destroy(&msg);
    return number;
}

/* Take one item that was sent to a replica; its number, or 0. */
static inline uint64_t
taken_by(uint32_t replica)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_process);
    if (msg == NULL)
        return 0;
    cr_assert_eq(msg->to.node, replica);
    cr_assert(sl_slice_is(SL_BODY(msg, process)->params, "{\"k\":1}"));
    cr_assert(sl_slice_is(SL_BODY(msg, process)->inputs, "in"));
    uint64_t item = SL_BODY(msg, process)->item;
    sl_msg_destroy(&msg);
    return item;
}

/* Returns how long it was worked on, as does the next. */
static inline uint64_t
expect_done(uint64_t task_id)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_task_done);
    cr_assert_not_null(msg);
    cr_assert_eq(msg->to.actor, SL_ACTOR_DISPATCHER);
    cr_assert_eq(SL_BODY(msg, task_done)->task_id, task_id);
    cr_assert_eq(SL_BODY(msg, task_done)->epoch, task_id + 1000);
    cr_assert(sl_slice_is(SL_BODY(msg, task_done)->outputs, "out"));
    uint64_t served_ns = SL_BODY(msg, task_done)->served_ns;
    sl_msg_destroy(&msg);
    return served_ns;
}

static inline uint64_t
expect_failed(uint64_t task_id, uint64_t kind, bool is_alone, const char *code)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_task_failed);
    cr_assert_not_null(msg);
    const struct sl_m_task_failed *m = SL_BODY(msg, task_failed);
    cr_assert_eq(m->task_id, task_id);
    cr_assert_eq(m->epoch, task_id + 1000);
    cr_assert_eq(m->kind, kind);
    cr_assert_eq(m->alone, is_alone);
    cr_assert(sl_slice_is(m->code, code), "%.*s", SL_SLICE_FMT(m->code));
    uint64_t served_ns = m->served_ns;
    sl_msg_destroy(&msg);
    return served_ns;
}

static inline uint32_t
start_replica(void)
{
    uint32_t replica = spawned();
    cr_assert_neq(replica, 0);
    ready(replica, "");
    return replica;
}

#endif
