/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gateway/exposition.h"

static void
expect(struct sl_buf *out, const char *text)
{
    cr_assert_str_eq(sl_buf_text(out), text);
    sl_buf_deinit(out);
}

Test(exposition, a_family_tells_its_help_and_kind)
{
    struct sl_buf out = {0};
    sl_exposition_family(&out, "sluice_things", SL_METRIC_SUMMARY, "Things.");
    expect(&out, "# HELP sluice_things Things.\n# TYPE sluice_things summary\n");
}

Test(exposition, samples_have_suffix_labels_and_value)
{
    struct sl_buf out = {0};
    struct sl_sample s = {.family = "a", .suffix = "_sum"};
    sl_sample_write(&s, 2, &out);
    sl_sample_label(&s, "x", sl_slice_str("1"));
    sl_sample_label(&s, "y", sl_slice_str(""));
    sl_sample_write(&s, 0.25, &out);
    expect(&out, "a_sum 2\na_sum{x=\"1\",y=\"\"} 0.25\n");
}

Test(exposition, whole_numbers_are_exact)
{
    struct sl_buf out = {0};
    struct sl_sample s = {.family = "a"};
    sl_sample_write(&s, 9007199254740992.0, &out);
    sl_sample_write(&s, 0, &out);
    sl_sample_write(&s, 1e-9, &out);
    expect(&out, "a 9007199254740992\na 0\na 1e-09\n");
}

Test(exposition, a_value_cannot_end_its_label_or_line)
{
    struct sl_buf out = {0};
    struct sl_sample s = {.family = "a"};
    sl_sample_label(&s, "x", sl_slice_str("\"} 1\nb{y=\"\\"));
    sl_sample_write(&s, 1, &out);
    expect(&out, "a{x=\"\\\"} 1\\nb{y=\\\"\\\\\"} 1\n");
}

Test(exposition, bytes_that_are_no_text_are_replaced)
{
    struct sl_buf out = {0};
    struct sl_sample s = {.family = "a"};
    sl_sample_label(&s, "x", sl_slice_str("\xc3\xa9\xff\xc3"));
    sl_sample_write(&s, 1, &out);
    expect(&out, "a{x=\"\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\"} 1\n");
}

Test(exposition, steps_repeat_the_labels_and_differ_in_the_last)
{
    static const char *const ends[] = {"0.5", "+Inf"};
    static const double values[] = {1, 3};
    struct sl_buf buf = {0};
    struct sl_sample sample = {.family = "f", .suffix = "_bucket"};
    sl_sample_write_steps(&sample, ends, values, 2, &buf);
    sl_sample_label(&sample, "a", sl_slice_str("x\"y"));
    sl_sample_write_steps(&sample, ends, values, 2, &buf);
    cr_assert_str_eq(sl_buf_text(&buf), "f_bucket{le=\"0.5\"} 1\n"
                                        "f_bucket{le=\"+Inf\"} 3\n"
                                        "f_bucket{a=\"x\\\"y\",le=\"0.5\"} 1\n"
                                        "f_bucket{a=\"x\\\"y\",le=\"+Inf\"} 3\n");
    sl_buf_deinit(&buf);
}
