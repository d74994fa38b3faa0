/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/placement.h"
#include "tests/actors/dispatcher_say.h"

TestSuite(dispatcher, .init = setup, .fini = finish, .timeout = 60);

/* ---- ends ---------------------------------------------------------------------------------- */

Test(dispatcher, leases_into_the_room_of_nodes_and_ends_the_job_with_its_last_task)
{
    submit(3);
    wake();
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0, "no node is there");
    node_up(2, 1);
    node_up(3, 1);
    node_up(3, 1); /* Told twice: its room does not double. */
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 2);
    cr_assert_eq(recorder_count(&r, SL_M_extraction), 2, "each node is told what the tasks do");
    struct run a = expect_run(), b = expect_run();
    cr_assert_neq(a.node, b.node);
    done(a);
    struct run c = expect_run();
    cr_assert_eq(c.node, a.node);
    cr_assert_eq(recorder_count(&r, SL_M_extraction), 2, "once");
    done(b);
    cr_assert_eq(recorder_count(&r, SL_M_job_ended), 0);
    done(c);
    expect_job_ended(SL_JOB_SUCCEEDED, 3, 0);
    cr_assert_eq(count_rows(SL_TABLE_RECORD), 3);
    cr_assert_eq(counts().done, 3);
}

/* Two tenants with as many tasks, and room for one. */
static void
submit_of_two(int count)
{
    scope.id = 3;
    submit(count);
    scope.id = 4;
    submit_again(count);
    wake();
    node_up(2, 1);
}

/* One run after the other, each of which took as long as is told. Returns how many of `runs` were
 * the first tenant's. */
static int
run_of_two(int runs, uint64_t first_ns, uint64_t second_ns)
{
    static uint64_t last_of_first;
    int of_first = 0;
    for (int i = 0; i < runs; i++) {
        struct run run = expect_run();
        last_of_first = last_of_first == 0 ? run.task_id + 199 : last_of_first;
        bool is_first = run.task_id <= last_of_first;
        uint64_t served_ns = is_first ? first_ns : second_ns;
        recorder_wait(&r, SL_MIN(served_ns, SL_SECOND_NS));
        if (is_first)
            failed_after(run, served_ns);
        else
            done_part_after(run, "", served_ns);
        of_first += is_first;
    }
    return of_first;
}

Test(dispatcher, who_has_dear_tasks_gets_as_much_time_and_so_fewer_runs)
{
    submit_of_two(200);
    int dear = run_of_two(204, 100 * SL_MILLI_NS, SL_MILLI_NS);
    cr_assert(dear >= 2 && dear <= 4, "%d", dear);
}

Test(dispatcher, a_node_cannot_tell_of_more_time_than_has_passed)
{
    submit_of_two(200);
    int of_liar = run_of_two(60, UINT64_MAX, SL_SECOND_NS);
    cr_assert(of_liar >= 28 && of_liar <= 32, "%d", of_liar);
}

/* Those that are dear would hold up whoever comes next. */
Test(dispatcher, a_node_is_sent_as_many_tasks_as_it_is_expected_to_end_soon)
{
    submit(200);
    wake();
    node_up(2, 1000);
    uint32_t cheap = recorder_count(&r, SL_M_run_task);
    cr_assert_eq(cheap, 200, "nothing is known yet");
    for (uint32_t i = 0; i < cheap; i++) {
        recorder_wait(&r, SL_SECOND_NS / 4);
        done_part_after(expect_run(), "", SL_SECOND_NS / 4);
        if (i == 0)
            submit_again(200); /* Its lane goes on. */
    }
    uint32_t dear = recorder_count(&r, SL_M_run_task);
    cr_assert_eq(dear, SL_PLACEMENT_AHEAD_NS / (SL_SECOND_NS / 4), "%u", dear);
}

Test(dispatcher, a_part_is_paid_for_when_it_ends)
{
    submit_of_two(1);
    struct run first = expect_run();
    recorder_wait(&r, SL_SECOND_NS);
    done_part_after(first, "here", SL_SECOND_NS);
    struct run second = expect_run();
    cr_assert_neq(second.task_id, first.task_id, "the other's turn");
}

Test(dispatcher, a_task_that_pauses_goes_on_where_it_was)
{
    submit(1);
    wake();
    node_up(2, 1);
    struct run one = expect_run();
    cr_assert(one.first == 0 && one.resume[0] == '\0');
    done_part(one, "here");
    cr_assert_eq(count_rows(SL_TABLE_RECORD), 1, "a part is stored when it comes");
    cr_assert_eq(recorder_count(&r, SL_M_job_ended), 0);
    struct run two = expect_run();
    cr_assert_eq(two.task_id, one.task_id);
    cr_assert_neq(two.epoch, one.epoch);
    cr_assert(two.first == 1 && strcmp(two.resume, "here") == 0);
    done_part(one, "again"); /* Its lease is over. */
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0);
    failed(two, SL_FAIL_CRASH, true);
    recorder_wait(&r, SL_SECOND_NS);
    struct run three = expect_run();
    cr_assert(three.first == 1 && strcmp(three.resume, "here") == 0, "not from the start");
    done_part(three, "there");
    struct run four = expect_run();
    cr_assert(four.first == 2 && strcmp(four.resume, "there") == 0);
    done(four);
    expect_job_ended(SL_JOB_SUCCEEDED, 1, 0);
    cr_assert_eq(count_rows(SL_TABLE_RECORD), 3);
    cr_assert_eq(count_rows(SL_TABLE_PART), 0);
}

