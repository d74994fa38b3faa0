/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/percent.h"

#include "runtime/utf8.h"

static int
hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum sl_err
sl_percent_decode(struct sl_slice text, bool is_strict, uint8_t *ret_bytes, size_t *ret_size)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '%') {
            if (text.size - i < 3)
                return SL_EINVAL;
            int high = hex_digit(text.data[i + 1]), low = hex_digit(text.data[i + 2]);
            if (high < 0 || low < 0)
                return SL_EINVAL;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (c == '\0' || (is_strict && (c < 0x20 || c == 0x7f)))
            return SL_EINVAL;
        ret_bytes[size++] = c;
    }
    if (!sl_utf8_is_valid(sl_slice(ret_bytes, size)))
        return SL_EINVAL;
    *ret_size = size;
    return SL_OK;
}

bool
sl_is_printable(struct sl_slice text, size_t size_max)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < ' ' || text.data[i] > '~')
            return false;
    }
    return text.size > 0 && text.size <= size_max;
}
