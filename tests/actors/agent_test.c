/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/actors/agent_answer.h"

TestSuite(agent, .init = setup, .fini = finish, .timeout = 60);

/* ---- joining and one task ------------------------------------------------------------------ */

Test(agent, joins_and_beats)
{
    struct sl_msg *join = recorder_take(&r, SL_M_node_join);
    cr_assert_not_null(join);
    cr_assert_eq(SL_BODY(join, node_join)->node, NODE);
    cr_assert_eq(SL_BODY(join, node_join)->room, SL_AGENT_ROOM);
    sl_msg_destroy(&join);
    recorder_wait(&r, 2 * SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_node_join), 2, "until it is welcome");
    welcome();
    recorder_wait(&r, 5 * SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_node_beat), 5);
}

Test(agent, joins_again_when_the_head_does_not_know_it_and_drops_void_leases)
{
    welcome();
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    (void)start_replica();
    for (uint64_t id = 2; id <= 500; id++)
        run_task(id, false);
    recorder_forget_sent(&r);
    from_head(SL_M_node_unknown, &(struct sl_m_node_unknown){.node = NODE});
    cr_assert_eq(recorder_count(&r, SL_M_node_join), 1);
    from_head(SL_M_node_unknown, &(struct sl_m_node_unknown){.node = NODE});
    cr_assert_eq(recorder_count(&r, SL_M_node_join), 1, "it knows already");
    recorder_wait(&r, 10 * SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_spawn_kill), 0, "replicas stay");
}

Test(agent, leaves_when_the_last_lease_was_sent_and_has_ended)
{
    welcome();
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    uint32_t replica = start_replica();
    from_head(SL_M_drain, &(struct sl_m_drain){0});
    struct sl_msg *wish = recorder_take(&r, SL_M_node_leave);
    cr_assert_not_null(wish);
    cr_assert_eq(SL_BODY(wish, node_leave)->is_done, 0);
    sl_msg_destroy(&wish);
    from_head(SL_M_node_leave, &(struct sl_m_node_leave){.node = NODE});
    cr_assert_eq(recorder_count(&r, SL_M_node_leave), 0, "a task is under way");
    processed(replica, taken_by(replica), 0, SL_MILLI_NS);
    (void)expect_done(1);
    struct sl_msg *end = recorder_take(&r, SL_M_node_leave);
    cr_assert_not_null(end);
    cr_assert_eq(SL_BODY(end, node_leave)->is_done, 1);
    sl_msg_destroy(&end);
    recorder_wait(&r, 3 * SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_node_leave), 0, "it says so once");
}

Test(agent, a_lost_spawner_is_the_end_of_its_replicas)
{
    welcome();
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    (void)start_replica();
    from_head(SL_M_spawner_lost, &(struct sl_m_spawner_lost){1});
    (void)expect_failed(1, SL_FAIL_CRASH, true, "");
    run_task(2, true);
    recorder_wait(&r, 5 * SL_SECOND_NS);
    cr_assert_neq(spawned(), 0, "the next work has another started");
}

Test(agent, starts_a_replica_for_the_first_task_and_reports_its_end)
{
    tell(NUMBER, SPEC, "");
    cr_assert_eq(recorder_count(&r, SL_M_spawn), 0);
    run_task(1, false);
    uint32_t replica = spawned();
    cr_assert_neq(replica, 0);
    cr_assert_eq(recorder_count(&r, SL_M_process), 0, "not before it is ready");
    ready(replica, "");
    uint64_t item = taken_by(replica);
    cr_assert_neq(item, 0);
    processed(replica, item, 0, SL_MILLI_NS);
    cr_assert_eq(expect_done(1), 2 * SL_MILLI_NS);
    run_task(2, false);
    cr_assert_eq(recorder_count(&r, SL_M_spawn), 0, "the replica is still there");
    processed(replica, taken_by(replica), 2, SL_MILLI_NS);
    cr_assert_eq(expect_failed(2, SL_FAIL_PERMANENT, false, "c"), 2 * SL_MILLI_NS);
}

