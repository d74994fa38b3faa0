/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/list.h"

#include "gateway/base64.h"
#include "runtime/hash.h"

/* version, key, sort value, CRC: a mistyped cursor is refused rather than read as another place. */
#define CURSOR_VERSION 1

void
sl_cursor_encode(struct sl_slice key, struct sl_slice sort, struct sl_buf *out)
{
    struct sl_buf bytes = {0};
    sl_buf_append_u8(&bytes, CURSOR_VERSION);
    sl_buf_append_block(&bytes, key);
    sl_buf_append_block(&bytes, sort);
    sl_buf_append_u32(&bytes, sl_crc32c(0, bytes.data, bytes.size));
    sl_base64_encode(sl_buf_slice(&bytes), true, out);
    sl_buf_deinit(&bytes);
}

enum sl_err
sl_cursor_decode(struct sl_slice text, struct sl_buf *memory, struct sl_slice *ret_key,
                 struct sl_slice *ret_sort)
{
    sl_buf_clear(memory);
    if (text.size > SL_CURSOR_SIZE_MAX || sl_base64_decode(text, memory) != SL_OK ||
        memory->size < 4)
        return SL_EINVAL;
    struct sl_reader r = sl_reader(sl_buf_slice(memory));
    uint8_t version = sl_read_u8(&r);
    struct sl_slice key = sl_read_block(&r);
    struct sl_slice sort = sl_read_block(&r);
    uint32_t crc = sl_read_u32(&r);
    if (!sl_reader_is_done(&r) || version != CURSOR_VERSION || key.size > SL_KEY_SIZE_MAX ||
        crc != sl_crc32c(0, memory->data, memory->size - 4))
        return SL_EINVAL;
    *ret_key = key;
    *ret_sort = sort;
    return SL_OK;
}
