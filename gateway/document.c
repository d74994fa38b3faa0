/* SPDX-License-Identifier: Apache-2.0 */
/* Documents: api.md 2.6. A document is a record below; its vectors are rows beside it. */
#include "actors/record.h"
#include "gateway/ask.h"
#include "gateway/bucket.h"
#include "gateway/document_id.h"
#include "gateway/list.h"

struct shown { /* What of a document a client asked to see. */
    const char *collection;
    struct sl_slice output; /* Name of the field that vectors are shown under. */
    bool has_vectors, has_vector_names;
};

static bool
is_own(struct sl_json name)
{
    static const char *const names[] = {"document_id", "collection_id", "document_blobs",
                                        "_internal", "_vectors"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        if (sl_json_is(name, names[i]))
            return true;
    }
    return false;
}

static struct sl_slice
record_key(struct sl_call *call, const char *collection, const char *id)
{
    struct sl_buf key = {0};
    struct sl_slice copy = sl_call_copy(call, sl_key(&key, 2, collection, id));
    sl_buf_deinit(&key);
    return copy;
}

/* ---- showing ------------------------------------------------------------------------------- */

/* A document that was made of another one has a root, and that other one as its source. */
static void
write_lineage(const struct sl_record *r, struct sl_jsonw *w)
{
    bool is_of_record = r->root.size > 0;
    struct sl_slice root = is_of_record ? r->root : r->source;
    sl_jsonw_member_slice(w, "root_object_id", sl_key_part(root, 1));
    sl_jsonw_member_slice(w, "root_bucket_id", sl_key_part(root, 0));
    sl_jsonw_member_str(w, "source_type", is_of_record ? "collection" : "bucket");
    if (is_of_record) {
        sl_jsonw_name(w, "source_document_id");
        sl_document_id_value(w, sl_key_part(r->source, 1));
        sl_jsonw_member_slice(w, "source_collection_id", sl_key_part(r->source, 0));
    } else {
        sl_jsonw_member_slice(w, "source_object_id", sl_key_part(r->source, 1));
    }
}

static void
write_internal(struct sl_call *call, const struct shown *s, const char *id,
               const struct sl_record *r, struct sl_jsonw *w)
{
    sl_jsonw_name(w, "_internal");
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "namespace_id", call->namespace_id);
    sl_document_id_write(w, sl_slice_str(id));
    sl_jsonw_member_str(w, "collection_id", s->collection);
    sl_jsonw_member_time(w, "created_at", r->created_ms);
    sl_jsonw_member_time(w, "updated_at", r->updated_ms);
    sl_jsonw_name(w, "lineage");
    sl_jsonw_object(w);
    write_lineage(r, w);
    sl_jsonw_end(w);
    sl_jsonw_name(w, "processing");
    sl_jsonw_object(w);
    sl_jsonw_member_slice(w, "batch_id", r->origin);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

/* Cut the next name off; false at the end. */
static bool
next_name(struct sl_slice *names, struct sl_slice *ret_name)
{
    if (names->size == 0)
        return false;
    const uint8_t *end = memchr(names->data, '\n', names->size);
    size_t size = end == NULL ? names->size : (size_t)(end - names->data);
    *ret_name = sl_slice(names->data, size);
    size += end != NULL;
    *names = sl_slice(names->data + size, names->size - size);
    return true;
}

static struct sl_slice
vector_key(struct sl_call *call, const char *collection, struct sl_slice name, const char *id)
{
    struct sl_buf key = {0};
    const char *text = (const char *)sl_call_copy(call, name).data;
    struct sl_slice copy = sl_call_copy(call, sl_key(&key, 3, collection, text, id));
    sl_buf_deinit(&key);
    return copy;
}

static void
write_vector(struct sl_call *call, const struct shown *s, const char *id, struct sl_slice name,
             struct sl_jsonw *w)
{
    struct sl_slice value;
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_VECTOR,
                   vector_key(call, s->collection, name, id), &value) != SL_OK)
        return;
    sl_jsonw_name_slice(w, s->output.size > 0 ? s->output : name);
    sl_jsonw_array(w);
    for (size_t at = 0; at + sizeof(float) <= value.size; at += sizeof(float)) {
        float number;
        memcpy(&number, value.data + at, sizeof(number));
        sl_jsonw_f32(w, number);
    }
    sl_jsonw_end(w);
}

