/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The failed jobs of one queue of a tenant's own, for the tenant and for the operator: listed by
 * pages, and begun again. A call begins at most so many; the cursor says where to go on.
 */
#include <inttypes.h>

#include "gateway/cluster.h"
#include "gateway/gateway.h"
#include "gateway/own/queue.h"
#include "gateway/resource.h"
#include "gateway/stock.h"
#include "queue/look.h"

#define PAGE_MAX  200
#define SLOTS_MAX 50000 /* Tasks that one call looks at. */
#define ONES_MAX  1000  /* Jobs that one call begins again. */

/* The queue's failed jobs from a place on. False: the call has failed. */
static bool
begin(struct sl_call *call, struct sl_list *list, struct sl_task_scan *scan)
{
    struct sl_queue_depth depth;
    if (!sl_cluster_queue(call, &depth))
        return false;
    if (depth.class != SL_CLASS_OWN) {
        sl_call_fail(call, SL_API_CONFLICT,
                     "what failed of a batch is begun again with POST "
                     "/v1/buckets/{bucket}/batches/{batch}/retry");
        return false;
    }
    *scan = (struct sl_task_scan){.scope = depth.scope,
                                  .class = SL_CLASS_OWN,
                                  .lane = sl_lane_hash(depth.name),
                                  .states = SL_IN(DEAD) | SL_IN(QUARANTINED),
                                  .at = sl_list_start(list)};
    return true;
}

static void
end_page(struct sl_call *call, struct sl_list *list, uint32_t at)
{
    sl_cursor_encode(sl_slice_str(sl_call_format(call, "%" PRIu32, at)), (struct sl_slice){0},
                     &list->next_cursor);
}

static void
write_page(struct sl_call *call, struct sl_list *list, struct sl_task_scan *scan)
{
    struct sl_task_info info;
    struct sl_store_backend b;
    struct sl_jsonw w;
    bool is_end = false;
    sl_own_backend(call, &b);
    sl_jsonw_init(&w, &list->rows);
    sl_jsonw_array(&w);
    for (uint32_t looked = 0; looked < SLOTS_MAX && list->count < list->limit;
         looked += scan->looked) {
        if (!sl_queue_scan(call->gateway->queue, scan, SLOTS_MAX - looked, &info, &is_end))
            break;
        struct sl_own_view view = {&b.backend, &info, false};
        sl_own_write_job(call, &view, &w);
        list->count++;
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_store_backend_deinit(&b);
    if (!is_end)
        end_page(call, list, scan->at);
}

sl_handler_fn sl_api_list_dead, sl_api_redrive_dead;

void
sl_api_list_dead(struct sl_call *call)
{
    struct sl_list list;
    struct sl_task_scan scan;
    if (!sl_list_begin(call, PAGE_MAX / 2, &list))
        return;
    list.limit = SL_MIN(list.limit, (uint32_t)PAGE_MAX);
    if (begin(call, &list, &scan)) {
        write_page(call, &list, &scan);
        sl_cluster_reply(call, &list);
    } else {
        sl_list_end(&list);
    }
}

/* ---- again --------------------------------------------------------------------------------- */

struct again {
    struct sl_store_backend backend;
    uint64_t count;
    enum sl_err err;
};

static void
redrive(struct sl_call *call, struct again *a, const struct sl_task_info *info)
{
    struct sl_backend *b = &a->backend.backend;
    a->err = b->ops->order(b, sl_own_when(call), info->scope, info->id, SL_ORDER_REDRIVE, NULL);
    a->count += a->err == SL_OK;
}

static bool
has(const uint64_t *ids, uint64_t count, uint64_t id)
{
    for (uint64_t i = 0; i < count; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

/* Those of a list that have failed in this queue; others are none of its business. One that is
 * named twice begins once: the queue knows of the first time only after the commit. */
static void
redrive_named(struct sl_call *call, struct again *a, const struct sl_task_scan *scan,
              struct sl_json ids)
{
    struct sl_task_info info;
    uint64_t *begun = sl_call_alloc(call, (sl_json_count(ids) + 1) * sizeof(*begun)), id;
    for (struct sl_json_iter i = sl_json_iter(ids); a->err == SL_OK && sl_json_next(&i);) {
        if (!sl_own_parse_id(sl_call_text(call, i.value), &id) ||
            sl_queue_task(call->gateway->queue, scan->scope, id, &info) != SL_OK ||
            has(begun, a->count, id) || sl_lane_hash(info.lane) != scan->lane ||
            (scan->states >> info.state & 1) == 0)
            continue;
        begun[a->count] = id;
        redrive(call, a, &info);
    }
}

/* False: there may be more. */
static bool
redrive_all(struct sl_call *call, struct again *a, struct sl_task_scan *scan)
{
    struct sl_task_info info;
    bool is_end = false;
    for (uint32_t looked = 0; a->err == SL_OK && looked < SLOTS_MAX && a->count < ONES_MAX;
         looked += scan->looked) {
        if (!sl_queue_scan(call->gateway->queue, scan, SLOTS_MAX - looked, &info, &is_end))
            break;
        redrive(call, a, &info);
    }
    return is_end;
}

void
sl_api_redrive_dead(struct sl_call *call)
{
    struct sl_list list;
    struct sl_task_scan scan;
    struct again again = {.err = SL_OK};
    struct sl_json ids = sl_json_member(call->body, "job_ids");
    bool is_all = sl_json_bool(sl_json_member(call->body, "all"), false), is_end = true;
    if (is_all == sl_json_has(ids)) {
        sl_call_invalid(call, "body", "value_error", "either job_ids, or all: true");
        return;
    }
    if (!sl_list_begin(call, PAGE_MAX, &list))
        return;
    if (!begin(call, &list, &scan)) {
        sl_list_end(&list);
        return;
    }
    sl_own_backend(call, &again.backend);
    if (is_all)
        is_end = redrive_all(call, &again, &scan);
    else
        redrive_named(call, &again, &scan, ids);
    sl_store_backend_deinit(&again.backend);
    if (again.err != SL_OK) {
        sl_own_fail(call, again.err, "a job");
    } else if (sl_stock_take(call, SL_LIMIT_max_queued_jobs, again.count)) {
        if (!is_end)
            end_page(call, &list, scan.at);
        sl_jsonw_object(&call->out);
        sl_jsonw_member_u64(&call->out, "redriven", again.count);
        sl_jsonw_name(&call->out, "next_cursor");
        if (is_end)
            sl_jsonw_null(&call->out);
        else
            sl_jsonw_slice(&call->out, sl_buf_slice(&list.next_cursor));
        sl_jsonw_end(&call->out);
        sl_own_wake(call);
    }
    sl_list_end(&list);
}
