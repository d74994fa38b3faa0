/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/random.h"
#include "tests/runtime/json_oracle.h"

static struct sl_json_doc *
parse(const char *text)
{
    struct sl_json_doc *doc = NULL;
    struct sl_json_error error;
    enum sl_err err = sl_json_parse(sl_slice_str(text), &doc, &error);
    cr_assert_eq(err, SL_OK, "%s: %s", text, err == SL_OK ? "" : error.what);
    return doc;
}

Test(json, refuses_what_the_grammar_refuses)
{
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "01",
        "-",
        "-a",
        "1.",
        ".5",
        "+1",
        "1e",
        "1e+",
        "0x10",
        "NaN",
        "Infinity",
        "nul",
        "True",
        "tru",
        "truex",
        "1 2",
        "{}{}",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "\"\\ud800\"",
        "\"\\ud800x\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\xff\"",
        "\"\xc0\xaf\"",
        "\"\xed\xa0\x80\"",
        "\"\xf5\x80\x80\x80\"",
        "\"\xe2\x82\"",
        "\xef\xbb\xbf{}",
        "'a'",
        "[1]//x",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "[\"a\" \"b\"]",
        "[{]}",
        "[}",
    };
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        struct sl_json_doc *doc = NULL;
        struct sl_json_error error = {0};
        cr_assert_eq(sl_json_parse(sl_slice_str(bad[i]), &doc, &error), SL_EINVAL, "%s", bad[i]);
        cr_assert_null(doc);
        cr_assert_not_null(error.what);
    }
    struct sl_json_doc *doc = NULL;
    cr_assert_eq(sl_json_parse(sl_slice("\"a\0b\"", 5), &doc, NULL), SL_EINVAL);
    cr_assert_eq(sl_json_parse(sl_slice("1\0", 2), &doc, NULL), SL_EINVAL);
}

Test(json, says_where_the_error_is)
{
    struct sl_json_doc *doc = NULL;
    struct sl_json_error error;
    const char *text = "{\n  \"a\": 1\n  \"b\": 2\n}";
    cr_assert_eq(sl_json_parse(sl_slice_str(text), &doc, &error), SL_EINVAL);
    cr_assert_eq(error.line, 3);
    cr_assert_eq(error.column, 3);
    cr_assert_eq(error.offset, 13);
    cr_assert_str_eq(error.what, "expected ',' or '}'");
}

Test(json, nests_to_its_limit_and_not_further)
{
    for (int depth = SL_JSON_DEPTH_MAX; depth <= SL_JSON_DEPTH_MAX + 1; depth++) {
        struct sl_buf text = {0};
        struct sl_json_doc *doc = NULL;
        for (int i = 0; i < depth; i++)
            sl_buf_append_str(&text, i % 2 ? "[" : "{\"a\":");
        sl_buf_append_str(&text, "1");
        for (int i = depth; i-- > 0;)
            sl_buf_append_str(&text, i % 2 ? "]" : "}");
        enum sl_err err = sl_json_parse(sl_buf_slice(&text), &doc, NULL);
        cr_assert_eq(err, depth > SL_JSON_DEPTH_MAX ? SL_EINVAL : SL_OK);
        if (err == SL_OK)
            oracle_round_trip(sl_json_root(doc));
        sl_json_destroy(&doc);
        sl_buf_deinit(&text);
    }
}

Test(json, reads_members_elements_and_paths)
{
    struct sl_json_doc *doc = parse("{\"a\":{\"b\":[10,{\"c\":\"x\"},null]},\"a.b\":true,"
                                    "\"\\u00e9\\n\":1,\"e\":{},\"z\":[]}");
    struct sl_json root = sl_json_root(doc);
    int64_t v;
    cr_assert_eq(sl_json_count(root), 5);
    cr_assert_eq(sl_json_kind(sl_json_path(root, sl_slice_str("a.b"))), SL_JSON_BOOL);
    cr_assert(sl_json_is(sl_json_path(root, sl_slice_str("a.b.1.c")), "x"));
    cr_assert_eq(sl_json_i64(sl_json_path(root, sl_slice_str("a.b.0")), &v), SL_OK);
    cr_assert_eq(v, 10);
    cr_assert_eq(sl_json_kind(sl_json_path(root, sl_slice_str("a.b.2"))), SL_JSON_NULL);
    cr_assert_not(sl_json_has(sl_json_path(root, sl_slice_str("a.b.2"))));
    static const char *const absent[] = {"a.b.3", "a.b.-1", "a.b.1.c.d",      "", ".", "a.",
                                         "e.a",   "z.0",    "a.b.99999999999"};
    for (size_t i = 0; i < SL_COUNT_OF(absent); i++)
        cr_assert_eq(sl_json_kind(sl_json_path(root, sl_slice_str(absent[i]))), SL_JSON_NONE, "%s",
                     absent[i]);
    cr_assert(sl_json_has(sl_json_member(root, "\xc3\xa9\n")));
    cr_assert(
        sl_slice_is(sl_json_raw(sl_json_member(root, "a")), "{\"b\":[10,{\"c\":\"x\"},null]}"));
    uint32_t names = 0;
    for (struct sl_json_iter i = sl_json_iter(root); sl_json_next(&i); names++)
        cr_assert_eq(sl_json_kind(i.name), SL_JSON_STRING);
    cr_assert_eq(names, 5);
    sl_json_destroy(&doc);
}

