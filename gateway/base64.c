/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/base64.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void
sl_base64_encode(struct sl_slice bytes, bool is_url, struct sl_buf *out)
{
    const char *alphabet = is_url ? url : standard;
    sl_buf_reserve(out, (bytes.size + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = SL_MIN(bytes.size - i, (size_t)3);
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        group |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        group |= left > 2 ? bytes.data[i + 2] : 0;
        for (size_t j = 0; j < 4; j++) {
            if (j <= left)
                sl_buf_append_u8(out, (uint8_t)alphabet[(group >> (18 - 6 * j)) & 63]);
            else if (!is_url)
                sl_buf_append_u8(out, '=');
        }
    }
}

static int
value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

enum sl_err
sl_base64_decode(struct sl_slice text, struct sl_buf *out)
{
    size_t before = out->size, size = text.size;
    uint32_t group = 0, bits = 0;
    for (uint32_t pads = 0; pads < 2 && size > 0 && text.data[size - 1] == '='; pads++)
        size--;
    for (size_t i = 0; i < size; i++) {
        int value = value_of(text.data[i]);
        if (value < 0)
            goto bad;
        group = group << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            sl_buf_append_u8(out, (uint8_t)(group >> bits));
        }
    }
    if (size % 4 == 1 || (text.size != size && text.size % 4 != 0) ||
        (group & ((1u << bits) - 1)) != 0)
        goto bad;
    return SL_OK;
bad:
    out->size = before;
    return SL_EINVAL;
}
