/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/collection_config.h"

#include "actors/chain.h"
#include "gateway/bucket_schema.h"
#include "gateway/collection.h"
#include "gateway/isolation/level.h"
#include "runtime/alloc.h"
#include "runtime/filter.h"

static const char *const extractor_loc = "body.feature_extractor";

/* ---- source -------------------------------------------------------------------------------- */

static bool
read_buckets(struct sl_call *call, struct sl_collection_config *c, struct sl_json ids)
{
    if (sl_json_count(ids) == 0 || sl_json_count(ids) > SL_COLLECTION_BUCKETS_MAX) {
        sl_call_invalid(call, "body.source.bucket_ids", "value_error", "1 to %d buckets",
                        SL_COLLECTION_BUCKETS_MAX);
        return false;
    }
    for (struct sl_json_iter i = sl_json_iter(ids); sl_json_next(&i);) {
        if (!sl_resource_find(call, &sl_kind_bucket, call->namespace_id,
                              sl_call_text(call, i.value), &c->buckets[c->buckets_count]))
            return false;
        c->buckets_count++;
    }
    c->schema = sl_json_member(c->buckets[0].row, "bucket_schema");
    return true;
}

static bool
add_parent(struct sl_call *call, struct sl_collection_config *c, struct sl_json id)
{
    struct sl_resource parent;
    /* Sources cannot be changed later and must be there already: to name oneself is the only cycle
     * that a client can write down. */
    struct sl_slice own = sl_call_text(call, sl_call_member(call, "collection_name", "name"));
    struct sl_resource found;
    if (sl_slice_equal(sl_call_text(call, id), own) &&
        !sl_resource_lookup(call, &sl_kind_collection, call->namespace_id, own, &found)) {
        sl_call_invalid(call, "body.source.collection_ids", "value_error",
                        "a cycle: the collection would feed itself");
        return false;
    }
    if (!sl_resource_find(call, &sl_kind_collection, call->namespace_id, sl_call_text(call, id),
                          &parent))
        return false;
    for (uint32_t i = 0; i < c->parents_count; i++) {
        if (strcmp(c->parents[i].id, parent.id) == 0)
            return true;
    }
    c->parents[c->parents_count++] = parent;
    return true;
}

/* A longer chain could be made, and no batch would run it. */
static bool
find_tier(struct sl_call *call, struct sl_collection_config *c)
{
    for (uint32_t i = 0; i < c->parents_count; i++) {
        uint64_t tier = 0;
        (void)!sl_json_u64(sl_json_member(c->parents[i].row, "tier_num"), &tier);
        c->tier = SL_MAX(c->tier, (uint32_t)tier + 1);
    }
    if (c->tier < SL_CHAIN_TIERS_MAX)
        return true;
    sl_call_invalid(call, "body.source.collection_ids", "value_error",
                    "collections feed each other over at most %d tiers", SL_CHAIN_TIERS_MAX);
    return false;
}

/* `collection_ids`, `collection_id`, or both. */
static bool
read_parents(struct sl_call *call, struct sl_collection_config *c, struct sl_json source)
{
    struct sl_json ids = sl_json_member(source, "collection_ids");
    struct sl_json id = sl_json_member(source, "collection_id");
    uint32_t count = sl_json_count(ids) + sl_json_has(id);
    if (count == 0 || count > SL_COLLECTION_PARENTS_MAX) {
        sl_call_invalid(call, "body.source.collection_ids", "value_error", "1 to %d collections",
                        SL_COLLECTION_PARENTS_MAX);
        return false;
    }
    if (sl_json_has(id) && !add_parent(call, c, id))
        return false;
    for (struct sl_json_iter i = sl_json_iter(ids); sl_json_next(&i);) {
        if (!add_parent(call, c, i.value))
            return false;
    }
    c->schema = sl_json_member(c->parents[0].row, "output_schema");
    return find_tier(call, c);
}

