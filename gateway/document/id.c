/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/document/id.h"

#include <stdio.h>

#include "actors/record.h"

struct sl_slice
sl_document_id_read(struct sl_slice text)
{
    size_t size = strlen(SL_DOCUMENT_ID_PREFIX);
    if (text.size < size || memcmp(text.data, SL_DOCUMENT_ID_PREFIX, size) != 0)
        return text;
    return sl_slice(text.data + size, text.size - size);
}

void
sl_document_id_value(struct sl_jsonw *w, struct sl_slice record_id)
{
    char text[sizeof(SL_DOCUMENT_ID_PREFIX) + SL_RECORD_ID_SIZE];
    sl_assert(record_id.size <= SL_RECORD_ID_SIZE); /* Ids are made by sl_record_id alone. */
    snprintf(text, sizeof(text), SL_DOCUMENT_ID_PREFIX "%.*s", SL_SLICE_FMT(record_id));
    sl_jsonw_str(w, text);
}

void
sl_document_id_write(struct sl_jsonw *w, struct sl_slice record_id)
{
    sl_jsonw_name(w, "document_id");
    sl_document_id_value(w, record_id);
}
