/* SPDX-License-Identifier: Apache-2.0 */
/* Through the head: it is the head's part. */
#include "actors/head_scaling.h"

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
    struct sl_head_options options = {
        .node_text = "{\"a\":1",
        .groups = "{\"cpu\":{\"provider\":\"local\",\"min\":\"0\",\"max\":\"2\",\"idle\":\"10s\","
                  "\"tasks\":\"4\"},\"gpu\":{\"provider\":\"local\"},\"batch\":\"\"}"};
    recorder_start(&r, &sl_head_class, sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), &options);
}

static void
finish(void)
{
    recorder_stop(&r);
}

TestSuite(head_scaling, .init = setup, .fini = finish);

static void
demand(uint64_t cpu)
{
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_DISPATCHER), SL_M_group_demand,
                     &(struct sl_m_group_demand){.cpu = cpu});
}

static uint32_t
spawned(void)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_spawn);
    if (msg == NULL)
        return 0;
    uint32_t number = (uint32_t)SL_BODY(msg, spawn)->tag;
    char *text = sl_format("{\"a\":1,\"room\":4,\"node\":%u}", number);
    cr_expect(sl_slice_is(SL_BODY(msg, spawn)->text, text));
    sl_free(text);
    sl_msg_destroy(&msg);
    return number;
}

static void
join(uint32_t node)
{
    recorder_deliver(&r, sl_at(node, SL_ACTOR_AGENT), SL_M_node_join,
                     &(struct sl_m_node_join){.node = node, .pid = 100 + node, .room = 4});
}

static void
leave(uint32_t node, bool is_done)
{
    recorder_deliver(&r, sl_at(node, SL_ACTOR_AGENT), SL_M_node_leave,
                     &(struct sl_m_node_leave){.node = node, .is_done = is_done});
}

static void
beat_with(uint32_t node, uint64_t calls)
{
    recorder_deliver(
        &r, sl_at(node, SL_ACTOR_AGENT), SL_M_node_beat,
        &(struct sl_m_node_beat){.node = node, .replicas = sl_slice_str("[]"), .calls = calls});
}

static void
beat(uint32_t node)
{
    beat_with(node, 0);
}

/* A router has so many calls. */
static void
calls(uint32_t router, uint64_t count)
{
    recorder_deliver(&r, sl_at(router, SL_ACTOR_ROUTER), SL_M_calls_wanted,
                     &(struct sl_m_calls_wanted){.calls = count});
}

/* So many seconds, with a beat in each. */
static void
live(uint32_t node, uint32_t seconds, uint64_t calls_count)
{
    for (uint32_t i = 0; i < seconds; i++) {
        recorder_wait(&r, SL_SECOND_NS);
        beat_with(node, calls_count);
    }
}

static void
exited(uint32_t node)
{
    recorder_deliver(&r, r.self, SL_M_child_exited, &(struct sl_m_child_exited){.tag = node});
}

/* A group's member, as the cluster's page has it. */
static char *
shown(const char *group, const char *member)
{
    struct sl_buf text = {0};
    struct sl_json_doc *doc = NULL;
    char *found = NULL;
    sl_head_groups(r.actor, &text);
    cr_assert_eq(sl_json_parse(sl_buf_slice(&text), &doc, NULL), SL_OK);
    for (struct sl_json_iter i = sl_json_iter(sl_json_root(doc)); sl_json_next(&i);) {
        struct sl_slice raw = sl_json_raw(sl_json_member(i.value, member));
        if (sl_json_is(sl_json_member(i.value, "group"), group))
            found = sl_format("%.*s", SL_SLICE_FMT(raw));
    }
    sl_json_destroy(&doc);
    sl_buf_deinit(&text);
    cr_assert_not_null(found);
    return found;
}

static void
expect_shown(const char *group, const char *member, const char *wanted)
{
    char *text = shown(group, member);
    cr_expect_str_eq(text, wanted, "%s.%s is %s", group, member, text);
    sl_free(text);
}

