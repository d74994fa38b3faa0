/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "runtime/json.h"
#include "runtime/report_line.h"

#define NOW_MS UINT64_C(1772366400000)
#define HEAD                                                                                       \
    "{\"time\":\"2026-03-01T12:00:00.000Z\",\"level\":\"warn\",\"role\":\"main\",\"pid\":7,"       \
    "\"event\":\"e\""

static char out[SL_REPORT_LINE_MAX + 1];

static struct sl_report_line
line_of(const char *details)
{
    return (struct sl_report_line){.at_ms = NOW_MS,
                                   .level = "warn",
                                   .role = "main",
                                   .event = "e",
                                   .pid = 7,
                                   .details = details};
}

static const char *
text_of(const char *details)
{
    struct sl_report_line line = line_of(details);
    size_t size = sl_report_line_text(&line, out);
    cr_assert_leq(size, SL_REPORT_LINE_MAX);
    cr_assert_eq(out[size - 1], '\n');
    out[size] = '\0';
    return out;
}

static const char *
json_of(const char *details)
{
    struct sl_report_line line = line_of(details);
    struct sl_json_doc *doc = NULL;
    size_t size = sl_report_line_json(&line, out);
    cr_assert_leq(size, SL_REPORT_LINE_MAX);
    cr_assert_eq(out[size - 1], '\n');
    cr_assert_null(memchr(out, '\n', size - 1));
    cr_assert_eq(sl_json_parse(sl_slice(out, size - 1), &doc, NULL), SL_OK, "%.*s", (int)size, out);
    sl_json_destroy(&doc);
    out[size] = '\0';
    return out;
}

Test(report_line, text_is_as_it_was_told)
{
    cr_assert_str_eq(text_of("job=4 why=\"it is so\""),
                     "2026-03-01T12:00:00.000Z warn main[7] e job=4 why=\"it is so\"\n");
}

Test(report_line, json_has_a_member_for_each_key)
{
    cr_assert_str_eq(json_of("job=4 tenant=acme why=\"it is so\" at=007 big=1234567890123456"),
                     HEAD ",\"job\":4,\"tenant\":\"acme\",\"why\":\"it is so\",\"at\":\"007\","
                          "\"big\":\"1234567890123456\"}\n");
    cr_assert_str_eq(json_of("two words a=b"), HEAD ",\"a\":\"b\",\"text\":\"two words\"}\n");
    cr_assert_str_eq(json_of("pid=3 event=x"), HEAD ",\"_pid\":3,\"_event\":\"x\"}\n");
    cr_assert_str_eq(json_of("n=\"5\" e= q=\"say \"so\" now\""),
                     HEAD ",\"n\":\"5\",\"e\":\"\",\"q\":\"say \\\"so\\\" now\"}\n");
    cr_assert_str_eq(json_of("tenant=a why=\"x\" tenant=b\""),
                     HEAD ",\"tenant\":\"a\",\"why\":\"x\"}\n");
    cr_assert_str_eq(json_of(""), HEAD "}\n");
}

Test(report_line, what_a_terminal_or_a_page_would_obey_is_escaped)
{
    cr_assert_not_null(strstr(text_of("name=\"a\nb\x1b[2Jc\x7f\xc2\x9b\xff\""),
                              "name=\"a\\x0ab\\x1b[2Jc\\x7f\\xc2\\x9b\\xff\"\n"));
    cr_assert_not_null(strstr(text_of("name=\xe2\x80\xae"
                                      "abc"),
                              "name=\\xe2\\x80\\xae"
                              "abc\n"));
    cr_assert_not_null(strstr(text_of("name=\xc3\xa4"), "name=\xc3\xa4\n"));
    const char *json = json_of("name=\"<script>\n\x1b[2J&\xff\xc3\xa4\"");
    cr_assert_not_null(
        strstr(json, "\\u003cscript\\u003e\\u000a\\u001b[2J\\u0026\\\\xff\xc3\xa4\"}\n"), "%s",
        json);
}

Test(report_line, what_is_too_long_is_cut_and_says_so)
{
    static char details[3 * SL_REPORT_LINE_MAX];
    memset(details, 'a', sizeof(details) - 1);
    const char *text = text_of(details);
    cr_assert_not_null(strstr(text, " ...\n"));
    memcpy(details, "k=1 l=", 6);
    cr_assert_str_eq(json_of(details), HEAD ",\"k\":1,\"is_cut\":true}\n");
    memset(details, 27, sizeof(details) - 1); /* Each four bytes in text, six in JSON. */
    (void)text_of(details);
    (void)json_of(details);
    /* Wherever the end comes, the line is whole. */
    for (size_t size = SL_REPORT_LINE_MAX - 300; size < SL_REPORT_LINE_MAX; size++) {
        memset(details, 'b', size);
        memcpy(details, "k=", 2);
        details[size] = '\0';
        (void)text_of(details);
        (void)json_of(details);
    }
}
