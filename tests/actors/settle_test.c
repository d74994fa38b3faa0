/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/settle.h"
#include "actors/queue_projection.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/count.h"
#include "actors/job_row.h"
#include "actors/journal.h"
#include "actors/rows.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

static const struct sl_scope scope = {3};
static const struct sl_job_id job = {{1, 2, 3}};

static char path[64];
static struct sl_store *store;
static struct sl_queue *queue;

static void
setup(void)
{
    sl_report_level_set(SL_REPORT_ERROR);
    snprintf(path, sizeof(path), "/tmp/sluice-settle-XXXXXX");
    cr_assert_not_null(mkdtemp(path));
    queue = sl_queue_create();
    struct sl_projection projection = sl_queue_projection(queue);
    struct sl_store_options options = {
        .directory = path, .projections = &projection, .projections_count = 1, .is_sync_off = true};
    cr_assert_eq(sl_store_open(&options, &store), SL_OK);
}

static void
finish(void)
{
    sl_store_close(&store);
    sl_queue_destroy(&queue);
    char *command = sl_format("rm -rf %s", path);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

TestSuite(settle, .init = setup, .fini = finish, .timeout = 60);

/* Settle a job whose row is `before` at 900 ms; the row after it. */
static struct sl_job_row
settle(const struct sl_job_row *before, enum sl_job_state state)
{
    struct sl_buf row = {0};
    struct sl_slice key = sl_slice(job.bytes, sizeof(job.bytes)), value;
    struct sl_job_row after;
    struct sl_txn *txn = sl_store_begin(store);
    sl_job_row_encode(before, &row);
    sl_txn_put(txn, scope, SL_TABLE_JOB, key, sl_buf_slice(&row));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    sl_buf_deinit(&row);

    struct sl_settle s = {.store = store, .now_ms = 900};
    struct sl_job_info info = {.id = job,
                               .scope = scope,
                               .state = state,
                               .total = 10,
                               .done = 4,
                               .canceled = 6,
                               .started_ms = 200};
    struct sl_job_id next;
    bool has_next;
    cr_assert_eq(sl_settle_job(&s, &info, &next, &has_next), SL_OK);
    txn = sl_store_begin(store);
    cr_assert_eq(sl_txn_get(txn, scope, SL_TABLE_JOB, key, &value), SL_OK);
    cr_assert_eq(sl_job_row_decode(value, &after), SL_OK);
    after.kind = after.about = after.error = (struct sl_slice){0}; /* They end with the read. */
    sl_txn_abort(&txn);
    return after;
}

Test(settle, a_canceled_job_keeps_the_time_it_was_canceled_at_and_takes_the_queues_counts)
{
    struct sl_job_row after = settle(&(struct sl_job_row){.state = SL_JOB_CANCELED,
                                                          .created_ms = 100,
                                                          .ended_ms = 500,
                                                          .total = 10,
                                                          .done = 2,
                                                          .canceled = 8},
                                     SL_JOB_CANCELED);
    cr_assert_eq(after.ended_ms, 500);
    cr_assert_eq(after.created_ms, 100);
    cr_assert_eq(after.done, 4);
    cr_assert_eq(after.canceled, 6);
}

Test(settle, any_other_job_ends_now)
{
    struct sl_job_row after =
        settle(&(struct sl_job_row){.state = SL_JOB_PENDING, .created_ms = 100}, SL_JOB_SUCCEEDED);
    cr_assert_eq(after.ended_ms, 900);
    after = settle(&(struct sl_job_row){.state = SL_JOB_PENDING, .ended_ms = 0}, SL_JOB_CANCELED);
    cr_assert_eq(after.ended_ms, 900);
}

static int64_t
counted(const char *what, const char *parent)
{
    struct sl_txn *txn = sl_store_begin(store);
    int64_t count =
        sl_count(txn, (struct sl_counter){.scope = scope, .what = what, .parent = parent});
    sl_txn_abort(&txn);
    return count;
}

Test(settle, an_ended_job_is_counted_under_what_its_row_names)
{
    struct sl_job_row before = {.state = SL_JOB_PENDING,
                                .about = sl_slice_str("{\"counted_under\":\"bkt_1\"}")};
    settle(&before, SL_JOB_PARTIAL);
    settle(&before, SL_JOB_SUCCEEDED);
    settle(&before, SL_JOB_FAILED);
    settle(&before, SL_JOB_CANCELED);
    cr_assert_eq(counted(SL_COUNT_JOBS_DONE, "bkt_1"), 2);
    cr_assert_eq(counted(SL_COUNT_JOBS_FAILED, "bkt_1"), 1);
    cr_assert_eq(counted(SL_COUNT_JOBS_CANCELED, "bkt_1"), 1);
    before.about = sl_slice_str("not json");
    settle(&before, SL_JOB_SUCCEEDED);
    cr_assert_eq(counted(SL_COUNT_JOBS_DONE, "bkt_1"), 2);
}

/* The text of the tenant's events, in their order. Owned. */
static char *
events_of_tenant(void)
{
    struct sl_buf text = {0};
    struct sl_scan scan;
    struct sl_journal_row row;
    struct sl_txn *txn = sl_store_begin(store);
    sl_txn_scan(txn, scope, SL_TABLE_EVENT, sl_journal_prefix(), sl_slice(NULL, 0), false, &scan);
    while (sl_scan_next(&scan)) {
        cr_assert(sl_journal_read(scan.key, scan.value, &row));
        sl_buf_append_slice(&text, row.json);
    }
    sl_scan_end(&scan);
    sl_txn_abort(&txn);
    char *owned = sl_strdup(sl_buf_text(&text));
    sl_buf_deinit(&text);
    return owned;
}

Test(settle, a_job_with_tasks_that_failed_for_good_is_an_event_with_the_trace_of_its_request)
{
    struct sl_job_row before = {.state = SL_JOB_PENDING,
                                .about = sl_slice_str("{\"traceparent\":\"00-a-b-01\"}")};
    settle(&before, SL_JOB_SUCCEEDED);
    settle(&before, SL_JOB_CANCELED);
    char *text = events_of_tenant();
    cr_expect_str_eq(text, "");
    sl_free(text);
    settle(&before, SL_JOB_FAILED);
    text = events_of_tenant();
    cr_expect_not_null(strstr(text, "\"kind\":\"job_failed\""), "%s", text);
    cr_expect_not_null(strstr(text, "\"total\":10,\"done\":4"), "%s", text);
    cr_expect_not_null(strstr(text, "\"traceparent\":\"00-a-b-01\""), "%s", text);
    sl_free(text);
}
