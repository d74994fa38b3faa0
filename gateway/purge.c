/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/purge.h"

#include "actors/job_row.h"
#include "actors/rows.h"
#include "gateway/passage.h"
#include "gateway/task.h"

/* Key of a garbage row, in the system's scope: scope (8 bytes), table, prefix. Value: the task. */
#define HEAD_SIZE 9

struct sl_purge
sl_purge_begin(void)
{
    return (struct sl_purge){.left = SL_ROWS_DELETE_MAX, .task_id = ""};
}

struct sl_purge
sl_purge_with_task(struct sl_call *call)
{
    struct sl_purge purge = sl_purge_begin();
    char *text = sl_call_alloc(call, 37);
    sl_random_uuid4(text);
    purge.task_id = text;
    return purge;
}

/* Delete up to `rows_max` rows; returns how many. *ret_is_more: others are left. */
static uint64_t
delete_slice(struct sl_txn *txn, struct sl_scope scope, uint8_t table, struct sl_slice prefix,
             uint64_t rows_max, bool *ret_is_more)
{
    struct sl_scan scan = {0};
    struct sl_buf keys = {0}; /* A scan and deletes do not mix: collect first. */
    uint64_t count = 0;
    sl_txn_scan(txn, scope, table, prefix, sl_slice(NULL, 0), false, &scan);
    *ret_is_more = false;
    while (!*ret_is_more && sl_scan_next(&scan)) {
        *ret_is_more = count == rows_max;
        if (*ret_is_more)
            break;
        sl_buf_append_block(&keys, scan.key);
        count++;
    }
    sl_scan_end(&scan);
    struct sl_reader r = sl_reader(sl_buf_slice(&keys));
    for (uint64_t i = 0; i < count; i++) {
        struct sl_slice key = sl_read_block(&r);
        if (table == SL_TABLE_RECORD)
            sl_txn_del(txn, scope, SL_TABLE_DOCUMENT, sl_key_part(key, 1));
        sl_txn_del(txn, scope, table, key);
    }
    sl_buf_deinit(&keys);
    return count;
}

uint64_t
sl_rows_delete_any(struct sl_txn *txn, struct sl_scope scope, uint64_t rows_max)
{
    uint64_t count = 0;
    bool is_more;
    sl_assert(scope.id != 0);
    for (unsigned table = 1; table <= UINT8_MAX && count < rows_max; table++)
        count +=
            delete_slice(txn, scope, (uint8_t)table, sl_slice(NULL, 0), rows_max - count, &is_more);
    return count;
}

static void
put_garbage(struct sl_call *call, uint8_t table, struct sl_slice prefix, const char *task_id)
{
    struct sl_buf key = {0};
    sl_buf_append_u64(&key, call->who.scope.id);
    sl_buf_append_u8(&key, table);
    sl_buf_append_slice(&key, prefix);
    sl_txn_put(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_GARBAGE, sl_buf_slice(&key),
               sl_slice_str(task_id));
    sl_buf_deinit(&key);
    call->gateway->has_garbage = true;
}

void
sl_rows_delete(struct sl_call *call, uint8_t table, struct sl_slice prefix, struct sl_purge *purge)
{
    bool is_more;
    purge->left -= delete_slice(call->txn, call->who.scope, table, prefix, purge->left, &is_more);
    if (!is_more)
        return;
    purge->is_more = true;
    put_garbage(call, table, prefix, purge->task_id);
}

const char *
sl_purge_task(struct sl_call *call, const struct sl_purge *purge, const char *kind,
              const char *about)
{
    struct sl_job_row row = {.state = purge->is_more ? SL_JOB_RUNNING : SL_JOB_SUCCEEDED,
                             .created_ms = call->now_ms,
                             .started_ms = call->now_ms,
                             .ended_ms = purge->is_more ? 0 : call->now_ms,
                             .total = 1,
                             .done = !purge->is_more,
                             .kind = sl_slice_str(kind),
                             .about = sl_slice_str(about)};
    struct sl_job_id id;
    struct sl_buf value = {0};
    if (SL_BUG(sl_job_id_parse(sl_slice_str(purge->task_id), &id) != SL_OK))
        return sl_task_status(row.state);
    sl_job_row_encode(&row, &value);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_JOB, sl_slice(id.bytes, sizeof(id.bytes)),
               sl_buf_slice(&value));
    sl_buf_deinit(&value);
    return sl_task_status(row.state);
}

