/* SPDX-License-Identifier: Apache-2.0 */
/* Objects. */
#include "gateway/object.h"

#include "gateway/ask.h"
#include "gateway/batch.h"
#include "gateway/event.h"
#include "gateway/gateway.h"
#include "gateway/list.h"
#include "gateway/meter.h"
#include "gateway/stock.h"
#include "runtime/limits.h"

sl_handler_fn sl_api_create_object, sl_api_create_objects, sl_api_put_object;

static bool
find_target(struct sl_call *call, struct sl_object_target *ret_target)
{
    struct sl_resource bucket;
    if (!sl_bucket_find(call, &bucket))
        return false;
    struct sl_json unique = sl_json_member(bucket.row, "unique_key");
    struct sl_slice policy = sl_call_query(call, "policy");
    if (policy.size == 0)
        policy = sl_member_text(call, unique, "default_policy");
    if (policy.size > 0 && !sl_slice_is(policy, "insert") && !sl_slice_is(policy, "update") &&
        !sl_slice_is(policy, "upsert")) {
        sl_call_invalid(call, "query.policy", "enum", "policy is insert, update or upsert");
        return false;
    }
    *ret_target = (struct sl_object_target){
        .bucket = bucket.id,
        .schema = sl_json_member(bucket.row, "bucket_schema"),
        .unique_fields = sl_json_member(unique, "fields"),
        .policy = policy.size == 0 ? "" : (const char *)sl_call_copy(call, policy).data};
    return true;
}

void
sl_object_raise(struct sl_call *call, const struct sl_fault *f)
{
    if (f->error == SL_API_INVALID)
        sl_call_invalid(call, f->loc == NULL ? "body" : sl_call_format(call, "body.%s", f->loc),
                        "value_error", "%s", f->message);
    else
        sl_call_fail(call, f->error, "%s", f->message);
}

bool
sl_object_count(struct sl_call *call, const struct sl_object_target *t)
{
    if (t->bytes_added > 0 &&
        !sl_stock_take(call, SL_LIMIT_max_storage_gb, (uint64_t)t->bytes_added))
        return false;
    sl_count_add(call->txn, sl_counter(call, SL_COUNT_SOURCES, t->bucket), t->count_added);
    sl_count_add(call->txn, sl_counter(call, SL_COUNT_SOURCES, call->namespace_id), t->count_added);
    sl_count_add(call->txn, sl_counter(call, SL_COUNT_BYTES, t->bucket), t->bytes_added);
    if (t->bytes_added > 0)
        sl_meter_use(call, SL_LEDGER_stored_bytes, (uint64_t)t->bytes_added, "");
    if (t->count_added > 0)
        sl_count_raise(call->txn, sl_counter(call, SL_COUNT_UPLOADED, t->bucket),
                       (int64_t)call->now_ms);
    return true;
}

/* ---- create -------------------------------------------------------------------------------- */

static bool
process(struct sl_call *call, const char *bucket, struct sl_slice ids, struct sl_jsonw *w)
{
    const char *batch_id, *task_id;
    if (!sl_call_query_bool(call, "auto_process", false))
        return true;
    if (!sl_batch_process(call, bucket, ids, &batch_id, &task_id))
        return false;
    sl_jsonw_member_str(w, "batch_id", batch_id);
    sl_jsonw_member_str(w, "task_id", task_id);
    return true;
}

static void
tell(struct sl_call *call, const char *type, const char *bucket, const char *id)
{
    sl_call_tell(
        call,
        &(struct sl_call_event){
            .type = type, .noun = "object", .id = id, .parent_noun = "bucket", .parent = bucket});
}

void
sl_api_create_object(struct sl_call *call)
{
    struct sl_object_target target;
    struct sl_object object;
    if (!sl_staging_check(call) || !find_target(call, &target) ||
        sl_staging_wait(call, (struct sl_json){0}, sl_api_create_object))
        return;
    if (!sl_object_read(call, &target, call->body, &object) ||
        !sl_object_place(call, &target, &object)) {
        sl_object_raise(call, &object.fault);
        return;
    }
    if (!sl_object_count(call, &target))
        return;
    if (!object.is_duplicate)
        tell(call, "object.created", target.bucket, object.id);
    struct sl_buf shown = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &shown);
    sl_object_write(call, target.bucket, &object, &w);
    if (sl_call_query_bool(call, "auto_process", false) && !object.is_duplicate) {
        static const char *const none[] = {NULL};
        sl_jsonw_object(&call->out);
        sl_write_except(&call->out, sl_call_parse(call, sl_buf_slice(&shown)), none);
        if (process(call, target.bucket, sl_slice_str(object.id), &call->out))
            sl_jsonw_end(&call->out);
    } else {
        sl_jsonw_raw(&call->out, sl_buf_slice(&shown));
    }
    sl_buf_deinit(&shown);
}

static void
write_failed(struct sl_jsonw *w, uint32_t index, const struct sl_fault *f)
{
    static const char *const types[] = {
#define API_ERROR(name, status, type) type,
#include "gateway/error.def"
    };
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "object_index", index);
    sl_jsonw_member_str(w, "error", f->message);
    sl_jsonw_member_str(w, "error_type", types[f->error]);
    sl_jsonw_end(w);
}

