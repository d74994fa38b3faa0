/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs of a tenant's own queues, one by one: seen, cancelled, tried again, edited, removed. */
#include "gateway/gateway.h"
#include "gateway/own/queue.h"
#include "gateway/resource.h"
#include "gateway/stock.h"
#include "runtime/time.h"

static uint64_t
number(struct sl_json object, const char *name)
{
    uint64_t value;
    return sl_json_u64(sl_json_member(object, name), &value) == SL_OK ? value : 0;
}

/* Milliseconds from now, of NAME_ms or of the time `at`; the past is now. */
static bool
read_delay(struct sl_call *call, struct sl_json job, const char *name, const char *at,
           uint64_t *ret_ms)
{
    struct sl_json time = sl_json_member(job, at);
    uint64_t wall_ms;
    *ret_ms = number(job, name);
    if (!sl_json_has(time))
        return true;
    if (sl_json_has(sl_json_member(job, name)) ||
        sl_time_parse(sl_call_text(call, time), &wall_ms) != SL_OK)
        return false;
    *ret_ms = wall_ms <= call->now_ms ? 0 : wall_ms - call->now_ms;
    return true;
}

sl_handler_fn sl_api_get_own_job, sl_api_cancel_own_job, sl_api_retry_own_job, sl_api_edit_own_job,
    sl_api_delete_own_job;

void
sl_api_get_own_job(struct sl_call *call)
{
    struct sl_task_info info;
    struct sl_store_backend b;
    if (!sl_own_find_job(call, &info))
        return;
    sl_own_backend(call, &b);
    struct sl_own_view view = {.backend = &b.backend, .info = &info, .has_bytes = true};
    sl_own_write_job(call, &view, &call->out);
    sl_store_backend_deinit(&b);
}

/* What an order asks of the state, for its refusal. */
static const char *
why_not(struct sl_call *call, enum sl_order order, enum sl_state state)
{
    static const char *const wanted[] = {[SL_ORDER_CANCEL] = "has ended",
                                         [SL_ORDER_REDRIVE] = "has not failed",
                                         [SL_ORDER_EDIT] = "does not wait",
                                         [SL_ORDER_FORGET] = "has not ended"};
    return sl_call_format(call, "the job %s: it is %s", wanted[order], sl_state_name(state));
}

static void
order(struct sl_call *call, enum sl_order what, const struct sl_order_edit *edit)
{
    struct sl_task_info info;
    struct sl_store_backend b;
    if (!sl_own_find_job(call, &info))
        return;
    const char *id = sl_own_job_id(call, info.id);
    sl_own_backend(call, &b);
    enum sl_err err =
        b.backend.ops->order(&b.backend, sl_own_when(call), info.scope, info.id, what, edit);
    sl_store_backend_deinit(&b);
    if (err == SL_EBUSY) {
        sl_call_fail(call, SL_API_CONFLICT, "%s", why_not(call, what, info.state));
        sl_call_detail(call, "state", sl_state_name(info.state));
    } else if (err != SL_OK) {
        sl_own_fail(call, err, "the job");
    } else {
        static const char *const done[] = {[SL_ORDER_CANCEL] = "the job is cancelled",
                                           [SL_ORDER_REDRIVE] = "the job begins again",
                                           [SL_ORDER_EDIT] = "the job is changed",
                                           [SL_ORDER_FORGET] = "the job is removed"};
        sl_jsonw_object(&call->out);
        sl_jsonw_member_str(&call->out, "job_id", id);
        sl_jsonw_member_str(&call->out, "message", done[what]);
        sl_jsonw_member_bool(&call->out, "success", true);
        sl_jsonw_end(&call->out);
        sl_own_wake(call);
    }
}

void
sl_api_cancel_own_job(struct sl_call *call)
{
    order(call, SL_ORDER_CANCEL, NULL);
}

void
sl_api_delete_own_job(struct sl_call *call)
{
    order(call, SL_ORDER_FORGET, NULL);
}

/* What a body says of priority, time and payload. False: the call has failed. */
static bool
read_edit(struct sl_call *call, struct sl_order_edit *edit)
{
    const char *why = NULL;
    bool has_priority = sl_json_has(sl_json_member(call->body, "priority"));
    *edit =
        (struct sl_order_edit){.priority = has_priority ? (int)number(call->body, "priority") : -1};
    if (!sl_own_read_bytes(call, call->body, "payload", &edit->payload, &why))
        sl_call_invalid(call, "body.payload", "value_error", "%s", why);
    else if (!read_delay(call, call->body, "delay_ms", "eta", &edit->delay_ms))
        sl_call_invalid(call, "body.eta", "value_error", "delay_ms and eta exclude each other");
    else
        return true;
    return false;
}

void
sl_api_retry_own_job(struct sl_call *call)
{
    struct sl_order_edit edit;
    if (read_edit(call, &edit) && sl_stock_take(call, SL_LIMIT_max_queued_jobs, 1))
        order(call, SL_ORDER_REDRIVE, &edit);
}

/* An edit says when the job is due: what the body leaves open stays as it is. */
void
sl_api_edit_own_job(struct sl_call *call)
{
    struct sl_task_info info;
    struct sl_order_edit edit;
    if (!sl_own_find_job(call, &info) || !read_edit(call, &edit))
        return;
    bool is_timed = sl_json_has(sl_json_member(call->body, "delay_ms")) ||
                    sl_json_has(sl_json_member(call->body, "eta"));
    if (!is_timed && info.time_ms > call->now_ms)
        edit.delay_ms = info.time_ms - call->now_ms;
    order(call, SL_ORDER_EDIT, &edit);
}
