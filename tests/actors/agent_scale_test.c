/* SPDX-License-Identifier: Apache-2.0 */
/* How many replicas a node's pools have: as the head says, by what there is to do. */
#include "tests/actors/agent_answer.h"

#include "object-store/model.h"
#include "runtime/alloc.h"
#include "tests/object-store/tiny_model.h"

TestSuite(agent_scale, .init = setup, .fini = finish, .timeout = 60);

#define IDLE_NS (60 * SL_SECOND_NS)

static void
configure(const char *config)
{
    struct sl_m_scale_config m = {
        .extractors = sl_slice_str(config), .replicas_max = 1, .idle_ns = IDLE_NS};
    from_head(SL_M_scale_config, &m);
}

/* Take what the agent told of its pools; the last of it. Owned. */
static char *
told(void)
{
    char *text = NULL;
    for (struct sl_msg *msg; (msg = recorder_take(&r, SL_M_node_scaling)) != NULL;) {
        struct sl_slice pools = SL_BODY(msg, node_scaling)->pools;
        sl_free(text);
        text = sl_strndup(pools.data, pools.size);
        sl_msg_destroy(&msg);
    }
    return text;
}

static void
expect_told(const char *part)
{
    char *text = told();
    cr_assert_not_null(text);
    cr_assert_not_null(strstr(text, part), "%s\nis not in\n%s", part, text);
    sl_free(text);
}

Test(agent_scale, keeps_the_least_before_there_is_any_work)
{
    configure("{\"echo\":{\"autoscaling_config\":{\"min_replicas\":2,\"max_replicas\":3}}}");
    uint32_t first = start_replica(), second = start_replica();
    cr_assert_eq(spawned(), 0);
    recorder_wait(&r, 3600 * SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 0);
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    cr_assert_eq(recorder_count(&r, SL_M_spawn), 0, "they were there before");
    cr_assert_neq(taken_by(first), 0);
    exited(second, 1, 11);
    recorder_wait(&r, SL_SECOND_NS);
    cr_assert_neq(spawned(), 0, "one that died is replaced");
}

/* A pool is of an extractor and an index: one without would be nobody's. */
Test(agent_scale, keeps_replicas_of_the_index_that_work_comes_with)
{
    static const char spec[] = "{\"extractor\":\"echo\",\"index\":\"words\",\"params\":{\"k\":1}}";
    struct sl_m_scale_config m = {
        .extractors = sl_slice_str("{\"echo\":{\"autoscaling_config\":{\"min_replicas\":1}},"
                                   "\"own\":{\"autoscaling_config\":{\"min_replicas\":1}}}"),
        .replicas_max = 1,
        .idle_ns = IDLE_NS,
        .indexes = sl_slice_str("{\"echo\":\"words\",\"own\":null}")};
    from_head(SL_M_scale_config, &m);
    uint32_t replica = start_replica();
    cr_assert_eq(spawned(), 0, "where each tenant has its own, none is kept for nobody");
    tell(NUMBER, spec, "");
    run_task(1, false);
    cr_assert_eq(recorder_count(&r, SL_M_spawn), 0, "it was there before");
    cr_assert_neq(taken_by(replica), 0);
}

Test(agent_scale, goes_to_zero_and_back_at_once)
{
    configure("{\"echo\":{\"autoscaling_config\":{\"max_replicas\":2,"
              "\"downscale_to_zero_delay_s\":5}}}");
    cr_assert_eq(spawned(), 0, "nothing is kept for nobody");
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    uint32_t replica = start_replica();
    processed(replica, taken_by(replica), 0, SL_MILLI_NS);
    recorder_wait(&r, 4900 * SL_MILLI_NS);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 0);
    recorder_wait(&r, 200 * SL_MILLI_NS);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 1, "on time, not with the next beat");
    exited(replica, 0, 0);
    recorder_wait(&r, 2 * SL_SECOND_NS);
    expect_told("\"reason\":\"to_zero\"");
    run_task(2, false);
    cr_assert_neq(spawned(), 0, "with the task itself");
}