static enum sl_err
scale(const char *group, uint64_t replicas, const char *why)
{
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_API), SL_M_group_scale,
                     &(struct sl_m_group_scale){sl_slice_str(group), replicas});
    struct sl_msg *msg = recorder_take(&r, SL_M_node_ordered);
    const struct sl_m_node_ordered *m = SL_BODY(msg, node_ordered);
    enum sl_err err = (enum sl_err)m->err;
    if (why != NULL)
        cr_expect(sl_slice_is(m->message, why), "%.*s", SL_SLICE_FMT(m->message));
    sl_msg_destroy(&msg);
    return err;
}

Test(head_scaling, a_task_starts_a_node_of_its_group_and_idleness_ends_it)
{
    cr_assert_eq(spawned(), 0, "nothing before the first task");
    demand(1);
    uint32_t node = spawned();
    cr_assert_neq(node, 0, "at once");
    cr_assert_eq(spawned(), 0);
    expect_shown("cpu", "condition", "\"starting\"");
    join(node);
    expect_shown("cpu", "ready", "1");
    demand(0);
    for (int i = 0; i < 9; i++) {
        recorder_wait(&r, SL_SECOND_NS);
        beat(node);
    }
    cr_assert_eq(recorder_count(&r, SL_M_drain), 0);
    recorder_wait(&r, SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_drain), 1);
    leave(node, false);
    leave(node, true);
    expect_shown("cpu", "workers", "1");
    exited(node);
    expect_shown("cpu", "workers", "0");
    expect_shown("cpu", "condition", "\"at_zero\"");
}

Test(head_scaling, a_node_takes_the_tasks_of_its_group)
{
    demand(1);
    uint32_t node = spawned();
    join(node);
    struct sl_msg *msg = recorder_take(&r, SL_M_node_up);
    cr_expect_eq(SL_BODY(msg, node_up)->classes, 1 << SL_CLASS_CPU);
    sl_msg_destroy(&msg);
}

Test(head_scaling, the_limit_is_kept_and_told)
{
    demand(40);
    join(spawned());
    join(spawned());
    cr_assert_eq(spawned(), 0);
    expect_shown("cpu", "reason", "\"no capacity: 40 tasks need 10 nodes, limit 2 reached\"");
}

Test(head_scaling, a_node_that_died_is_replaced_while_there_is_work)
{
    demand(4);
    uint32_t node = spawned();
    join(node);
    recorder_wait(&r, 2 * SL_SECOND_NS);
    exited(node);
    cr_assert_gt(spawned(), node, "at once: it had lived");
}

Test(head_scaling, starts_that_fail_do_not_cost_a_core)
{
    uint32_t starts = 0;
    demand(4);
    for (int i = 0; i < 600; i++) {
        for (uint32_t node; (node = spawned()) != 0; starts++)
            exited(node);
        recorder_forget_sent(&r);
        recorder_wait(&r, 100 * SL_MILLI_NS);
    }
    cr_expect_leq(starts, 20);
    cr_expect_geq(starts, 5);
    expect_shown("cpu", "condition", "\"back_off\"");
}

Test(head_scaling, the_spawners_end_is_the_nodes_end)
{
    demand(8);
    join(spawned());
    join(spawned());
    recorder_wait(&r, 2 * SL_SECOND_NS);
    recorder_deliver(&r, r.self, SL_M_spawner_lost, &(struct sl_m_spawner_lost){1});
    cr_expect_neq(spawned(), 0);
    cr_expect_neq(spawned(), 0);
}

Test(head_scaling, calls_start_a_node_too)
{
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_ROUTER), SL_M_calls_wanted,
                     &(struct sl_m_calls_wanted){.waiting = 1, .calls = 1});
    cr_assert_neq(spawned(), 0);
}

Test(head_scaling, calls_keep_a_node_while_any_router_has_some)
{
    calls(SL_NODE_HEAD, 1);
    uint32_t node = spawned();
    join(node);
    for (int i = 0; i < 30; i++) { /* One that lasts: it is told of each second. */
        calls(SL_NODE_HEAD, 1);
        calls(70000, 2);
        live(node, 1, 0);
    }
    calls(SL_NODE_HEAD, 0);
    calls(70000, 1);
    cr_expect_eq(recorder_count(&r, SL_M_drain), 0);
    live(node, 12, 0); /* The other says nothing more: it is gone, and its calls. */
    cr_expect_eq(recorder_count(&r, SL_M_drain), 0, "the idle delay begins when they are over");
    live(node, 12, 0);
    cr_expect_eq(recorder_count(&r, SL_M_drain), 1);
}