Test(agent, refuses_a_task_whose_extraction_it_was_not_told)
{
    run_task(1, false);
    (void)expect_failed(1, SL_FAIL_TRANSIENT, false, "extractor_unknown");
}

Test(agent, ignores_answers_that_are_late_unknown_or_from_elsewhere)
{
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    uint32_t replica = start_replica();
    uint64_t item = taken_by(replica);
    processed(replica + 1, item, 0, 1);
    processed(replica, item + 1, 0, 1);
    cr_assert_eq(recorder_count(&r, SL_M_task_done), 0);
    processed(replica, item, 0, 1);
    processed(replica, item, 0, 1);
    cr_assert_eq(recorder_count(&r, SL_M_task_done), 1);
    exited(replica, 1, 0);
    processed(replica, item, 0, 1);
    ready(replica, "");
    exited(replica, 1, 0);
    cr_assert_eq(recorder_count(&r, SL_M_task_done), 1);
    cr_assert_eq(recorder_count(&r, SL_M_task_failed), 0);
}

/* ---- batches ------------------------------------------------------------------------------- */

Test(agent, sends_about_as_much_as_takes_two_batch_times)
{
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    uint32_t replica = start_replica();
    processed(replica, taken_by(replica), 0, SL_MILLI_NS);
    /* An item takes 1 ms: 60 are a batch, and two batches are under way. */
    for (uint64_t i = 2; i < 500; i++)
        run_task(i, false);
    cr_assert_eq(recorder_count(&r, SL_M_process), 61, "one more than a batch, then it waits");
    processed(replica, taken_by(replica), 0, SL_MILLI_NS);
    cr_assert_eq(recorder_count(&r, SL_M_process), 120, "until half of two are done");
    /* Items now take 60 ms each: what is under way is enough for long. */
    for (int i = 0; i < 100; i++)
        processed(replica, taken_by(replica), 0, 60 * SL_MILLI_NS);
    cr_assert_leq(recorder_count(&r, SL_M_process), 62);
    while (recorder_count(&r, SL_M_process) > 0)
        processed(replica, taken_by(replica), 0, 60 * SL_MILLI_NS);
    cr_assert_eq(recorder_count(&r, SL_M_task_done), 499, "all of them end");
}

Test(agent, one_that_must_be_alone_shares_the_replica_with_none)
{
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    uint32_t replica = start_replica();
    uint64_t first = taken_by(replica);
    run_task(2, true);
    run_task(3, false);
    cr_assert_eq(recorder_count(&r, SL_M_process), 0, "it waits for an idle replica");
    processed(replica, first, 0, 1);
    uint64_t alone = taken_by(replica);
    cr_assert_neq(alone, 0);
    cr_assert_eq(recorder_count(&r, SL_M_process), 0, "and holds it");
    processed(replica, alone, 0, 1);
    cr_assert_eq(recorder_count(&r, SL_M_process), 1);
}

Test(agent, a_crash_blames_nobody_of_many_and_one_that_was_alone)
{
    tell(NUMBER, SPEC, "");
    for (uint64_t i = 1; i <= 3; i++)
        run_task(i, false);
    uint32_t replica = start_replica();
    cr_assert_eq(recorder_count(&r, SL_M_process), 3);
    r.now_ns += 300 * SL_MILLI_NS;
    exited(replica, 0, 11);
    for (uint64_t i = 1; i <= 3; i++)
        cr_assert_eq(expect_failed(i, SL_FAIL_CRASH, false, ""), 100 * SL_MILLI_NS);
    recorder_forget(&r);
    run_task(4, true);
    replica = start_replica();
    exited(replica, 0, 11);
    (void)expect_failed(4, SL_FAIL_CRASH, true, "");
}