/* ---- slices -------------------------------------------------------------------------------- */

/* Is `task` named by a garbage row other than `key`? */
static bool
is_task_open(struct sl_txn *txn, struct sl_slice key, struct sl_slice task)
{
    struct sl_scan scan = {0};
    bool is_open = false;
    sl_txn_scan(txn, SL_SCOPE_SYSTEM, SL_TABLE_GARBAGE, sl_slice(key.data, 8), sl_slice(NULL, 0),
                false, &scan);
    while (!is_open && sl_scan_next(&scan))
        is_open = !sl_slice_equal(scan.key, key) && sl_slice_equal(scan.value, task);
    sl_scan_end(&scan);
    return is_open;
}

static void
end_task(struct sl_txn *txn, struct sl_scope scope, struct sl_slice task, uint64_t now_ms)
{
    struct sl_job_id id;
    struct sl_job_row row;
    struct sl_slice value;
    struct sl_buf copy = {0}, out = {0};
    if (sl_job_id_parse(task, &id) != SL_OK)
        return;
    struct sl_slice key = sl_slice(id.bytes, sizeof(id.bytes));
    if (sl_txn_get(txn, scope, SL_TABLE_JOB, key, &value) != SL_OK)
        return;
    sl_buf_append_slice(&copy, value);
    if (sl_job_row_decode(sl_buf_slice(&copy), &row) == SL_OK && row.ended_ms == 0) {
        row.state = SL_JOB_SUCCEEDED;
        row.ended_ms = now_ms;
        row.done = row.total;
        sl_job_row_encode(&row, &out);
        sl_txn_put(txn, scope, SL_TABLE_JOB, key, sl_buf_slice(&out));
    }
    sl_buf_deinit(&copy);
    sl_buf_deinit(&out);
}

/* One slice of one garbage row. */
static enum sl_err
purge_row(struct sl_gateway *g, uint64_t now_ms, uint32_t rows_max, struct sl_slice key,
          struct sl_slice task)
{
    struct sl_reader r = sl_reader(key);
    struct sl_scope scope = {sl_read_u64(&r)};
    uint8_t table = sl_read_u8(&r);
    struct sl_txn *txn = sl_store_begin(g->store);
    bool is_more = false;
    if (!SL_BUG(r.is_bad || key.size <= HEAD_SIZE)) {
        struct sl_slice prefix = sl_slice(key.data + HEAD_SIZE, key.size - HEAD_SIZE);
        delete_slice(txn, scope, table, prefix, rows_max, &is_more);
    }
    if (!is_more) {
        if (task.size > 0 && !is_task_open(txn, key, task))
            end_task(txn, scope, task, now_ms);
        sl_txn_del(txn, SL_SCOPE_SYSTEM, SL_TABLE_GARBAGE, key);
    }
    enum sl_err err = sl_txn_commit(&txn);
    if (txn != NULL)
        sl_txn_abort(&txn);
    if (err == SL_OK && table == SL_TABLE_MODEL) { /* Gateways may know of what was just deleted. */
        g->is_touched = true;
        g->touched.id = 0;
    }
    return err;
}

enum sl_err
sl_purge_step(struct sl_gateway *g, uint64_t now_ms, uint32_t rows_max, bool *ret_is_more)
{
    struct sl_scan scan = {0};
    struct sl_buf key = {0}, task = {0};
    bool is_passing = false;
    enum sl_err passed = sl_passage_any(g, now_ms, &is_passing);
    struct sl_txn *txn = sl_store_begin(g->store);
    sl_txn_scan(txn, SL_SCOPE_SYSTEM, SL_TABLE_GARBAGE, sl_slice(NULL, 0), sl_slice(NULL, 0), false,
                &scan);
    bool is_found = sl_scan_next(&scan);
    if (is_found) {
        sl_buf_append_slice(&key, scan.key);
        sl_buf_append_slice(&task, scan.value);
    }
    sl_scan_end(&scan);
    sl_txn_abort(&txn);
    enum sl_err err = SL_OK;
    if (is_found)
        err = purge_row(g, now_ms, rows_max, sl_buf_slice(&key), sl_buf_slice(&task));
    *ret_is_more = is_found || is_passing;
    sl_buf_deinit(&key);
    sl_buf_deinit(&task);
    return passed != SL_OK ? passed : err;
}
