/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces. */
#include "gateway/batch.h"
#include "gateway/bucket.h"
#include "gateway/extractor/info.h"
#include "gateway/list.h"
#include "gateway/models.h"
#include "gateway/namespace.h"
#include "runtime/time.h"

#define CHILDREN_MAX 4096 /* Buckets, or collections, that one delete takes along. */

static const char default_extractors[] =
    "[{\"feature_extractor_name\":\"text_extractor\",\"version\":\"v1\",\"params\":null,"
    "\"feature_extractor_id\":\"text_extractor_v1\"},"
    "{\"feature_extractor_name\":\"passthrough_extractor\",\"version\":\"v1\",\"params\":null,"
    "\"feature_extractor_id\":\"passthrough_extractor_v1\"}]";

static bool
check_name(struct sl_call *call, struct sl_slice name)
{
    bool is_good = name.size > 0;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        is_good = is_good && (is_letter || (c >= '0' && c <= '9') || c == '_' || c == '-');
    }
    if (!is_good)
        sl_call_invalid(call, "body.namespace_name", "value_error",
                        "should be letters, digits, _ and -");
    return is_good;
}

/* 422 for an extractor that does not exist or cannot run here. */
static void
check_extractors(struct sl_call *call, struct sl_json refs)
{
    uint32_t at = 0;
    for (struct sl_json_iter i = sl_json_iter(refs); sl_json_next(&i); at++) {
        const char *loc = sl_call_format(call, "body.feature_extractors.%u", at);
        struct sl_slice name = sl_member_text(call, i.value, "feature_extractor_name");
        struct sl_slice version = sl_member_text(call, i.value, "version");
        const struct sl_extractor_info *info = sl_extractor_info_lookup(name, version);
        if (info == NULL)
            sl_call_invalid(call, loc, "value_error", "there is no extractor %.*s %.*s",
                            SL_SLICE_FMT(name), SL_SLICE_FMT(version));
        else if (!sl_extractor_info_is_available(info))
            sl_call_invalid(call, loc, "value_error", "%s %s is not available: %s", info->name,
                            info->version, info->unavailable_reason);
    }
}

