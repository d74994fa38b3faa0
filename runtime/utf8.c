/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/utf8.h"

static bool
is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t
sl_utf8_size(const uint8_t *at, const uint8_t *end)
{
    size_t left = (size_t)(end - at);
    if (at[0] < 0x80)
        return 1;
    if (at[0] >= 0xc2 && at[0] <= 0xdf)
        return left >= 2 && is_continuation(at[1]) ? 2 : 0;
    if (at[0] >= 0xe0 && at[0] <= 0xef) {
        if (left < 3 || !is_continuation(at[1]) || !is_continuation(at[2]))
            return 0;
        bool is_overlong = at[0] == 0xe0 && at[1] < 0xa0;
        bool is_surrogate = at[0] == 0xed && at[1] >= 0xa0;
        return is_overlong || is_surrogate ? 0 : 3;
    }
    if (at[0] >= 0xf0 && at[0] <= 0xf4) {
        if (left < 4 || !is_continuation(at[1]) || !is_continuation(at[2]) ||
            !is_continuation(at[3]))
            return 0;
        bool is_overlong = at[0] == 0xf0 && at[1] < 0x90;
        bool is_over_range = at[0] == 0xf4 && at[1] >= 0x90;
        return is_overlong || is_over_range ? 0 : 4;
    }
    return 0;
}

size_t
sl_utf8_encode(uint32_t code, uint8_t ret_bytes[static 4])
{
    sl_assert(code <= 0x10ffff);
    if (code < 0x80) {
        ret_bytes[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        ret_bytes[0] = (uint8_t)(0xc0 | code >> 6);
        ret_bytes[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        ret_bytes[0] = (uint8_t)(0xe0 | code >> 12);
        ret_bytes[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        ret_bytes[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    ret_bytes[0] = (uint8_t)(0xf0 | code >> 18);
    ret_bytes[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    ret_bytes[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    ret_bytes[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

bool
sl_utf8_is_valid(struct sl_slice text)
{
    const uint8_t *at = text.data;
    const uint8_t *end = text.size == 0 ? at : at + text.size;
    while (at < end) {
        size_t size = sl_utf8_size(at, end);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}
