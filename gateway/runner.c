/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/runner.h"

#include "actors/rows.h"
#include "gateway/audit.h"
#include "gateway/idempotency.h"
#include "gateway/key_scope.h"
#include "gateway/limits.h"
#include "gateway/meter.h"
#include "gateway/route.h"
#include "gateway/namespace.h"
#include "gateway/resource.h"

#define IDENTIFIER_BYTES_MAX 128

/* ---- namespace ----------------------------------------------------------------------------- */

static bool
set_namespace(struct sl_call *call, struct sl_slice id)
{
    if (SL_BUG(id.size == 0 || id.size >= sizeof(call->namespace_id)))
        return false;
    memcpy(call->namespace_id, id.data, id.size);
    call->namespace_id[id.size] = '\0';
    return true;
}

/* By id first, so that no name can stand in for another namespace's id. */
static bool
find_namespace(struct sl_call *call, struct sl_slice wanted)
{
    struct sl_buf key = {0};
    struct sl_slice value, text = sl_call_copy(call, wanted);
    const char *name = (const char *)text.data;
    bool is_found = false;
    if (text.size == 0 || text.size > IDENTIFIER_BYTES_MAX || memchr(name, '\0', text.size) != NULL)
        return false;
    if (text.size < sizeof(call->namespace_id) &&
        sl_txn_get(call->txn, call->who.scope, SL_TABLE_NAMESPACE, sl_key(&key, 1, name), &value) ==
            SL_OK)
        is_found = set_namespace(call, text);
    else if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_NAME,
                        sl_key(&key, 3, "namespace", "", name), &value) == SL_OK)
        is_found = set_namespace(call, value);
    sl_buf_deinit(&key);
    return is_found;
}

/* Without a header the organization's only namespace is meant, if it has exactly one. */
static bool
find_only_namespace(struct sl_call *call)
{
    struct sl_scan scan;
    struct sl_slice none = sl_slice(NULL, 0);
    uint32_t count = 0;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_NAMESPACE, none, none, false, &scan);
    while (count < 2 && sl_scan_next(&scan)) {
        if (count == 0 && !set_namespace(call, sl_key_part(scan.key, 0)))
            break;
        count++;
    }
    sl_scan_end(&scan);
    return count == 1;
}

static void
resolve_namespace(struct sl_call *call)
{
    if (!(call->route->flags & SL_ROUTE_NAMESPACE))
        return;
    if (call->namespace_header.size > 0) {
        if (!find_namespace(call, call->namespace_header))
            sl_call_not_found(call, "namespace", call->namespace_header);
    } else if (!find_only_namespace(call)) {
        call->namespace_id[0] = '\0';
        sl_call_fail(call, SL_API_BAD_REQUEST, "the header X-Namespace is needed");
    }
}

/* ---- around the handler -------------------------------------------------------------------- */

static void
check_plan(struct sl_call *call)
{
    if ((call->route->flags & SL_ROUTE_ENTERPRISE) && !sl_identity_is_enterprise(&call->who))
        sl_call_fail(call, SL_API_FORBIDDEN, SL_IDENTITY_TIER_NEEDED);
}

static void
fail_commit(struct sl_call *call, enum sl_err err)
{
    if (err == SL_ENOSPC)
        sl_call_fail(call, SL_API_UNAVAILABLE, "the store is full");
    else if (err == SL_ETOOBIG)
        sl_call_fail(call, SL_API_TOO_LARGE, "the request changes too much at once");
    else
        sl_call_fail(call, SL_API_INTERNAL, "the request could not be completed");
}

/* Gateways elsewhere know what calls that embed resolve to: they hear when it may have changed. */
static void
note_touched(struct sl_call *call)
{
    static const uint8_t tables[] = {SL_TABLE_KEY,  SL_TABLE_EXTRACTION, SL_TABLE_MODEL,
                                     SL_TABLE_NAME, SL_TABLE_NAMESPACE,  SL_TABLE_COLLECTION,
                                     SL_TABLE_HEAD};
    struct sl_gateway *g = call->gateway;
    if (sl_txn_touches(call->txn, SL_TABLE_KEY) || sl_txn_touches(call->txn, SL_TABLE_TENANT))
        sl_limits_forget(g->limits);
    if (sl_txn_touches(call->txn, SL_TABLE_TENANT) && call->route->method == SL_PATCH)
        g->is_touched = true, g->touched.id = 0; /* Its plan may have other limits. */
    for (size_t i = 0; i < SL_COUNT_OF(tables); i++) {
        if (!sl_txn_touches(call->txn, tables[i]))
            continue;
        bool is_any = call->who.is_operator || tables[i] == SL_TABLE_KEY ||
                      (g->is_touched && g->touched.id != call->who.scope.id);
        g->touched.id = is_any ? 0 : call->who.scope.id;
        g->is_touched = true;
        if (is_any)
            return;
    }
}

