/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage feature_search: up to ten nearest-vector searches, each over every collection that has
 * the feature, fused into one list. Vectors are compared exactly, by cosine unless a search says
 * `distance`: dot or euclidean (ours).
 */
#include "actors/index.h"
#include "actors/record.h"
#include "actors/rows.h"
#include "gateway/base64.h"
#include "gateway/data_uri.h"
#include "gateway/document/id.h"
#include "gateway/resource.h"
#include "gateway/retrieval.h"
#include "gateway/source_fetch.h"
#include "runtime/alloc.h"
#include "runtime/filter.h"
#include "runtime/utf8.h"

#define SEARCHES_MAX 10
#define TOP_K_MAX    1000

struct search {
    struct sl_json query;
    struct sl_slice uri, text; /* text: what is embedded; empty when a vector is given. */
    const float *vector;
    uint32_t dimensions, top_k;
    enum sl_metric metric;
    double min_score, weight;
    bool has_min_score, is_skipped;
};

/* What is asked of each record while an index is scanned. */
struct wanted {
    struct sl_retrieval *r;
    uint32_t collection;
    const struct sl_filter *filter;
    bool needs_row; /* The filter reads more than the record's own fields. */
};

/* ---- reading the parameters ---------------------------------------------------------------- */

static bool
refuse(struct sl_retrieval *r, const char *name, const char *why)
{
    sl_stage_refuse(r, name, why);
    return false;
}

static bool
read_share(struct sl_retrieval *r, struct sl_json v, double fallback, double *ret_number)
{
    *ret_number = fallback;
    if (!sl_json_has(v))
        return true;
    if (sl_json_f64(v, ret_number) == SL_OK && *ret_number >= 0 && *ret_number <= 1)
        return true;
    return refuse(r, "searches", "min_score and weight must lie in 0..1");
}

static bool
read_vector(struct sl_retrieval *r, struct sl_json value, struct search *s)
{
    struct sl_json_iter first = sl_json_iter(value);
    if (sl_json_next(&first) && sl_json_kind(first.value) == SL_JSON_ARRAY) {
        if (sl_json_count(value) != 1)
            return refuse(r, "searches", "a search takes one vector");
        value = first.value;
    }
    uint32_t count = sl_json_count(value), at = 0;
    if (sl_json_kind(value) != SL_JSON_ARRAY || count == 0 || count > 65536)
        return refuse(r, "searches", "the query's vector must be a list of numbers");
    float *vector = sl_call_alloc(r->call, count * sizeof *vector);
    for (struct sl_json_iter i = sl_json_iter(value); sl_json_next(&i);) {
        double number;
        if (sl_json_f64(i.value, &number) != SL_OK)
            return refuse(r, "searches", "the query's vector must be a list of numbers");
        vector[at++] = (float)number;
    }
    s->vector = vector;
    s->dimensions = count;
    return true;
}

/* The vector of a document that is there already. */
static bool
read_document(struct sl_retrieval *r, struct sl_json ref, struct search *s)
{
    struct sl_call *call = r->call;
    struct sl_slice collection = sl_call_text(call, sl_json_member(ref, "collection_id"));
    struct sl_slice sent = sl_call_text(call, sl_json_member(ref, "document_id"));
    const char *document = sl_call_identifier(call, sl_document_id_read(sent));
    struct sl_resource found;
    struct sl_buf key = {0};
    struct sl_slice value, row;
    if (document == NULL || collection.size == 0)
        return refuse(r, "searches", "document_ref needs collection_id and document_id");
    if (!sl_resource_find(call, &sl_kind_collection, call->namespace_id, collection, &found))
        return false;
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_EXTRACTION, sl_key(&key, 1, found.id),
                   &row) == SL_OK) {
        struct sl_json extraction = sl_call_parse(call, row);
        const char *index = sl_member_str(call, extraction, "index");
        if (index != NULL &&
            sl_txn_get(call->txn, call->who.scope, SL_TABLE_VECTOR,
                       sl_key(&key, 3, found.id, index, document), &value) == SL_OK) {
            float *copy = sl_call_alloc(call, value.size);
            memcpy(copy, value.data, value.size);
            s->vector = copy;
            s->dimensions = (uint32_t)(value.size / sizeof *copy);
        }
    }
    sl_buf_deinit(&key);
    if (s->vector == NULL)
        sl_call_not_found(call, "document", sent);
    return s->vector != NULL;
}

