/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a tier: walk what its sources' tiers noted in slices, a task for each record that holds,
 * then one commit. The notes do not change meanwhile: all who write them have ended.
 */
#include <inttypes.h>
#include <stdio.h>

#include "actors/chain_row.h"
#include "actors/count.h"
#include "actors/delivery.h"
#include "actors/record.h"
#include "actors/rows.h"
#include "runtime/alloc.h"
#include "runtime/filter.h"

#define SLICE_ROWS 1000

struct sl_chain_opener {
    bool is_busy;
    struct sl_scope scope;
    struct sl_job_id job;
    struct sl_buf text; /* The tier's JSON, that `tier` borrows. */
    struct sl_json_doc *tier;
    char *batch;
    uint64_t run;
    uint32_t collection, source; /* Where in the tier we are. */
    struct sl_filter *filter;    /* Of that collection. */
    struct sl_buf after;         /* The last note that was looked at in this source. */
    struct sl_buf event, payload, key;
    uint64_t fetched, total; /* Notes that were looked at, and tasks that were made of them. */
};

struct sl_chain_opener *
sl_chain_opener_create(void)
{
    return sl_zalloc(sizeof(struct sl_chain_opener));
}

static void
reset(struct sl_chain_opener *o)
{
    sl_filter_destroy(&o->filter);
    sl_json_destroy(&o->tier);
    sl_free(o->batch);
    sl_buf_deinit(&o->text);
    sl_buf_deinit(&o->after);
    sl_buf_deinit(&o->event);
    sl_buf_deinit(&o->payload);
    sl_buf_deinit(&o->key);
    *o = (struct sl_chain_opener){0};
}

void
sl_chain_opener_destroy(struct sl_chain_opener **opener)
{
    if (*opener == NULL)
        return;
    reset(*opener);
    sl_free(*opener);
    *opener = NULL;
}

/* ---- slices -------------------------------------------------------------------------------- */

static struct sl_json
element(struct sl_json array, uint32_t at)
{
    struct sl_json_iter i = sl_json_iter(array);
    while (sl_json_next(&i)) {
        if (at-- == 0)
            return i.value;
    }
    return (struct sl_json){0};
}

/* Does the record hold? One that is gone meanwhile does not. */
static bool
is_wanted(struct sl_chain_opener *o, struct sl_txn *txn, struct sl_slice key)
{
    struct sl_json_doc *doc = NULL;
    struct sl_record record;
    struct sl_slice row;
    if (o->filter == NULL)
        return true;
    if (sl_txn_get(txn, o->scope, SL_TABLE_RECORD, key, &row) != SL_OK ||
        sl_record_decode(row, &record) != SL_OK ||
        sl_json_parse(record.fields, &doc, NULL) != SL_OK)
        return false;
    bool is_held = sl_filter_matches(o->filter, sl_json_root(doc));
    sl_json_destroy(&doc);
    return is_held;
}

/* The collection and source we are at; false: all are done. */
static bool
locate(struct sl_chain_opener *o, struct sl_json *ret_collection, char **ret_source)
{
    struct sl_json collections = sl_json_member(sl_json_root(o->tier), "collections");
    for (;; o->collection++, o->source = 0) {
        *ret_collection = element(collections, o->collection);
        if (sl_json_kind(*ret_collection) == SL_JSON_NONE)
            return false;
        if (o->source == 0 && o->after.size == 0) {
            char *why = NULL; /* It was compiled once before it was stored. */
            sl_filter_destroy(&o->filter);
            if (SL_BUG(sl_filter_compile(sl_json_member(*ret_collection, "filters"), NULL,
                                         &o->filter, &why) != SL_OK)) {
                sl_free(why);
                continue;
            }
        }
        *ret_source =
            sl_json_strdup(element(sl_json_member(*ret_collection, "sources"), o->source));
        if (*ret_source != NULL)
            return true;
    }
}

