/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/document/row.h"

#include "actors/chain.h"
#include "gateway/ask.h"
#include "gateway/blob_content.h"
#include "gateway/bucket.h"
#include "gateway/document/id.h"
#include "gateway/object.h"

bool
sl_document_is_own(struct sl_json name)
{
    static const char *const names[] = {"document_id", "collection_id", "document_blobs",
                                        "_internal", "_vectors"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        if (sl_json_is(name, names[i]))
            return true;
    }
    return false;
}

struct sl_slice
sl_document_key(struct sl_call *call, const char *collection, const char *id)
{
    struct sl_buf key = {0};
    struct sl_slice copy = sl_call_copy(call, sl_key(&key, 2, collection, id));
    sl_buf_deinit(&key);
    return copy;
}

/* ---- showing ------------------------------------------------------------------------------- */

/* Documents between the object and this one, the first one first, as far as they are still there.
 */
static void
write_chain(struct sl_call *call, const struct sl_record *r, struct sl_jsonw *w)
{
    struct sl_slice keys[SL_CHAIN_TIERS_MAX], value;
    struct sl_record at = *r;
    uint32_t count = 0;
    while (at.root.size > 0 && count < SL_CHAIN_TIERS_MAX) {
        keys[count] = sl_call_copy(call, at.source);
        if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_RECORD, keys[count++], &value) !=
                SL_OK ||
            sl_record_decode(value, &at) != SL_OK)
            break;
    }
    sl_jsonw_name(w, "chain");
    sl_jsonw_array(w);
    while (count-- > 0) {
        sl_jsonw_object(w);
        sl_jsonw_member_slice(w, "collection_id", sl_key_part(keys[count], 0));
        sl_document_id_write(w, sl_key_part(keys[count], 1));
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

/* A document that was made of another one has a root, and that other one as its source. */
static void
write_lineage(struct sl_call *call, const struct sl_record *r, struct sl_jsonw *w)
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
        write_chain(call, r, w);
    } else {
        sl_jsonw_member_slice(w, "source_object_id", sl_key_part(r->source, 1));
    }
}

static void
write_internal(struct sl_call *call, const struct sl_document_view *s, const char *id,
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
    write_lineage(call, r, w);
    sl_jsonw_end(w);
    sl_jsonw_name(w, "processing");
    sl_jsonw_object(w);
    sl_jsonw_member_slice(w, "batch_id", r->origin);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

/* Cut the next name off; false at the end. */
bool
sl_document_next_vector(struct sl_slice *names, struct sl_slice *ret_name)
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

struct sl_slice
sl_document_vector_key(struct sl_call *call, const char *collection, struct sl_slice name,
                       const char *id)
{
    struct sl_buf key = {0};
    const char *text = (const char *)sl_call_copy(call, name).data;
    struct sl_slice copy = sl_call_copy(call, sl_key(&key, 3, collection, text, id));
    sl_buf_deinit(&key);
    return copy;
}

static void
write_vector(struct sl_call *call, const struct sl_document_view *s, const char *id,
             struct sl_slice name, struct sl_jsonw *w)
{
    struct sl_slice value;
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_VECTOR,
                   sl_document_vector_key(call, s->collection, name, id), &value) != SL_OK)
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

static const char *
type_of_blob(struct sl_call *call, struct sl_json blob)
{
    static const char *const types[] = {"video", "image", "audio", "text", "pdf"};
    struct sl_slice type = sl_member_text(call, blob, "type");
    for (size_t i = 0; i < SL_COUNT_OF(types); i++) {
        if (sl_slice_is(type, types[i]))
            return types[i];
    }
    return "other";
}

