/* SPDX-License-Identifier: Apache-2.0 */
/* The table of stages, and stages as clients send them made into the long form that is stored. */
#include "gateway/aggregate.h"
#include "gateway/feature_uri.h"
#include "runtime/filter.h"
#include "gateway/resource.h"
#include "gateway/retrieval.h"
#include "runtime/alloc.h"

static const struct sl_stage stages[] = {
    {"feature_search", "filter", "search", "Finds documents whose vectors are near a query's",
     "{\"searches\":{\"type\":\"array\",\"maxItems\":10},\"final_top_k\":{\"type\":\"integer\","
     "\"minimum\":1,\"maximum\":500,\"default\":25},\"fusion\":{\"type\":\"string\",\"enum\":"
     "[\"rrf\",\"weighted\",\"max\",\"dbsf\"],\"default\":\"rrf\"},"
     "\"group_by\":{\"type\":\"object\",\"properties\":{\"field\":{\"type\":\"string\"},"
     "\"max_per_group\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":100,\"default\":1},"
     "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":500,\"default\":25}}},"
     "\"facets\":{\"type\":\"array\",\"maxItems\":20},"
     "\"collection_identifiers\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}}",
     sl_stage_feature_search},
    {"attribute_filter", "filter", "filter", "Keeps the documents whose fields meet conditions",
     "{\"field\":{\"type\":\"string\"},\"operator\":{\"type\":\"string\",\"default\":\"eq\"},"
     "\"value\":{},\"conditions\":{\"type\":\"object\"},"
     "\"case_insensitive\":{\"type\":\"boolean\",\"default\":false}}",
     sl_stage_attribute_filter},
    {"sort_relevance", "sort", "arrow-down-wide-narrow", "Orders documents by a score",
     "{\"score_field\":{\"type\":\"string\",\"default\":\"score\"},"
     "\"direction\":{\"type\":\"string\",\"enum\":[\"asc\",\"desc\"],\"default\":\"desc\"},"
     "\"missing_score\":{\"type\":\"string\",\"enum\":[\"bottom\",\"top\",\"preserve\"],"
     "\"default\":\"bottom\"}}",
     sl_stage_sort_relevance},
    {"sort_attribute", "sort", "arrow-up-down", "Orders documents by a field",
     "{\"field\":{\"type\":\"string\"},\"direction\":{\"type\":\"string\","
     "\"enum\":[\"asc\",\"desc\"],\"default\":\"desc\"},\"nulls_last\":{\"type\":\"boolean\","
     "\"default\":true}}",
     sl_stage_sort_attribute},
    {"group_by", "reduce", "group", "Gathers documents that share a field's value",
     "{\"group_by_field\":{\"type\":\"string\",\"default\":\"source_object_id\"},"
     "\"max_per_group\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":100,\"default\":10},"
     "\"output_mode\":{\"type\":\"string\",\"enum\":[\"all\",\"first\",\"flatten\"],"
     "\"default\":\"all\"}}",
     sl_stage_group_by},
    {"sample", "reduce", "dices", "Keeps some documents, by chance",
     "{\"count\":{\"type\":\"integer\",\"minimum\":1,\"default\":10},"
     "\"strategy\":{\"type\":\"string\",\"enum\":[\"random\",\"stratified\","
     "\"reservoir\"],\"default\":\"random\"},\"stratify_by\":{\"type\":\"string\"},"
     "\"min_per_stratum\":{\"type\":\"integer\",\"minimum\":0,\"default\":1},\"seed\":{\"type\":"
     "\"integer\"}}",
     sl_stage_sample},
    {"aggregate", "reduce", "sigma", "Counts, sums and the like over documents, by groups",
     "{\"aggregations\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":32},"
     "\"group_by\":{\"type\":\"array\",\"maxItems\":4},\"sort_by\":{\"type\":\"string\"},"
     "\"sort_order\":{\"type\":\"string\",\"enum\":[\"asc\",\"desc\"],\"default\":\"desc\"},"
     "\"limit\":{\"type\":\"integer\",\"minimum\":1},"
     "\"include_documents\":{\"type\":\"boolean\",\"default\":false}}",
     sl_stage_aggregate},
    {"mmr", "sort", "shuffle", "Orders documents so that near ones do not follow each other",
     "{\"lambda\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1,\"default\":0.7},"
     "\"top_k\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":500,\"default\":25},"
     "\"diversity_feature_uri\":{\"type\":\"string\"},"
     "\"score_field\":{\"type\":\"string\",\"default\":\"score\"}}",
     sl_stage_mmr},
};

