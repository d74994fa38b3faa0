/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/head.h"

#include "runtime/report.h"
#include "runtime/spawn_port.h"
#include "tests/actors/recorder.h"

static struct recorder r;

static void
setup(void)
{
    sl_report_level_set(SL_REPORT_ERROR);
    struct sl_head_options options = {.nodes = 2, .node_text = "{\"a\":1"};
    recorder_start(&r, &sl_head_class, sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), &options);
}

static void
finish(void)
{
    recorder_stop(&r);
}

TestSuite(head, .init = setup, .fini = finish);

static uint32_t
spawned(void)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_spawn);
    if (msg == NULL)
        return 0;
    uint32_t number = (uint32_t)SL_BODY(msg, spawn)->tag;
    char *text = sl_format("{\"a\":1,\"node\":%u}", number);
    cr_assert(sl_slice_is(SL_BODY(msg, spawn)->text, text));
    cr_assert_eq(SL_BODY(msg, spawn)->kind, SL_CHILD_NODE);
    sl_free(text);
    sl_msg_destroy(&msg);
    return number;
}

static uint64_t
killed(void)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_spawn_kill);
    uint64_t tag = msg == NULL ? 0 : SL_BODY(msg, spawn_kill)->tag;
    sl_msg_destroy(&msg);
    return tag;
}

static void
join(uint32_t node)
{
    struct sl_m_node_join m = {.node = node, .pid = 100 + node, .room = 8};
    recorder_deliver(&r, sl_at(node, SL_ACTOR_AGENT), SL_M_node_join, &m);
}

static void
beat(uint32_t node)
{
    struct sl_m_node_beat m = {.node = node, .replicas = sl_slice_str("[]")};
    recorder_deliver(&r, sl_at(node, SL_ACTOR_AGENT), SL_M_node_beat, &m);
}

static void
exited(uint32_t node)
{
    recorder_deliver(&r, r.self, SL_M_child_exited,
                     &(struct sl_m_child_exited){.tag = node, .signal = 9});
}

Test(head, starts_its_nodes_and_tells_of_those_that_joined)
{
    uint32_t a = spawned(), b = spawned();
    cr_assert(a > SL_NODE_HEAD && b > SL_NODE_HEAD && a != b);
    cr_assert_eq(spawned(), 0);
    cr_assert_not(sl_head_has_node(r.actor));
    join(a);
    cr_assert(sl_head_has_node(r.actor));
    cr_assert_eq(recorder_count(&r, SL_M_node_up), 2, "the dispatcher and the router");
}

Test(head, replaces_a_node_that_ended_under_a_new_number)
{
    uint32_t a = spawned(), b = spawned();
    join(a);
    join(b);
    exited(a);
    cr_assert_eq(recorder_count(&r, SL_M_node_lost), 2);
    cr_assert_eq(spawned(), 0, "after a pause");
    recorder_wait(&r, 20 * SL_MILLI_NS);
    uint32_t c = spawned();
    cr_assert(c > b);
    exited(a); /* Its number means nothing any more. */
    recorder_wait(&r, SL_SECOND_NS / 2);
    cr_assert_eq(spawned(), 0);
}

Test(head, gives_up_a_silent_node_and_kills_it)
{
    uint32_t a = spawned(), b = spawned();
    join(a);
    join(b);
    for (int i = 0; i < 15; i++) {
        beat(b);
        recorder_wait(&r, SL_SECOND_NS);
    }
    cr_assert_eq(killed(), a);
    cr_assert_eq(killed(), 0);
    cr_assert_eq(recorder_count(&r, SL_M_node_lost), 2);
    cr_assert_gt(spawned(), b);
}

Test(head, kills_a_node_that_joins_after_it_was_given_up)
{
    uint32_t a = spawned();
    recorder_deliver(&r, r.self, SL_M_spawner_lost, &(struct sl_m_spawner_lost){1});
    join(a);
    cr_assert_eq(killed(), a);
    cr_assert_not(sl_head_has_node(r.actor));
}

/* A node that joins and dies at once must not be started fifty times a second. */
Test(head, pauses_grow_until_a_node_has_lived_for_a_beat)
{
    uint32_t starts = 0;
    for (int i = 0; i < 1000; i++) {
        for (uint32_t node; (node = spawned()) != 0; starts++) {
            join(node);
            exited(node);
        }
        recorder_wait(&r, 10 * SL_MILLI_NS);
        recorder_forget_sent(&r);
    }
    cr_assert_leq(starts, 30);
}

Test(head, a_node_beats_for_itself_alone)
{
    uint32_t a = spawned(), b = spawned();
    join(a);
    join(b);
    struct sl_m_node_beat m = {.node = b, .replicas = sl_slice_str("[]")};
    recorder_deliver(&r, sl_at(a, SL_ACTOR_AGENT), SL_M_node_beat, &m);
    struct sl_msg *passed = recorder_take(&r, SL_M_node_beat);
    cr_assert_not_null(passed);
    cr_assert_eq(SL_BODY(passed, node_beat)->node, a);
    sl_msg_destroy(&passed);
}
