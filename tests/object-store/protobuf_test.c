/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/protobuf.h"

#include <criterion/criterion.h>

#include "tests/object-store/onnx_writer.h"

static const char *
bad(const void *bytes, size_t size)
{
    struct sl_protobuf r = sl_protobuf(sl_slice(bytes, size));
    for (struct sl_protobuf_field f; sl_protobuf_next(&r, &f);)
        ;
    return r.bad == NULL ? "" : r.bad;
}

#define BAD(...) bad((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

Test(protobuf, reads_each_wire_type)
{
    static const uint8_t bytes[] = {0x08, 0x96, 0x01, 0x11, 1,   2,    3, 4, 5, 6,   7,
                                    8,    0x1a, 2,    'h',  'i', 0x25, 1, 0, 0, 0x80};
    struct sl_protobuf r = sl_protobuf(sl_slice(bytes, sizeof(bytes)));
    struct sl_protobuf_field f;
    cr_assert(sl_protobuf_next(&r, &f));
    cr_assert_eq(f.number, 1);
    cr_assert_eq(f.value, 150);
    cr_assert(sl_protobuf_next(&r, &f));
    cr_assert_eq(f.wire, SL_PROTOBUF_I64);
    cr_assert_eq(f.value, UINT64_C(0x0807060504030201));
    cr_assert(sl_protobuf_next(&r, &f));
    cr_assert(sl_slice_is(f.bytes, "hi"));
    cr_assert(sl_protobuf_next(&r, &f));
    cr_assert_eq(f.wire, SL_PROTOBUF_I32);
    cr_assert_eq(f.value, UINT64_C(0x80000001));
    cr_assert_not(sl_protobuf_next(&r, &f));
    cr_assert_null(r.bad);
}

Test(protobuf, takes_varints_of_up_to_10_bytes_and_64_bits)
{
    struct sl_protobuf_field f;
    struct sl_buf b = {0};
    put_int(&b, 1, -1);
    cr_assert_eq(b.size, 11);
    struct sl_protobuf r = sl_protobuf(sl_buf_slice(&b));
    cr_assert(sl_protobuf_next(&r, &f));
    cr_assert_eq(f.value, UINT64_MAX);
    sl_buf_deinit(&b);
    cr_assert(strstr(BAD(8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2), "64 bits"));
    cr_assert(strstr(BAD(8, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 1), "10 bytes"));
    cr_assert(strstr(BAD(8, 128, 128), "cut"));
}

Test(protobuf, refuses_what_is_cut_or_longer_than_what_is_left)
{
    cr_assert(strstr(BAD(8), "cut"));
    cr_assert(strstr(BAD(0x0a), "cut"));
    cr_assert(strstr(BAD(0x0a, 2, 'a'), "over what is left"));
    cr_assert(strstr(BAD(0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1), "over what"));
    cr_assert(strstr(BAD(0x11, 1, 2, 3, 4, 5, 6, 7), "cut"));
    cr_assert(strstr(BAD(0x25, 1, 2, 3), "cut"));
}

Test(protobuf, refuses_groups_unknown_wire_types_and_field_numbers_that_do_not_exist)
{
    cr_assert(strstr(BAD(0x0b, 0x0c), "group"));
    cr_assert(strstr(BAD(0x0c), "group"));
    cr_assert(strstr(BAD(0x0e, 1), "wire type"));
    cr_assert(strstr(BAD(0x0f, 1), "wire type"));
    cr_assert(strstr(BAD(0, 1), "number"));
    cr_assert(strstr(BAD(0x88, 128, 128, 128, 16, 1), "number"));
    cr_assert_str_eq(BAD(0xf8, 255, 255, 255, 15, 1), ""); /* The largest there is. */
}

Test(protobuf, refuses_messages_nested_too_deeply)
{
    struct sl_protobuf r = sl_protobuf(sl_slice("", 0));
    for (int i = 0; i < SL_PROTOBUF_DEPTH_MAX; i++) {
        r = sl_protobuf_enter(&r, sl_slice("", 0));
        cr_assert_null(r.bad);
    }
    r = sl_protobuf_enter(&r, sl_slice("\x08\x01", 2));
    struct sl_protobuf_field f;
    cr_assert_not_null(r.bad);
    cr_assert_not(sl_protobuf_next(&r, &f));
}

Test(protobuf, stays_at_the_first_error)
{
    static const uint8_t bytes[] = {0x0b, 0x08, 1};
    struct sl_protobuf r = sl_protobuf(sl_slice(bytes, sizeof(bytes)));
    struct sl_protobuf_field f;
    uint64_t value;
    cr_assert_not(sl_protobuf_next(&r, &f));
    cr_assert_not(sl_protobuf_next(&r, &f));
    cr_assert_not(sl_protobuf_varint(&r, &value));
    cr_assert(strstr(r.bad, "group"));
}
