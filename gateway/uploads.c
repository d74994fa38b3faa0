/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Presigned uploads: /v1/buckets/{bucket}/uploads.
 *
 *   create: I/O thread makes the file --> row PENDING
 *   PUT, by the front --> row knows the bytes that came, and the hash once they are whole
 *   confirm: checked --> I/O thread makes the file a blob --> row COMPLETED (and perhaps an object)
 *
 * A crash between the file's end as a blob and the row does no harm: confirm is tried again. What
 * expired unconfirmed goes with the next upload of its bucket, and with the next start.
 */
#include "gateway/upload.h"

#include <inttypes.h>

#include "gateway/bucket.h"
#include "gateway/bucket_schema.h"
#include "gateway/gateway.h"
#include "gateway/list.h"
#include "gateway/object.h"
#include "gateway/presign.h"
#include "object-store/incoming.h"
#include "runtime/limits.h"
#include "runtime/time.h"

sl_handler_fn sl_api_create_upload, sl_api_confirm_upload;

/* ---- rows ---------------------------------------------------------------------------------- */

static bool
find_upload(struct sl_call *call, const char **ret_bucket, struct sl_json *ret_row)
{
    struct sl_resource bucket;
    if (!sl_bucket_find(call, &bucket))
        return false;
    *ret_bucket = bucket.id;
    if (sl_upload_lookup(call, bucket.id, call->params[1], ret_row))
        return true;
    sl_call_not_found(call, "upload", call->params[1]);
    return false;
}

/* The row with these members instead of its own. */
struct change {
    const char *names[8]; /* NULL-terminated. */
    void (*write)(struct sl_call *call, struct sl_jsonw *w);
};

static struct sl_json
put_changed(struct sl_call *call, const char *bucket, struct sl_json row, const struct change *c)
{
    struct sl_buf out = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &out);
    sl_jsonw_object(&w);
    sl_write_except(&w, row, c->names);
    c->write(call, &w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_UPLOAD,
               sl_upload_key(call, bucket, sl_member_str(call, row, "upload_id")),
               sl_buf_slice(&out));
    struct sl_json changed = sl_call_parse(call, sl_buf_slice(&out));
    sl_buf_deinit(&out);
    return changed;
}

/* ---- create -------------------------------------------------------------------------------- */

static bool
check_create(struct sl_call *call)
{
    struct sl_slice name = sl_call_text(call, sl_json_member(call->body, "filename"));
    struct sl_slice property = sl_call_text(call, sl_json_member(call->body, "blob_property"));
    struct sl_slice type = sl_call_text(call, sl_json_member(call->body, "blob_type"));
    struct sl_slice hash = sl_call_text(call, sl_json_member(call->body, "file_hash"));
    if (memchr(name.data, '/', name.size) != NULL || memchr(name.data, '\\', name.size) != NULL ||
        sl_slice_is(name, "..") || sl_slice_is(name, "."))
        sl_call_invalid(call, "body.filename", "value_error", "is no name of a file");
    for (size_t i = 0; i < property.size; i++) {
        uint8_t c = property.data[i];
        if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(c >= '0' && c <= '9') && c != '_') {
            sl_call_invalid(call, "body.blob_property", "value_error",
                            "has letters, digits and '_' only");
            break;
        }
    }
    if (type.size > 0 && !sl_field_type_is_known(type))
        sl_call_invalid(call, "body.blob_type", "enum", "is not one of the field types");
    if (hash.size > 0 && !sl_blob_is_id((const char *)sl_call_copy(call, hash).data))
        sl_call_invalid(call, "body.file_hash", "value_error", "is no SHA-256 in hex");
    return !sl_call_has_failed(call);
}