static uint32_t
count_to(uint32_t replica)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < r.sent_count; i++)
        count +=
            r.sent[i] != NULL && r.sent[i]->id == SL_M_process && r.sent[i]->to.node == replica;
    return count;
}

/* 60 would fit into the first: the second is wanted for half of them, though it starts later. */
Test(agent_scale, leaves_a_replica_that_starts_its_share_of_a_burst)
{
    configure("{\"echo\":{\"autoscaling_config\":{\"min_replicas\":2,\"max_replicas\":2}}}");
    tell(NUMBER, SPEC, "");
    uint32_t first = spawned(), second = spawned();
    ready(first, "");
    for (uint64_t id = 1; id <= 60; id++)
        run_task(id, false);
    uint32_t taken = count_to(first);
    cr_assert(taken >= 20 && taken <= 31, "%u", taken);
    ready(second, "");
    cr_assert_geq(count_to(second), 29);
    cr_assert_eq(count_to(first) + count_to(second), 60, "and nothing is held back for nobody");
}

Test(agent_scale, starts_more_when_the_target_is_crossed_and_stops_them_when_idle)
{
    uint32_t replicas[3];
    configure("{\"echo\":{\"autoscaling_config\":{\"max_replicas\":3,\"look_back_period_s\":0,"
              "\"panic_window_s\":0,\"target_ongoing_requests\":1,\"downscale_delay_s\":10}}}");
    tell(NUMBER, SPEC, "");
    for (uint64_t id = 1; id <= 3; id++) {
        run_task(id, false);
        cr_assert_neq(replicas[id - 1] = spawned(), 0, "with the task that crosses it");
    }
    run_task(4, false);
    cr_assert_eq(spawned(), 0, "as many as it may have");
    recorder_wait(&r, 2 * SL_SECOND_NS);
    expect_told("\"reason\":\"at_max\"");
    ready(replicas[0], "");
    for (uint64_t id = 1, item; id <= 4; id++) {
        cr_assert_neq(item = taken_by(replicas[0]), 0);
        processed(replicas[0], item, 0, SL_MILLI_NS);
    }
    ready(replicas[1], "");
    ready(replicas[2], "");
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 0);
    recorder_wait(&r, 11 * SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 2, "down to one");
    recorder_wait(&r, 60 * SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 3, "and that after replicas.idle");
}

Test(agent_scale, one_too_many_ends_its_work_and_gets_no_more)
{
    configure("{\"echo\":{\"autoscaling_config\":{\"max_replicas\":2,\"look_back_period_s\":0,"
              "\"panic_window_s\":0,\"target_ongoing_requests\":1,\"downscale_delay_s\":0}}}");
    tell(NUMBER, SPEC, "");
    run_task(1, true);
    uint32_t first = start_replica();
    uint64_t one = taken_by(first);
    run_task(2, true);
    uint32_t second = start_replica();
    uint64_t two = taken_by(second);
    cr_assert_neq(two, 0);
    processed(first, one, 0, SL_MILLI_NS);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 0, "the one for tasks goes, when done");
    run_task(3, true);
    cr_assert_neq(one = taken_by(first), 0, "the other has nothing to do with it");
    processed(second, two, 0, SL_MILLI_NS);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 1);
    recorder_forget_sent(&r);
    exited(second, 0, 0);
    processed(first, one, 0, SL_MILLI_NS);
    cr_assert_eq(recorder_count(&r, SL_M_task_done), 1);
    cr_assert_eq(recorder_count(&r, SL_M_task_failed), 0);
}

/* ---- calls beside tasks -------------------------------------------------------------------- */

static void
call(uint64_t request)
{
    struct sl_m_embed_run m = {.extraction = NUMBER, .inputs = sl_slice_str("in")};
    recorder_deliver(&r, sl_at((uint32_t)request, SL_ACTOR_ROUTER), SL_M_embed_run, &m);
}

