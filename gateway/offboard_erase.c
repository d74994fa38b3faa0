/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes when a tenant does, once its time is over. Each part may be cut anywhere and done
 * again: files before the rows that name them, and rows before the note that they are to go.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "actors/index.h"
#include "actors/rows.h"
#include "gateway/account.h"
#include "gateway/export.h"
#include "gateway/offboard.h"
#include "gateway/meter.h"
#include "gateway/purge.h"
#include "gateway/resource.h"
#include "gateway/trace_log.h"
#include "gateway/unpack.h"
#include "object-store/incoming.h"
#include "queue/event.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/report_tap.h"
#include "runtime/store_erase.h"

#define JOBS_AT_ONCE 500
#define KEYS_AT_ONCE 1000
#define YOUNG_MS     (10 * 60 * UINT64_C(1000)) /* No request takes so long. */

/* ---- keys ----------------------------------------------------------------------------------- */

struct gone {
    uint8_t digest[SL_SHA256_SIZE];
};

static void
after_key(struct sl_call *call, void *arg)
{
    sl_keyring_remove(call->gateway->keyring, ((struct gone *)arg)->digest);
}

/* Secrets that a rotation left are there under no user, so all keys are looked at; few are parsed.
 */
bool
sl_erase_keys(struct sl_passage *p)
{
    struct sl_call *call = p->call;
    struct sl_scan scan = {0};
    uint32_t count = 0;
    struct sl_buf keys = {0};
    sl_txn_scan(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_KEY, sl_slice(NULL, 0), sl_slice(NULL, 0),
                false, &scan);
    while (count < KEYS_AT_ONCE && sl_scan_next(&scan)) {
        struct sl_json_doc *doc = NULL;
        if (memmem(scan.value.data, scan.value.size, p->tenant.tenant_id,
                   strlen(p->tenant.tenant_id)) == NULL ||
            sl_json_parse(scan.value, &doc, NULL) != SL_OK)
            continue;
        if (scan.key.size == SL_SHA256_SIZE &&
            sl_json_is(sl_json_member(sl_json_root(doc), "tenant_id"), p->tenant.tenant_id)) {
            sl_buf_append_slice(&keys, scan.key);
            count++;
        }
        sl_json_destroy(&doc);
    }
    sl_scan_end(&scan);
    for (uint32_t i = 0; i < count; i++) {
        struct gone *gone = sl_call_alloc(call, sizeof(*gone));
        memcpy(gone->digest, keys.data + (size_t)i * SL_SHA256_SIZE, SL_SHA256_SIZE);
        sl_txn_del(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_KEY,
                   sl_slice(gone->digest, sizeof(gone->digest)));
        sl_call_after_commit(call, after_key, gone);
    }
    sl_buf_deinit(&keys);
    return count < KEYS_AT_ONCE;
}

/* ---- work ----------------------------------------------------------------------------------- */

static void
put_event(struct sl_passage *p, struct sl_buf *event)
{
    sl_txn_event(p->call->txn, SL_PROJECTION_QUEUE, p->tenant.scope, sl_buf_slice(event));
    sl_buf_clear(event);
}

/* Cancel what has not ended, and have the queue forget what has. True: it knows none of them. */
static bool
end_jobs(struct sl_passage *p)
{
    struct sl_buf event = {0};
    struct sl_scan scan = {0};
    uint32_t left = 0;
    sl_txn_scan(p->call->txn, p->tenant.scope, SL_TABLE_JOB, sl_slice(NULL, 0), sl_slice(NULL, 0),
                false, &scan);
    while (left < JOBS_AT_ONCE && sl_scan_next(&scan)) {
        struct sl_job_id id;
        struct sl_job_info info;
        if (scan.key.size != sizeof(id.bytes))
            continue;
        memcpy(id.bytes, scan.key.data, sizeof(id.bytes));
        if (sl_queue_job(p->call->gateway->queue, id, &info) != SL_OK ||
            info.scope.id != p->tenant.scope.id)
            continue;
        left++;
        if (info.state <= SL_JOB_RUNNING)
            sl_queue_event_cancel(&event, id);
        else if (info.leased == 0)
            sl_queue_event_forget(&event, id);
        if (event.size > 0)
            put_event(p, &event);
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&event);
    return left == 0;
}