Test(head_scaling, a_node_is_not_drained_from_under_a_call)
{
    demand(1);
    uint32_t node = spawned();
    join(node);
    beat_with(node, 1);
    demand(0);
    live(node, 30, 1);
    cr_expect_eq(recorder_count(&r, SL_M_drain), 0);
    live(node, 12, 0);
    cr_expect_eq(recorder_count(&r, SL_M_drain), 1);
}

Test(head_scaling, without_a_gpu_no_node_is_started_for_one)
{
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_DISPATCHER), SL_M_group_demand,
                     &(struct sl_m_group_demand){.gpu = 3});
    cr_assert_eq(spawned(), 0);
    expect_shown("gpu", "reason", "\"no such hardware: this machine has no GPU\"");
}

Test(head_scaling, by_hand_within_the_limits)
{
    cr_expect_eq(scale("cpu-workers", 2, ""), SL_OK);
    join(spawned());
    join(spawned());
    expect_shown("cpu", "is_manual", "true");
    cr_expect_eq(
        scale("cpu", 3, "the group cpu has a max of 2 nodes: raise cluster.groups.cpu.max first"),
        SL_EINVAL);
    cr_expect_eq(scale("batch", 1, NULL), SL_EINVAL, "nobody starts its nodes");
    cr_expect_eq(scale("tpu", 1, NULL), SL_ENOTFOUND);
    cr_expect_eq(scale("cpu", 0, ""), SL_OK);
    cr_expect_eq(recorder_count(&r, SL_M_drain), 2);
    cr_expect_eq(scale("cpu", UINT64_MAX, ""), SL_OK);
    expect_shown("cpu", "is_manual", "false");
}

Test(head_scaling, no_worker_joins_above_the_limit_that_nodes_of_ours_fill)
{
    demand(40);
    join(spawned());
    join(spawned());
    struct sl_m_node_join m = {.node = SL_NODE_WORKERS_FIRST + 1,
                               .room = 4,
                               .name = sl_slice_str("w"),
                               .facts = sl_slice_str("{\"group\":\"cpu\"}")};
    recorder_deliver(&r, sl_at((uint32_t)m.node, SL_ACTOR_AGENT), SL_M_node_join, &m);
    cr_expect_eq(recorder_count(&r, SL_M_node_refused), 1);
}

Test(head_scaling, gateways_hear_of_a_nodes_end)
{
    struct sl_m_gate_up gate = {.gate = 90000, .endpoint = sl_slice_str("ipc://g")};
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_EDGES), SL_M_gate_up, &gate);
    demand(1);
    uint32_t node = spawned();
    join(node);
    exited(node);
    uint32_t told = 0;
    for (struct sl_msg *msg; (msg = recorder_take(&r, SL_M_node_lost)) != NULL;) {
        told += msg->to.node == 90000 && msg->to.actor == SL_ACTOR_EDGE;
        sl_msg_destroy(&msg);
    }
    cr_expect_eq(told, 1);
}

Test(head_scaling, what_happened_is_told_in_the_order_of_time)
{
    struct sl_buf text = {0};
    demand(1);
    uint32_t node = spawned();
    join(node);
    exited(node);
    sl_head_events(r.actor, &text);
    const char *starting = strstr(sl_buf_text(&text), "node-starting");
    const char *joined = strstr(sl_buf_text(&text), "node-joined");
    const char *lost = strstr(sl_buf_text(&text), "node-lost");
    cr_expect(starting != NULL && joined > starting && lost > joined, "%s", sl_buf_text(&text));
    sl_buf_deinit(&text);
}

Test(head_scaling, demand_is_the_dispatchers_to_tell)
{
    recorder_deliver(&r, sl_at(70000, SL_ACTOR_AGENT), SL_M_group_demand,
                     &(struct sl_m_group_demand){.cpu = 9});
    cr_expect_eq(spawned(), 0);
}

