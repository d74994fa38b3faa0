/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/labels.h"

#include <criterion/criterion.h>

#include "runtime/alloc.h"

static bool
fit(const char *asked, const char *has)
{
    struct sl_json_doc *a = NULL, *h = NULL;
    cr_assert_eq(sl_json_parse(sl_slice_str(asked), &a, NULL), SL_OK);
    if (has[0] != '\0')
        cr_assert_eq(sl_json_parse(sl_slice_str(has), &h, NULL), SL_OK);
    bool is_fit = sl_labels_fit(sl_json_root(a), sl_json_root(h));
    sl_json_destroy(&a);
    sl_json_destroy(&h);
    return is_fit;
}

Test(labels, all_that_is_asked_for_must_be_there)
{
    cr_expect(fit("{}", ""));
    cr_expect(fit("{\"a\":\"1\"}", "{\"b\":\"2\",\"a\":\"1\"}"));
    cr_expect(fit("{\"a\":\"\\u0031\"}", "{\"\\u0061\":\"1\"}"), "however it is written");
    cr_expect_not(fit("{\"a\":\"1\"}", ""));
    cr_expect_not(fit("{\"a\":\"1\"}", "{\"a\":\"12\"}"));
    cr_expect_not(fit("{\"a\":\"1\",\"b\":\"2\"}", "{\"a\":\"1\"}"));
}

Test(labels, reads_what_extractors_ask_for)
{
    struct sl_json_doc *doc, *name = NULL;
    char *why = NULL;
    struct sl_buf text = {0};
    cr_assert_eq(sl_labels_read(sl_slice_str(""), &doc, &why), SL_OK);
    cr_assert_null(doc);
    cr_assert_eq(sl_labels_read(sl_slice_str("{\"x\":{\"labels\":{\"a\":\"1\",\"b\":\"2\"}},"
                                             "\"y\":\"\",\"z\":{}}"),
                                &doc, &why),
                 SL_OK, "%s", why);
    cr_assert_eq(sl_json_parse(sl_slice_str("[\"x\",\"y\",\"z\",\"w\",7]"), &name, NULL), SL_OK);
    uint32_t asking = 0;
    for (struct sl_json_iter i = sl_json_iter(sl_json_root(name)); sl_json_next(&i);)
        asking += sl_json_has(sl_labels_of(doc, i.value));
    cr_assert_eq(asking, 1);
    sl_labels_print(sl_labels_of(doc, sl_json_path(sl_json_root(name), sl_slice_str("0"))), &text);
    cr_assert_str_eq(sl_buf_text(&text), "a=1, b=2");
    sl_buf_deinit(&text);
    sl_json_destroy(&doc);
    sl_json_destroy(&name);
}

Test(labels, refuses_what_is_no_configuration_and_says_why)
{
    static const char *const bad[][2] = {
        {"text", "takes keys"},
        {"[1]", "takes keys"},
        {"{\"x\":\"y\"}", "extractors.\"x\": takes keys"},
        {"{\"x\":{\"label\":{}}}", "no key but labels"},
        {"{\"x\":{\"labels\":\"a\"}}", "name: value"},
        {"{\"x\":{\"labels\":{\"a\":{\"b\":\"c\"}}}}", "texts"},
    };
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        struct sl_json_doc *doc;
        char *why = NULL;
        cr_assert_eq(sl_labels_read(sl_slice_str(bad[i][0]), &doc, &why), SL_EINVAL);
        cr_expect_not_null(strstr(why, bad[i][1]), "%s", why);
        sl_free(why);
    }
}
