/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/offboard.h"

#include <inttypes.h>

#include "actors/rows.h"
#include "gateway/account.h"
#include "gateway/audit.h"
#include "gateway/export.h"
#include "gateway/own/queue.h"
#include "gateway/resource.h"
#include "gateway/tenant.h"
#include "runtime/report.h"

#define DAYS     30
#define DAY_MS   (24 * 3600 * UINT64_C(1000))
#define DRAIN_MS (60 * UINT64_C(1000))
#define SOON_MS  UINT64_C(1000)        /* Until what others do is looked at again. */
#define AGAIN_MS (60 * UINT64_C(1000)) /* The same of what was too young, or has failed. */

/* ---- what is noted -------------------------------------------------------------------------- */

struct next {
    uint64_t step, due_ms;
};

static void
put_note(struct sl_passage *p, const struct next *next)
{
    static const char *const changed[] = {"step", "due_ms", NULL};
    struct sl_buf note = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &note);
    sl_jsonw_object(&w);
    sl_write_except(&w, p->note, changed);
    sl_jsonw_member_u64(&w, "step", next->step);
    sl_jsonw_member_u64(&w, "due_ms", next->due_ms);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_passage_put(p->call, p->tenant.tenant_id, sl_buf_slice(&note));
    sl_buf_deinit(&note);
}

static void
put_row(struct sl_passage *p, const struct sl_buf *row)
{
    sl_passage_put_row(p, row);
}

/* An export that was long in coming is there for a day. */
static uint64_t
purge_ms(const struct sl_passage *p)
{
    uint64_t said_ms = sl_passage_number(p->note, "purge_ms");
    bool is_late = sl_member_text(p->call, p->note, "export_id").size > 0 &&
                   said_ms < p->call->now_ms + DAY_MS / 2;
    return is_late ? p->call->now_ms + DAY_MS : said_ms;
}

/* The row with another "export": what the tenant is told of it. */
static void
put_export(struct sl_passage *p, const struct sl_blob *blob, const char *error)
{
    static const char *const changed[] = {"export", "purge_at", NULL};
    struct sl_buf row = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &row);
    sl_jsonw_object(&w);
    sl_write_except(&w, p->row, changed);
    sl_jsonw_member_time(&w, "purge_at", purge_ms(p));
    sl_jsonw_name(&w, "export");
    sl_jsonw_object(&w);
    sl_jsonw_member_value(&w, "export_id", sl_json_member(p->note, "export_id"));
    sl_jsonw_member_str(&w, "status", blob != NULL ? "completed" : "failed");
    if (blob != NULL) {
        sl_jsonw_member_u64(&w, "size_bytes", blob->size_bytes);
        sl_jsonw_member_str(&w, "sha256", blob->id);
    } else {
        sl_jsonw_member_str(&w, "error", error);
    }
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    put_row(p, &row);
    sl_buf_deinit(&row);
}

/* ---- until its time is over ----------------------------------------------------------------- */

static bool
is_working(struct sl_passage *p)
{
    struct sl_queue_depth depth;
    for (uint32_t at = 0;
         sl_queue_depth_next(p->call->gateway->queue, p->tenant.scope, &at, &depth);)
        if (depth.leased > 0)
            return true;
    return false;
}

static bool
drain(struct sl_passage *p)
{
    return !is_working(p) || p->call->now_ms >= sl_passage_number(p->note, "begun_ms") + DRAIN_MS;
}

/* Is the export under way that of a tenant that waits for it? Others' passages were cancelled. */
static bool
is_waited_for(struct sl_call *call)
{
    struct sl_slice note;
    struct sl_slice tenant_id = sl_slice_str(sl_export_tenant_id(call->gateway->export));
    return sl_txn_get(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_PASSAGE, tenant_id, &note) == SL_OK &&
           sl_passage_number(sl_call_parse(call, note), "step") == SL_OFFBOARD_EXPORT;
}

