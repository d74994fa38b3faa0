/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Embedding on request: /v1/inference and /v1/embeddings. The texts of a request go out together:
 *
 *   handler: which model, which texts --> embed them all --> reply
 */
#include "actors/extraction.h"
#include "actors/use_counts.h"
#include "gateway/base64.h"
#include "gateway/extractor/info.h"
#include "gateway/gateway.h"
#include "gateway/isolation/level.h"
#include "gateway/meter.h"
#include "gateway/model/builtin.h"
#include "gateway/models.h"
#include "gateway/retrieval.h"
#include "runtime/alloc.h"

struct inference {
    struct sl_json extraction;
    struct sl_slice model; /* As the reply names it. */
    struct sl_slice *texts;
    const float *const *vectors;
    uint32_t count, dimensions;
    uint64_t words;
    bool is_list; /* {texts}, or a list of inputs. */
    void (*reply)(struct sl_call *call);
};

/* ---- which model --------------------------------------------------------------------------- */

/* An extraction that embeds a text with this model; NONE row: by hashing words. */
static struct sl_json
make_extraction(struct sl_call *call, struct sl_json model)
{
    struct sl_buf text = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &text);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "extractor", "text_extractor");
    sl_jsonw_member_str(&w, "version", "v1");
    sl_jsonw_member_raw(&w, "params", sl_slice_str("{}"));
    sl_jsonw_member_value(&w, "model", sl_json_member(model, "model_id"));
    sl_jsonw_member_value(&w, "namespace", sl_json_member(model, "namespace_id"));
    if (sl_json_has(model)) {
        sl_jsonw_member_value(&w, "index", sl_json_member(model, "index"));
        sl_jsonw_member_value(&w, "dimensions", sl_json_member(model, "dimensions"));
    } else {
        sl_jsonw_member_str(&w, "index", SL_TEXT_HASH_INDEX);
        sl_jsonw_member_u64(&w, "dimensions", SL_TEXT_HASH_DIMENSIONS);
    }
    sl_jsonw_member_str(&w, "output", "text_extractor_v1_embedding");
    sl_jsonw_member_raw(&w, "inputs", sl_slice_str("[{\"name\":\"text\",\"path\":\"text\"}]"));
    sl_jsonw_member_raw(&w, "passthrough", sl_slice_str("[]"));
    sl_jsonw_member_str(&w, "class", "cpu");
    sl_jsonw_member_bool(&w, "enabled", true);
    sl_isolation_note(call->txn, call->who.scope, false, &w);
    sl_jsonw_end(&w);
    struct sl_json extraction = sl_call_parse(call, sl_buf_slice(&text));
    sl_buf_deinit(&text);
    return extraction;
}

/* A model that embeds, by its id or its index's name; NONE namespace: in any. */
static struct sl_json
find_model(struct sl_call *call, const char *namespace_id, struct sl_slice name)
{
    struct sl_buf prefix = {0};
    struct sl_scan scan = {0};
    struct sl_slice start = {0};
    struct sl_json found = {0};
    if (namespace_id[0] != '\0')
        start = sl_key_prefix(&prefix, 1, namespace_id);
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_MODEL, start, (struct sl_slice){0}, false,
                &scan);
    while (!sl_json_has(found) && sl_scan_next(&scan)) {
        struct sl_json row = sl_call_parse(call, scan.value);
        uint64_t dimensions = 0;
        bool is_named = sl_slice_equal(sl_member_text(call, row, "model_id"), name) ||
                        sl_slice_equal(sl_member_text(call, row, "index"), name);
        if (is_named && sl_json_u64(sl_json_member(row, "dimensions"), &dimensions) == SL_OK &&
            dimensions > 0)
            found = row;
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    return found;
}

static struct sl_json
extraction_by_name(struct sl_call *call, struct sl_slice name)
{
    if (call->txn == NULL)
        return sl_call_parse(call, call->resolved.extraction);
    if (sl_slice_is(name, SL_TEXT_HASH_INDEX))
        return make_extraction(call, (struct sl_json){0});
    struct sl_json model = find_model(call, call->namespace_id, name);
    return sl_json_has(model) ? make_extraction(call, model) : (struct sl_json){0};
}

