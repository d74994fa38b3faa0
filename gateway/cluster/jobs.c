/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs of all queues: those of batches, the live ones first, each the newest first, then those of
 * tenants' own queues. A page looks at a bounded number of them, so that it may be short, or empty,
 * and have a next one.
 *
 *   cursor: "l:FIRST:ID" live, "e:FIRST:ID" ended, "o:SLOT" of own queues
 */
#include <inttypes.h>

#include "actors/job_row.h"
#include "actors/rows.h"
#include "gateway/cluster.h"
#include "gateway/gateway.h"
#include "gateway/own/queue.h"
#include "gateway/resource.h"
#include "queue/lane_settings.h"

#define PAGE_MAX  200
#define LOOKS_MAX 500   /* Jobs of batches that a page looks at: each has a row to read. */
#define SLOTS_MAX 50000 /* Tasks of own queues. */

static const char *const states[] = {"pending", "running", "succeeded",
                                     "partial", "failed",  "canceled"};

struct walk {
    struct sl_call *call;
    struct sl_cluster_names names;
    struct sl_scope scope;
    struct sl_slice state, queue, batch; /* Empty: any. */
    struct sl_job_walk jobs;
    struct sl_task_scan tasks;
    bool is_own; /* It is at the own queues'. */
    struct sl_jsonw out;
    struct sl_list *list;
};

/* ---- asking -------------------------------------------------------------------------------- */

static bool
is_state(struct sl_slice text)
{
    for (size_t i = 0; i < SL_COUNT_OF(states); i++) {
        if (sl_slice_is(text, states[i]))
            return true;
    }
    return sl_state_parse(text) != SL_STATE_COUNT;
}

static uint64_t
digits(struct sl_slice *text)
{
    uint64_t value = 0;
    while (text->size > 0 && text->data[0] >= '0' && text->data[0] <= '9') {
        value = value * 10 + (text->data[0] - (uint64_t)'0');
        *text = sl_slice(text->data + 1, text->size - 1);
    }
    if (text->size > 0 && text->data[0] == ':')
        *text = sl_slice(text->data + 1, text->size - 1);
    return value;
}

static bool
read_cursor(struct walk *w)
{
    struct sl_slice text = w->list->cursor_key;
    if (text.size == 0)
        return true;
    if (text.size < 3 || text.data[1] != ':' || memchr("leo", text.data[0], 3) == NULL)
        return false;
    char kind = (char)text.data[0];
    text = sl_slice(text.data + 2, text.size - 2);
    uint64_t at = digits(&text);
    w->is_own = kind == 'o';
    w->jobs.is_ended = kind == 'e';
    if (w->is_own) {
        w->tasks.at = (uint32_t)SL_MIN(at, (uint64_t)UINT32_MAX);
        return text.size == 0;
    }
    w->jobs.after = at;
    return (at != 0 || kind == 'e') && sl_job_id_parse(text, &w->jobs.id) == SL_OK;
}

static bool
begin(struct walk *w)
{
    struct sl_call *call = w->call;
    w->state = sl_call_query(call, "state");
    w->queue = sl_call_query(call, "queue");
    w->batch = sl_call_query(call, "batch_id");
    if (!sl_cluster_scope(call, &w->scope))
        return false;
    if (w->state.size > 0 && !is_state(w->state))
        sl_call_invalid(call, "query.state", "enum", "no job is ever in that state");
    else if (!read_cursor(w))
        sl_call_invalid(call, "query.cursor", "cursor", "the cursor is not one of this list");
    w->jobs.scope = w->tasks.scope = w->scope;
    w->tasks.class = SL_CLASS_OWN;
    return !sl_call_has_failed(call);
}

/* ---- rows ---------------------------------------------------------------------------------- */

static bool
is_queue(struct walk *w, const char *tenant, struct sl_slice name, const char **ret_text)
{
    *ret_text =
        sl_call_format(w->call, "%s:%.*s", tenant == NULL ? "" : tenant, SL_SLICE_FMT(name));
    return w->queue.size == 0 || sl_slice_is(w->queue, *ret_text);
}