/* The file's name without its ending, as far as it can name a property. */
static const char *
property_of(struct sl_call *call, struct sl_slice filename)
{
    char *text = sl_call_format(call, "%.*s", SL_SLICE_FMT(filename));
    char *dot = strrchr(text, '.');
    if (dot != NULL && dot != text)
        *dot = '\0';
    for (char *c = text; *c != '\0'; c++) {
        bool is_fit = ((*c | 0x20) >= 'a' && (*c | 0x20) <= 'z') || (*c >= '0' && *c <= '9');
        *c = is_fit ? *c : '_';
    }
    text[SL_MIN(strlen(text), 100)] = '\0';
    return text;
}

static const char *
type_of(struct sl_slice content_type)
{
    static const struct {
        const char *prefix, *type;
    } types[] = {{"image/", "image"},
                 {"audio/", "audio"},
                 {"video/", "video"},
                 {"application/pdf", "pdf"},
                 {"application/json", "json"}};
    for (size_t i = 0; i < SL_COUNT_OF(types); i++) {
        size_t size = strlen(types[i].prefix);
        if (content_type.size >= size && memcmp(content_type.data, types[i].prefix, size) == 0)
            return types[i].type;
    }
    return "text";
}

static void
write_optional(struct sl_call *call, struct sl_jsonw *w, const char *name)
{
    struct sl_json value = sl_json_member(call->body, name);
    if (sl_json_has(value))
        sl_jsonw_member_value(w, name, value);
    else
        sl_jsonw_member_null(w, name);
}

static void
write_new(struct sl_call *call, const char *bucket, const char *id, struct sl_jsonw *w)
{
    struct sl_slice filename = sl_call_text(call, sl_json_member(call->body, "filename"));
    struct sl_slice property = sl_call_text(call, sl_json_member(call->body, "blob_property"));
    struct sl_slice type = sl_call_text(call, sl_json_member(call->body, "blob_type"));
    uint64_t expires_s = sl_upload_expires_s(call);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "upload_id", id);
    sl_jsonw_member_str(w, "bucket_id", bucket);
    sl_jsonw_member_slice(w, "filename", filename);
    sl_jsonw_member_value(w, "content_type", sl_json_member(call->body, "content_type"));
    write_optional(call, w, "file_size_bytes");
    sl_jsonw_member_str(w, "presigned_url",
                        sl_upload_address(call, bucket, id, SL_LIMIT_UPLOAD_BYTES));
    sl_jsonw_member_u64(w, "presigned_url_expiration", expires_s - call->now_ms / 1000);
    sl_jsonw_member_str(w, "s3_key",
                        sl_call_format(call, "%s/%s/api_buckets_uploads_create/%s/%.*s",
                                       call->who.organization_id, call->namespace_id, id,
                                       SL_SLICE_FMT(filename)));
    sl_jsonw_member_str(w, "status", "PENDING");
    write_optional(call, w, "metadata");
    sl_jsonw_member_bool(
        w, "create_object_on_confirm",
        sl_json_bool(sl_json_member(call->body, "create_object_on_confirm"), true));
    write_optional(call, w, "object_metadata");
    sl_jsonw_member_str(w, "blob_property",
                        property.size > 0 ? (const char *)sl_call_copy(call, property).data
                                          : property_of(call, filename));
    sl_jsonw_member_str(
        w, "blob_type",
        type.size > 0 ? (const char *)sl_call_copy(call, type).data
                      : type_of(sl_call_text(call, sl_json_member(call->body, "content_type"))));
    write_optional(call, w, "file_hash");
    sl_jsonw_member_bool(w, "skip_duplicates", false);
    sl_jsonw_member_bool(w, "is_duplicate", false);
    sl_jsonw_member_time(w, "created_at", call->now_ms);
    sl_jsonw_member_time(w, "expires_at", expires_s * 1000);
    sl_jsonw_member_u64(w, "expires_ms", expires_s * 1000);
    sl_jsonw_member_null(w, "etag");
    sl_jsonw_member_u64(w, "received_bytes", 0);
    sl_jsonw_end(w);
}

