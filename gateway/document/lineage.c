/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents by the object that they descend from: GET /v1/objects/{id}/documents.
 *
 * There is no index from objects to documents: the collections that the object's bucket feeds are
 * walked, a few hundred nanoseconds a record.
 */
#include "gateway/bucket.h"
#include "gateway/document/row.h"
#include "gateway/list.h"

struct lineage {
    struct sl_slice object; /* bucket NUL object, as records have it. */
    const char *bucket;
    uint32_t limit, offset;
    uint64_t total;
    struct sl_jsonw *w;
};

/* The bucket of the namespace that has the object. */
static bool
find_bucket(struct sl_call *call, const char *object, struct lineage *l)
{
    struct sl_buf prefix = {0}, key = {0};
    struct sl_scan scan = {0};
    struct sl_slice value;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_BUCKET,
                sl_key_prefix(&prefix, 1, call->namespace_id), (struct sl_slice){0}, false, &scan);
    while (l->bucket == NULL && sl_scan_next(&scan)) {
        const char *bucket = (const char *)sl_call_copy(call, sl_key_part(scan.key, 1)).data;
        if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_SOURCE, sl_key(&key, 2, bucket, object),
                       &value) != SL_OK)
            continue;
        l->bucket = bucket;
        l->object = sl_call_copy(call, sl_buf_slice(&key));
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    sl_buf_deinit(&key);
    return l->bucket != NULL;
}

static bool
has_text(struct sl_call *call, struct sl_json list, const char *text)
{
    (void)call;
    for (struct sl_json_iter i = sl_json_iter(list); sl_json_next(&i);) {
        if (sl_json_is(i.value, text))
            return true;
    }
    return false;
}

/* Can the collection have documents of the bucket, and was it asked for? */
static bool
is_wanted(struct sl_call *call, const struct lineage *l, const char *id, struct sl_json row)
{
    struct sl_json source = sl_json_member(row, "source");
    struct sl_slice name = sl_member_text(call, row, "collection_name");
    bool is_named = false, has_names = false;
    for (uint32_t i = 0; i < call->query_count; i++) {
        if (!sl_slice_is(call->query[i].name, "collection_ids"))
            continue;
        has_names = true;
        is_named = is_named || sl_slice_is(call->query[i].value, id) ||
                   sl_slice_equal(call->query[i].value, name);
    }
    return (is_named || !has_names) &&
           (has_text(call, sl_json_member(source, "bucket_ids"), l->bucket) ||
            has_text(call, sl_json_member(source, "inherited_bucket_ids"), l->bucket));
}

static void
write_of_collection(struct sl_call *call, struct lineage *l, const char *collection)
{
    struct sl_document_view view;
    struct sl_buf prefix = {0};
    struct sl_scan scan = {0};
    struct sl_record r;
    if (!sl_document_collection(call, sl_slice_str(collection), &view))
        return;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_RECORD, sl_key_prefix(&prefix, 1, collection),
                (struct sl_slice){0}, false, &scan);
    while (sl_scan_next(&scan)) {
        if (SL_BUG(sl_record_decode(scan.value, &r) != SL_OK) ||
            !sl_slice_equal(r.root.size > 0 ? r.root : r.source, l->object))
            continue;
        if (l->total >= l->offset && l->total - l->offset < l->limit) {
            const char *id = (const char *)sl_call_copy(call, sl_key_part(scan.key, 1)).data;
            sl_document_write(call, &view, id, &r, l->w);
        }
        l->total++;
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
}

static void
write_documents(struct sl_call *call, struct lineage *l)
{
    struct sl_buf prefix = {0};
    struct sl_scan scan = {0};
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_COLLECTION,
                sl_key_prefix(&prefix, 1, call->namespace_id), (struct sl_slice){0}, false, &scan);
    while (sl_scan_next(&scan)) {
        const char *id = (const char *)sl_call_copy(call, sl_key_part(scan.key, 1)).data;
        if (is_wanted(call, l, id, sl_call_parse(call, scan.value)))
            write_of_collection(call, l, id);
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
}

void
sl_api_list_object_documents(struct sl_call *call)
{
    struct lineage l = {.w = &call->out};
    const char *object = sl_call_identifier(call, call->params[0]);
    l.limit = sl_list_number(call, "limit", "page_size", 1, SL_LIST_LIMIT_MAX, 100);
    l.offset = sl_list_number(call, "offset", NULL, 0, SL_LIST_OFFSET_MAX, 0);
    if (sl_call_has_failed(call))
        return;
    if (object == NULL || !find_bucket(call, object, &l)) {
        sl_call_not_found(call, "object", call->params[0]);
        return;
    }
    sl_jsonw_object(l.w);
    sl_jsonw_member_str(l.w, "object_id", object);
    sl_jsonw_member_str(l.w, "bucket_id", l.bucket);
    sl_jsonw_name(l.w, "documents");
    sl_jsonw_array(l.w);
    write_documents(call, &l);
    sl_jsonw_end(l.w);
    sl_jsonw_member_u64(l.w, "total_documents", l.total);
    sl_jsonw_member_u64(l.w, "limit", l.limit);
    sl_jsonw_member_u64(l.w, "offset", l.offset);
    sl_jsonw_end(l.w);
}