static void
commit(struct sl_call *call, bool is_last)
{
    /* Deletes go on: they are how room is made, and keys are revoked. */
    bool is_refused = call->route->method != SL_DELETE && !(call->route->flags & SL_ROUTE_ANYWAY) &&
                      !sl_txn_is_empty(call->txn) && sl_store_is_low(call->gateway->store);
    enum sl_err err = SL_ENOSPC;
    if (is_refused)
        sl_txn_abort(&call->txn);
    else {
        note_touched(call);
        sl_meter_stage(call, is_last);
        memset(call->used.taken, 0, sizeof(call->used.taken)); /* Now they are there. */
        err = sl_txn_commit(&call->txn);
    }
    if (err != SL_OK) {
        fail_commit(call, err);
        sl_meter_unstage(call);
    }
    sl_call_run_after(call, err == SL_OK);
}

/* What a failed call keeps. That it could not be kept leaves the reply as it is. */
static bool
commit_kept(struct sl_call *call)
{
    if (call->txn == NULL || !call->is_failure_kept || sl_store_is_low(call->gateway->store))
        return false;
    note_touched(call);
    bool is_kept = sl_txn_commit(&call->txn) == SL_OK;
    call->txn = NULL;
    return is_kept;
}

/* A refusal has no effect but two: what it says that it keeps, and under a key the reply that later
 * tries get as well. */
static void
commit_refusal(struct sl_gateway *g, struct sl_call *call)
{
    bool is_kept = commit_kept(call);
    if (call->txn != NULL)
        sl_txn_abort(&call->txn);
    sl_call_run_after(call, is_kept);
    if (call->idempotent_row.size == 0 || call->status >= 500)
        return;
    call->txn = sl_store_begin(g->store);
    sl_idempotency_store(call);
    /* Not stored is no harm: the request can be tried again. */
    if (sl_txn_commit(&call->txn) != SL_OK)
        call->txn = NULL;
}

/* Into the transaction that brings the effect about: the first of a call that stages something. */
static void
note(struct sl_call *call)
{
    bool has_failed = sl_call_has_failed(call) || (!call->is_waiting && call->status >= 400);
    if (call->txn != NULL && (!has_failed || call->is_failure_kept) &&
        (!call->is_waiting || !sl_txn_is_empty(call->txn)))
        sl_audit_note(call, !has_failed);
}

static void
run_handler(struct sl_gateway *g, struct sl_call *call, sl_handler_fn *handler)
{
    handler(call);
    note(call);
    if (sl_call_has_failed(call) || (!call->is_waiting && call->status >= 400)) {
        call->is_waiting = false;
        commit_refusal(g, call);
        return;
    }
    if (call->is_waiting) {
        if (call->txn != NULL)
            commit(call, false);
        call->is_waiting = !sl_call_has_failed(call);
        if (call->is_waiting)
            sl_idempotency_hold(call);
        return;
    }
    if (call->txn == NULL)
        return;
    sl_idempotency_store(call);
    commit(call, true);
}

/* On a gateway without a store: the head said before what this call runs on. */
static void
run_resolved(struct sl_gateway *g, struct sl_call *call)
{
    sl_assert(call->resolved.extraction.size > 0);
    sl_route_validate(call);
    if (!sl_call_has_failed(call))
        run_handler(g, call, call->route->handler);
}

void
sl_runner_run(struct sl_gateway *g, struct sl_call *call)
{
    sl_assert(call->route != NULL && call->txn == NULL);
    call->gateway = g;
    call->status = call->route->success;
    if (g->store == NULL) {
        run_resolved(g, call);
        return;
    }
    call->txn = sl_store_begin(g->store);
    if (call->route->permission != SL_PERMIT_NONE)
        sl_keyring_note_use(g->keyring, call->who.digest, call->now_ms);
    if (sl_limits_admit(call))
        check_plan(call);
    if (!sl_call_has_failed(call))
        resolve_namespace(call);
    if (!sl_call_has_failed(call))
        sl_key_scope_check(call);
    if (!sl_call_has_failed(call))
        sl_route_validate(call);
    if (!sl_call_has_failed(call) && sl_idempotency_begin(call))
        run_handler(g, call, call->route->handler);
    else
        sl_txn_abort(&call->txn); /* Refused before it began, or answered from what is stored. */
}