/* ---- starts -------------------------------------------------------------------------------- */

static void
fail_start(uint32_t replica)
{
    cr_assert_neq(replica, 0);
    ready(replica, "no such plugin");
    exited(replica, 3, 0);
}

Test(agent, backs_off_after_a_failed_start_and_then_fails_what_waits)
{
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    fail_start(spawned());
    cr_assert_eq(spawned(), 0, "a pause first");
    recorder_wait(&r, 100 * SL_MILLI_NS);
    fail_start(spawned());
    recorder_wait(&r, 199 * SL_MILLI_NS);
    cr_assert_eq(spawned(), 0, "the second pause is twice as long");
    cr_assert_eq(recorder_count(&r, SL_M_task_failed), 0);
    recorder_wait(&r, SL_MILLI_NS);
    fail_start(spawned());
    (void)expect_failed(1, SL_FAIL_TRANSIENT, false, "replica_start_failed");
}

Test(agent, tries_again_once_the_pause_after_giving_up_is_over)
{
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    for (int i = 0; i < 3; i++) {
        fail_start(spawned());
        recorder_wait(&r, 200 * SL_MILLI_NS);
    }
    (void)expect_failed(1, SL_FAIL_TRANSIENT, false, "replica_start_failed");
    run_task(2, false);
    (void)expect_failed(2, SL_FAIL_TRANSIENT, false, "replica_start_failed");
    cr_assert_eq(spawned(), 0);
    recorder_wait(&r, SL_SECOND_NS);
    run_task(3, false);
    uint32_t replica = start_replica();
    processed(replica, taken_by(replica), 0, 1);
    (void)expect_done(3);
    run_task(4, false);
    cr_assert_neq(taken_by(replica), 0);
}

Test(agent, starts_as_many_replicas_as_the_work_is_for)
{
    recorder_stop(&r);
    start_with(4);
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    run_task(2, false);
    cr_assert_eq(recorder_count(&r, SL_M_spawn), 1, "two tasks are what one is for");
    run_task(3, false);
    cr_assert_eq(recorder_count(&r, SL_M_spawn), 2, "with the third, at once");
    for (uint64_t i = 4; i <= 1000; i++)
        run_task(i, false);
    cr_assert_eq(recorder_count(&r, SL_M_spawn), 4, "as many as it may have");
}

Test(agent, kills_a_replica_that_never_gets_ready)
{
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    uint32_t replica = spawned();
    recorder_wait(&r, 119 * SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_spawn_kill), 0);
    recorder_wait(&r, 5 * SL_SECOND_NS);
    struct sl_msg *kill = recorder_take(&r, SL_M_spawn_kill);
    cr_assert_not_null(kill);
    cr_assert_eq(SL_BODY(kill, spawn_kill)->tag, replica);
    sl_msg_destroy(&kill);
    cr_assert_eq(recorder_count(&r, SL_M_spawn_kill), 0, "once");
}

/* Whether the replica, and no other, is told to die. */
static bool
is_killed(uint32_t replica)
{
    struct sl_msg *kill = recorder_take(&r, SL_M_spawn_kill);
    if (kill == NULL)
        return false;
    cr_assert_eq(SL_BODY(kill, spawn_kill)->tag, replica);
    cr_assert_eq(SL_BODY(kill, spawn_kill)->signal, 9);
    sl_msg_destroy(&kill);
    return true;
}

Test(agent, kills_a_replica_that_hangs_and_its_only_task_has_timed_out)
{
    tell(NUMBER, SPEC, "");
    run_task(1, true);
    uint32_t replica = start_replica();
    recorder_wait(&r, 595 * SL_SECOND_NS);
    cr_assert(!is_killed(replica));
    recorder_wait(&r, 10 * SL_SECOND_NS);
    cr_assert(is_killed(replica));
    cr_assert(!is_killed(replica), "once");
    exited(replica, 0, 9);
    (void)expect_failed(1, SL_FAIL_TRANSIENT, true, "timeout");
}

