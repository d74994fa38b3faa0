/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/data_uri.h"

#include "gateway/base64.h"

static bool
is_head_byte(uint8_t c)
{
    return c > ' ' && c < 0x7f && strchr("\"(),<>@[\\]{}", c) == NULL;
}

enum sl_err
sl_data_uri_parse(struct sl_slice text, struct sl_data_uri *ret_uri)
{
    static const char mark[] = ";base64";
    size_t at = sizeof("data:") - 1, begin = at, mark_size = sizeof(mark) - 1;
    *ret_uri = (struct sl_data_uri){0};
    if (text.size < begin || memcmp(text.data, "data:", begin) != 0)
        return SL_EINVAL;
    while (at < text.size && is_head_byte(text.data[at]))
        at++;
    if (at == text.size || text.data[at] != ',')
        return SL_EINVAL;
    struct sl_slice head = sl_slice(text.data + begin, at - begin);
    const uint8_t *semicolon = memchr(head.data, ';', head.size);
    ret_uri->media_type =
        sl_slice(head.data, semicolon == NULL ? head.size : (size_t)(semicolon - head.data));
    ret_uri->is_base64 =
        head.size >= mark_size && memcmp(head.data + head.size - mark_size, mark, mark_size) == 0;
    ret_uri->content = sl_slice(text.data + at + 1, text.size - at - 1);
    bool is_typed = memchr(head.data, '/', ret_uri->media_type.size) != NULL;
    return is_typed || ret_uri->media_type.size == 0 ? SL_OK : SL_EINVAL;
}

static int
hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum sl_err
sl_data_uri_decode(const struct sl_data_uri *uri, struct sl_buf *out)
{
    struct sl_slice text = uri->content;
    if (uri->is_base64)
        return sl_base64_decode(text, out);
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '%') {
            sl_buf_append_u8(out, text.data[i]);
            continue;
        }
        int high = text.size - i > 2 ? hex_digit(text.data[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text.data[i + 2]) : -1;
        if (low < 0)
            return SL_EINVAL;
        sl_buf_append_u8(out, (uint8_t)(high << 4 | low));
        i += 2;
    }
    return SL_OK;
}

bool
sl_data_uri_is_text(const struct sl_data_uri *uri)
{
    struct sl_slice type = uri->media_type;
    if (type.size == 0)
        return uri->is_base64; /* "data:,x" may well be a sentence. */
    return type.size >= 5 && memcmp(type.data, "text/", 5) == 0;
}
