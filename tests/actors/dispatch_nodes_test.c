/* SPDX-License-Identifier: Apache-2.0 */
/* Of the dispatcher: what links do not take, how much a node gets, labels and taints. */
#include "tests/actors/dispatcher_say.h"

#include "actors/home.h"

TestSuite(dispatch_nodes, .init = setup, .fini = finish, .timeout = 60);

/* The node's link did not take a message. */
static void
undelivered(uint32_t node, uint32_t id, uint64_t first, uint64_t second, enum sl_err reason)
{
    struct sl_m_undelivered m = {.message = id, .reason = reason, .first = first, .second = second};
    recorder_deliver(&r, sl_at(node, SL_ACTOR_AGENT), SL_M_undelivered, &m);
}

Test(dispatch_nodes, what_a_link_does_not_take_waits_uncounted_for_the_next_beat)
{
    submit(2);
    node_up(2, 4);
    struct sl_msg *told = recorder_take(&r, SL_M_extraction);
    uint64_t number = SL_BODY(told, extraction)->number;
    sl_msg_destroy(&told);
    struct run a = expect_run(), b = expect_run();
    undelivered(2, SL_M_extraction, number, 0, SL_EFULL);
    undelivered(2, SL_M_run_task, a.task_id, a.epoch, SL_EFULL);
    undelivered(2, SL_M_run_task, a.task_id, a.epoch, SL_EFULL);
    cr_assert_eq(counts().returned, 1);
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0, "the link is full");
    beat_for(1, 1);
    cr_assert_eq(recorder_count(&r, SL_M_extraction), 1, "it has not heard of it");
    struct run again = expect_run();
    cr_assert_eq(again.task_id, a.task_id);
    cr_assert_not(again.is_alone);
    undelivered(2, SL_M_run_task, b.task_id, b.epoch, SL_EFULL);
    node_up(3, 4);
    cr_assert_eq(expect_run().node, 3, "others get it at once");
    done(a);
    cr_assert_eq(counts().stale, 1);
    done(again);
    cr_assert_eq(counts().retried, 0);
}

Test(dispatch_nodes, a_task_that_fits_in_no_message_fails)
{
    submit(1);
    node_up(2, 4);
    struct run a = expect_run();
    undelivered(2, SL_M_run_task, a.task_id, a.epoch, SL_ETOOBIG);
    expect_job_ended(SL_JOB_FAILED, 0, 1);
}

Test(dispatch_nodes, an_end_that_could_not_be_sent_is_run_again_uncounted)
{
    submit(1);
    node_up(2, 4);
    for (int i = 0; i < 10; i++)
        failed(expect_run(), SL_FAIL_UNSENT, false);
    cr_assert_eq(counts().returned, 10);
    cr_assert_eq(counts().dead, 0);
    done(expect_run());
    expect_job_ended(SL_JOB_SUCCEEDED, 1, 0);
}

Test(dispatch_nodes, a_node_that_is_closed_hears_it_though_its_link_was_full)
{
    node_up(2, 4);
    recorder_deliver(&r, head(), SL_M_node_open, &(struct sl_m_node_open){.node = 2});
    sl_msg_destroy(&(struct sl_msg *){recorder_take(&r, SL_M_node_leave)});
    undelivered(2, SL_M_node_leave, 2, 0, SL_EFULL);
    cr_assert_eq(recorder_count(&r, SL_M_node_leave), 0);
    beat_for(2, 0);
    cr_assert_eq(recorder_count(&r, SL_M_node_leave), 1);
}

Test(dispatch_nodes, a_lapsed_lease_takes_no_room)
{
    submit(2);
    node_up(2, 1);
    struct run a = expect_run();
    beat_for(90, 0);
    struct run b = expect_run();
    cr_assert_eq(b.task_id, a.task_id, "it lapsed, and there was room for it again");
    done(a);
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0, "a late end makes no room");
    done(b);
    done(expect_run());
    expect_job_ended(SL_JOB_SUCCEEDED, 2, 0);
}

