/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/cluster.h"

#include <criterion/criterion.h>

static bool
is_taken(uint32_t actor, uint32_t id)
{
    _Alignas(16) unsigned char body[SL_FIELDS_MAX * sizeof(struct sl_slice)] = {0};
    struct sl_msg *msg = sl_msg_create(id, body);
    msg->to.actor = actor;
    msg->from.node = SL_NODE_WORKERS_FIRST;
    bool is = sl_cluster_head_takes(msg);
    sl_msg_destroy(&msg);
    return is;
}

static void
setup(void)
{
    sl_protocol_register(&sl_protocol_cluster);
}

TestSuite(cluster, .init = setup);

Test(cluster, a_node_may_tell_the_head_of_itself_and_of_its_tasks)
{
    cr_assert(is_taken(SL_ACTOR_HEAD, SL_M_node_join));
    cr_assert(is_taken(SL_ACTOR_HEAD, SL_M_node_beat));
    cr_assert(is_taken(SL_ACTOR_DISPATCHER, SL_M_task_done));
    cr_assert(is_taken(SL_ACTOR_ROUTER, SL_M_embedded));
    cr_assert(is_taken(SL_ACTOR_API, SL_M_model_open));
}

/* A worker that could, would void the leases of others, or stop the queue. */
Test(cluster, a_node_may_not_speak_as_the_head_does_to_its_own)
{
    static const uint32_t inner[] = {SL_M_node_up, SL_M_node_lost, SL_M_node_open, SL_M_wake,
                                     SL_M_drain,   SL_M_job_ended, SL_M_node_beat};
    for (size_t i = 0; i < SL_COUNT_OF(inner); i++)
        cr_expect_not(is_taken(SL_ACTOR_DISPATCHER, inner[i]), "%zu", i);
    for (uint32_t row = 0; row < sl_protocol_cluster.count; row++) {
        uint32_t id = SL_PROTOCOL_CLUSTER << 16 | row;
        cr_expect_eq(is_taken(SL_ACTOR_API, id), id == SL_M_model_open, "%s",
                     sl_protocol_cluster.types[row].name);
        cr_expect_not(is_taken(SL_ACTOR_HOOKS, id), "%s", sl_protocol_cluster.types[row].name);
        cr_expect_not(is_taken(SL_ACTOR_EDGES, id), "%s", sl_protocol_cluster.types[row].name);
    }
}

static bool
is_taken_by_node(uint32_t from, uint32_t id)
{
    _Alignas(16) unsigned char body[SL_FIELDS_MAX * sizeof(struct sl_slice)] = {0};
    struct sl_msg *msg = sl_msg_create(id, body);
    msg->to.actor = SL_ACTOR_AGENT;
    msg->from.node = from;
    bool is = sl_cluster_node_takes(msg);
    sl_msg_destroy(&msg);
    return is;
}

/* A gateway that could, would send a worker home, or have it end tasks that it never had. */
Test(cluster, a_node_takes_orders_from_the_head_alone)
{
    static const uint32_t orders[] = {SL_M_node_refused, SL_M_node_unknown, SL_M_node_leave,
                                      SL_M_drain,        SL_M_model_drop,   SL_M_model_load,
                                      SL_M_run_task,     SL_M_gate_up,      SL_M_model_evict};
    uint32_t gateway = SL_NODE_WORKERS_FIRST + 7;
    for (size_t i = 0; i < SL_COUNT_OF(orders); i++) {
        cr_expect(is_taken_by_node(SL_NODE_HEAD, orders[i]), "%zu", i);
        cr_expect_not(is_taken_by_node(gateway, orders[i]), "%zu", i);
        cr_expect_not(is_taken_by_node(SL_NODE_REPLICAS_FIRST, orders[i]), "%zu", i);
    }
    cr_assert(is_taken_by_node(gateway, SL_M_extraction));
    cr_assert(is_taken_by_node(gateway, SL_M_embed_run));
    cr_assert(is_taken_by_node(gateway, SL_M_embed_cancel));
}
