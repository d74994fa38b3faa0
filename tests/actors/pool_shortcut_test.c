/* SPDX-License-Identifier: Apache-2.0 */
/* An agent whose replicas get calls straight from the head's router, and what that says of them. */
#include "actors/pool_shortcut.h"

#include "tests/actors/agent_answer.h"

static void
start(void)
{
    struct sl_agent_options options = {.pool = {.node = NODE,
                                                .endpoint = "ipc://x",
                                                .plugin_directories = "/nowhere",
                                                .blob_directory = "/nowhere",
                                                .replicas_max = 1,
                                                .idle_ns = 60 * SL_SECOND_NS,
                                                .task_ns = 600 * SL_SECOND_NS,
                                                .has_shortcuts = true},
                                       .data_directory = ""};
    sl_report_level_set(SL_REPORT_ERROR);
    recorder_start(&r, &sl_agent_class, sl_at(NODE, SL_ACTOR_AGENT), &options);
    welcome();
    tell(NUMBER, SPEC, "");
}

TestSuite(pool_shortcut, .init = start, .fini = finish, .timeout = 60);

static struct sl_addr
router(void)
{
    return sl_at(SL_NODE_HEAD, SL_ACTOR_ROUTER);
}

static void
embed(bool is_alone)
{
    struct sl_m_embed_run call = {
        .extraction = NUMBER, .inputs = sl_slice_str("in"), .alone = is_alone};
    recorder_deliver(&r, router(), SL_M_embed_run, &call);
}

static void
load(uint32_t replica, uint64_t ongoing, uint64_t arrived, uint64_t answered)
{
    struct sl_m_shortcut_load m = {.replica = replica,
                                   .ongoing = ongoing,
                                   .thousandths = 1000 * ongoing,
                                   .arrived = arrived,
                                   .answered = answered};
    recorder_deliver(&r, router(), SL_M_shortcut_load, &m);
}

static void
closed(uint32_t replica, bool is_none)
{
    recorder_deliver(&r, router(), SL_M_shortcut_closed,
                     &(struct sl_m_shortcut_closed){.replica = replica, .is_none = is_none});
}

static bool
takes(uint32_t id)
{
    struct sl_msg *msg = recorder_take(&r, id);
    bool has = msg != NULL;
    cr_assert(!has || msg->to.actor == SL_ACTOR_ROUTER);
    sl_msg_destroy(&msg);
    return has;
}

/* A replica that has answered one call of the agent's, and was offered. */
static uint32_t
offered(void)
{
    embed(false);
    uint32_t replica = spawned();
    cr_assert_not(takes(SL_M_shortcut_open), "it is not ready");
    ready(replica, "");
    processed(replica, taken_by(replica), 0, 1);
    struct sl_msg *serves = recorder_take(&r, SL_M_shortcut_serves);
    struct sl_msg *open = recorder_take(&r, SL_M_shortcut_open);
    cr_assert(serves != NULL && open != NULL);
    cr_assert_eq(SL_BODY(serves, shortcut_serves)->extraction, NUMBER);
    cr_assert(sl_slice_is(SL_BODY(serves, shortcut_serves)->params, "{\"k\":1}"));
    cr_assert_eq(SL_BODY(serves, shortcut_serves)->pool, SL_BODY(open, shortcut_open)->pool);
    cr_assert_eq(SL_BODY(open, shortcut_open)->replica, replica);
    sl_msg_destroy(&serves);
    sl_msg_destroy(&open);
    return replica;
}

Test(pool_shortcut, a_replica_is_offered_once_a_call_has_come)
{
    run_task(1, false);
    uint32_t replica = spawned();
    ready(replica, "");
    processed(replica, taken_by(replica), 0, 1);
    cr_assert_not(takes(SL_M_shortcut_open), "nobody calls");
    embed(false);
    cr_assert(takes(SL_M_shortcut_serves));
    cr_assert(takes(SL_M_shortcut_open));
    embed(false);
    cr_assert_not(takes(SL_M_shortcut_open), "once");
}

Test(pool_shortcut, what_is_under_way_there_keeps_the_replica)
{
    uint32_t replica = offered();
    load(replica, 1, 1, 0);
    recorder_wait(&r, 100 * SL_SECOND_NS);
    cr_assert_not(takes(SL_M_shortcut_close), "it is not idle");
    load(replica, 0, 0, 1);
    recorder_wait(&r, 100 * SL_SECOND_NS);
    cr_assert(takes(SL_M_shortcut_close));
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 0, "calls may be on their way");
    closed(replica, false);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 1);
    exited(replica, 0, 0);
    cr_assert(takes(SL_M_shortcut_gone));
}

Test(pool_shortcut, one_that_is_wanted_again_while_it_closes_is_offered_again)
{
    uint32_t replica = offered();
    recorder_wait(&r, 100 * SL_SECOND_NS);
    cr_assert(takes(SL_M_shortcut_close));
    embed(false);
    cr_assert_neq(taken_by(replica), 0);
    closed(replica, false);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 0);
    cr_assert(takes(SL_M_shortcut_open));
}

