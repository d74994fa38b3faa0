/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/base64.h"
#include "gateway/bucket_schema.h"
#include "gateway/gateway.h"
#include "gateway/blob_content.h"
#include "gateway/data_uri.h"
#include "gateway/object.h"
#include "gateway/object/duplicate.h"
#include "gateway/source_fetch.h"
#include "gateway/upload.h"
#include "runtime/filter.h"
#include "runtime/hash.h"
#include "runtime/limits.h"
#include "runtime/utf8.h"

static bool
fault(struct sl_object *o, enum sl_api_error error, const char *loc, const char *message)
{
    o->fault = (struct sl_fault){.error = error, .loc = loc, .message = message};
    return false;
}

static bool
invalid(struct sl_object *o, const char *loc, const char *message)
{
    return fault(o, SL_API_INVALID, loc, message);
}

bool
sl_object_is_reserved(struct sl_json name)
{
    static const char *const names[] = {
        "key_prefix",     "blobs",      "blob",          "skip_duplicates", "canonicalize_source",
        "force_remirror", "object_id",  "bucket_id",     "status",          "error",
        "created_at",     "updated_at", "source_details"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        if (sl_json_is(name, names[i]))
            return true;
    }
    return false;
}

struct sl_slice
sl_object_key(struct sl_call *call, const char *bucket, const char *id)
{
    struct sl_buf buf = {0};
    struct sl_slice key = sl_call_copy(call, sl_key(&buf, 2, bucket, id));
    sl_buf_deinit(&buf);
    return key;
}

struct sl_slice
sl_object_unique_key(struct sl_call *call, const char *bucket, struct sl_slice unique)
{
    uint8_t digest[SL_SHA256_SIZE];
    char hex[2 * SL_SHA256_SIZE + 1];
    sl_sha256(unique, digest);
    sl_hex(sl_slice(digest, sizeof(digest)), hex);
    return sl_object_key(call, bucket, hex);
}

/* ---- values -------------------------------------------------------------------------------- */

/* Bytes of a data URI or of base64; false: neither. */
static bool
decode(struct sl_slice text, struct sl_buf *out)
{
    struct sl_data_uri uri;
    if (sl_data_uri_parse(text, &uri) != SL_OK)
        return sl_base64_decode(text, out) == SL_OK;
    return sl_data_uri_decode(&uri, out) == SL_OK;
}

static bool
is_binary(struct sl_json type)
{
    return sl_json_is(type, "image") || sl_json_is(type, "audio") || sl_json_is(type, "video") ||
           sl_json_is(type, "pdf") || sl_json_is(type, "excel");
}

/* Is the value of such a type written as other text than it is? */
static bool
is_encoded(struct sl_json type, struct sl_slice text)
{
    struct sl_data_uri uri;
    return is_binary(type) || (sl_json_is(type, "text") && sl_data_uri_parse(text, &uri) == SL_OK &&
                               sl_data_uri_is_text(&uri));
}

/* {"url": ...} is the other spelling for an address. */
static struct sl_json
data_of(struct sl_json blob)
{
    struct sl_json data = sl_json_member(blob, "data");
    return sl_json_has(data) ? data : sl_json_member(blob, "url");
}

static void
stage_address(struct sl_staging *s, struct sl_slice raw, struct sl_slice text)
{
    struct sl_staged *v = &s->values[s->count++];
    *v = (struct sl_staged){.at = raw.data, .bytes = text, .is_address = true};
    if (s->addresses++ < SL_SOURCES_MAX)
        return;
    v->error = SL_EFULL;
    v->cause = "a request has at most 100 addresses";
}

static void
stage_one(struct sl_call *call, struct sl_json blob, struct sl_staging *s)
{
    struct sl_json data = data_of(blob);
    struct sl_buf bytes = {0};
    struct sl_slice raw = sl_json_raw(data);
    if (sl_json_kind(data) != SL_JSON_STRING ||
        (raw.size <= SL_LIMIT_INLINE_BYTES && !sl_source_may_be_address(raw)))
        return;
    if (s->values == NULL) {
        s->capacity++;
        return;
    }
    struct sl_slice text = sl_call_text(call, data);
    if (sl_source_is_address(text)) {
        stage_address(s, raw, text);
        return;
    }
    if (raw.size <= SL_LIMIT_INLINE_BYTES)
        return;
    if (is_encoded(sl_json_member(blob, "type"), text)) {
        bool is_text = !is_binary(sl_json_member(blob, "type"));
        if (!decode(text, &bytes) || (is_text && !sl_utf8_is_valid(sl_buf_slice(&bytes)))) {
            sl_buf_deinit(&bytes);
            return; /* Reading it for real says what is wrong. */
        }
        text = sl_call_copy(call, sl_buf_slice(&bytes));
        sl_buf_deinit(&bytes);
    }
    s->values[s->count++] = (struct sl_staged){.at = raw.data, .bytes = text};
}

