/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/head.h"

#include "queue/event.h"
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
    cr_assert_eq(recorder_count(&r, SL_M_node_lost), 3);
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
    cr_assert_eq(recorder_count(&r, SL_M_node_lost), 3);
    cr_assert_gt(spawned(), b);
}

Test(head, kills_a_node_that_joins_after_it_was_given_up)
{
    uint32_t a = spawned(), b = spawned();
    recorder_deliver(&r, r.self, SL_M_spawner_lost, &(struct sl_m_spawner_lost){1});
    cr_assert_eq(killed(), b, "the next spawner may have begun it");
    cr_assert_eq(killed(), a);
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

/* ---- workers from elsewhere ---------------------------------------------------------------- */

enum { WORKER = SL_NODE_WORKERS_FIRST + 5 };

static void
join_as(uint32_t node, const char *name, const char *facts)
{
    struct sl_m_node_join m = {.node = node,
                               .pid = 1,
                               .room = 8,
                               .name = sl_slice_str(name),
                               .facts = sl_slice_str(facts)};
    recorder_deliver(&r, sl_at(node, SL_ACTOR_AGENT), SL_M_node_join, &m);
}

static uint32_t
told(uint32_t id, uint32_t node)
{
    struct sl_msg *msg = recorder_take(&r, id);
    if (msg == NULL)
        return 0;
    cr_assert_eq(msg->to.node, node);
    sl_msg_destroy(&msg);
    return 1;
}

static uint64_t
order(const char *name, enum sl_node_order what)
{
    recorder_deliver(&r, sl_at(0, SL_ACTOR_API), SL_M_node_order,
                     &(struct sl_m_node_order){.name = sl_slice_str(name), .order = what});
    struct sl_msg *msg = recorder_take(&r, SL_M_node_ordered);
    cr_assert_not_null(msg);
    uint64_t err = SL_BODY(msg, node_ordered)->err;
    sl_msg_destroy(&msg);
    return err;
}

static int
is_open(void)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_node_open);
    cr_assert_not_null(msg);
    int open = SL_BODY(msg, node_open)->is_open != 0;
    sl_msg_destroy(&msg);
    cr_assert_eq(recorder_count(&r, SL_M_node_open), 2, "dispatcher, router and the node");
    recorder_forget_sent(&r);
    return open;
}

Test(head, takes_a_worker_of_a_group_and_tells_its_classes)
{
    recorder_forget_sent(&r);
    join_as(WORKER, "w1", "{\"group\":\"gpu-workers\",\"gpus\":1}");
    cr_assert(told(SL_M_node_welcome, WORKER));
    struct sl_msg *up = recorder_take(&r, SL_M_node_up);
    cr_assert_not_null(up);
    cr_assert_eq(SL_BODY(up, node_up)->node, WORKER);
    cr_assert_eq(SL_BODY(up, node_up)->classes, UINT64_C(1) << SL_CLASS_GPU);
    sl_msg_destroy(&up);
    recorder_forget_sent(&r);
    join_as(WORKER, "w1", "{\"group\":\"gpu-workers\",\"gpus\":1}");
    cr_assert(told(SL_M_node_welcome, WORKER), "the first may have been lost");
    cr_assert_eq(recorder_count(&r, SL_M_node_up), 0);
    struct sl_buf text = {0};
    sl_head_status(r.actor, &text);
    cr_assert_not_null(strstr(sl_buf_text(&text), "\"name\":\"w1\""));
    sl_buf_deinit(&text);
}

Test(head, refuses_workers_that_make_no_sense)
{
    static const struct {
        const char *name, *facts;
    } bad[] = {{"w/1", "{\"group\":\"cpu\"}"},
               {"w1", "{\"group\":\"tpu\"}"},
               {"w1", "{}"},
               {"w1", "nonsense"},
               {"w1", "{\"group\":\"cpu\",\"cpus\":-1}"},
               {"w1", "{\"group\":\"cpu\",\"labels\":{\"a\":1}}"},
               {"w1", "{\"group\":\"cpu\",\"taint\":\"tenant=\"}"},
               {"w1", "{\"group\":\"cpu\",\"taint\":\"colour=red\"}"},
               {"w1", "{\"group\":\"cpu\",\"taint\":1}"}};
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        join_as(WORKER, bad[i].name, bad[i].facts);
        cr_expect(told(SL_M_node_refused, WORKER), "%s %s", bad[i].name, bad[i].facts);
        cr_expect_eq(recorder_count(&r, SL_M_node_up), 0);
    }
}