static void
on_made(struct sl_call *call)
{
    const char *id = sl_upload_begun(call);
    struct sl_resource bucket;
    if (id == NULL || !sl_bucket_find(call, &bucket))
        return; /* Without its bucket the file goes with the next start. */
    struct sl_buf row = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &row);
    write_new(call, bucket.id, id, &w);
    sl_jsonw_done(&w);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_UPLOAD, sl_upload_key(call, bucket.id, id),
               sl_buf_slice(&row));
    sl_upload_write(sl_call_parse(call, sl_buf_slice(&row)), &call->out);
    sl_buf_deinit(&row);
}

void
sl_api_create_upload(struct sl_call *call)
{
    struct sl_resource bucket;
    if (check_create(call) && sl_bucket_find(call, &bucket))
        sl_upload_begin(call, bucket.id, on_made);
}

/* ---- the bytes: the front has them on disk ------------------------------------------------- */

static void
write_received(struct sl_call *call, struct sl_jsonw *w)
{
    bool is_whole = call->upload.blob[0] != '\0';
    sl_jsonw_member_u64(w, "received_bytes", call->upload.size_bytes);
    if (is_whole)
        sl_jsonw_member_str(w, "etag", sl_call_format(call, "\"%s\"", call->upload.blob));
    else
        sl_jsonw_member_null(w, "etag");
}

void
sl_api_put_upload(struct sl_call *call)
{
    struct sl_json row;
    const char *bucket = (const char *)sl_call_copy(call, call->params[0]).data;
    if (!sl_upload_lookup(call, bucket, call->params[1], &row)) {
        sl_call_not_found(call, "upload", call->params[1]);
        return;
    }
    if (sl_upload_is_complete(row)) {
        sl_call_fail(call, SL_API_CONFLICT, "the upload is confirmed");
        return;
    }
    struct change change = {.names = {"received_bytes", "etag"}, .write = write_received};
    if (!call->upload.is_query)
        row = put_changed(call, bucket, row, &change);
    struct sl_slice etag = sl_member_text(call, row, "etag");
    if (etag.size > 0)
        sl_call_header(call, "ETag", (const char *)sl_call_copy(call, etag).data);
    else
        call->status = 202;
    sl_call_header(call, "Upload-Offset",
                   sl_call_format(call, "%" PRIu64, call->upload.size_bytes));
    sl_jsonw_object(&call->out);
    sl_jsonw_member_value(&call->out, "upload_id", sl_json_member(row, "upload_id"));
    sl_jsonw_member_u64(&call->out, "received_bytes", call->upload.size_bytes);
    sl_jsonw_member_bool(&call->out, "is_complete", etag.size > 0);
    sl_jsonw_member_value(&call->out, "etag", sl_json_member(row, "etag"));
    sl_jsonw_end(&call->out);
}

/* ---- confirm ------------------------------------------------------------------------------- */

struct confirming {
    const char *id;
    struct sl_blob blob;
    enum sl_err err;
};

static void
keep_file(struct sl_call *call)
{
    struct confirming *c = call->state;
    c->err = sl_incoming_keep(call->gateway->incoming, c->id, call->gateway->blobs, &c->blob);
}

/* What came is what was announced, at the start and now? */
static bool
check_confirm(struct sl_call *call, struct sl_json row, struct sl_blob *ret_blob)
{
    struct sl_slice etag, hash = sl_member_text(call, row, "file_hash");
    if (!sl_upload_check(call, row, &etag))
        return false;
    if (hash.size > 0 && !sl_slice_equal(hash, etag)) {
        sl_call_fail(call, SL_API_BAD_REQUEST, "the file_hash is not that of what came");
        return false;
    }
    *ret_blob = (struct sl_blob){0};
    (void)!sl_json_u64(sl_json_member(row, "received_bytes"), &ret_blob->size_bytes);
    memcpy(ret_blob->id, etag.data, etag.size);
    return true;
}