void
sl_object_stage(struct sl_call *call, struct sl_json body, struct sl_staging *s)
{
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(body, "blobs")); sl_json_next(&i);)
        stage_one(call, i.value, s);
    stage_one(call, sl_json_member(body, "blob"), s);
}

static const struct sl_staged *
find_staged(const struct sl_call *call, struct sl_json data)
{
    const struct sl_staging *s = call->state;
    const uint8_t *at = sl_json_raw(data).data;
    for (uint32_t i = 0; s != NULL && i < s->count; i++) {
        if (s->values[i].at == at)
            return &s->values[i];
    }
    return NULL;
}

/* ---- blobs --------------------------------------------------------------------------------- */

struct reading {
    struct sl_call *call;
    const struct sl_object_target *target;
    struct sl_object *object;
    struct sl_jsonw w; /* Writes the blobs array. */
    uint32_t blobs;
    struct sl_json stored; /* The blobs of an object that is changed; NONE: they are in the body. */
};

static bool
take_fetched(struct reading *r, const struct sl_staged *v, const char *loc, uint64_t *ret_size,
             struct sl_slice *ret_media_type)
{
    *ret_size = v->blob.size_bytes;
    if (v->error == SL_OK && v->media_type[0] != '\0')
        *ret_media_type = sl_slice_str(v->media_type);
    if (v->error == SL_OK)
        return true;
    const char *why = sl_call_format(r->call, "%s: %.*s", loc, SL_SLICE_FMT(v->bytes));
    why = sl_call_format(r->call, "%.300s: %s", why, v->cause);
    return fault(r->object, sl_source_may_pass(v->error) ? SL_API_UNAVAILABLE : SL_API_INVALID, loc,
                 why);
}

/* What is in `data` and no address: its bytes, where they are written otherwise and not staged. */
static bool
take_inline(struct reading *r, struct sl_json type, struct sl_slice text, const char *loc,
            bool is_staged, struct sl_buf *bytes, struct sl_slice *ret_media_type)
{
    struct sl_data_uri uri;
    *ret_media_type = is_binary(type) ? (struct sl_slice){0} : sl_slice_str("text/plain");
    if (!is_encoded(type, text))
        return true;
    if (sl_data_uri_parse(text, &uri) == SL_OK && uri.media_type.size > 0)
        *ret_media_type = uri.media_type;
    if (is_staged)
        return true;
    if (!decode(text, bytes))
        return invalid(r->object, loc, "is neither base64 nor a data URI");
    return is_binary(type) || sl_utf8_is_valid(sl_buf_slice(bytes)) ||
           invalid(r->object, loc, "is no UTF-8");
}

static void
write_content(struct reading *r, struct sl_json data, const struct sl_staged *staged, bool is_text,
              const struct sl_buf *bytes)
{
    if (staged != NULL && staged->is_address)
        sl_jsonw_member_value(&r->w, "url", data);
    if (staged != NULL)
        sl_jsonw_member_str(&r->w, "blob", staged->blob.id);
    else if (is_text)
        sl_jsonw_member_slice(&r->w, "data", sl_buf_slice(bytes));
    else
        sl_jsonw_member_value(&r->w, "data", data);
}

