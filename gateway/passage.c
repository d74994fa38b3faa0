/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/passage.h"

#include <stdio.h>

#include "actors/job_row.h"
#include "actors/rows.h"
#include "gateway/account.h"
#include "gateway/events.h"
#include "gateway/limits.h"
#include "gateway/offboard.h"
#include "gateway/onboard.h"
#include "gateway/resource.h"
#include "gateway/tenant.h"
#include "runtime/report.h"

#define PARK_MS (3600 * UINT64_C(1000))

uint64_t
sl_passage_number(struct sl_json note, const char *name)
{
    uint64_t number = 0;
    return sl_json_u64(sl_json_member(note, name), &number) == SL_OK ? number : 0;
}

/* ---- rows ----------------------------------------------------------------------------------- */

void
sl_passage_put(struct sl_call *call, const char *tenant_id, struct sl_slice note)
{
    sl_txn_put(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_PASSAGE, sl_slice_str(tenant_id), note);
}

void
sl_passage_put_row(struct sl_passage *p, const struct sl_buf *row)
{
    sl_events_tenant_state(p->call, &p->tenant, sl_buf_slice(row));
    sl_txn_put(p->call->txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, sl_slice_str(p->tenant.tenant_id),
               sl_buf_slice(row));
}

void
sl_passage_end(struct sl_passage *p)
{
    sl_txn_del(p->call->txn, SL_SCOPE_SYSTEM, SL_TABLE_PASSAGE, sl_slice_str(p->tenant.tenant_id));
}

static void
put_job(struct sl_txn *txn, struct sl_scope scope, struct sl_slice id, const struct sl_job_row *row)
{
    struct sl_buf value = {0};
    sl_job_row_encode(row, &value);
    sl_txn_put(txn, scope, SL_TABLE_JOB, id, sl_buf_slice(&value));
    sl_buf_deinit(&value);
}

const char *
sl_passage_new_task(struct sl_call *call, const char *kind, uint64_t total, const char *about)
{
    char *text = sl_call_alloc(call, 37);
    struct sl_job_id id;
    sl_random_uuid4(text);
    if (!SL_BUG(sl_job_id_parse(sl_slice_str(text), &id) != SL_OK))
        put_job(call->txn, call->who.scope, sl_slice(id.bytes, sizeof(id.bytes)),
                &(struct sl_job_row){.state = SL_JOB_RUNNING,
                                     .created_ms = call->now_ms,
                                     .started_ms = call->now_ms,
                                     .total = total,
                                     .kind = sl_slice_str(kind),
                                     .about = sl_slice_str(about)});
    return text;
}

void
sl_passage_put_task(struct sl_passage *p, const struct sl_passage_task *task)
{
    struct sl_call *call = p->call;
    struct sl_scope scope = {sl_passage_number(p->note, "task_scope")};
    struct sl_job_id id;
    struct sl_job_row row;
    struct sl_slice value;
    if (sl_job_id_parse(sl_member_text(call, p->note, "task"), &id) != SL_OK)
        return;
    struct sl_slice key = sl_slice(id.bytes, sizeof(id.bytes));
    if (sl_txn_get(call->txn, scope, SL_TABLE_JOB, key, &value) != SL_OK ||
        sl_job_row_decode(sl_call_copy(call, value), &row) != SL_OK || row.ended_ms != 0)
        return; /* Somebody has deleted or stopped it: that is about the task alone. */
    row.state = task->state;
    row.done = task->done;
    row.total = task->total;
    row.dead = task->state == SL_JOB_FAILED;
    row.error = sl_slice_str(task->error);
    row.ended_ms = task->state == SL_JOB_RUNNING ? 0 : call->now_ms;
    put_job(call->txn, scope, key, &row);
}

/* ---- steps ---------------------------------------------------------------------------------- */

static bool
read_passage(struct sl_passage *p, const char *tenant_id)
{
    struct sl_call *call = p->call;
    struct sl_slice note;
    if (sl_txn_get(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_PASSAGE, sl_slice_str(tenant_id), &note) !=
        SL_OK)
        return false;
    p->note = sl_call_parse(call, note);
    return sl_tenant_find(call, tenant_id, &p->row) &&
           sl_identity_of_tenant(p->row, &p->tenant) == SL_OK;
}