/* Its own queues, with all that is in them. */
static bool
drop_queues(struct sl_passage *p)
{
    struct sl_buf event = {0};
    struct sl_queue_depth depth;
    bool is_done = true;
    for (uint32_t at = 0;
         sl_queue_depth_next(p->call->gateway->queue, p->tenant.scope, &at, &depth);) {
        if (depth.class != SL_CLASS_OWN)
            continue;
        is_done = false;
        sl_queue_event_drop_lane(&event, depth.name);
        put_event(p, &event);
    }
    sl_buf_deinit(&event);
    return is_done;
}

static void
drop_indexes(struct sl_passage *p)
{
    struct sl_scan scan = {0};
    sl_txn_scan(p->call->txn, p->tenant.scope, SL_TABLE_COLLECTION, sl_slice(NULL, 0),
                sl_slice(NULL, 0), false, &scan);
    while (sl_scan_next(&scan))
        sl_index_drop(p->call->gateway->indexes, p->tenant.scope, sl_key_part(scan.key, 1));
    sl_scan_end(&scan);
}

bool
sl_erase_work(struct sl_passage *p)
{
    bool has_no_jobs = end_jobs(p);
    if (!drop_queues(p) || !has_no_jobs ||
        sl_queue_has_dropped(p->call->gateway->queue, p->tenant.scope))
        return false;
    drop_indexes(p);
    return true;
}

/* ---- blobs ---------------------------------------------------------------------------------- */

/* Those that the tenant's rows name, in order, without the last character's end. */
struct named {
    char (*ids)[SL_BLOB_ID_SIZE];
    bool *is_kept;
    size_t count, capacity;
};

static int
order(const void *a, const void *b)
{
    return memcmp(a, b, SL_BLOB_ID_SIZE - 1);
}

static void
note_id(void *arg, const uint8_t *id)
{
    struct named *n = arg;
    if (n->count == n->capacity) {
        n->capacity = SL_MAX(2 * n->capacity, (size_t)64);
        n->ids = sl_realloc(n->ids, n->capacity * sizeof(*n->ids));
    }
    memcpy(n->ids[n->count], id, SL_BLOB_ID_SIZE - 1);
    n->ids[n->count++][SL_BLOB_ID_SIZE - 1] = '\0';
}

static void
keep_id(void *arg, const uint8_t *id)
{
    struct named *n = arg;
    const char(*found)[SL_BLOB_ID_SIZE] = bsearch(id, n->ids, n->count, sizeof(*n->ids), order);
    if (found != NULL)
        n->is_kept[found - n->ids] = true;
}

static void
each_named(struct sl_txn *txn, struct sl_scope scope, void (*then)(void *arg, const uint8_t *id),
           struct named *n)
{
    static const uint8_t tables[] = {SL_TABLE_SOURCE, SL_TABLE_UPLOAD};
    for (size_t i = 0; i < SL_COUNT_OF(tables); i++) {
        struct sl_scan scan = {0};
        sl_txn_scan(txn, scope, tables[i], sl_slice(NULL, 0), sl_slice(NULL, 0), false, &scan);
        while (sl_scan_next(&scan))
            sl_blobs_named(scan.value, then, n);
        sl_scan_end(&scan);
    }
}

static void
sort_ids(struct named *n)
{
    size_t count = 0;
    qsort(n->ids, n->count, sizeof(*n->ids), order);
    for (size_t i = 0; i < n->count; i++)
        if (count == 0 || order(n->ids[i], n->ids[count - 1]) != 0)
            memmove(n->ids[count++], n->ids[i], sizeof(*n->ids));
    n->count = count;
    n->is_kept = sl_zalloc(count * sizeof(*n->is_kept));
}

/* Exports that are there, but the tenant's own. Its row names none of its objects. */
static void
each_export(struct sl_txn *txn, const char *but_of, struct named *n)
{
    struct sl_scan scan = {0};
    sl_txn_scan(txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, sl_slice(NULL, 0), sl_slice(NULL, 0), false,
                &scan);
    while (sl_scan_next(&scan))
        if (!sl_slice_equal(scan.key, sl_slice_str(but_of)))
            sl_blobs_named(scan.value, keep_id, n);
    sl_scan_end(&scan);
}

/*
 * Remove those that no row names. A request that has stored the same bytes, and whose row is not
 * there yet, has made the file anew just now: its name was changed, and it stays. False: some do.
 */