static void
write_document(struct sl_call *call, const struct shown *s, const char *id,
               const struct sl_record *r, struct sl_jsonw *w)
{
    struct sl_buf scratch = {0};
    struct sl_slice names = r->vectors, name;
    sl_jsonw_object(w);
    sl_document_id_write(w, sl_slice_str(id));
    sl_jsonw_member_str(w, "collection_id", s->collection);
    sl_jsonw_member_raw(w, "document_blobs", sl_slice_str("[]"));
    for (struct sl_json_iter i = sl_json_iter(sl_call_parse(call, r->fields)); sl_json_next(&i);) {
        sl_buf_clear(&scratch);
        if (is_own(i.name) || sl_json_text(i.name, &scratch, &name) != SL_OK)
            continue;
        sl_jsonw_name_slice(w, name);
        sl_jsonw_value(w, i.value);
    }
    sl_buf_deinit(&scratch);
    if (s->has_vector_names) {
        sl_jsonw_name(w, "_vectors");
        sl_jsonw_array(w);
        while (next_name(&names, &name))
            sl_jsonw_slice(w, name);
        sl_jsonw_end(w);
    }
    names = r->vectors;
    if (s->has_vectors && next_name(&names, &name)) /* One output field: the primary vector. */
        write_vector(call, s, id, name, w);
    write_internal(call, s, id, r, w);
    sl_jsonw_end(w);
}

static bool
find_collection(struct sl_call *call, struct sl_slice identifier, struct shown *ret_shown)
{
    struct sl_resource collection;
    struct sl_slice row;
    struct sl_json names = sl_json_member(call->body, "return_vector_names");
    if (!sl_resource_find(call, &sl_kind_collection, call->namespace_id, identifier, &collection))
        return false;
    *ret_shown = (struct shown){
        .collection = collection.id,
        .has_vectors =
            sl_call_query_bool(call, "return_vectors",
                               sl_json_bool(sl_json_member(call->body, "return_vectors"), false)),
        .has_vector_names = sl_call_query_bool(call, "return_vector_names",
                                               sl_json_bool(names, sl_json_count(names) > 0))};
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_EXTRACTION, sl_slice_str(collection.id),
                   &row) == SL_OK)
        ret_shown->output = sl_member_text(call, sl_call_parse(call, row), "output");
    return true;
}

/* ---- one document -------------------------------------------------------------------------- */

static bool
find_record(struct sl_call *call, const char *collection, struct sl_slice id, const char **ret_id,
            struct sl_record *ret_record)
{
    struct sl_slice value, bare = sl_document_id_read(id);
    const char *text = sl_call_identifier(call, bare);
    uint64_t number;
    if (text == NULL || sl_record_number(bare, &number) != SL_OK ||
        sl_txn_get(call->txn, call->who.scope, SL_TABLE_RECORD, record_key(call, collection, text),
                   &value) != SL_OK ||
        SL_BUG(sl_record_decode(sl_call_copy(call, value), ret_record) != SL_OK)) {
        sl_call_not_found(call, "document", id);
        return false;
    }
    *ret_id = text;
    return true;
}

static bool
find(struct sl_call *call, struct shown *s, const char **ret_id, struct sl_record *ret_record)
{
    return find_collection(call, call->params[0], s) &&
           find_record(call, s->collection, call->params[1], ret_id, ret_record);
}

void
sl_api_get_document(struct sl_call *call)
{
    struct shown s;
    struct sl_record r;
    const char *id;
    if (find(call, &s, &id, &r))
        write_document(call, &s, id, &r, &call->out);
}

/* A document of the namespace, whatever its collection. False: 404 is on the call. */
static bool
find_any(struct sl_call *call, struct shown *ret_shown, const char **ret_id,
         struct sl_record *ret_record)
{
    struct sl_resource collection;
    struct sl_slice value;
    const char *id = sl_call_identifier(call, sl_document_id_read(call->params[0]));
    /* Of another namespace is not here: the collection is looked up in this one. */
    if (id == NULL ||
        sl_txn_get(call->txn, call->who.scope, SL_TABLE_DOCUMENT, sl_slice_str(id), &value) !=
            SL_OK ||
        !sl_resource_lookup(call, &sl_kind_collection, call->namespace_id,
                            sl_call_copy(call, value), &collection)) {
        sl_call_not_found(call, "document", call->params[0]);
        return false;
    }
    return find_collection(call, sl_slice_str(collection.id), ret_shown) &&
           find_record(call, ret_shown->collection, call->params[0], ret_id, ret_record);
}

void
sl_api_get_any_document(struct sl_call *call)
{
    struct shown s;
    struct sl_record r;
    const char *id;
    if (find_any(call, &s, &id, &r))
        write_document(call, &s, id, &r, &call->out);
}

