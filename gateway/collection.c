/* SPDX-License-Identifier: Apache-2.0 */
/* Collections. */
#include "gateway/collection.h"

#include "gateway/ask.h"
#include "gateway/batch.h"
#include "gateway/bucket.h"
#include "gateway/bucket_schema.h"
#include "gateway/collection_config.h"
#include "gateway/event.h"
#include "gateway/list.h"

#define LINEAGE_MAX 64 /* Entries that are shown; each is as large as its collection's schema. */

static const char *const none[] = {NULL};

static bool
has_source(struct sl_json row, const char *kind, const char *id)
{
    struct sl_json ids = sl_json_member(sl_json_member(row, "source"), kind);
    for (struct sl_json_iter i = sl_json_iter(ids); sl_json_next(&i);) {
        if (sl_json_is(i.value, id))
            return true;
    }
    return false;
}

struct sl_json
sl_collection_filters(struct sl_json object)
{
    struct sl_json filters = sl_json_member(object, "source_filters");
    struct sl_json tree = sl_json_member(filters, "filters");
    bool is_wrapped = sl_json_kind(tree) == SL_JSON_OBJECT || sl_json_kind(tree) == SL_JSON_NULL;
    return is_wrapped ? tree : filters;
}

bool
sl_collection_is_fed_by(struct sl_json row, const char *bucket)
{
    return has_source(row, "bucket_ids", bucket);
}

bool
sl_collection_is_fed_by_collection(struct sl_json row, const char *collection)
{
    return has_source(row, "collection_ids", collection);
}

static bool
find(struct sl_call *call, struct sl_resource *ret_collection)
{
    return sl_resource_find(call, &sl_kind_collection, call->namespace_id, call->params[0],
                            ret_collection);
}

/* ---- the row ------------------------------------------------------------------------------- */

static void
write_extractor(const struct sl_collection_config *c, struct sl_jsonw *w)
{
    static const char *const own[] = {"field_passthrough",
                                      "include_all_source_fields",
                                      "feature_extractor_id",
                                      "parameters",
                                      "params",
                                      "input_mappings",
                                      NULL};
    sl_jsonw_name(w, "feature_extractor");
    sl_jsonw_object(w);
    sl_write_except(w, c->extractor, own);
    sl_jsonw_member_value(w, "params", sl_json_member(c->extractor, "params"));
    sl_jsonw_name(w, "parameters");
    if (sl_json_has(c->params))
        sl_jsonw_value(w, c->params);
    else
        sl_jsonw_raw(w, sl_slice_str("{}"));
    sl_jsonw_name(w, "input_mappings");
    sl_jsonw_object(w);
    for (struct sl_json_iter i = sl_json_iter(c->inputs); sl_json_next(&i);) {
        struct sl_json name = sl_json_member(i.value, "name");
        struct sl_slice raw = sl_json_raw(name); /* Names of inputs need no escapes. */
        if (!sl_json_has(sl_json_member(i.value, "path")) || raw.size < 2)
            continue;
        sl_jsonw_name_slice(w, sl_slice(raw.data + 1, raw.size - 2));
        sl_jsonw_value(w, sl_json_member(i.value, "path"));
    }
    sl_jsonw_end(w);
    sl_jsonw_member_value(w, "field_passthrough", c->passthrough);
    sl_jsonw_member_bool(w, "include_all_source_fields", c->include_all);
    sl_jsonw_member_str(w, "feature_extractor_id", c->info->id);
    sl_jsonw_end(w);
}

