/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/content_range.h"

static bool
take_text(struct sl_slice *text, const char *wanted)
{
    size_t size = strlen(wanted);
    if (text->size < size || memcmp(text->data, wanted, size) != 0)
        return false;
    *text = sl_slice(text->data + size, text->size - size);
    return true;
}

static bool
take_number(struct sl_slice *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t digits = 0;
    for (; digits < text->size && text->data[digits] >= '0' && text->data[digits] <= '9';
         digits++) {
        number = number * 10 + (uint64_t)(text->data[digits] - '0');
        if (number >= SL_CONTENT_RANGE_MAX)
            return false;
    }
    *text = sl_slice(text->data + digits, text->size - digits);
    *ret_number = number;
    return digits > 0;
}

enum sl_err
sl_content_range_parse(struct sl_slice text, struct sl_content_range *ret_range)
{
    struct sl_content_range range = {0};
    uint64_t last = 0;
    if (!take_text(&text, "bytes "))
        return SL_EINVAL;
    if (take_text(&text, "*"))
        range.is_query = true;
    else if (!take_number(&text, &range.offset) || !take_text(&text, "-") ||
             !take_number(&text, &last) || last < range.offset)
        return SL_EINVAL;
    if (!range.is_query)
        range.size_bytes = last - range.offset + 1;
    if (!take_text(&text, "/"))
        return SL_EINVAL;
    if (!take_text(&text, "*")) {
        range.has_total = true;
        if (!take_number(&text, &range.total_bytes) ||
            range.total_bytes < range.offset + range.size_bytes)
            return SL_EINVAL;
    }
    if (text.size != 0)
        return SL_EINVAL;
    *ret_range = range;
    return SL_OK;
}