Test(head, a_worker_of_a_group_that_is_not_wanted_is_told_which_are)
{
    struct sl_head_options options = {.nodes = 2, .node_text = "{\"a\":1", .groups = " any  gpu"};
    recorder_stop(&r);
    recorder_start(&r, &sl_head_class, sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), &options);
    join_as(WORKER, "w1", "{\"group\":\"cpu-workers\"}");
    struct sl_msg *refused = recorder_take(&r, SL_M_node_refused);
    cr_assert_not_null(refused);
    cr_assert(sl_slice_is(SL_BODY(refused, node_refused)->why,
                          "this head takes no workers of the group cpu, only gpu any"));
    sl_msg_destroy(&refused);
    join_as(WORKER, "w1", "{\"group\":\"gpu-workers\"}");
    cr_assert(told(SL_M_node_welcome, WORKER));
}

/* What the head says of its groups has this. */
static bool
shows(const char *text)
{
    struct sl_buf groups = {0};
    sl_head_groups(r.actor, &groups);
    bool is_there = strstr(sl_buf_text(&groups), text) != NULL;
    sl_buf_deinit(&groups);
    return is_there;
}

Test(head, a_group_has_so_many_workers_at_most_and_should_have_so_many)
{
    struct sl_head_options options = {
        .nodes = 2, .node_text = "{\"a\":1", .groups = "{\"cpu\":{\"min\":\"2\",\"max\":\"2\"}}"};
    recorder_stop(&r);
    sl_report_level_set(SL_REPORT_ERROR);
    recorder_start(&r, &sl_head_class, sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), &options);
    cr_assert(shows("\"workers\":0,\"min\":2,\"max\":2,\"condition\":\"below_min\""));
    join_as(WORKER, "w1", "{\"group\":\"cpu\"}");
    cr_assert(shows("1 workers are there, of 2 at least"));
    join_as(WORKER + 1, "w2", "{\"group\":\"cpu\"}");
    cr_assert(shows("\"workers\":2,\"min\":2,\"max\":2,\"condition\":\"ok\""));
    recorder_forget_sent(&r);
    join_as(WORKER + 2, "w3", "{\"group\":\"cpu\"}");
    struct sl_msg *refused = recorder_take(&r, SL_M_node_refused);
    cr_assert_not_null(refused);
    cr_assert(sl_slice_is(SL_BODY(refused, node_refused)->why,
                          "the group cpu has as many workers as it may, 2"));
    sl_msg_destroy(&refused);
    join_as(WORKER + 3, "w2", "{\"group\":\"cpu\"}");
    cr_assert(told(SL_M_node_welcome, WORKER + 3), "it takes the place of another");
    recorder_deliver(&r, r.self, SL_M_peer_down, &(struct sl_m_peer_down){.node = WORKER});
    cr_assert(shows("below_min"));
    recorder_forget_sent(&r);
    join_as(WORKER + 4, "w3", "{\"group\":\"cpu\"}");
    cr_assert(told(SL_M_node_welcome, WORKER + 4));
}

Test(head, a_worker_whose_link_is_down_is_lost_at_once_and_a_child_is_not)
{
    uint32_t child = spawned();
    join(child);
    join_as(WORKER, "w1", "{\"group\":\"cpu\"}");
    recorder_forget_sent(&r);
    recorder_deliver(&r, r.self, SL_M_peer_down, &(struct sl_m_peer_down){.node = child});
    cr_assert_eq(recorder_count(&r, SL_M_node_lost), 0);
    recorder_deliver(&r, r.self, SL_M_peer_down, &(struct sl_m_peer_down){.node = WORKER + 1});
    cr_assert_eq(recorder_count(&r, SL_M_node_lost), 1, "the locator: of a stranger's images");
    recorder_forget_sent(&r);
    recorder_deliver(&r, r.self, SL_M_peer_down, &(struct sl_m_peer_down){.node = WORKER});
    cr_assert_eq(recorder_count(&r, SL_M_node_lost), 3,
                 "the dispatcher, the router and the locator");
    recorder_forget_sent(&r);
    beat(WORKER);
    cr_assert(told(SL_M_node_unknown, WORKER));
}

Test(head, a_worker_started_again_takes_the_place_of_the_old_one)
{
    join_as(WORKER, "w1", "{\"group\":\"cpu\"}");
    recorder_forget_sent(&r);
    join_as(WORKER + 1, "w1", "{\"group\":\"cpu\"}");
    cr_assert(told(SL_M_node_refused, WORKER));
    cr_assert_eq(recorder_count(&r, SL_M_node_lost), 3, "its leases are void");
    cr_assert(told(SL_M_node_welcome, WORKER + 1));
}

