/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gateway/base64.h"
#include "gateway/list.h"

Test(cursor, reads_back_what_was_written)
{
    struct sl_buf text = {0}, memory = {0};
    struct sl_slice key, sort;
    sl_cursor_encode(sl_slice("a\0b", 3), sl_slice_str("\"x\""), &text);
    cr_assert_eq(sl_cursor_decode(sl_buf_slice(&text), &memory, &key, &sort), SL_OK);
    cr_assert(sl_slice_equal(key, sl_slice("a\0b", 3)));
    cr_assert(sl_slice_is(sort, "\"x\""));
    sl_buf_deinit(&text);
    sl_buf_deinit(&memory);
}

Test(cursor, refuses_every_single_change)
{
    struct sl_buf text = {0}, memory = {0};
    struct sl_slice key, sort;
    sl_cursor_encode(sl_slice_str("obj_1c8v6t3n5j9r"), sl_slice_str("42"), &text);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t before = text.data[i];
        text.data[i] = before == 'A' ? 'B' : 'A';
        cr_assert_eq(sl_cursor_decode(sl_buf_slice(&text), &memory, &key, &sort), SL_EINVAL);
        text.data[i] = before;
        cr_assert_eq(sl_cursor_decode(sl_slice(text.data, i), &memory, &key, &sort), SL_EINVAL);
    }
    sl_buf_deinit(&text);
    sl_buf_deinit(&memory);
}

Test(base64, agrees_with_the_standards_vectors)
{
    static const char *const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
    static const char *const coded[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                        "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    struct sl_buf out = {0};
    for (size_t i = 0; i < SL_COUNT_OF(plain); i++) {
        sl_buf_clear(&out);
        sl_base64_encode(sl_slice_str(plain[i]), false, &out);
        cr_assert_str_eq(sl_buf_text(&out), coded[i]);
        sl_buf_clear(&out);
        cr_assert_eq(sl_base64_decode(sl_slice_str(coded[i]), &out), SL_OK);
        cr_assert_str_eq(sl_buf_text(&out), plain[i]);
    }
    cr_assert_eq(sl_base64_decode(sl_slice_str("Zg"), &out), SL_OK);
    cr_assert_eq(sl_base64_decode(sl_slice_str("Z"), &out), SL_EINVAL);
    cr_assert_eq(sl_base64_decode(sl_slice_str("Zh=="), &out), SL_EINVAL);
    cr_assert_eq(sl_base64_decode(sl_slice_str("Zm9 v"), &out), SL_EINVAL);
    sl_buf_deinit(&out);
}