/* The oldest that it was sent, after a millisecond of work. */
static void
answer_one(uint32_t replica)
{
    uint32_t i = 0;
    while (i < r.sent_count &&
           (r.sent[i] == NULL || r.sent[i]->id != SL_M_process || r.sent[i]->to.node != replica))
        i++;
    cr_assert_lt(i, r.sent_count, "it was sent nothing");
    uint64_t item = SL_BODY(r.sent[i], process)->item;
    sl_msg_destroy(&r.sent[i]);
    processed(replica, item, 0, SL_MILLI_NS);
}

/* Whether the spawner was asked for one that runs behind all else; its number, which is ready. */
static uint32_t
start_one(bool *ret_is_background)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_spawn);
    cr_assert_not_null(msg);
    uint32_t number = (uint32_t)SL_BODY(msg, spawn)->tag;
    char *text = sl_strndup(SL_BODY(msg, spawn)->text.data, SL_BODY(msg, spawn)->text.size);
    *ret_is_background = strstr(text, "\"background\":true") != NULL;
    sl_free(text);
    sl_msg_destroy(&msg);
    ready(number, "");
    return number;
}

Test(agent_scale, keeps_a_replica_for_calls_while_they_come)
{
    bool is_background;
    configure("{\"echo\":{\"autoscaling_config\":{\"max_replicas\":2,\"look_back_period_s\":1,"
              "\"panic_window_s\":0,\"target_ongoing_requests\":4}}}");
    tell(NUMBER, SPEC, "");
    call(1);
    uint32_t first = start_one(&is_background);
    cr_assert_not(is_background, "the first is for all");
    answer_one(first);
    for (uint64_t id = 1; id <= 300; id++)
        run_task(id, false);
    cr_assert_leq(count_to(first), 4, "a short batch, as calls may come");
    uint32_t second = start_one(&is_background);
    cr_assert(is_background, "it was asked for by tasks");
    cr_assert_gt(count_to(second), 100);
    uint32_t before = count_to(first);
    call(2);
    cr_assert_eq(count_to(first), before + 1, "at once, whatever waits");
    for (uint32_t i = 0; i < before; i++)
        answer_one(first);
    cr_assert_eq(count_to(first), 1, "and no task goes there any more");
    answer_one(first);
    recorder_wait(&r, 3 * SL_SECOND_NS);
    answer_one(second);
    cr_assert_gt(count_to(first), 50, "until no call has come for a while");
}

Test(agent_scale, sends_short_batches_where_calls_have_no_other_replica)
{
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    uint32_t replica = start_replica();
    answer_one(replica);
    call(1);
    answer_one(replica);
    for (uint64_t id = 2; id <= 300; id++)
        run_task(id, false);
    uint32_t first = count_to(replica);
    cr_assert(first >= 1 && first <= 4, "%u", first);
    for (uint32_t i = 0; i < first; i++) {
        cr_assert_leq(count_to(replica), first - i, "no other before all of it is done");
        answer_one(replica);
    }
    cr_assert(count_to(replica) >= 1 && count_to(replica) <= 5);
    recorder_wait(&r, 3 * SL_SECOND_NS);
    while (count_to(replica) > 0 && count_to(replica) <= 5)
        answer_one(replica);
    cr_assert_gt(count_to(replica), 50, "whole ones again");
}