Test(pool_shortcut, an_item_that_must_be_alone_waits_until_it_is)
{
    uint32_t replica = offered();
    load(replica, 2, 2, 0);
    embed(true);
    cr_assert_eq(taken_by(replica), 0);
    cr_assert(takes(SL_M_shortcut_close));
    load(replica, 0, 0, 2);
    cr_assert_eq(taken_by(replica), 0, "it is not closed yet");
    closed(replica, false);
    uint64_t item = taken_by(replica);
    cr_assert_neq(item, 0);
    cr_assert_not(takes(SL_M_shortcut_open), "it runs alone");
    processed(replica, item, 0, 1);
    cr_assert(takes(SL_M_shortcut_open));
}

Test(pool_shortcut, one_item_is_not_blamed_where_others_came_straight)
{
    uint32_t replica = offered();
    run_task(1, false);
    cr_assert_neq(taken_by(replica), 0);
    exited(replica, 0, 11);
    cr_assert(takes(SL_M_shortcut_gone));
    struct sl_msg *msg = recorder_take(&r, SL_M_task_failed);
    cr_assert_not_null(msg);
    cr_assert_eq(SL_BODY(msg, task_failed)->alone, 0);
    sl_msg_destroy(&msg);
}

Test(pool_shortcut, one_that_answers_nothing_is_killed)
{
    uint32_t replica = offered();
    load(replica, 1, 1, 0);
    recorder_wait(&r, 500 * SL_SECOND_NS);
    load(replica, 1, 1, 1);
    recorder_wait(&r, 500 * SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_spawn_kill), 0, "it has answered one");
    recorder_wait(&r, 200 * SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_spawn_kill), 1);
}

Test(pool_shortcut, one_that_writes_nonsense_is_killed)
{
    uint32_t replica = offered();
    recorder_deliver(&r, router(), SL_M_shortcut_broken,
                     &(struct sl_m_shortcut_broken){.replica = replica, .why = sl_slice_str("x")});
    struct sl_msg *kill = recorder_take(&r, SL_M_spawn_kill);
    cr_assert_not_null(kill);
    cr_assert_eq(SL_BODY(kill, spawn_kill)->tag, replica);
    sl_msg_destroy(&kill);
}

Test(pool_shortcut, nobody_but_the_head_tells_of_it)
{
    uint32_t replica = offered();
    recorder_deliver(&r, sl_at(9, SL_ACTOR_ROUTER), SL_M_shortcut_broken,
                     &(struct sl_m_shortcut_broken){.replica = replica});
    cr_assert_eq(recorder_count(&r, SL_M_spawn_kill), 0);
}

Test(pool_shortcut, one_without_a_channel_is_not_offered_again)
{
    uint32_t replica = offered();
    closed(replica, true);
    embed(false);
    cr_assert_neq(taken_by(replica), 0);
    cr_assert_not(takes(SL_M_shortcut_open));
    exited(replica, 0, 9);
    cr_assert_not(takes(SL_M_shortcut_gone));
}

Test(pool_shortcut, a_node_that_leaves_waits_for_what_came_straight)
{
    uint32_t replica = offered();
    load(replica, 1, 1, 0);
    from_head(SL_M_drain, &(struct sl_m_drain){0});
    from_head(SL_M_node_leave, &(struct sl_m_node_leave){0});
    cr_assert(takes(SL_M_shortcut_close));
    recorder_forget_sent(&r);
    recorder_wait(&r, 3 * SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_drain), 0);
    load(replica, 0, 0, 1);
    cr_assert_eq(recorder_count(&r, SL_M_drain), 0, "more may be on its way");
    closed(replica, false);
    cr_assert_eq(recorder_count(&r, SL_M_drain), 1);
    cr_assert_not(takes(SL_M_shortcut_open));
}

Test(pool_shortcut, a_head_that_forgot_the_node_is_offered_its_replicas_again)
{
    uint32_t replica = offered();
    from_head(SL_M_node_unknown, &(struct sl_m_node_unknown){.node = NODE});
    welcome();
    embed(false);
    cr_assert_neq(taken_by(replica), 0);
    cr_assert(takes(SL_M_shortcut_serves));
    cr_assert(takes(SL_M_shortcut_open));
}

Test(pool_shortcut, more_calls_there_want_more_replicas)
{
    uint32_t replica = offered();
    struct sl_m_scale_config config = {
        .extractors = sl_slice_str(
            "{\"echo\":{\"autoscaling_config\":{\"max_replicas\":4,\"look_back_period_s\":0,"
            "\"panic_window_s\":0,\"target_ongoing_requests\":2}}}"),
        .replicas_max = 1,
        .idle_ns = 60 * SL_SECOND_NS};
    from_head(SL_M_scale_config, &config);
    cr_assert_eq(spawned(), 0);
    load(replica, 8, 8, 0);
    cr_assert_neq(spawned(), 0);
}

