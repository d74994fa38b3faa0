/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/source.h"

#define SOURCE_VERSION 1

void
sl_source_encode(const struct sl_source *s, struct sl_buf *out)
{
    sl_assert(s != NULL);
    sl_assert(s->fields.size > 0); /* At least "{}", as blobs are at least "[]". */
    sl_buf_append_u8(out, SOURCE_VERSION);
    sl_buf_append_u64(out, s->created_ms);
    sl_buf_append_u64(out, s->updated_ms);
    sl_buf_append_u64(out, s->size_bytes);
    sl_buf_append_block(out, s->unique);
    sl_buf_append_block(out, s->fields);
    sl_buf_append_block(out, s->blobs);
    sl_buf_append_block(out, s->extra);
}

enum sl_err
sl_source_decode(struct sl_slice bytes, struct sl_source *ret_source)
{
    struct sl_reader r = sl_reader(bytes);
    struct sl_source s = {0};
    if (sl_read_u8(&r) != SOURCE_VERSION)
        return SL_ECORRUPT;
    s.created_ms = sl_read_u64(&r);
    s.updated_ms = sl_read_u64(&r);
    s.size_bytes = sl_read_u64(&r);
    s.unique = sl_read_block(&r);
    s.fields = sl_read_block(&r);
    s.blobs = sl_read_block(&r);
    s.extra = sl_read_block(&r);
    if (!sl_reader_is_done(&r))
        return SL_ECORRUPT;
    *ret_source = s;
    return SL_OK;
}