/* What the document was made of: the blobs of the object that it descends from. */
static void
write_blobs(struct sl_call *call, const struct sl_record *r, struct sl_jsonw *w)
{
    struct sl_slice root = r->root.size > 0 ? r->root : r->source, row;
    const char *bucket = (const char *)sl_call_copy(call, sl_key_part(root, 0)).data;
    const char *object = (const char *)sl_call_copy(call, sl_key_part(root, 1)).data;
    struct sl_source source;
    sl_jsonw_name(w, "document_blobs");
    sl_jsonw_array(w);
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_SOURCE, sl_object_key(call, bucket, object),
                   &row) == SL_OK &&
        sl_source_decode(row, &source) == SL_OK) {
        struct sl_json blobs = sl_call_parse(call, source.blobs);
        for (struct sl_json_iter i = sl_json_iter(blobs); sl_json_next(&i);) {
            sl_jsonw_object(w);
            sl_jsonw_member_value(w, "field", sl_json_member(i.value, "property"));
            sl_jsonw_member_str(w, "url",
                                sl_call_format(call, "sluice://%s/%s/%s", bucket, object,
                                               sl_member_str(call, i.value, "blob_id")));
            sl_jsonw_member_str(w, "role", "source");
            sl_jsonw_member_str(w, "type", type_of_blob(call, i.value));
            sl_jsonw_member_str(w, "presigned_url", sl_blob_presign(call, bucket, object, i.value));
            sl_jsonw_end(w);
        }
    }
    sl_jsonw_end(w);
}

void
sl_document_write(struct sl_call *call, const struct sl_document_view *s, const char *id,
                  const struct sl_record *r, struct sl_jsonw *w)
{
    struct sl_buf scratch = {0};
    struct sl_slice names = r->vectors, name;
    sl_jsonw_object(w);
    sl_document_id_write(w, sl_slice_str(id));
    sl_jsonw_member_str(w, "collection_id", s->collection);
    if (s->has_addresses)
        write_blobs(call, r, w);
    else
        sl_jsonw_member_raw(w, "document_blobs", sl_slice_str("[]"));
    for (struct sl_json_iter i = sl_json_iter(sl_call_parse(call, r->fields)); sl_json_next(&i);) {
        sl_buf_clear(&scratch);
        if (sl_document_is_own(i.name) || sl_json_text(i.name, &scratch, &name) != SL_OK)
            continue;
        sl_jsonw_name_slice(w, name);
        sl_jsonw_value(w, i.value);
    }
    sl_buf_deinit(&scratch);
    if (s->has_vector_names) {
        sl_jsonw_name(w, "_vectors");
        sl_jsonw_array(w);
        while (sl_document_next_vector(&names, &name))
            sl_jsonw_slice(w, name);
        sl_jsonw_end(w);
    }
    names = r->vectors;
    if (s->has_vectors &&
        sl_document_next_vector(&names, &name)) /* One output field: the primary vector. */
        write_vector(call, s, id, name, w);
    write_internal(call, s, id, r, w);
    sl_jsonw_end(w);
}

bool
sl_document_collection(struct sl_call *call, struct sl_slice identifier,
                       struct sl_document_view *ret_view)
{
    struct sl_resource collection;
    struct sl_slice row;
    struct sl_json names = sl_json_member(call->body, "return_vector_names");
    if (!sl_resource_find(call, &sl_kind_collection, call->namespace_id, identifier, &collection))
        return false;
    *ret_view = (struct sl_document_view){
        .collection = collection.id,
        .has_vectors =
            sl_call_query_bool(call, "return_vectors",
                               sl_json_bool(sl_json_member(call->body, "return_vectors"), false)),
        .has_addresses = sl_call_query_bool(
            call, "return_presigned_urls",
            sl_json_bool(sl_json_member(call->body, "return_presigned_urls"), false)),
        .has_vector_names = sl_call_query_bool(call, "return_vector_names",
                                               sl_json_bool(names, sl_json_count(names) > 0))};
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_EXTRACTION, sl_slice_str(collection.id),
                   &row) == SL_OK) {
        struct sl_json extraction = sl_call_parse(call, row);
        ret_view->output = sl_member_text(call, extraction, "output");
        ret_view->index = sl_member_text(call, extraction, "index");
        (void)!sl_json_u64(sl_json_member(extraction, "dimensions"), &ret_view->dimensions);
    }
    return true;
}