Test(dispatcher, a_task_that_dies_between_its_parts_keeps_what_is_stored)
{
    submit(1);
    wake();
    node_up(2, 1);
    done_part(expect_run(), "here");
    failed(expect_run(), SL_FAIL_PERMANENT, false);
    expect_job_ended(SL_JOB_FAILED, 0, 1);
    cr_assert_eq(count_rows(SL_TABLE_RECORD), 1);
    cr_assert_eq(count_rows(SL_TABLE_PART), 0);
}

Test(dispatcher, refuses_an_end_with_a_stale_epoch)
{
    submit(1);
    node_up(2, 4);
    struct run a = expect_run(), stale = a, unknown = a;
    stale.epoch--;
    unknown.task_id += 1000;
    done(stale);
    done(unknown);
    failed(stale, SL_FAIL_PERMANENT, false);
    cr_assert_eq(counts().stale, 3);
    cr_assert_eq(count_rows(SL_TABLE_RECORD), 0);
    done(a);
    done(a);
    cr_assert_eq(counts().stale, 4);
    cr_assert_eq(counts().done, 1);
    cr_assert_eq(count_rows(SL_TABLE_RECORD), 1);
    expect_job_ended(SL_JOB_SUCCEEDED, 1, 0);
}

Test(dispatcher, retries_after_a_pause_and_then_writes_a_failure)
{
    submit(1);
    node_up(2, 4);
    for (int attempt = 1; attempt < 3; attempt++) {
        failed(expect_run(), SL_FAIL_TRANSIENT, false);
        cr_assert_eq(counts().retried, (uint64_t)attempt);
        recorder_wait(&r, SL_SECOND_NS);
    }
    failed(expect_run(), SL_FAIL_TRANSIENT, false);
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0);
    cr_assert_eq(counts().dead, 1);
    cr_assert_eq(count_rows(SL_TABLE_FAILURE), 1);
    expect_job_ended(SL_JOB_FAILED, 0, 1);
}

Test(dispatcher, a_permanent_failure_is_not_tried_again)
{
    submit(2);
    node_up(2, 4);
    failed(expect_run(), SL_FAIL_PERMANENT, false);
    done(expect_run());
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0);
    cr_assert_eq(count_rows(SL_TABLE_FAILURE), 1);
    expect_job_ended(SL_JOB_PARTIAL, 1, 1);
}

Test(dispatcher, after_a_crash_a_task_runs_alone_and_is_blamed_only_then)
{
    submit(1);
    node_up(2, 4);
    struct run run = expect_run();
    cr_assert_not(run.is_alone);
    failed(run, SL_FAIL_CRASH, false);
    for (int i = 0; i < 3; i++) {
        run = expect_run();
        cr_assert(run.is_alone);
        cr_assert_eq(counts().dead, 0);
        failed(run, SL_FAIL_CRASH, true);
        recorder_wait(&r, SL_SECOND_NS);
    }
    cr_assert_eq(counts().crashed, 4);
    cr_assert_eq(counts().dead, 1);
    cr_assert_eq(count_rows(SL_TABLE_FAILURE), 1);
    expect_job_ended(SL_JOB_FAILED, 0, 1);
}

Test(dispatcher, outputs_that_cannot_be_read_are_a_failure_not_records)
{
    submit(1);
    node_up(2, 4);
    struct run a = expect_run();
    struct sl_m_task_done m = {
        .task_id = a.task_id, .epoch = a.epoch, .outputs = sl_slice_str("\xff\xff\xff\x7f??")};
    recorder_deliver(&r, sl_at(2, SL_ACTOR_AGENT), SL_M_task_done, &m);
    cr_assert_eq(count_rows(SL_TABLE_RECORD), 0);
    cr_assert_eq(count_rows(SL_TABLE_FAILURE), 1);
    expect_job_ended(SL_JOB_FAILED, 0, 1);
}

/* ---- sources and nodes that go ------------------------------------------------------------- */

Test(dispatcher, a_task_whose_source_was_deleted_ends_with_no_record)
{
    struct sl_buf key = {0};
    submit(2);
    del(SL_TABLE_SOURCE, source_key(&key, 0));
    sl_buf_deinit(&key);
    node_up(2, 4);
    done(expect_run());
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0);
    cr_assert_eq(count_rows(SL_TABLE_RECORD), 1);
    expect_job_ended(SL_JOB_SUCCEEDED, 2, 0);
}

