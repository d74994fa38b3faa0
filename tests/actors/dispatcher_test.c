/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/dispatcher.h"

#include <stdio.h>
#include <stdlib.h>

#include "actors/extraction.h"
#include "actors/job_row.h"
#include "actors/rows.h"
#include "runtime/report.h"
#include "runtime/sim_disk.h"
#include "tests/actors/recorder.h"

static const struct sl_scope scope = {3};
static const struct sl_job_id job = {{1, 2, 3}};

static char path[64];
static struct recorder r;
static struct sl_store *store;
static struct sl_queue *queue;
static struct sl_index_cache *indexes;

static void
setup(void)
{
    sl_report_level_set(SL_REPORT_ERROR);
    snprintf(path, sizeof(path), "/tmp/sluice-dispatcher-XXXXXX");
    cr_assert_not_null(mkdtemp(path));
    queue = sl_queue_create();
    struct sl_projection projection = {.id = SL_PROJECTION_QUEUE,
                                       .name = "queue",
                                       .self = queue,
                                       .apply = sl_queue_apply,
                                       .snapshot = sl_queue_snapshot,
                                       .restore = sl_queue_restore};
    struct sl_store_options options = {
        .directory = path, .projections = &projection, .projections_count = 1, .is_sync_off = true};
    cr_assert_eq(sl_store_open(&options, &store), SL_OK);
    sl_queue_boot(queue, 1);
    indexes = sl_index_cache_create();
    r.store = store;
    struct sl_dispatcher_options dispatcher = {
        .queue = queue, .indexes = indexes, .retry = {.attempts_max = 3, .base_ms = 100}};
    recorder_start(&r, &sl_dispatcher_class, sl_at(SL_NODE_HEAD, SL_ACTOR_DISPATCHER), &dispatcher);
}

static void
finish(void)
{
    recorder_stop(&r);
    sl_index_cache_destroy(&indexes);
    sl_store_close(&store);
    sl_queue_destroy(&queue);
    char *command = sl_format("rm -rf %s", path);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

TestSuite(dispatcher, .init = setup, .fini = finish, .timeout = 60);

/* ---- the store ----------------------------------------------------------------------------- */

static void
put(uint8_t table, struct sl_slice key, struct sl_slice value)
{
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_put(t, scope, table, key, value);
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
}

static void
del(uint8_t table, struct sl_slice key)
{
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_del(t, scope, table, key);
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
}

static uint32_t
count_rows(uint8_t table)
{
    struct sl_txn *t = sl_store_begin(store);
    struct sl_scan scan;
    uint32_t count = 0;
    sl_txn_scan(t, scope, table, (struct sl_slice){0}, (struct sl_slice){0}, false, &scan);
    while (sl_scan_next(&scan))
        count++;
    sl_scan_end(&scan);
    sl_txn_abort(&t);
    return count;
}

static struct sl_slice
source_key(struct sl_buf *key, int number)
{
    char object[16];
    snprintf(object, sizeof(object), "obj_%d", number);
    return sl_key(key, 2, "bkt", object);
}

static void
put_source(int number, const char *fields)
{
    struct sl_buf key = {0}, row = {0};
    struct sl_source source = {
        .fields = sl_slice_str(fields), .blobs = sl_slice_str("[]"), .extra = sl_slice_str("{}")};
    sl_source_encode(&source, &row);
    put(SL_TABLE_SOURCE, source_key(&key, number), sl_buf_slice(&row));
    sl_buf_deinit(&key);
    sl_buf_deinit(&row);
}

/* A collection and a job of `count` tasks, one for each of its sources. */
static void
submit(int count)
{
    struct sl_buf event = {0}, payload = {0}, key = {0};
    put(SL_TABLE_EXTRACTION, sl_slice_str("col"),
        sl_slice_str(
            "{\"extractor\":\"echo\",\"inputs\":[{\"name\":\"text\",\"path\":\"content\"}],"
            "\"passthrough\":[],\"params\":{}}"));
    struct sl_enqueue e = {.job = job, .class = SL_CLASS_CPU, .created_ms = r.now_ms};
    sl_queue_event_enqueue(&event, &e);
    for (int i = 0; i < count; i++) {
        put_source(i, "{\"content\":\"hello\"}");
        struct sl_task_payload p = {.origin = sl_slice_str("bkt"),
                                    .collection = sl_slice_str("col"),
                                    .source = source_key(&key, i)};
        sl_buf_clear(&payload);
        sl_task_payload_encode(&p, &payload);
        sl_queue_event_task(&event, sl_buf_slice(&payload));
    }
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_event(t, SL_PROJECTION_QUEUE, scope, sl_buf_slice(&event));
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
    sl_buf_deinit(&event);
    sl_buf_deinit(&payload);
    sl_buf_deinit(&key);
}

/* ---- what the others say ------------------------------------------------------------------- */

static struct sl_addr
head(void)
{
    return sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD);
}

