/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted over documents: the stage aggregate, and the facets of feature_search. Results of
 * the stage are in its statistics (`metadata`); the documents go on only if asked for.
 */
#include "gateway/aggregate.h"
#include "gateway/resource.h"
#include "gateway/retrieval.h"

#define FACETS_MAX 20

/* A document with its score, as the reply shows it. */
static void
write_scored(const struct sl_found *f, struct sl_buf *out)
{
    struct sl_jsonw w;
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    for (struct sl_json_iter i = sl_json_iter(f->row); sl_json_next(&i);) {
        struct sl_buf memory = {0};
        struct sl_slice name;
        if (sl_json_text(i.name, &memory, &name) == SL_OK) {
            sl_jsonw_name_slice(&w, name);
            sl_jsonw_value(&w, i.value);
        }
        sl_buf_deinit(&memory);
    }
    if (f->has_score)
        sl_jsonw_member_f64(&w, "score", f->rank.score);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

static bool
add_all(const struct sl_retrieval *r, struct sl_aggregation *a)
{
    struct sl_buf text = {0};
    enum sl_err err = SL_OK;
    for (uint32_t i = 0; err == SL_OK && i < r->found_count; i++) {
        struct sl_json_doc *doc = NULL;
        sl_buf_clear(&text);
        write_scored(&r->found[i], &text);
        if (!SL_BUG(sl_json_parse(sl_buf_slice(&text), &doc, NULL) != SL_OK))
            err = sl_aggregation_add(a, sl_json_root(doc));
        sl_json_destroy(&doc);
    }
    sl_buf_deinit(&text);
    return err == SL_OK;
}

static void
write_metadata(struct sl_retrieval *r, struct sl_aggregation *a)
{
    struct sl_buf text = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &text);
    sl_jsonw_object(&w);
    sl_jsonw_name(&w, "aggregations");
    uint64_t total = sl_aggregation_write(a, &w);
    sl_jsonw_member_u64(&w, "total_groups", total);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    r->stats[r->stage_index].metadata = sl_call_copy(r->call, sl_buf_slice(&text));
    sl_buf_deinit(&text);
}

enum sl_stage_result
sl_stage_aggregate(struct sl_retrieval *r)
{
    struct sl_aggregation *a = NULL;
    struct sl_aggregation_error error;
    struct sl_json parameters = sl_json_member(r->config, "parameters");
    enum sl_stage_result result = SL_STAGE_DONE;
    if (sl_aggregation_create(parameters, &a, &error) != SL_OK)
        return sl_stage_refuse(r, error.place, error.why);
    if (add_all(r, a))
        write_metadata(r, a);
    else
        result = sl_stage_refuse(r, "group_by", "too many groups, or values that take too much");
    if (!sl_json_bool(sl_json_member(parameters, "include_documents"), false))
        r->found_count = 0;
    sl_aggregation_destroy(&a);
    return result;
}

/* ---- facets -------------------------------------------------------------------------------- */

/* {"unwind": key, "group_by": [key], ...}: elements of arrays are counted each. */
static struct sl_json
facet_request(struct sl_retrieval *r, struct sl_slice key, uint64_t limit)
{
    struct sl_buf text = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &text);
    sl_jsonw_object(&w);
    sl_jsonw_member_slice(&w, "unwind", key);
    sl_jsonw_name(&w, "group_by");
    sl_jsonw_array(&w);
    sl_jsonw_object(&w);
    sl_jsonw_member_slice(&w, "field", key);
    sl_jsonw_member_str(&w, "alias", "value");
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    sl_jsonw_member_raw(&w, "aggregations",
                        sl_slice_str("[{\"function\":\"count\",\"alias\":\"count\"}]"));
    sl_jsonw_member_str(&w, "sort_by", "count");
    sl_jsonw_member_u64(&w, "limit", limit);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    struct sl_json request = sl_call_parse(r->call, sl_buf_slice(&text));
    sl_buf_deinit(&text);
    return request;
}

static void
write_values(struct sl_retrieval *r, struct sl_aggregation *a, struct sl_jsonw *w)
{
    struct sl_buf text = {0};
    struct sl_jsonw results;
    sl_jsonw_init(&results, &text);
    (void)sl_aggregation_write(a, &results);
    sl_jsonw_done(&results);
    struct sl_json list = sl_call_parse(r->call, sl_buf_slice(&text));
    sl_jsonw_array(w);
    for (struct sl_json_iter i = sl_json_iter(list); sl_json_next(&i);) {
        sl_jsonw_object(w);
        sl_jsonw_member_value(w, "value",
                              sl_json_member(sl_json_member(i.value, "group"), "value"));
        sl_jsonw_member_value(w, "count",
                              sl_json_member(sl_json_member(i.value, "metrics"), "count"));
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
    sl_buf_deinit(&text);
}

static bool
is_doubled(struct sl_json list, struct sl_json facet)
{
    struct sl_json key = sl_json_member(facet, "key");
    uint32_t same = 0;
    for (struct sl_json_iter i = sl_json_iter(list); sl_json_next(&i);)
        same += sl_slice_equal(sl_json_raw(sl_json_member(i.value, "key")), sl_json_raw(key));
    return same > 1;
}

static bool
write_facet(struct sl_retrieval *r, struct sl_json facet, struct sl_jsonw *w)
{
    struct sl_aggregation *a = NULL;
    struct sl_aggregation_error error;
    struct sl_slice key = sl_call_text(r->call, sl_json_member(facet, "key"));
    struct sl_json wanted = sl_json_member(facet, "limit");
    uint64_t limit = 10;
    if (key.size == 0 || (sl_json_has(wanted) &&
                          (sl_json_u64(wanted, &limit) != SL_OK || limit < 1 || limit > 1000))) {
        sl_stage_refuse(r, "facets", "a facet needs a key, and a limit in 1..1000");
        return false;
    }
    if (SL_BUG(sl_aggregation_create(facet_request(r, key, limit), &a, &error) != SL_OK))
        return false;
    bool is_counted = add_all(r, a);
    if (is_counted) {
        sl_jsonw_name_slice(w, key);
        write_values(r, a, w);
    } else {
        sl_stage_refuse(r, "facets", "a facet has too many values");
    }
    sl_aggregation_destroy(&a);
    return is_counted;
}

bool
sl_retrieval_count_facets(struct sl_retrieval *r)
{
    struct sl_json list = sl_stage_parameter(r, "facets");
    struct sl_buf text = {0};
    struct sl_jsonw w;
    bool is_counted = true;
    if (sl_json_count(list) == 0)
        return true;
    if (sl_json_kind(list) != SL_JSON_ARRAY || sl_json_count(list) > FACETS_MAX) {
        sl_stage_refuse(r, "facets", "must be a list of at most 20");
        return false;
    }
    sl_jsonw_init(&w, &text);
    sl_jsonw_object(&w);
    for (struct sl_json_iter i = sl_json_iter(list); is_counted && sl_json_next(&i);) {
        if (is_doubled(list, i.value))
            is_counted = sl_stage_refuse(r, "facets", "a key is there twice") == SL_STAGE_DONE;
        else
            is_counted = write_facet(r, i.value, &w);
    }
    sl_jsonw_end(&w);
    r->facets = sl_call_copy(r->call, sl_buf_slice(&text));
    sl_buf_deinit(&text);
    return is_counted;
}