static void
write_confirmed(struct sl_call *call, struct sl_jsonw *w)
{
    const struct confirming *c = call->state;
    sl_jsonw_member_str(w, "status", "COMPLETED");
    sl_jsonw_member_str(w, "file_hash", c->blob.id);
    sl_jsonw_member_u64(w, "file_size_bytes", c->blob.size_bytes);
    sl_jsonw_member_time(w, "verified_at", call->now_ms);
    sl_jsonw_member_time(w, "completed_at", call->now_ms);
}

static void
write_reply(struct sl_jsonw *w, struct sl_json row, const char *object_id)
{
    static const char *const shown[] = {"upload_id",       "status",    "etag",
                                        "file_size_bytes", "file_hash", "verified_at",
                                        "completed_at"};
    sl_jsonw_object(w);
    for (size_t i = 0; i < SL_COUNT_OF(shown); i++)
        sl_jsonw_member_value(w, shown[i], sl_json_member(row, shown[i]));
    if (object_id != NULL)
        sl_jsonw_member_str(w, "object_id", object_id);
    sl_jsonw_end(w);
}

/* The object that the upload was announced for, where the bucket's schema has its property. */
static bool
create_object(struct sl_call *call, const struct sl_resource *bucket, struct sl_json row,
              const char **ret_id)
{
    struct sl_slice property = sl_member_text(call, row, "blob_property");
    struct sl_json properties = sl_json_path(bucket->row, sl_slice_str("bucket_schema.properties"));
    struct sl_object_target target = {.policy = ""};
    struct sl_object object;
    if (!sl_json_bool(sl_json_member(row, "create_object_on_confirm"), false) ||
        !sl_json_has(sl_json_member_slice(properties, property)))
        return true;
    struct sl_buf body = {0};
    struct sl_jsonw w;
    static const char *const none[] = {NULL};
    sl_jsonw_init(&w, &body);
    sl_jsonw_object(&w);
    sl_write_except(&w, sl_json_member(row, "object_metadata"), none);
    sl_jsonw_name(&w, "blobs");
    sl_jsonw_array(&w);
    sl_jsonw_object(&w);
    sl_jsonw_member_slice(&w, "property", property);
    sl_jsonw_member_value(&w, "type", sl_json_member(row, "blob_type"));
    sl_jsonw_member_value(&w, "upload_id", sl_json_member(row, "upload_id"));
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    struct sl_json parsed = sl_call_parse(call, sl_buf_slice(&body));
    sl_buf_deinit(&body);
    target.bucket = bucket->id;
    target.schema = sl_json_member(bucket->row, "bucket_schema");
    target.unique_fields = sl_json_path(bucket->row, sl_slice_str("unique_key.fields"));
    bool is_good =
        sl_object_read(call, &target, parsed, &object) && sl_object_place(call, &target, &object);
    if (!is_good) {
        sl_object_raise(call, &object.fault);
        return false;
    }
    if (!sl_object_count(call, &target))
        return false;
    *ret_id = object.id;
    return true;
}

static void
on_kept(struct sl_call *call)
{
    const struct confirming *c = call->state;
    struct sl_resource bucket;
    struct sl_json row;
    const char *ignored, *object_id = NULL;
    if (c->err == SL_EBUSY || c->err == SL_ESTALE)
        sl_call_fail(call, SL_API_CONFLICT, "another request writes this upload");
    else if (c->err != SL_OK)
        sl_call_fail(call, SL_API_UNAVAILABLE, "the upload could not be kept: %s",
                     sl_err_text(c->err));
    if (c->err != SL_OK || !sl_bucket_find(call, &bucket) || !find_upload(call, &ignored, &row))
        return;
    struct change change = {
        .names = {"status", "file_hash", "file_size_bytes", "verified_at", "completed_at"},
        .write = write_confirmed};
    if (!sl_upload_is_complete(row))
        row = put_changed(call, bucket.id, row, &change);
    if (create_object(call, &bucket, row, &object_id))
        write_reply(&call->out, row, object_id);
}

