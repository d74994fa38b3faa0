/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/rows.h"

#include <stdarg.h>

static void
join(struct sl_buf *out, uint32_t count, va_list parts)
{
    sl_buf_clear(out);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            sl_buf_append_u8(out, 0);
        const char *part = va_arg(parts, const char *);
        sl_assert(part != NULL);
        sl_buf_append_str(out, part);
    }
}

struct sl_slice
sl_key(struct sl_buf *out, uint32_t count, ...)
{
    sl_assert(count > 0);
    va_list parts;
    va_start(parts, count);
    join(out, count, parts);
    va_end(parts);
    return sl_buf_slice(out);
}

struct sl_slice
sl_key_prefix(struct sl_buf *out, uint32_t count, ...)
{
    va_list parts;
    va_start(parts, count);
    join(out, count, parts);
    va_end(parts);
    if (count > 0)
        sl_buf_append_u8(out, 0);
    return sl_buf_slice(out);
}

struct sl_slice
sl_key_part(struct sl_slice key, uint32_t index)
{
    size_t from = 0;
    for (uint32_t i = 0;; i++) {
        const uint8_t *end = from < key.size ? memchr(key.data + from, 0, key.size - from) : NULL;
        size_t to = end == NULL ? key.size : (size_t)(end - key.data);
        if (i == index)
            return sl_slice(key.data + from, to - from);
        if (end == NULL)
            return sl_slice(NULL, 0);
        from = to + 1;
    }
}