static bool
read_text(struct sl_retrieval *r, struct sl_json value, struct search *s)
{
    if (sl_json_has(value) && sl_json_kind(value) != SL_JSON_STRING) {
        struct sl_slice raw = sl_json_raw(value); /* A number an input gave. */
        s->text = sl_json_kind(value) == SL_JSON_NUMBER ? raw : (struct sl_slice){0};
    } else {
        s->text = sl_call_text(r->call, value);
    }
    return true;
}

/* Text, or a data URI or base64 of text: what else there is has no extractor here. */
static bool
read_content(struct sl_retrieval *r, struct sl_json v, bool is_base64, struct search *s)
{
    struct sl_buf bytes = {0};
    struct sl_data_uri uri;
    if (!read_text(r, v, s))
        return false;
    bool is_uri = sl_data_uri_parse(s->text, &uri) == SL_OK;
    if (!is_uri && !is_base64)
        return !sl_source_is_address(s->text) ||
               refuse(r, "searches", "content behind an address is not embedded: send the text");
    enum sl_err err = is_uri ? sl_data_uri_decode(&uri, &bytes) : sl_base64_decode(s->text, &bytes);
    bool is_text = err == SL_OK && (!is_uri || sl_data_uri_is_text(&uri)) &&
                   sl_utf8_is_valid(sl_buf_slice(&bytes));
    s->text = sl_call_copy(r->call, sl_buf_slice(&bytes));
    sl_buf_deinit(&bytes);
    return is_text || refuse(r, "searches", "content is embedded only when it is text");
}

static bool
read_query(struct sl_retrieval *r, struct search *s)
{
    struct sl_json mode = sl_json_member(s->query, "input_mode");
    struct sl_json value = sl_json_member(s->query, "value");
    if (sl_json_kind(s->query) == SL_JSON_STRING)
        return read_text(r, s->query, s);
    if (sl_json_is(mode, "vector"))
        return read_vector(r, value, s);
    if (sl_json_is(mode, "document"))
        return read_document(r, sl_json_member(s->query, "document_ref"), s);
    if (!sl_json_has(mode) || sl_json_is(mode, "text"))
        return read_text(r, sl_json_has(value) ? value : sl_json_member(s->query, "text"), s);
    if (!sl_json_is(mode, "content"))
        return refuse(r, "searches", "input_mode must be text, content, document or vector");
    struct sl_json content = sl_json_member(s->query, "content"); /* {"url"} or {"base64"} */
    bool is_base64 = !sl_json_has(value) && sl_json_has(sl_json_member(content, "base64"));
    if (!sl_json_has(value))
        value = sl_json_member(content, is_base64 ? "base64" : "url");
    return read_content(r, value, is_base64, s);
}

static bool
read_metric(struct sl_retrieval *r, struct sl_json v, struct search *s)
{
    static const struct {
        const char *name;
        enum sl_metric metric;
    } names[] = {{"cosine", SL_METRIC_COSINE},
                 {"dot", SL_METRIC_DOT},
                 {"euclidean", SL_METRIC_L2},
                 {"l2", SL_METRIC_L2}};
    if (!sl_json_has(v))
        return true; /* Cosine, as the index says. */
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        if (!sl_json_is(v, names[i].name))
            continue;
        s->metric = names[i].metric;
        return s->metric != SL_METRIC_L2 || !s->has_min_score ||
               refuse(r, "searches", "min_score is a similarity: euclidean distances have none");
    }
    return refuse(r, "searches", "distance must be cosine, dot or euclidean");
}

static bool
read_search(struct sl_retrieval *r, struct sl_json v, struct search *s)
{
    struct sl_json top_k = sl_json_member(v, "top_k"), on_empty = sl_json_member(v, "on_empty");
    uint64_t number = 100;
    *s = (struct search){.query = sl_json_member(v, "query")};
    s->uri = sl_call_text(r->call, sl_json_member(v, "feature_uri"));
    if (sl_json_has(top_k) &&
        (sl_json_u64(top_k, &number) != SL_OK || number < 1 || number > TOP_K_MAX))
        return refuse(r, "searches", "top_k must be an integer in 1..1000");
    s->top_k = (uint32_t)number;
    s->has_min_score = sl_json_has(sl_json_member(v, "min_score"));
    if (!read_share(r, sl_json_member(v, "min_score"), 0, &s->min_score) ||
        !read_share(r, sl_json_member(v, "weight"), 1, &s->weight) ||
        !read_metric(r, sl_json_member(v, "distance"), s) || !read_query(r, s))
        return false;
    s->is_skipped = s->vector == NULL && s->text.size == 0;
    if (s->is_skipped && !sl_json_is(on_empty, "skip"))
        return refuse(r, "searches", "the query is empty");
    return true;
}