/* One that fails is told of, and begun anew: nothing is erased of what was to be exported. */
static bool
export_some(struct sl_passage *p)
{
    struct sl_gateway *g = p->call->gateway;
    struct sl_blob blob;
    bool is_done = false;
    enum sl_err err = SL_OK;
    if (sl_member_text(p->call, p->note, "export_id").size == 0)
        return true;
    p->again_ms = 0;
    if (g->export != NULL && !sl_export_is_of(g->export, p->tenant.scope)) {
        p->again_ms = SOON_MS;
        if (is_waited_for(p->call))
            return false; /* One at a time. */
        p->again_ms = 0;
        sl_export_destroy(&g->export);
    }
    if (g->export == NULL)
        err = sl_export_create(g, &p->tenant, p->call->now_ms, &g->export);
    if (err == SL_OK)
        err = sl_export_step(g->export, p->call->txn, &is_done, &blob);
    if (err == SL_OK && !is_done)
        return false;
    sl_export_destroy(&g->export);
    if (err != SL_OK)
        sl_report_error("export-failed", "tenant=%s err=%s action=\"it is begun anew in a minute\"",
                        p->tenant.tenant_id, sl_err_name(err));
    put_export(p, err == SL_OK ? &blob : NULL, sl_err_text(err));
    p->again_ms = AGAIN_MS;
    return err == SL_OK;
}

/* The task is over: what follows is waiting. */
static void
begin_retention(struct sl_passage *p)
{
    sl_passage_put_task(p, &(struct sl_passage_task){
                               .done = SL_OFFBOARD_RETAIN,
                               .total = SL_OFFBOARD_RETAIN,
                               .state = SL_JOB_SUCCEEDED,
                               .error = "",
                           });
    put_note(p, &(struct next){SL_OFFBOARD_RETAIN, purge_ms(p)});
}

/* ---- the end -------------------------------------------------------------------------------- */

/* What is known of a tenant that is gone: that its id was given, and when. */
static void
put_tombstone(struct sl_passage *p)
{
    static const char *const kept[] = {
        "tenant_id",       "organization_id",    "scope",      "plan",    "account_type",
        "isolation_level", "isolation_enforced", "created_at", "purge_at"};
    struct sl_buf row = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &row);
    sl_jsonw_object(&w);
    for (size_t i = 0; i < SL_COUNT_OF(kept); i++)
        sl_jsonw_member_value(&w, kept[i], sl_json_member(p->row, kept[i]));
    sl_jsonw_member_str(&w, "name", p->tenant.tenant_id);
    sl_jsonw_member_str(&w, "state", "offboarded");
    sl_jsonw_member_raw(&w, "config", sl_slice_str("{}"));
    sl_jsonw_member_raw(&w, "security", sl_slice_str("{}"));
    sl_jsonw_member_raw(&w, "routing", sl_slice_str("{}"));
    sl_jsonw_member_raw(&w, "onboarding", sl_slice_str("[]"));
    sl_jsonw_member_time(&w, "purged_at", p->call->now_ms);
    sl_jsonw_member_time(&w, "updated_at", p->call->now_ms);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    put_row(p, &row);
    sl_buf_deinit(&row);
}

/* In the operator's log, since the tenant's is gone. */
static void
note_purge(struct sl_passage *p)
{
    static const struct sl_audited purged = {.type = "tenant", .action = "tenant_purged"};
    struct sl_json row;
    struct sl_identity operator;
    if (!sl_tenant_find(p->call, SL_OPERATOR_TENANT, &row) ||
        sl_identity_of_tenant(row, &operator) != SL_OK)
        return;
    p->call->who = operator;
    sl_audit_note_system(p->call, &purged, p->tenant.tenant_id);
}

static enum sl_passage_state
end(struct sl_passage *p)
{
    put_tombstone(p);
    note_purge(p);
    sl_passage_end(p);
    sl_report_info("tenant-purged", "tenant=%s scope=%" PRIu64, p->tenant.tenant_id,
                   p->tenant.scope.id);
    return SL_PASSAGE_ENDED;
}

/* Nobody enters it any more. */
static void
after_retention(struct sl_call *call, void *arg)
{
    sl_keyring_tenant_remove(call->gateway->keyring, arg);
}

bool
sl_offboard_is_final(struct sl_txn *txn, struct sl_json row)
{
    struct sl_json_doc *doc = NULL;
    struct sl_slice note, id;
    struct sl_buf scratch = {0};
    bool is = sl_json_is(sl_json_member(row, "state"), "offboarded");
    if (sl_json_is(sl_json_member(row, "state"), "offboarding") &&
        sl_json_text(sl_json_member(row, "tenant_id"), &scratch, &id) == SL_OK &&
        sl_txn_get(txn, SL_SCOPE_SYSTEM, SL_TABLE_PASSAGE, id, &note) == SL_OK &&
        sl_json_parse(note, &doc, NULL) == SL_OK)
        is = sl_passage_number(sl_json_root(doc), "step") > SL_OFFBOARD_RETAIN;
    sl_json_destroy(&doc);
    sl_buf_deinit(&scratch);
    return is;
}

