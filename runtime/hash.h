/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash.h - SHA-256 (GnuTLS, which uses the CPU's instructions), CRC32C and a fast keyless mix.
 */
#ifndef SL_RUNTIME_HASH_H
#define SL_RUNTIME_HASH_H

#include "runtime/base.h"

#define SL_SHA256_SIZE 32

void sl_sha256(struct sl_slice data, uint8_t ret_digest[static SL_SHA256_SIZE]);
void sl_hmac_sha256(struct sl_slice key, struct sl_slice data,
                    uint8_t ret_digest[static SL_SHA256_SIZE]);
void sl_hex(struct sl_slice data, char *ret_text); /* 2 * size characters and a NUL. */

/* Streamed. Create, update..., finish (which also destroys and nulls). */
struct sl_sha256_stream;
struct sl_sha256_stream *sl_sha256_create(void);
void sl_sha256_update(struct sl_sha256_stream *s, const void *data, size_t size);
/* Another stream that has seen the same bytes. */
struct sl_sha256_stream *sl_sha256_copy(const struct sl_sha256_stream *s);
void sl_sha256_finish(struct sl_sha256_stream **s, uint8_t ret_digest[static SL_SHA256_SIZE]);

/* CRC-32C (Castagnoli), continuing from `crc` (0 at first). SSE4.2 where the CPU has it. */
uint32_t sl_crc32c(uint32_t crc, const void *data, size_t size);

uint64_t sl_hash64(struct sl_slice data); /* For tables in memory; never stored. */

/* Compare in time that does not depend on the contents. */
bool sl_secret_equal(const void *a, const void *b, size_t size);

#endif