static void
write_progress(uint64_t done, uint64_t failed, uint64_t total, struct sl_jsonw *out)
{
    sl_jsonw_name(out, "progress");
    sl_jsonw_object(out);
    sl_jsonw_member_u64(out, "done", done);
    sl_jsonw_member_u64(out, "failed", failed);
    sl_jsonw_member_u64(out, "total", total);
    sl_jsonw_end(out);
}

static void
write_about(const struct sl_job_row *row, struct sl_json about, struct sl_jsonw *out)
{
    sl_jsonw_member_value(out, "batch_id", sl_json_member(about, "batch_id"));
    sl_jsonw_member_value(out, "tier_num", sl_json_member(about, "current_tier"));
    sl_jsonw_member_value(out, "namespace_id", sl_json_member(about, "namespace_id"));
    sl_jsonw_member_slice(out, "type", row->kind);
}

/* One of a batch; nothing is written of one that is not wanted. */
static void
write_job(struct walk *w, const struct sl_job_info *info)
{
    char id[37];
    const char *queue, *tenant = sl_cluster_name(&w->names, info->scope.id);
    struct sl_job_row row = {.kind = sl_slice_str("job")};
    struct sl_slice bytes, key = sl_slice(info->id.bytes, sizeof(info->id.bytes));
    struct sl_json about = {0};
    if ((w->state.size > 0 && !sl_slice_is(w->state, states[info->state])) ||
        !is_queue(w, tenant, sl_slice_str(sl_class_name(info->class)), &queue))
        return;
    if (sl_txn_get(w->call->txn, info->scope, SL_TABLE_JOB, key, &bytes) == SL_OK &&
        sl_job_row_decode(sl_call_copy(w->call, bytes), &row) == SL_OK && row.about.size > 0)
        about = sl_call_parse(w->call, row.about);
    if (w->batch.size > 0 &&
        !sl_slice_equal(sl_call_text(w->call, sl_json_member(about, "batch_id")), w->batch))
        return;
    struct sl_jsonw *out = &w->out;
    sl_job_id_format(info->id, id);
    sl_jsonw_object(out);
    sl_jsonw_member_str(out, "job_id", id);
    sl_jsonw_member_str(out, "task_id", id);
    write_about(&row, about, out);
    sl_jsonw_member_str(out, "tenant_id", tenant);
    sl_jsonw_member_str(out, "state", states[info->state]);
    sl_jsonw_member_str(out, "queue", queue);
    sl_jsonw_member_str(out, "worker_group", sl_class_name(info->class));
    write_progress(info->done, info->dead, info->total, out);
    sl_jsonw_member_u64(out, "running", info->leased);
    sl_jsonw_member_time(out, "created_at", info->created_ms);
    sl_jsonw_member_time(out, "started_at", info->started_ms);
    sl_jsonw_member_time(out, "finished_at", row.ended_ms);
    if (row.error.size > 0)
        sl_jsonw_member_slice(out, "error", row.error);
    else
        sl_jsonw_member_null(out, "error");
    sl_jsonw_end(out);
    w->list->count++;
}

static void
write_own(struct walk *w, const struct sl_task_info *info)
{
    const char *queue, *tenant = sl_cluster_name(&w->names, info->scope.id);
    bool has_ended = sl_state_has_ended(info->state);
    if (!is_queue(w, tenant, info->lane, &queue))
        return;
    struct sl_jsonw *out = &w->out;
    sl_jsonw_object(out);
    sl_jsonw_member_str(out, "job_id", sl_own_job_id(w->call, info->id));
    sl_jsonw_member_null(out, "task_id");
    sl_jsonw_member_null(out, "batch_id");
    sl_jsonw_member_str(out, "type", "queue_job");
    sl_jsonw_member_str(out, "tenant_id", tenant);
    sl_jsonw_member_str(out, "state", sl_state_name(info->state));
    sl_jsonw_member_str(out, "queue", queue);
    sl_jsonw_member_u64(out, "attempt", info->attempts);
    write_progress(info->state == SL_STATE_SUCCEEDED,
                   has_ended && info->state != SL_STATE_SUCCEEDED, 1, out);
    sl_jsonw_member_u64(out, "running", info->state == SL_STATE_RUNNING);
    sl_jsonw_member_time(out, "created_at", info->created_ms);
    sl_jsonw_member_null(out, "started_at");
    sl_jsonw_member_time(out, "finished_at",
                         has_ended && info->state != SL_STATE_SUCCEEDED ? info->time_ms : 0);
    sl_jsonw_member_null(out, "error"); /* The job itself has it: it may be long. */
    sl_jsonw_end(out);
    w->list->count++;
}