static void
node_up(uint32_t node, uint64_t room)
{
    recorder_deliver(&r, head(), SL_M_node_up,
                     &(struct sl_m_node_up){node, room, 7, sl_slice_str("")});
}

static void
wake(void)
{
    recorder_deliver(&r, head(), SL_M_wake, &(struct sl_m_wake){0});
}

/* A lease that was sent to a node. */
struct run {
    uint32_t node;
    uint64_t task_id, epoch, is_alone;
    uint64_t first;
    char resume[8];
};

static struct run
expect_run(void)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_run_task);
    cr_assert_not_null(msg, "nothing was leased");
    const struct sl_m_run_task *m = SL_BODY(msg, run_task);
    struct run run = {msg->to.node, m->task_id, m->epoch, m->alone, m->first, ""};
    snprintf(run.resume, sizeof(run.resume), "%.*s", SL_SLICE_FMT(m->resume));
    cr_assert_eq(msg->to.actor, SL_ACTOR_AGENT);
    cr_assert_gt(m->inputs.size, 0);
    sl_msg_destroy(&msg);
    return run;
}

static void
done_part(struct run run, const char *resume)
{
    /* One output, {"text":"x"}, without a vector. */
    struct sl_buf out = {0};
    sl_buf_append_u32(&out, 1);
    sl_buf_append_block(&out, sl_slice_str("{\"text\":\"x\"}"));
    sl_buf_append_u32(&out, 0);
    struct sl_m_task_done m = {
        .task_id = run.task_id, .epoch = run.epoch, .outputs = sl_buf_slice(&out)};
    m.first = run.first;
    m.resume = sl_slice_str(resume);
    recorder_deliver(&r, sl_at(run.node, SL_ACTOR_AGENT), SL_M_task_done, &m);
    sl_buf_deinit(&out);
}

static void
done(struct run run)
{
    done_part(run, "");
}

static void
failed(struct run run, uint64_t kind, bool is_alone)
{
    struct sl_m_task_failed m = {.task_id = run.task_id,
                                 .epoch = run.epoch,
                                 .kind = kind,
                                 .signal = kind == SL_FAIL_CRASH ? 11 : 0,
                                 .alone = is_alone,
                                 .code = sl_slice_str("bad_text"),
                                 .message = sl_slice_str("why")};
    recorder_deliver(&r, sl_at(run.node, SL_ACTOR_AGENT), SL_M_task_failed, &m);
}

static struct sl_dispatcher_counts
counts(void)
{
    struct sl_dispatcher_counts c;
    sl_dispatcher_counts(r.actor, &c);
    return c;
}

static void
expect_job_ended(enum sl_job_state state, uint64_t tasks_done, uint64_t tasks_dead)
{
    struct sl_msg *ended = recorder_take(&r, SL_M_job_ended);
    struct sl_job_row row;
    struct sl_job_info info;
    struct sl_slice bytes;
    cr_assert_not_null(ended, "nobody was told");
    cr_assert_eq(SL_BODY(ended, job_ended)->scope, scope.id);
    sl_msg_destroy(&ended);
    struct sl_txn *t = sl_store_begin(store);
    cr_assert_eq(sl_txn_get(t, scope, SL_TABLE_JOB, sl_slice(job.bytes, 16), &bytes), SL_OK);
    cr_assert_eq(sl_job_row_decode(bytes, &row), SL_OK);
    cr_assert_eq(row.state, state);
    cr_assert_eq(row.done, tasks_done);
    cr_assert_eq(row.dead, tasks_dead);
    sl_txn_abort(&t);
    cr_assert_eq(sl_queue_job(queue, job, &info), SL_ENOTFOUND, "the queue forgets it");
}

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

static void
beat_for(int seconds, uint64_t in_flight)
{
    struct sl_m_node_beat beat = {.node = 2, .in_flight = in_flight};
    for (int i = 0; i < seconds; i++) {
        recorder_deliver(&r, head(), SL_M_node_beat, &beat);
        recorder_wait(&r, SL_SECOND_NS);
    }
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