Test(agent, a_hang_blames_nobody_of_many)
{
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    run_task(2, false);
    uint32_t replica = start_replica();
    recorder_wait(&r, 605 * SL_SECOND_NS);
    cr_assert(is_killed(replica));
    exited(replica, 0, 9);
    (void)expect_failed(1, SL_FAIL_CRASH, false, "");
    (void)expect_failed(2, SL_FAIL_CRASH, false, "");
}

Test(agent, lets_a_replica_live_that_answers_now_and_then_or_has_no_work)
{
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    run_task(2, false);
    uint32_t replica = start_replica();
    uint64_t first = taken_by(replica), second = taken_by(replica);
    recorder_wait(&r, 500 * SL_SECOND_NS);
    processed(replica, first, 0, 1);
    recorder_wait(&r, 500 * SL_SECOND_NS);
    processed(replica, second, 0, 1);
    recorder_wait(&r, 59 * SL_SECOND_NS);
    run_task(3, false);
    recorder_wait(&r, 595 * SL_SECOND_NS);
    cr_assert(!is_killed(replica));
}

Test(agent, stops_an_idle_replica_and_starts_one_for_new_work)
{
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    uint32_t replica = start_replica();
    uint64_t item = taken_by(replica);
    recorder_wait(&r, 100 * SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 0, "it is at work");
    processed(replica, item, 0, 1);
    recorder_wait(&r, 62 * SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 1);
    run_task(2, false);
    cr_assert_eq(recorder_count(&r, SL_M_process), 0, "what stops gets no more");
    cr_assert_eq(spawned(), 0, "it still has the place");
    exited(replica, 0, 0);
    cr_assert_neq(spawned(), 0);
    cr_assert_eq(recorder_count(&r, SL_M_task_failed), 0);
}

/* More extractors than pools, one after the other: those that are empty make room. */
Test(agent, gives_the_place_of_an_empty_pool_to_other_work)
{
    for (uint64_t i = 0; i < 2 * SL_POOLS_MAX; i++) {
        char *spec = sl_format("{\"extractor\":\"e%d\"}", (int)i);
        tell(100 + i, spec, "");
        sl_free(spec);
        struct sl_m_run_task m = {.task_id = i, .epoch = i + 1000, .extraction = 100 + i};
        recorder_deliver(&r, dispatcher(), SL_M_run_task, &m);
        uint32_t replica = start_replica();
        struct sl_msg *sent = recorder_take(&r, SL_M_process);
        cr_assert_not_null(sent);
        processed(replica, SL_BODY(sent, process)->item, 0, 1);
        sl_msg_destroy(&sent);
        (void)expect_done(i);
        exited(replica, 0, 0);
    }
}

/* ---- calls --------------------------------------------------------------------------------- */

Test(agent, a_call_goes_before_tasks_and_its_failure_is_its_answer)
{
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    struct sl_m_embed_run call = {.extraction = NUMBER, .inputs = sl_slice_str("in")};
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_ROUTER), SL_M_embed_run, &call);
    uint32_t replica = start_replica();
    uint64_t first = taken_by(replica);
    processed(replica, first, 2, 1);
    struct sl_msg *answer = recorder_take(&r, SL_M_embedded);
    cr_assert_not_null(answer, "the call was first though the task came first");
    cr_assert_eq(answer->to.actor, SL_ACTOR_ROUTER);
    cr_assert_eq(answer->request, SL_ACTOR_ROUTER * 1000 + SL_NODE_HEAD);
    cr_assert_eq(SL_BODY(answer, embedded)->err, SL_EINVAL);
    sl_msg_destroy(&answer);
    processed(replica, taken_by(replica), 0, 1);
    (void)expect_done(1);
}

