/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets. */
#include "gateway/bucket.h"

#include "gateway/batch.h"
#include "gateway/bucket_schema.h"
#include "gateway/collection.h"
#include "gateway/list.h"

bool
sl_bucket_find(struct sl_call *call, struct sl_resource *ret_bucket)
{
    return sl_resource_find(call, &sl_kind_bucket, call->namespace_id, call->params[0], ret_bucket);
}

static void
write_row(struct sl_call *call, const char *id, struct sl_slice name, struct sl_jsonw *w)
{
    struct sl_json schema = sl_json_member(call->body, "bucket_schema");
    struct sl_json metadata = sl_json_member(call->body, "metadata");
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "bucket_id", id);
    sl_jsonw_member_str(w, "namespace_id", call->namespace_id);
    sl_jsonw_member_slice(w, "bucket_name", name);
    sl_jsonw_member_value(w, "description", sl_json_member(call->body, "description"));
    sl_jsonw_name(w, "bucket_schema");
    if (sl_json_has(schema))
        sl_jsonw_value(w, schema);
    else
        sl_jsonw_raw(w, sl_slice_str("{\"properties\":{}}"));
    sl_jsonw_member_value(w, "unique_key", sl_json_member(call->body, "unique_key"));
    sl_jsonw_name(w, "metadata");
    if (sl_json_has(metadata))
        sl_jsonw_value(w, metadata);
    else
        sl_jsonw_raw(w, sl_slice_str("{}"));
    sl_jsonw_member_bool(w, "is_locked", false);
    sl_jsonw_member_time(w, "created_at", call->now_ms);
    sl_jsonw_member_time(w, "updated_at", call->now_ms);
    sl_jsonw_end(w);
    sl_jsonw_done(w);
}

static void
write_bucket(struct sl_call *call, const char *id, struct sl_json row, struct sl_jsonw *w)
{
    static const char *const none[] = {NULL};
    struct sl_batch_stats stats;
    int64_t count = sl_count(call->txn, sl_counter(call, SL_COUNT_SOURCES, id));
    int64_t bytes = sl_count(call->txn, sl_counter(call, SL_COUNT_BYTES, id));
    sl_batch_count(call, id, &stats);
    sl_jsonw_object(w);
    sl_write_except(w, row, none);
    sl_jsonw_member_i64(w, "object_count", count);
    sl_jsonw_member_i64(w, "total_size_bytes", bytes);
    sl_jsonw_member_time(w, "last_upload_at", /* 0, as long as there was none: null. */
                         (uint64_t)sl_count(call->txn, sl_counter(call, SL_COUNT_UPLOADED, id)));
    sl_jsonw_member_str(w, "status", "ACTIVE");
    sl_jsonw_name(w, "batch_stats");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "total", stats.total);
    sl_jsonw_member_u64(w, "active", stats.active);
    sl_jsonw_member_u64(w, "completed", stats.completed);
    sl_jsonw_member_u64(w, "failed", stats.failed);
    sl_jsonw_end(w);
    sl_jsonw_name(w, "storage_stats");
    sl_jsonw_object(w);
    sl_jsonw_member_i64(w, "total_size_bytes", bytes);
    sl_jsonw_member_i64(w, "avg_size_bytes", count == 0 ? 0 : bytes / count);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

void
sl_api_create_bucket(struct sl_call *call)
{
    struct sl_slice name = sl_call_text(call, sl_call_member(call, "bucket_name", "name"));
    struct sl_buf row = {0};
    struct sl_jsonw w;
    sl_bucket_schema_check(call, sl_json_member(call->body, "bucket_schema"), "body.bucket_schema");
    if (sl_call_has_failed(call))
        return;
    const char *id = sl_call_id(call, "bkt_", 12);
    if (!sl_name_take(call, &(struct sl_name){.kind = &sl_kind_bucket,
                                              .parent = call->namespace_id,
                                              .id = id,
                                              .name = name}))
        return;
    sl_jsonw_init(&w, &row);
    write_row(call, id, name, &w);
    sl_resource_put(call, &sl_kind_bucket, call->namespace_id, id, &row);
    sl_count_add(call->txn, sl_counter(call, SL_COUNT_BUCKETS, call->namespace_id), 1);
    write_bucket(call, id, sl_call_parse(call, sl_buf_slice(&row)), &call->out);
    sl_buf_deinit(&row);
}

static bool
render(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value,
       struct sl_jsonw *w)
{
    (void)arg;
    const char *id = (const char *)sl_call_copy(call, sl_key_part(key, 1)).data;
    write_bucket(call, id, sl_call_parse(call, value), w);
    return true;
}