/* Each object stands or falls alone: what a failed one staged is rolled back. */
static uint32_t
create_each(struct sl_call *call, struct sl_object_target *target, struct sl_buf *ids,
            struct sl_buf *failed)
{
    struct sl_jsonw w;
    uint32_t index = 0, succeeded = 0;
    sl_jsonw_init(&w, failed);
    sl_jsonw_array(&w);
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(call->body, "objects"));
         sl_json_next(&i); index++) {
        size_t mark = sl_txn_mark(call->txn);
        struct sl_object_target before = *target;
        struct sl_object object;
        if (sl_object_read(call, target, i.value, &object) &&
            sl_object_place(call, target, &object)) {
            sl_object_write(call, target->bucket, &object, &call->out);
            succeeded++;
            if (object.is_duplicate)
                continue;
            sl_buf_append_str(ids, object.id);
            sl_buf_append_u8(ids, '\n');
            continue;
        }
        sl_txn_rollback_to(call->txn, mark);
        *target = before;
        write_failed(&w, index, &object.fault);
    }
    sl_jsonw_end(&w);
    return succeeded;
}

void
sl_api_create_objects(struct sl_call *call)
{
    struct sl_object_target target;
    struct sl_buf ids = {0}, failed = {0};
    struct sl_json objects = sl_json_member(call->body, "objects");
    uint32_t total = sl_json_count(objects);
    if (!sl_staging_check(call) || !find_target(call, &target) ||
        sl_staging_wait(call, objects, sl_api_create_objects))
        return;
    sl_jsonw_object(&call->out);
    sl_jsonw_name(&call->out, "succeeded");
    sl_jsonw_array(&call->out);
    uint32_t succeeded = create_each(call, &target, &ids, &failed);
    if (succeeded == 0) {
        sl_call_invalid(call, "body.objects", "value_error", "no object could be created");
        sl_call_detail_raw(call, "failed", sl_buf_slice(&failed));
        goto out;
    }
    sl_jsonw_end(&call->out);
    if (!sl_object_count(call, &target))
        goto out;
    if (ids.size > 0)
        sl_call_tell_objects(call, target.bucket, sl_buf_slice(&ids));
    sl_jsonw_member_raw(&call->out, "failed", sl_buf_slice(&failed));
    sl_jsonw_member_u64(&call->out, "total_requested", total);
    sl_jsonw_member_u64(&call->out, "succeeded_count", succeeded);
    sl_jsonw_member_u64(&call->out, "failed_count", total - succeeded);
    if (ids.size == 0 || process(call, target.bucket, sl_slice(ids.data, ids.size - 1), &call->out))
        sl_jsonw_end(&call->out);
out:
    sl_buf_deinit(&ids);
    sl_buf_deinit(&failed);
}

/* ---- read, change, delete ------------------------------------------------------------------ */

static bool
find_object(struct sl_call *call, const char *bucket, struct sl_object *ret_object)
{
    const char *id = sl_call_identifier(call, call->params[1]);
    struct sl_slice value;
    struct sl_object o = {.id = id};
    if (id == NULL ||
        sl_txn_get(call->txn, call->who.scope, SL_TABLE_SOURCE, sl_object_key(call, bucket, id),
                   &value) != SL_OK ||
        SL_BUG(sl_source_decode(sl_call_copy(call, value), &o.source) != SL_OK)) {
        sl_call_not_found(call, "object", call->params[1]);
        return false;
    }
    *ret_object = o;
    return true;
}

void
sl_api_get_object(struct sl_call *call)
{
    struct sl_object_target target;
    struct sl_object object;
    if (find_target(call, &target) && find_object(call, target.bucket, &object))
        sl_object_write(call, target.bucket, &object, &call->out);
}