Test(json, arrays_of_strings_have_no_names)
{
    struct sl_json_doc *doc = parse("[\"a\",\"b\",{\"c\":\"d\"}]");
    uint32_t count = 0;
    for (struct sl_json_iter i = sl_json_iter(sl_json_root(doc)); sl_json_next(&i); count++)
        cr_assert_eq(sl_json_kind(i.name), SL_JSON_NONE);
    cr_assert_eq(count, 3);
    sl_json_destroy(&doc);
}

Test(json, an_absent_view_answers_absent)
{
    struct sl_json none = sl_json_root(NULL);
    struct sl_buf scratch = {0};
    struct sl_slice text;
    int64_t i;
    double d;
    cr_assert_eq(sl_json_kind(none), SL_JSON_NONE);
    cr_assert_eq(sl_json_raw(none).size, 0);
    cr_assert_eq(sl_json_kind(sl_json_member(none, "a")), SL_JSON_NONE);
    cr_assert_eq(sl_json_kind(sl_json_path(none, sl_slice_str("a.b"))), SL_JSON_NONE);
    cr_assert_eq(sl_json_text(none, &scratch, &text), SL_EINVAL);
    cr_assert_eq(sl_json_i64(none, &i), SL_EINVAL);
    cr_assert_eq(sl_json_f64(none, &d), SL_EINVAL);
    cr_assert(sl_json_bool(none, true));
    cr_assert_null(sl_json_strdup(none));
    struct sl_json_iter iter = sl_json_iter(none);
    cr_assert_not(sl_json_next(&iter));
}

Test(json, unescapes_text)
{
    struct sl_json_doc *doc =
        parse("[\"plain\",\"\\\"\\\\\\/"
              "\\b\\f\\n\\r\\t\",\"\\ud83d\\ude00\\u00E9\\u20ac\",\"a\\u0000b\"]");
    struct sl_json root = sl_json_root(doc);
    struct sl_buf scratch = {0};
    struct sl_slice text;
    cr_assert_eq(sl_json_text(sl_json_path(root, sl_slice_str("0")), &scratch, &text), SL_OK);
    cr_assert(sl_slice_is(text, "plain"));
    cr_assert_eq(scratch.size, 0);
    cr_assert_eq(sl_json_text(sl_json_path(root, sl_slice_str("1")), &scratch, &text), SL_OK);
    cr_assert(sl_slice_is(text, "\"\\/\b\f\n\r\t"));
    cr_assert(
        sl_json_is(sl_json_path(root, sl_slice_str("2")), "\xf0\x9f\x98\x80\xc3\xa9\xe2\x82\xac"));
    cr_assert_null(sl_json_strdup(sl_json_path(root, sl_slice_str("3"))));
    sl_buf_deinit(&scratch);
    sl_json_destroy(&doc);
}

Test(json, reads_integers_exactly_or_not_at_all)
{
    struct sl_json_doc *doc = parse("[9223372036854775807,-9223372036854775808,9223372036854775808,"
                                    "18446744073709551615,18446744073709551616,5.0,5e0,-0,-3]");
    static const bool is_i64[] = {1, 1, 0, 0, 0, 0, 0, 1, 1};
    static const bool is_u64[] = {1, 0, 1, 1, 0, 0, 0, 1, 0};
    size_t at = 0;
    for (struct sl_json_iter i = sl_json_iter(sl_json_root(doc)); sl_json_next(&i); at++) {
        int64_t s;
        uint64_t u;
        double d;
        cr_assert_eq(sl_json_i64(i.value, &s) == SL_OK, is_i64[at]);
        cr_assert_eq(sl_json_u64(i.value, &u) == SL_OK, is_u64[at]);
        cr_assert_eq(sl_json_f64(i.value, &d), SL_OK);
        cr_assert_neq(d == INT64_MIN, at != 1);
    }
    sl_json_destroy(&doc);
    doc = parse("1e999");
    double d;
    cr_assert_eq(sl_json_f64(sl_json_root(doc), &d), SL_EINVAL);
    sl_json_destroy(&doc);
}

Test(json, finds_duplicates_in_large_objects)
{
    for (int is_bad = 0; is_bad < 2; is_bad++) {
        struct sl_buf text = {0};
        struct sl_json_doc *doc = NULL;
        struct sl_json_error error;
        for (int i = 0; i < 20000; i++)
            sl_buf_printf(&text, "%c\"n\\u0061me%d\":%d", i == 0 ? '{' : ',',
                          is_bad && i == 19000 ? 7 : i, i);
        sl_buf_append_str(&text, "}");
        cr_assert_eq(sl_json_parse(sl_buf_slice(&text), &doc, &error), is_bad ? SL_EINVAL : SL_OK);
        if (is_bad)
            cr_assert_str_eq(error.what, "a duplicate name");
        else
            cr_assert(sl_json_has(sl_json_member(sl_json_root(doc), "name19999")));
        sl_json_destroy(&doc);
        sl_buf_deinit(&text);
    }
}

