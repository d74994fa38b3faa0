/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/chunks.h"

#include "runtime/alloc.h"

struct sl_chunks_stream {
    struct sl_chunks chunks;
    uint32_t capacity;
    uint64_t filled; /* Bytes of the chunk that is being hashed. */
    struct sl_sha256_stream *hash;
};

struct sl_chunks_stream *
sl_chunks_create(void)
{
    struct sl_chunks_stream *s = sl_zalloc(sizeof(*s));
    return s;
}

static void
end_chunk(struct sl_chunks_stream *s)
{
    if (s->chunks.count == s->capacity) {
        s->capacity = s->capacity == 0 ? 64 : s->capacity * 2;
        s->chunks.digests = sl_realloc(s->chunks.digests, (size_t)s->capacity * SL_SHA256_SIZE);
    }
    sl_sha256_finish(&s->hash, s->chunks.digests[s->chunks.count++]);
    s->filled = 0;
}

enum sl_err
sl_chunks_update(struct sl_chunks_stream *s, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size > 0) {
        if (s->hash == NULL && s->chunks.count == SL_CHUNKS_COUNT_MAX)
            return SL_ETOOBIG;
        if (s->hash == NULL)
            s->hash = sl_sha256_create();
        size_t n = SL_MIN(size, SL_CHUNK_BYTES - s->filled);
        sl_sha256_update(s->hash, at, n);
        s->filled += n;
        s->chunks.size_bytes += n;
        at += n;
        size -= n;
        if (s->filled == SL_CHUNK_BYTES)
            end_chunk(s);
    }
    return SL_OK;
}

void
sl_chunks_mark(const struct sl_chunks_stream *s, struct sl_chunks_mark *ret_mark)
{
    *ret_mark = (struct sl_chunks_mark){.count = s->chunks.count,
                                        .size_bytes = s->chunks.size_bytes,
                                        .filled = s->filled,
                                        .hash = s->hash == NULL ? NULL : sl_sha256_copy(s->hash)};
}

static void
drop_hash(struct sl_sha256_stream **hash)
{
    uint8_t unused[SL_SHA256_SIZE];
    if (*hash != NULL)
        sl_sha256_finish(hash, unused);
}

void
sl_chunks_mark_drop(struct sl_chunks_mark *mark)
{
    drop_hash(&mark->hash);
    *mark = (struct sl_chunks_mark){0};
}

void
sl_chunks_rewind(struct sl_chunks_stream *s, struct sl_chunks_mark *mark)
{
    sl_assert(mark->count <= s->chunks.count && mark->size_bytes <= s->chunks.size_bytes);
    drop_hash(&s->hash);
    s->hash = mark->hash;
    s->filled = mark->filled;
    s->chunks.count = mark->count;
    s->chunks.size_bytes = mark->size_bytes;
    *mark = (struct sl_chunks_mark){0};
}

void
sl_chunks_finish(struct sl_chunks_stream **s, struct sl_chunks *ret_chunks)
{
    sl_assert(s != NULL && *s != NULL);
    if ((*s)->hash != NULL)
        end_chunk(*s);
    *ret_chunks = (*s)->chunks;
    sl_free(*s);
    *s = NULL;
}

void
sl_chunks_destroy(struct sl_chunks_stream **s)
{
    sl_assert(s != NULL);
    if (*s == NULL)
        return;
    struct sl_chunks chunks;
    sl_chunks_finish(s, &chunks);
    sl_chunks_deinit(&chunks);
}

void
sl_chunks_deinit(struct sl_chunks *chunks)
{
    sl_free(chunks->digests);
    *chunks = (struct sl_chunks){0};
}

void
sl_chunks_digest(const struct sl_chunks *chunks, uint8_t ret_digest[static SL_SHA256_SIZE])
{
    uint8_t size[8];
    for (int i = 0; i < 8; i++)
        size[i] = (uint8_t)(chunks->size_bytes >> (8 * i));
    struct sl_sha256_stream *hash = sl_sha256_create();
    sl_sha256_update(hash, size, sizeof(size));
    if (chunks->count > 0)
        sl_sha256_update(hash, chunks->digests, (size_t)chunks->count * SL_SHA256_SIZE);
    sl_sha256_finish(&hash, ret_digest);
}

uint64_t
sl_chunk_size(const struct sl_chunks *chunks, uint32_t index)
{
    sl_assert(index < chunks->count);
    return SL_MIN(SL_CHUNK_BYTES, chunks->size_bytes - (uint64_t)index * SL_CHUNK_BYTES);
}

bool
sl_chunk_is(const struct sl_chunks *chunks, uint32_t index, struct sl_slice data)
{
    uint8_t digest[SL_SHA256_SIZE];
    if (index >= chunks->count || data.size != sl_chunk_size(chunks, index))
        return false;
    sl_sha256(data, digest);
    return memcmp(digest, chunks->digests[index], sizeof(digest)) == 0;
}
