/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/unicode.h"

#include <criterion/criterion.h>

#include "runtime/utf8.h"

static size_t
fold(uint32_t c, uint32_t to[SL_UNICODE_FOLD_MAX])
{
    return sl_unicode_fold(c, to);
}

Test(unicode, every_scalar_value_survives_encoding)
{
    for (uint32_t c = 0; c < 0x110000; c++) {
        uint8_t bytes[4];
        if (c >= 0xD800 && c < 0xE000)
            continue;
        size_t size = sl_utf8_encode(c, bytes);
        const uint8_t *at = bytes;
        cr_assert_eq(sl_unicode_next(&at, bytes + size), c);
        cr_assert_eq(at, bytes + size);
    }
}

Test(unicode, malformed_bytes_are_replaced_one_by_one)
{
    static const char *const bad[] = {
        "\x80",     "\xC0\xAF",        "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
        "\xE3\x81", "\xF5\x80\x80\x80"};
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        const uint8_t *at = (const uint8_t *)bad[i];
        const uint8_t *start = at;
        cr_expect_eq(sl_unicode_next(&at, start + strlen(bad[i])), SL_UNICODE_REPLACEMENT);
        cr_expect_eq(at, start + 1);
    }
}

Test(unicode, folds_case_and_accents)
{
    uint32_t to[SL_UNICODE_FOLD_MAX];
    cr_expect(fold('Q', to) == 1 && to[0] == 'q');
    cr_expect(fold(0xC9, to) == 1 && to[0] == 'e', "E with acute");
    cr_expect(fold(0x3A3, to) == 1 && to[0] == 0x3C3, "capital sigma");
    cr_expect(fold(0x41, to) == 1 && to[0] == 'a');
    cr_expect(fold(0x419, to) == 1 && to[0] == 0x438, "short I loses its breve");
    cr_expect(fold(0x130, to) == 1 && to[0] == 'i', "I with a dot");
    cr_expect(fold(0x1EA6, to) == 1 && to[0] == 'a', "A with circumflex and grave");
    cr_expect(fold(0x212B, to) == 1 && to[0] == 'a', "the angstrom sign");
    cr_expect(fold(0xDF, to) == 1 && to[0] == 0xDF, "sharp s stays");
    cr_expect(fold(0x301, to) == 0, "an accent on its own");
    cr_expect(fold(0xD55C, to) == 3 && to[0] == 0x1112 && to[1] == 0x1161 && to[2] == 0x11AB);
    cr_expect(fold(0xAC00, to) == 2);
    cr_expect(fold(0x9CB, to) == 2 && to[0] == 0x9C7 && to[1] == 0x9BE);
    cr_expect(fold(0x10FFFF, to) == 1 && to[0] == 0x10FFFF);
}

Test(unicode, tells_classes_apart)
{
    cr_expect_eq(sl_unicode_class(' '), SL_UNICODE_SPACE);
    cr_expect_eq(sl_unicode_class(0x3000), SL_UNICODE_SPACE);
    cr_expect_eq(sl_unicode_class(0x200B), SL_UNICODE_DROP);
    cr_expect_eq(sl_unicode_class(0), SL_UNICODE_DROP);
    cr_expect_eq(sl_unicode_class('$'), SL_UNICODE_PUNCT);
    cr_expect_eq(sl_unicode_class(0x3002), SL_UNICODE_PUNCT);
    cr_expect_eq(sl_unicode_class(0x301), SL_UNICODE_MARK);
    cr_expect_eq(sl_unicode_class('x'), SL_UNICODE_WORD);
    cr_expect_eq(sl_unicode_class(0x4E2D), SL_UNICODE_WORD);
    cr_expect_eq(sl_unicode_class(0x1F600), SL_UNICODE_OTHER);
    cr_expect(sl_unicode_is_cjk(0x4E2D) && !sl_unicode_is_cjk(0x3042) &&
              !sl_unicode_is_cjk(0xAC00));
}
