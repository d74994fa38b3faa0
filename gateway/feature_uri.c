/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/feature_uri.h"

#define URI_SIZE_MAX 512

static bool
skip_prefix(struct sl_slice *text, const char *prefix)
{
    size_t size = strlen(prefix);
    if (text->size < size || memcmp(text->data, prefix, size) != 0)
        return false;
    *text = sl_slice(text->data + size, text->size - size);
    return true;
}

/* Letters that names of extractors, versions and models consist of. */
static bool
is_word(struct sl_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.'))
            return false;
    }
    return text.size > 0;
}

/* Cut at the first `c`: what is before goes to *ret_head, what follows stays. False: no `c`. */
static bool
cut(struct sl_slice *text, uint8_t c, struct sl_slice *ret_head)
{
    const uint8_t *at = text->size == 0 ? NULL : memchr(text->data, c, text->size);
    if (at == NULL)
        return false;
    size_t size = (size_t)(at - text->data);
    *ret_head = sl_slice(text->data, size);
    *text = sl_slice(at + 1, text->size - size - 1);
    return true;
}

enum sl_err
sl_feature_uri_parse(struct sl_slice text, struct sl_feature_uri *ret_uri)
{
    struct sl_feature_uri uri = {0};
    if (text.size > URI_SIZE_MAX ||
        (!skip_prefix(&text, "mixpeek://") && !skip_prefix(&text, "sluice://")) ||
        !cut(&text, '@', &uri.extractor))
        return SL_EINVAL;
    if (cut(&text, '/', &uri.version))
        uri.output = text;
    else
        uri.version = text;
    if (!is_word(uri.extractor) || !is_word(uri.version) ||
        (uri.output.size > 0 && !is_word(uri.output)))
        return SL_EINVAL;
    if (sl_slice_is(uri.output, "embedding"))
        uri.output = (struct sl_slice){0};
    *ret_uri = uri;
    return SL_OK;
}
