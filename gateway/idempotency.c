/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/idempotency.h"

#include "actors/rows.h"
#include "gateway/route.h"
#include "runtime/hash.h"

#define REPLY_BYTES_MAX                                                                            \
    (4 * SL_MIB) /* A larger reply is not kept: it would crowd the log's record. */

#define STATUS_BEGUN 0 /* Of a row that is no reply, but how far its call has come. */

struct stored {
    uint64_t expires_ms;
    struct sl_slice digest;
    uint32_t status;
    struct sl_slice reply;
};

static bool
read_row(struct sl_slice row, struct stored *ret_stored)
{
    struct sl_reader r = sl_reader(row);
    ret_stored->expires_ms = sl_read_u64(&r);
    ret_stored->digest = sl_read_bytes(&r, SL_SHA256_SIZE);
    ret_stored->status = sl_read_u32(&r);
    ret_stored->reply = sl_read_block(&r);
    return sl_reader_is_done(&r);
}

/* What makes two requests the same: the namespace, the query, the body and the file. */
static void
digest_of(const struct sl_call *call, uint8_t ret_digest[static SL_SHA256_SIZE])
{
    struct sl_buf head = {0};
    sl_buf_append_block(&head, sl_slice_str(call->namespace_id));
    sl_buf_append_block(&head, sl_slice_str(call->upload.blob));
    for (uint32_t i = 0; i < call->query_count; i++) {
        sl_buf_append_block(&head, call->query[i].name);
        sl_buf_append_block(&head, call->query[i].value);
    }
    struct sl_sha256_stream *sha = sl_sha256_create();
    sl_sha256_update(sha, head.data, head.size);
    sl_sha256_update(sha, call->body_text.data, call->body_text.size);
    sl_sha256_finish(&sha, ret_digest);
    sl_buf_deinit(&head);
}

/* Paths have no bound that fits a key, so the key has their hash. "/x/" is "/x". */
static struct sl_slice
row_of(struct sl_call *call)
{
    uint8_t digest[SL_SHA256_SIZE];
    char hex[2 * SL_SHA256_SIZE + 1];
    struct sl_buf key = {0};
    struct sl_slice path = call->path;
    if (path.size > 1 && path.data[path.size - 1] == '/')
        path.size--;
    sl_sha256(path, digest);
    sl_hex(sl_slice(digest, sizeof(digest)), hex);
    struct sl_slice idempotency_key = sl_call_copy(call, call->idempotency_key);
    struct sl_slice row = sl_call_copy(call, sl_key(&key, 3, sl_method_name(call->route->method),
                                                    hex, (const char *)idempotency_key.data));
    sl_buf_deinit(&key);
    return row;
}

static bool
is_running(const struct sl_call *call, struct sl_slice row)
{
    for (const struct sl_call *c = call->gateway->running; c != NULL; c = c->next) {
        if (c->who.scope.id == call->who.scope.id && sl_slice_equal(c->idempotent_row, row))
            return true;
    }
    return false;
}

/* True: it is to go on from where it was cut off. */
static bool
replay(struct sl_call *call, const struct stored *stored)
{
    uint8_t digest[SL_SHA256_SIZE];
    digest_of(call, digest);
    if (!sl_slice_equal(stored->digest, sl_slice(digest, sizeof(digest)))) {
        sl_call_invalid(call, "header.Idempotency-Key", "value_error",
                        "this key was used for another request");
        return false;
    }
    if (stored->status == STATUS_BEGUN) {
        call->begun = sl_call_copy(call, stored->reply);
        return true;
    }
    call->status = (uint16_t)stored->status;
    sl_buf_append_slice(&call->reply, stored->reply);
    sl_call_header(call, "Idempotent-Replayed", "true");
    return false;
}

bool
sl_idempotency_begin(struct sl_call *call)
{
    if (call->idempotency_key.size == 0 || call->route->method != SL_POST)
        return true;
    struct stored stored;
    struct sl_slice row = row_of(call), value;
    if (is_running(call, row)) {
        sl_call_fail(call, SL_API_CONFLICT, "the first request with this key is still running");
        return false;
    }
    enum sl_err err = sl_txn_get(call->txn, call->who.scope, SL_TABLE_IDEMPOTENT, row, &value);
    if (err == SL_OK && !sl_idempotency_is_over(value, call->now_ms) && read_row(value, &stored)) {
        if (!replay(call, &stored))
            return false;
    }
    call->idempotent_row = row;
    return true;
}

static void
put_row(struct sl_call *call, uint32_t status, struct sl_slice bytes)
{
    uint8_t digest[SL_SHA256_SIZE];
    struct sl_buf row = {0};
    digest_of(call, digest);
    sl_buf_append_u64(&row, call->now_ms + SL_IDEMPOTENT_MS);
    sl_buf_append(&row, digest, sizeof(digest));
    sl_buf_append_u32(&row, status);
    sl_buf_append_block(&row, bytes);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_IDEMPOTENT, call->idempotent_row,
               sl_buf_slice(&row));
    sl_buf_deinit(&row);
}

void
sl_idempotency_note(struct sl_call *call, struct sl_slice so_far)
{
    if (call->idempotent_row.size > 0 && so_far.size <= REPLY_BYTES_MAX)
        put_row(call, STATUS_BEGUN, so_far);
}

void
sl_idempotency_store(struct sl_call *call)
{
    /* What may go another way next time is not kept: our own trouble, and limits that pass. */
    if (call->idempotent_row.size == 0 || call->status >= 500 || call->status == 429 ||
        call->reply.size > REPLY_BYTES_MAX)
        return;
    put_row(call, call->status, sl_buf_slice(&call->reply));
}

void
sl_idempotency_hold(struct sl_call *call)
{
    if (call->idempotent_row.size == 0)
        return;
    call->next = call->gateway->running;
    call->gateway->running = call;
}

void
sl_idempotency_release(struct sl_call *call)
{
    struct sl_call **at = &call->gateway->running;
    while (*at != NULL && *at != call)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    *at = call->next;
    call->next = NULL;
}

bool
sl_idempotency_is_over(struct sl_slice row, uint64_t now_ms)
{
    struct stored stored;
    return !read_row(row, &stored) || stored.expires_ms <= now_ms;
}
