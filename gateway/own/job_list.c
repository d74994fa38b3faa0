/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs of a tenant's own queue by a filter: listed, cancelled, tried again, removed. One call looks
 * at a bounded number of tasks, so a page may be short, or empty, and still have a next one.
 */
#include <inttypes.h>

#include "gateway/gateway.h"
#include "gateway/list.h"
#include "gateway/own/queue.h"
#include "gateway/resource.h"
#include "gateway/stock.h"

#define PEEK_MAX 100

struct filter {
    uint32_t states; /* SL_IN bits; 0: all. */
    uint64_t older_ms, newer_ms;
    uint64_t attempts_min;
    struct sl_slice error; /* Within its text; empty: any. */
};

struct walk {
    struct sl_call *call;
    struct sl_store_backend backend;
    struct sl_task_scan scan;
    struct filter filter;
    uint32_t looked;
    bool is_end;
};

/* ---- filters ------------------------------------------------------------------------------- */

/* "dead", or several: "dead,quarantined". False: the call has failed. */
static bool
read_states(struct sl_call *call, struct sl_slice text, const char *loc, uint32_t *ret_states)
{
    *ret_states = 0;
    while (text.size > 0) {
        const uint8_t *comma = memchr(text.data, ',', text.size);
        size_t size = comma == NULL ? text.size : (size_t)(comma - text.data);
        enum sl_state state = sl_state_parse(sl_slice(text.data, size));
        if (state == SL_STATE_COUNT || state == SL_STATE_NONE) {
            sl_call_invalid(call, loc, "enum", "there is no state %.*s", (int)size,
                            (const char *)text.data);
            return false;
        }
        *ret_states |= UINT32_C(1) << state;
        size += comma != NULL;
        text = sl_slice(text.data + size, text.size - size);
    }
    return true;
}

static uint64_t
number(struct sl_json object, const char *name)
{
    uint64_t value;
    return sl_json_u64(sl_json_member(object, name), &value) == SL_OK ? value : 0;
}

static bool
read_where(struct sl_call *call, struct sl_json where, struct filter *f)
{
    *f = (struct filter){
        .older_ms = number(where, "older_ms"),
        .newer_ms = number(where, "newer_ms"),
        .attempts_min = number(where, "attempts_min"),
        .error = sl_call_text(call, sl_json_member(where, "error")),
    };
    return read_states(call, sl_call_text(call, sl_json_member(where, "state")), "body.where.state",
                       &f->states);
}

static bool
has_error(struct walk *w, const struct sl_task_info *info)
{
    struct sl_buf why = {0};
    struct sl_backend *b = &w->backend.backend;
    bool is_read =
        info->why.size > 0 && b->ops->read(b, info->scope, info->id, SL_TASK_WHY, &why) == SL_OK;
    bool is_there =
        is_read && memmem(why.data, why.size, w->filter.error.data, w->filter.error.size) != NULL;
    sl_buf_deinit(&why);
    return is_there;
}

/* Ages are since the end, of what has ended, else since it was put. */
static bool
is_meant(struct walk *w, const struct sl_task_info *info)
{
    const struct filter *f = &w->filter;
    uint64_t ended_ms = sl_own_ended_ms(info);
    uint64_t since_ms = ended_ms > 0 ? ended_ms : info->created_ms;
    uint64_t age_ms = since_ms < w->call->now_ms ? w->call->now_ms - since_ms : 0;
    return (f->older_ms == 0 || age_ms >= f->older_ms) &&
           (f->newer_ms == 0 || age_ms <= f->newer_ms) && info->attempts >= f->attempts_min &&
           (f->error.size == 0 || has_error(w, info));
}

/* ---- walking ------------------------------------------------------------------------------- */

static bool
begin(struct sl_call *call, struct walk *w, uint32_t at)
{
    struct sl_queue_depth depth;
    if (!sl_own_find(call, &depth))
        return false;
    w->call = call;
    w->scan = (struct sl_task_scan){.scope = depth.scope,
                                    .class = SL_CLASS_OWN,
                                    .lane = sl_lane_hash(depth.name),
                                    .states = w->filter.states,
                                    .at = at};
    sl_own_backend(call, &w->backend);
    return true;
}

/* The next job that is meant; false: none, or as much was looked at as one call may. */
static bool
next(struct walk *w, struct sl_task_info *ret_info)
{
    struct sl_backend *b = &w->backend.backend;
    while (w->looked < SL_OWN_SLOTS_MAX) {
        bool is_found =
            b->ops->scan(b, &w->scan, SL_OWN_SLOTS_MAX - w->looked, ret_info, &w->is_end);
        w->looked += w->scan.looked;
        if (!is_found)
            return false;
        if (is_meant(w, ret_info))
            return true;
    }
    return false;
}

/* ---- listing ------------------------------------------------------------------------------- */

static void
write_page(struct walk *w, struct sl_list *list, bool has_bytes)
{
    struct sl_task_info info;
    struct sl_jsonw out;
    uint32_t at = w->scan.at;
    sl_jsonw_init(&out, &list->rows);
    sl_jsonw_array(&out);
    while (list->count < list->limit && list->rows.size < SL_LIST_PAGE_BYTES && next(w, &info)) {
        struct sl_own_view view = {&w->backend.backend, &info, has_bytes};
        sl_own_write_job(w->call, &view, &out);
        list->count++;
    }
    at = w->scan.at;
    sl_jsonw_end(&out);
    sl_jsonw_done(&out);
    if (!w->is_end)
        sl_cursor_encode(sl_slice_str(sl_call_format(w->call, "%" PRIu32, at)),
                         (struct sl_slice){0}, &list->next_cursor);
}