/* What the reply shows of each reference: its own fields and the derived id. */
static void
write_extractors(struct sl_call *call, struct sl_jsonw *w, struct sl_json refs)
{
    sl_jsonw_name(w, "feature_extractors");
    if (!sl_json_has(refs)) {
        sl_jsonw_raw(w, sl_slice_str(default_extractors));
        return;
    }
    sl_jsonw_array(w);
    for (struct sl_json_iter i = sl_json_iter(refs); sl_json_next(&i);) {
        sl_jsonw_object(w);
        sl_jsonw_member_value(w, "feature_extractor_name",
                              sl_json_member(i.value, "feature_extractor_name"));
        sl_jsonw_member_value(w, "version", sl_json_member(i.value, "version"));
        sl_jsonw_member_value(w, "params", sl_json_member(i.value, "params"));
        sl_jsonw_member_str(w, "feature_extractor_id",
                            sl_call_format(call, "%s_%s",
                                           sl_member_str(call, i.value, "feature_extractor_name"),
                                           sl_member_str(call, i.value, "version")));
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

static void
write_or(struct sl_jsonw *w, struct sl_json body, const char *name, const char *fallback)
{
    struct sl_json sent = sl_json_member(body, name);
    sl_jsonw_name(w, name);
    if (sl_json_has(sent))
        sl_jsonw_value(w, sent);
    else
        sl_jsonw_raw(w, sl_slice_str(fallback));
}

static void
write_row(struct sl_call *call, const char *id, struct sl_slice name, struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "namespace_id", id);
    sl_jsonw_member_slice(w, "namespace_name", name);
    write_or(w, call->body, "namespace_type", "\"standard\"");
    write_or(w, call->body, "description", "null");
    write_extractors(call, w, sl_json_member(call->body, "feature_extractors"));
    write_or(w, call->body, "payload_indexes", "[]");
    write_or(w, call->body, "auto_create_indexes", "false");
    write_or(w, call->body, "infrastructure", "null");
    write_or(w, call->body, "ttl_seconds", "null");
    sl_jsonw_member_time(w, "created_at", call->now_ms);
    sl_jsonw_member_time(w, "updated_at", call->now_ms);
    sl_jsonw_end(w);
    sl_jsonw_done(w);
}

/* The dispatcher counts records of collections only. */
static int64_t
count_documents(struct sl_call *call, const char *id)
{
    const char **ids = sl_call_alloc(call, CHILDREN_MAX * sizeof(*ids));
    uint32_t count = sl_resource_ids(call, &sl_kind_collection, id, ids, CHILDREN_MAX);
    int64_t documents = 0;
    for (uint32_t i = 0; i < count; i++)
        documents += sl_count(call->txn, sl_counter(call, SL_COUNT_RECORDS, ids[i]));
    return documents;
}

static void
write_namespace(struct sl_call *call, const char *id, struct sl_json row, struct sl_jsonw *w)
{
    static const char *const none[] = {"infrastructure", NULL};
    static const char *const own[] = {"qdrant_collection", NULL};
    struct sl_json infrastructure = sl_json_member(row, "infrastructure");
    sl_jsonw_object(w);
    sl_write_except(w, row, none);
    sl_jsonw_name(w, "infrastructure");
    if (sl_json_has(infrastructure)) { /* Clients require this member of it. */
        sl_jsonw_object(w);
        sl_write_except(w, infrastructure, own);
        sl_jsonw_member_str(w, "qdrant_collection", id);
        sl_jsonw_end(w);
    } else {
        sl_jsonw_null(w);
    }
    sl_jsonw_member_i64(w, "document_count", count_documents(call, id));
    sl_jsonw_member_i64(w, "bucket_count",
                        sl_count(call->txn, sl_counter(call, SL_COUNT_BUCKETS, id)));
    sl_jsonw_member_i64(w, "collection_count",
                        sl_count(call->txn, sl_counter(call, SL_COUNT_COLLECTIONS, id)));
    sl_jsonw_member_i64(w, "object_count",
                        sl_count(call->txn, sl_counter(call, SL_COUNT_SOURCES, id)));
    sl_jsonw_end(w);
}

static bool
may_have_infrastructure(struct sl_call *call)
{
    if (!sl_json_has(sl_json_member(call->body, "infrastructure")) ||
        strcmp(call->who.account_type, "enterprise") == 0)
        return true;
    sl_call_fail(call, SL_API_FORBIDDEN, "infrastructure needs the enterprise plan");
    return false;
}

void
sl_api_create_namespace(struct sl_call *call)
{
    struct sl_slice name = sl_call_text(call, sl_call_member(call, "namespace_name", "name"));
    struct sl_buf row = {0};
    struct sl_jsonw w;
    check_name(call, name);
    check_extractors(call, sl_json_member(call->body, "feature_extractors"));
    if (sl_call_has_failed(call) || !may_have_infrastructure(call))
        return;
    const char *id = sl_call_id(call, "ns_", 12);
    if (!sl_name_take(call, &(struct sl_name){
                                .kind = &sl_kind_namespace, .parent = "", .id = id, .name = name}))
        return;
    sl_jsonw_init(&w, &row);
    write_row(call, id, name, &w);
    sl_resource_put(call, &sl_kind_namespace, "", id, &row);
    write_namespace(call, id, sl_call_parse(call, sl_buf_slice(&row)), &call->out);
    sl_buf_deinit(&row);
}

static bool
render(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value,
       struct sl_jsonw *w)
{
    (void)arg;
    write_namespace(call, (const char *)sl_call_copy(call, key).data, sl_call_parse(call, value),
                    w);
    return true;
}

void
sl_api_list_namespaces(struct sl_call *call)
{
    static const char *const search[] = {"namespace_id", "namespace_name", "description", NULL};
    sl_resource_list(call, &(struct sl_list_source){.scope = call->who.scope,
                                                    .table = SL_TABLE_NAMESPACE,
                                                    .render = render,
                                                    .needs_total = true,
                                                    .search_fields = search});
}

void
sl_api_get_namespace(struct sl_call *call)
{
    struct sl_resource ns;
    if (sl_resource_find(call, &sl_kind_namespace, "", call->params[0], &ns))
        write_namespace(call, ns.id, ns.row, &call->out);
}

void
sl_api_patch_namespace(struct sl_call *call)
{
    static const char *const names[] = {"namespace_name",      "description",    "payload_indexes",
                                        "auto_create_indexes", "infrastructure", NULL};
    struct sl_resource ns;
    struct sl_buf row = {0};
    struct sl_json name = sl_json_member(call->body, "namespace_name");
    if (!sl_resource_find(call, &sl_kind_namespace, "", call->params[0], &ns) ||
        (sl_json_has(name) && !check_name(call, sl_call_text(call, name))) ||
        !may_have_infrastructure(call) || !sl_name_change(call, &sl_kind_namespace, "", &ns))
        return;
    sl_row_patched(call, ns.row, names, &row);
    sl_resource_put(call, &sl_kind_namespace, "", ns.id, &row);
    write_namespace(call, ns.id, sl_call_parse(call, sl_buf_slice(&row)), &call->out);
    sl_buf_deinit(&row);
}

/* ---- delete -------------------------------------------------------------------------------- */

/* Every child is taken, or none: what would be left could never be found again. */
static uint32_t
children(struct sl_call *call, const struct sl_resource_kind *kind, const char *id,
         const char **ret_ids)
{
    uint32_t count = sl_resource_ids(call, kind, id, ret_ids, CHILDREN_MAX);
    if (count == CHILDREN_MAX)
        sl_call_fail(call, SL_API_CONFLICT, "the namespace holds %d %ss or more: delete some first",
                     CHILDREN_MAX, kind->noun);
    return count;
}

static void
delete_children(struct sl_call *call, const char *id, struct sl_purge *purge)
{
    const char **ids = sl_call_alloc(call, CHILDREN_MAX * sizeof(*ids));
    struct sl_resource child;
    uint32_t count = children(call, &sl_kind_bucket, id, ids);
    for (uint32_t i = 0; i < count && !sl_call_has_failed(call); i++) {
        if (sl_resource_find(call, &sl_kind_bucket, id, sl_slice_str(ids[i]), &child))
            sl_bucket_delete(call, &child, purge);
    }
    count = children(call, &sl_kind_collection, id, ids);
    for (uint32_t i = 0; i < count && !sl_call_has_failed(call); i++) {
        if (sl_resource_find(call, &sl_kind_collection, id, sl_slice_str(ids[i]), &child))
            sl_collection_delete(call, &child, purge);
    }
    count = children(call, &sl_kind_retriever, id, ids);
    for (uint32_t i = 0; i < count && !sl_call_has_failed(call); i++) {
        if (!sl_resource_find(call, &sl_kind_retriever, id, sl_slice_str(ids[i]), &child))
            return;
        struct sl_buf prefix = {0};
        sl_rows_delete(call, SL_TABLE_EXECUTION, sl_key_prefix(&prefix, 1, ids[i]), purge);
        sl_buf_deinit(&prefix);
        sl_resource_delete(call, &sl_kind_retriever, id, &child);
    }
}

static bool
has_active_batches(struct sl_call *call, const char *id)
{
    const char **ids = sl_call_alloc(call, CHILDREN_MAX * sizeof(*ids));
    uint32_t count = sl_resource_ids(call, &sl_kind_bucket, id, ids, CHILDREN_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (sl_batch_is_active(call, ids[i], NULL))
            return true;
    }
    return false;
}

/* Stage the end of a namespace and of all in it. The call may have failed afterwards. */
static void
delete_namespace(struct sl_call *call, const struct sl_resource *ns, struct sl_purge *purge)
{
    static const char *const counts[] = {SL_COUNT_BUCKETS, SL_COUNT_COLLECTIONS, SL_COUNT_SOURCES};
    struct sl_buf prefix = {0};
    delete_children(call, ns->id, purge);
    sl_models_let_go(call, ns->id);
    sl_rows_delete(call, SL_TABLE_MODEL, sl_key_prefix(&prefix, 1, ns->id), purge);
    sl_buf_deinit(&prefix);
    for (size_t i = 0; i < SL_COUNT_OF(counts); i++)
        sl_count_forget(call->txn, sl_counter(call, counts[i], ns->id));
    sl_resource_delete(call, &sl_kind_namespace, "", ns);
}

void
sl_api_delete_namespace(struct sl_call *call)
{
    struct sl_resource ns;
    struct sl_purge purge = sl_purge_with_task(call);
    if (!sl_resource_find(call, &sl_kind_namespace, "", call->params[0], &ns))
        return;
    if (!sl_call_query_bool(call, "force", false) && has_active_batches(call, ns.id)) {
        sl_call_fail(call, SL_API_CONFLICT,
                     "batches of the namespace are running; cancel them or use force=true");
        return;
    }
    delete_namespace(call, &ns, &purge);
    if (sl_call_has_failed(call))
        return;

    const char *about = sl_call_format(call, "{\"namespace_id\":\"%s\"}", ns.id);
    const char *status = sl_purge_task(call, &purge, "api_namespaces_delete", about);
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "task_id", purge.task_id);
    sl_jsonw_member_str(&call->out, "status", status);
    sl_jsonw_member_str(&call->out, "namespace_id", ns.id);
    sl_jsonw_member_str(&call->out, "message", "the namespace and all that was in it is deleted");
    sl_jsonw_end(&call->out);
}