enum sl_passage_state
sl_offboard_step(struct sl_passage *p)
{
    static bool (*const run[])(struct sl_passage * p) = {
        [SL_OFFBOARD_DRAIN] = drain,          [SL_OFFBOARD_EXPORT] = export_some,
        [SL_OFFBOARD_KEYS] = sl_erase_keys,   [SL_OFFBOARD_WORK] = sl_erase_work,
        [SL_OFFBOARD_BLOBS] = sl_erase_blobs, [SL_OFFBOARD_FILES] = sl_erase_files,
        [SL_OFFBOARD_ROWS] = sl_erase_rows,   [SL_OFFBOARD_DISK] = sl_erase_disk,
    };
    static const uint64_t again_ms[] = {
        [SL_OFFBOARD_DRAIN] = SOON_MS,     [SL_OFFBOARD_WORK] = SOON_MS / 10,
        [SL_OFFBOARD_BLOBS] = AGAIN_MS,    [SL_OFFBOARD_FILES] = AGAIN_MS,
        [SL_OFFBOARD_DISK] = SOON_MS / 10, [SL_OFFBOARD_STEPS] = 0,
    };
    uint64_t step = sl_passage_number(p->note, "step");
    if (step >= SL_OFFBOARD_STEPS)
        return end(p);
    p->again_ms = again_ms[step];
    bool is_done = run[step] == NULL || /* Retained: it is due. */ run[step](p);
    if (step == SL_OFFBOARD_RETAIN)
        sl_call_after_commit(p->call, after_retention,
                             (void *)(uintptr_t)sl_call_format(p->call, "%s", p->tenant.tenant_id));
    if (is_done && step + 1 == SL_OFFBOARD_RETAIN)
        begin_retention(p);
    else if (is_done)
        put_note(p, &(struct next){.step = step + 1});
    else if (p->again_ms > 0)
        put_note(p, &(struct next){step, p->call->now_ms + p->again_ms});
    return SL_PASSAGE_MORE;
}

/* ---- handlers ------------------------------------------------------------------------------- */

static const char *const of_leaving[] = {"state",  "purge_at",   "was", "frozen",
                                         "export", "updated_at", NULL};

/* The state that it leaves, and comes back to; NULL: the call has failed. */
static const char *
state_of(struct sl_call *call, struct sl_json row)
{
    static const char *const states[] = {"active", "suspended", "failed"};
    for (size_t i = 0; i < SL_COUNT_OF(states); i++)
        if (sl_json_is(sl_json_member(row, "state"), states[i]))
            return states[i];
    sl_call_fail(call, SL_API_CONFLICT, "tenant %s is neither active nor suspended",
                 call->who.tenant_id);
    return NULL;
}

/* What runs with its models goes on; their memory goes once nothing does. */
static void
evict_models(struct sl_call *call)
{
    struct sl_scan scan = {0};
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_MODEL, sl_slice(NULL, 0), sl_slice(NULL, 0),
                false, &scan);
    while (sl_scan_next(&scan)) {
        const char *directory = sl_member_str(call, sl_call_parse(call, scan.value), "directory");
        if (*directory != '\0')
            sl_call_model_evict(call, directory);
    }
    sl_scan_end(&scan);
}

struct leaving {
    const char *task_id, *export_id, *was;
    uint64_t purge_ms, task_scope;
};

static void
put_leaving(struct sl_call *call, struct sl_json row, const struct leaving *l)
{
    struct sl_buf value = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &value);
    sl_jsonw_object(&w);
    sl_write_except(&w, row, of_leaving);
    sl_jsonw_member_str(&w, "state", "offboarding");
    sl_jsonw_member_str(&w, "was", l->was);
    sl_jsonw_member_time(&w, "purge_at", l->purge_ms);
    sl_jsonw_name(&w, "frozen");
    if (strcmp(l->was, "suspended") == 0)
        sl_jsonw_value(&w, sl_json_member(row, "frozen"));
    else {
        sl_jsonw_array(&w);
        sl_tenant_freeze(call, &w);
        sl_jsonw_end(&w);
    }
    if (*l->export_id != '\0') {
        sl_jsonw_name(&w, "export");
        sl_jsonw_object(&w);
        sl_jsonw_member_str(&w, "export_id", l->export_id);
        sl_jsonw_member_str(&w, "status", "pending");
        sl_jsonw_end(&w);
    }
    sl_jsonw_member_time(&w, "updated_at", call->now_ms);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_tenant_put(call, &value);
    sl_buf_deinit(&value);
}