void
sl_runner_continue(struct sl_gateway *g, struct sl_call *call, sl_handler_fn *then)
{
    sl_assert(call->is_waiting && call->txn == NULL);
    sl_idempotency_release(call);
    call->is_waiting = false;
    if (g->store != NULL)
        call->txn = sl_store_begin(g->store);
    run_handler(g, call, then);
}

enum sl_err
sl_runner_expire(struct sl_gateway *g, struct sl_call *call, const char **ret_id)
{
    sl_assert(call->txn == NULL);
    call->gateway = g;
    call->txn = sl_store_begin(g->store);
    *ret_id = sl_namespace_expire(call);
    enum sl_err err = sl_call_has_failed(call) ? SL_EBUSY : SL_OK;
    if (*ret_id != NULL && err == SL_OK) {
        note_touched(call);
        sl_audit_note_system(call, sl_audited_find("delete_namespace"), *ret_id);
        err = sl_txn_commit(&call->txn);
    }
    if (call->txn != NULL)
        sl_txn_abort(&call->txn);
    sl_call_run_after(call, *ret_id != NULL && err == SL_OK);
    return err;
}

/* When keys were used, into their rows: some of them. */
static void
put_used(struct sl_gateway *g, struct sl_txn *txn, uint32_t keys_max)
{
    static const char *const changed[] = {"last_used_at", NULL};
    uint8_t digest[SL_SHA256_SIZE];
    uint64_t used_ms;
    if (g->keyring == NULL) /* Nobody is let in. */
        return;
    for (uint32_t i = 0; i < keys_max && sl_keyring_take_used(g->keyring, digest, &used_ms); i++) {
        struct sl_slice key = sl_slice(digest, sizeof(digest)), row;
        struct sl_json_doc *doc = NULL;
        struct sl_buf value = {0};
        struct sl_jsonw w;
        if (sl_txn_get(txn, SL_SCOPE_SYSTEM, SL_TABLE_KEY, key, &row) == SL_OK &&
            sl_json_parse(row, &doc, NULL) == SL_OK) {
            sl_jsonw_init(&w, &value);
            sl_jsonw_object(&w);
            sl_write_except(&w, sl_json_root(doc), changed);
            sl_jsonw_member_time(&w, "last_used_at", used_ms);
            sl_jsonw_end(&w);
            sl_jsonw_done(&w);
            sl_txn_put(txn, SL_SCOPE_SYSTEM, SL_TABLE_KEY, key, sl_buf_slice(&value));
        }
        sl_json_destroy(&doc);
        sl_buf_deinit(&value);
    }
}

enum sl_err
sl_runner_sweep(struct sl_gateway *g, struct sl_scope scope, uint64_t now_ms, uint32_t rows_max,
                struct sl_buf *cursor)
{
    struct sl_scan scan;
    struct sl_buf keys = {0}; /* A scan and deletes do not mix: collect first. */
    uint32_t rows = 0;
    struct sl_txn *txn = sl_store_begin(g->store);
    sl_txn_scan(txn, scope, SL_TABLE_IDEMPOTENT, sl_slice(NULL, 0), sl_buf_slice(cursor), false,
                &scan);
    struct sl_buf last = {0};
    for (; rows < rows_max && sl_scan_next(&scan); rows++) {
        sl_buf_clear(&last);
        sl_buf_append_slice(&last, scan.key);
        if (sl_idempotency_is_over(scan.value, now_ms))
            sl_buf_append_block(&keys, scan.key);
    }
    sl_scan_end(&scan);
    struct sl_reader r = sl_reader(sl_buf_slice(&keys));
    while (!sl_reader_is_done(&r) && !r.is_bad)
        sl_txn_del(txn, scope, SL_TABLE_IDEMPOTENT, sl_read_block(&r));
    put_used(g, txn, rows_max);
    enum sl_err err = sl_txn_commit(&txn);
    sl_buf_clear(cursor);
    if (rows == rows_max)
        sl_buf_append_slice(cursor, sl_buf_slice(&last));
    sl_buf_deinit(&keys);
    sl_buf_deinit(&last);
    return err;
}