/* Buckets at the root of the parents, each once. */
static void
write_inherited(struct sl_call *call, const struct sl_collection_config *c, struct sl_jsonw *w)
{
    struct sl_slice seen[SL_COLLECTION_BUCKETS_MAX];
    uint32_t count = 0;
    sl_jsonw_name(w, "inherited_bucket_ids");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < c->parents_count; i++) {
        struct sl_json source = sl_json_member(c->parents[i].row, "source");
        struct sl_json ids = sl_json_member(source, "bucket_ids");
        if (!sl_json_has(ids))
            ids = sl_json_member(source, "inherited_bucket_ids");
        for (struct sl_json_iter k = sl_json_iter(ids); sl_json_next(&k);) {
            struct sl_slice id = sl_call_text(call, k.value);
            bool is_seen = count == SL_COUNT_OF(seen);
            for (uint32_t s = 0; s < count; s++)
                is_seen = is_seen || sl_slice_equal(seen[s], id);
            if (is_seen)
                continue;
            seen[count++] = id;
            sl_jsonw_slice(w, id);
        }
    }
    sl_jsonw_end(w);
}

static void
write_source(struct sl_call *call, const struct sl_collection_config *c, struct sl_jsonw *w)
{
    bool is_of_buckets = c->buckets_count > 0;
    sl_jsonw_name(w, "source");
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "type", is_of_buckets ? "bucket" : "collection");
    sl_jsonw_name(w, is_of_buckets ? "bucket_ids" : "collection_ids");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < c->buckets_count; i++)
        sl_jsonw_str(w, c->buckets[i].id);
    for (uint32_t i = 0; i < c->parents_count; i++)
        sl_jsonw_str(w, c->parents[i].id);
    sl_jsonw_end(w);
    if (!is_of_buckets)
        write_inherited(call, c, w);
    if (sl_json_has(c->filters))
        sl_jsonw_member_value(w, "source_filters", c->filters);
    sl_jsonw_end(w);
}

struct lineage {
    struct sl_jsonw *w;
    struct sl_slice seen[LINEAGE_MAX]; /* JSON of its entries. */
    uint32_t count;
};

static void
add_lineage(struct lineage *l, struct sl_slice entry)
{
    for (uint32_t i = 0; i < l->count; i++) {
        if (sl_slice_equal(l->seen[i], entry))
            return;
    }
    if (l->count == LINEAGE_MAX)
        return;
    l->seen[l->count++] = entry;
    sl_jsonw_raw(l->w, entry);
}

/* What made the documents it reads: the collections above it, the first of them first. */
static void
write_lineage(struct sl_call *call, const struct sl_collection_config *c, struct sl_jsonw *w)
{
    struct lineage *l = sl_call_alloc(call, sizeof(*l));
    struct sl_buf entry = {0};
    struct sl_jsonw e;
    l->w = w;
    sl_jsonw_name(w, "source_lineage");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < c->parents_count; i++) {
        struct sl_json row = c->parents[i].row;
        struct sl_json before = sl_json_member(row, "source_lineage");
        for (struct sl_json_iter k = sl_json_iter(before); sl_json_next(&k);)
            add_lineage(l, sl_json_raw(k.value));
        sl_buf_clear(&entry);
        sl_jsonw_init(&e, &entry);
        sl_jsonw_object(&e);
        sl_jsonw_member_value(&e, "source_config", sl_json_member(row, "source"));
        sl_jsonw_member_value(&e, "feature_extractor", sl_json_member(row, "feature_extractor"));
        sl_jsonw_member_value(&e, "output_schema", sl_json_member(row, "output_schema"));
        sl_jsonw_end(&e);
        sl_jsonw_done(&e);
        add_lineage(l, sl_call_copy(call, sl_buf_slice(&entry)));
    }
    sl_jsonw_end(w);
    sl_buf_deinit(&entry);
}

