/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gateway/percent.h"

static const char *
decode(const char *text, bool is_strict)
{
    static char out[64];
    size_t size = 0;
    if (sl_percent_decode(sl_slice_str(text), is_strict, (uint8_t *)out, &size) != SL_OK)
        return NULL;
    out[size] = '\0';
    return out;
}

Test(percent, decodes_and_leaves_plus_alone)
{
    cr_assert_str_eq(decode("a%2Bb%40x.com", true), "a+b@x.com");
    cr_assert_str_eq(decode("a+b%2fc", true), "a+b/c");
    cr_assert_str_eq(decode("%c3%A4", true), "\xc3\xa4");
    cr_assert_str_eq(decode("", true), "");
    cr_assert_str_eq(decode("a%0Ab", false), "a\nb");
}

Test(percent, refuses_what_is_no_text)
{
    const char *bad[] = {"%", "%4", "%4g", "%zz", "%00", "a%ff", "%c3", "%ed%a0%80"};
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++)
        cr_assert_null(decode(bad[i], false), "%s", bad[i]);
    cr_assert_null(decode("a%0Ab", true));
    cr_assert_null(decode("a%7f", true));
}

Test(percent, printable_is_ascii_with_a_bound)
{
    cr_assert(sl_is_printable(sl_slice_str("a b~!"), 5));
    cr_assert_not(sl_is_printable(sl_slice_str("a b~!"), 4));
    cr_assert_not(sl_is_printable(sl_slice_str(""), 4));
    cr_assert_not(sl_is_printable(sl_slice_str("\t"), 4));
    cr_assert_not(sl_is_printable(sl_slice_str("\xc3\xa4"), 4));
}