/* ---- health -------------------------------------------------------------------------------- */

static char *
health(void)
{
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_API), SL_M_node_list,
                     &(struct sl_m_node_list){.reason = SL_NODE_LIST_HEALTH});
    struct sl_msg *msg = recorder_take(&r, SL_M_node_ordered);
    struct sl_slice text = SL_BODY(msg, node_ordered)->message;
    char *copy = sl_strndup(text.data, text.size);
    sl_msg_destroy(&msg);
    return copy;
}

static void
expect_health(const char *wanted)
{
    char *text = health();
    cr_expect_str_eq(text, wanted, "%s", text);
    sl_free(text);
}

static void
tell_pools(uint32_t node, const char *pools)
{
    recorder_deliver(&r, sl_at(node, SL_ACTOR_AGENT), SL_M_node_scaling,
                     &(struct sl_m_node_scaling){.pools = sl_slice_str(pools)});
}

Test(head_scaling, an_extractor_that_crashes_is_unhealthy_since_it_first_did)
{
    static const char bad[] = "[{\"extractor\":\"a\",\"life\":{\"state\":\"ready\"}},"
                              "{\"extractor\":\"b\",\"life\":{\"state\":\"crashed\"}}]";
    demand(5);
    uint32_t first = spawned(), second = spawned();
    join(first);
    join(second);
    expect_health("{\"nodes\":2,\"extractors\":[],\"groups\":[]}");
    tell_pools(first, bad);
    live(first, 5, 0);
    beat(second);
    tell_pools(first, bad);
    tell_pools(second, bad);
    live(first, 2, 0);
    expect_health("{\"nodes\":2,\"extractors\":[{\"name\":\"b\",\"seconds\":7,\"nodes\":2}],"
                  "\"groups\":[]}");
    tell_pools(first, "[]");
    expect_health("{\"nodes\":2,\"extractors\":[{\"name\":\"b\",\"seconds\":2,\"nodes\":1}],"
                  "\"groups\":[]}");
    exited(second);
    expect_health("{\"nodes\":1,\"extractors\":[],\"groups\":[]}");
}

/* How often an event is among those that are told. */
static uint32_t
count_events(const char *kind)
{
    struct sl_buf text = {0};
    uint32_t count = 0;
    sl_head_events(r.actor, &text);
    for (const char *at = sl_buf_text(&text); (at = strstr(at, kind)) != NULL; at++)
        count++;
    sl_buf_deinit(&text);
    return count;
}

Test(head_scaling, that_replicas_crash_is_an_event_and_that_they_work_again)
{
    static const char bad[] = "[{\"extractor\":\"b\",\"life\":{\"state\":\"crashed\"}}]";
    static const char good[] = "[{\"extractor\":\"b\",\"life\":{\"state\":\"ready\"}}]";
    demand(1);
    uint32_t node = spawned();
    join(node);
    for (int i = 0; i < 3; i++) {
        tell_pools(node, bad);
        live(node, 1, 0);
    }
    cr_expect_eq(count_events("replicas of b crash: serve status tells how"), 1);
    tell_pools(node, good);
    tell_pools(node, good);
    cr_expect_eq(count_events("replicas-well"), 1);
}

Test(head_scaling, a_group_that_cannot_have_its_nodes_is_unhealthy_and_a_full_one_is_not)
{
    demand(100);
    join(spawned());
    join(spawned());
    expect_health("{\"nodes\":2,\"extractors\":[],\"groups\":[]}");
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_DISPATCHER), SL_M_group_demand,
                     &(struct sl_m_group_demand){.cpu = 100, .gpu = 1});
    recorder_wait(&r, 3 * SL_SECOND_NS);
    expect_health("{\"nodes\":2,\"extractors\":[],\"groups\":[{\"name\":\"gpu\",\"seconds\":3,"
                  "\"reason\":\"no such hardware: this machine has no GPU\"}]}");
    demand(0);
    expect_health("{\"nodes\":2,\"extractors\":[],\"groups\":[]}");
}
