/* SPDX-License-Identifier: Apache-2.0 */
/* Documents. A document is a record below; its vectors are rows beside it. */
#include "gateway/ask.h"
#include "gateway/bucket.h"
#include "gateway/document/group.h"
#include "gateway/document/row.h"
#include "gateway/document/id.h"
#include "gateway/list.h"

static bool
find(struct sl_call *call, struct sl_document_view *s, const char **ret_id,
     struct sl_record *ret_record)
{
    return sl_document_collection(call, call->params[0], s) &&
           sl_document_find(call, s->collection, call->params[1], ret_id, ret_record);
}

void
sl_api_get_document(struct sl_call *call)
{
    struct sl_document_view s;
    struct sl_record r;
    const char *id;
    if (find(call, &s, &id, &r))
        sl_document_write(call, &s, id, &r, &call->out);
}

/* A document of the namespace, whatever its collection. False: 404 is on the call. */
static bool
find_any(struct sl_call *call, struct sl_document_view *ret_shown, const char **ret_id,
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
    return sl_document_collection(call, sl_slice_str(collection.id), ret_shown) &&
           sl_document_find(call, ret_shown->collection, call->params[0], ret_id, ret_record);
}

void
sl_api_get_any_document(struct sl_call *call)
{
    struct sl_document_view s;
    struct sl_record r;
    const char *id;
    if (find_any(call, &s, &id, &r))
        sl_document_write(call, &s, id, &r, &call->out);
}

static void
patch(struct sl_call *call, const struct sl_document_view *s, const char *id, struct sl_record *r)
{
    if (sl_document_change(call, s, id, call->body, r))
        sl_document_write(call, s, id, r, &call->out);
    else
        sl_call_invalid(call, "body", "value_error", "vectors cannot be changed");
}

void
sl_api_patch_document(struct sl_call *call)
{
    struct sl_document_view s;
    struct sl_record r;
    const char *id;
    if (find(call, &s, &id, &r))
        patch(call, &s, id, &r);
}

void
sl_api_patch_any_document(struct sl_call *call)
{
    struct sl_document_view s;
    struct sl_record r;
    const char *id;
    if (find_any(call, &s, &id, &r))
        patch(call, &s, id, &r);
}

void
sl_api_delete_document(struct sl_call *call)
{
    struct sl_document_view s;
    struct sl_record r;
    const char *id;
    if (!find(call, &s, &id, &r))
        return;
    sl_document_delete(call, s.collection, id, &r);
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "message", "the document is deleted");
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_end(&call->out);
}

/* ---- list ---------------------------------------------------------------------------------- */

void
sl_api_list_documents(struct sl_call *call)
{
    static const char *const search[] = {SL_DOCUMENT_SEARCH_FIELDS, NULL};
    struct sl_document_view s;
    struct sl_buf prefix = {0};
    struct sl_list list;
    struct sl_slice group_by = sl_call_text(call, sl_json_member(call->body, "group_by"));
    if (!sl_document_collection(call, call->params[0], &s))
        return;
    const char *const keeps[] = {
        "document_id", "collection_id", "document_blobs",
        "_vectors",    "_internal",     s.output.size > 0 ? (const char *)s.output.data : NULL,
        NULL};
    if (group_by.size > 0) {
        sl_document_list_groups(call, &s, group_by);
        return;
    }
    if (!sl_list_begin(call, 10, &list))
        return;
    if (sl_list_run(&list, call,
                    &(struct sl_list_source){.scope = call->who.scope,
                                             .table = SL_TABLE_RECORD,
                                             .prefix = sl_key_prefix(&prefix, 1, s.collection),
                                             .render = sl_document_render,
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
