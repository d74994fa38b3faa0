/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gateway/template.h"
#include "runtime/buf.h"

static struct sl_buf out;

static const char *
expand(const char *template, const char *inputs)
{
    struct sl_json_doc *a = NULL, *b = NULL;
    struct sl_jsonw w;
    cr_assert_eq(sl_json_parse(sl_slice_str(template), &a, NULL), SL_OK);
    cr_assert_eq(sl_json_parse(sl_slice_str(inputs), &b, NULL), SL_OK);
    struct sl_template_scope scope = {.input = sl_json_root(b)};
    sl_buf_clear(&out);
    sl_jsonw_init(&w, &out);
    sl_template_expand(sl_json_root(a), &scope, &w);
    sl_jsonw_done(&w);
    sl_json_destroy(&a);
    sl_json_destroy(&b);
    return sl_buf_text(&out);
}

static void
done(void)
{
    sl_buf_deinit(&out);
}

TestSuite(template, .fini = done);

Test(template, gives_a_lone_template_its_values_own_type)
{
    cr_expect_str_eq(expand("\"{{INPUT.n}}\"", "{\"n\":1.50}"), "1.50");
    cr_expect_str_eq(expand("\"{{ inputs.v }}\"", "{\"v\":[1,2]}"), "[1,2]");
    cr_expect_str_eq(expand("\"{{INPUT.a.b}}\"", "{\"a\":{\"b\":\"x\"}}"), "\"x\"");
    cr_expect_str_eq(expand("\"{{INPUT.nope}}\"", "{}"), "null");
}

Test(template, splices_into_text)
{
    cr_expect_str_eq(expand("\"a {{INPUT.s}} b {{INPUT.n}}\"", "{\"s\":\"\\\"q\\\"\",\"n\":3}"),
                     "\"a \\\"q\\\" b 3\"");
    cr_expect_str_eq(expand("\"[{{INPUT.nope}}]\"", "{}"), "\"[]\"");
}

Test(template, reaches_every_string_of_a_value)
{
    cr_expect_str_eq(expand("{\"q\":[{\"value\":\"{{INPUT.x}}\"},5,null,true]}", "{\"x\":\"y\"}"),
                     "{\"q\":[{\"value\":\"y\"},5,null,true]}");
}

Test(template, leaves_alone_what_has_no_root)
{
    cr_expect_str_eq(expand("\"{{SECRET.k}} {{DOC.x}}\"", "{}"), "\"{{SECRET.k}} {{DOC.x}}\"");
    cr_expect_str_eq(expand("\"{{DOC.x}}\"", "{}"), "\"{{DOC.x}}\"");
    cr_expect_str_eq(expand("\"{INPUT.x} {{INPUT.x\"", "{\"x\":1}"), "\"{INPUT.x} {{INPUT.x\"");
    cr_expect_str_eq(expand("\"}}{{\"", "{}"), "\"}}{{\"");
    cr_expect_str_eq(expand("\"{{}}\"", "{}"), "\"{{}}\"");
}

Test(template, does_not_expand_what_an_input_says)
{
    cr_expect_str_eq(expand("\"{{INPUT.a}}\"", "{\"a\":\"{{INPUT.b}}\",\"b\":\"secret\"}"),
                     "\"{{INPUT.b}}\"");
    cr_expect_str_eq(expand("\"x{{INPUT.a}}\"", "{\"a\":\"{{INPUT.b}}\",\"b\":\"secret\"}"),
                     "\"x{{INPUT.b}}\"");
}