/* Passed fields with the type they have in the bucket, then the extractor's outputs. */
static void
write_output_schema(struct sl_call *call, const struct sl_collection_config *c, struct sl_jsonw *w)
{
    struct sl_json outputs = sl_call_parse(call, sl_slice_str(c->info->outputs));
    struct sl_json properties = sl_json_member(c->schema, "properties");
    const char *seen[257] = {NULL};
    uint32_t count = 0;
    sl_jsonw_name(w, "output_schema");
    sl_jsonw_object(w);
    sl_jsonw_name(w, "properties");
    sl_jsonw_object(w);
    for (struct sl_json_iter i = sl_json_iter(c->passthrough); sl_json_next(&i) && count < 256;) {
        struct sl_slice path = sl_member_text(call, i.value, "source_path");
        struct sl_slice target = sl_member_text(call, i.value, "target_path");
        struct sl_json field = sl_json_member_slice(properties, path);
        const uint8_t *dot = memrchr(path.data, '.', path.size);
        if (target.size == 0)
            target =
                dot == NULL ? path : sl_slice(dot + 1, path.size - (size_t)(dot + 1 - path.data));
        bool is_seen = sl_json_has(sl_json_member_slice(outputs, target));
        for (uint32_t s = 0; s < count; s++)
            is_seen = is_seen || sl_slice_is(target, seen[s]);
        if (is_seen)
            continue;
        seen[count++] = (const char *)sl_call_copy(call, target).data;
        sl_jsonw_name_slice(w, target);
        if (sl_json_has(field))
            sl_jsonw_value(w, field);
        else
            sl_jsonw_raw(w, sl_slice_str("{\"type\":\"string\"}"));
    }
    sl_write_except(w, outputs, none);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

static void
write_indexes(const struct sl_collection_config *c, struct sl_jsonw *w)
{
    sl_jsonw_name(w, "vector_indexes");
    sl_jsonw_array(w);
    if (c->index.size > 0)
        sl_vector_index_write(&(struct sl_vector_index){.extractor = c->info,
                                                        .name = c->index,
                                                        .dimensions = c->dimensions},
                              w);
    sl_jsonw_end(w);
}

static void
write_row(struct sl_call *call, const struct sl_collection_config *c, const char *id,
          struct sl_slice name, struct sl_jsonw *w)
{
    struct sl_json schema = sl_json_member(call->body, "input_schema");
    struct sl_json metadata = sl_json_member(call->body, "metadata");
    if (!sl_json_has(schema))
        schema = c->schema;
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "collection_id", id);
    sl_jsonw_member_str(w, "namespace_id", call->namespace_id);
    sl_jsonw_member_slice(w, "collection_name", name);
    sl_jsonw_member_value(w, "description", sl_json_member(call->body, "description"));
    sl_jsonw_member_value(w, "input_schema", schema);
    write_output_schema(call, c, w);
    write_extractor(c, w);
    write_source(call, c, w);
    write_lineage(call, c, w);
    sl_jsonw_member_u64(w, "tier_num", c->tier);
    write_indexes(c, w);
    sl_jsonw_member_raw(w, "payload_indexes", sl_slice_str("[]"));
    sl_jsonw_member_bool(w, "enabled", sl_json_bool(sl_json_member(call->body, "enabled"), true));
    sl_jsonw_name(w, "metadata");
    if (sl_json_has(metadata))
        sl_jsonw_value(w, metadata);
    else
        sl_jsonw_raw(w, sl_slice_str("{}"));
    sl_jsonw_member_value(w, "schedule", sl_json_member(call->body, "schedule"));
    sl_jsonw_member_str(w, "lifecycle_state", "active");
    sl_jsonw_member_u64(w, "schema_version", 1);
    sl_jsonw_member_time(w, "created_at", call->now_ms);
    sl_jsonw_member_time(w, "updated_at", call->now_ms);
    sl_jsonw_end(w);
    sl_jsonw_done(w);
}

static void
write_collection(struct sl_call *call, const char *id, struct sl_json row, struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    sl_write_except(w, row, none);
    sl_jsonw_member_i64(w, "document_count",
                        sl_count(call->txn, sl_counter(call, SL_COUNT_RECORDS, id)));
    sl_jsonw_end(w);
}

/* ---- handlers ------------------------------------------------------------------------------ */

