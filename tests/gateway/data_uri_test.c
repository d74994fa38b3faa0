/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/data_uri.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* Its bytes as text, or what is wrong. Static memory. */
static const char *
decoded(const char *text)
{
    static char shown[128];
    struct sl_data_uri uri;
    struct sl_buf out = {0};
    if (sl_data_uri_parse(sl_slice_str(text), &uri) != SL_OK)
        return "none";
    enum sl_err err = sl_data_uri_decode(&uri, &out);
    snprintf(shown, sizeof(shown), "%.*s", (int)out.size, out.size > 0 ? (char *)out.data : "");
    sl_buf_deinit(&out);
    return err == SL_OK ? shown : "bad";
}

Test(data_uri, is_decoded_from_base64_and_from_percents)
{
    cr_expect_str_eq(decoded("data:text/plain;base64,aGVsbG8="), "hello");
    cr_expect_str_eq(decoded("data:text/plain;charset=utf-8;base64,aGVsbG8"), "hello");
    cr_expect_str_eq(decoded("data:;base64,aGVsbG8="), "hello");
    cr_expect_str_eq(decoded("data:text/html,%3Cb%3e hi"), "<b> hi");
    cr_expect_str_eq(decoded("data:,"), "");
    cr_expect_str_eq(decoded("data:text/plain,a,b"), "a,b");
}

Test(data_uri, that_is_broken_is_refused)
{
    cr_expect_str_eq(decoded("data:text/plain;base64,a*"), "bad");
    cr_expect_str_eq(decoded("data:text/plain,100%"), "bad");
    cr_expect_str_eq(decoded("data:text/plain,100%2"), "bad");
    cr_expect_str_eq(decoded("data:text/plain,%zz"), "bad");
}

Test(data_uri, is_no_sentence_that_begins_so)
{
    cr_expect_str_eq(decoded("data: the new oil, they say"), "none");
    cr_expect_str_eq(decoded("data:oil,gold"), "none");
    cr_expect_str_eq(decoded("data:text/plain;base64"), "none");
    cr_expect_str_eq(decoded("data:"), "none");
    cr_expect_str_eq(decoded("dat"), "none");
    cr_expect_str_eq(decoded(""), "none");
}

Test(data_uri, says_whether_it_is_text)
{
    static const struct {
        const char *text;
        bool is_text;
    } cases[] = {{"data:text/plain,x", true},
                 {"data:;base64,eA==", true},
                 {"data:,x", false},
                 {"data:image/png;base64,eA==", false},
                 {"data:a/b,x", false}};
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++) {
        struct sl_data_uri uri;
        cr_assert_eq(sl_data_uri_parse(sl_slice_str(cases[i].text), &uri), SL_OK);
        cr_expect_eq(sl_data_uri_is_text(&uri), cases[i].is_text, "%s", cases[i].text);
    }
}