Test(head, a_worker_that_was_given_up_is_a_stranger_until_it_joins_again)
{
    join_as(WORKER, "w1", "{\"group\":\"cpu\"}");
    recorder_forget_sent(&r);
    recorder_wait(&r, SL_NODE_SILENCE_NS - SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_node_lost), 0);
    recorder_forget_sent(&r);
    recorder_wait(&r, 2 * SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_node_lost), 3);
    recorder_forget_sent(&r);
    beat(WORKER);
    cr_assert(told(SL_M_node_unknown, WORKER));
    cr_assert_eq(recorder_count(&r, SL_M_node_beat), 0, "the dispatcher hears nothing of it");
    join_as(WORKER, "w1", "{\"group\":\"cpu\"}");
    cr_assert(told(SL_M_node_welcome, WORKER));
}

Test(head, cordons_drains_and_lets_go)
{
    uint32_t child = spawned();
    join(child);
    join_as(WORKER, "w1", "{\"group\":\"cpu\"}");
    recorder_forget_sent(&r);
    cr_assert_eq(order("nobody", SL_NODE_CORDON), SL_ENOTFOUND);
    cr_assert_eq(order("w1", SL_NODE_CORDON), SL_OK);
    cr_assert_not(is_open());
    cr_assert_eq(order("w1", SL_NODE_UNCORDON), SL_OK);
    cr_assert(is_open());
    char *number = sl_format("%u", child);
    cr_assert_eq(order(number, SL_NODE_DRAIN), SL_EINVAL);
    sl_free(number);
    cr_assert_eq(order("w1", SL_NODE_DRAIN), SL_OK);
    cr_assert(told(SL_M_drain, WORKER));
    struct sl_m_node_leave leave = {.node = WORKER};
    for (unsigned i = 0; i < 2; i++) { /* It says so again where it was not heard. */
        recorder_deliver(&r, sl_at(WORKER, SL_ACTOR_AGENT), SL_M_node_leave, &leave);
        cr_assert_not(is_open());
    }
    struct sl_buf events = {0};
    sl_head_events(r.actor, &events);
    const char *draining = strstr(sl_buf_text(&events), "node-leaving");
    cr_assert_not_null(draining);
    cr_expect_null(strstr(draining + 1, "node-leaving"), "told once");
    sl_buf_deinit(&events);
    leave.is_done = 1;
    recorder_deliver(&r, sl_at(WORKER, SL_ACTOR_AGENT), SL_M_node_leave, &leave);
    cr_assert_eq(recorder_count(&r, SL_M_node_lost), 3);
    recorder_wait(&r, 10 * SL_SECOND_NS);
    cr_assert_eq(spawned(), 0, "whoever started it starts it again");
}

static enum sl_err
configure(const char *groups, const char *extractors)
{
    struct sl_m_head_config m = {.groups = sl_slice_str(groups),
                                 .extractors = sl_slice_str(extractors)};
    recorder_deliver(&r, sl_at(0, SL_ACTOR_API), SL_M_head_config, &m);
    struct sl_msg *msg = recorder_take(&r, SL_M_node_ordered);
    cr_assert_not_null(msg);
    enum sl_err err = (enum sl_err)SL_BODY(msg, node_ordered)->err;
    sl_msg_destroy(&msg);
    return err;
}

Test(head, another_configuration_holds_at_once_and_every_node_is_told)
{
    uint32_t a = spawned();
    join(a);
    recorder_forget_sent(&r);
    cr_expect_eq(configure("{\"gpu\":{\"max\":\"1\"}}", "{\"x\":{}}"), SL_OK);
    struct sl_msg *msg = recorder_take(&r, SL_M_scale_config);
    cr_assert_not_null(msg);
    cr_expect_eq(msg->to.node, a);
    cr_expect(sl_slice_is(SL_BODY(msg, scale_config)->extractors, "{\"x\":{}}"));
    sl_msg_destroy(&msg);
    join_as(WORKER, "w1", "{\"group\":\"cpu-workers\"}");
    cr_expect(told(SL_M_node_refused, WORKER), "groups that are not named take nobody");
    cr_expect_eq(configure("tpu", "{}"), SL_EINVAL);
    join_as(WORKER, "w1", "{\"group\":\"gpu-workers\"}");
    cr_expect(told(SL_M_node_welcome, WORKER), "what is refused changes nothing");
}