/* ray #18925: a replica that was removed took the requests with it that it had. */
Test(agent_scale, one_that_is_removed_answers_what_it_has)
{
    configure("{\"echo\":{\"autoscaling_config\":{\"max_replicas\":2,\"look_back_period_s\":0,"
              "\"panic_window_s\":0,\"target_ongoing_requests\":1,\"downscale_delay_s\":0}}}");
    tell(NUMBER, SPEC, "");
    run_task(1, true);
    uint32_t first = start_replica();
    uint64_t one = taken_by(first);
    run_task(2, true);
    uint32_t second = start_replica();
    uint64_t two = taken_by(second);
    cr_assert_neq(one, 0);
    cr_assert_neq(two, 0);
    configure("{\"echo\":{\"autoscaling_config\":{\"max_replicas\":1,\"look_back_period_s\":0,"
              "\"panic_window_s\":0,\"target_ongoing_requests\":1,\"downscale_delay_s\":0}}}");
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 0, "both work");
    cr_assert_eq(recorder_count(&r, SL_M_spawn_kill), 0);
    processed(first, one, 0, SL_MILLI_NS);
    processed(second, two, 0, SL_MILLI_NS);
    cr_assert_eq(recorder_count(&r, SL_M_task_done), 2);
    cr_assert_eq(recorder_count(&r, SL_M_task_failed), 0);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 1, "then one goes");
}

/* A restart by hand: it answers what it has, gets no more, and another takes its place. */
Test(agent_scale, one_that_is_retired_ends_its_work_and_another_comes)
{
    configure("{\"echo\":{\"autoscaling_config\":{\"min_replicas\":1,\"max_replicas\":1}}}");
    uint32_t first = start_replica();
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    uint64_t one = taken_by(first);
    cr_assert_neq(one, 0);
    from_head(SL_M_replica_retire, &(struct sl_m_replica_retire){.replica = first + 1000});
    from_head(SL_M_replica_retire, &(struct sl_m_replica_retire){.replica = first});
    run_task(2, false);
    cr_assert_eq(taken_by(first), 0, "it gets no more");
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 0, "it works");
    processed(first, one, 0, SL_MILLI_NS);
    cr_assert_eq(recorder_count(&r, SL_M_task_done), 1);
    recorder_wait(&r, SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 1, "then it goes");
    cr_assert_eq(recorder_count(&r, SL_M_spawn_kill), 0);
    exited(first, 0, 0);
    uint32_t second = start_replica();
    cr_assert_neq(second, first);
    cr_assert_neq(taken_by(second), 0, "what has waited");
    cr_assert_eq(recorder_count(&r, SL_M_task_failed), 0);
}

/* What cannot be started is not tried for ever, where nobody waits for it. */
Test(agent_scale, gives_up_keeping_what_does_not_start)
{
    configure("{\"echo\":{\"autoscaling_config\":{\"min_replicas\":1}}}");
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t replica = spawned();
        cr_assert_neq(replica, 0);
        ready(replica, "no such plugin");
        exited(replica, 3, 0);
        recorder_wait(&r, 20 * SL_SECOND_NS);
    }
    recorder_wait(&r, 600 * SL_SECOND_NS);
    cr_assert_eq(spawned(), 0);
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    cr_assert_neq(spawned(), 0, "work is a reason to try again");
}

Test(agent_scale, obeys_a_change_at_once)
{
    configure("{\"echo\":{\"autoscaling_config\":{\"min_replicas\":2,\"max_replicas\":2}}}");
    (void)start_replica();
    (void)start_replica();
    configure("{\"echo\":{\"autoscaling_config\":{\"max_replicas\":");
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 0, "what is none changes nothing");
    configure("{\"echo\":{\"autoscaling_config\":{\"min_replicas\":1,\"max_replicas\":1}}}");
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 1);
    configure("");
    recorder_wait(&r, IDLE_NS / 2);
    configure(""); /* Another head says the same: no delay begins anew. */
    recorder_wait(&r, IDLE_NS / 2 + SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 2, "nothing is kept any more");
}

