/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PUT to a presigned address: the body into an incoming file as it comes, from its start or from
 * where Content-Range says. A client that hangs up leaves what it sent: it asks how much that is
 * (a Content-Range with an asterisk for the piece, and no body) and goes on from there.
 */
#include "gateway/content_range.h"
#include "gateway/front/state.h"
#include "gateway/presign.h"
#include "object-store/incoming.h"
#include "runtime/alloc.h"
#include "runtime/limits.h"

struct sl_put {
    struct sl_incoming *incoming;
    struct sl_presigned allowed;
    struct sl_content_range range;
    bool is_piece; /* There is a range. */
    struct sl_incoming_writer *writer;
    struct sl_blob blob; /* What settling found: the size, and the hash of a whole. */
    enum sl_err settle_err;
};

static void
fail_put(struct sl_call *call, const struct sl_put *put, enum sl_err err)
{
    switch (err) {
    case SL_ENOTFOUND:
        sl_call_not_found(call, "upload", call->params[1]);
        break;
    case SL_EBUSY:
        sl_call_fail(call, SL_API_CONFLICT, "another request writes this upload");
        break;
    case SL_EINVAL:
        sl_call_fail(call, SL_API_CONFLICT, "fewer bytes have come than where this piece begins");
        break;
    case SL_ETOOBIG:
        sl_call_fail(call, SL_API_TOO_LARGE, "the upload is larger than %llu bytes",
                     (unsigned long long)put->allowed.size_bytes_max);
        break;
    case SL_ENOSPC:
        sl_call_fail(call, SL_API_UNAVAILABLE, "the store is full");
        break;
    default:
        sl_call_fail(call, SL_API_UNAVAILABLE, "the upload could not be stored");
        break;
    }
}

static bool
read_range(struct sl_request *request, struct sl_put *put)
{
    struct sl_slice text = sl_request_header(request, SL_HEADER_content_range);
    put->is_piece = text.data != NULL;
    if (!put->is_piece)
        return true;
    if (sl_content_range_parse(text, &put->range) != SL_OK)
        sl_call_fail(request->call, SL_API_BAD_REQUEST,
                     "a Content-Range is \"bytes FIRST-LAST/TOTAL\"; '*' for what is not known");
    else if (put->range.has_total && put->range.total_bytes > put->allowed.size_bytes_max)
        fail_put(request->call, put, SL_ETOOBIG);
    else if (!request->is_chunked && request->content_length != put->range.size_bytes)
        sl_call_fail(request->call, SL_API_BAD_REQUEST,
                     "the Content-Length is not that of the Content-Range");
    return !sl_call_has_failed(request->call);
}

bool
sl_put_begin(struct sl_request *request)
{
    struct sl_call *call = request->call;
    struct sl_put *put = sl_zalloc(sizeof(*put));
    request->put = put;
    put->incoming = sl_request_plane(request)->incoming;
    call->idempotency_key = sl_slice(NULL, 0); /* A piece sent twice is the same piece. */
    if (put->incoming == NULL) {
        sl_call_fail(call, SL_API_UNAVAILABLE, "uploads are not available");
        return false;
    }
    if (!sl_presign_check(call, sl_incoming_secret(put->incoming), &put->allowed)) {
        sl_call_fail(call, SL_API_UNAUTHORIZED,
                     "the signature is not valid, or the address has expired");
        return false;
    }
    call->who.scope = (struct sl_scope){put->allowed.scope};
    if (!read_range(request, put))
        return false;
    if (put->range.is_query)
        return true;
    enum sl_err err = SL_OK;
    if (request->content_length > put->allowed.size_bytes_max)
        err = SL_ETOOBIG;
    else if (sl_incoming_room(put->incoming) < request->content_length)
        err = SL_ENOSPC;
    else
        err = sl_incoming_begin(put->incoming, put->allowed.upload, put->range.offset,
                                put->allowed.size_bytes_max, &put->writer);
    if (err != SL_OK)
        fail_put(call, put, err);
    return err == SL_OK;
}

void
sl_put_destroy(struct sl_put **put)
{
    if (*put == NULL)
        return;
    sl_incoming_drop(&(*put)->writer);
    sl_free(*put);
    *put = NULL;
}

void
sl_put_receive(struct sl_request *request, const char *data, size_t size)
{
    struct sl_put *put = request->put;
    if (put->range.is_query || (put->is_piece && request->body_size > put->range.size_bytes)) {
        sl_call_fail(request->call, SL_API_BAD_REQUEST,
                     "the body is longer than its Content-Range");
        return;
    }
    enum sl_err err = sl_incoming_append(put->writer, data, size);
    if (err != SL_OK)
        fail_put(request->call, put, err);
}

void
sl_put_end(struct sl_request *request)
{
    const struct sl_put *put = request->put;
    if (put->is_piece && request->body_size != put->range.size_bytes)
        sl_call_fail(request->call, SL_API_BAD_REQUEST,
                     "the body is shorter than its Content-Range");
}

void
sl_put_settle(struct sl_request *request)
{
    struct sl_put *put = request->put;
    bool is_whole =
        !put->is_piece || (put->range.has_total &&
                           put->range.offset + put->range.size_bytes == put->range.total_bytes);
    if (put->range.is_query)
        put->settle_err =
            sl_incoming_size(put->incoming, put->allowed.upload, &put->blob.size_bytes);
    else
        put->settle_err = sl_incoming_end(&put->writer, is_whole, &put->blob);
}

void
sl_put_publish(struct sl_request *request)
{
    const struct sl_put *put = request->put;
    struct sl_call *call = request->call;
    if (put->settle_err != SL_OK) {
        fail_put(call, put, put->settle_err);
        return;
    }
    memcpy(call->upload.blob, put->blob.id, sizeof(call->upload.blob));
    call->upload.size_bytes = put->blob.size_bytes;
    call->upload.is_query = put->range.is_query;
}
