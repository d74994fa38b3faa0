/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/upload.h"

#include <inttypes.h>

#include "gateway/gateway.h"
#include "gateway/presign.h"
#include "gateway/resource.h"
#include "object-store/blob.h"
#include "object-store/incoming.h"

#define EXPIRATION_S  3600
#define OVER_ROWS_MAX 64 /* Looked at, and removed, with each new upload. */

/* ---- rows ---------------------------------------------------------------------------------- */

struct sl_slice
sl_upload_key(struct sl_call *call, const char *bucket, const char *id)
{
    struct sl_buf buf = {0};
    struct sl_slice key = sl_call_copy(call, sl_key(&buf, 2, bucket, id));
    sl_buf_deinit(&buf);
    return key;
}

bool
sl_upload_lookup(struct sl_call *call, const char *bucket, struct sl_slice id,
                 struct sl_json *ret_row)
{
    const char *text = sl_call_identifier(call, id);
    struct sl_slice value;
    if (text == NULL || sl_txn_get(call->txn, call->who.scope, SL_TABLE_UPLOAD,
                                   sl_upload_key(call, bucket, text), &value) != SL_OK)
        return false;
    *ret_row = sl_call_parse(call, value);
    return sl_json_has(*ret_row);
}

static uint64_t
number_of(struct sl_json object, const char *name, uint64_t fallback)
{
    uint64_t number;
    return sl_json_u64(sl_json_member(object, name), &number) == SL_OK ? number : fallback;
}

uint64_t
sl_upload_size(struct sl_json row)
{
    return number_of(row, "file_size_bytes", 0);
}

bool
sl_upload_is_complete(struct sl_json row)
{
    return sl_json_is(sl_json_member(row, "status"), "COMPLETED");
}

bool
sl_upload_is_over(struct sl_json row, uint64_t now_ms)
{
    return !sl_upload_is_complete(row) && number_of(row, "expires_ms", 0) <= now_ms;
}

void
sl_upload_write(struct sl_json row, struct sl_jsonw *w)
{
    static const char *const internal[] = {"expires_ms", "refused", NULL};
    sl_jsonw_object(w);
    sl_write_except(w, row, internal);
    sl_jsonw_end(w);
}

/* ---- making one ---------------------------------------------------------------------------- */

struct making {
    const char *id;
    const char *over[OVER_ROWS_MAX]; /* Files to remove. */
    uint32_t over_count;
    enum sl_err err;
};

static void
make_file(struct sl_call *call)
{
    struct making *m = call->state;
    for (uint32_t i = 0; i < m->over_count; i++)
        sl_incoming_remove(call->gateway->incoming, m->over[i]);
    m->err = sl_incoming_make(call->gateway->incoming, m->id);
}

static void
forget_over(struct sl_call *call, const char *bucket, struct making *m)
{
    struct sl_scan scan = {0};
    struct sl_buf prefix = {0};
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_UPLOAD, sl_key_prefix(&prefix, 1, bucket),
                (struct sl_slice){0}, false, &scan);
    for (uint32_t i = 0; i < 4 * OVER_ROWS_MAX && m->over_count < OVER_ROWS_MAX; i++) {
        if (!sl_scan_next(&scan))
            break;
        if (!sl_upload_is_over(sl_call_parse(call, scan.value), call->now_ms))
            continue;
        m->over[m->over_count++] = (const char *)sl_call_copy(call, sl_key_part(scan.key, 1)).data;
    }
    sl_scan_end(&scan);
    for (uint32_t i = 0; i < m->over_count; i++)
        sl_txn_del(call->txn, call->who.scope, SL_TABLE_UPLOAD,
                   sl_upload_key(call, bucket, m->over[i]));
    sl_buf_deinit(&prefix);
}

void
sl_upload_begin(struct sl_call *call, const char *bucket, sl_handler_fn *then)
{
    if (call->gateway->incoming == NULL || sl_incoming_room(call->gateway->incoming) == 0) {
        sl_call_fail(call, SL_API_UNAVAILABLE, "the store is full");
        return;
    }
    struct making *m = sl_call_alloc(call, sizeof(*m));
    m->id = sl_call_id(call, "upl_", 16);
    forget_over(call, bucket, m);
    call->state = m;
    sl_call_work(call, make_file, then);
}

const char *
sl_upload_begun(struct sl_call *call)
{
    const struct making *m = call->state;
    if (m->err == SL_OK)
        return m->id;
    sl_call_fail(call, SL_API_UNAVAILABLE, "the upload cannot be stored: %s", sl_err_text(m->err));
    return NULL;
}

uint64_t
sl_upload_expires_s(const struct sl_call *call)
{
    return call->now_ms / 1000 + number_of(call->body, "presigned_url_expiration", EXPIRATION_S);
}

const char *
sl_upload_address(struct sl_call *call, const char *bucket, const char *id, uint64_t size_bytes_max)
{
    uint64_t size = number_of(call->body, "file_size_bytes", 0);
    struct sl_slice site = call->site.size == 0 ? sl_slice_str("http://localhost") : call->site;
    struct sl_presigned p = {.bucket = bucket,
                             .upload = id,
                             .scope = call->who.scope.id,
                             .expires_s = sl_upload_expires_s(call),
                             .size_bytes_max = size == 0 ? size_bytes_max : size};
    return sl_call_format(call, "%.*s%s", SL_SLICE_FMT(site),
                          sl_presign(call, sl_incoming_secret(call->gateway->incoming), &p));
}

/* ---- confirming ---------------------------------------------------------------------------- */

/* An entity tag without its quotes. */
static struct sl_slice
bare(struct sl_slice tag)
{
    if (tag.size >= 2 && tag.data[0] == '"' && tag.data[tag.size - 1] == '"')
        return sl_slice(tag.data + 1, tag.size - 2);
    return tag;
}

static bool
is_size(struct sl_json wanted, uint64_t size)
{
    uint64_t number = 0;
    return !sl_json_has(wanted) || (sl_json_u64(wanted, &number) == SL_OK && number == size);
}

bool
sl_upload_check(struct sl_call *call, struct sl_json row, struct sl_slice *ret_etag)
{
    struct sl_slice etag = bare(sl_member_text(call, row, "etag"));
    struct sl_slice sent = bare(sl_call_text(call, sl_json_member(call->body, "etag")));
    uint64_t size = number_of(row, "received_bytes", 0);
    if (sl_upload_is_over(row, call->now_ms))
        sl_call_fail(call, SL_API_BAD_REQUEST, "the upload has expired");
    else if (etag.size != SL_BLOB_ID_SIZE - 1)
        sl_call_fail(call, SL_API_BAD_REQUEST, "the upload is not complete: %" PRIu64 " bytes came",
                     size);
    else if (sent.size > 0 && !sl_slice_equal(sent, etag))
        sl_call_fail(call, SL_API_BAD_REQUEST, "the etag is not that of what came");
    else if (!is_size(sl_json_member(call->body, "file_size_bytes"), size) ||
             !is_size(sl_json_member(row, "file_size_bytes"), size))
        sl_call_fail(call, SL_API_BAD_REQUEST, "the size differs: %" PRIu64 " bytes came", size);
    if (sl_call_has_failed(call))
        return false;
    *ret_etag = etag;
    return true;
}