static bool
remove_named(struct sl_call *call, const char *tenant_id, struct named *n)
{
    bool is_done = true;
    for (size_t i = 0; i < n->count; i++) {
        if (n->is_kept[i])
            continue;
        enum sl_err err = sl_blob_remove_older(call->gateway->blobs, n->ids[i],
                                               call->now_ms - SL_MIN(call->now_ms, YOUNG_MS));
        is_done = is_done && err == SL_OK;
        if (err != SL_OK && err != SL_EBUSY)
            sl_report_error("blob-not-removed", "tenant=%s blob=%s err=%s action=retry", tenant_id,
                            n->ids[i], sl_err_name(err));
    }
    sl_free(n->ids);
    sl_free(n->is_kept);
    return is_done;
}

/*
 * Tenants share the file of the same bytes, so one that another's row names stays. All of it is one
 * turn, so that no row comes in between: a tenth of a second for 100,000 objects of all others, and
 * only where the tenant has blobs.
 */
bool
sl_erase_blobs(struct sl_passage *p)
{
    struct sl_txn *txn = p->call->txn;
    struct named n = {0};
    struct sl_buf last = {0};
    struct sl_scope scope;
    const char *export = sl_member_str(p->call, sl_json_member(p->row, "export"), "sha256");
    if (p->call->gateway->blobs == NULL)
        return true;
    each_named(txn, p->tenant.scope, note_id, &n);
    if (sl_blob_is_id(export))
        note_id(&n, (const uint8_t *)export);
    if (n.count > 0)
        sort_ids(&n);
    while (n.count > 0 && sl_tenant_next(txn, &last, &scope))
        if (scope.id != 0 && scope.id != p->tenant.scope.id)
            each_named(txn, scope, keep_id, &n);
    if (n.count > 0)
        each_export(txn, p->tenant.tenant_id, &n);
    sl_buf_deinit(&last);
    return remove_named(p->call, p->tenant.tenant_id, &n);
}

struct cancelled {
    char tenant_id[64], export[SL_BLOB_ID_SIZE];
};

static void
after_cancel(struct sl_call *call, void *arg)
{
    const struct cancelled *c = arg;
    struct sl_txn *txn = sl_store_begin(call->gateway->store);
    struct named n = {0};
    struct sl_buf last = {0};
    struct sl_scope scope;
    note_id(&n, (const uint8_t *)c->export);
    sort_ids(&n);
    while (sl_tenant_next(txn, &last, &scope))
        if (scope.id != 0)
            each_named(txn, scope, keep_id, &n);
    each_export(txn, "", &n);
    sl_txn_abort(&txn);
    sl_buf_deinit(&last);
    (void)remove_named(call, c->tenant_id, &n); /* One that stays goes with the next start. */
}

void
sl_erase_export(struct sl_call *call, struct sl_json row)
{
    const char *id = sl_member_str(call, sl_json_member(row, "export"), "sha256");
    if (!sl_blob_is_id(id) || call->gateway->blobs == NULL)
        return;
    struct cancelled *c = sl_call_alloc(call, sizeof(*c));
    (void)snprintf(c->tenant_id, sizeof(c->tenant_id), "%s", call->who.tenant_id);
    (void)snprintf(c->export, sizeof(c->export), "%s", id);
    sl_call_after_commit(call, after_cancel, c);
}

/* ---- files and rows ------------------------------------------------------------------------- */

bool
sl_erase_files(struct sl_passage *p)
{
    struct sl_gateway *g = p->call->gateway;
    struct sl_scan scan = {0};
    sl_txn_scan(p->call->txn, p->tenant.scope, SL_TABLE_UPLOAD, sl_slice(NULL, 0),
                sl_slice(NULL, 0), false, &scan);
    while (g->incoming != NULL && sl_scan_next(&scan)) {
        const char *name = sl_call_identifier(p->call, sl_key_part(scan.key, 1));
        if (name != NULL)
            sl_incoming_remove(g->incoming, name);
    }
    sl_scan_end(&scan);
    char *path = sl_format("%s/models/%" PRIu64, g->data_directory, p->tenant.scope.id);
    sl_tree_remove(path);
    bool is_gone = access(path, F_OK) != 0 && errno == ENOENT;
    if (!is_gone)
        sl_report_error("files-not-removed", "tenant=%s path=%s action=retry", p->tenant.tenant_id,
                        path);
    sl_free(path);
    return is_gone;
}

