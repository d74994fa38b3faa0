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
        cr_expect_not(is_taken(SL_ACTOR_API, id), "%s", sl_protocol_cluster.types[row].name);
        cr_expect_not(is_taken(SL_ACTOR_HOOKS, id), "%s", sl_protocol_cluster.types[row].name);
        cr_expect_not(is_taken(SL_ACTOR_EDGES, id), "%s", sl_protocol_cluster.types[row].name);
    }
}