static bool
read_source(struct sl_call *call, struct sl_collection_config *c)
{
    struct sl_json source = sl_json_member(call->body, "source");
    struct sl_filter *filter = NULL;
    char *why = NULL;
    bool is_read = sl_json_is(sl_json_member(source, "type"), "collection")
                       ? read_parents(call, c, source)
                       : read_buckets(call, c, sl_json_member(source, "bucket_ids"));
    if (!is_read)
        return false;
    c->filters = sl_json_member(source, "source_filters");
    if (sl_filter_compile(sl_collection_filters(source), NULL, &filter, &why) != SL_OK)
        sl_call_invalid(call, "body.source.source_filters", "filter", "%s", why);
    sl_filter_destroy(&filter);
    sl_free(why);
    return !sl_call_has_failed(call);
}

/* ---- extractor ----------------------------------------------------------------------------- */

static bool
read_extractor(struct sl_call *call, struct sl_collection_config *c)
{
    struct sl_json list = sl_json_member(call->body, "feature_extractors");
    c->extractor = sl_json_member(call->body, "feature_extractor");
    if (sl_json_count(list) > 1 || (sl_json_has(list) && sl_json_has(c->extractor))) {
        sl_call_invalid(call, "body.feature_extractors", "value_error",
                        "a collection has exactly one extractor");
        return false;
    }
    if (!sl_json_has(c->extractor)) {
        struct sl_json_iter i = sl_json_iter(list);
        if (!sl_json_next(&i)) {
            sl_call_invalid(call, extractor_loc, "missing", "a collection needs an extractor");
            return false;
        }
        c->extractor = i.value;
    }
    struct sl_slice name = sl_member_text(call, c->extractor, "feature_extractor_name");
    struct sl_slice version = sl_member_text(call, c->extractor, "version");
    c->info = sl_extractor_info_lookup(name, version);
    if (c->info == NULL)
        sl_call_invalid(call, extractor_loc, "value_error", "there is no extractor %.*s %.*s",
                        SL_SLICE_FMT(name), SL_SLICE_FMT(version));
    else if (!sl_extractor_info_is_available(c->info))
        sl_call_invalid(call, extractor_loc, "value_error", "%s %s is not available: %s",
                        c->info->name, c->info->version, c->info->unavailable_reason);
    if (sl_call_has_failed(call))
        return false;
    c->params = sl_json_member(c->extractor, "parameters");
    if (!sl_json_has(c->params))
        c->params = sl_json_member(c->extractor, "params");
    sl_extractor_params_check(c->info, c->params, call, "body.feature_extractor.parameters");
    return !sl_call_has_failed(call);
}

/* ---- inputs -------------------------------------------------------------------------------- */

static bool
check_path(struct sl_call *call, const struct sl_collection_config *c, struct sl_slice path)
{
    for (uint32_t i = 0; i < c->buckets_count; i++) {
        struct sl_json schema = sl_json_member(c->buckets[i].row, "bucket_schema");
        if (sl_bucket_schema_has(schema, path))
            continue;
        sl_call_invalid(call, "body.feature_extractor.input_mappings", "value_error",
                        "bucket %s has no field %.*s", c->buckets[i].id, SL_SLICE_FMT(path));
        return false;
    }
    struct sl_slice field = {path.data, path.size};
    const uint8_t *dot = memchr(path.data, '.', path.size);
    field.size = dot == NULL ? path.size : (size_t)(dot - path.data);
    for (uint32_t i = 0; i < c->parents_count; i++) {
        struct sl_json schema = sl_json_member(c->parents[i].row, "output_schema");
        bool is_open =
            sl_json_bool(sl_json_path(c->parents[i].row,
                                      sl_slice_str("feature_extractor.include_all_source_fields")),
                         false);
        if (is_open ||
            sl_json_has(sl_json_member_slice(sl_json_member(schema, "properties"), field)))
            continue;
        sl_call_invalid(call, "body.feature_extractor.input_mappings", "value_error",
                        "documents of collection %s have no field %.*s", c->parents[i].id,
                        SL_SLICE_FMT(path));
        return false;
    }
    return true;
}