static void
embed(uint64_t timeout_ns, bool is_alone)
{
    struct sl_m_embed_run call = {.extraction = NUMBER,
                                  .inputs = sl_slice_str("in"),
                                  .timeout_ns = timeout_ns,
                                  .alone = is_alone};
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_ROUTER), SL_M_embed_run, &call);
}

static void
cancel_embed(void)
{
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_ROUTER), SL_M_embed_cancel,
                     &(struct sl_m_embed_cancel){0});
}

Test(agent, a_call_past_its_deadline_is_not_sent_to_a_replica)
{
    tell(NUMBER, SPEC, "");
    embed(SL_SECOND_NS, false);
    embed(0, false);
    uint32_t replica = spawned();
    recorder_wait(&r, 2 * SL_SECOND_NS);
    ready(replica, "");
    cr_assert_eq(recorder_count(&r, SL_M_process), 1, "the other has no deadline");
    cr_assert_eq(recorder_count(&r, SL_M_embedded), 0, "its router keeps the time");
}

Test(agent, a_replica_is_told_until_when_a_call_is_waited_for)
{
    tell(NUMBER, SPEC, "");
    embed(SL_SECOND_NS, false);
    uint32_t replica = spawned();
    uint64_t deadline_ns = r.now_ns + SL_SECOND_NS;
    ready(replica, "");
    struct sl_msg *sent = recorder_take(&r, SL_M_process);
    cr_assert_not_null(sent);
    cr_assert_eq(SL_BODY(sent, process)->deadline_ns, deadline_ns);
    sl_msg_destroy(&sent);
}

Test(agent, a_call_that_nobody_waits_for_is_not_sent_to_a_replica)
{
    tell(NUMBER, SPEC, "");
    embed(0, false);
    uint32_t replica = spawned();
    cancel_embed();
    ready(replica, "");
    cr_assert_eq(recorder_count(&r, SL_M_process), 0);
    cancel_embed(); /* There is none any more. */
    cr_assert_eq(recorder_count(&r, SL_M_process_cancel), 0);
}

Test(agent, the_replica_that_has_a_call_hears_that_nobody_waits)
{
    tell(NUMBER, SPEC, "");
    embed(0, false);
    uint32_t replica = start_replica();
    uint64_t item = taken_by(replica);
    cancel_embed();
    struct sl_msg *told = recorder_take(&r, SL_M_process_cancel);
    cr_assert_not_null(told);
    cr_assert_eq(told->to.node, replica);
    cr_assert_eq(SL_BODY(told, process_cancel)->item, item);
    sl_msg_destroy(&told);
    processed(replica, item, 1, 0);
    embed(0, false);
    cr_assert_neq(taken_by(replica), 0, "it goes on");
}

Test(agent, a_call_that_is_to_be_alone_shares_no_replica)
{
    tell(NUMBER, SPEC, "");
    embed(0, false);
    embed(0, true);
    embed(0, false);
    uint32_t replica = start_replica();
    uint64_t first = taken_by(replica);
    cr_assert_eq(recorder_count(&r, SL_M_process), 0);
    processed(replica, first, 0, 1);
    uint64_t alone = taken_by(replica);
    cr_assert_neq(alone, 0);
    cr_assert_eq(recorder_count(&r, SL_M_process), 0);
    processed(replica, alone, 0, 1);
    cr_assert_neq(taken_by(replica), 0);
}

/* Its calls are not even sent before the other's. */
Test(agent, a_tenant_with_many_calls_does_not_hold_up_one_with_few)
{
    tell(NUMBER, SPEC, "");
    struct sl_m_embed_run call = {.extraction = NUMBER, .inputs = sl_slice_str("in"), .scope = 1};
    for (int i = 0; i < 500; i++)
        recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_ROUTER), SL_M_embed_run, &call);
    call.scope = 2;
    call.inputs = sl_slice_str("of the other");
    recorder_deliver(&r, sl_at(SL_NODE_HEAD, SL_ACTOR_ROUTER), SL_M_embed_run, &call);
    ready(spawned(), "");
    bool is_sent = false;
    for (struct sl_msg *sent; (sent = recorder_take(&r, SL_M_process)) != NULL;) {
        is_sent = is_sent || sl_slice_is(SL_BODY(sent, process)->inputs, "of the other");
        sl_msg_destroy(&sent);
    }
    cr_assert(is_sent);
}

