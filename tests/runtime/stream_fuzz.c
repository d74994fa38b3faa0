/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes, in pieces that they say themselves: frames lie within what came, and take their turn.
 */
#include "runtime/stream.h"

#define FRAME_MAX 5000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_stream s = {0};
    struct sl_slice frame;
    size_t at = 0, taken = 0;
    enum sl_err err = SL_ENOTFOUND;
    while (at < size && err == SL_ENOTFOUND) {
        size_t room, piece = SL_MIN((size_t)1 + data[at] * 8, size - at);
        uint8_t *to = sl_stream_room(&s, &room);
        piece = SL_MIN(piece, room);
        memcpy(to, data + at, piece);
        sl_stream_filled(&s, piece);
        at += piece;
        while ((err = sl_stream_next(&s, FRAME_MAX, &frame)) == SL_OK) {
            sl_assert(frame.size <= FRAME_MAX && taken + SL_STREAM_HEAD_BYTES + frame.size <= at);
            taken += SL_STREAM_HEAD_BYTES;
            sl_assert(frame.size == 0 || memcmp(frame.data, data + taken, frame.size) == 0);
            taken += frame.size;
        }
    }
    sl_stream_deinit(&s);
    return 0;
}
