/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/source.h"

#include <criterion/criterion.h>

Test(source, reads_back_what_was_written_and_refuses_every_cut)
{
    struct sl_buf buf = {0};
    struct sl_source in = {.created_ms = 1,
                           .updated_ms = 2,
                           .size_bytes = 3,
                           .unique = sl_slice_str("[\"A-17\"]"),
                           .fields = sl_slice_str("{\"sku\":\"A-17\"}"),
                           .blobs = sl_slice_str("[]"),
                           .extra = sl_slice_str("{}")};
    sl_source_encode(&in, &buf);

    struct sl_source out;
    cr_assert_eq(sl_source_decode(sl_buf_slice(&buf), &out), SL_OK);
    cr_assert_eq(out.created_ms, 1);
    cr_assert_eq(out.updated_ms, 2);
    cr_assert_eq(out.size_bytes, 3);
    cr_assert(sl_slice_equal(out.unique, in.unique));
    cr_assert(sl_slice_equal(out.fields, in.fields));
    cr_assert(sl_slice_equal(out.blobs, in.blobs));
    cr_assert(sl_slice_equal(out.extra, in.extra));

    for (size_t size = 0; size < buf.size; size++)
        cr_assert_eq(sl_source_decode(sl_slice(buf.data, size), &out), SL_ECORRUPT, "%zu", size);
    sl_buf_append_u8(&buf, 0);
    cr_assert_eq(sl_source_decode(sl_buf_slice(&buf), &out), SL_ECORRUPT);
    sl_buf_deinit(&buf);
}