/* ---- time to live -------------------------------------------------------------------------- */

static bool
is_expired(struct sl_slice text, uint64_t now_ms)
{
    struct sl_json_doc *doc = NULL;
    struct sl_buf memory = {0};
    struct sl_slice created;
    uint64_t seconds, created_ms;
    if (sl_json_parse(text, &doc, NULL) != SL_OK)
        return false;
    struct sl_json row = sl_json_root(doc);
    bool is_over = sl_json_u64(sl_json_member(row, "ttl_seconds"), &seconds) == SL_OK &&
                   sl_json_text(sl_json_member(row, "created_at"), &memory, &created) == SL_OK &&
                   sl_time_parse(created, &created_ms) == SL_OK && seconds <= UINT32_MAX &&
                   created_ms + seconds * 1000 <= now_ms;
    sl_buf_deinit(&memory);
    sl_json_destroy(&doc);
    return is_over;
}

const char *
sl_namespace_expire(struct sl_call *call)
{
    struct sl_scan scan = {0};
    struct sl_resource ns;
    const char *id = NULL;
    struct sl_purge purge = sl_purge_begin();
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_NAMESPACE, sl_slice(NULL, 0),
                sl_slice(NULL, 0), false, &scan);
    while (id == NULL && sl_scan_next(&scan)) {
        if (is_expired(scan.value, call->now_ms))
            id = (const char *)sl_call_copy(call, sl_key_part(scan.key, 0)).data;
    }
    sl_scan_end(&scan);
    if (id != NULL && sl_resource_find(call, &sl_kind_namespace, "", sl_slice_str(id), &ns))
        delete_namespace(call, &ns, &purge);
    return id;
}