static bool
write_data(struct reading *r, struct sl_json type, struct sl_json data, const char *loc)
{
    struct sl_jsonw *w = &r->w;
    struct sl_buf scratch = {0}, bytes = {0};
    struct sl_slice text, mime = sl_slice(NULL, 0);
    const struct sl_staged *staged = find_staged(r->call, data);
    uint64_t size = sl_json_raw(data).size;
    bool is_good = true, is_decoded_text = false;
    if (sl_json_text(data, &scratch, &text) == SL_OK) {
        size = text.size;
        is_decoded_text = !is_binary(type) && is_encoded(type, text);
        if (staged != NULL && staged->is_address)
            is_good = take_fetched(r, staged, loc, &size, &mime);
        else if (sl_source_is_address(text))
            is_good = invalid(r->object, loc, "content behind an address cannot be stored here");
        else
            is_good = take_inline(r, type, text, loc, staged != NULL, &bytes, &mime);
        if (staged != NULL)
            size = staged->blob.size_bytes;
        else if (is_encoded(type, text))
            size = bytes.size;
    }
    if (is_good && staged == NULL && sl_json_raw(data).size > SL_LIMIT_INLINE_BYTES)
        is_good = invalid(r->object, loc, "is too large to be stored");
    if (is_good) {
        write_content(r, data, staged, is_decoded_text, &bytes);
        sl_jsonw_member_u64(w, "size_bytes", size);
        if (mime.size > 0)
            sl_jsonw_member_slice(w, "mime_type", mime);
        else
            sl_jsonw_member_null(w, "mime_type");
        r->object->source.size_bytes += size;
    }
    sl_buf_deinit(&scratch);
    sl_buf_deinit(&bytes);
    return is_good;
}

/* The bytes of a confirmed upload to this bucket: they are a blob already. */
static bool
write_upload(struct reading *r, struct sl_json upload)
{
    struct sl_slice id = sl_call_text(r->call, upload);
    struct sl_json row;
    if (!sl_upload_lookup(r->call, r->target->bucket, id, &row))
        return invalid(r->object, "blobs.upload_id", "is no upload to this bucket");
    if (!sl_upload_is_complete(row))
        return invalid(r->object, "blobs.upload_id", "is not confirmed");
    uint64_t size = sl_upload_size(row);
    sl_jsonw_member_value(&r->w, "blob", sl_json_member(row, "file_hash"));
    sl_jsonw_member_u64(&r->w, "size_bytes", size);
    sl_jsonw_member_value(&r->w, "mime_type", sl_json_member(row, "content_type"));
    r->object->source.size_bytes += size;
    return true;
}

static bool
check_blob(struct reading *r, struct sl_json blob, struct sl_json type, struct sl_slice property)
{
    struct sl_json data = data_of(blob), upload = sl_json_member(blob, "upload_id");
    struct sl_object *o = r->object;
    struct sl_buf scratch = {0};
    struct sl_slice name;
    bool is_type = sl_json_text(type, &scratch, &name) == SL_OK && sl_field_type_is_known(name);
    sl_buf_deinit(&scratch);
    if (property.size == 0 || property.size > 100)
        return invalid(o, "blobs.property", "a blob has a property of 1 to 100 bytes");
    if (!is_type)
        return invalid(o, "blobs.type", "is not one of the field types");
    if (sl_json_has(data) == sl_json_has(upload))
        return invalid(o, "blobs.data", "a blob has exactly one of data and upload_id");
    if (sl_json_has(upload))
        return true; /* Looked up when it is written. */
    if (!sl_json_has(sl_json_member(blob, "data")) &&
        !sl_source_is_address(sl_call_text(r->call, data)))
        return invalid(o, "blobs.url", "is no address: http, https or file");
    const char *why = sl_field_check(blob, data); /* {type}: a blob is its own field. */
    if (why != NULL)
        return invalid(o, "blobs.data", sl_call_format(r->call, "data %s", why));
    return true;
}

static bool
write_blob(struct reading *r, struct sl_json blob, struct sl_slice property, struct sl_json type)
{
    struct sl_jsonw *w = &r->w;
    if (++r->blobs > SL_OBJECT_BLOBS_MAX)
        return invalid(r->object, "blobs", "too many blobs");
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "blob_id", sl_call_id(r->call, "blob_", 12));
    sl_jsonw_member_slice(w, "property", property);
    if (sl_json_has(type))
        sl_jsonw_member_value(w, "type", type);
    else
        sl_jsonw_member_str(w, "type",
                            sl_source_type(sl_call_text(r->call, sl_json_member(blob, "url"))));
    struct sl_json metadata = sl_json_member(blob, "metadata");
    struct sl_json prefix = sl_json_member(blob, "key_prefix");
    if (sl_json_has(metadata))
        sl_jsonw_member_value(w, "metadata", metadata);
    if (sl_json_has(prefix))
        sl_jsonw_member_value(w, "key_prefix", prefix);
    struct sl_json upload = sl_json_member(blob, "upload_id");
    if (sl_json_has(upload)) {
        if (!write_upload(r, upload))
            return false;
    } else if (!write_data(r, type, data_of(blob), "blobs.data"))
        return false;
    sl_jsonw_end(w);
    return true;
}

