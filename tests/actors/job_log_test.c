/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/job_log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/job_row.h"
#include "actors/rows.h"
#include "runtime/alloc.h"

static const struct sl_scope scope = {7};
static const struct sl_job_id job = {{1, 2, 3}};
static char directory[32];
static struct sl_store *store;

static void
setup(void)
{
    (void)snprintf(directory, sizeof(directory), "/tmp/sl-job-log-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    struct sl_store_options options = {.directory = directory, .is_sync_off = true};
    cr_assert_eq(sl_store_open(&options, &store), SL_OK);
}

static void
teardown(void)
{
    sl_store_close(&store);
    char *command = sl_format("rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

TestSuite(job_log, .init = setup, .fini = teardown);

static void
add(uint64_t now_ms, const char *line)
{
    struct sl_txn *txn = sl_store_begin(store);
    sl_job_log_add(txn, scope, job, now_ms, line);
    if (sl_txn_is_empty(txn))
        sl_txn_abort(&txn);
    else
        cr_assert_eq(sl_txn_commit(&txn), SL_OK);
}

/* Read the log; its lines are counted, the last one is kept. */
static uint32_t
read_all(struct sl_buf *last, uint64_t *ret_ms, bool *ret_is_truncated)
{
    char text[37];
    uint32_t count = 0;
    struct sl_slice value, line;
    struct sl_job_log log;
    sl_job_id_format(job, text);
    struct sl_txn *txn = sl_store_begin(store);
    cr_assert_eq(sl_txn_get(txn, scope, SL_TABLE_JOB_LOG, sl_slice_str(text), &value), SL_OK);
    cr_assert_eq(sl_job_log_decode(value, &log), SL_OK);
    while (sl_job_log_next(&log, ret_ms, &line)) {
        count++;
        sl_buf_clear(last);
        sl_buf_append_slice(last, line);
    }
    *ret_is_truncated = log.is_truncated;
    sl_txn_abort(&txn);
    return count;
}

Test(job_log, keeps_lines_in_order)
{
    struct sl_buf last = {0};
    uint64_t ms;
    bool is_truncated;
    add(10, "one");
    add(20, "two");
    cr_assert_eq(read_all(&last, &ms, &is_truncated), 2);
    cr_assert(sl_slice_is(sl_buf_slice(&last), "two"));
    cr_assert_eq(ms, 20);
    cr_assert_not(is_truncated);
    sl_buf_deinit(&last);
}

Test(job_log, is_full_at_some_time_and_says_so)
{
    struct sl_buf last = {0};
    uint64_t ms;
    bool is_truncated;
    for (uint32_t i = 1; i <= SL_JOB_LOG_LINES; i++)
        add(i, "line");
    cr_assert_eq(read_all(&last, &ms, &is_truncated), SL_JOB_LOG_LINES);
    cr_assert_not(is_truncated);
    for (uint32_t i = 0; i < 3; i++)
        add(1000 + i, "too much");
    cr_assert_eq(read_all(&last, &ms, &is_truncated), SL_JOB_LOG_LINES);
    cr_assert(is_truncated);
    cr_assert_eq(ms, SL_JOB_LOG_LINES);
    sl_buf_deinit(&last);
}

Test(job_log, cuts_a_long_line_between_characters)
{
    char line[2 * SL_JOB_LOG_LINE_SIZE];
    struct sl_buf last = {0};
    uint64_t ms;
    bool is_truncated;
    line[0] = 'x';
    for (size_t i = 1; i + 1 < sizeof(line); i += 2)
        memcpy(line + i, "\xc3\xa4", 2);
    line[sizeof(line) - 1] = '\0';
    add(1, line);
    cr_assert_eq(read_all(&last, &ms, &is_truncated), 1);
    cr_assert_eq(last.size, SL_JOB_LOG_LINE_SIZE - 1);
    sl_buf_deinit(&last);
}

Test(job_log, refuses_what_is_no_log)
{
    struct sl_job_log log;
    cr_assert_eq(sl_job_log_decode(sl_slice_str(""), &log), SL_ECORRUPT);
    cr_assert_eq(sl_job_log_decode(sl_slice_str("\x09zz"), &log), SL_ECORRUPT);
    cr_assert_eq(sl_job_log_decode(sl_slice_str("\x01"), &log), SL_ECORRUPT);
    struct sl_slice line;
    uint64_t ms;
    cr_assert_eq(sl_job_log_decode(sl_slice("\x01\x01\0\x05", 4), &log), SL_OK);
    cr_assert_not(sl_job_log_next(&log, &ms, &line), "a line that is cut off is none");
}
