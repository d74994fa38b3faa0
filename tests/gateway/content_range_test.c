/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/content_range.h"

#include <criterion/criterion.h>

static enum sl_err
parse(const char *text, struct sl_content_range *ret_range)
{
    return sl_content_range_parse(sl_slice_str(text), ret_range);
}

Test(content_range, reads_pieces_and_questions)
{
    struct sl_content_range r;
    cr_assert_eq(parse("bytes 5-9/10", &r), SL_OK);
    cr_assert(!r.is_query && r.has_total);
    cr_assert_eq(r.offset, 5);
    cr_assert_eq(r.size_bytes, 5);
    cr_assert_eq(r.total_bytes, 10);
    cr_assert_eq(parse("bytes 0-0/*", &r), SL_OK);
    cr_assert(!r.is_query && !r.has_total);
    cr_assert_eq(r.size_bytes, 1);
    cr_assert_eq(parse("bytes */7", &r), SL_OK);
    cr_assert(r.is_query && r.has_total);
    cr_assert_eq(r.total_bytes, 7);
    cr_assert_eq(parse("bytes */*", &r), SL_OK);
    cr_assert(r.is_query && !r.has_total);
}

Test(content_range, refuses_everything_else)
{
    static const char *const bad[] = {
        "",
        "bytes",
        "bytes ",
        "bytes 1/2",
        "bytes 2-1/9",
        "bytes 0-9/9",
        "bytes 0-9",
        "bytes 0-9/",
        "bytes 0-9/10 ",
        "bytes -1-9/10",
        "octets 0-1/2",
        "bytes 0-1/2/3",
        "bytes +0-1/2",
        "bytes 0x0-1/2",
        "Bytes 0-1/2",
        "bytes 0-18446744073709551616/*",
        "bytes 0-1152921504606846976/*",
    };
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        struct sl_content_range r = {.offset = 42};
        cr_expect_eq(parse(bad[i], &r), SL_EINVAL, "%s", bad[i]);
        cr_expect_eq(r.offset, 42, "%s wrote", bad[i]);
    }
}