static struct sl_json
extraction_by_uri(struct sl_call *call, struct sl_slice uri)
{
    struct sl_retrieval r = {.call = call};
    if (call->txn == NULL)
        return sl_call_parse(call, call->resolved.extraction);
    (void)sl_retrieval_collections(call, (struct sl_json){0}, &r);
    for (uint32_t i = 0; i < r.collections_count; i++) {
        if (sl_collection_has_feature(&r.collections[i], uri))
            return r.collections[i].extraction;
    }
    return (struct sl_json){0};
}

/* ---- the texts ----------------------------------------------------------------------------- */

static bool
add_text(struct sl_call *call, struct inference *f, struct sl_json v, const char *loc)
{
    struct sl_slice text = sl_call_text(call, v);
    if (text.size == 0) {
        sl_call_invalid(call, loc, "type", "must be text that is not empty");
        return false;
    }
    for (size_t i = 0; i < text.size; i++) /* Words stand for tokens: no tokeniser runs here. */
        f->words += text.data[i] > ' ' && (i == 0 || text.data[i - 1] <= ' ');
    f->texts[f->count++] = text;
    return true;
}

static bool
add_texts(struct sl_call *call, struct inference *f, struct sl_json v, const char *loc)
{
    uint32_t count = sl_json_kind(v) == SL_JSON_ARRAY ? sl_json_count(v) : 1;
    if (count == 0 || count > SL_EMBED_TEXTS_MAX) {
        sl_call_invalid(call, loc, "too_long", "1 to %u texts are taken", SL_EMBED_TEXTS_MAX);
        return false;
    }
    f->texts = sl_call_alloc(call, count * sizeof *f->texts);
    f->is_list = sl_json_kind(v) == SL_JSON_ARRAY;
    if (!f->is_list)
        return add_text(call, f, v, loc);
    for (struct sl_json_iter i = sl_json_iter(v); sl_json_next(&i);) {
        if (!add_text(call, f, i.value, loc))
            return false;
    }
    return true;
}

static void
on_embeddings(struct sl_call *call)
{
    struct inference *f = call->state;
    f->vectors = sl_call_embeddings(call, &f->dimensions);
    if (f->vectors == NULL)
        sl_call_fail_wait(call);
    else
        f->reply(call);
}

/* Say what this call runs on: others of its kind may then run where there is no store. */
static void
note_resolved(struct sl_call *call, struct sl_json extraction)
{
    if (call->txn == NULL)
        return;
    char *model = sl_extraction_model_directory(call->txn, call->who.scope, extraction);
    call->resolved.extraction = sl_call_copy(call, sl_json_raw(extraction));
    call->resolved.model = sl_call_copy(call, sl_slice_str(model));
    sl_free(model);
}

static void
start(struct sl_call *call, struct inference *f)
{
    if (call->txn != NULL && !sl_model_may_run(call, f->extraction))
        return;
    note_resolved(call, f->extraction);
    call->state = f;
    struct sl_embed_texts texts = {f->extraction, f->texts, f->count};
    sl_call_embed_all(call, &texts, on_embeddings);
}

static void
write_vector(const struct inference *f, uint32_t index, struct sl_jsonw *w)
{
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < f->dimensions; i++)
        sl_jsonw_f32(w, f->vectors[index][i]);
    sl_jsonw_end(w);
}

static void
use_tokens(struct sl_call *call, const struct inference *f)
{
    struct sl_use use = {.kind = SL_USE_TOKENS, .scope = call->who.scope, .labels = {f->model}};
    sl_meter_use(call, SL_LEDGER_tokens, f->words, "");
    if (call->gateway != NULL)
        sl_use_count(call->gateway->uses, &use, f->words, 0);
}

/* ---- /v1/inference ------------------------------------------------------------------------- */

static void
reply_inference(struct sl_call *call)
{
    const struct inference *f = call->state;
    struct sl_jsonw *w = &call->out;
    use_tokens(call, f);
    sl_jsonw_object(w);
    sl_jsonw_name(w, "data");
    sl_jsonw_object(w);
    sl_jsonw_name(w, f->is_list ? "embeddings" : "embedding");
    if (f->is_list)
        sl_jsonw_array(w);
    for (uint32_t i = 0; i < f->count; i++)
        write_vector(f, i, w);
    if (f->is_list)
        sl_jsonw_end(w);
    sl_jsonw_end(w);
    sl_jsonw_member_str(w, "provider", "sluice");
    sl_jsonw_member_slice(w, "model", f->model);
    sl_jsonw_name(w, "tokens_used");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "prompt", f->words);
    sl_jsonw_member_u64(w, "completion", 0);
    sl_jsonw_member_u64(w, "total", f->words);
    sl_jsonw_end(w);
    uint64_t now_ms = sl_time_wall_ms();
    sl_jsonw_member_u64(w, "latency_ms", now_ms > call->now_ms ? now_ms - call->now_ms : 0);
    sl_jsonw_member_bool(w, "cached", false);
    sl_jsonw_end(w);
}