/* Its tenant's row is not there, or is none: nothing can be done, and others are not held up. */
static void
park(struct sl_passage *p, const char *tenant_id)
{
    static const char *const changed[] = {"due_ms", NULL};
    struct sl_buf note = {0};
    struct sl_jsonw w;
    if (!sl_json_has(p->note))
        return;
    sl_report_error("passage-without-tenant", "tenant=%s action=\"it is tried again in an hour\"",
                    tenant_id);
    sl_jsonw_init(&w, &note);
    sl_jsonw_object(&w);
    sl_write_except(&w, p->note, changed);
    sl_jsonw_member_u64(&w, "due_ms", p->call->now_ms + PARK_MS);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_passage_put(p->call, tenant_id, sl_buf_slice(&note));
    sl_buf_deinit(&note);
}

enum sl_err
sl_passage_step(struct sl_gateway *g, const char *tenant_id, uint64_t now_ms,
                enum sl_passage_state *ret_state)
{
    struct sl_call *call = sl_call_create();
    struct sl_passage p = {.call = call};
    enum sl_passage_state state = SL_PASSAGE_ENDED;
    call->gateway = g;
    call->now_ms = now_ms;
    call->txn = sl_store_begin(g->store);
    if (!read_passage(&p, tenant_id))
        park(&p, tenant_id);
    else
        state = sl_json_is(sl_json_member(p.note, "kind"), "offboard") ? sl_offboard_step(&p)
                                                                       : sl_onboard_step(&p);
    sl_limits_forget(g->limits);
    if (sl_txn_touches(call->txn, SL_TABLE_KEY)) {
        g->is_touched = true;
        g->touched.id = 0;
    }
    enum sl_err err = sl_txn_commit(&call->txn);
    if (call->txn != NULL)
        sl_txn_abort(&call->txn);
    sl_call_run_after(call, err == SL_OK);
    sl_call_destroy(&call);
    if (err == SL_OK)
        *ret_state = state;
    return err;
}

/* Whose passage is due, behind the one that ran last; arena memory. NULL: nobody's. */
static const char *
find_due(struct sl_call *call)
{
    struct sl_gateway *g = call->gateway;
    struct sl_scan scan = {0};
    const char *first = NULL, *next = NULL;
    sl_txn_scan(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_PASSAGE, sl_slice(NULL, 0), sl_slice(NULL, 0),
                false, &scan);
    g->passage_due_ms = UINT64_MAX;
    while (next == NULL && sl_scan_next(&scan)) {
        struct sl_json_doc *doc = NULL;
        if (sl_json_parse(scan.value, &doc, NULL) != SL_OK) {
            sl_report_error("passage-unreadable", "tenant=%.*s action=\"it stays as it is\"",
                            (int)scan.key.size, (const char *)scan.key.data);
            continue;
        }
        uint64_t due_ms = sl_passage_number(sl_json_root(doc), "due_ms");
        sl_json_destroy(&doc);
        if (due_ms > call->now_ms) {
            g->passage_due_ms = SL_MIN(g->passage_due_ms, due_ms);
            continue;
        }
        const char *id = (const char *)sl_call_copy(call, scan.key).data;
        first = first == NULL ? id : first;
        next = strcmp(id, g->passage_last) > 0 ? id : NULL;
    }
    sl_scan_end(&scan);
    return next != NULL ? next : first;
}

enum sl_err
sl_passage_any(struct sl_gateway *g, uint64_t now_ms, bool *ret_is_more)
{
    struct sl_call *call = sl_call_create();
    enum sl_passage_state state;
    enum sl_err err = SL_OK;
    call->gateway = g;
    call->now_ms = now_ms;
    call->txn = sl_store_begin(g->store);
    const char *tenant = find_due(call);
    sl_txn_abort(&call->txn);
    if (tenant != NULL) {
        (void)snprintf(g->passage_last, sizeof(g->passage_last), "%s", tenant);
        err = sl_passage_step(g, tenant, now_ms, &state);
    }
    *ret_is_more = tenant != NULL;
    sl_call_destroy(&call);
    return err;
}