/* ---- searching ----------------------------------------------------------------------------- */

static bool
holds_for_row(const struct wanted *w, struct sl_slice id, const struct sl_record *record)
{
    struct sl_buf text = {0};
    struct sl_json_doc *doc = NULL;
    struct sl_jsonw out;
    sl_jsonw_init(&out, &text);
    sl_found_write(w->r->collections[w->collection].id, id, record, &out);
    sl_jsonw_done(&out);
    bool holds = sl_json_parse(sl_buf_slice(&text), &doc, NULL) == SL_OK &&
                 sl_filter_matches(w->filter, sl_json_root(doc));
    sl_json_destroy(&doc);
    sl_buf_deinit(&text);
    return holds;
}

static bool
is_wanted(void *arg, uint64_t number)
{
    const struct wanted *w = arg;
    struct sl_call *call = w->r->call;
    char id[SL_RECORD_ID_SIZE + 1];
    struct sl_buf key = {0};
    struct sl_slice value;
    struct sl_record record;
    struct sl_json_doc *doc = NULL;
    sl_record_id_of_number(number, id);
    bool holds =
        sl_txn_get(call->txn, call->who.scope, SL_TABLE_RECORD,
                   sl_key(&key, 2, w->r->collections[w->collection].id, id), &value) == SL_OK &&
        sl_record_decode(value, &record) == SL_OK;
    if (holds && w->needs_row)
        holds = holds_for_row(w, sl_slice_str(id), &record);
    else if (holds) /* No copy for most filters: this runs for each record of an index. */
        holds = sl_json_parse(record.fields, &doc, NULL) == SL_OK &&
                sl_filter_matches(w->filter, sl_json_root(doc));
    sl_json_destroy(&doc);
    sl_buf_deinit(&key);
    return holds;
}

/* The vector to search `index` with; false: it has been asked for. */
static bool
find_vector(struct sl_retrieval *r, struct search *s, struct sl_slice index)
{
    if (s->text.size == 0)
        return true;
    for (const struct sl_query_vector *v = r->vectors; v != NULL; v = v->next) {
        if (sl_slice_equal(v->text, s->text) && sl_slice_equal(v->index, index)) {
            s->vector = v->values;
            s->dimensions = v->dimensions;
            return true;
        }
    }
    r->wanted_text = sl_call_copy(r->call, s->text);
    r->wanted_index = sl_call_copy(r->call, index);
    return false;
}

static enum sl_stage_result
search_collection(struct sl_retrieval *r, struct search *s, struct wanted *w,
                  struct sl_ranked *ret_items, uint32_t *ret_count)
{
    const struct sl_retrieval_collection *c = &r->collections[w->collection];
    struct sl_slice index = sl_call_text(r->call, sl_json_member(c->extraction, "index"));
    if (!find_vector(r, s, index))
        return SL_STAGE_WAITS;
    struct sl_index_id id = {
        .scope = r->call->who.scope, .collection = sl_slice_str(c->id), .name = index};
    struct sl_index_query query = {
        .vector = s->vector, .dimensions = s->dimensions, .k = s->top_k, .metric = s->metric};
    if (w->filter != NULL) {
        query.is_wanted = is_wanted;
        query.arg = w;
    }
    struct sl_index_hit *hits = sl_call_alloc(r->call, s->top_k * sizeof *hits);
    uint32_t count = 0;
    if (sl_index_search(sl_call_indexes(r->call), r->call->txn, &id, &query, hits, &count) != SL_OK)
        return sl_stage_refuse(r, "searches",
                               sl_call_format(r->call,
                                              "the query has %u dimensions, the index has others",
                                              s->dimensions));
    for (uint32_t i = 0; i < count; i++) {
        if (s->has_min_score && hits[i].score < s->min_score)
            continue;
        ret_items[(*ret_count)++] = (struct sl_ranked){
            .number = hits[i].number, .collection = w->collection, .score = hits[i].score};
    }
    return SL_STAGE_DONE;
}

