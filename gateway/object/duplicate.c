/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/object/duplicate.h"

#include "gateway/resource.h"
#include "runtime/hash.h"

/* The SHA-256 of what blobs contain, in hex: property, type, and their bytes or these' hash. */
static const char *
content_hash(struct sl_call *call, struct sl_slice blobs)
{
    static const char *const names[] = {"property", "type", "data", "blob"};
    struct sl_buf text = {0};
    uint8_t digest[SL_SHA256_SIZE];
    char *hex = sl_call_alloc(call, 2 * sizeof(digest) + 1);
    for (struct sl_json_iter i = sl_json_iter(sl_call_parse(call, blobs)); sl_json_next(&i);) {
        for (size_t j = 0; j < SL_COUNT_OF(names); j++)
            sl_buf_append_block(&text, sl_json_raw(sl_json_member(i.value, names[j])));
    }
    sl_sha256(sl_buf_slice(&text), digest);
    sl_hex(sl_slice(digest, sizeof(digest)), hex);
    bool is_empty = text.size == 0;
    sl_buf_deinit(&text);
    return is_empty ? NULL : hex;
}

static bool
read_object(struct sl_call *call, const char *bucket, const char *id, struct sl_source *ret_source)
{
    struct sl_slice row;
    return sl_txn_get(call->txn, call->who.scope, SL_TABLE_SOURCE, sl_object_key(call, bucket, id),
                      &row) == SL_OK &&
           sl_source_decode(sl_call_copy(call, row), ret_source) == SL_OK;
}

bool
sl_object_is_duplicate(struct sl_call *call, const char *bucket, struct sl_object *o)
{
    const char *hash = content_hash(call, o->source.blobs);
    struct sl_buf buf = {0};
    struct sl_slice id;
    struct sl_source there;
    bool is_there = false;
    if (hash == NULL)
        return false;
    struct sl_slice key = sl_key(&buf, 2, bucket, hash);
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_CONTENT, key, &id) == SL_OK) {
        const char *text = (const char *)sl_call_copy(call, id).data;
        const char *other =
            read_object(call, bucket, text, &there) ? content_hash(call, there.blobs) : NULL;
        is_there = other != NULL && strcmp(other, hash) == 0;
        if (is_there) {
            o->id = text;
            o->source = there;
        }
    }
    if (!is_there)
        sl_txn_put(call->txn, call->who.scope, SL_TABLE_CONTENT, key, sl_slice_str(o->id));
    sl_buf_deinit(&buf);
    return is_there;
}