Test(pool_shortcut, calls_by_the_node_do_not_wait_for_a_replica_that_starts)
{
    uint32_t replica = offered();
    struct sl_m_scale_config config = {
        .extractors = sl_slice_str(
            "{\"echo\":{\"autoscaling_config\":{\"max_replicas\":4,\"look_back_period_s\":0,"
            "\"panic_window_s\":0,\"target_ongoing_requests\":2}}}"),
        .replicas_max = 1,
        .idle_ns = 60 * SL_SECOND_NS};
    from_head(SL_M_scale_config, &config);
    load(replica, 8, 8, 0);
    cr_assert_neq(spawned(), 0);
    embed(false);
    uint64_t item = taken_by(replica);
    cr_assert_neq(item, 0);
    embed(false);
    embed(false);
    processed(replica, item, 0, 1);
    cr_assert_neq(taken_by(replica), 0);
}

Test(pool_shortcut, one_whose_model_is_dropped_stops_once_what_came_straight_is_answered)
{
    uint32_t replica = offered();
    load(replica, 1, 1, 0);
    from_head(SL_M_model_drop, &(struct sl_m_model_drop){.directory = sl_slice_str("")});
    cr_assert(takes(SL_M_shortcut_close));
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 0, "a call is under way there");
    embed(false);
    cr_assert_eq(taken_by(replica), 0, "it gets nothing more");
    closed(replica, false);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 1);
    cr_assert_not(takes(SL_M_shortcut_open));
}

Test(pool_shortcut, what_was_not_heard_is_said_again)
{
    uint32_t replica = offered();
    load(replica, 1, 1, 0);
    embed(true);
    cr_assert(takes(SL_M_shortcut_close));
    recorder_wait(&r, 5 * SL_SECOND_NS);
    cr_assert(takes(SL_M_shortcut_close));
    recorder_forget_sent(&r);
    closed(replica, false);
    cr_assert_neq(taken_by(replica), 0);
    recorder_wait(&r, 5 * SL_SECOND_NS);
    cr_assert_not(takes(SL_M_shortcut_close));
}

Test(pool_shortcut, a_little_of_each_replica_is_not_rounded_up_for_each)
{
    uint32_t replica = offered();
    struct sl_m_scale_config config = {
        .extractors = sl_slice_str(
            "{\"echo\":{\"autoscaling_config\":{\"max_replicas\":4,\"look_back_period_s\":0,"
            "\"panic_window_s\":0,\"target_ongoing_requests\":1}}}"),
        .replicas_max = 1,
        .idle_ns = 60 * SL_SECOND_NS};
    from_head(SL_M_scale_config, &config);
    load(replica, 2, 2, 0);
    uint32_t second = spawned();
    cr_assert_neq(second, 0);
    ready(second, "");
    struct sl_m_shortcut_load m = {.replica = replica, .ongoing = 2, .thousandths = 1100};
    recorder_deliver(&r, router(), SL_M_shortcut_load, &m);
    m = (struct sl_m_shortcut_load){.replica = second, .ongoing = 1, .thousandths = 900};
    recorder_deliver(&r, router(), SL_M_shortcut_load, &m);
    cr_assert_eq(spawned(), 0, "two are enough for two");
}

/* A call's time says how many a replica is given ahead. */
Test(pool_shortcut, what_straight_calls_took_counts_as_if_they_had_come_by_the_agent)
{
    uint32_t replica = offered();
    struct sl_pool_times times = {0};
    struct sl_buf packed = {0};
    sl_pool_times_add(&times, &(struct sl_item_times){1, 1, 1, 300 * SL_MILLI_NS});
    sl_pool_times_pack(&times, &packed);
    struct sl_m_shortcut_load m = {.replica = replica,
                                   .answered = 64,
                                   .busy_ns = 300 * SL_MILLI_NS,
                                   .times = sl_buf_slice(&packed)};
    recorder_deliver(&r, router(), SL_M_shortcut_load, &m);
    recorder_forget(&r);
    for (uint32_t i = 0; i < 5; i++)
        embed(false);
    cr_assert_eq(recorder_count(&r, SL_M_process), 2);
    sl_buf_deinit(&packed);
}

Test(pool_shortcut, its_end_is_told_until_a_link_takes_it)
{
    uint32_t replica = offered();
    exited(replica, 0, 9);
    cr_assert(takes(SL_M_shortcut_gone));
    struct sl_m_undelivered m = {
        .message = SL_M_shortcut_gone, .reason = SL_EFULL, .first = replica};
    for (uint32_t i = 0; i < 2; i++) {
        recorder_deliver(&r, router(), SL_M_undelivered, &m);
        recorder_wait(&r, 2 * SL_SECOND_NS);
        struct sl_msg *again = recorder_take(&r, SL_M_shortcut_gone);
        cr_assert_not_null(again);
        cr_assert_eq(SL_BODY(again, shortcut_gone)->replica, replica);
        sl_msg_destroy(&again);
        cr_assert_not(takes(SL_M_shortcut_gone));
    }
    recorder_wait(&r, 2 * SL_SECOND_NS);
    cr_assert_not(takes(SL_M_shortcut_gone), "it was taken");
}