static bool
write_input(struct sl_call *call, const struct sl_collection_config *c, struct sl_slice input,
            struct sl_slice path, struct sl_jsonw *w)
{
    struct sl_json inputs = sl_call_parse(call, sl_slice_str(c->info->inputs));
    /* What a custom one reads is between its author and the operator. */
    bool is_free = c->info->is_custom && input.size > 0 && input.size <= 128;
    if (!is_free && !sl_json_has(sl_json_member_slice(inputs, input))) {
        sl_call_invalid(call, "body.feature_extractor.input_mappings", "value_error",
                        "%s has no input %.*s", c->info->name, SL_SLICE_FMT(input));
        return false;
    }
    if (path.size == 0) {
        sl_call_invalid(call, "body.feature_extractor.input_mappings", "value_error",
                        "input %.*s is mapped to no path", SL_SLICE_FMT(input));
        return false;
    }
    if (!check_path(call, c, path))
        return false;
    sl_jsonw_object(w);
    sl_jsonw_member_slice(w, "name", input);
    sl_jsonw_member_slice(w, "path", path);
    sl_jsonw_end(w);
    return true;
}

/* [{input_key, source_type, path, override}] */
static bool
write_input_row(struct sl_call *call, const struct sl_collection_config *c, struct sl_json row,
                struct sl_jsonw *w)
{
    struct sl_slice input = sl_member_text(call, row, "input_key");
    struct sl_json type = sl_json_member(row, "source_type");
    struct sl_json value = sl_json_member(row, "override");
    if (sl_json_is(type, "literal") && sl_json_has(value)) {
        sl_jsonw_object(w);
        sl_jsonw_member_slice(w, "name", input);
        sl_jsonw_member_value(w, "value", value);
        sl_jsonw_end(w);
        return true;
    }
    if (sl_json_has(type) && !sl_json_is(type, "payload")) {
        sl_call_invalid(call, "body.feature_extractor.input_mappings", "value_error",
                        "source_type is payload, or literal with an override");
        return false;
    }
    return write_input(call, c, input, sl_member_text(call, row, "path"), w);
}

/* Without a mapping: the field of the input's name, else the only text there is, else `content`. */
static struct sl_slice
default_path(struct sl_call *call, const struct sl_collection_config *c, struct sl_slice input)
{
    struct sl_json properties = sl_json_member(c->schema, "properties");
    struct sl_slice found = sl_slice_str("content");
    if (sl_json_has(sl_json_member_slice(properties, input)))
        return input;
    for (struct sl_json_iter i = sl_json_iter(properties); sl_json_next(&i);) {
        if (sl_json_is(sl_json_member(i.value, "type"), "text"))
            found = sl_call_text(call, i.name);
    }
    return found;
}

static bool
has_input(struct sl_call *call, struct sl_json inputs, struct sl_slice name)
{
    for (struct sl_json_iter i = sl_json_iter(inputs); sl_json_next(&i);) {
        if (sl_slice_equal(sl_member_text(call, i.value, "name"), name))
            return true;
    }
    return false;
}

static bool
check_required(struct sl_call *call, const struct sl_collection_config *c)
{
    struct sl_json required = sl_call_parse(call, sl_slice_str(c->info->inputs_required));
    for (struct sl_json_iter i = sl_json_iter(required); sl_json_next(&i);) {
        struct sl_slice name = sl_call_text(call, i.value);
        if (has_input(call, c->inputs, name))
            continue;
        sl_call_invalid(call, "body.feature_extractor.input_mappings", "missing",
                        "input %.*s is not mapped", SL_SLICE_FMT(name));
        return false;
    }
    return true;
}

