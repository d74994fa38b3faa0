/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage attribute_filter: keeps the documents that a filter holds for. As the first stage it
 * reads the collections, row by row. Also the filter-only mode of feature_search.
 */
#include "actors/record.h"
#include "actors/rows.h"
#include "runtime/filter.h"
#include "gateway/resource.h"
#include "gateway/retrieval.h"
#include "runtime/alloc.h"

struct reading {
    struct sl_retrieval *r;
    const struct sl_filter *filter;
    uint32_t limit, capacity;
};

static void
add(struct reading *g, uint32_t collection, uint64_t number, struct sl_slice text)
{
    struct sl_retrieval *r = g->r;
    struct sl_json_doc *doc = NULL;
    if (sl_json_parse(text, &doc, NULL) != SL_OK)
        return;
    bool holds = sl_filter_matches(g->filter, sl_json_root(doc));
    sl_json_destroy(&doc);
    if (!holds)
        return;
    if (r->found_count == g->capacity) {
        uint32_t capacity = SL_MAX(g->capacity * 2, 64u);
        struct sl_found *grown = sl_call_alloc(r->call, capacity * sizeof *grown);
        if (r->found_count > 0)
            memcpy(grown, r->found, r->found_count * sizeof *grown);
        r->found = grown;
        g->capacity = capacity;
    }
    struct sl_found f = {.rank = {.number = number, .collection = collection}};
    f.row = sl_call_parse(r->call, text);
    r->found[r->found_count++] = f;
}

static void
read_collection(struct reading *g, uint32_t collection)
{
    struct sl_call *call = g->r->call;
    const char *name = g->r->collections[collection].id;
    struct sl_buf prefix = {0}, text = {0};
    struct sl_scan scan = {0};
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_RECORD, sl_key_prefix(&prefix, 1, name),
                (struct sl_slice){0}, false, &scan);
    while (g->r->found_count < g->limit && sl_scan_next(&scan)) {
        struct sl_slice id = sl_key_part(scan.key, 1);
        struct sl_record record;
        uint64_t number;
        struct sl_jsonw w;
        if (sl_record_number(id, &number) != SL_OK ||
            sl_record_decode(scan.value, &record) != SL_OK)
            continue;
        sl_buf_clear(&text);
        sl_jsonw_init(&w, &text);
        sl_found_write(name, id, &record, &w);
        sl_jsonw_done(&w);
        add(g, collection, number, sl_buf_slice(&text));
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    sl_buf_deinit(&text);
}

static void
keep_matching(struct sl_retrieval *r, const struct sl_filter *filter)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->found_count; i++) {
        if (sl_filter_matches(filter, r->found[i].row))
            r->found[kept++] = r->found[i];
    }
    r->found_count = kept;
}

/* The stage's filter: conditions, else {field, operator, value}, else pre_filters. */
static struct sl_json
filter_tree(const struct sl_retrieval *r)
{
    struct sl_json conditions = sl_stage_parameter(r, "conditions");
    struct sl_json parameters = sl_json_member(r->config, "parameters");
    if (sl_json_has(conditions))
        return conditions;
    if (sl_json_has(sl_json_member(parameters, "field")))
        return parameters;
    return sl_json_member(r->config, "pre_filters");
}

enum sl_stage_result
sl_stage_attribute_filter(struct sl_retrieval *r)
{
    bool is_search = sl_json_is(sl_json_member(r->config, "stage_id"), "feature_search");
    struct sl_filter_options options = {.inputs = r->inputs};
    struct sl_filter *filter = NULL;
    char *why = NULL;
    options.is_case_sensitive =
        !is_search && !sl_json_bool(sl_stage_parameter(r, "case_insensitive"), false);
    if (sl_filter_compile(filter_tree(r), &options, &filter, &why) != SL_OK) {
        sl_stage_refuse(r, "conditions", sl_call_format(r->call, "%s", why));
        sl_free(why);
        return SL_STAGE_FAILED;
    }
    struct reading g = {.r = r, .filter = filter, .limit = SL_RETRIEVAL_FOUND_MAX};
    if (is_search)
        g.limit = sl_stage_number(r, "final_top_k", 1, 500, 25);
    if (r->has_begun) {
        keep_matching(r, filter);
    } else {
        for (uint32_t i = 0; i < r->collections_count; i++)
            read_collection(&g, i);
    }
    sl_filter_destroy(&filter);
    return SL_STAGE_DONE;
}
