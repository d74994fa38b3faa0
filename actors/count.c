/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/count.h"

#include "actors/rows.h"
#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/store_record.h"

void
sl_count_add(struct sl_txn *t, struct sl_counter counter, int64_t delta)
{
    struct sl_buf key = {0};
    if (delta != 0)
        sl_txn_add(t, counter.scope, SL_TABLE_COUNT, sl_key(&key, 2, counter.what, counter.parent),
                   delta);
    sl_buf_deinit(&key);
}

int64_t
sl_count(struct sl_txn *t, struct sl_counter counter)
{
    struct sl_buf key = {0};
    int64_t count = sl_txn_counter(t, counter.scope, SL_TABLE_COUNT,
                                   sl_key(&key, 2, counter.what, counter.parent));
    sl_buf_deinit(&key);
    return count;
}

int64_t
sl_count_sum(struct sl_txn *t, struct sl_scope scope, const char *what)
{
    struct sl_buf prefix = {0};
    struct sl_scan scan;
    int64_t sum = 0;
    sl_txn_scan(t, scope, SL_TABLE_COUNT, sl_key_prefix(&prefix, 1, what), (struct sl_slice){0},
                false, &scan);
    while (sl_scan_next(&scan)) {
        int64_t count = 0;
        if (!SL_BUG(sl_counter_decode(scan.value, &count) != SL_OK))
            sum += count;
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    return sum;
}

void
sl_count_raise(struct sl_txn *t, struct sl_counter counter, int64_t value)
{
    int64_t now = sl_count(t, counter);
    if (value > now)
        sl_count_add(t, counter, value - now);
}

const char *
sl_count_of_job(enum sl_job_state state)
{
    if (state == SL_JOB_SUCCEEDED || state == SL_JOB_PARTIAL)
        return SL_COUNT_JOBS_DONE;
    return state == SL_JOB_FAILED ? SL_COUNT_JOBS_FAILED : SL_COUNT_JOBS_CANCELED;
}

void
sl_count_job_end(struct sl_txn *t, struct sl_scope scope, struct sl_slice about,
                 enum sl_job_state state)
{
    struct sl_json_doc *doc = NULL;
    if (about.size == 0 || sl_json_parse(about, &doc, NULL) != SL_OK)
        return;
    char *parent = sl_json_strdup(sl_json_member(sl_json_root(doc), "counted_under"));
    sl_json_destroy(&doc);
    if (parent == NULL)
        return;
    sl_count_add(
        t, (struct sl_counter){.scope = scope, .what = sl_count_of_job(state), .parent = parent},
        1);
    sl_free(parent);
}

void
sl_count_forget(struct sl_txn *t, struct sl_counter counter)
{
    struct sl_buf key = {0};
    sl_txn_del(t, counter.scope, SL_TABLE_COUNT, sl_key(&key, 2, counter.what, counter.parent));
    sl_buf_deinit(&key);
}