/* The other spelling, {"blob":{"data":...}}: the schema's only blob-typed field, else `content`. */
static bool
write_short_blob(struct reading *r, struct sl_json blob)
{
    struct sl_slice property = sl_slice_str("content");
    struct sl_json type = sl_json_member(blob, "type");
    uint32_t found = 0;
    if (sl_json_has(sl_json_member(blob, "property")))
        property = sl_call_text(r->call, sl_json_member(blob, "property"));
    struct sl_json properties = sl_json_member(r->target->schema, "properties");
    struct sl_json_iter only = {0};
    for (struct sl_json_iter i = sl_json_iter(properties); sl_json_next(&i);) {
        if (!sl_field_type_is_blob(sl_call_text(r->call, sl_json_member(i.value, "type"))))
            continue;
        only = i;
        found++;
    }
    if (found == 1 && !sl_json_has(sl_json_member(blob, "property"))) {
        property = sl_call_text(r->call, only.name);
        if (!sl_json_has(type))
            type = sl_json_member(only.value, "type");
    }
    if (!sl_json_has(data_of(blob)) && !sl_json_has(sl_json_member(blob, "upload_id")))
        return invalid(r->object, "blob.data", "a blob has data");
    if (!sl_json_has(sl_json_member(blob, "data")) && sl_json_has(data_of(blob)) &&
        !sl_source_is_address(sl_call_text(r->call, data_of(blob))))
        return invalid(r->object, "blob.url", "is no address: http, https or file");
    return write_blob(r, blob, property, type);
}

static bool
read_blobs(struct reading *r, struct sl_json body)
{
    struct sl_json blob = sl_json_member(body, "blob"), blobs = sl_json_member(body, "blobs");
    struct sl_buf out = {0};
    bool is_good = true;
    sl_jsonw_init(&r->w, &out);
    sl_jsonw_array(&r->w);
    if (sl_json_has(blobs) && sl_json_kind(blobs) != SL_JSON_ARRAY)
        is_good = invalid(r->object, "blobs", "is not an array");
    for (struct sl_json_iter i = sl_json_iter(blobs); is_good && sl_json_next(&i);) {
        struct sl_json type = sl_json_member(i.value, "type");
        struct sl_slice property = sl_call_text(r->call, sl_json_member(i.value, "property"));
        is_good =
            sl_json_kind(i.value) == SL_JSON_OBJECT
                ? check_blob(r, i.value, type, property) && write_blob(r, i.value, property, type)
                : invalid(r->object, "blobs", "a blob is an object");
    }
    if (is_good && sl_json_has(blob))
        is_good = sl_json_kind(blob) == SL_JSON_OBJECT
                      ? write_short_blob(r, blob)
                      : invalid(r->object, "blob", "is not an object");
    if (is_good) {
        sl_jsonw_end(&r->w);
        r->object->source.blobs = sl_call_copy(r->call, sl_buf_slice(&out));
    }
    sl_buf_deinit(&out);
    return is_good;
}

/* ---- fields -------------------------------------------------------------------------------- */

static bool
read_fields(struct reading *r, struct sl_json body)
{
    struct sl_buf out = {0}, scratch = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &out);
    sl_jsonw_object(&w);
    for (struct sl_json_iter i = sl_json_iter(body); sl_json_next(&i);) {
        struct sl_slice name;
        sl_buf_clear(&scratch);
        if (sl_object_is_reserved(i.name) || sl_json_text(i.name, &scratch, &name) != SL_OK)
            continue;
        sl_jsonw_name_slice(&w, name);
        sl_jsonw_value(&w, i.value);
    }
    sl_jsonw_end(&w);
    bool is_good = out.size <= SL_OBJECT_FIELDS_SIZE_MAX;
    if (is_good) {
        r->object->source.fields = sl_call_copy(r->call, sl_buf_slice(&out));
        r->object->source.size_bytes += out.size;
    } else {
        invalid(r->object, NULL, "the fields of an object are over 1 MiB: send values as blobs");
    }
    sl_buf_deinit(&out);
    sl_buf_deinit(&scratch);
    return is_good;
}

