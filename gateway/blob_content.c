/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/blob_content.h"

#include <inttypes.h>

#include "gateway/gateway.h"
#include "gateway/object.h"
#include "gateway/presign.h"
#include "gateway/resource.h"
#include "object-store/incoming.h"

#define EXPIRATION_S 3600

const char *
sl_blob_presign(struct sl_call *call, const char *bucket, const char *object, struct sl_json blob)
{
    const char *id = sl_member_str(call, blob, "blob_id");
    struct sl_slice site = call->site.size == 0 ? sl_slice_str("http://localhost") : call->site;
    if (id[0] == '\0' || call->gateway->incoming == NULL)
        return NULL;
    struct sl_presigned_read p = {.bucket = bucket,
                                  .object = object,
                                  .blob = id,
                                  .scope = call->who.scope.id,
                                  .expires_s = call->now_ms / 1000 + EXPIRATION_S};
    return sl_call_format(call, "%.*s%s", SL_SLICE_FMT(site),
                          sl_presign_read(call, sl_incoming_secret(call->gateway->incoming), &p));
}

static struct sl_json
find_blob(struct sl_call *call, const struct sl_presigned_read *p)
{
    struct sl_slice row;
    struct sl_source source;
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_SOURCE,
                   sl_object_key(call, p->bucket, p->object), &row) != SL_OK ||
        SL_BUG(sl_source_decode(row, &source) != SL_OK))
        return (struct sl_json){0};
    for (struct sl_json_iter i = sl_json_iter(sl_call_parse(call, source.blobs));
         sl_json_next(&i);) {
        if (sl_json_is(sl_json_member(i.value, "blob_id"), p->blob))
            return i.value;
    }
    return (struct sl_json){0};
}

/* A text as it is; any other value as its JSON. */
static void
answer_inline(struct sl_call *call, struct sl_json data)
{
    struct sl_slice text = sl_call_text(call, data);
    sl_buf_append_slice(&call->reply,
                        sl_json_kind(data) == SL_JSON_STRING ? text : sl_json_raw(data));
}

static void
answer(struct sl_call *call, struct sl_json blob)
{
    struct sl_slice type = sl_member_text(call, blob, "mime_type");
    struct sl_slice stored = sl_member_text(call, blob, "blob");
    const char *id = (const char *)sl_call_copy(call, stored).data;
    enum sl_err err = SL_OK;
    if (stored.size == 0)
        answer_inline(call, sl_json_member(blob, "data"));
    else if (call->gateway->blobs == NULL)
        err = SL_EIO;
    else
        err = sl_blob_open(call->gateway->blobs, id, &call->reply_fd, &call->reply_file_size);
    if (call->reply_fd >= 0)
        memcpy(call->reply_blob, id, sizeof(call->reply_blob));
    if (err != SL_OK) {
        sl_call_fail(call, SL_API_UNAVAILABLE, "the content cannot be read: %s", sl_err_text(err));
        return;
    }
    call->reply_type =
        type.size > 0 ? (const char *)sl_call_copy(call, type).data : "application/octet-stream";
    /* What a client uploaded is never to be taken for a page of ours. */
    sl_call_header(call, "X-Content-Type-Options", "nosniff");
    sl_call_header(call, "Content-Security-Policy", "sandbox");
}

void
sl_api_get_blob_content(struct sl_call *call)
{
    struct sl_presigned_read p;
    if (call->gateway->incoming == NULL ||
        !sl_presign_read_check(call, sl_incoming_secret(call->gateway->incoming), &p)) {
        sl_call_fail(call, SL_API_UNAUTHORIZED,
                     "the signature is not valid, or the address has expired");
        return;
    }
    call->who.scope = (struct sl_scope){p.scope};
    struct sl_json blob = find_blob(call, &p);
    if (sl_json_has(blob))
        answer(call, blob);
    else
        sl_call_not_found(call, "blob", call->params[2]);
}