static bool
read_inputs(struct sl_call *call, struct sl_collection_config *c)
{
    struct sl_json mappings = sl_json_member(c->extractor, "input_mappings");
    struct sl_json required = sl_call_parse(call, sl_slice_str(c->info->inputs_required));
    struct sl_buf out = {0};
    struct sl_jsonw w;
    bool is_good = true;
    sl_jsonw_init(&w, &out);
    sl_jsonw_array(&w);
    if (sl_json_count(mappings) == 0) {
        for (struct sl_json_iter i = sl_json_iter(required); is_good && sl_json_next(&i);) {
            struct sl_slice input = sl_call_text(call, i.value);
            is_good = write_input(call, c, input, default_path(call, c, input), &w);
        }
        struct sl_slice input = sl_slice_str("content");
        if (is_good && c->info->is_custom && sl_json_count(required) == 0)
            is_good = write_input(call, c, input, default_path(call, c, input), &w);
    }
    for (struct sl_json_iter i = sl_json_iter(mappings); is_good && sl_json_next(&i);) {
        is_good =
            sl_json_kind(mappings) == SL_JSON_ARRAY
                ? write_input_row(call, c, i.value, &w)
                : write_input(call, c, sl_call_text(call, i.name), sl_call_text(call, i.value), &w);
    }
    if (is_good) {
        sl_jsonw_end(&w);
        c->inputs = sl_call_parse(call, sl_buf_slice(&out));
        is_good = check_required(call, c);
    }
    sl_buf_deinit(&out);
    return is_good;
}

/* Strings become {"source_path"}: the form that is stored and returned. */
static bool
read_passthrough(struct sl_call *call, struct sl_collection_config *c)
{
    struct sl_json rows = sl_json_member(c->extractor, "field_passthrough");
    struct sl_buf out = {0};
    struct sl_jsonw w;
    bool is_good = true;
    sl_jsonw_init(&w, &out);
    sl_jsonw_array(&w);
    for (struct sl_json_iter i = sl_json_iter(rows); is_good && sl_json_next(&i);) {
        bool is_text = sl_json_kind(i.value) == SL_JSON_STRING;
        struct sl_slice path =
            is_text ? sl_call_text(call, i.value) : sl_member_text(call, i.value, "source_path");
        if (path.size == 0) {
            sl_call_invalid(call, "body.feature_extractor.field_passthrough", "missing",
                            "a passed field has a source_path");
            is_good = false;
        } else if (is_text) {
            sl_jsonw_object(&w);
            sl_jsonw_member_slice(&w, "source_path", path);
            sl_jsonw_end(&w);
        } else {
            sl_jsonw_value(&w, i.value);
        }
    }
    if (is_good) {
        sl_jsonw_end(&w);
        c->passthrough = sl_call_parse(call, sl_buf_slice(&out));
    }
    c->include_all = sl_json_bool(sl_json_member(c->extractor, "include_all_source_fields"), false);
    sl_buf_deinit(&out);
    return is_good;
}

/* ---- the model ----------------------------------------------------------------------------- */

static bool
take_model(struct sl_call *call, struct sl_collection_config *c, struct sl_slice id,
           struct sl_json row)
{
    uint64_t dimensions = 0;
    struct sl_slice index = sl_member_text(call, row, "index");
    if (!sl_json_bool(sl_json_member(row, "deployed"), false) ||
        !sl_json_is(sl_json_member(row, "task_type"), "embedding") || index.size == 0 ||
        sl_json_u64(sl_json_member(row, "dimensions"), &dimensions) != SL_OK || dimensions == 0 ||
        dimensions > UINT32_MAX)
        return false;
    c->model = sl_call_copy(call, id);
    c->index = index;
    c->dimensions = (uint32_t)dimensions;
    return true;
}