/* An evict waits for the last replica: none is kept for nobody from then on. */
Test(agent_scale, keeps_none_of_an_evicted_model_until_it_is_wanted_again)
{
    char directory[64];
    struct tiny_model_options options = {0};
    cr_assert_not_null(tiny_directory_make(directory));
    cr_assert_eq(tiny_model_write(directory, &options), 0);
    configure("{\"echo\":{\"autoscaling_config\":{\"min_replicas\":1}}}");
    uint32_t plain = start_replica();
    tell(NUMBER, SPEC, directory);
    run_task(1, false);
    recorder_do_work(&r);
    uint32_t replica = start_replica();
    processed(replica, taken_by(replica), 0, SL_MILLI_NS);
    recorder_wait(&r, 2 * IDLE_NS);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 0);
    struct sl_m_model_evict evict = {.directory = sl_slice_str(directory)};
    from_head(SL_M_model_evict, &evict);
    recorder_wait(&r, IDLE_NS + SL_SECOND_NS);
    struct sl_msg *stop = recorder_take(&r, SL_M_replica_stop);
    cr_assert_not_null(stop);
    cr_assert_eq(stop->to.node, replica, "and not the one that has no model: %u", plain);
    sl_msg_destroy(&stop);
    exited(replica, 0, 0);
    recorder_wait(&r, IDLE_NS);
    cr_assert_eq(spawned(), 0);
    recorder_do_work(&r); /* The model's memory goes. */
    run_task(2, false);
    recorder_do_work(&r);
    replica = start_replica();
    processed(replica, taken_by(replica), 0, SL_MILLI_NS);
    recorder_wait(&r, 2 * IDLE_NS);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 0, "kept again");
    tiny_directory_remove(directory);
}

Test(agent_scale, tells_the_head_what_is_new_and_nothing_else)
{
    welcome();
    configure("{\"echo\":{\"autoscaling_config\":{\"max_replicas\":2}}}");
    tell(NUMBER, SPEC, "");
    sl_free(told());
    recorder_wait(&r, 10 * SL_SECOND_NS);
    cr_assert_null(told());
    run_task(1, false);
    recorder_wait(&r, 2 * SL_SECOND_NS);
    expect_told("1 ongoing (1 on average) / target 2 = 1 over 0 s; min 0, max 2: 1, was 0, as work "
                "came and there was no replica");
    recorder_wait(&r, 100 * SL_SECOND_NS);
    cr_assert_leq(recorder_count(&r, SL_M_node_scaling), 1);
}

Test(agent_scale, a_replica_may_have_what_memory_is_said_of_its_extractor)
{
    configure("{\"echo\":{\"autoscaling_config\":{\"min_replicas\":1},\"memory\":\"3MiB\","
              "\"batching\":{\"units\":\"99\",\"delay\":\"2ms\"}}}");
    struct sl_msg *msg = recorder_take(&r, SL_M_spawn);
    cr_assert_not_null(msg);
    char *text = sl_strndup(SL_BODY(msg, spawn)->text.data, SL_BODY(msg, spawn)->text.size);
    cr_expect_not_null(strstr(text, "\"memory\":3145728"), "%s", text);
    cr_expect_not_null(strstr(text, "\"batch_units\":99"), "%s", text);
    cr_expect_not_null(strstr(text, "\"batch_delay\":2000000"), "%s", text);
    sl_free(text);
    sl_msg_destroy(&msg);
}

Test(agent_scale, other_memory_alone_is_a_change)
{
    configure("{\"echo\":{\"memory\":\"3MiB\"}}");
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    struct sl_msg *msg = recorder_take(&r, SL_M_spawn);
    cr_assert_not_null(msg);
    char *text = sl_strndup(SL_BODY(msg, spawn)->text.data, SL_BODY(msg, spawn)->text.size);
    cr_expect_not_null(strstr(text, "\"memory\":3145728"), "%s", text);
    sl_free(text);
    sl_msg_destroy(&msg);
}