static struct sl_json
find_blob_data(const struct reading *r, struct sl_json body, struct sl_json name)
{
    struct sl_json blobs = sl_json_member(body, "blobs");
    if (sl_json_has(r->stored))
        blobs = r->stored;
    for (struct sl_json_iter i = sl_json_iter(blobs); sl_json_next(&i);) {
        if (sl_slice_equal(sl_json_raw(sl_json_member(i.value, "property")), sl_json_raw(name)))
            return sl_json_has(data_of(i.value)) ? data_of(i.value)
                   : sl_json_has(sl_json_member(i.value, "upload_id"))
                       ? sl_json_member(i.value, "upload_id")
                       : sl_json_member(i.value, "blob");
    }
    struct sl_json blob = sl_json_member(body, "blob"); /* Its property may be the schema's own. */
    return data_of(blob);
}

static bool
check_schema(struct reading *r, struct sl_json body)
{
    struct sl_json properties = sl_json_member(r->target->schema, "properties");
    for (struct sl_json_iter i = sl_json_iter(properties); sl_json_next(&i);) {
        struct sl_buf scratch = {0};
        struct sl_slice name = sl_slice(NULL, 0);
        struct sl_json value = {0};
        if (sl_json_text(i.name, &scratch, &name) == SL_OK)
            value = sl_json_member_slice(body, name);
        bool is_missing = !sl_json_has(value);
        const char *why = NULL;
        if (!is_missing)
            why = sl_field_check(i.value, value);
        else if (sl_json_bool(sl_json_member(i.value, "required"), false) &&
                 !sl_json_has(find_blob_data(r, body, i.name)))
            why = "is required";
        if (why != NULL)
            invalid(r->object, sl_call_format(r->call, "%.*s", SL_SLICE_FMT(name)),
                    sl_call_format(r->call, "%.*s %s", SL_SLICE_FMT(name), why));
        sl_buf_deinit(&scratch);
        if (why != NULL)
            return false;
    }
    return true;
}

/* The unique key's canonical text: the values, strings written the one way we write them. */
static bool
read_unique(struct reading *r, struct sl_json body)
{
    struct sl_buf out = {0};
    struct sl_jsonw w;
    bool is_good = true;
    if (!sl_json_has(r->target->unique_fields))
        return true;
    sl_jsonw_init(&w, &out);
    sl_jsonw_array(&w);
    for (struct sl_json_iter i = sl_json_iter(r->target->unique_fields); sl_json_next(&i);) {
        struct sl_slice path = sl_call_text(r->call, i.value);
        struct sl_json value = sl_json_path(body, path);
        if (!sl_json_has(value))
            value = find_blob_data(r, body, i.value);
        if (sl_json_kind(value) == SL_JSON_STRING)
            sl_jsonw_slice(&w, sl_call_text(r->call, value));
        else if (sl_json_has(value))
            sl_jsonw_value(&w, value);
        else
            is_good = invalid(r->object, sl_call_format(r->call, "%.*s", SL_SLICE_FMT(path)),
                              "a field of the unique key is missing");
        if (!is_good)
            break;
    }
    if (is_good) {
        sl_jsonw_end(&w);
        r->object->source.unique = sl_call_copy(r->call, sl_buf_slice(&out));
    }
    sl_buf_deinit(&out);
    return is_good;
}

static void
read_extra(struct reading *r, struct sl_json body)
{
    struct sl_buf out = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &out);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "status", "DRAFT");
    sl_jsonw_member_value(&w, "key_prefix", sl_json_member(body, "key_prefix"));
    sl_jsonw_end(&w);
    r->object->source.extra = sl_call_copy(r->call, sl_buf_slice(&out));
    sl_buf_deinit(&out);
}

bool
sl_object_read(struct sl_call *call, const struct sl_object_target *target, struct sl_json body,
               struct sl_object *ret_object)
{
    struct reading r = {.call = call, .target = target, .object = ret_object};
    *ret_object =
        (struct sl_object){.source = {.created_ms = call->now_ms, .updated_ms = call->now_ms}};
    if (sl_json_kind(body) != SL_JSON_OBJECT)
        return invalid(ret_object, NULL, "an object is a JSON object");
    ret_object->skips_duplicates = sl_json_bool(sl_json_member(body, "skip_duplicates"), false);
    if (!check_schema(&r, body) || !read_blobs(&r, body) || !read_fields(&r, body) ||
        !read_unique(&r, body))
        return false;
    read_extra(&r, body);
    return true;
}