void
sl_api_inference(struct sl_call *call)
{
    struct inference *f = sl_call_alloc(call, sizeof *f);
    struct sl_json inputs = sl_json_member(call->body, "inputs");
    struct sl_slice uri = sl_member_text(call, call->body, "feature_uri");
    struct sl_slice name = sl_member_text(call, call->body, "inference_name");
    f->reply = reply_inference;
    struct sl_slice provider = sl_member_text(call, call->body, "provider");
    bool is_by_model = name.size == 0 && uri.size == 0;
    if (is_by_model)
        name = sl_member_text(call, call->body, "model");
    if (name.size == 0 && uri.size == 0) {
        sl_call_fail(call, SL_API_BAD_REQUEST, "one of inference_name, feature_uri or model");
        return;
    }
    if (is_by_model && provider.size > 0 && !sl_slice_is(provider, "sluice")) {
        sl_call_fail(call, SL_API_BAD_REQUEST, "the provider %.*s is unknown: there is sluice",
                     SL_SLICE_FMT(provider));
        return;
    }
    f->extraction = name.size > 0 ? extraction_by_name(call, name) : extraction_by_uri(call, uri);
    bool is_refused = !sl_json_has(f->extraction) && sl_model_builtin_refuse(call, name);
    if (!is_refused && !sl_json_has(f->extraction) && is_by_model)
        sl_call_fail(call, SL_API_BAD_REQUEST, "the model %.*s is unknown", SL_SLICE_FMT(name));
    else if (!is_refused && !sl_json_has(f->extraction))
        sl_call_not_found(call, "model", name.size > 0 ? name : uri);
    if (!sl_json_has(f->extraction))
        return;
    f->model = sl_member_text(call, f->extraction, "index");
    struct sl_json texts = sl_json_member(inputs, "texts");
    if (!sl_json_has(texts))
        texts = sl_json_member(inputs, "text");
    if (!sl_json_has(texts))
        sl_call_fail(call, SL_API_BAD_REQUEST, "this model takes inputs.text or inputs.texts");
    else if (add_texts(call, f, texts, "body.inputs.texts"))
        start(call, f);
}

/* ---- /v1/embeddings ------------------------------------------------------------------------ */

static void
write_base64(const struct inference *f, uint32_t index, struct sl_jsonw *w)
{
    struct sl_buf text = {0};
    sl_base64_encode(sl_slice(f->vectors[index], f->dimensions * sizeof(float)), false, &text);
    sl_jsonw_slice(w, sl_buf_slice(&text));
    sl_buf_deinit(&text);
}

static void
reply_embeddings(struct sl_call *call)
{
    const struct inference *f = call->state;
    bool is_base64 = sl_json_is(sl_json_member(call->body, "encoding_format"), "base64");
    struct sl_jsonw *w = &call->out;
    use_tokens(call, f);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "object", "list");
    sl_jsonw_name(w, "data");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < f->count; i++) {
        sl_jsonw_object(w);
        sl_jsonw_member_str(w, "object", "embedding");
        sl_jsonw_member_u64(w, "index", i);
        sl_jsonw_name(w, "embedding");
        if (is_base64)
            write_base64(f, i, w);
        else
            write_vector(f, i, w);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
    sl_jsonw_member_value(w, "model", sl_json_member(call->body, "model"));
    sl_jsonw_name(w, "usage");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "prompt_tokens", f->words);
    sl_jsonw_member_u64(w, "total_tokens", f->words);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

void
sl_api_embeddings(struct sl_call *call)
{
    struct inference *f = sl_call_alloc(call, sizeof *f);
    struct sl_slice name = sl_member_text(call, call->body, "model");
    f->reply = reply_embeddings;
    f->extraction = extraction_by_name(call, name);
    if (!sl_json_has(f->extraction) && sl_model_builtin_refuse(call, name))
        return;
    if (!sl_json_has(f->extraction))
        sl_call_not_found(call, "model", name);
    else if (add_texts(call, f, sl_json_member(call->body, "input"), "body.input"))
        start(call, f);
}
