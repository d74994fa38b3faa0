/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/stream.h"

#include <endian.h>

#include "runtime/alloc.h"
#include "runtime/limits.h"

#define ROOM_MIN  (4 * SL_KIB)
#define USUAL     (16 * SL_KIB)  /* What is kept of a stream that is quiet, */
#define USUAL_MAX (256 * SL_KIB) /* and of one that is busy. */

void
sl_stream_deinit(struct sl_stream *s)
{
    sl_free(s->data);
    *s = (struct sl_stream){0};
}

static void
resize(struct sl_stream *s, size_t capacity)
{
    s->data = sl_realloc(s->data, capacity);
    s->capacity = capacity;
}

static void
move_to_front(struct sl_stream *s)
{
    if (s->begin == 0)
        return;
    memmove(s->data, s->data + s->begin, s->end - s->begin);
    s->end -= s->begin;
    s->begin = 0;
}

uint8_t *
sl_stream_room(struct sl_stream *s, size_t *ret_size)
{
    bool was_full = s->end == s->capacity; /* More came at once than there was room for. */
    move_to_front(s);
    if (s->end == 0 && s->capacity > USUAL_MAX)
        sl_stream_deinit(s); /* A large frame has gone. */
    if (s->capacity == 0)
        resize(s, USUAL);
    else if (s->capacity - s->end < ROOM_MIN || (was_full && s->capacity < USUAL_MAX))
        resize(s, 2 * s->capacity);
    *ret_size = s->capacity - s->end;
    return s->data + s->end;
}

void
sl_stream_filled(struct sl_stream *s, size_t size)
{
    sl_assert(size <= s->capacity - s->end);
    s->end += size;
}

enum sl_err
sl_stream_next(struct sl_stream *s, size_t max, struct sl_slice *ret_frame)
{
    uint32_t size;
    if (s->end - s->begin < SL_STREAM_HEAD_BYTES)
        return SL_ENOTFOUND;
    memcpy(&size, s->data + s->begin, sizeof(size));
    size = le32toh(size);
    if (size > max)
        return SL_ETOOBIG;
    if (s->end - s->begin - SL_STREAM_HEAD_BYTES < size)
        return SL_ENOTFOUND;
    *ret_frame = sl_slice(s->data + s->begin + SL_STREAM_HEAD_BYTES, size);
    s->begin += SL_STREAM_HEAD_BYTES + size;
    return SL_OK;
}
