/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/chain.h"

#include <inttypes.h>
#include <stdio.h>

#include "runtime/filter.h"
#include "actors/record.h"
#include "actors/rows.h"
#include "runtime/alloc.h"

struct chain {
    struct sl_txn *txn;
    struct sl_scope scope;
    struct sl_json about, tier; /* tier: the first of about.chain. */
    char *batch, run[16];
    uint64_t total;
    bool is_too_large;
    struct sl_buf key, payload, event;
};

static void
run_text(uint32_t run, char ret_text[static 16])
{
    (void)snprintf(ret_text, 16, "%" PRIu32, run);
}

void
sl_chain_note(struct sl_txn *txn, struct sl_scope scope, const struct sl_task_payload *p,
              const char *record_id)
{
    struct sl_buf key = {0};
    char run[16], *batch = sl_strndup(p->origin.data, p->origin.size);
    char *collection = sl_strndup(p->collection.data, p->collection.size);
    run_text(p->run, run);
    sl_txn_put(txn, scope, SL_TABLE_TIER, sl_key(&key, 4, batch, run, collection, record_id),
               sl_slice_str(""));
    sl_free(batch);
    sl_free(collection);
    sl_buf_deinit(&key);
}

/* ---- the next tier's tasks ----------------------------------------------------------------- */

/* Does the record hold? One that is gone meanwhile does not. */
static bool
is_wanted(struct chain *c, const struct sl_filter *filter, struct sl_slice key)
{
    struct sl_json_doc *doc = NULL;
    struct sl_record record;
    struct sl_slice row;
    if (filter == NULL)
        return true;
    if (sl_txn_get(c->txn, c->scope, SL_TABLE_RECORD, key, &row) != SL_OK ||
        sl_record_decode(row, &record) != SL_OK ||
        sl_json_parse(record.fields, &doc, NULL) != SL_OK)
        return false;
    bool is_held = sl_filter_matches(filter, sl_json_root(doc));
    sl_json_destroy(&doc);
    return is_held;
}

static void
add_task(struct chain *c, const struct sl_task_payload *p)
{
    if (c->total >= SL_CHAIN_TASKS_MAX) {
        c->is_too_large = true;
        return;
    }
    sl_buf_clear(&c->payload);
    sl_task_payload_encode(p, &c->payload);
    sl_queue_event_task(&c->event, sl_buf_slice(&c->payload));
    c->total++;
}

/* A task for each record that this run wrote into `source`. */
static void
add_records(struct chain *c, struct sl_task_payload *p, const char *source,
            const struct sl_filter *filter)
{
    struct sl_buf key = {0};
    struct sl_scan scan = {0};
    sl_txn_scan(c->txn, c->scope, SL_TABLE_TIER,
                sl_key_prefix(&c->key, 3, c->batch, c->run, source), sl_slice(NULL, 0), false,
                &scan);
    while (!c->is_too_large && sl_scan_next(&scan)) {
        sl_buf_clear(&key);
        sl_buf_append_str(&key, source);
        sl_buf_append_u8(&key, 0);
        sl_buf_append_slice(&key, sl_key_part(scan.key, 3));
        p->source = sl_buf_slice(&key);
        if (is_wanted(c, filter, p->source))
            add_task(c, p);
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&key);
}

static void
add_collection(struct chain *c, struct sl_json collection, uint64_t run)
{
    char *id = sl_json_strdup(sl_json_member(collection, "collection_id"));
    struct sl_filter *filter = NULL;
    char *why = NULL;
    struct sl_task_payload p = {.kind = SL_SOURCE_RECORD,
                                .run = (uint32_t)run,
                                .origin = sl_slice_str(c->batch),
                                .collection = sl_slice_str(id == NULL ? "" : id)};
    p.is_chained = sl_json_bool(sl_json_member(collection, "is_chained"), false);
    /* It was compiled once before it was stored. */
    bool is_good = id != NULL && sl_filter_compile(sl_json_member(collection, "filters"), NULL,
                                                   &filter, &why) == SL_OK;
    struct sl_json sources = sl_json_member(collection, "sources");
    for (struct sl_json_iter i = sl_json_iter(sources); is_good && sl_json_next(&i);) {
        char *source = sl_json_strdup(i.value);
        if (source != NULL)
            add_records(c, &p, source, filter);
        sl_free(source);
    }
    sl_filter_destroy(&filter);
    sl_free(why);
    sl_free(id);
}

/* ---- the next tier's job ------------------------------------------------------------------- */