static void
put_passage(struct sl_call *call, const struct leaving *l)
{
    struct sl_buf note = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &note);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "kind", "offboard");
    sl_jsonw_member_u64(&w, "step", SL_OFFBOARD_DRAIN);
    sl_jsonw_member_u64(&w, "begun_ms", call->now_ms);
    sl_jsonw_member_u64(&w, "purge_ms", l->purge_ms);
    sl_jsonw_member_str(&w, "export_id", l->export_id);
    sl_jsonw_member_str(&w, "task", l->task_id);
    sl_jsonw_member_u64(&w, "task_scope", l->task_scope);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_passage_put(call, call->who.tenant_id, sl_buf_slice(&note));
    sl_buf_deinit(&note);
}

static void
after_leaving(struct sl_call *call, void *arg)
{
    (void)arg;
    call->gateway->has_garbage = true;
}

static void
write_leaving(struct sl_call *call, const struct leaving *l)
{
    static const char *const hidden[] = {"scope", "frozen", "export", "was", NULL};
    struct sl_json row;
    if (SL_BUG(!sl_tenant_find(call, call->who.tenant_id, &row)))
        return;
    sl_jsonw_object(&call->out);
    sl_write_except(&call->out, row, hidden);
    sl_jsonw_member_str(&call->out, "task_id", l->task_id);
    if (*l->export_id != '\0')
        sl_jsonw_member_str(&call->out, "export_id", l->export_id);
    sl_jsonw_end(&call->out);
}

sl_handler_fn sl_api_offboard_tenant, sl_api_cancel_offboard, sl_api_get_export,
    sl_api_get_export_content;

void
sl_api_offboard_tenant(struct sl_call *call)
{
    uint64_t days = DAYS;
    bool wants_export = sl_json_bool(sl_json_member(call->body, "export_data"), true);
    struct sl_json row;
    struct sl_json sent = sl_json_member(call->body, "data_retention_days");
    struct sl_identity operator= call->who;
    if (sl_json_has(sent) && sl_json_u64(sent, &days) != SL_OK)
        days = DAYS;
    if (days == 0 && wants_export) {
        sl_call_invalid(call, "body.export_data", "value_error",
                        "an export is kept as long as the data: with data_retention_days 0 there "
                        "is none");
        return;
    }
    if (!sl_tenant_enter(call, &row))
        return;
    if (strcmp(call->who.tenant_id, SL_OPERATOR_TENANT) == 0) {
        sl_call_fail(call, SL_API_CONFLICT, "the operator's own tenant cannot leave");
        return;
    }
    struct leaving l = {.was = state_of(call, row),
                        .export_id = wants_export ? sl_call_id(call, "exp_", 16) : "",
                        .purge_ms = call->now_ms + days * DAY_MS,
                        .task_scope = operator.scope.id };
    if (l.was == NULL)
        return;
    struct sl_identity tenant = call->who;
    call->who = operator; /* Whose the task is, and where the event stays. */
    l.task_id = sl_passage_new_task(call, "api_namespaces_delete", SL_OFFBOARD_RETAIN,
                                    sl_call_format(call,
                                                   "{\"kind\":\"tenant_offboard\",\"tenant_id\":"
                                                   "\"%s\"}",
                                                   tenant.tenant_id));
    sl_audit_note_of(call, tenant.tenant_id);
    call->who = tenant;
    put_leaving(call, row, &l);
    put_passage(call, &l);
    evict_models(call);
    sl_call_after_commit(call, after_leaving, NULL);
    if (!sl_call_has_failed(call))
        write_leaving(call, &l);
}