void
sl_api_list_buckets(struct sl_call *call)
{
    static const char *const search[] = {"bucket_id", "bucket_name", "description", NULL};
    struct sl_buf prefix = {0};
    sl_resource_list(
        call, &(struct sl_list_source){.scope = call->who.scope,
                                       .table = SL_TABLE_BUCKET,
                                       .prefix = sl_key_prefix(&prefix, 1, call->namespace_id),
                                       .render = render,
                                       .needs_total = true,
                                       .search_fields = search});
    sl_buf_deinit(&prefix);
}

void
sl_api_get_bucket(struct sl_call *call)
{
    struct sl_resource bucket;
    if (sl_bucket_find(call, &bucket))
        write_bucket(call, bucket.id, bucket.row, &call->out);
}

void
sl_api_patch_bucket(struct sl_call *call)
{
    static const char *const names[] = {"bucket_name", "description", "metadata", "bucket_schema",
                                        NULL};
    struct sl_resource bucket;
    struct sl_buf row = {0};
    struct sl_json schema = sl_json_member(call->body, "bucket_schema");
    if (!sl_bucket_find(call, &bucket))
        return;
    if (sl_json_has(schema)) {
        sl_bucket_schema_check(call, schema, "body.bucket_schema");
        if (sl_call_has_failed(call) || !sl_collection_mappings_hold(call, bucket.id, schema))
            return;
    }
    if (!sl_name_change(call, &sl_kind_bucket, call->namespace_id, &bucket))
        return;
    sl_row_patched(call, bucket.row, names, &row);
    sl_resource_put(call, &sl_kind_bucket, call->namespace_id, bucket.id, &row);
    write_bucket(call, bucket.id, sl_call_parse(call, sl_buf_slice(&row)), &call->out);
    sl_buf_deinit(&row);
}

void
sl_bucket_delete(struct sl_call *call, const struct sl_resource *bucket, struct sl_purge *purge)
{
    const char *ns = sl_member_str(call, bucket->row, "namespace_id");
    struct sl_counter sources = sl_counter(call, SL_COUNT_SOURCES, bucket->id);
    struct sl_buf prefix = {0};
    sl_batch_cancel_all(call, bucket->id);
    sl_batch_delete_all(call, bucket->id, purge);
    sl_rows_delete(call, SL_TABLE_SOURCE, sl_key_prefix(&prefix, 1, bucket->id), purge);
    sl_rows_delete(call, SL_TABLE_UPLOAD, sl_key_prefix(&prefix, 1, bucket->id), purge);
    sl_rows_delete(call, SL_TABLE_UNIQUE, sl_key_prefix(&prefix, 1, bucket->id), purge);
    sl_rows_delete(call, SL_TABLE_CONTENT, sl_key_prefix(&prefix, 1, bucket->id), purge);
    sl_buf_deinit(&prefix);
    if (sl_call_has_failed(call))
        return;
    sl_count_add(call->txn, sl_counter(call, SL_COUNT_SOURCES, ns), -sl_count(call->txn, sources));
    sl_count_add(call->txn, sl_counter(call, SL_COUNT_BUCKETS, ns), -1);
    sl_count_forget(call->txn, sources);
    sl_batch_count_forget(call, bucket->id);
    sl_count_forget(call->txn, sl_counter(call, SL_COUNT_BYTES, bucket->id));
    sl_count_forget(call->txn, sl_counter(call, SL_COUNT_UPLOADED, bucket->id));
    sl_resource_delete(call, &sl_kind_bucket, ns, bucket);
}

void
sl_api_delete_bucket(struct sl_call *call)
{
    struct sl_resource bucket;
    struct sl_purge purge = sl_purge_with_task(call);
    if (!sl_bucket_find(call, &bucket))
        return;
    int64_t count = sl_count(call->txn, sl_counter(call, SL_COUNT_SOURCES, bucket.id));
    sl_bucket_delete(call, &bucket, &purge);
    if (sl_call_has_failed(call))
        return;
    const char *about = sl_call_format(call, "{\"bucket_id\":\"%s\"}", bucket.id);
    const char *status = sl_purge_task(call, &purge, "api_buckets_delete", about);
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "task_id", purge.task_id);
    sl_jsonw_member_str(&call->out, "status", status);
    sl_jsonw_member_str(&call->out, "bucket_id", bucket.id);
    sl_jsonw_member_value(&call->out, "bucket_name", sl_json_member(bucket.row, "bucket_name"));
    sl_jsonw_member_i64(&call->out, "object_count", count);
    sl_jsonw_end(&call->out);
}
