/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks. */
#include "gateway/task.h"

#include "actors/rows.h"
#include "gateway/ask.h"
#include "gateway/list.h"
#include "gateway/resource.h"

const char *
sl_task_status(enum sl_job_state state)
{
    static const char *const names[] = {
        "PENDING", "IN_PROGRESS", "COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"};
    sl_assert((unsigned)state < SL_COUNT_OF(names));
    return names[state];
}

static bool
view_read(struct sl_call *call, struct sl_job_id id, struct sl_slice value,
          struct sl_task_view *ret_view)
{
    struct sl_task_view v = {.id = id};
    struct sl_job_info info;
    if (SL_BUG(sl_job_row_decode(sl_call_copy(call, value), &v.row) != SL_OK))
        return false;
    v.state = v.row.state;
    v.done = v.row.done;
    v.dead = v.row.dead;
    v.total = v.row.total;
    v.is_ended = v.row.ended_ms != 0;
    /* Between the last task's end and the row's, the queue knows more. */
    if (!v.is_ended && sl_queue_job(sl_call_queue(call), id, &info) == SL_OK &&
        info.scope.id == call->who.scope.id) {
        v.state = info.state;
        v.done = info.done;
        v.dead = info.dead;
        v.total = info.total;
        v.is_ended = info.state > SL_JOB_RUNNING;
        v.row.started_ms = info.started_ms;
    }
    *ret_view = v;
    return true;
}

bool
sl_task_find(struct sl_call *call, struct sl_slice task_id, struct sl_task_view *ret_view)
{
    struct sl_job_id id;
    struct sl_slice value;
    return sl_job_id_parse(task_id, &id) == SL_OK &&
           sl_txn_get(call->txn, call->who.scope, SL_TABLE_JOB,
                      sl_slice(id.bytes, sizeof(id.bytes)), &value) == SL_OK &&
           view_read(call, id, value, ret_view);
}

static void
write_progress(struct sl_jsonw *w, const struct sl_task_view *v)
{
    sl_jsonw_name(w, "progress");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "done", v->done);
    sl_jsonw_member_u64(w, "failed", v->dead);
    sl_jsonw_member_u64(w, "total", v->total);
    sl_jsonw_end(w);
}

void
sl_task_write(struct sl_call *call, const struct sl_task_view *v, struct sl_jsonw *w)
{
    static const char *const own[] = {"job_id", "progress", "error", "counted_under",
                                      "chain",  "run",      NULL};
    char id[37];
    sl_job_id_format(v->id, id);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "task_id", id);
    sl_jsonw_member_slice(w, "task_type", v->row.kind);
    sl_jsonw_member_str(w, "status", sl_task_status(v->state));
    sl_jsonw_member_raw(w, "inputs", sl_slice_str("[]"));
    sl_jsonw_member_raw(w, "outputs", sl_slice_str("[]"));
    sl_jsonw_name(w, "additional_data");
    sl_jsonw_object(w);
    sl_write_except(w, sl_call_parse(call, v->row.about), own);
    sl_jsonw_member_str(w, "job_id", id);
    write_progress(w, v);
    sl_jsonw_member_u64(w, "documents_written", v->row.records);
    if (v->row.error.size > 0)
        sl_jsonw_member_slice(w, "error", v->row.error);
    sl_jsonw_end(w);
    if (v->state == SL_JOB_FAILED)
        sl_jsonw_member_slice(
            w, "error", v->row.error.size > 0 ? v->row.error : sl_slice_str("every item failed"));
    sl_jsonw_member_time(w, "created_at", v->row.created_ms);
    sl_jsonw_member_time(w, "started_at", v->row.started_ms);
    sl_jsonw_member_time(w, "completed_at", v->row.ended_ms);
    sl_jsonw_end(w);
}

static void
put_row(struct sl_call *call, struct sl_job_id id, const struct sl_job_row *row)
{
    struct sl_buf value = {0};
    sl_job_row_encode(row, &value);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_JOB, sl_slice(id.bytes, sizeof(id.bytes)),
               sl_buf_slice(&value));
    sl_buf_deinit(&value);
}

