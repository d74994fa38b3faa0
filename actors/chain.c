/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/chain.h"

#include <inttypes.h>
#include <stdio.h>

#include "actors/chain_row.h"
#include "actors/rows.h"
#include "runtime/alloc.h"

struct chain {
    struct sl_txn *txn;
    struct sl_scope scope;
    struct sl_json about, tier; /* tier: the first of about.chain. */
    char *batch;
    struct sl_buf key;
};

void
sl_chain_run_format(uint64_t run, char ret_text[static SL_CHAIN_RUN_SIZE])
{
    (void)snprintf(ret_text, SL_CHAIN_RUN_SIZE, "%" PRIu32, (uint32_t)run);
}

struct sl_slice
sl_chain_key(struct sl_buf *out, struct sl_scope scope, struct sl_job_id job)
{
    sl_buf_clear(out);
    sl_buf_append_u64be(out, scope.id);
    sl_buf_append_slice(out, sl_slice(job.bytes, sizeof(job.bytes)));
    return sl_buf_slice(out);
}

void
sl_chain_note(struct sl_txn *txn, struct sl_scope scope, const struct sl_task_payload *p,
              const char *record_id)
{
    struct sl_buf key = {0};
    char run[SL_CHAIN_RUN_SIZE], *batch = sl_strndup(p->origin.data, p->origin.size);
    char *collection = sl_strndup(p->collection.data, p->collection.size);
    sl_chain_run_format(p->run, run);
    sl_txn_put(txn, scope, SL_TABLE_TIER, sl_key(&key, 4, batch, run, collection, record_id),
               sl_slice_str(""));
    sl_free(batch);
    sl_free(collection);
    sl_buf_deinit(&key);
}

/* ---- the next tier's job ------------------------------------------------------------------- */

/* The next job's `about`: this one's, one tier on. */
static void
write_about(struct chain *c, uint64_t tier, struct sl_buf *out)
{
    static const char *const own[] = {"chain", "current_tier", "collection_ids", SL_CHAIN_FETCHED,
                                      SL_CHAIN_KEPT};
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

/* The job without its tasks, and the promise of these. */
static void
put_job(struct chain *c, struct sl_job_id id, uint64_t tier, const struct sl_job_row *ended,
        uint64_t now_ms)
{
    struct sl_buf about = {0}, row = {0};
    write_about(c, tier, &about);
    sl_job_row_encode(&(struct sl_job_row){.state = SL_JOB_PENDING,
                                           .created_ms = now_ms,
                                           .kind = ended->kind,
                                           .about = sl_buf_slice(&about)},
                      &row);
    sl_txn_put(c->txn, c->scope, SL_TABLE_JOB, sl_slice(id.bytes, sizeof(id.bytes)),
               sl_buf_slice(&row));
    sl_txn_put(c->txn, SL_SCOPE_SYSTEM, SL_TABLE_OPENING, sl_chain_key(&c->key, c->scope, id),
               sl_json_raw(c->tier));
    sl_buf_deinit(&about);
    sl_buf_deinit(&row);
}

void
sl_chain_drop_notes(struct sl_txn *txn, struct sl_scope scope, const char *batch, uint64_t run)
{
    struct sl_buf garbage = {0}, key = {0};
    char text[SL_CHAIN_RUN_SIZE];
    sl_chain_run_format(run, text);
    sl_buf_append_u64(&garbage, scope.id);
    sl_buf_append_u8(&garbage, SL_TABLE_TIER);
    sl_buf_append_slice(&garbage, sl_key_prefix(&key, 2, batch, text));
    sl_txn_put(txn, SL_SCOPE_SYSTEM, SL_TABLE_GARBAGE, sl_buf_slice(&garbage), sl_slice_str(""));
    sl_buf_deinit(&garbage);
    sl_buf_deinit(&key);
}

static bool
has_note(struct chain *c, const char *run, struct sl_json source)
{
    struct sl_scan scan = {0};
    char *collection = sl_json_strdup(source);
    bool is_found = false;
    if (collection != NULL) {
        sl_txn_scan(c->txn, c->scope, SL_TABLE_TIER,
                    sl_key_prefix(&c->key, 3, c->batch, run, collection), (struct sl_slice){0},
                    false, &scan);
        is_found = sl_scan_next(&scan);
        sl_scan_end(&scan);
    }
    sl_free(collection);
    return is_found;
}

/* Did this run write anything that a collection of a later tier reads? */
static bool
has_input(struct chain *c, uint64_t run)
{
    struct sl_json chain = sl_json_member(c->about, "chain");
    char text[SL_CHAIN_RUN_SIZE];
    bool is_found = false;
    sl_chain_run_format(run, text);
    for (struct sl_json_iter t = sl_json_iter(chain); sl_json_next(&t);) {
        struct sl_json collections = sl_json_member(t.value, "collections");
        for (struct sl_json_iter i = sl_json_iter(collections); sl_json_next(&i);) {
            struct sl_json sources = sl_json_member(i.value, "sources");
            for (struct sl_json_iter k = sl_json_iter(sources); !is_found && sl_json_next(&k);)
                is_found = has_note(c, text, k.value);
        }
    }
    return is_found;
}

/* A tier that failed ends the chain, unless a later one also reads what tiers before it wrote. */
static bool
goes_on(struct chain *c, const struct sl_job_row *ended, uint64_t run)
{
    return ended->state == SL_JOB_SUCCEEDED || ended->state == SL_JOB_PARTIAL ||
           (ended->state == SL_JOB_FAILED && has_input(c, run));
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
    bool is_more = sl_json_next(&first);
    if (is_more)
        c->tier = first.value;
    bool is_made = is_more && goes_on(c, ended, run) &&
                   sl_json_text(sl_json_member(c->tier, "task_id"), &scratch, &text) == SL_OK &&
                   sl_job_id_parse(text, ret_next) == SL_OK;
    sl_buf_deinit(&scratch);
    if (is_made)
        put_job(c, *ret_next, tier + 1, ended, now_ms);
    else if (is_more || tier > 0)
        sl_chain_drop_notes(c->txn, c->scope, c->batch, run);
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
    return is_made;
}
