/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/buf.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>

#include "runtime/alloc.h"

void
sl_buf_deinit(struct sl_buf *b)
{
    sl_free(b->data);
    *b = (struct sl_buf){0};
}

void
sl_buf_clear(struct sl_buf *b)
{
    b->size = 0;
}

void
sl_buf_grow(struct sl_buf *b, size_t more)
{
    sl_assert(more <= SIZE_MAX / 4 && b->size <= SIZE_MAX / 4);
    size_t capacity = SL_MAX(b->capacity * 2, (size_t)64);
    while (capacity < b->size + more)
        capacity *= 2;
    b->data = sl_realloc(b->data, capacity);
    b->capacity = capacity;
}

void
sl_buf_append(struct sl_buf *b, const void *data, size_t size)
{
    if (size == 0)
        return;
    sl_buf_reserve(b, size);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

void
sl_buf_append_slice(struct sl_buf *b, struct sl_slice s)
{
    sl_buf_append(b, s.data, s.size);
}

void
sl_buf_append_str(struct sl_buf *b, const char *text)
{
    sl_buf_append(b, text, strlen(text));
}

void
sl_buf_append_u32(struct sl_buf *b, uint32_t v)
{
    v = htole32(v);
    sl_buf_append(b, &v, sizeof(v));
}

void
sl_buf_append_u64(struct sl_buf *b, uint64_t v)
{
    v = htole64(v);
    sl_buf_append(b, &v, sizeof(v));
}

void
sl_buf_append_u64be(struct sl_buf *b, uint64_t v)
{
    v = htobe64(v);
    sl_buf_append(b, &v, sizeof(v));
}

void
sl_buf_append_block(struct sl_buf *b, struct sl_slice s)
{
    sl_assert(s.size <= UINT32_MAX);
    sl_buf_append_u32(b, (uint32_t)s.size);
    sl_buf_append_slice(b, s);
}

void
sl_buf_printf(struct sl_buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    sl_assert(size >= 0);
    sl_buf_reserve(b, (size_t)size + 1);
    vsnprintf((char *)b->data + b->size, (size_t)size + 1, format, again);
    va_end(again);
    b->size += (size_t)size;
}

const char *
sl_buf_text(struct sl_buf *b)
{
    sl_buf_reserve(b, 1);
    b->data[b->size] = '\0';
    return (const char *)b->data;
}

struct sl_reader
sl_reader(struct sl_slice s)
{
    return (struct sl_reader){.at = s.data, .end = s.size == 0 ? s.data : s.data + s.size};
}

static bool
take(struct sl_reader *r, void *ret_data, size_t size)
{
    if (r->is_bad || (size_t)(r->end - r->at) < size) {
        r->is_bad = true;
        memset(ret_data, 0, size);
        return false;
    }
    memcpy(ret_data, r->at, size);
    r->at += size;
    return true;
}

uint8_t
sl_read_u8(struct sl_reader *r)
{
    uint8_t v;
    take(r, &v, sizeof(v));
    return v;
}

uint32_t
sl_read_u32(struct sl_reader *r)
{
    uint32_t v;
    take(r, &v, sizeof(v));
    return le32toh(v);
}

uint64_t
sl_read_u64(struct sl_reader *r)
{
    uint64_t v;
    take(r, &v, sizeof(v));
    return le64toh(v);
}

uint64_t
sl_read_u64be(struct sl_reader *r)
{
    uint64_t v;
    take(r, &v, sizeof(v));
    return be64toh(v);
}

struct sl_slice
sl_read_bytes(struct sl_reader *r, size_t size)
{
    if (r->is_bad || (size_t)(r->end - r->at) < size) {
        r->is_bad = true;
        return (struct sl_slice){0};
    }
    struct sl_slice s = sl_slice(r->at, size);
    r->at += size;
    return s;
}

struct sl_slice
sl_read_block(struct sl_reader *r)
{
    return sl_read_bytes(r, sl_read_u32(r));
}

bool
sl_reader_is_done(const struct sl_reader *r)
{
    return !r->is_bad && r->at == r->end;
}