/* One search over all collections that have its feature. */
static enum sl_stage_result
run_search(struct sl_retrieval *r, struct search *s, const struct sl_filter *filter,
           struct sl_ranking *ret_ranking)
{
    struct sl_ranked *items =
        sl_call_alloc(r->call, (size_t)s->top_k * SL_MAX(r->collections_count, 1u) * sizeof *items);
    uint32_t count = 0;
    bool is_known = false;
    for (uint32_t i = 0; i < r->collections_count && !s->is_skipped; i++) {
        struct wanted w = {.r = r, .collection = i, .filter = filter};
        w.needs_row = sl_filter_reads(filter, "document_id") ||
                      sl_filter_reads(filter, "collection_id") ||
                      sl_filter_reads(filter, "source_object_id");
        if (!sl_collection_has_feature(&r->collections[i], s->uri))
            continue;
        is_known = true;
        enum sl_stage_result result = search_collection(r, s, &w, items, &count);
        if (result != SL_STAGE_DONE)
            return result;
    }
    if (!is_known && !s->is_skipped)
        return sl_stage_refuse(
            r, "searches",
            sl_call_format(r->call, "no collection has the feature %.*s", SL_SLICE_FMT(s->uri)));
    *ret_ranking = (struct sl_ranking){.items = items, .weight = s->weight};
    ret_ranking->count =
        sl_fuse(SL_FUSION_MAX, &(struct sl_ranking){.items = items, .count = count}, 1, items);
    ret_ranking->count = SL_MIN(ret_ranking->count, s->top_k);
    return SL_STAGE_DONE;
}

static bool
read_fusion(struct sl_retrieval *r, enum sl_fusion *ret_fusion)
{
    static const char *const names[] = {"rrf", "weighted", "max", "dbsf"};
    struct sl_json v = sl_stage_parameter(r, "fusion");
    *ret_fusion = SL_FUSION_RRF;
    if (!sl_json_has(v))
        return true;
    for (uint32_t i = 0; i < SL_COUNT_OF(names); i++) {
        if (sl_json_is(v, names[i])) {
            *ret_fusion = (enum sl_fusion)i;
            return true;
        }
    }
    return refuse(r, "fusion", "fusion must be rrf, weighted, max or dbsf");
}

/* A later search narrows what the stages before it found. */
static bool
is_among(const struct sl_retrieval *r, const struct sl_found *before, uint32_t before_count,
         const struct sl_ranked *item)
{
    for (uint32_t i = 0; i < before_count; i++) {
        if (before[i].rank.number == item->number)
            return true;
    }
    return !r->has_begun;
}

/* Replace the documents by the best `count` of `items`. */
static void
take(struct sl_retrieval *r, const struct sl_ranked *items, uint32_t count)
{
    const struct sl_found *before = r->found;
    uint32_t before_count = r->found_count;
    r->found = sl_call_alloc(r->call, SL_MAX(count, 1u) * sizeof *r->found);
    r->found_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        char id[SL_RECORD_ID_SIZE + 1];
        if (!is_among(r, before, before_count, &items[i]))
            continue;
        sl_record_id_of_number(items[i].number, id);
        struct sl_found f = {.rank = items[i], .has_score = true};
        f.row = sl_found_row(r, items[i].collection, sl_slice_str(id));
        if (sl_json_has(f.row))
            r->found[r->found_count++] = f;
    }
}

struct grouping { /* The parameter group_by; without one, `is_asked` is false. */
    struct sl_slice field;
    uint32_t per_group, groups_max;
    bool is_asked;
};

static bool
read_part(struct sl_retrieval *r, struct sl_json group_by, const char *name, uint32_t max,
          uint32_t *ret_number)
{
    struct sl_json v = sl_json_member(group_by, name);
    uint64_t number;
    if (!sl_json_has(v))
        return true;
    if (sl_json_u64(v, &number) != SL_OK || number < 1 || number > max)
        return refuse(r, "group_by", "max_per_group lies in 1..100 and limit in 1..500");
    *ret_number = (uint32_t)number;
    return true;
}

