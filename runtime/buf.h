/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h - a growing byte buffer. In place: zero it or sl_buf_init, then sl_buf_deinit.
 * Appending never fails (control-plane memory). A pointer into it lives until the next append.
 */
#ifndef SL_RUNTIME_BUF_H
#define SL_RUNTIME_BUF_H

#include "runtime/base.h"

struct sl_buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

void sl_buf_deinit(struct sl_buf *b);            /* Zeroed or deinited already is fine. */
void sl_buf_clear(struct sl_buf *b);             /* Keeps the memory. */
void sl_buf_grow(struct sl_buf *b, size_t more); /* sl_buf_reserve, where there is no room. */
static inline void
sl_buf_reserve(struct sl_buf *b, size_t more)
{
    if (more > b->capacity - b->size)
        sl_buf_grow(b, more);
}
void sl_buf_append(struct sl_buf *b, const void *data, size_t size);
void sl_buf_append_slice(struct sl_buf *b, struct sl_slice s);
void sl_buf_append_str(struct sl_buf *b, const char *text);
static inline void
sl_buf_append_u8(struct sl_buf *b, uint8_t v)
{
    sl_buf_reserve(b, 1);
    b->data[b->size++] = v;
}
void sl_buf_append_u32(struct sl_buf *b, uint32_t v); /* Little endian, as u64 below. */
void sl_buf_append_u64(struct sl_buf *b, uint64_t v);
void sl_buf_append_u64be(struct sl_buf *b, uint64_t v);        /* Sorts as bytes: for keys. */
void sl_buf_append_block(struct sl_buf *b, struct sl_slice s); /* u32 size, then the bytes. */
void sl_buf_printf(struct sl_buf *b, const char *format, ...) SL_PRINTF(2, 3);

/* NUL-terminated text of the buffer (the NUL is not counted). Lives until the next append. */
const char *sl_buf_text(struct sl_buf *b);

static inline struct sl_slice
sl_buf_slice(const struct sl_buf *b)
{
    return sl_slice(b->data, b->size);
}

/* A reader over borrowed bytes. After any failed read `is_bad` is set and all reads give zeroes. */
struct sl_reader {
    const uint8_t *at, *end;
    bool is_bad;
};

struct sl_reader sl_reader(struct sl_slice s);
uint8_t sl_read_u8(struct sl_reader *r);
uint32_t sl_read_u32(struct sl_reader *r);
uint64_t sl_read_u64(struct sl_reader *r);
uint64_t sl_read_u64be(struct sl_reader *r);
struct sl_slice sl_read_bytes(struct sl_reader *r, size_t size);
struct sl_slice sl_read_block(struct sl_reader *r);
bool sl_reader_is_done(const struct sl_reader *r); /* All read, nothing bad. */

#endif