bool
sl_object_read_over(struct sl_call *call, const struct sl_object_target *target,
                    struct sl_json body, struct sl_slice blobs, struct sl_object *ret_object)
{
    struct reading r = {
        .call = call, .target = target, .object = ret_object, .stored = sl_call_parse(call, blobs)};
    *ret_object = (struct sl_object){
        .source = {.created_ms = call->now_ms, .updated_ms = call->now_ms, .blobs = blobs}};
    for (struct sl_json_iter i = sl_json_iter(r.stored); sl_json_next(&i);) {
        uint64_t size = 0;
        if (sl_json_u64(sl_json_member(i.value, "size_bytes"), &size) == SL_OK)
            ret_object->source.size_bytes += size;
    }
    if (!check_schema(&r, body) || !read_fields(&r, body) || !read_unique(&r, body))
        return false;
    read_extra(&r, body);
    return true;
}

/* ---- storing ------------------------------------------------------------------------------- */

static void
put(struct sl_call *call, const struct sl_object_target *target, const struct sl_object *object)
{
    struct sl_buf row = {0};
    sl_source_encode(&object->source, &row);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_SOURCE,
               sl_object_key(call, target->bucket, object->id), sl_buf_slice(&row));
    sl_buf_deinit(&row);
}

static bool
place_unique(struct sl_call *call, struct sl_object_target *target, struct sl_object *o)
{
    struct sl_slice key = sl_object_unique_key(call, target->bucket, o->source.unique), value;
    bool exists = sl_txn_get(call->txn, call->who.scope, SL_TABLE_UNIQUE, key, &value) == SL_OK;
    if (*target->policy == '\0')
        return fault(o, SL_API_BAD_REQUEST, NULL,
                     "the bucket has a unique key and no default policy: say policy=insert, "
                     "update or upsert");
    if (exists && strcmp(target->policy, "insert") == 0)
        return fault(o, SL_API_CONFLICT, NULL, "an object with this unique key exists already");
    if (!exists && strcmp(target->policy, "update") == 0)
        return fault(o, SL_API_NOT_FOUND, NULL, "no object has this unique key");
    if (!exists) {
        sl_txn_put(call->txn, call->who.scope, SL_TABLE_UNIQUE, key, sl_slice_str(o->id));
        return true;
    }
    struct sl_source old;
    o->id = (const char *)sl_call_copy(call, value).data;
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_SOURCE,
                   sl_object_key(call, target->bucket, o->id), &value) == SL_OK &&
        sl_source_decode(value, &old) == SL_OK) {
        o->source.created_ms = old.created_ms;
        target->count_added--;
        target->bytes_added -= (int64_t)old.size_bytes;
    }
    return true;
}

bool
sl_object_place(struct sl_call *call, struct sl_object_target *target, struct sl_object *o)
{
    char *id = sl_call_alloc(call, SL_OBJECT_ID_SIZE);
    sl_object_id_next(&call->gateway->object_ids, call->who.scope, id);
    o->id = id;
    if (o->skips_duplicates && sl_object_is_duplicate(call, target->bucket, o)) {
        o->is_duplicate = true;
        return true;
    }
    if (o->source.unique.size > 0 && !place_unique(call, target, o))
        return false;
    put(call, target, o);
    target->count_added++;
    target->bytes_added += (int64_t)o->source.size_bytes;
    return true;
}

bool
sl_object_replace(struct sl_call *call, struct sl_object_target *target, struct sl_object *o,
                  const struct sl_source *old)
{
    if (!sl_slice_equal(o->source.unique, old->unique)) {
        struct sl_slice key = sl_object_unique_key(call, target->bucket, o->source.unique), value;
        if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_UNIQUE, key, &value) == SL_OK)
            return fault(o, SL_API_CONFLICT, NULL, "another object has this unique key already");
        sl_txn_put(call->txn, call->who.scope, SL_TABLE_UNIQUE, key, sl_slice_str(o->id));
        sl_txn_del(call->txn, call->who.scope, SL_TABLE_UNIQUE,
                   sl_object_unique_key(call, target->bucket, old->unique));
    }
    put(call, target, o);
    target->bytes_added += (int64_t)o->source.size_bytes - (int64_t)old->size_bytes;
    return true;
}