/* Rows of the system's scope that are about the tenant's, up to SL_PURGE_ROWS: were there so many?
 */
static bool
delete_outside(struct sl_passage *p, uint8_t table, struct sl_slice prefix)
{
    struct sl_scan scan = {0};
    struct sl_buf keys = {0};
    uint32_t count = 0;
    sl_txn_scan(p->call->txn, SL_SCOPE_SYSTEM, table, prefix, sl_slice(NULL, 0), false, &scan);
    for (; count < SL_PURGE_ROWS && sl_scan_next(&scan); count++)
        sl_buf_append_block(&keys, scan.key);
    sl_scan_end(&scan);
    struct sl_reader r = sl_reader(sl_buf_slice(&keys));
    while (!sl_reader_is_done(&r) && !r.is_bad)
        sl_txn_del(p->call->txn, SL_SCOPE_SYSTEM, table, sl_read_block(&r));
    sl_buf_deinit(&keys);
    return count == SL_PURGE_ROWS;
}

bool
sl_erase_rows(struct sl_passage *p)
{
    struct sl_buf key = {0};
    struct sl_scan scan = {0};
    bool is_more = false;
    sl_txn_scan(p->call->txn, p->tenant.scope, SL_TABLE_WEBHOOK, sl_slice(NULL, 0),
                sl_slice(NULL, 0), false, &scan);
    while (!is_more && sl_scan_next(&scan)) {
        const char *webhook = sl_call_identifier(p->call, scan.key);
        if (webhook != NULL)
            is_more = delete_outside(p, SL_TABLE_DUE, sl_key_prefix(&key, 1, webhook));
    }
    sl_scan_end(&scan);
    sl_buf_clear(&key);
    sl_buf_append_u64(&key, p->tenant.scope.id);
    is_more = is_more || delete_outside(p, SL_TABLE_GARBAGE, sl_buf_slice(&key));
    sl_buf_clear(&key);
    for (int shift = 56; shift >= 0; shift -= 8)
        sl_buf_append_u8(&key, (uint8_t)(p->tenant.scope.id >> shift));
    is_more = is_more || delete_outside(p, SL_TABLE_OPENING, sl_buf_slice(&key));
    sl_buf_deinit(&key);
    if (is_more)
        return false;
    return sl_rows_delete_any(p->call->txn, p->tenant.scope, SL_PURGE_ROWS) == 0;
}

/* ---- the disk ------------------------------------------------------------------------------- */

static void
note_cell(void *arg, uint64_t at_ms, const struct sl_ledger_entry *e)
{
    (void)at_ms, (void)e;
    *(bool *)arg = true;
}

/*
 * Its rows are gone, but what its last calls have used may be on its way: the meter records it
 * within a second. Nobody calls any more, so that what comes so is the last.
 */
static bool
may_rows_come(struct sl_passage *p)
{
    const struct sl_meter *meter = p->call->gateway->meter;
    bool is_used = false;
    if (meter != NULL)
        sl_meter_walk(meter, p->tenant.scope, p->call->now_ms, note_cell, &is_used);
    return is_used || sl_rows_delete_any(p->call->txn, p->tenant.scope, SL_PURGE_ROWS) > 0;
}

/* What no row has any more, out of the log and the catalogue's file too. A start begins it anew. */
bool
sl_erase_disk(struct sl_passage *p)
{
    struct sl_gateway *g = p->call->gateway;
    if (g->erased.scope.id != 0 && g->erased.scope.id != p->tenant.scope.id)
        return false; /* One at a time, to its end. */
    if (g->erased.scope.id == 0 && may_rows_come(p))
        return false;
    if (g->erased.scope.id == 0) {
        g->erased.scope = p->tenant.scope;
        g->erased.ticket = sl_store_erase(g->store);
    }
    if (!sl_store_is_erased(g->store, g->erased.ticket))
        return false;
    if (g->lines != NULL)
        sl_report_tap_forget(g->lines, p->tenant.scope.id, p->tenant.tenant_id);
    if (g->trace_log != NULL)
        sl_trace_log_forget(g->trace_log, p->tenant.scope);
    g->erased.scope.id = 0;
    return true;
}