static void
patch(struct sl_call *call, const struct shown *s, const char *id, struct sl_record *r)
{
    struct sl_buf fields = {0}, row = {0}, scratch = {0};
    struct sl_jsonw w;
    if (s->output.size > 0 && sl_json_has(sl_json_member_slice(call->body, s->output))) {
        sl_call_invalid(call, "body", "value_error", "vectors cannot be changed");
        return;
    }
    sl_jsonw_init(&w, &fields);
    sl_jsonw_object(&w);
    for (struct sl_json_iter i = sl_json_iter(sl_call_parse(call, r->fields)); sl_json_next(&i);) {
        struct sl_slice name = sl_call_text(call, i.name);
        if (sl_json_kind(sl_json_member_slice(call->body, name)) != SL_JSON_NONE)
            continue;
        sl_jsonw_name_slice(&w, name);
        sl_jsonw_value(&w, i.value);
    }
    for (struct sl_json_iter i = sl_json_iter(call->body); sl_json_next(&i);) {
        if (is_own(i.name))
            continue;
        sl_jsonw_name_slice(&w, sl_call_text(call, i.name));
        sl_jsonw_value(&w, i.value);
    }
    sl_jsonw_end(&w);
    r->fields = sl_call_copy(call, sl_buf_slice(&fields));
    r->updated_ms = call->now_ms;
    sl_record_encode(r, &row);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_RECORD, record_key(call, s->collection, id),
               sl_buf_slice(&row));
    write_document(call, s, id, r, &call->out);
    sl_buf_deinit(&fields);
    sl_buf_deinit(&row);
    sl_buf_deinit(&scratch);
}

void
sl_api_patch_document(struct sl_call *call)
{
    struct shown s;
    struct sl_record r;
    const char *id;
    if (find(call, &s, &id, &r))
        patch(call, &s, id, &r);
}

void
sl_api_patch_any_document(struct sl_call *call)
{
    struct shown s;
    struct sl_record r;
    const char *id;
    if (find_any(call, &s, &id, &r))
        patch(call, &s, id, &r);
}

struct removed {
    const char *collection;
    struct sl_slice names;
    uint64_t number;
};

static void
after_delete(struct sl_call *call, void *arg)
{
    const struct removed *removed = arg;
    struct sl_slice names = removed->names, name;
    while (next_name(&names, &name))
        sl_index_remove(sl_call_indexes(call),
                        &(struct sl_index_id){.scope = call->who.scope,
                                              .collection = sl_slice_str(removed->collection),
                                              .name = name},
                        removed->number);
}

void
sl_api_delete_document(struct sl_call *call)
{
    struct shown s;
    struct sl_record r;
    struct sl_slice names, name;
    const char *id;
    if (!find(call, &s, &id, &r))
        return;
    struct removed *removed = sl_call_alloc(call, sizeof(*removed));
    *removed = (struct removed){.collection = s.collection, .names = r.vectors};
    if (sl_record_number(sl_slice_str(id), &removed->number) == SL_OK)
        sl_call_after_commit(call, after_delete, removed);
    for (names = r.vectors; next_name(&names, &name);)
        sl_txn_del(call->txn, call->who.scope, SL_TABLE_VECTOR,
                   vector_key(call, s.collection, name, id));
    sl_txn_del(call->txn, call->who.scope, SL_TABLE_RECORD, record_key(call, s.collection, id));
    sl_txn_del(call->txn, call->who.scope, SL_TABLE_DOCUMENT, sl_slice_str(id));
    sl_count_add(call->txn, sl_counter(call, SL_COUNT_RECORDS, s.collection), -1);
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "message", "the document is deleted");
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_end(&call->out);
}

/* ---- list ---------------------------------------------------------------------------------- */

static bool
render(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value,
       struct sl_jsonw *w)
{
    struct sl_record r;
    const char *id = (const char *)sl_call_copy(call, sl_key_part(key, 1)).data;
    if (SL_BUG(sl_record_decode(value, &r) != SL_OK))
        return false;
    write_document(call, arg, id, &r, w);
    return true;
}

void
sl_api_list_documents(struct sl_call *call)
{
    static const char *const search[] = {"document_id", "text",        "title",
                                         "name",        "description", NULL};
    struct shown s;
    struct sl_buf prefix = {0};
    struct sl_list list;
    if (!find_collection(call, call->params[0], &s))
        return;
    const char *const keeps[] = {
        "document_id", "collection_id", "document_blobs",
        "_vectors",    "_internal",     s.output.size > 0 ? (const char *)s.output.data : NULL,
        NULL};
    if (sl_json_has(sl_json_member(call->body, "group_by"))) {
        sl_call_invalid(call, "body.group_by", "value_error", "the field is not indexed");
        return;
    }
    if (!sl_list_begin(call, 10, &list))
        return;
    if (sl_list_run(&list, call,
                    &(struct sl_list_source){.scope = call->who.scope,
                                             .table = SL_TABLE_RECORD,
                                             .prefix = sl_key_prefix(&prefix, 1, s.collection),
                                             .render = render,
                                             .arg = &s,
                                             .select_keeps = keeps,
                                             .search_fields = search})) {
        struct sl_counter counter = sl_counter(call, SL_COUNT_RECORDS, s.collection);
        sl_jsonw_object(&call->out);
        sl_list_write(&list, &call->out);
        sl_jsonw_member_i64(&call->out, "total_documents", sl_count(call->txn, counter));
        sl_jsonw_member_raw(&call->out, "stats", sl_slice_str("{}"));
        sl_jsonw_end(&call->out);
        sl_list_end(&list);
    }
    sl_buf_deinit(&prefix);
}