Test(agent, work_of_a_replica_that_was_told_to_stop_is_run_again_not_blamed)
{
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    uint32_t replica = start_replica();
    (void)taken_by(replica);
    struct sl_m_model_drop drop = {.directory = sl_slice_str("")};
    recorder_deliver(&r, dispatcher(), SL_M_model_drop, &drop);
    exited(replica, 0, 0); /* Its answer is still on the way. */
    cr_assert_eq(recorder_count(&r, SL_M_task_failed), 0);
    replica = start_replica();
    processed(replica, taken_by(replica), 0, 1);
    (void)expect_done(1);
}

/* ---- what a link does not take ------------------------------------------------------------- */

static void
undelivered(struct sl_addr from, uint32_t id, uint64_t first, enum sl_err reason)
{
    struct sl_m_undelivered m = {
        .message = id, .reason = reason, .first = first, .second = first + 1000};
    recorder_deliver(&r, from, SL_M_undelivered, &m);
}

static uint64_t
in_flight_told(void)
{
    recorder_forget_sent(&r);
    recorder_wait(&r, SL_SECOND_NS);
    struct sl_msg *beat = recorder_take(&r, SL_M_node_beat);
    cr_assert_not_null(beat);
    uint64_t in_flight = SL_BODY(beat, node_beat)->in_flight;
    sl_msg_destroy(&beat);
    return in_flight;
}

Test(agent, an_end_that_no_link_took_is_told_with_the_next_beat)
{
    welcome();
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    run_task(2, false);
    uint32_t replica = start_replica();
    processed(replica, taken_by(replica), 0, SL_MILLI_NS);
    processed(replica, taken_by(replica), 0, SL_MILLI_NS);
    undelivered(dispatcher(), SL_M_task_done, 1, SL_EFULL);
    undelivered(dispatcher(), SL_M_task_done, 2, SL_ETOOBIG);
    cr_assert_eq(in_flight_told(), 2, "its lease goes on until the head hears");
    (void)expect_failed(2, SL_FAIL_PERMANENT, false, "result_unsent");
    (void)expect_failed(1, SL_FAIL_UNSENT, false, "result_unsent");
    undelivered(dispatcher(), SL_M_task_failed, 1, SL_EFULL);
    cr_assert_eq(in_flight_told(), 1);
    (void)expect_failed(1, SL_FAIL_UNSENT, false, "result_unsent");
    cr_assert_eq(in_flight_told(), 0);
    cr_assert_eq(recorder_count(&r, SL_M_task_failed), 0);
}

Test(agent, what_it_owes_a_head_that_does_not_know_it_is_void)
{
    welcome();
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    uint32_t replica = start_replica();
    processed(replica, taken_by(replica), 0, SL_MILLI_NS);
    undelivered(dispatcher(), SL_M_task_done, 1, SL_EFULL);
    from_head(SL_M_node_unknown, &(struct sl_m_node_unknown){.node = NODE});
    welcome();
    cr_assert_eq(in_flight_told(), 0);
    cr_assert_eq(recorder_count(&r, SL_M_task_failed), 0);
}

Test(agent, a_replica_whose_link_is_full_is_killed)
{
    welcome();
    tell(NUMBER, SPEC, "");
    run_task(1, false);
    uint32_t replica = start_replica();
    recorder_forget_sent(&r);
    undelivered(sl_at(replica, 1), SL_M_process, 1, SL_ENOTFOUND);
    cr_assert_eq(recorder_count(&r, SL_M_spawn_kill), 0, "it has ended: its spawner tells");
    undelivered(sl_at(replica, 1), SL_M_process, 1, SL_EFULL);
    cr_assert_eq(recorder_count(&r, SL_M_spawn_kill), 1);
}