/* Known to clients, and not built: refused by name rather than as unknown. */
static const char *const later[] = {
    "rerank",         "llm_filter",          "llm_enrich", "document_enrich", "taxonomy_enrich",
    "json_transform", "rag_prepare",         "summarize",  "cluster",         "query_expand",
    "api_call",       "external_web_search", "web_scrape", "sql_lookup",      "code_execution",
};

const struct sl_stage *
sl_stages(uint32_t *ret_count)
{
    *ret_count = SL_COUNT_OF(stages);
    return stages;
}

const struct sl_stage *
sl_stage_lookup(struct sl_slice id)
{
    if (sl_slice_is(id, "feature_filter"))
        id = sl_slice_str("feature_search");
    for (size_t i = 0; i < SL_COUNT_OF(stages); i++) {
        if (sl_slice_is(id, stages[i].id))
            return &stages[i];
    }
    return NULL;
}

/* ---- the long form ------------------------------------------------------------------------- */

struct shaping {
    struct sl_call *call;
    const struct sl_retrieval *about;
    struct sl_jsonw *w;
    uint32_t index;
};

static const char *
loc(const struct shaping *s, const char *rest)
{
    return sl_call_format(s->call, "body.stages.%u.%s", s->index, rest);
}

static const struct sl_stage *
find_stage(const struct shaping *s, struct sl_slice id)
{
    const struct sl_stage *stage = sl_stage_lookup(id);
    if (stage != NULL)
        return stage;
    for (size_t i = 0; i < SL_COUNT_OF(later); i++) {
        if (sl_slice_is(id, later[i])) {
            sl_call_invalid(s->call, loc(s, "config.stage_id"), "not_available",
                            "the stage %s is not built yet", later[i]);
            return NULL;
        }
    }
    sl_call_invalid(s->call, loc(s, "config.stage_id"), "enum", "unknown stage %.*s",
                    SL_SLICE_FMT(id));
    return NULL;
}

static void
check_uri(const struct shaping *s, uint32_t search, struct sl_json v)
{
    struct sl_slice text = sl_call_text(s->call, v);
    struct sl_feature_uri uri;
    const char *where =
        loc(s, sl_call_format(s->call, "config.parameters.searches.%u.feature_uri", search));
    if (sl_feature_uri_parse(text, &uri) != SL_OK) {
        sl_call_invalid(s->call, where, "value_error", "is not a feature URI");
        return;
    }
    for (uint32_t i = 0; i < s->about->collections_count; i++) {
        if (sl_collection_has_feature(&s->about->collections[i], text))
            return;
    }
    if (s->about->collections_count > 0)
        sl_call_invalid(s->call, where, "value_error", "no collection has the feature %.*s",
                        SL_SLICE_FMT(text));
}

/* A template may stand for a value: what has one is checked when it runs. */
static void
check_aggregate(const struct shaping *s, struct sl_json parameters)
{
    struct sl_aggregation *a = NULL;
    struct sl_aggregation_error error;
    if (sl_aggregation_create(parameters, &a, &error) != SL_OK &&
        memmem(sl_json_raw(parameters).data, sl_json_raw(parameters).size, "{{", 2) == NULL)
        sl_call_invalid(s->call,
                        loc(s, sl_call_format(s->call, "config.parameters.%s", error.place)),
                        "value_error", "%s", error.why);
    sl_aggregation_destroy(&a);
}

