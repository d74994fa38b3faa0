/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/record.h"

#include <criterion/criterion.h>

static struct sl_record_origin
origin(const char *batch, const char *unique)
{
    return (struct sl_record_origin){.collection = sl_slice_str("col_1"),
                                     .origin = sl_slice_str(batch),
                                     .source = sl_slice("bkt\0obj", 7),
                                     .unique = sl_slice_str(unique),
                                     .position = 2};
}

Test(record, reads_back_what_was_written_and_refuses_every_cut)
{
    struct sl_buf buf = {0};
    struct sl_record in = {.created_ms = 1,
                           .updated_ms = 2,
                           .source = sl_slice("b\0o", 3),
                           .origin = sl_slice_str("btch_1"),
                           .fields = sl_slice_str("{}"),
                           .vectors = sl_slice_str("x\ny")};
    sl_record_encode(&in, &buf);
    struct sl_record out;
    cr_assert_eq(sl_record_decode(sl_buf_slice(&buf), &out), SL_OK);
    cr_assert_eq(out.updated_ms, 2);
    cr_assert(sl_slice_equal(out.source, in.source));
    cr_assert(sl_slice_equal(out.origin, in.origin));
    cr_assert(sl_slice_equal(out.fields, in.fields));
    cr_assert(sl_slice_equal(out.vectors, in.vectors));
    for (size_t size = 0; size < buf.size; size++)
        cr_assert_eq(sl_record_decode(sl_slice(buf.data, size), &out), SL_ECORRUPT);
    sl_buf_deinit(&buf);
}

Test(record, an_id_depends_on_the_unique_key_or_else_on_the_batch)
{
    char a[SL_RECORD_ID_SIZE + 1], b[SL_RECORD_ID_SIZE + 1];
    struct sl_record_origin one = origin("btch_1", ""), two = origin("btch_2", "");
    sl_record_id(&one, a);
    sl_record_id(&one, b);
    cr_assert_str_eq(a, b);
    sl_record_id(&two, b);
    cr_assert_str_neq(a, b);

    one.unique = two.unique = sl_slice_str("[\"A-17\"]");
    sl_record_id(&one, a);
    sl_record_id(&two, b);
    cr_assert_str_eq(a, b);
    two.position++;
    sl_record_id(&two, b);
    cr_assert_str_neq(a, b);
    two = one;
    two.collection = sl_slice_str("col_2");
    sl_record_id(&two, b);
    cr_assert_str_neq(a, b);
}

Test(record, an_id_gives_its_number_and_a_made_up_one_none)
{
    char id[SL_RECORD_ID_SIZE + 1];
    uint64_t number;
    for (uint64_t want = 1; want != 0; want <<= 1) {
        sl_record_id_of_number(want, id);
        cr_assert_eq(strlen(id), SL_RECORD_ID_SIZE);
        cr_assert_eq(sl_record_number(sl_slice_str(id), &number), SL_OK);
        cr_assert_eq(number, want);
    }
    id[20] = id[20] == '0' ? '1' : '0';
    cr_assert_eq(sl_record_number(sl_slice_str(id), &number), SL_EINVAL);
    cr_assert_eq(sl_record_number(sl_slice_str("zz"), &number), SL_EINVAL);
    cr_assert_eq(sl_record_number(sl_slice_str("00000000000000000000000G"), &number), SL_EINVAL);
}

/* What an earlier version of the program wrote: no is_keyed, no root. */
Test(record, of_the_first_version_is_read)
{
    struct sl_buf row = {0};
    struct sl_record record;
    sl_buf_append_u8(&row, 1);
    sl_buf_append_u64(&row, 10);
    sl_buf_append_u64(&row, 20);
    sl_buf_append_block(&row, sl_slice("bkt\0obj", 7));
    sl_buf_append_block(&row, sl_slice_str("btch"));
    sl_buf_append_block(&row, sl_slice_str("{}"));
    sl_buf_append_block(&row, sl_slice_str("idx"));
    cr_assert_eq(sl_record_decode(sl_buf_slice(&row), &record), SL_OK);
    cr_assert_eq(record.updated_ms, 20);
    cr_assert(sl_slice_equal(record.source, sl_slice("bkt\0obj", 7)));
    cr_assert_eq(record.root.size, 0);
    cr_assert_not(record.is_keyed);
    cr_assert(sl_slice_is(record.vectors, "idx"));
    row.data[0] = 3;
    cr_assert_eq(sl_record_decode(sl_buf_slice(&row), &record), SL_ECORRUPT);
    sl_buf_deinit(&row);
}