static void
expect_written(struct sl_buf *out, const char *text)
{
    cr_assert_str_eq(sl_buf_text(out), text);
    sl_buf_clear(out);
}

Test(json, writes_every_kind)
{
    struct sl_buf out = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &out);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "s", "a\"\\\n\x01\xff\xc3\xa9");
    sl_jsonw_member_str(&w, "none", NULL);
    sl_jsonw_member_i64(&w, "i", INT64_MIN);
    sl_jsonw_member_u64(&w, "u", UINT64_MAX);
    sl_jsonw_member_bool(&w, "b", true);
    sl_jsonw_member_null(&w, "n");
    sl_jsonw_member_raw(&w, "r", sl_slice_str("[1, 2]"));
    sl_jsonw_member_time(&w, "t", 0);
    sl_jsonw_name(&w, "a");
    sl_jsonw_array(&w);
    sl_jsonw_object(&w);
    sl_jsonw_end(&w);
    sl_jsonw_array(&w);
    sl_jsonw_u64(&w, 0);
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    expect_written(&out, "{\"s\":\"a\\\"\\\\\\n\\u0001\xef\xbf\xbd\xc3\xa9\",\"none\":null,"
                         "\"i\":-9223372036854775808,\"u\":18446744073709551615,\"b\":true,"
                         "\"n\":null,\"r\":[1, 2],\"t\":null,\"a\":[{},[0]]}");
    sl_buf_deinit(&out);
}

Test(json, writes_the_shortest_number_that_reads_back)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {{1, "1"},
                 {-3, "-3"},
                 {0.1, "0.1"},
                 {0.5, "0.5"},
                 {1e100, "1e+100"},
                 {0, "0"},
                 {-0.0, "-0"},
                 {NAN, "null"},
                 {INFINITY, "null"},
                 {1.0 / 3, "0.3333333333333333"},
                 {123456789, "123456789"},
                 {5e-324, "4.94065645841247e-324"}};
    struct sl_buf out = {0};
    struct sl_jsonw w;
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++) {
        sl_jsonw_init(&w, &out);
        sl_jsonw_f64(&w, cases[i].v);
        expect_written(&out, cases[i].text);
    }
    struct sl_random random;
    sl_random_seed(&random, 7);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = sl_random_u64(&random);
        double v, back;
        float f;
        memcpy(&v, &bits, sizeof(v));
        memcpy(&f, &bits, sizeof(f));
        if (!isfinite(v) || !isfinite(f))
            continue;
        sl_buf_clear(&out);
        sl_jsonw_init(&w, &out);
        sl_jsonw_array(&w);
        sl_jsonw_f64(&w, v);
        sl_jsonw_f32(&w, f);
        sl_jsonw_end(&w);
        struct sl_json_doc *doc = parse(sl_buf_text(&out));
        cr_assert_eq(sl_json_f64(sl_json_path(sl_json_root(doc), sl_slice_str("0")), &back), SL_OK);
        cr_assert_eq(v, back);
        cr_assert_eq(sl_json_f64(sl_json_path(sl_json_root(doc), sl_slice_str("1")), &back), SL_OK);
        cr_assert_eq(f, (float)back);
        sl_json_destroy(&doc);
    }
    sl_buf_deinit(&out);
}

/* Seeded mutations of documents, each held against jansson; see json_oracle.h. */
Test(json, agrees_with_another_reader_on_mutated_texts)
{
    static const char *const seeds[] = {
        "{\"a\":[1,-2.5e3,true,false,null],\"b\":{\"c\":\"\\ud83d\\ude00\\n\"},\"d\":\"\"}",
        "[[[]],{},[{\"x\":0}],\"\xc3\xa9\",1e5,123456789012,0.1]",
        "{\"k\":\"v\",\"l\":\"\\u0041\",\"m\":-0,\"k2\":[\"a\",\"b\"]}"};
    static const char alphabet[] = "{}[]\",:\\u0123eE+-.tfn \x80\xc3\xed";
    struct sl_random random;
    sl_random_seed(&random, 1);
    uint32_t accepted = 0;
    for (int i = 0; i < 60000; i++) {
        uint8_t text[128];
        const char *seed = seeds[sl_random_below(&random, SL_COUNT_OF(seeds))];
        size_t size = strlen(seed);
        memcpy(text, seed, size);
        for (uint64_t edits = sl_random_below(&random, 4); edits > 0; edits--) {
            size_t at = sl_random_below(&random, size);
            uint8_t byte = (uint8_t)alphabet[sl_random_below(&random, sizeof(alphabet) - 1)];
            if (sl_random_below(&random, 3) > 0) {
                text[at] = byte;
            } else if (size > 1) {
                memmove(text + at, text + at + 1, size - at - 1);
                size--;
            }
        }
        accepted += oracle_check(sl_slice(text, size));
    }
    cr_assert_gt(accepted, 10000);
    cr_assert_lt(accepted, 50000);
}
