/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/presign.h"

#include <inttypes.h>

#include "object-store/incoming.h"
#include "runtime/hash.h"

#define BLOCK_BYTES 64 /* Of SHA-256. */
#define HEX_SIZE    (2 * SL_SHA256_SIZE + 1)

static void
hmac(const uint8_t *secret, struct sl_slice text, uint8_t ret_digest[static SL_SHA256_SIZE])
{
    uint8_t inner[BLOCK_BYTES], outer[BLOCK_BYTES];
    for (size_t i = 0; i < BLOCK_BYTES; i++) {
        uint8_t key = i < SL_INCOMING_SECRET_SIZE ? secret[i] : 0;
        inner[i] = key ^ 0x36;
        outer[i] = key ^ 0x5c;
    }
    struct sl_sha256_stream *hash = sl_sha256_create();
    sl_sha256_update(hash, inner, sizeof(inner));
    sl_sha256_update(hash, text.data, text.size);
    sl_sha256_finish(&hash, ret_digest);
    hash = sl_sha256_create();
    sl_sha256_update(hash, outer, sizeof(outer));
    sl_sha256_update(hash, ret_digest, SL_SHA256_SIZE);
    sl_sha256_finish(&hash, ret_digest);
}

static void
sign(struct sl_call *call, const uint8_t *secret, const struct sl_presigned *p,
     char ret_hex[static HEX_SIZE])
{
    uint8_t digest[SL_SHA256_SIZE];
    const char *text =
        sl_call_format(call, "PUT\n%s\n%s\n%" PRIu64 "\n%" PRIu64 "\n%" PRIu64, p->bucket,
                       p->upload, p->scope, p->expires_s, p->size_bytes_max);
    hmac(secret, sl_slice_str(text), digest);
    sl_hex(sl_slice(digest, sizeof(digest)), ret_hex);
}

const char *
sl_presign(struct sl_call *call, const uint8_t *secret, const struct sl_presigned *p)
{
    char hex[HEX_SIZE];
    sign(call, secret, p, hex);
    return sl_call_format(call,
                          "/v1/buckets/%s/uploads/%s/content?scope=%" PRIu64 "&expires=%" PRIu64
                          "&size=%" PRIu64 "&signature=%s",
                          p->bucket, p->upload, p->scope, p->expires_s, p->size_bytes_max, hex);
}

static bool
read_number(const struct sl_call *call, const char *name, uint64_t *ret_number)
{
    struct sl_slice text = sl_call_query(call, name);
    uint64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    *ret_number = number;
    return text.size > 0 && text.size < 19;
}

bool
sl_presign_check(struct sl_call *call, const uint8_t *secret, struct sl_presigned *ret_presigned)
{
    char hex[HEX_SIZE];
    struct sl_slice sent = sl_call_query(call, "signature");
    struct sl_presigned p = {
        .bucket = (const char *)sl_call_copy(call, call->params[0]).data,
        .upload = (const char *)sl_call_copy(call, call->params[1]).data,
    };
    if (!read_number(call, "scope", &p.scope) || !read_number(call, "expires", &p.expires_s) ||
        !read_number(call, "size", &p.size_bytes_max) || sent.size != HEX_SIZE - 1)
        return false;
    sign(call, secret, &p, hex);
    if (!sl_secret_equal(sent.data, hex, sent.size) || call->now_ms / 1000 >= p.expires_s)
        return false;
    *ret_presigned = p;
    return true;
}

/* ---- reading ------------------------------------------------------------------------------- */

static void
sign_read(struct sl_call *call, const uint8_t *secret, const struct sl_presigned_read *p,
          char ret_hex[static HEX_SIZE])
{
    uint8_t digest[SL_SHA256_SIZE];
    const char *text = sl_call_format(call, "GET\n%s\n%s\n%s\n%" PRIu64 "\n%" PRIu64, p->bucket,
                                      p->object, p->blob, p->scope, p->expires_s);
    hmac(secret, sl_slice_str(text), digest);
    sl_hex(sl_slice(digest, sizeof(digest)), ret_hex);
}

const char *
sl_presign_read(struct sl_call *call, const uint8_t *secret, const struct sl_presigned_read *p)
{
    char hex[HEX_SIZE];
    sign_read(call, secret, p, hex);
    return sl_call_format(call,
                          "/v1/buckets/%s/objects/%s/blobs/%s/content?scope=%" PRIu64
                          "&expires=%" PRIu64 "&signature=%s",
                          p->bucket, p->object, p->blob, p->scope, p->expires_s, hex);
}

bool
sl_presign_read_check(struct sl_call *call, const uint8_t *secret,
                      struct sl_presigned_read *ret_presigned)
{
    char hex[HEX_SIZE];
    struct sl_slice sent = sl_call_query(call, "signature");
    struct sl_presigned_read p = {
        .bucket = (const char *)sl_call_copy(call, call->params[0]).data,
        .object = (const char *)sl_call_copy(call, call->params[1]).data,
        .blob = (const char *)sl_call_copy(call, call->params[2]).data,
    };
    if (!read_number(call, "scope", &p.scope) || !read_number(call, "expires", &p.expires_s) ||
        sent.size != HEX_SIZE - 1)
        return false;
    sign_read(call, secret, &p, hex);
    if (!sl_secret_equal(sent.data, hex, sent.size) || call->now_ms / 1000 >= p.expires_s)
        return false;
    *ret_presigned = p;
    return true;
}