/* ---- pages --------------------------------------------------------------------------------- */

/* False: the page is full, or enough was looked at. */
static bool
write_jobs(struct walk *w)
{
    struct sl_job_info info;
    bool is_end = false;
    for (uint32_t looked = 0; looked < LOOKS_MAX; looked += w->jobs.looked + 1) {
        if (w->list->count == w->list->limit)
            return false;
        if (sl_queue_job_next(w->call->gateway->queue, &w->jobs, LOOKS_MAX - looked, &info,
                              &is_end))
            write_job(w, &info);
        else
            return is_end;
    }
    return false;
}

static bool
write_owns(struct walk *w)
{
    struct sl_task_info info;
    bool is_end = false;
    enum sl_state state = sl_state_parse(w->state);
    w->tasks.states = state == SL_STATE_COUNT ? 0 : UINT32_C(1) << state;
    for (uint32_t looked = 0; looked < SLOTS_MAX; looked += w->tasks.looked) {
        if (w->list->count == w->list->limit)
            return false;
        if (sl_queue_scan(w->call->gateway->queue, &w->tasks, SLOTS_MAX - looked, &info, &is_end))
            write_own(w, &info);
        else
            return is_end;
    }
    return false;
}

static void
end_page(struct walk *w)
{
    char id[37];
    const char *key;
    sl_job_id_format(w->jobs.id, id);
    if (w->is_own)
        key = sl_call_format(w->call, "o:%" PRIu32, w->tasks.at);
    else
        key = sl_call_format(w->call, "%c:%" PRIu64 ":%s", w->jobs.is_ended ? 'e' : 'l',
                             w->jobs.after, id);
    sl_cursor_encode(sl_slice_str(key), (struct sl_slice){0}, &w->list->next_cursor);
}

sl_handler_fn sl_api_list_jobs;

void
sl_api_list_jobs(struct sl_call *call)
{
    struct sl_list list;
    struct walk *w = sl_call_alloc(call, sizeof(*w));
    w->call = call;
    w->list = &list;
    sl_cluster_names_init(&w->names, call);
    if (!sl_list_begin(call, PAGE_MAX / 2, &list))
        return;
    list.limit = SL_MIN(list.limit, (uint32_t)PAGE_MAX);
    if (!begin(w)) {
        sl_list_end(&list);
        return;
    }
    sl_jsonw_init(&w->out, &list.rows);
    sl_jsonw_array(&w->out);
    /* Only batches' jobs have a batch, and other states than own ones share no names but some. */
    if (!w->is_own && write_jobs(w))
        w->is_own = true;
    bool has_own =
        w->batch.size == 0 && (w->state.size == 0 || sl_state_parse(w->state) != SL_STATE_COUNT);
    bool is_end = w->is_own && (!has_own || write_owns(w));
    sl_jsonw_end(&w->out);
    sl_jsonw_done(&w->out);
    if (w->jobs.is_lost) {
        sl_call_fail(call, SL_API_CONFLICT,
                     "the job at the cursor has ended meanwhile, among many others: begin anew");
        sl_list_end(&list);
        return;
    }
    if (!is_end)
        end_page(w);
    sl_cluster_reply(call, &list);
}
