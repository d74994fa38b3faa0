/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/hash.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#include "runtime/alloc.h"

struct sl_sha256_stream {
    gnutls_hash_hd_t handle;
};

void
sl_sha256(struct sl_slice data, uint8_t ret_digest[static SL_SHA256_SIZE])
{
    sl_assert(gnutls_hash_fast(GNUTLS_DIG_SHA256, data.data, data.size, ret_digest) == 0);
}

void
sl_hmac_sha256(struct sl_slice key, struct sl_slice data, uint8_t ret_digest[static SL_SHA256_SIZE])
{
    sl_assert(gnutls_hmac_fast(GNUTLS_MAC_SHA256, key.data, key.size, data.data, data.size,
                               ret_digest) == 0);
}

struct sl_sha256_stream *
sl_sha256_create(void)
{
    struct sl_sha256_stream *s = sl_alloc(sizeof(*s));
    sl_assert(gnutls_hash_init(&s->handle, GNUTLS_DIG_SHA256) == 0);
    return s;
}

void
sl_sha256_update(struct sl_sha256_stream *s, const void *data, size_t size)
{
    sl_assert(gnutls_hash(s->handle, data, size) == 0);
}

struct sl_sha256_stream *
sl_sha256_copy(const struct sl_sha256_stream *s)
{
    struct sl_sha256_stream *copy = sl_alloc(sizeof(*copy));
    copy->handle = gnutls_hash_copy(s->handle);
    sl_assert(copy->handle != NULL);
    return copy;
}

void
sl_sha256_finish(struct sl_sha256_stream **s, uint8_t ret_digest[static SL_SHA256_SIZE])
{
    gnutls_hash_deinit((*s)->handle, ret_digest);
    sl_free(*s);
    *s = NULL;
}

void
sl_hex(struct sl_slice data, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < data.size; i++) {
        *ret_text++ = digits[data.data[i] >> 4];
        *ret_text++ = digits[data.data[i] & 15];
    }
    *ret_text = '\0';
}

/* The reflected Castagnoli polynomial, a bit at a time: only for CPUs without the instruction. */
static uint32_t
crc32c_plain(uint32_t crc, const uint8_t *p, size_t size)
{
    for (; size > 0; size--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc32c_sse42(uint32_t crc, const uint8_t *p, size_t size)
{
    uint64_t wide = crc;
    for (; size >= 8; size -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof(word));
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    for (; size > 0; size--)
        crc = _mm_crc32_u8(crc, *p++);
    return crc;
}
#endif

uint32_t
sl_crc32c(uint32_t crc, const void *data, size_t size)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc32c_sse42(~crc, data, size);
#endif
    return ~crc32c_plain(~crc, data, size);
}

uint64_t
sl_hash64(struct sl_slice data)
{
    /* FNV-1a over 8-byte words with a final mix: plenty for tables that hold what we made. */
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ data.size;
    const uint8_t *p = data.data;
    size_t left = data.size;
    for (; left >= 8; left -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof(word));
        h = (h ^ word) * UINT64_C(0x100000001b3);
        h ^= h >> 29;
    }
    for (; left > 0; left--)
        h = (h ^ *p++) * UINT64_C(0x100000001b3);
    h ^= h >> 32;
    h *= UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}

bool
sl_secret_equal(const void *a, const void *b, size_t size)
{
    return gnutls_memcmp(a, b, size) == 0;
}
