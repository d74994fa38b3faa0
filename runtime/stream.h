/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - frames in a stream of bytes: u32 size (little endian), then so many bytes.
 *
 * In place: zero it, then sl_stream_deinit. Bytes go into the room it gives, frames come out where
 * they lie. Its memory follows what has come, never what a size promises.
 * Threading: one owner.
 */
#ifndef SL_RUNTIME_STREAM_H
#define SL_RUNTIME_STREAM_H

#include "runtime/base.h"

#define SL_STREAM_HEAD_BYTES 4

struct sl_stream {
    uint8_t *data;
    size_t begin, end, capacity; /* What has come and was not taken is [begin, end). */
};

void sl_stream_deinit(struct sl_stream *s); /* Zeroed or deinited already is fine. */

/* Room for the bytes that come next, at least 4 KiB; ends the life of frames taken before. Then
 * tell how many came. */
uint8_t *sl_stream_room(struct sl_stream *s, size_t *ret_size);
void sl_stream_filled(struct sl_stream *s, size_t size);

/* The next frame, until the next call of sl_stream_room. SL_ENOTFOUND: it has not come yet.
 * SL_ETOOBIG: it says that it is larger than `max`; nothing that follows can be told apart. */
SL_MUST_CHECK enum sl_err sl_stream_next(struct sl_stream *s, size_t max,
                                         struct sl_slice *ret_frame);

#endif