/* Check call->body and store a new collection. Returns its row; NONE: the call has failed. */
static struct sl_json
create(struct sl_call *call, const char **ret_id)
{
    struct sl_collection_config *config = sl_call_alloc(call, sizeof(*config));
    struct sl_slice name = sl_call_text(call, sl_call_member(call, "collection_name", "name"));
    bool is_enabled = sl_json_bool(sl_json_member(call->body, "enabled"), true);
    struct sl_buf row = {0};
    struct sl_jsonw w;
    sl_bucket_schema_check(call, sl_json_member(call->body, "input_schema"), "body.input_schema");
    if (sl_call_has_failed(call) || !sl_collection_config_read(call, config))
        return (struct sl_json){0};
    const char *id = sl_call_id(call, "col_", 10);
    if (!sl_name_take(call, &(struct sl_name){.kind = &sl_kind_collection,
                                              .parent = call->namespace_id,
                                              .id = id,
                                              .name = name}))
        return (struct sl_json){0};
    sl_jsonw_init(&w, &row);
    sl_collection_config_extraction(call, config, is_enabled, &w);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_EXTRACTION, sl_slice_str(id),
               sl_buf_slice(&row));
    sl_buf_clear(&row);
    sl_jsonw_init(&w, &row);
    write_row(call, config, id, name, &w);
    sl_resource_put(call, &sl_kind_collection, call->namespace_id, id, &row);
    sl_count_add(call->txn, sl_counter(call, SL_COUNT_COLLECTIONS, call->namespace_id), 1);
    sl_call_tell(call, &(struct sl_call_event){
                           .type = "collection.created", .noun = "collection", .id = id});
    struct sl_json parsed = sl_call_parse(call, sl_buf_slice(&row));
    sl_buf_deinit(&row);
    *ret_id = id;
    return parsed;
}

void
sl_api_create_collection(struct sl_call *call)
{
    const char *id;
    struct sl_json row = create(call, &id);
    if (sl_json_has(row))
        write_collection(call, id, row, &call->out);
}

/* The body of a create: what is sent, and the source's where nothing is. */
static struct sl_json
merged(struct sl_call *call, struct sl_json source)
{
    static const char *const copied[] = {
        "source",       "feature_extractor", "description", "enabled",
        "input_schema", "metadata",          "schedule",    NULL};
    bool has_extractors = sl_json_has(sl_json_member(call->body, "feature_extractors"));
    struct sl_buf body = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &body);
    sl_jsonw_object(&w);
    sl_write_except(&w, call->body, copied);
    for (size_t i = 0; copied[i] != NULL; i++) {
        struct sl_json sent = sl_json_member(call->body, copied[i]);
        if (!sl_json_has(sent) && !(has_extractors && strcmp(copied[i], "feature_extractor") == 0))
            sent = sl_json_member(source, copied[i]);
        if (sl_json_has(sent))
            sl_jsonw_member_value(&w, copied[i], sent);
    }
    sl_jsonw_end(&w);
    struct sl_json parsed = sl_call_parse(call, sl_buf_slice(&body));
    sl_buf_deinit(&body);
    return parsed;
}

void
sl_api_clone_collection(struct sl_call *call)
{
    struct sl_resource source;
    const char *id;
    if (!find(call, &source))
        return;
    call->body = merged(call, source.row);
    struct sl_json row = create(call, &id);
    if (!sl_json_has(row))
        return;
    sl_jsonw_object(&call->out);
    sl_jsonw_name(&call->out, "collection");
    write_collection(call, id, row, &call->out);
    sl_jsonw_member_str(&call->out, "source_collection_id", source.id);
    sl_jsonw_end(&call->out);
    sl_resource_copied(call);
}

static bool
render(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value,
       struct sl_jsonw *w)
{
    (void)arg;
    const char *id = (const char *)sl_call_copy(call, sl_key_part(key, 1)).data;
    write_collection(call, id, sl_call_parse(call, value), w);
    return true;
}

