/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunks.h - the digest of a file that can be checked piece by piece: SHA-256 of each chunk of
 * 1 MiB, and of the list of these. Whoever knows a file's digest can check a list that a stranger
 * sent, and then each chunk by itself, so that chunks may come from several holders in any order,
 * and the one who sent a bad one is known.
 *
 *   digest = SHA-256(size in bytes, u64 LE | SHA-256 of chunk 0 | SHA-256 of chunk 1 | ...)
 *
 * Threading: plain state, one owner.
 */
#ifndef SL_OBJECT_STORE_CHUNKS_H
#define SL_OBJECT_STORE_CHUNKS_H

#include "runtime/base.h"
#include "runtime/hash.h"

#define SL_CHUNK_BYTES      (1 * SL_MIB)
#define SL_CHUNKS_COUNT_MAX (UINT32_C(64) * 1024) /* Files of 64 GiB. */

struct sl_chunks {
    uint64_t size_bytes;
    uint32_t count;
    uint8_t (*digests)[SL_SHA256_SIZE]; /* Owned. */
};

struct sl_chunks_stream;

/* A place in a stream to go back to: what came after it is taken back. */
struct sl_chunks_mark {
    uint32_t count;
    uint64_t size_bytes, filled;
    struct sl_sha256_stream *hash; /* Of the chunk that was begun; NULL: none. */
};

/* The bytes of a file, from its first to its last, in pieces of any size. */
struct sl_chunks_stream *sl_chunks_create(void);
/* SL_ETOOBIG: more than the limit; then only destroy makes sense. */
SL_MUST_CHECK enum sl_err sl_chunks_update(struct sl_chunks_stream *s, const void *data,
                                           size_t size);
/* Each mark is given to rewind or drop, once, while its stream lives and has not gone back beyond.
 */
void sl_chunks_mark(const struct sl_chunks_stream *s, struct sl_chunks_mark *ret_mark);
void sl_chunks_rewind(struct sl_chunks_stream *s, struct sl_chunks_mark *mark);
void sl_chunks_mark_drop(struct sl_chunks_mark *mark); /* Zeroed is fine. */
/* Destroys the stream. */
void sl_chunks_finish(struct sl_chunks_stream **s, struct sl_chunks *ret_chunks);
void sl_chunks_destroy(struct sl_chunks_stream **s); /* NULL inside is fine. */
void sl_chunks_deinit(struct sl_chunks *chunks);     /* Zeroed is fine. */

/* The digest that names the file. */
void sl_chunks_digest(const struct sl_chunks *chunks, uint8_t ret_digest[static SL_SHA256_SIZE]);
/* Bytes of chunk `index` < count: 1 MiB, the last one perhaps less. */
uint64_t sl_chunk_size(const struct sl_chunks *chunks, uint32_t index);
/* Whether `data` is chunk `index`: its size and its digest. */
bool sl_chunk_is(const struct sl_chunks *chunks, uint32_t index, struct sl_slice data);

#endif