static void
check_search(const struct shaping *s, struct sl_json parameters, struct sl_json config)
{
    struct sl_json searches = sl_json_member(parameters, "searches");
    uint32_t search = 0;
    if (sl_json_count(searches) == 0 && !sl_json_has(sl_json_member(config, "pre_filters")))
        sl_call_invalid(s->call, loc(s, "config.pre_filters"), "missing",
                        "a stage without searches needs pre_filters");
    for (struct sl_json_iter i = sl_json_iter(searches); sl_json_next(&i); search++) {
        if (sl_json_is(sl_json_member(i.value, "on_empty"), "random"))
            sl_call_invalid(
                s->call,
                loc(s, sl_call_format(s->call, "config.parameters.searches.%u.on_empty", search)),
                "not_available", "random documents are not built yet: error or skip");
        /* A stage that names its own collections is checked when it runs. */
        if (sl_json_count(sl_json_member(parameters, "collection_identifiers")) == 0)
            check_uri(s, search, sl_json_member(i.value, "feature_uri"));
    }
}

static void
check_parameters(const struct shaping *s, const struct sl_stage *stage, struct sl_json config)
{
    struct sl_json parameters = sl_json_member(config, "parameters");
    if (strcmp(stage->id, "aggregate") == 0)
        check_aggregate(s, parameters);
    if (strcmp(stage->id, "feature_search") == 0)
        check_search(s, parameters, config);
    if (sl_json_is(sl_json_member(parameters, "fusion"), "learned"))
        sl_call_invalid(s->call, loc(s, "config.parameters.fusion"), "not_available",
                        "learned fusion is not built yet");
    else
        sl_stage_check(s->call, stage, parameters, loc(s, "config.parameters"));
}

/* The URI of a collection's primary index. */
static void
write_primary_uri(const struct shaping *s, const struct sl_retrieval_collection *c)
{
    struct sl_json index = sl_json_member(c->extraction, "index");
    struct sl_slice extractor = sl_call_text(s->call, sl_json_member(c->extraction, "extractor"));
    struct sl_slice version = sl_call_text(s->call, sl_json_member(c->extraction, "version"));
    struct sl_slice name = sl_call_text(s->call, index);
    sl_jsonw_member_str(s->w, "feature_uri",
                        sl_call_format(s->call, "mixpeek://%.*s@%.*s/%.*s", SL_SLICE_FMT(extractor),
                                       SL_SLICE_FMT(version), SL_SLICE_FMT(name)));
}

static bool
has_same_index(const struct shaping *s, uint32_t index)
{
    const struct sl_retrieval_collection *c = s->about->collections;
    struct sl_json own = sl_json_member(c[index].extraction, "index");
    for (uint32_t i = 0; i < index; i++) {
        struct sl_json other = sl_json_member(c[i].extraction, "index");
        if (sl_json_has(other) && sl_slice_equal(sl_json_raw(own), sl_json_raw(other)))
            return true;
    }
    return false;
}

/* {"type":"feature_search","query":...}: one search for each kind of vectors the collections hold.
 */
static void
write_short_search(const struct shaping *s, struct sl_json v)
{
    struct sl_json limit = sl_json_member(v, "limit");
    struct sl_json query = sl_json_member(v, "query");
    uint32_t written = 0;
    sl_jsonw_name(s->w, "searches");
    sl_jsonw_array(s->w);
    for (uint32_t i = 0; i < s->about->collections_count; i++) {
        const struct sl_retrieval_collection *c = &s->about->collections[i];
        if (!sl_json_has(sl_json_member(c->extraction, "index")) || has_same_index(s, i))
            continue;
        sl_jsonw_object(s->w);
        write_primary_uri(s, c);
        written++;
        sl_jsonw_name(s->w, "query");
        sl_jsonw_object(s->w);
        sl_jsonw_member_str(s->w, "input_mode", "text");
        sl_jsonw_member_value(s->w, "value", query);
        sl_jsonw_end(s->w);
        sl_jsonw_end(s->w);
    }
    sl_jsonw_end(s->w);
    if (written == 0) /* An empty list would mean: filter only. */
        sl_call_invalid(s->call, loc(s, "collection_ids"), "value_error",
                        "no collection has vectors to search");
    if (sl_json_has(limit))
        sl_jsonw_member_value(s->w, "final_top_k", limit);
    if (sl_json_count(sl_json_member(v, "collection_ids")) > 0)
        sl_jsonw_member_value(s->w, "collection_identifiers", sl_json_member(v, "collection_ids"));
}