static bool
take_named_model(struct sl_call *call, struct sl_collection_config *c, struct sl_slice name)
{
    struct sl_buf key = {0};
    struct sl_slice value;
    const char *id = sl_call_identifier(call, name);
    bool is_taken = id != NULL &&
                    sl_txn_get(call->txn, call->who.scope, SL_TABLE_MODEL,
                               sl_key(&key, 2, call->namespace_id, id), &value) == SL_OK &&
                    take_model(call, c, name, sl_call_parse(call, value));
    sl_buf_deinit(&key);
    if (!is_taken)
        sl_call_invalid(call, "body.feature_extractor.parameters.embedding_model", "value_error",
                        "%.*s is not a deployed embedding model of this namespace",
                        SL_SLICE_FMT(name));
    return is_taken;
}

static bool
choose_model(struct sl_call *call, struct sl_collection_config *c)
{
    struct sl_slice name = sl_member_text(call, c->params, "embedding_model");
    struct sl_buf prefix = {0};
    struct sl_scan scan = {0};
    if (c->info->indexes_count == 0)
        return true;
    if (c->info->is_custom) { /* It makes what the catalogue says, however it does. */
        c->index = sl_slice_str(c->info->indexes[0].name);
        c->dimensions = c->info->indexes[0].dimensions;
        return true;
    }
    if (name.size > 0 && !sl_slice_is(name, SL_TEXT_HASH_INDEX))
        return take_named_model(call, c, name);
    c->index = sl_slice_str(SL_TEXT_HASH_INDEX);
    c->dimensions = SL_TEXT_HASH_DIMENSIONS;
    if (name.size > 0)
        return true;
    bool is_taken = false;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_MODEL,
                sl_key_prefix(&prefix, 1, call->namespace_id), sl_slice(NULL, 0), false, &scan);
    while (!is_taken && sl_scan_next(&scan))
        is_taken = take_model(call, c, sl_key_part(scan.key, 1), sl_call_parse(call, scan.value));
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    return true;
}

bool
sl_collection_config_read(struct sl_call *call, struct sl_collection_config *ret_config)
{
    *ret_config = (struct sl_collection_config){0};
    return read_source(call, ret_config) && read_extractor(call, ret_config) &&
           read_inputs(call, ret_config) && read_passthrough(call, ret_config) &&
           choose_model(call, ret_config);
}

static void
write_text_or_null(struct sl_jsonw *w, const char *name, struct sl_slice text)
{
    if (text.size == 0)
        sl_jsonw_member_null(w, name);
    else
        sl_jsonw_member_slice(w, name, text);
}

void
sl_collection_config_extraction(struct sl_call *call, const struct sl_collection_config *c,
                                bool is_enabled, struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "extractor", c->info->name);
    sl_jsonw_member_str(w, "version", c->info->version);
    sl_jsonw_name(w, "params");
    if (sl_json_has(c->params))
        sl_jsonw_value(w, c->params);
    else
        sl_jsonw_raw(w, sl_slice_str("{}"));
    write_text_or_null(w, "model", c->model);
    sl_jsonw_member_str(w, "namespace", call->namespace_id);
    write_text_or_null(w, "index", c->index);
    write_text_or_null(w, "output",
                       c->info->indexes_count == 0 ? sl_slice(NULL, 0)
                                                   : sl_slice_str(c->info->indexes[0].output));
    sl_jsonw_member_u64(w, "dimensions", c->dimensions);
    sl_jsonw_member_value(w, "inputs", c->inputs);
    sl_jsonw_member_value(w, "passthrough", c->passthrough);
    sl_jsonw_member_bool(w, "include_all", c->include_all);
    sl_jsonw_member_str(w, "class", "cpu");
    sl_jsonw_member_bool(w, "enabled", is_enabled);
    sl_isolation_note(call->txn, call->who.scope, c->info->is_apart, w);
    if (c->info->has_models)
        sl_jsonw_member_bool(w, "models", true);
    sl_jsonw_end(w);
    sl_jsonw_done(w);
}