Test(dispatch_nodes, what_was_canceled_and_never_heard_of_takes_no_room_for_ever)
{
    submit(1);
    node_up(2, 1);
    (void)expect_run();
    cancel();
    wake();
    beat_for(2, 0);
    submit_again(1);
    wake();
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0, "it may be on its way");
    beat_for(60, 0);
    (void)expect_run();
}

Test(dispatch_nodes, a_node_has_room_for_so_many_bytes)
{
    size_t size = 15 * SL_MIB;
    uint32_t most = (uint32_t)(SL_LIMIT_NODE_BYTES / size) + 1;
    char *fields = sl_alloc(size + 32);
    int at = sprintf(fields, "{\"content\":\"");
    memset(fields + at, 'x', size);
    sprintf(fields + at + size, "\"}");
    submit((int)most + 2);
    for (uint32_t i = 0; i < most + 2; i++)
        put_source((int)i, fields);
    sl_free(fields);
    node_up(2, 1000);
    cr_assert_eq(recorder_count(&r, SL_M_run_task), most);
    done(expect_run());
    cr_assert_eq(recorder_count(&r, SL_M_run_task), most, "one has ended, one was sent");
}

/* ---- labels -------------------------------------------------------------------------------- */

static void
labelled_up(uint32_t node, uint64_t room, const char *labels)
{
    struct sl_m_node_up up = {.node = node, .room = room, .classes = 7};
    up.labels = sl_slice_str(labels);
    recorder_deliver(&r, head(), SL_M_node_up, &up);
}

/* A text that the explanation of the job's placement has. */
static void
expect_explained(struct sl_job_id id, const char *text)
{
    struct sl_m_placement ask = {.job = sl_slice(id.bytes, sizeof(id.bytes))};
    recorder_deliver(&r, head(), SL_M_placement, &ask);
    struct sl_msg *reply = recorder_take(&r, SL_M_node_ordered);
    cr_assert_not_null(reply);
    struct sl_slice got = SL_BODY(reply, node_ordered)->message;
    cr_expect_not_null(memmem(got.data, got.size, text, strlen(text)), "%.*s", SL_SLICE_FMT(got));
    sl_msg_destroy(&reply);
}

static void
put_job(struct sl_job_id id, const char *collection)
{
    struct sl_buf row = {0};
    char *about = sl_format("{\"collection_ids\":[\"%s\"]}", collection);
    struct sl_job_row job_row = {.created_ms = 1, .about = sl_slice_str(about)};
    sl_job_row_encode(&job_row, &row);
    put(SL_TABLE_JOB, sl_slice(id.bytes, 16), sl_buf_slice(&row));
    sl_buf_deinit(&row);
    sl_free(about);
}

Test(dispatch_nodes, work_goes_to_nodes_with_the_labels_it_asks_for_alone)
{
    submit_as(job, 4, "picky");
    labelled_up(2, 8, "{\"zone\":\"a\"}");
    labelled_up(3, 8, "");
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0);
    cr_assert_eq(counts().parked, 4);
    labelled_up(4, 2, "{\"disk\":\"ssd\",\"zone\":\"b\"}");
    struct run a = expect_run(), b = expect_run();
    cr_assert(a.node == 4 && b.node == 4);
    cr_assert_eq(counts().parked, 2);
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0, "it has no more room");
    done(a);
    struct run c = expect_run();
    cr_assert_eq(c.node, 4);
    recorder_deliver(&r, head(), SL_M_node_lost, &(struct sl_m_node_lost){4});
    cr_assert_eq(counts().parked, 3);
    labelled_up(5, 8, "{\"zone\":\"b\"}");
    for (int i = 0; i < 3; i++)
        done(expect_run());
    expect_job_ended(SL_JOB_SUCCEEDED, 4, 0);
    cr_assert_eq(counts().retried, 0);
}

Test(dispatch_nodes, work_that_no_node_fits_holds_up_no_other)
{
    submit_as(job, 100, "picky");
    labelled_up(2, 2, "");
    cr_assert_eq(counts().parked, 100);
    put_extraction("col", "echo"); /* The collection asks for nothing now: those parked stay. */
    submit_as((struct sl_job_id){{7}}, 2, "echo");
    wake();
    cr_assert_eq(expect_run().node, 2);
    cr_assert_eq(expect_run().node, 2);
    beat_for(180, 1);
    cr_assert_eq(counts().parked, 100, "their leases go on");
    cr_assert_eq(counts().leased, 102);
}

