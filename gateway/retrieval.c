/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/retrieval.h"

#include "actors/record.h"
#include "actors/rows.h"
#include "gateway/document/id.h"
#include "gateway/feature_uri.h"
#include "gateway/resource.h"
#include "gateway/template.h"
#include "runtime/time.h"

/* ---- collections --------------------------------------------------------------------------- */

bool
sl_collection_has_feature(const struct sl_retrieval_collection *c, struct sl_slice text)
{
    struct sl_feature_uri uri;
    struct sl_json index = sl_json_member(c->extraction, "index");
    if (sl_feature_uri_parse(text, &uri) != SL_OK || !sl_json_has(index))
        return false;
    struct sl_buf a = {0}, b = {0}, d = {0};
    struct sl_slice name = {0}, extractor = {0}, version = {0};
    bool is_read =
        sl_json_text(index, &a, &name) == SL_OK &&
        sl_json_text(sl_json_member(c->extraction, "extractor"), &b, &extractor) == SL_OK &&
        sl_json_text(sl_json_member(c->extraction, "version"), &d, &version) == SL_OK;
    /* An output names the model: whoever used it, its vectors are comparable. */
    bool has_feature = is_read && (uri.output.size > 0 ? sl_slice_equal(uri.output, name)
                                                       : sl_slice_equal(uri.extractor, extractor) &&
                                                             sl_slice_equal(uri.version, version));
    sl_buf_deinit(&a);
    sl_buf_deinit(&b);
    sl_buf_deinit(&d);
    return has_feature;
}

static void
add_collection(struct sl_call *call, const char *id, struct sl_retrieval *r)
{
    struct sl_buf key = {0};
    struct sl_slice value;
    struct sl_retrieval_collection *c = &r->collections[r->collections_count++];
    *c = (struct sl_retrieval_collection){.id = id};
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_EXTRACTION, sl_key(&key, 1, id), &value) ==
        SL_OK)
        c->extraction = sl_call_parse(call, value);
    sl_buf_deinit(&key);
}

static bool
add_named(struct sl_call *call, struct sl_json identifiers, struct sl_retrieval *r)
{
    for (struct sl_json_iter i = sl_json_iter(identifiers); sl_json_next(&i);) {
        struct sl_resource found;
        if (r->collections_count == SL_RETRIEVAL_COLLECTIONS_MAX) {
            sl_call_invalid(call, "body.collection_identifiers", "too_long",
                            "at most %d collections are searched at once",
                            SL_RETRIEVAL_COLLECTIONS_MAX);
            return false;
        }
        if (!sl_resource_find(call, &sl_kind_collection, call->namespace_id,
                              sl_call_text(call, i.value), &found))
            return false;
        add_collection(call, found.id, r);
    }
    return true;
}

static void
add_all(struct sl_call *call, struct sl_retrieval *r)
{
    struct sl_buf prefix = {0};
    struct sl_scan scan = {0};
    const char *ids[SL_RETRIEVAL_COLLECTIONS_MAX];
    uint32_t count = 0;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_COLLECTION,
                sl_key_prefix(&prefix, 1, call->namespace_id), (struct sl_slice){0}, false, &scan);
    while (count < SL_RETRIEVAL_COLLECTIONS_MAX && sl_scan_next(&scan))
        ids[count++] = (const char *)sl_call_copy(call, sl_key_part(scan.key, 1)).data;
    sl_scan_end(&scan);
    for (uint32_t i = 0; i < count; i++)
        add_collection(call, ids[i], r);
    sl_buf_deinit(&prefix);
}

bool
sl_retrieval_collections(struct sl_call *call, struct sl_json identifiers, struct sl_retrieval *r)
{
    r->collections = sl_call_alloc(call, SL_RETRIEVAL_COLLECTIONS_MAX * sizeof *r->collections);
    r->collections_count = 0;
    if (sl_json_count(identifiers) > 0)
        return add_named(call, identifiers, r);
    add_all(call, r);
    return true;
}

/* ---- documents ----------------------------------------------------------------------------- */

void
sl_found_write(const char *collection, struct sl_slice id, const struct sl_record *record,
               struct sl_jsonw *w)
{
    static const char *const ours[] = {"document_id", "collection_id", "score", "source_object_id",
                                       NULL};
    struct sl_json_doc *doc = NULL;
    sl_jsonw_object(w);
    sl_document_id_write(w, id);
    sl_jsonw_member_str(w, "collection_id", collection);
    sl_jsonw_member_slice(w, "source_object_id", sl_key_part(record->source, 1));
    if (sl_json_parse(record->fields, &doc, NULL) == SL_OK)
        sl_write_except(w, sl_json_root(doc), ours);
    sl_jsonw_end(w);
    sl_json_destroy(&doc);
}

struct sl_json
sl_found_row(struct sl_retrieval *r, uint32_t collection, struct sl_slice id)
{
    struct sl_call *call = r->call;
    struct sl_json row = {0};
    struct sl_buf key = {0}, text = {0};
    struct sl_slice value;
    struct sl_record record;
    const char *name = r->collections[collection].id;
    const char *id_text = (const char *)sl_call_copy(call, id).data;
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_RECORD, sl_key(&key, 2, name, id_text),
                   &value) == SL_OK &&
        sl_record_decode(value, &record) == SL_OK) {
        struct sl_jsonw w;
        sl_jsonw_init(&w, &text);
        sl_found_write(name, id, &record, &w);
        sl_jsonw_done(&w);
        row = sl_call_parse(call, sl_buf_slice(&text));
    }
    sl_buf_deinit(&key);
    sl_buf_deinit(&text);
    return row;
}