Test(dispatcher, a_source_without_the_input_fails_at_once_with_a_reason)
{
    submit(1);
    put_source(0, "{\"other\":1}");
    node_up(2, 4);
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0);
    cr_assert_eq(count_rows(SL_TABLE_FAILURE), 1);
    expect_job_ended(SL_JOB_FAILED, 0, 1);
}

Test(dispatcher, tasks_that_end_before_they_run_leave_others_their_turn)
{
    submit(1000);
    for (int i = 0; i < 999; i++)
        put_source(i, "{\"other\":1}");
    node_up(2, 4);
    uint32_t first = count_rows(SL_TABLE_FAILURE);
    cr_assert(first >= 200 && first <= 300, "%u in one turn", first);
    wake(); /* Another message has its share, and sets no second timer for the rest. */
    cr_assert_leq(count_rows(SL_TABLE_FAILURE), 600);
    recorder_wait(&r, 10 * SL_MILLI_NS);
    cr_assert_eq(count_rows(SL_TABLE_FAILURE), 999);
    done(expect_run());
    expect_job_ended(SL_JOB_PARTIAL, 1, 999);
    cr_assert_leq(r.timers_count, 3);
}

Test(dispatcher, inputs_that_fit_in_no_message_fail_with_a_reason)
{
    size_t size = 17 * SL_MIB;
    char *fields = sl_alloc(size + 32);
    int at = sprintf(fields, "{\"content\":\"");
    memset(fields + at, 'x', size);
    sprintf(fields + at + size, "\"}");
    submit(1);
    put_source(0, fields);
    sl_free(fields);
    node_up(2, 4);
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0);
    cr_assert_eq(count_rows(SL_TABLE_FAILURE), 1);
    expect_job_ended(SL_JOB_FAILED, 0, 1);
}

Test(dispatcher, a_lost_node_voids_its_leases)
{
    submit(2);
    node_up(2, 4);
    struct run a = expect_run(), b = expect_run();
    recorder_deliver(&r, head(), SL_M_node_lost, &(struct sl_m_node_lost){2});
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0);
    done(a); /* It still sends: refused. */
    cr_assert_eq(count_rows(SL_TABLE_RECORD), 0);
    node_up(3, 4);
    struct run c = expect_run(), d = expect_run();
    cr_assert_eq(c.node, 3);
    cr_assert_neq(c.epoch, a.epoch);
    done(b);
    cr_assert_eq(counts().stale, 2);
    done(c);
    done(d);
    expect_job_ended(SL_JOB_SUCCEEDED, 2, 0);
}

Test(dispatcher, a_lease_lives_by_the_beats_of_a_node_at_work)
{
    submit(1);
    node_up(2, 4);
    struct run a = expect_run();
    beat_for(90, 1);
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0);
    recorder_wait(&r, 61 * SL_SECOND_NS);
    struct run b = expect_run();
    cr_assert_eq(b.task_id, a.task_id);
    cr_assert_neq(b.epoch, a.epoch);
    beat_for(90, 0); /* The node knows of no work: the message was lost. */
    struct run c = expect_run();
    cr_assert_neq(c.epoch, b.epoch);
    done(c);
    expect_job_ended(SL_JOB_SUCCEEDED, 1, 0);
}

Test(dispatcher, a_draining_one_leases_nothing_more_and_says_so)
{
    submit(2);
    node_up(2, 1);
    struct run a = expect_run();
    recorder_deliver(&r, head(), SL_M_drain, &(struct sl_m_drain){0});
    done(a);
    recorder_wait(&r, SL_SECOND_NS / 10);
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0);
    cr_assert_geq(recorder_count(&r, SL_M_drain), 5);
}

/* Retries set earlier ticks again and again; each tick that is left behind must not live on. */
Test(dispatcher, ticks_do_not_multiply)
{
    submit(200);
    node_up(2, 1);
    for (int i = 0; i < 100; i++) {
        failed(expect_run(), SL_FAIL_TRANSIENT, false);
        recorder_wait(&r, SL_MILLI_NS);
    }
    recorder_wait(&r, 2 * SL_SECOND_NS);
    cr_assert_leq(r.timers_count, 3);
}

Test(dispatcher, a_canceled_jobs_end_is_told)
{
    struct sl_buf event = {0};
    submit(2);
    sl_queue_event_cancel(&event, job);
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_event(t, SL_PROJECTION_QUEUE, scope, sl_buf_slice(&event));
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
    sl_buf_deinit(&event);
    wake();
    recorder_wait(&r, SL_SECOND_NS);
    expect_job_ended(SL_JOB_CANCELED, 0, 0);
}