void
sl_api_cancel_offboard(struct sl_call *call)
{
    struct sl_json row;
    struct sl_buf value = {0};
    struct sl_jsonw w;
    struct sl_slice note;
    if (!sl_tenant_enter(call, &row))
        return;
    struct sl_slice tenant_id = sl_slice_str(call->who.tenant_id);
    if (!sl_json_is(sl_json_member(row, "state"), "offboarding") ||
        sl_txn_get(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_PASSAGE, tenant_id, &note) != SL_OK) {
        sl_call_fail(call, SL_API_CONFLICT, "tenant %s is not offboarding", call->who.tenant_id);
        return;
    }
    struct sl_passage p = {.call = call, .tenant = call->who, .note = sl_call_parse(call, note)};
    if (sl_passage_number(p.note, "step") > SL_OFFBOARD_RETAIN) {
        sl_call_fail(call, SL_API_CONFLICT, "the data of tenant %s is being erased",
                     call->who.tenant_id);
        return;
    }
    const char *was = sl_member_str(call, row, "was");
    bool is_active = strcmp(was, "active") == 0;
    if (is_active)
        sl_tenant_thaw(call, sl_json_member(row, "frozen"));
    sl_jsonw_init(&w, &value);
    sl_jsonw_object(&w);
    sl_write_except(&w, row, of_leaving);
    sl_jsonw_member_str(&w, "state", was);
    if (!is_active)
        sl_jsonw_member_value(&w, "frozen", sl_json_member(row, "frozen"));
    sl_jsonw_member_time(&w, "updated_at", call->now_ms);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_passage_put_task(&p, &(struct sl_passage_task){.total = SL_OFFBOARD_RETAIN,
                                                      .state = SL_JOB_CANCELED,
                                                      .error = ""});
    sl_passage_end(&p);
    sl_erase_export(call, row);
    if (sl_export_is_of(call->gateway->export, call->who.scope))
        sl_export_destroy(&call->gateway->export);
    sl_tenant_put(call, &value);
    if (!sl_call_has_failed(call))
        sl_tenant_write(call, sl_call_parse(call, sl_buf_slice(&value)));
    sl_buf_deinit(&value);
    sl_call_wake_dispatcher(call);
    sl_own_wake(call);
}

/* ---- exports -------------------------------------------------------------------------------- */

/* The tenant's row, and its export's part; false: the call has failed with 404. */
static bool
find_export(struct sl_call *call, struct sl_json *ret_row, struct sl_json *ret_export)
{
    const char *id = sl_call_identifier(call, call->params[0]);
    struct sl_slice export_id = call->params[1];
    bool is_found = id != NULL && (call->who.is_operator || strcmp(id, call->who.tenant_id) == 0) &&
                    sl_tenant_find(call, id, ret_row);
    if (is_found) {
        *ret_export = sl_json_member(*ret_row, "export");
        is_found = export_id.size > 0 &&
                   sl_slice_equal(sl_member_text(call, *ret_export, "export_id"), export_id);
    }
    if (!is_found)
        sl_call_not_found(call, "export", export_id);
    return is_found;
}

void
sl_api_get_export(struct sl_call *call)
{
    static const char *const own[] = {"status", NULL};
    struct sl_json row, export;
    if (!find_export(call, &row, &export))
        return;
    const char *status = sl_member_str(call, export, "status");
    const char *tenant_id = sl_member_str(call, row, "tenant_id");
    bool is_running =
        sl_export_is_of(call->gateway->export, (struct sl_scope){sl_passage_number(row, "scope")});
    bool is_completed = strcmp(status, "completed") == 0;
    sl_jsonw_object(&call->out);
    sl_write_except(&call->out, export, own);
    sl_jsonw_member_str(&call->out, "tenant_id", tenant_id);
    sl_jsonw_member_str(&call->out, "status", is_running ? "running" : status);
    sl_jsonw_member_u64(&call->out, "progress", is_completed ? 100 : 0);
    if (is_completed)
        sl_jsonw_member_str(&call->out, "download_url",
                            sl_call_format(call, "/v1/tenants/%s/exports/%s/content", tenant_id,
                                           sl_member_str(call, export, "export_id")));
    sl_jsonw_member_value(&call->out, "expires_at", sl_json_member(row, "purge_at"));
    sl_jsonw_end(&call->out);
}

void
sl_api_get_export_content(struct sl_call *call)
{
    struct sl_json row, export;
    if (!find_export(call, &row, &export))
        return;
    const char *id = sl_member_str(call, export, "sha256");
    if (!sl_blob_is_id(id)) {
        sl_call_fail(call, SL_API_CONFLICT, "the export is not complete");
        return;
    }
    enum sl_err err =
        call->gateway->blobs == NULL
            ? SL_EIO
            : sl_blob_open(call->gateway->blobs, id, &call->reply_fd, &call->reply_file_size);
    if (err != SL_OK) {
        sl_call_fail(call, SL_API_UNAVAILABLE, "the export cannot be read: %s", sl_err_text(err));
        return;
    }
    memcpy(call->reply_blob, id, sizeof(call->reply_blob));
    call->reply_type = "application/x-tar";
    sl_call_header(call, "X-Content-Type-Options", "nosniff");
}