/* ---- gateways ------------------------------------------------------------------------------ */

#define GATE 70000

static void
gate_up(uint32_t gate)
{
    from_head(SL_M_gate_up,
              &(struct sl_m_gate_up){.gate = gate, .endpoint = sl_slice_str("ipc://g")});
}

static void
peer(uint32_t id, uint32_t node)
{
    struct sl_m_peer_up up = {.node = node};
    struct sl_m_peer_down down = {.node = node};
    recorder_deliver(&r, r.self, id, id == SL_M_peer_up ? (const void *)&up : &down);
}

/* 0, 1: what a gateway was told last; 2: nothing. */
static uint64_t
hello_open(void)
{
    uint64_t is_open = 2;
    for (struct sl_msg *m; (m = recorder_take(&r, SL_M_node_hello)) != NULL; sl_msg_destroy(&m))
        is_open = SL_BODY(m, node_hello)->is_open;
    return is_open;
}

Test(agent, a_gateway_that_joins_later_hears_that_it_is_cordoned)
{
    welcome();
    from_head(SL_M_node_open, &(struct sl_m_node_open){.node = NODE, .is_open = 0});
    gate_up(GATE);
    cr_assert_eq(hello_open(), 2, "their link is not there yet");
    peer(SL_M_peer_up, GATE);
    cr_assert_eq(hello_open(), 0);
    from_head(SL_M_node_open, &(struct sl_m_node_open){.node = NODE, .is_open = 1});
    cr_assert_eq(hello_open(), 1);
}

Test(agent, tells_gateways_whose_work_alone_it_takes)
{
    from_head(SL_M_node_welcome, &(struct sl_m_node_welcome){.node = NODE, .taint = 7});
    gate_up(GATE);
    peer(SL_M_peer_up, GATE);
    struct sl_msg *hello = recorder_take(&r, SL_M_node_hello);
    cr_assert_not_null(hello);
    cr_expect_eq(SL_BODY(hello, node_hello)->taint, 7);
    sl_msg_destroy(&hello);
}

Test(agent, forgets_gateways_that_the_head_lists_no_more_when_their_link_ends)
{
    welcome();
    for (uint32_t i = 0; i < 10 * SL_GATES_MAX; i++) {
        gate_up(GATE + i);
        from_head(SL_M_gate_down, &(struct sl_m_gate_down){.gate = GATE + i});
        cr_assert_eq(recorder_count(&r, SL_M_gate_up), 1, "the %uth is connected to", i);
        cr_assert_eq(recorder_count(&r, SL_M_gate_down), 1);
        recorder_forget_sent(&r);
    }
    gate_up(GATE);
    peer(SL_M_peer_up, GATE);
    from_head(SL_M_gate_down, &(struct sl_m_gate_down){.gate = GATE});
    cr_assert_eq(recorder_count(&r, SL_M_gate_down), 0, "it may have calls for us");
    peer(SL_M_peer_down, GATE);
    cr_assert_eq(recorder_count(&r, SL_M_gate_down), 1);
}

Test(agent, after_joining_anew_keeps_the_gateways_that_are_listed_or_linked)
{
    welcome();
    gate_up(GATE);
    gate_up(GATE + 1);
    peer(SL_M_peer_up, GATE + 1);
    from_head(SL_M_node_unknown, &(struct sl_m_node_unknown){.node = NODE});
    welcome();
    cr_assert_eq(recorder_count(&r, SL_M_gate_down), 1, "the one without a link");
    gate_up(GATE + 1);
    peer(SL_M_peer_down, GATE + 1);
    cr_assert_eq(recorder_count(&r, SL_M_gate_down), 1, "the head has it still");
}