/* The object as its own create body with the sent members over it: then one path checks it all. */
static struct sl_json
merged(struct sl_call *call, const struct sl_object *old, bool has_new_blobs)
{
    static const char *const none[] = {NULL};
    struct sl_buf out = {0};
    struct sl_jsonw w;
    struct sl_json fields = sl_call_parse(call, old->source.fields);
    struct sl_json extra = sl_call_parse(call, old->source.extra);
    struct sl_json metadata = sl_json_member(fields, "metadata");
    struct sl_json sent = sl_json_member(call->body, "metadata");
    bool is_merge = has_new_blobs && sl_json_kind(metadata) == SL_JSON_OBJECT &&
                    sl_json_kind(sent) == SL_JSON_OBJECT;
    sl_jsonw_init(&w, &out);
    sl_jsonw_object(&w);
    struct sl_buf scratch = {0};
    for (struct sl_json_iter i = sl_json_iter(fields); sl_json_next(&i);) {
        struct sl_slice name;
        sl_buf_clear(&scratch);
        if (sl_json_text(i.name, &scratch, &name) != SL_OK ||
            sl_json_kind(sl_json_member_slice(call->body, name)) != SL_JSON_NONE)
            continue;
        sl_jsonw_name_slice(&w, name);
        sl_jsonw_value(&w, i.value);
    }
    if (sl_json_kind(sl_json_member(call->body, "key_prefix")) == SL_JSON_NONE)
        sl_jsonw_member_value(&w, "key_prefix", sl_json_member(extra, "key_prefix"));
    for (struct sl_json_iter i = sl_json_iter(call->body); sl_json_next(&i);) {
        struct sl_slice name;
        sl_buf_clear(&scratch);
        if ((is_merge && sl_json_is(i.name, "metadata")) || sl_json_is(i.name, "blobs") ||
            sl_json_is(i.name, "blob") || sl_json_text(i.name, &scratch, &name) != SL_OK)
            continue;
        sl_jsonw_name_slice(&w, name);
        sl_jsonw_value(&w, i.value);
    }
    if (is_merge) {
        sl_jsonw_name(&w, "metadata");
        sl_jsonw_object(&w);
        for (struct sl_json_iter i = sl_json_iter(metadata); sl_json_next(&i);) {
            struct sl_slice name = sl_call_text(call, i.name);
            if (sl_json_kind(sl_json_member_slice(sent, name)) != SL_JSON_NONE)
                continue;
            sl_jsonw_name_slice(&w, name);
            sl_jsonw_value(&w, i.value);
        }
        sl_write_except(&w, sent, none);
        sl_jsonw_end(&w);
    }
    sl_jsonw_end(&w);
    struct sl_json result = sl_call_parse(call, sl_buf_slice(&out));
    sl_buf_deinit(&out);
    sl_buf_deinit(&scratch);
    return result;
}

static void
change(struct sl_call *call, bool has_new_blobs)
{
    struct sl_object_target target;
    struct sl_object old, object, blobs = {0};
    if (!find_target(call, &target) || !find_object(call, target.bucket, &old))
        return;
    bool is_replaced = has_new_blobs && (sl_json_has(sl_json_member(call->body, "blobs")) ||
                                         sl_json_has(sl_json_member(call->body, "blob")));
    struct sl_object_target loose = target; /* Blobs are checked beside the rest. */
    loose.schema = (struct sl_json){0};
    loose.unique_fields = (struct sl_json){0};
    target.policy = "upsert";
    if (is_replaced && !sl_object_read(call, &loose, call->body, &blobs)) {
        sl_object_raise(call, &blobs.fault);
        return;
    }
    struct sl_json body = merged(call, &old, has_new_blobs);
    if (!sl_object_read_over(call, &target, body,
                             is_replaced ? blobs.source.blobs : old.source.blobs, &object)) {
        sl_object_raise(call, &object.fault);
        return;
    }
    object.id = old.id;
    object.source.created_ms = old.source.created_ms;
    if (!sl_object_replace(call, &target, &object, &old.source)) {
        sl_object_raise(call, &object.fault);
        return;
    }
    if (!sl_object_count(call, &target))
        return;
    tell(call, "object.updated", target.bucket, object.id);
    sl_object_write(call, target.bucket, &object, &call->out);
}

void
sl_api_patch_object(struct sl_call *call)
{
    change(call, false);
}

void
sl_api_put_object(struct sl_call *call)
{
    if (!sl_staging_check(call) || sl_staging_wait(call, (struct sl_json){0}, sl_api_put_object))
        return;
    change(call, true);
}

void
sl_api_delete_object(struct sl_call *call)
{
    struct sl_object_target target;
    struct sl_object object;
    if (!find_target(call, &target) || !find_object(call, target.bucket, &object))
        return;
    sl_txn_del(call->txn, call->who.scope, SL_TABLE_SOURCE,
               sl_object_key(call, target.bucket, object.id));
    if (object.source.unique.size > 0)
        sl_txn_del(call->txn, call->who.scope, SL_TABLE_UNIQUE,
                   sl_object_unique_key(call, target.bucket, object.source.unique));
    target.count_added = -1;
    target.bytes_added = -(int64_t)object.source.size_bytes;
    (void)sl_object_count(call, &target);
    tell(call, "object.deleted", target.bucket, object.id);
}

static bool
render(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value,
       struct sl_jsonw *w)
{
    struct sl_object o = {.id = (const char *)sl_call_copy(call, sl_key_part(key, 1)).data};
    if (SL_BUG(sl_source_decode(value, &o.source) != SL_OK))
        return false;
    sl_object_write(call, arg, &o, w);
    return true;
}

void
sl_api_list_objects(struct sl_call *call)
{
    static const char *const search[] = {"object_id",   "name",       "title",
                                         "description", "key_prefix", NULL};
    static const char *const keeps[] = {"object_id", "bucket_id", "status", NULL};
    struct sl_object_target target;
    struct sl_buf prefix = {0};
    if (!find_target(call, &target))
        return;
    sl_resource_list(call,
                     &(struct sl_list_source){.scope = call->who.scope,
                                              .table = SL_TABLE_SOURCE,
                                              .prefix = sl_key_prefix(&prefix, 1, target.bucket),
                                              .render = render,
                                              .arg = (void *)target.bucket,
                                              .select_keeps = keeps,
                                              .search_fields = search});
    sl_buf_deinit(&prefix);
}
