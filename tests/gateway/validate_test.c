/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gateway/route.h"

static const struct sl_field item_schema[] = {
    {.name = "type", .kind = SL_FIELD_STRING, .is_required = true, .choices = "a|bc"},
    {.name = NULL},
};
static const struct sl_field schema[] = {
    {.name = "name",
     .alias = "title",
     .kind = SL_FIELD_STRING,
     .is_required = true,
     .min = 1,
     .max = 3},
    {.name = "count", .kind = SL_FIELD_INTEGER, .min = 1, .max = 9},
    {.name = "rate", .kind = SL_FIELD_NUMBER, .min = 0.5},
    {.name = "on", .kind = SL_FIELD_BOOLEAN},
    {.name = "tags", .kind = SL_FIELD_STRINGS, .max = 2},
    {.name = "items", .kind = SL_FIELD_ARRAY, .min = 1, .max = 50, .fields = item_schema},
    {.name = "one", .kind = SL_FIELD_OBJECT, .fields = item_schema},
    {.name = "when", .kind = SL_FIELD_TIME},
    {.name = "any", .kind = SL_FIELD_ANY},
    {.name = NULL},
};
static const struct sl_route route = {.schema = schema, .success = 200, .body = SL_BODY_JSON};

/* The failures of a body as "loc type;" each, or "" when it is fine. */
static const char *
failures(const char *body)
{
    static char text[4096];
    struct sl_buf out = {0}, scratch = {0};
    struct sl_call *call = sl_call_create();
    call->route = &route;
    cr_assert_eq(sl_json_parse(sl_slice_str(body), &call->body_doc, NULL), SL_OK, "%s", body);
    call->body = sl_json_root(call->body_doc);
    sl_route_validate(call);
    if (sl_call_has_failed(call)) {
        struct sl_json_doc *doc = NULL;
        cr_assert_eq(call->status, 422);
        cr_assert_eq(sl_json_parse(sl_buf_slice(&call->reply), &doc, NULL), SL_OK);
        struct sl_json detail = sl_json_member(sl_json_root(doc), "detail");
        for (struct sl_json_iter i = sl_json_iter(detail); sl_json_next(&i);) {
            sl_buf_append_slice(&out, sl_json_raw(sl_json_member(i.value, "loc")));
            sl_buf_append_slice(&out, sl_json_raw(sl_json_member(i.value, "type")));
            sl_buf_append_str(&out, ";");
        }
        sl_json_destroy(&doc);
    }
    cr_assert_lt(out.size, sizeof(text));
    memcpy(text, sl_buf_text(&out), out.size + 1);
    sl_buf_deinit(&out);
    sl_buf_deinit(&scratch);
    sl_call_destroy(&call);
    return text;
}

Test(validate, a_body_that_fits_passes)
{
    cr_assert_str_eq(
        failures("{\"name\":\"abc\",\"count\":9,\"rate\":1e3,\"on\":false,\"tags\":[\"x\"],"
                 "\"items\":[{\"type\":\"bc\"}],\"one\":{\"type\":\"a\"},"
                 "\"when\":\"2026-01-10T12:00:00+01:00\",\"any\":[1],\"unknown\":7}"),
        "");
}

Test(validate, an_alias_and_null_and_characters_count)
{
    cr_assert_str_eq(failures("{\"title\":\"abc\",\"count\":null}"), "");
    cr_assert_str_eq(failures("{\"name\":null,\"title\":\"abc\"}"), "");
    cr_assert_str_eq(failures("{\"name\":\"\\u00e4\\u00f6\\u00fc\"}"), "");
    cr_assert_str_eq(failures("{\"title\":\"\"}"), "[\"body\",\"title\"]\"string_too_short\";");
    cr_assert_str_eq(failures("{\"name\":null}"), "[\"body\",\"name\"]\"missing\";");
}

Test(validate, every_failure_is_listed)
{
    cr_assert_str_eq(failures("{\"count\":0,\"rate\":0.25,\"on\":1,\"tags\":[1,\"a\",\"b\"],"
                              "\"items\":[{\"type\":\"a\"},3,{\"type\":\"c\"}],\"one\":{},"
                              "\"when\":\"now\"}"),
                     "[\"body\",\"name\"]\"missing\";"
                     "[\"body\",\"count\"]\"greater_than_equal\";"
                     "[\"body\",\"rate\"]\"greater_than_equal\";"
                     "[\"body\",\"on\"]\"bool_type\";"
                     "[\"body\",\"tags\"]\"too_long\";"
                     "[\"body\",\"tags\",0]\"string_type\";"
                     "[\"body\",\"items\",1]\"dict_type\";"
                     "[\"body\",\"items\",2,\"type\"]\"enum\";"
                     "[\"body\",\"one\",\"type\"]\"missing\";"
                     "[\"body\",\"when\"]\"datetime_type\";");
}

Test(validate, types_are_strict)
{
    cr_assert_str_eq(failures("{\"name\":5,\"count\":5.0}"),
                     "[\"body\",\"name\"]\"string_type\";[\"body\",\"count\"]\"int_type\";");
    cr_assert_str_eq(failures("{\"name\":\"a\\u0000\"}"), "[\"body\",\"name\"]\"string_type\";");
    cr_assert_str_eq(failures("[]"), "[\"body\"]\"dict_type\";");
    cr_assert_str_eq(failures("{\"name\":\"a\",\"items\":[],\"one\":[]}"),
                     "[\"body\",\"items\"]\"too_short\";[\"body\",\"one\"]\"dict_type\";");
}

Test(validate, a_form_reads_as_the_object_it_means)
{
    struct sl_call *call = sl_call_create();
    call->route = &route;
    const char *pairs[][2] = {{"name", "5"},       {"count", "7"},   {"on", "True"},
                              {"tags", "[\"x\"]"}, {"other", "1.0"}, {"name", "6"}};
    for (size_t i = 0; i < SL_COUNT_OF(pairs); i++)
        call->form[call->form_count++] =
            (struct sl_pair){sl_slice_str(pairs[i][0]), sl_slice_str(pairs[i][1])};
    sl_route_form_body(call);
    cr_assert(
        sl_slice_is(call->body_text,
                    "{\"name\":\"5\",\"count\":7,\"on\":true,\"tags\":[\"x\"],\"other\":\"1.0\"}"));
    sl_route_validate(call);
    cr_assert_not(sl_call_has_failed(call));
    sl_call_destroy(&call);
}