/* The next job's `about`: this one's, one tier on. */
static void
write_about(struct chain *c, uint64_t tier, struct sl_buf *out)
{
    static const char *const own[] = {"chain", "current_tier", "collection_ids"};
    struct sl_json chain = sl_json_member(c->about, "chain");
    struct sl_jsonw w;
    bool is_first = true;
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    for (struct sl_json_iter i = sl_json_iter(c->about); sl_json_next(&i);) {
        bool is_own = false;
        for (size_t k = 0; k < SL_COUNT_OF(own); k++)
            is_own = is_own || sl_json_is(i.name, own[k]);
        char *name = is_own ? NULL : sl_json_strdup(i.name);
        if (name != NULL)
            sl_jsonw_member_value(&w, name, i.value);
        sl_free(name);
    }
    sl_jsonw_member_u64(&w, "current_tier", tier);
    sl_jsonw_name(&w, "collection_ids");
    sl_jsonw_array(&w);
    struct sl_json collections = sl_json_member(c->tier, "collections");
    for (struct sl_json_iter i = sl_json_iter(collections); sl_json_next(&i);)
        sl_jsonw_value(&w, sl_json_member(i.value, "collection_id"));
    sl_jsonw_end(&w);
    sl_jsonw_name(&w, "chain");
    sl_jsonw_array(&w);
    for (struct sl_json_iter i = sl_json_iter(chain); sl_json_next(&i); is_first = false) {
        if (!is_first)
            sl_jsonw_value(&w, i.value);
    }
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

/* Everything is read: now the writes. */
static void
put_job(struct chain *c, struct sl_job_id id, uint64_t tier, const struct sl_job_row *ended,
        uint64_t now_ms)
{
    struct sl_buf about = {0}, row = {0};
    char error[96] = "";
    write_about(c, tier, &about);
    struct sl_job_row job = {.state = SL_JOB_PENDING,
                             .created_ms = now_ms,
                             .total = c->total,
                             .kind = ended->kind,
                             .about = sl_buf_slice(&about)};
    if (c->is_too_large) {
        (void)snprintf(error, sizeof(error), "the tier has more than %d documents",
                       SL_CHAIN_TASKS_MAX);
        job.state = SL_JOB_FAILED;
        job.ended_ms = now_ms;
        job.error = sl_slice_str(error);
    } else {
        sl_txn_event(c->txn, SL_PROJECTION_QUEUE, c->scope, sl_buf_slice(&c->event));
    }
    sl_job_row_encode(&job, &row);
    sl_txn_put(c->txn, c->scope, SL_TABLE_JOB, sl_slice(id.bytes, sizeof(id.bytes)),
               sl_buf_slice(&row));
    sl_buf_deinit(&about);
    sl_buf_deinit(&row);
}

/* What was noted for later tiers is of no use any more. */
static void
drop_notes(struct chain *c)
{
    struct sl_buf garbage = {0};
    sl_buf_append_u64(&garbage, c->scope.id);
    sl_buf_append_u8(&garbage, SL_TABLE_TIER);
    sl_buf_append_slice(&garbage, sl_key_prefix(&c->key, 2, c->batch, c->run));
    sl_txn_put(c->txn, SL_SCOPE_SYSTEM, SL_TABLE_GARBAGE, sl_buf_slice(&garbage), sl_slice_str(""));
    sl_buf_deinit(&garbage);
}

static bool
stage_next(struct chain *c, const struct sl_job_row *ended, uint64_t now_ms,
           struct sl_job_id *ret_next)
{
    struct sl_json_iter first = sl_json_iter(sl_json_member(c->about, "chain"));
    uint64_t run = 0, tier = 0;
    struct sl_slice text;
    struct sl_buf scratch = {0};
    (void)!sl_json_u64(sl_json_member(c->about, "run"), &run);
    (void)!sl_json_u64(sl_json_member(c->about, "current_tier"), &tier);
    run_text((uint32_t)run, c->run);
    bool is_more = sl_json_next(&first);
    if (is_more)
        c->tier = first.value;
    bool is_made = is_more &&
                   (ended->state == SL_JOB_SUCCEEDED || ended->state == SL_JOB_PARTIAL) &&
                   sl_json_text(sl_json_member(c->tier, "task_id"), &scratch, &text) == SL_OK &&
                   sl_job_id_parse(text, ret_next) == SL_OK;
    sl_buf_deinit(&scratch);
    if (is_made) {
        sl_queue_event_enqueue(&c->event, &(struct sl_enqueue){.job = *ret_next,
                                                               .class = SL_CLASS_CPU,
                                                               .priority = 5,
                                                               .created_ms = now_ms});
        struct sl_json collections = sl_json_member(c->tier, "collections");
        for (struct sl_json_iter i = sl_json_iter(collections); sl_json_next(&i);)
            add_collection(c, i.value, run);
        put_job(c, *ret_next, tier + 1, ended, now_ms);
        is_made = !c->is_too_large;
    }
    if (!is_made && (is_more || tier > 0))
        drop_notes(c);
    return is_made;
}

bool
sl_chain_next(struct sl_txn *txn, struct sl_scope scope, const struct sl_job_row *ended,
              uint64_t now_ms, struct sl_job_id *ret_next)
{
    struct chain c = {.txn = txn, .scope = scope};
    struct sl_json_doc *doc = NULL;
    bool is_made = false;
    if (ended->about.size == 0 || sl_json_parse(ended->about, &doc, NULL) != SL_OK)
        return false;
    c.about = sl_json_root(doc);
    c.batch = sl_json_strdup(sl_json_member(c.about, "batch_id"));
    if (c.batch != NULL && sl_json_has(sl_json_member(c.about, "chain")))
        is_made = stage_next(&c, ended, now_ms, ret_next);
    sl_json_destroy(&doc);
    sl_free(c.batch);
    sl_buf_deinit(&c.key);
    sl_buf_deinit(&c.payload);
    sl_buf_deinit(&c.event);
    return is_made;
}