const char *
sl_task_put_done(struct sl_call *call, struct sl_slice kind, struct sl_slice about)
{
    char *text = sl_call_alloc(call, 37);
    struct sl_job_id id;
    sl_random_uuid4(text);
    if (SL_BUG(sl_job_id_parse(sl_slice_str(text), &id) != SL_OK))
        return text;
    put_row(call, id,
            &(struct sl_job_row){.state = SL_JOB_SUCCEEDED,
                                 .created_ms = call->now_ms,
                                 .started_ms = call->now_ms,
                                 .ended_ms = call->now_ms,
                                 .total = 1,
                                 .done = 1,
                                 .kind = kind,
                                 .about = about});
    return text;
}

void
sl_task_cancel(struct sl_call *call, const struct sl_task_view *v)
{
    struct sl_buf event = {0};
    sl_assert(!v->is_ended);
    sl_queue_event_cancel(&event, v->id);
    sl_txn_event(call->txn, SL_PROJECTION_QUEUE, call->who.scope, sl_buf_slice(&event));
    sl_buf_deinit(&event);
    sl_task_put_canceled(call, v);
    sl_call_wake_dispatcher(call); /* It ends the job, and tells who waits. */
}

void
sl_task_put_canceled(struct sl_call *call, const struct sl_task_view *v)
{
    struct sl_job_row row = v->row;
    row.state = SL_JOB_CANCELED;
    row.ended_ms = call->now_ms;
    row.done = v->done;
    row.dead = v->dead;
    row.canceled = v->total - v->done - v->dead;
    put_row(call, v->id, &row);
}

/* ---- handlers ------------------------------------------------------------------------------ */

void
sl_api_get_task(struct sl_call *call)
{
    struct sl_task_view v;
    if (sl_task_find(call, call->params[0], &v))
        sl_task_write(call, &v, &call->out);
    else
        sl_call_not_found(call, "task", call->params[0]);
}

void
sl_api_delete_task(struct sl_call *call)
{
    struct sl_task_view v;
    bool is_found = sl_task_find(call, call->params[0], &v);
    if (is_found && !v.is_ended)
        sl_task_cancel(call, &v);
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "message",
                        is_found && !v.is_ended ? "the task was stopped"
                                                : "there was nothing to stop");
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_end(&call->out);
}

static bool
is_equal_fold(struct sl_slice a, struct sl_slice b)
{
    return a.size == b.size && strncasecmp((const char *)a.data, (const char *)b.data, a.size) == 0;
}

static bool
render(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value,
       struct sl_jsonw *w)
{
    const struct sl_slice *wanted = arg; /* status, task_type */
    struct sl_task_view v;
    struct sl_job_id id;
    if (SL_BUG(key.size != sizeof(id.bytes)))
        return false;
    memcpy(id.bytes, key.data, sizeof(id.bytes));
    if (!view_read(call, id, value, &v))
        return false;
    if (wanted[0].size > 0 && !is_equal_fold(wanted[0], sl_slice_str(sl_task_status(v.state))))
        return false;
    if (wanted[1].size > 0 && !is_equal_fold(wanted[1], v.row.kind))
        return false;
    sl_task_write(call, &v, w);
    return true;
}

void
sl_api_list_tasks(struct sl_call *call)
{
    static const char *const search[] = {"task_id", "task_type", NULL};
    struct sl_slice wanted[2] = {sl_member_text(call, call->body, "status"),
                                 sl_member_text(call, call->body, "task_type")};
    struct sl_list list;
    if (!sl_list_begin(call, 10, &list))
        return;
    bool is_read = sl_list_run(&list, call,
                               &(struct sl_list_source){.scope = call->who.scope,
                                                        .table = SL_TABLE_JOB,
                                                        .render = render,
                                                        .arg = wanted,
                                                        .search_fields = search});
    if (is_read) {
        sl_jsonw_object(&call->out);
        sl_list_write(&list, &call->out);
        sl_jsonw_end(&call->out);
        sl_list_end(&list);
    }
}
