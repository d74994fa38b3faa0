/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "runtime/alloc.h"
#include "runtime/buf.h"
#include "runtime/random.h"
#include "runtime/stream.h"

#define FRAME_MAX (1024 * 1024)

static void
pour(struct sl_stream *s, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        size_t room;
        uint8_t *at = sl_stream_room(s, &room);
        size_t some = SL_MIN(room, size);
        memcpy(at, bytes, some);
        sl_stream_filled(s, some);
        bytes += some;
        size -= some;
    }
}

Test(stream, frames_come_out_as_they_went_in_however_they_are_cut)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct sl_random random;
        struct sl_stream s = {0};
        struct sl_buf bytes = {0};
        sl_random_seed(&random, seed);
        size_t sizes[100], count = 0, at = 0, taken = 0;
        for (; count < SL_COUNT_OF(sizes); count++) {
            uint64_t bound = sl_random_below(&random, 8) == 0 ? 100000 : 300;
            sizes[count] = sl_random_below(&random, bound);
            sl_buf_append_u32(&bytes, (uint32_t)sizes[count]);
            for (size_t i = 0; i < sizes[count]; i++)
                sl_buf_append_u8(&bytes, (uint8_t)(count + i));
        }
        while (taken < count) {
            struct sl_slice frame;
            if (sl_stream_next(&s, FRAME_MAX, &frame) == SL_OK) {
                cr_assert_eq(frame.size, sizes[taken]);
                for (size_t i = 0; i < frame.size; i++)
                    cr_assert_eq(frame.data[i], (uint8_t)(taken + i));
                taken++;
                continue;
            }
            cr_assert_lt(at, bytes.size);
            size_t room;
            uint8_t *to = sl_stream_room(&s, &room);
            size_t piece = 1 + sl_random_below(&random, 20000);
            size_t some = SL_MIN(SL_MIN(room, piece), bytes.size - at);
            memcpy(to, bytes.data + at, some);
            sl_stream_filled(&s, some);
            at += some;
        }
        cr_assert_eq(at, bytes.size);
        sl_stream_deinit(&s);
        sl_buf_deinit(&bytes);
    }
}

Test(stream, a_size_beyond_the_limit_is_refused_and_takes_no_memory)
{
    struct sl_stream s = {0};
    struct sl_slice frame;
    pour(&s, (const uint8_t *)"\1\0\20\0", 4); /* 1 MiB and a byte. */
    cr_assert_eq(sl_stream_next(&s, FRAME_MAX, &frame), SL_ETOOBIG);
    cr_assert_leq(s.capacity, 16384);
    sl_stream_deinit(&s);
}

Test(stream, the_memory_of_a_large_frame_goes_with_it)
{
    struct sl_stream s = {0};
    struct sl_slice frame;
    uint8_t *bytes = sl_zalloc(4 + FRAME_MAX);
    size_t room;
    memcpy(bytes, "\0\0\20\0", 4);
    pour(&s, bytes, 4 + FRAME_MAX);
    cr_assert_eq(sl_stream_next(&s, FRAME_MAX, &frame), SL_OK);
    cr_assert_eq(frame.size, FRAME_MAX);
    (void)sl_stream_room(&s, &room);
    cr_assert_leq(s.capacity, 16384);
    sl_free(bytes);
    sl_stream_deinit(&s);
}