void
sl_api_list_collections(struct sl_call *call)
{
    static const char *const search[] = {"collection_id", "collection_name", "description", NULL};
    struct sl_buf prefix = {0};
    sl_resource_list(
        call, &(struct sl_list_source){.scope = call->who.scope,
                                       .table = SL_TABLE_COLLECTION,
                                       .prefix = sl_key_prefix(&prefix, 1, call->namespace_id),
                                       .render = render,
                                       .needs_total = true,
                                       .search_fields = search});
    sl_buf_deinit(&prefix);
}

void
sl_api_get_collection(struct sl_call *call)
{
    struct sl_resource collection;
    if (find(call, &collection))
        write_collection(call, collection.id, collection.row, &call->out);
}

/* The dispatcher reads `enabled` from its own row. */
static void
set_enabled(struct sl_call *call, const char *id, bool is_enabled)
{
    static const char *const enabled[] = {"enabled", NULL};
    struct sl_buf row = {0};
    struct sl_slice value;
    struct sl_jsonw w;
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_EXTRACTION, sl_slice_str(id), &value) !=
        SL_OK)
        return;
    sl_jsonw_init(&w, &row);
    sl_jsonw_object(&w);
    sl_write_except(&w, sl_call_parse(call, value), enabled);
    sl_jsonw_member_bool(&w, "enabled", is_enabled);
    sl_jsonw_end(&w);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_EXTRACTION, sl_slice_str(id),
               sl_buf_slice(&row));
    sl_buf_deinit(&row);
}

void
sl_api_patch_collection(struct sl_call *call)
{
    static const char *const names[] = {
        "collection_name", "description",           "enabled", "metadata",
        "schedule",        "taxonomy_applications", NULL};
    static const char *const fixed[] = {"source", "feature_extractor", "feature_extractors"};
    struct sl_resource collection;
    struct sl_buf row = {0};
    struct sl_json enabled = sl_json_member(call->body, "enabled");
    if (!find(call, &collection))
        return;
    for (size_t i = 0; i < SL_COUNT_OF(fixed); i++) {
        if (sl_json_has(sl_json_member(call->body, fixed[i])))
            sl_call_invalid(call, sl_call_format(call, "body.%s", fixed[i]), "value_error",
                            "cannot be changed: make another collection");
    }
    if (sl_call_has_failed(call) ||
        !sl_name_change(call, &sl_kind_collection, call->namespace_id, &collection))
        return;
    if (sl_json_kind(enabled) == SL_JSON_BOOL)
        set_enabled(call, collection.id, sl_json_bool(enabled, true));
    sl_row_patched(call, collection.row, names, &row);
    sl_resource_put(call, &sl_kind_collection, call->namespace_id, collection.id, &row);
    sl_call_tell(call, &(struct sl_call_event){.type = "collection.updated",
                                               .noun = "collection",
                                               .id = collection.id});
    write_collection(call, collection.id, sl_call_parse(call, sl_buf_slice(&row)), &call->out);
    sl_buf_deinit(&row);
}