/* One that is ready has work to give answers to, whatever keeps another from starting. */
Test(agent_scale, what_one_can_do_does_not_fail_for_another_that_cannot_start)
{
    configure("{\"echo\":{\"autoscaling_config\":{\"max_replicas\":2,\"look_back_period_s\":0,"
              "\"panic_window_s\":0,\"target_ongoing_requests\":1}}}");
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    uint32_t first = start_replica();
    uint64_t item = taken_by(first);
    for (uint64_t id = 2; id <= 6; id++) {
        run_task(id, false);
        uint32_t other = spawned();
        if (other != 0) {
            ready(other, "no memory for it");
            exited(other, 3, 0);
        }
        recorder_wait(&r, 20 * SL_SECOND_NS);
    }
    cr_assert_eq(recorder_count(&r, SL_M_task_failed), 0);
    for (int done = 0; done < 6; done++, item = taken_by(first))
        processed(first, item, 0, SL_MILLI_NS);
    cr_assert_eq(recorder_count(&r, SL_M_task_done), 6);
}

Test(agent_scale, one_that_dies_when_it_is_ready_is_not_started_for_ever)
{
    uint32_t starts = 0;
    configure("{\"echo\":{\"autoscaling_config\":{\"min_replicas\":1}}}");
    for (uint32_t replica; starts < 10 && (replica = spawned()) != 0; starts++) {
        ready(replica, "");
        exited(replica, 0, 11);
        recorder_wait(&r, 20 * SL_SECOND_NS);
    }
    cr_assert_eq(starts, 3);
}

/* ---- what is told of them ------------------------------------------------------------------ */

Test(agent_scale, tells_what_state_its_replicas_are_in)
{
    configure("{\"echo\":{\"autoscaling_config\":{\"downscale_to_zero_delay_s\":5}}}");
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    uint32_t replica = spawned();
    recorder_wait(&r, SL_SECOND_NS);
    expect_told("\"life\":{\"state\":\"starting\",\"starting\":1,\"warming\":0");
    recorder_deliver(&r, r.self, SL_M_child_started,
                     &(struct sl_m_child_started){.tag = replica, .pid = 7});
    recorder_wait(&r, SL_SECOND_NS);
    expect_told("\"life\":{\"state\":\"warming\",\"starting\":0,\"warming\":1");
    ready(replica, "");
    recorder_wait(&r, SL_SECOND_NS);
    expect_told("\"life\":{\"state\":\"ready\"");
    processed(replica, taken_by(replica), 0, SL_MILLI_NS);
    recorder_wait(&r, 6 * SL_SECOND_NS);
    expect_told("\"life\":{\"state\":\"draining\"");
    exited(replica, 0, 0);
    recorder_wait(&r, SL_SECOND_NS);
    expect_told("\"draining\":0,\"stopped\":1,\"crashed\":0,\"failures\":0}");
}

Test(agent_scale, tells_how_the_last_ended_and_when_the_next_is_started)
{
    configure("{\"echo\":{\"autoscaling_config\":{\"min_replicas\":1}}}");
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t replica = spawned();
        cr_assert_neq(replica, 0);
        ready(replica, "no such plugin");
        exited(replica, 3, 0);
        recorder_wait(&r, 500 * SL_MILLI_NS);
    }
    uint32_t replica = spawned();
    cr_assert_neq(replica, 0);
    exited(replica, 0, 9);
    recorder_wait(&r, SL_SECOND_NS);
    char *text = told();
    cr_assert_not_null(text);
    const char *parts[] = {"\"state\":\"crashed\"",
                           "\"crashed\":3,\"failures\":3",
                           "\"ended\":\"",
                           "\"ended_at\":\"",
                           "the last 3 replicas ended before they had done anything: ",
                           "the next is started when work comes"};
    for (size_t i = 0; i < SL_COUNT_OF(parts); i++)
        cr_expect_not_null(strstr(text, parts[i]), "%s is not in %s", parts[i], text);
    sl_free(text);
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    replica = start_replica();
    processed(replica, taken_by(replica), 0, SL_MILLI_NS);
    recorder_wait(&r, SL_SECOND_NS);
    expect_told("\"life\":{\"state\":\"ready\"");
}