static bool
read_grouping(struct sl_retrieval *r, struct grouping *ret_grouping)
{
    struct sl_json v = sl_stage_parameter(r, "group_by");
    *ret_grouping = (struct grouping){.per_group = 1, .groups_max = 25};
    if (!sl_json_has(v))
        return true;
    ret_grouping->is_asked = true;
    ret_grouping->field = sl_call_text(r->call, sl_json_member(v, "field"));
    if (ret_grouping->field.size == 0)
        return refuse(r, "group_by", "group_by needs a field");
    if (!read_part(r, v, "max_per_group", 100, &ret_grouping->per_group) ||
        !read_part(r, v, "limit", 500, &ret_grouping->groups_max))
        return false;
    if (sl_json_is(sl_json_member(v, "output_mode"), "first"))
        ret_grouping->per_group = 1;
    return true;
}

/* What of the fused list goes on. Facets are counted over all of it. */
static enum sl_stage_result
hand_on(struct sl_retrieval *r, const struct sl_ranked *items, uint32_t total, uint32_t limit)
{
    struct grouping grouping;
    bool has_facets = sl_json_count(sl_stage_parameter(r, "facets")) > 0;
    if (!read_grouping(r, &grouping))
        return SL_STAGE_FAILED;
    take(r, items, grouping.is_asked || has_facets ? total : SL_MIN(total, limit));
    if (!sl_retrieval_count_facets(r))
        return SL_STAGE_FAILED;
    if (grouping.is_asked)
        sl_retrieval_group(r, grouping.field, grouping.per_group, grouping.groups_max);
    else
        r->found_count = SL_MIN(r->found_count, limit);
    return SL_STAGE_DONE;
}

static enum sl_stage_result
search_all(struct sl_retrieval *r, const struct sl_filter *filter)
{
    struct sl_json list = sl_stage_parameter(r, "searches");
    struct search searches[SEARCHES_MAX];
    struct sl_ranking rankings[SEARCHES_MAX];
    uint32_t count = 0, total = 0, limit = sl_stage_number(r, "final_top_k", 1, 500, 25);
    enum sl_fusion fusion;
    if (sl_json_count(list) > SEARCHES_MAX)
        return sl_stage_refuse(r, "searches", "at most 10 searches");
    for (struct sl_json_iter i = sl_json_iter(list); sl_json_next(&i); count++) {
        if (!read_search(r, i.value, &searches[count]))
            return SL_STAGE_FAILED;
    }
    if (!read_fusion(r, &fusion))
        return SL_STAGE_FAILED;
    for (uint32_t i = 0; i < count; i++) {
        enum sl_stage_result result = run_search(r, &searches[i], filter, &rankings[i]);
        if (result != SL_STAGE_DONE)
            return result;
        total += rankings[i].count;
        limit = SL_MIN(limit, searches[i].top_k);
    }
    struct sl_ranked *items = sl_call_alloc(r->call, SL_MAX(total, 1u) * sizeof *items);
    total = sl_fuse(fusion, rankings, count, items);
    return hand_on(r, items, total, limit);
}

enum sl_stage_result
sl_stage_feature_search(struct sl_retrieval *r)
{
    struct sl_json pre = sl_json_member(r->config, "pre_filters");
    struct sl_filter_options options = {.inputs = r->inputs};
    struct sl_filter *filter = NULL;
    struct sl_retrieval here = *r; /* The stage may name its own collections. */
    char *why = NULL;
    struct sl_json named = sl_stage_parameter(r, "collection_identifiers");
    if (sl_json_count(sl_stage_parameter(r, "searches")) == 0)
        return sl_stage_attribute_filter(r); /* Filter-only mode: pre_filters, no scores. */
    if (sl_filter_compile(pre, &options, &filter, &why) != SL_OK) {
        sl_stage_refuse(r, "pre_filters", sl_call_format(r->call, "%s", why));
        sl_free(why);
        return SL_STAGE_FAILED;
    }
    here.collections = r->own_collections;
    here.collections_count = r->own_count;
    if (sl_json_count(named) > 0 && !sl_retrieval_collections(r->call, named, &here)) {
        sl_filter_destroy(&filter);
        return SL_STAGE_FAILED;
    }
    enum sl_stage_result result = search_all(&here, filter);
    sl_filter_destroy(&filter);
    *r = here;
    return result;
}