/* {"type":...}: the parameters lie beside it. */
static void
write_short_config(const struct shaping *s, const struct sl_stage *stage, struct sl_json v)
{
    static const char *const ours[] = {"type", "stage_name", "stage_type", "stage_id", NULL};
    sl_jsonw_name(s->w, "config");
    sl_jsonw_object(s->w);
    sl_jsonw_member_str(s->w, "stage_id", stage->id);
    sl_jsonw_name(s->w, "parameters");
    sl_jsonw_object(s->w);
    if (strcmp(stage->id, "feature_search") == 0 && !sl_json_has(sl_json_member(v, "searches")))
        write_short_search(s, v);
    else if (sl_json_has(sl_json_member(v, "parameters")))
        sl_write_except(s->w, sl_json_member(v, "parameters"), ours);
    else
        sl_write_except(s->w, v, ours);
    sl_jsonw_end(s->w);
    sl_jsonw_end(s->w);
}

static void
write_long_config(const struct shaping *s, const struct sl_stage *stage, struct sl_json config)
{
    static const char *const ours[] = {"stage_id", "parameters", NULL};
    sl_jsonw_name(s->w, "config");
    sl_jsonw_object(s->w);
    sl_jsonw_member_str(s->w, "stage_id", stage->id);
    sl_jsonw_name(s->w, "parameters");
    if (sl_json_kind(sl_json_member(config, "parameters")) == SL_JSON_OBJECT)
        sl_jsonw_value(s->w, sl_json_member(config, "parameters"));
    else
        sl_jsonw_raw(s->w, sl_slice_str("{}"));
    sl_write_except(s->w, config, ours);
    sl_jsonw_end(s->w);
}

static void
write_stage(const struct shaping *s, struct sl_json v)
{
    static const char *const ours[] = {"stage_name", "stage_type", "config", NULL};
    struct sl_json config = sl_json_member(v, "config");
    bool is_long = sl_json_has(sl_json_member(config, "stage_id"));
    struct sl_json id = is_long ? sl_json_member(config, "stage_id") : sl_json_member(v, "type");
    struct sl_json name = sl_json_member(v, "stage_name");
    if (!sl_json_has(id))
        id = sl_json_member(v, "stage_id");
    const struct sl_stage *stage = find_stage(s, sl_call_text(s->call, id));
    if (stage == NULL)
        return;
    sl_jsonw_object(s->w);
    if (sl_json_kind(name) == SL_JSON_STRING)
        sl_jsonw_member_value(s->w, "stage_name", name);
    else
        sl_jsonw_member_str(s->w, "stage_name",
                            sl_call_format(s->call, "%s_%u", stage->id, s->index));
    sl_jsonw_member_str(s->w, "stage_type", stage->category);
    if (is_long) {
        check_parameters(s, stage, config);
        write_long_config(s, stage, config);
        sl_write_except(s->w, v, ours);
    } else {
        struct sl_json own = sl_json_member(v, "parameters");
        sl_stage_check(s->call, stage, sl_json_has(own) ? own : v,
                       loc(s, sl_json_has(own) ? "parameters" : stage->id));
        write_short_config(s, stage, v);
    }
    sl_jsonw_end(s->w);
}

bool
sl_stages_check(struct sl_call *call, struct sl_json list, const struct sl_retrieval *about,
                struct sl_buf *out)
{
    struct sl_jsonw w;
    struct shaping s = {.call = call, .about = about, .w = &w};
    uint32_t count = sl_json_count(list);
    if (sl_json_kind(list) != SL_JSON_ARRAY || count == 0 || count > SL_RETRIEVAL_STAGES_MAX) {
        sl_call_invalid(call, "body.stages", "too_short", "stages must be a list of 1 to %d",
                        SL_RETRIEVAL_STAGES_MAX);
        return false;
    }
    sl_jsonw_init(&w, out);
    sl_jsonw_array(&w);
    for (struct sl_json_iter i = sl_json_iter(list); sl_json_next(&i); s.index++)
        write_stage(&s, i.value);
    sl_jsonw_end(&w);
    return !sl_call_has_failed(call);
}