Test(dispatch_nodes, says_which_labels_are_missing)
{
    submit_as(job, 3, "picky");
    put_job(job, "col");
    expect_explained(job, "\"reason\":\"no node has the label zone=b\"");
    labelled_up(2, 8, "{\"zone\":\"a\"}");
    expect_explained(job, "\"labels\":{\"zone\":\"b\"},\"parked\":3");
    expect_explained(job, "\"verdict\":\"other_labels\"");
    labelled_up(3, 1, "{\"zone\":\"b\"}");
    expect_explained(job, "\"parked\":2,\"reason\":\"no node that may take it has room\"");
}

Test(dispatch_nodes, what_was_parked_and_canceled_is_forgotten)
{
    submit_as(job, 3, "picky");
    labelled_up(2, 8, "");
    cr_assert_eq(counts().parked, 3);
    cancel();
    wake();
    recorder_wait(&r, 6 * SL_SECOND_NS);
    cr_assert_eq(counts().parked, 0);
    labelled_up(3, 8, "{\"zone\":\"b\"}");
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0);
}

Test(dispatch_nodes, what_is_parked_holds_up_no_end)
{
    submit_as(job, 3, "picky");
    labelled_up(2, 8, "");
    recorder_deliver(&r, head(), SL_M_drain, &(struct sl_m_drain){0});
    cr_assert_eq(sl_queue_leased_count(queue), 0);
    labelled_up(3, 8, "{\"zone\":\"b\"}");
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0);
}

Test(dispatch_nodes, more_than_can_be_parked_comes_again_uncounted)
{
    submit_as(job, SL_PARKED_MAX + 10, "picky");
    labelled_up(2, 8, "");
    for (int i = 0; i < 300 && sl_queue_ready_count(queue, SL_CLASS_CPU) > 0; i++)
        recorder_wait(&r, 2 * SL_MILLI_NS);
    cr_assert_eq(counts().parked, SL_PARKED_MAX);
    cr_assert_eq(sl_queue_ready_count(queue, SL_CLASS_CPU), 0, "ten wait for another time");
    labelled_up(3, 300, "{\"zone\":\"b\"}");
    cr_assert_eq(counts().parked, SL_PARKED_MAX - 300);
    cr_assert_eq(counts().retried, 0);
}

/* ---- nodes of one tenant alone ------------------------------------------------------------- */

static void
tainted_up(uint32_t node, uint64_t room, uint64_t taint)
{
    struct sl_m_node_up up = {.node = node, .room = room, .classes = 7, .taint = taint};
    recorder_deliver(&r, head(), SL_M_node_up, &up);
}

static void
set_level(const char *level)
{
    put(SL_TABLE_HEAD, sl_slice_str(SL_HOME_LEVEL_KEY), sl_slice_str(level));
}

Test(dispatch_nodes, work_of_a_tenant_at_level_physical_waits_for_its_own_nodes)
{
    set_level("physical");
    submit(4);
    node_up(2, 8);
    tainted_up(3, 8, scope.id + 1);
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0);
    cr_expect_eq(counts().parked, 0, "it waits in its queue, by its priority");
    cr_expect_eq(sl_queue_leased_count(queue), 0);
    tainted_up(4, 2, scope.id);
    struct run a = expect_run(), b = expect_run();
    cr_assert(a.node == 4 && b.node == 4);
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0, "it has no more room, and others are not");
    done(a);
    cr_assert_eq(expect_run().node, 4);
    recorder_deliver(&r, head(), SL_M_node_lost, &(struct sl_m_node_lost){4});
    beat_for(3, 0);
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0, "what it had waits for another");
    tainted_up(5, 8, scope.id);
    for (int i = 0; i < 3; i++) {
        struct run run = expect_run();
        cr_expect_eq(run.node, 5);
        done(run);
    }
    expect_job_ended(SL_JOB_SUCCEEDED, 4, 0);
    cr_assert_eq(counts().retried, 0);
}