/* Look at some notes of the source; at its end, move to the next. */
static void
take_slice(struct sl_chain_opener *o, struct sl_txn *txn, struct sl_task_payload *p,
           const char *source)
{
    struct sl_scan scan = {0};
    struct sl_buf prefix = {0};
    char run[SL_CHAIN_RUN_SIZE];
    uint32_t count = 0;
    bool has_row = true;
    sl_chain_run_format(o->run, run);
    sl_txn_scan(txn, o->scope, SL_TABLE_TIER, sl_key_prefix(&prefix, 3, o->batch, run, source),
                sl_buf_slice(&o->after), false, &scan);
    while (count < SLICE_ROWS && (has_row = sl_scan_next(&scan))) {
        count++;
        o->fetched++;
        sl_buf_clear(&o->after);
        sl_buf_append_slice(&o->after, scan.key);
        sl_buf_clear(&o->key);
        sl_buf_append_str(&o->key, source);
        sl_buf_append_u8(&o->key, 0);
        sl_buf_append_slice(&o->key, sl_key_part(sl_buf_slice(&o->after), 3));
        p->source = sl_buf_slice(&o->key);
        if (!is_wanted(o, txn, p->source))
            continue;
        sl_buf_clear(&o->payload);
        sl_task_payload_encode(p, &o->payload);
        sl_queue_event_task(&o->event, sl_buf_slice(&o->payload));
        o->total++;
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    if (!has_row) {
        o->source++;
        sl_buf_clear(&o->after);
    }
}

/* False: there is nothing left to look at. */
static bool
take_some(struct sl_chain_opener *o, struct sl_txn *txn)
{
    struct sl_json collection;
    char *source;
    if (!locate(o, &collection, &source))
        return false;
    char *id = sl_json_strdup(sl_json_member(collection, "collection_id"));
    struct sl_task_payload p = {.kind = SL_SOURCE_RECORD,
                                .run = (uint32_t)o->run,
                                .origin = sl_slice_str(o->batch),
                                .collection = sl_slice_str(id == NULL ? "" : id),
                                .is_chained =
                                    sl_json_bool(sl_json_member(collection, "is_chained"), false)};
    take_slice(o, txn, &p, source);
    sl_free(id);
    sl_free(source);
    return true;
}

/* ---- beginning and end --------------------------------------------------------------------- */

/* The next tier to open, if one is. */
static bool
find_opening(struct sl_chain_opener *o, struct sl_txn *txn)
{
    struct sl_scan scan = {0};
    sl_txn_scan(txn, SL_SCOPE_SYSTEM, SL_TABLE_OPENING, sl_slice(NULL, 0), sl_slice(NULL, 0), false,
                &scan);
    bool is_found = sl_scan_next(&scan) && scan.key.size == 8 + sizeof(o->job.bytes);
    if (is_found) {
        struct sl_reader r = sl_reader(scan.key);
        o->scope.id = sl_read_u64be(&r);
        memcpy(o->job.bytes, scan.key.data + 8, sizeof(o->job.bytes));
        sl_buf_append_slice(&o->text, scan.value);
    }
    sl_scan_end(&scan);
    return is_found;
}

/* Read what find_opening found. False: it cannot be read. */
static bool
begin(struct sl_chain_opener *o, const struct sl_job_row *row, uint64_t now_ms)
{
    struct sl_json_doc *about = NULL;
    if (sl_json_parse(sl_buf_slice(&o->text), &o->tier, NULL) != SL_OK ||
        sl_json_parse(row->about, &about, NULL) != SL_OK)
        return false;
    o->batch = sl_json_strdup(sl_json_member(sl_json_root(about), "batch_id"));
    (void)!sl_json_u64(sl_json_member(sl_json_root(about), "run"), &o->run);
    sl_json_destroy(&about);
    sl_queue_event_enqueue(
        &o->event, &(struct sl_enqueue){
                       .job = o->job, .class = SL_CLASS_CPU, .priority = 5, .created_ms = now_ms});
    o->is_busy = true;
    return o->batch != NULL;
}

static void
put_row(struct sl_chain_opener *o, struct sl_txn *txn, const struct sl_job_row *row)
{
    struct sl_buf value = {0};
    sl_job_row_encode(row, &value);
    sl_txn_put(txn, o->scope, SL_TABLE_JOB, sl_slice(o->job.bytes, sizeof(o->job.bytes)),
               sl_buf_slice(&value));
    sl_buf_deinit(&value);
}

/* It is not to run: the chain ends as `row` says. */
static void
end_chain(struct sl_chain_opener *o, struct sl_txn *txn, const struct sl_job_row *row)
{
    struct sl_json_doc *about = NULL;
    if (sl_json_parse(row->about, &about, NULL) == SL_OK) {
        char *batch = sl_json_strdup(sl_json_member(sl_json_root(about), "batch_id"));
        uint64_t run = 0;
        (void)!sl_json_u64(sl_json_member(sl_json_root(about), "run"), &run);
        if (batch != NULL)
            sl_chain_drop_notes(txn, o->scope, batch, run);
        sl_free(batch);
    }
    sl_json_destroy(&about);
    sl_count_job_end(txn, o->scope, row->about, row->state);
    sl_event_job_ended(txn, o->scope, row, row->ended_ms);
}

static void
fail(struct sl_chain_opener *o, struct sl_txn *txn, struct sl_job_row *row, uint64_t now_ms)
{
    char error[96];
    (void)snprintf(error, sizeof(error), "the tier has more than %d documents", SL_CHAIN_TASKS_MAX);
    row->state = SL_JOB_FAILED;
    row->ended_ms = now_ms;
    row->error = sl_slice_str(o->total > 0 ? error : "the tier cannot be read");
    put_row(o, txn, row);
    end_chain(o, txn, row);
}

static bool
read_row(struct sl_chain_opener *o, struct sl_txn *txn, struct sl_buf *copy,
         struct sl_job_row *ret_row)
{
    struct sl_slice value;
    if (sl_txn_get(txn, o->scope, SL_TABLE_JOB, sl_slice(o->job.bytes, sizeof(o->job.bytes)),
                   &value) != SL_OK)
        return false;
    sl_buf_append_slice(copy, value);
    return sl_job_row_decode(sl_buf_slice(copy), ret_row) == SL_OK;
}

/* The job's `about` (never empty), and what its sources gave. */
static struct sl_slice
with_counts(const struct sl_chain_opener *o, struct sl_slice about, struct sl_buf *out)
{
    sl_assert(about.size > 2 && about.data[about.size - 1] == '}');
    sl_buf_append_slice(out, sl_slice(about.data, about.size - 1));
    sl_buf_printf(out, ",\"" SL_CHAIN_FETCHED "\":%" PRIu64 ",\"" SL_CHAIN_KEPT "\":%" PRIu64 "}",
                  o->fetched, o->total);
    return sl_buf_slice(out);
}

/* One step of the tier in hand. True: it is dealt with, commit. */
static bool
step(struct sl_chain_opener *o, struct sl_txn *txn, uint64_t now_ms,
     struct sl_chain_opened *ret_opened)
{
    struct sl_buf copy = {0}, about = {0};
    struct sl_job_row row;
    bool is_dealt = true;
    if (!read_row(o, txn, &copy, &row)) {
        /* Its scope is gone: nothing is left to be done. */
    } else if (row.ended_ms != 0) { /* Cancelled while it waited. */
        end_chain(o, txn, &row);
    } else if ((!o->is_busy && !begin(o, &row, now_ms)) || o->total > SL_CHAIN_TASKS_MAX) {
        fail(o, txn, &row, now_ms);
    } else if (take_some(o, txn)) {
        is_dealt = false;
    } else {
        row.total = o->total;
        row.about = with_counts(o, row.about, &about);
        put_row(o, txn, &row);
        sl_txn_event(txn, SL_PROJECTION_QUEUE, o->scope, sl_buf_slice(&o->event));
        *ret_opened = (struct sl_chain_opened){.is_job = true, .job = o->job};
    }
    if (is_dealt)
        sl_txn_del(txn, SL_SCOPE_SYSTEM, SL_TABLE_OPENING, sl_chain_key(&o->key, o->scope, o->job));
    sl_buf_deinit(&copy);
    sl_buf_deinit(&about);
    return is_dealt;
}

enum sl_err
sl_chain_open_some(struct sl_chain_opener *o, struct sl_store *store, uint64_t now_ms,
                   struct sl_chain_opened *ret_opened)
{
    struct sl_chain_opened opened = {0};
    enum sl_err err = SL_OK;
    struct sl_txn *txn = sl_store_begin(store);
    if (o->is_busy || find_opening(o, txn)) {
        bool is_dealt = step(o, txn, now_ms, &opened);
        opened.is_more = true;
        if (is_dealt) {
            err = sl_txn_commit(&txn);
            reset(o);
        }
    }
    if (txn != NULL)
        sl_txn_abort(&txn);
    if (err == SL_OK)
        *ret_opened = opened;
    return err;
}