void
sl_api_confirm_upload(struct sl_call *call)
{
    struct sl_json row;
    const char *bucket;
    struct confirming *c = sl_call_alloc(call, sizeof(*c));
    if (!find_upload(call, &bucket, &row))
        return;
    if (sl_upload_is_complete(row)) { /* The reply to the first time may have been lost. */
        write_reply(&call->out, row, NULL);
        return;
    }
    if (!check_confirm(call, row, &c->blob))
        return;
    c->id = sl_member_str(call, row, "upload_id");
    call->state = c;
    sl_call_work(call, keep_file, on_kept);
}

/* ---- read, list, delete -------------------------------------------------------------------- */

void
sl_api_get_upload(struct sl_call *call)
{
    struct sl_json row;
    const char *bucket;
    if (find_upload(call, &bucket, &row))
        sl_upload_write(row, &call->out);
}

static void
remove_file(struct sl_call *call)
{
    sl_incoming_remove(call->gateway->incoming, call->state);
}

static void
on_removed(struct sl_call *call)
{
    (void)call; /* 204: nothing to say. */
}

/* The row goes first: a file without one is swept. Objects that name the blob keep it. */
void
sl_api_delete_upload(struct sl_call *call)
{
    struct sl_json row;
    const char *bucket;
    if (!find_upload(call, &bucket, &row))
        return;
    char *id = sl_call_format(call, "%s", sl_member_str(call, row, "upload_id"));
    sl_txn_del(call->txn, call->who.scope, SL_TABLE_UPLOAD, sl_upload_key(call, bucket, id));
    call->state = id;
    sl_call_work(call, remove_file, on_removed);
}

static bool
render(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value,
       struct sl_jsonw *w)
{
    (void)arg, (void)key;
    sl_upload_write(sl_call_parse(call, value), w);
    return true;
}

struct upload_stats { /* Of what the list matches, on all its pages. */
    uint64_t count, pending, completed, size_bytes;
};

static void
visit(void *arg, struct sl_json row)
{
    struct upload_stats *stats = arg;
    uint64_t size_bytes = 0;
    (void)!sl_json_u64(sl_json_member(row, "file_size_bytes"), &size_bytes);
    stats->count++;
    stats->size_bytes += size_bytes;
    stats->pending += sl_json_is(sl_json_member(row, "status"), "PENDING");
    stats->completed += sl_json_is(sl_json_member(row, "status"), "COMPLETED");
}

static void
write_stats(struct sl_jsonw *w, const struct upload_stats *stats)
{
    sl_jsonw_name(w, "stats");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "total_uploads", stats->count);
    sl_jsonw_member_u64(w, "total_size_bytes", stats->size_bytes);
    sl_jsonw_member_u64(w, "avg_file_size_bytes",
                        stats->count == 0 ? 0 : stats->size_bytes / stats->count);
    sl_jsonw_member_u64(w, "unique_buckets", stats->count > 0);
    sl_jsonw_name(w, "uploads_by_status");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "PENDING", stats->pending);
    sl_jsonw_member_u64(w, "COMPLETED", stats->completed);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

void
sl_api_list_uploads(struct sl_call *call)
{
    static const char *const search[] = {"upload_id", "filename", NULL};
    struct upload_stats stats = {0};
    struct sl_resource bucket;
    struct sl_buf prefix = {0};
    struct sl_list list;
    if (!sl_bucket_find(call, &bucket) || !sl_list_begin(call, 10, &list))
        return;
    if (sl_list_run(&list, call,
                    &(struct sl_list_source){.scope = call->who.scope,
                                             .table = SL_TABLE_UPLOAD,
                                             .prefix = sl_key_prefix(&prefix, 1, bucket.id),
                                             .render = render,
                                             .arg = &stats,
                                             .needs_total = true,
                                             .search_fields = search,
                                             .visit = visit})) {
        sl_jsonw_object(&call->out);
        sl_list_write(&list, &call->out);
        write_stats(&call->out, &stats);
        sl_jsonw_end(&call->out);
        sl_list_end(&list);
    }
    sl_buf_deinit(&prefix);
}
