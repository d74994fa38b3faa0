/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/stock.h"

#include "actors/count.h"
#include "actors/rows.h"
#include "gateway/gateway.h"
#include "gateway/limits.h"

static uint64_t
count_rows(struct sl_call *call, struct sl_scope scope, uint8_t table)
{
    struct sl_scan scan;
    uint64_t count = 0;
    sl_txn_scan(call->txn, scope, table, (struct sl_slice){0}, (struct sl_slice){0}, false, &scan);
    while (sl_scan_next(&scan))
        count++;
    sl_scan_end(&scan);
    return count;
}

static uint64_t
count_tasks(const struct sl_call *call, struct sl_scope scope)
{
    struct sl_queue_depth d;
    uint64_t count = 0;
    uint32_t at = 0;
    const struct sl_queue *queue = call->gateway->queue;
    while (queue != NULL && sl_queue_depth_next(queue, scope, &at, &d))
        count += sl_queue_depth_unfinished(&d);
    return count;
}

static uint64_t
count_sum(struct sl_call *call, struct sl_scope scope, const char *what)
{
    int64_t sum = sl_count_sum(call->txn, scope, what);
    return sum < 0 ? 0 : (uint64_t)sum;
}

uint64_t
sl_stock_count(struct sl_call *call, struct sl_scope scope, enum sl_limit limit)
{
    switch ((int)limit) {
    case SL_LIMIT_max_storage_gb:
        return count_sum(call, scope, SL_COUNT_BYTES);
    case SL_LIMIT_max_embeddings:
        return count_sum(call, scope, SL_COUNT_RECORDS);
    case SL_LIMIT_max_models:
        return count_rows(call, scope, SL_TABLE_MODEL);
    case SL_LIMIT_max_routes:
        return count_rows(call, scope, SL_TABLE_RETRIEVER);
    case SL_LIMIT_max_queued_jobs:
        return count_tasks(call, scope);
    default:
        return 0;
    }
}

bool
sl_stock_take(struct sl_call *call, enum sl_limit limit, uint64_t amount)
{
    sl_assert(sl_limit_is_stock(limit));
    if (amount == 0 || !sl_limits_concern(call))
        return true;
    uint64_t *taken = &call->used.taken[limit], max = sl_limits_of(call, &call->who)->max[limit];
    *taken += amount;
    if (max == 0)
        return true;
    struct sl_limit_verdict v = {
        .limit = limit, .max = max, .used = sl_stock_count(call, call->who.scope, limit)};
    if (v.used <= max && *taken <= max - v.used)
        return true;
    sl_limits_refuse(call, &v, sl_limit_name(limit));
    return false;
}

void
sl_stock_tell_tasks(struct sl_call *call, const struct sl_identity *tenant)
{
    struct sl_counter most = {
        .scope = tenant->scope, .what = SL_COUNT_MAX, .parent = SL_COUNT_RECORDS};
    int64_t max = (int64_t)sl_limits_of(call, tenant)->max[SL_LIMIT_max_embeddings];
    int64_t told = sl_count(call->txn, most);
    if (told != max)
        sl_count_add(call->txn, most, max - told);
}