sl_handler_fn sl_api_peek_own_queue, sl_api_list_own_jobs, sl_api_cancel_own_jobs,
    sl_api_retry_own_jobs, sl_api_delete_own_jobs;

void
sl_api_list_own_jobs(struct sl_call *call)
{
    struct sl_list list;
    struct walk w = {0};
    if (!read_states(call, sl_call_query(call, "state"), "query.state", &w.filter.states) ||
        !sl_list_begin(call, 100, &list))
        return;
    list.include_total = false;
    if (begin(call, &w, sl_list_start(&list))) {
        write_page(&w, &list, sl_call_query_bool(call, "include_payload", false));
        sl_store_backend_deinit(&w.backend);
        sl_jsonw_object(&call->out);
        sl_list_write(&list, &call->out);
        sl_jsonw_end(&call->out);
    }
    sl_list_end(&list);
}

void
sl_api_peek_own_queue(struct sl_call *call)
{
    struct sl_task_info infos[PEEK_MAX];
    struct sl_queue_depth depth;
    struct sl_store_backend b;
    uint32_t max = sl_list_number(call, "limit", NULL, 1, PEEK_MAX, 10);
    if (sl_call_has_failed(call) || !sl_own_find(call, &depth))
        return;
    uint32_t count = sl_queue_peek(call->gateway->queue, depth.scope, SL_CLASS_OWN,
                                   sl_lane_hash(depth.name), infos, max);
    sl_own_backend(call, &b);
    sl_jsonw_object(&call->out);
    sl_jsonw_name(&call->out, "results");
    sl_jsonw_array(&call->out);
    for (uint32_t i = 0; i < count; i++) {
        struct sl_own_view view = {&b.backend, &infos[i], true};
        sl_own_write_job(call, &view, &call->out);
    }
    sl_jsonw_end(&call->out);
    sl_jsonw_end(&call->out);
    sl_store_backend_deinit(&b);
}

/* ---- changing ------------------------------------------------------------------------------ */

/* Where the call before stopped. False: the call has failed. */
static bool
read_cursor(struct sl_call *call, uint32_t *ret_at)
{
    struct sl_list place = {0};
    struct sl_slice text = sl_call_text(call, sl_json_member(call->body, "cursor")), sort;
    struct sl_buf memory = {0};
    *ret_at = 0;
    if (text.size == 0)
        return true;
    bool is_read = sl_cursor_decode(text, &memory, &place.cursor_key, &sort) == SL_OK;
    if (is_read)
        *ret_at = sl_list_start(&place);
    else
        sl_call_invalid(call, "body.cursor", "value_error", "it is not one of ours");
    sl_buf_deinit(&memory);
    return is_read;
}

static void
write_changed(struct walk *w, uint64_t changed)
{
    struct sl_jsonw *out = &w->call->out;
    struct sl_buf cursor = {0};
    if (!w->is_end)
        sl_cursor_encode(sl_slice_str(sl_call_format(w->call, "%" PRIu32, w->scan.at)),
                         (struct sl_slice){0}, &cursor);
    sl_jsonw_object(out);
    sl_jsonw_member_u64(out, "changed", changed);
    sl_jsonw_name(out, "next_cursor");
    if (cursor.size == 0)
        sl_jsonw_null(out);
    else
        sl_jsonw_slice(out, sl_buf_slice(&cursor));
    sl_jsonw_end(out);
    sl_buf_deinit(&cursor);
}

/* `states`: which the order may be about, of those that the filter names; `usual`: where it names
 * none. */
static void
change(struct sl_call *call, enum sl_order order, uint32_t states, uint32_t usual)
{
    struct walk w = {0};
    struct sl_task_info info;
    uint32_t at;
    uint64_t limit = number(call->body, "limit"), changed = 0;
    if (!read_where(call, sl_json_member(call->body, "where"), &w.filter) ||
        !read_cursor(call, &at))
        return;
    w.filter.states = w.filter.states == 0 ? usual : w.filter.states & states;
    if (w.filter.states == 0) {
        sl_call_invalid(call, "body.where.state", "value_error", "no job in that state can be");
        return;
    }
    if (!begin(call, &w, at))
        return;
    limit = limit == 0 ? SL_OWN_PAGE_MAX : limit;
    enum sl_err err = SL_OK;
    while (err == SL_OK && changed < limit && next(&w, &info)) {
        struct sl_backend *b = &w.backend.backend;
        err = b->ops->order(b, sl_own_when(call), info.scope, info.id, order, NULL);
        changed += err == SL_OK;
    }
    sl_store_backend_deinit(&w.backend);
    if (err != SL_OK) {
        sl_own_fail(call, err, "a job");
        return;
    }
    if (order == SL_ORDER_REDRIVE && !sl_stock_take(call, SL_LIMIT_max_queued_jobs, changed))
        return;
    write_changed(&w, changed);
    sl_own_wake(call);
}

void
sl_api_cancel_own_jobs(struct sl_call *call)
{
    change(call, SL_ORDER_CANCEL, SL_LIVE, SL_LIVE);
}

void
sl_api_retry_own_jobs(struct sl_call *call)
{
    change(call, SL_ORDER_REDRIVE, SL_FAILED, SL_IN(DEAD) | SL_IN(QUARANTINED));
}

void
sl_api_delete_own_jobs(struct sl_call *call)
{
    change(call, SL_ORDER_FORGET, SL_ENDED, SL_ENDED);
}