/* ---- showing ------------------------------------------------------------------------------- */

/* `presigned_url`: NULL: it was not asked for. */
static void
write_blob_out(struct sl_json blob, const char *presigned_url, struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    sl_jsonw_member_value(w, "blob_id", sl_json_member(blob, "blob_id"));
    sl_jsonw_member_value(w, "property", sl_json_member(blob, "property"));
    sl_jsonw_member_value(w, "key_prefix", sl_json_member(blob, "key_prefix"));
    sl_jsonw_member_value(w, "type", sl_json_member(blob, "type"));
    sl_jsonw_name(w, "properties");
    sl_jsonw_object(w);
    if (sl_json_kind(sl_json_member(blob, "data")) != SL_JSON_NONE)
        sl_jsonw_member_value(w, "data", sl_json_member(blob, "data"));
    if (sl_json_has(sl_json_member(blob, "url")))
        sl_jsonw_member_value(w, "url", sl_json_member(blob, "url"));
    if (sl_json_has(sl_json_member(blob, "metadata")))
        sl_jsonw_member_value(w, "metadata", sl_json_member(blob, "metadata"));
    if (presigned_url != NULL)
        sl_jsonw_member_str(w, "presigned_url", presigned_url);
    sl_jsonw_end(w);
    sl_jsonw_name(w, "details");
    sl_jsonw_object(w);
    sl_jsonw_member_value(w, "size_bytes", sl_json_member(blob, "size_bytes"));
    sl_jsonw_member_value(w, "mime_type", sl_json_member(blob, "mime_type"));
    sl_jsonw_member_value(w, "hash", sl_json_member(blob, "blob"));
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

void
sl_object_write(struct sl_call *call, const char *bucket, const struct sl_object *o,
                struct sl_jsonw *w)
{
    struct sl_json extra = sl_call_parse(call, o->source.extra);
    struct sl_json blobs = sl_call_parse(call, o->source.blobs);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "object_id", o->id);
    sl_jsonw_member_str(w, "bucket_id", bucket);
    sl_jsonw_member_value(w, "key_prefix", sl_json_member(extra, "key_prefix"));
    sl_jsonw_name(w, "blobs");
    sl_jsonw_array(w);
    bool is_signed = sl_call_query_bool(call, "return_presigned_urls", false);
    for (struct sl_json_iter i = sl_json_iter(blobs); sl_json_next(&i);)
        write_blob_out(i.value, is_signed ? sl_blob_presign(call, bucket, o->id, i.value) : NULL,
                       w);
    sl_jsonw_end(w);
    sl_jsonw_member_raw(w, "source_details", sl_slice_str("[]"));
    sl_jsonw_member_value(w, "status", sl_json_member(extra, "status"));
    sl_jsonw_member_null(w, "error");
    sl_jsonw_member_time(w, "created_at", o->source.created_ms);
    sl_jsonw_member_time(w, "updated_at", o->source.updated_ms);
    /* Our own text, of names that were checked: spliced, since parsing it again is what costs here.
     */
    if (o->source.fields.size > 2) {
        sl_buf_append_u8(w->out, ',');
        sl_buf_append(w->out, o->source.fields.data + 1, o->source.fields.size - 2);
    }
    sl_jsonw_end(w);
}

bool
sl_object_holds(struct sl_call *call, const char *bucket, const struct sl_object *o,
                const struct sl_filter *filter)
{
    static const char *const ours[] = {"object_id", "bucket_id",  "key_prefix",
                                       "blobs",     "status",     "source_details",
                                       "error",     "created_at", "updated_at"};
    struct sl_buf shown = {0};
    struct sl_json_doc *doc = NULL;
    struct sl_slice text = o->source.fields; /* Most filters read only these. */
    for (size_t i = 0; i < SL_COUNT_OF(ours) && shown.size == 0; i++) {
        if (!sl_filter_reads(filter, ours[i]))
            continue;
        struct sl_jsonw w;
        sl_jsonw_init(&w, &shown);
        sl_object_write(call, bucket, o, &w);
        sl_jsonw_done(&w);
        text = sl_buf_slice(&shown);
    }
    bool is_held =
        sl_json_parse(text, &doc, NULL) == SL_OK && sl_filter_matches(filter, sl_json_root(doc));
    sl_json_destroy(&doc);
    sl_buf_deinit(&shown);
    return is_held;
}