/* ---- one document -------------------------------------------------------------------------- */

bool
sl_document_lookup(struct sl_call *call, const char *collection, struct sl_slice id,
                   const char **ret_id, struct sl_record *ret_record)
{
    struct sl_slice value, bare = sl_document_id_read(id);
    const char *text = sl_call_identifier(call, bare);
    uint64_t number;
    if (text == NULL || sl_record_number(bare, &number) != SL_OK ||
        sl_txn_get(call->txn, call->who.scope, SL_TABLE_RECORD,
                   sl_document_key(call, collection, text), &value) != SL_OK ||
        SL_BUG(sl_record_decode(sl_call_copy(call, value), ret_record) != SL_OK))
        return false;
    *ret_id = text;
    return true;
}

bool
sl_document_find(struct sl_call *call, const char *collection, struct sl_slice id,
                 const char **ret_id, struct sl_record *ret_record)
{
    if (sl_document_lookup(call, collection, id, ret_id, ret_record))
        return true;
    sl_call_not_found(call, "document", id);
    return false;
}

/* ---- changes ------------------------------------------------------------------------------- */

bool
sl_document_change(struct sl_call *call, const struct sl_document_view *s, const char *id,
                   struct sl_json update, struct sl_record *r)
{
    struct sl_buf fields = {0}, row = {0};
    struct sl_jsonw w;
    if (s->output.size > 0 && sl_json_has(sl_json_member_slice(update, s->output)))
        return false;
    sl_jsonw_init(&w, &fields);
    sl_jsonw_object(&w);
    for (struct sl_json_iter i = sl_json_iter(sl_call_parse(call, r->fields)); sl_json_next(&i);) {
        struct sl_slice name = sl_call_text(call, i.name);
        if (sl_json_kind(sl_json_member_slice(update, name)) != SL_JSON_NONE)
            continue;
        sl_jsonw_name_slice(&w, name);
        sl_jsonw_value(&w, i.value);
    }
    for (struct sl_json_iter i = sl_json_iter(update); sl_json_next(&i);) {
        if (sl_document_is_own(i.name))
            continue;
        sl_jsonw_name_slice(&w, sl_call_text(call, i.name));
        sl_jsonw_value(&w, i.value);
    }
    sl_jsonw_end(&w);
    r->fields = sl_call_copy(call, sl_buf_slice(&fields));
    r->updated_ms = call->now_ms;
    sl_record_encode(r, &row);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_RECORD,
               sl_document_key(call, s->collection, id), sl_buf_slice(&row));
    sl_buf_deinit(&fields);
    sl_buf_deinit(&row);
    return true;
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
    while (sl_document_next_vector(&names, &name))
        sl_index_remove(sl_call_indexes(call),
                        &(struct sl_index_id){.scope = call->who.scope,
                                              .collection = sl_slice_str(removed->collection),
                                              .name = name},
                        removed->number);
}

void
sl_document_delete(struct sl_call *call, const char *collection, const char *id,
                   const struct sl_record *r)
{
    struct sl_slice names = r->vectors, name;
    struct removed *removed = sl_call_alloc(call, sizeof(*removed));
    *removed = (struct removed){.collection = collection, .names = r->vectors};
    if (sl_record_number(sl_slice_str(id), &removed->number) == SL_OK)
        sl_call_after_commit(call, after_delete, removed);
    while (sl_document_next_vector(&names, &name))
        sl_txn_del(call->txn, call->who.scope, SL_TABLE_VECTOR,
                   sl_document_vector_key(call, collection, name, id));
    sl_txn_del(call->txn, call->who.scope, SL_TABLE_RECORD, sl_document_key(call, collection, id));
    sl_txn_del(call->txn, call->who.scope, SL_TABLE_DOCUMENT, sl_slice_str(id));
    sl_count_add(call->txn, sl_counter(call, SL_COUNT_RECORDS, collection), -1);
}
