/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/job_log.h"

#include <assert.h>

#include "actors/job_row.h"
#include "actors/rows.h"

#define JOB_LOG_VERSION 1
#define HEAD_SIZE       3 /* version u8 | count u8 | is_truncated u8 | each: ms u64, block */

static_assert(SL_JOB_LOG_LINES <= UINT8_MAX, "the count is one byte");

/* Do not cut a UTF-8 sequence. */
static size_t
cut(const char *line)
{
    size_t size = strlen(line);
    if (size <= SL_JOB_LOG_LINE_SIZE)
        return size;
    size = SL_JOB_LOG_LINE_SIZE;
    while (size > 0 && ((uint8_t)line[size] & 0xc0) == 0x80)
        size--;
    return size;
}

void
sl_job_log_add(struct sl_txn *txn, struct sl_scope scope, struct sl_job_id job, uint64_t now_ms,
               const char *line)
{
    char text[37];
    struct sl_slice value;
    struct sl_buf row = {0};
    sl_job_id_format(job, text);
    struct sl_slice key = sl_slice_str(text);
    if (sl_txn_get(txn, scope, SL_TABLE_JOB_LOG, key, &value) == SL_OK && value.size >= HEAD_SIZE) {
        if (value.data[2] != 0)
            return; /* Full, and it says so. */
        sl_buf_append_slice(&row, value);
    } else {
        sl_buf_append_u8(&row, JOB_LOG_VERSION);
        sl_buf_append_u8(&row, 0);
        sl_buf_append_u8(&row, 0);
    }
    if (row.data[1] < SL_JOB_LOG_LINES) {
        row.data[1]++;
        sl_buf_append_u64(&row, now_ms);
        sl_buf_append_block(&row, sl_slice(line, cut(line)));
    } else {
        row.data[2] = 1;
    }
    sl_txn_put(txn, scope, SL_TABLE_JOB_LOG, key, sl_buf_slice(&row));
    sl_buf_deinit(&row);
}

enum sl_err
sl_job_log_decode(struct sl_slice value, struct sl_job_log *ret_log)
{
    struct sl_job_log log = {.lines = sl_reader(value)};
    if (sl_read_u8(&log.lines) != JOB_LOG_VERSION)
        return SL_ECORRUPT;
    (void)sl_read_u8(&log.lines);
    log.is_truncated = sl_read_u8(&log.lines) != 0;
    if (log.lines.is_bad)
        return SL_ECORRUPT;
    *ret_log = log;
    return SL_OK;
}

bool
sl_job_log_next(struct sl_job_log *log, uint64_t *ret_ms, struct sl_slice *ret_line)
{
    if (log->lines.is_bad || sl_reader_is_done(&log->lines))
        return false;
    *ret_ms = sl_read_u64(&log->lines);
    *ret_line = sl_read_block(&log->lines);
    return !log->lines.is_bad;
}