struct sl_json
sl_found_field(struct sl_retrieval *r, const struct sl_found *f, struct sl_slice path)
{
    if (!sl_slice_is(path, "score"))
        return sl_json_path(f->row, path);
    if (!f->has_score)
        return (struct sl_json){0};
    struct sl_buf text = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &text);
    sl_jsonw_f64(&w, f->rank.score);
    struct sl_json v = sl_call_parse(r->call, sl_buf_slice(&text));
    sl_buf_deinit(&text);
    return v;
}

/* ---- stages -------------------------------------------------------------------------------- */

struct sl_json
sl_stage_parameter(const struct sl_retrieval *r, const char *name)
{
    return sl_json_member(sl_json_member(r->config, "parameters"), name);
}

enum sl_stage_result
sl_stage_refuse(struct sl_retrieval *r, const char *name, const char *why)
{
    sl_call_invalid(
        r->call,
        sl_call_format(r->call, "body.stages.%u.config.parameters.%s", r->stage_index, name),
        "value_error", "%s", why);
    return SL_STAGE_FAILED;
}

uint32_t
sl_stage_number(struct sl_retrieval *r, const char *name, uint32_t min, uint32_t max,
                uint32_t fallback)
{
    struct sl_json v = sl_stage_parameter(r, name);
    uint64_t number;
    if (!sl_json_has(v))
        return fallback;
    if (sl_json_u64(v, &number) == SL_OK && number >= min && number <= max)
        return (uint32_t)number;
    sl_stage_refuse(r, name, sl_call_format(r->call, "must be an integer in %u..%u", min, max));
    return fallback;
}

static struct sl_json
stage_at(const struct sl_retrieval *r, uint32_t index)
{
    return sl_json_path(r->stages, sl_slice_str(sl_call_format(r->call, "%u", index)));
}

static void run(struct sl_retrieval *r);

static void
on_embedding(struct sl_call *call)
{
    struct sl_retrieval *r = call->state;
    uint32_t dimensions = 0;
    const float *values = sl_call_embedding(call, &dimensions);
    if (values == NULL) {
        sl_call_fail_wait(call);
        return;
    }
    struct sl_query_vector *v = sl_call_alloc(call, sizeof *v);
    float *copy = sl_call_alloc(call, dimensions * sizeof *copy);
    memcpy(copy, values, dimensions * sizeof *copy);
    *v = (struct sl_query_vector){.next = r->vectors,
                                  .text = r->wanted_text,
                                  .index = r->wanted_index,
                                  .values = copy,
                                  .dimensions = dimensions};
    r->vectors = v;
    run(r);
}

/* Ask for what the stage wants embedded: see wait_for in stage/search.c. */
static void
ask_embedding(struct sl_retrieval *r)
{
    for (uint32_t i = 0; i < r->collections_count; i++) {
        struct sl_json index = sl_json_member(r->collections[i].extraction, "index");
        if (sl_slice_equal(sl_call_text(r->call, index), r->wanted_index)) {
            sl_call_embed(r->call, r->collections[i].extraction, r->wanted_text, on_embedding);
            return;
        }
    }
    sl_call_fail(r->call, SL_API_INTERNAL, "no collection has the index that was asked for");
}

static void
begin_stage(struct sl_retrieval *r)
{
    struct sl_template_scope scope = {.input = r->inputs};
    struct sl_buf text = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &text);
    sl_template_expand(sl_json_member(stage_at(r, r->stage_index), "config"), &scope, &w);
    sl_jsonw_done(&w);
    r->config = sl_call_parse(r->call, sl_buf_slice(&text));
    sl_buf_deinit(&text);
}

static void
end_stage(struct sl_retrieval *r, uint64_t now_ns)
{
    struct sl_stage_stat *stat = &r->stats[r->stage_index];
    struct sl_json name = sl_json_member(stage_at(r, r->stage_index), "stage_name");
    stat->name = (const char *)sl_call_copy(r->call, sl_call_text(r->call, name)).data;
    stat->output_count = r->found_count;
    stat->duration_ms = (double)(now_ns - r->stage_started_ns) / (double)SL_MILLI_NS;
    r->stage_started_ns = now_ns;
    r->stage_index++;
    if (r->stage_index < SL_RETRIEVAL_STAGES_MAX)
        r->stats[r->stage_index].input_count = r->found_count;
}

static void
run(struct sl_retrieval *r)
{
    while (r->stage_index < sl_json_count(r->stages)) {
        begin_stage(r);
        const struct sl_stage *stage =
            sl_stage_lookup(sl_call_text(r->call, sl_json_member(r->config, "stage_id")));
        if (stage == NULL) {
            sl_call_fail(r->call, SL_API_INTERNAL, "a stored stage cannot run here");
            return;
        }
        enum sl_stage_result result = stage->run(r);
        if (sl_call_has_failed(r->call) || result == SL_STAGE_FAILED)
            return;
        if (result == SL_STAGE_WAITS) {
            ask_embedding(r);
            return;
        }
        r->has_begun = true;
        end_stage(r, sl_time_mono_ns());
    }
    r->finish(r);
}

void
sl_retrieval_start(struct sl_retrieval *r)
{
    r->call->state = r;
    r->own_collections = r->collections;
    r->own_count = r->collections_count;
    r->started_ns = r->stage_started_ns = sl_time_mono_ns();
    run(r);
}
