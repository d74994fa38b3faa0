/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/chunks.h"

#include <criterion/criterion.h>

#include "runtime/alloc.h"

static uint8_t *
bytes(size_t size)
{
    uint8_t *data = sl_alloc(SL_MAX(size, 1u));
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 131 + i / 4099);
    return data;
}

static void
digest_in_pieces(const uint8_t *data, size_t size, size_t piece, struct sl_chunks *ret)
{
    struct sl_chunks_stream *s = sl_chunks_create();
    for (size_t at = 0; at < size; at += piece)
        cr_assert_eq(sl_chunks_update(s, data + at, SL_MIN(piece, size - at)), SL_OK);
    sl_chunks_finish(&s, ret);
    cr_assert_null(s);
}

Test(chunks, do_not_depend_on_the_pieces_that_came)
{
    size_t size = 2 * SL_CHUNK_BYTES + 12345;
    uint8_t *data = bytes(size);
    struct sl_chunks a, b;
    uint8_t x[SL_SHA256_SIZE], y[SL_SHA256_SIZE];
    digest_in_pieces(data, size, size, &a);
    digest_in_pieces(data, size, 70001, &b);
    cr_assert_eq(a.count, 3);
    cr_assert_eq(a.size_bytes, size);
    sl_chunks_digest(&a, x);
    sl_chunks_digest(&b, y);
    cr_assert_eq(memcmp(x, y, sizeof(x)), 0);
    sl_chunks_deinit(&a);
    sl_chunks_deinit(&b);
    sl_free(data);
}

Test(chunks, each_is_checked_by_itself)
{
    size_t size = SL_CHUNK_BYTES + 5;
    uint8_t *data = bytes(size);
    struct sl_chunks c;
    digest_in_pieces(data, size, 1 << 16, &c);
    cr_assert(sl_chunk_is(&c, 0, sl_slice(data, SL_CHUNK_BYTES)));
    cr_assert(sl_chunk_is(&c, 1, sl_slice(data + SL_CHUNK_BYTES, 5)));
    cr_assert_not(sl_chunk_is(&c, 1, sl_slice(data + SL_CHUNK_BYTES, 4)));
    cr_assert_not(sl_chunk_is(&c, 1, sl_slice(data, 5)));
    cr_assert_not(sl_chunk_is(&c, 2, sl_slice(data, 0)));
    data[77] ^= 1;
    cr_assert_not(sl_chunk_is(&c, 0, sl_slice(data, SL_CHUNK_BYTES)));
    sl_chunks_deinit(&c);
    sl_free(data);
}

Test(chunks, size_is_part_of_the_digest)
{
    struct sl_chunks none = {0}, other = {.size_bytes = 1};
    uint8_t x[SL_SHA256_SIZE], y[SL_SHA256_SIZE];
    sl_chunks_digest(&none, x);
    sl_chunks_digest(&other, y);
    cr_assert_neq(memcmp(x, y, sizeof(x)), 0);
}

Test(chunks, an_empty_file_has_none)
{
    struct sl_chunks_stream *s = sl_chunks_create();
    struct sl_chunks c;
    sl_chunks_finish(&s, &c);
    cr_assert_eq(c.count, 0);
    sl_chunks_deinit(&c);
    s = sl_chunks_create();
    cr_assert_eq(sl_chunks_update(s, "abc", 3), SL_OK);
    sl_chunks_destroy(&s);
    cr_assert_null(s);
}

Test(chunks, go_back_to_a_mark_as_if_nothing_had_come)
{
    size_t size = 3 * SL_CHUNK_BYTES + 77;
    uint8_t *data = bytes(size);
    const size_t marks[] = {0, 5, SL_CHUNK_BYTES, SL_CHUNK_BYTES + 1};
    struct sl_chunks straight, back;
    digest_in_pieces(data, size, size, &straight);
    for (size_t i = 0; i < SL_COUNT_OF(marks); i++) {
        struct sl_chunks_stream *s = sl_chunks_create();
        struct sl_chunks_mark mark;
        cr_assert_eq(sl_chunks_update(s, data, marks[i]), SL_OK);
        sl_chunks_mark(s, &mark);
        cr_assert_eq(sl_chunks_update(s, data, 2 * SL_CHUNK_BYTES + 9), SL_OK);
        sl_chunks_rewind(s, &mark);
        cr_assert_eq(sl_chunks_update(s, data + marks[i], size - marks[i]), SL_OK);
        sl_chunks_finish(&s, &back);
        cr_expect_eq(back.count, straight.count);
        cr_expect_eq(memcmp(back.digests, straight.digests, straight.count * SL_SHA256_SIZE), 0);
        sl_chunks_deinit(&back);
    }
    sl_chunks_deinit(&straight);
    sl_free(data);
}