void
sl_api_get_features(struct sl_call *call)
{
    struct sl_resource collection;
    struct sl_jsonw *w = &call->out;
    bool is_first = true;
    if (!find(call, &collection))
        return;
    struct sl_json extractor = sl_json_member(collection.row, "feature_extractor");
    struct sl_json indexes = sl_json_member(collection.row, "vector_indexes");
    sl_jsonw_object(w);
    sl_jsonw_name(w, "features");
    sl_jsonw_array(w);
    for (struct sl_json_iter i = sl_json_iter(indexes); sl_json_next(&i); is_first = false) {
        sl_jsonw_object(w);
        sl_jsonw_member_value(w, "feature_address", sl_json_member(i.value, "feature_uri"));
        sl_jsonw_member_value(w, "feature_uri", sl_json_member(i.value, "feature_uri"));
        sl_jsonw_member_value(w, "feature_extractor_name",
                              sl_json_member(extractor, "feature_extractor_name"));
        sl_jsonw_member_value(w, "version", sl_json_member(extractor, "version"));
        sl_jsonw_member_value(w, "vector_index", sl_json_member(i.value, "index"));
        sl_jsonw_member_bool(w, "primary", is_first);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

/* ---- delete -------------------------------------------------------------------------------- */

static void
after_delete(struct sl_call *call, void *arg)
{
    sl_index_drop(sl_call_indexes(call), call->who.scope, sl_slice_str(arg));
}

void
sl_collection_delete(struct sl_call *call, const struct sl_resource *collection,
                     struct sl_purge *purge)
{
    const char *ns = sl_member_str(call, collection->row, "namespace_id");
    struct sl_buf prefix = {0};
    sl_rows_delete(call, SL_TABLE_RECORD, sl_key_prefix(&prefix, 1, collection->id), purge);
    sl_rows_delete(call, SL_TABLE_VECTOR, sl_key_prefix(&prefix, 1, collection->id), purge);
    sl_buf_deinit(&prefix);
    if (sl_call_has_failed(call))
        return;
    sl_count_forget(call->txn, sl_counter(call, SL_COUNT_RECORDS, collection->id));
    sl_count_add(call->txn, sl_counter(call, SL_COUNT_COLLECTIONS, ns), -1);
    sl_txn_del(call->txn, call->who.scope, SL_TABLE_EXTRACTION, sl_slice_str(collection->id));
    sl_resource_delete(call, &sl_kind_collection, ns, collection);
    sl_call_tell(call, &(struct sl_call_event){.type = "collection.deleted",
                                               .noun = "collection",
                                               .id = collection->id,
                                               .namespace_id = ns});
    sl_call_after_commit(call, after_delete,
                         (void *)sl_call_copy(call, sl_slice_str(collection->id)).data);
}

void
sl_api_delete_collection(struct sl_call *call)
{
    struct sl_resource collection;
    struct sl_purge purge = sl_purge_begin();
    if (!find(call, &collection))
        return;
    struct sl_json ids = sl_json_member(sl_json_member(collection.row, "source"), "bucket_ids");
    for (struct sl_json_iter i = sl_json_iter(ids); sl_json_next(&i);) {
        const char *bucket = (const char *)sl_call_text(call, i.value).data;
        if (bucket == NULL || !sl_batch_is_active(call, bucket, collection.id))
            continue;
        sl_call_fail(call, SL_API_CONFLICT, "a batch is running on collection %s", collection.id);
        return;
    }
    sl_collection_delete(call, &collection, &purge);
    if (sl_call_has_failed(call))
        return;
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "message", "the collection and its documents are deleted");
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_member_str(&call->out, "collection_id", collection.id);
    sl_jsonw_end(&call->out);
}

bool
sl_collection_mappings_hold(struct sl_call *call, const char *bucket, struct sl_json schema)
{
    struct sl_scan scan = {0};
    struct sl_buf prefix = {0};
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_COLLECTION,
                sl_key_prefix(&prefix, 1, call->namespace_id), sl_slice(NULL, 0), false, &scan);
    while (!sl_call_has_failed(call) && sl_scan_next(&scan)) {
        struct sl_json row = sl_call_parse(call, scan.value);
        struct sl_json extractor = sl_json_member(row, "feature_extractor");
        struct sl_json mappings = sl_json_member(extractor, "input_mappings");
        if (!sl_collection_is_fed_by(row, bucket))
            continue;
        for (struct sl_json_iter i = sl_json_iter(mappings); sl_json_next(&i);) {
            struct sl_slice path = sl_call_text(call, i.value);
            if (!sl_bucket_schema_has(schema, path))
                sl_call_invalid(call, "body.bucket_schema", "value_error",
                                "collection %s reads the field %.*s",
                                sl_member_str(call, row, "collection_name"), SL_SLICE_FMT(path));
        }
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    return !sl_call_has_failed(call);
}