Test(dispatch_nodes, a_node_of_one_tenant_takes_no_others_work)
{
    tainted_up(2, 8, scope.id + 1);
    tainted_up(3, 8, scope.id);
    submit(2);
    wake();
    beat_for(3, 0);
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0, "nor its tenant's, at another level");
    node_up(4, 8);
    for (int i = 0; i < 2; i++)
        cr_expect_eq(expect_run().node, 4);
}

Test(dispatch_nodes, a_level_that_changes_moves_what_waits)
{
    node_up(2, 2);
    tainted_up(3, 2, scope.id);
    submit(6);
    wake();
    struct run at[6];
    at[0] = expect_run();
    at[1] = expect_run();
    cr_assert(at[0].node == 2 && at[1].node == 2);
    set_level("physical");
    beat_for(1, 2); /* A tick looks. */
    at[2] = expect_run();
    at[3] = expect_run();
    cr_assert(at[2].node == 3 && at[3].node == 3);
    done(at[0]);
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0, "what it had it ends, and gets no more");
    set_level("process");
    beat_for(1, 1);
    cr_assert_eq(expect_run().node, 2);
    done(at[2]);
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0, "now the other way about");
}

Test(dispatch_nodes, says_that_a_tenants_own_nodes_are_missing)
{
    set_level("physical");
    submit(3);
    put_job(job, "col");
    node_up(2, 8);
    tainted_up(4, 8, scope.id + 1);
    expect_explained(job, "\"reason\":\"no node has this tenant's taint");
    expect_explained(job, "\"verdict\":\"other_taint\"");
    expect_explained(job, "\"nodes_total\":2");
    tainted_up(3, 1, scope.id);
    expect_explained(job, "\"reason\":\"no node that may take it has room\"");
}

static void
own_labelled_up(uint32_t node, uint64_t room)
{
    struct sl_m_node_up up = {.node = node, .room = room, .classes = 7, .taint = scope.id};
    up.labels = sl_slice_str("{\"zone\":\"b\"}");
    recorder_deliver(&r, head(), SL_M_node_up, &up);
}

Test(dispatch_nodes, labels_and_taints_are_asked_for_together)
{
    set_level("physical");
    submit_as(job, 2, "picky");
    labelled_up(2, 8, "{\"zone\":\"b\"}");
    tainted_up(3, 8, scope.id);
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0, "each lacks one of both");
    cr_assert_eq(counts().parked, 2);
    own_labelled_up(4, 8);
    cr_expect_eq(expect_run().node, 4);
    cr_expect_eq(expect_run().node, 4);
}

Test(dispatch_nodes, what_is_parked_for_any_node_goes_to_own_ones_once_the_level_is_physical)
{
    submit_as(job, 2, "picky");
    node_up(2, 8);
    cr_assert_eq(counts().parked, 2);
    set_level("physical");
    own_labelled_up(3, 8);
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0);
    beat_for(2, 0);
    cr_expect_eq(expect_run().node, 3);
    cr_expect_eq(expect_run().node, 3);
}

/* The level is seen by a task that comes before the next look at all of them. */
Test(dispatch_nodes, what_is_parked_for_own_nodes_is_freed_too_if_a_task_tells_of_the_level)
{
    set_level("physical");
    submit_as(job, 2, "picky");
    tainted_up(3, 8, scope.id);
    cr_assert_eq(counts().parked, 2);
    set_level("process");
    submit_as((struct sl_job_id){{7}}, 1, "echo");
    labelled_up(2, 8, "{\"zone\":\"b\"}");
    beat_for(2, 0);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(expect_run().node, 2);
}

Test(dispatch_nodes, what_is_parked_for_own_nodes_goes_elsewhere_once_the_level_is_another)
{
    set_level("physical");
    submit_as(job, 2, "picky");
    tainted_up(3, 8, scope.id);
    cr_assert_eq(counts().parked, 2);
    labelled_up(2, 8, "{\"zone\":\"b\"}");
    cr_assert_eq(recorder_count(&r, SL_M_run_task), 0);
    set_level("process");
    beat_for(2, 0);
    cr_expect_eq(expect_run().node, 2);
    cr_expect_eq(expect_run().node, 2);
}
