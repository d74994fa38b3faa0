/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/extraction.h"

#include <criterion/criterion.h>

#include "runtime/alloc.h"

static const char *const hex = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static struct sl_source
a_source(void)
{
    return (struct sl_source){
        .fields =
            sl_slice_str("{\"sku\":\"A-17\",\"n\":1.50,\"content\":\"field\",\"a\":{\"b\":[1]}}"),
        .blobs =
            sl_slice_str("[{\"blob_id\":\"blob_1\",\"property\":\"content\",\"type\":\"text\","
                         "\"data\":\"blob\\n\"},"
                         "{\"blob_id\":\"blob_2\",\"property\":\"big\",\"type\":\"text\",\"blob\":"
                         "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}]"),
        .extra = sl_slice_str("{}")};
}

struct parsed {
    struct sl_json_doc *doc;
    struct sl_json root;
};

static struct parsed
parse(const char *text)
{
    struct parsed p = {0};
    cr_assert_eq(sl_json_parse(sl_slice_str(text), &p.doc, NULL), SL_OK);
    p.root = sl_json_root(p.doc);
    return p;
}

Test(extraction, inputs_carry_name_type_and_bytes_and_a_blob_wins_over_a_field)
{
    struct parsed p =
        parse("{\"inputs\":[{\"name\":\"text\",\"path\":\"content\"},"
              "{\"name\":\"big\",\"path\":\"big\"},{\"name\":\"n\",\"path\":\"n\"},"
              "{\"name\":\"deep\",\"path\":\"a.b.0\"},{\"name\":\"x\",\"value\":\"lit\"},"
              "{\"name\":\"gone\",\"path\":\"gone\",\"optional\":true}]}");
    struct sl_source source = a_source();
    struct sl_buf out = {0};
    char *why;
    cr_assert_eq(sl_extraction_inputs(p.root, &source, &out, &why), SL_OK);
    const char *want[] = {"text", "text", "blob\n", "big", "blob", hex,    "n",  "json",
                          "1.50", "deep", "json",   "1",   "x",    "text", "lit"};
    struct sl_reader r = sl_reader(sl_buf_slice(&out));
    for (size_t i = 0; i < SL_COUNT_OF(want); i++) {
        struct sl_slice got = sl_read_block(&r);
        cr_assert(sl_slice_is(got, want[i]), "%zu: %.*s", i, SL_SLICE_FMT(got));
    }
    cr_assert(sl_reader_is_done(&r));
    sl_buf_deinit(&out);
    sl_json_destroy(&p.doc);
}

Test(extraction, what_is_missing_is_named_and_nothing_is_written)
{
    const char *texts[] = {
        "{\"inputs\":[{\"name\":\"x\",\"value\":1},{\"name\":\"text\",\"path\":\"body\"}]}",
        "{\"inputs\":[],\"passthrough\":[{\"source_path\":\"body\",\"required\":true}]}"};
    struct sl_source source = a_source();
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++) {
        struct parsed p = parse(texts[i]);
        struct sl_buf out = {0};
        char *why = NULL;
        cr_assert_eq(sl_extraction_inputs(p.root, &source, &out, &why), SL_EINVAL);
        cr_assert_eq(out.size, 0);
        cr_assert_not_null(strstr(why, "body"), "%s", why);
        sl_free(why);
        cr_assert_eq(sl_extraction_fields(p.root, &source, sl_slice_str("{}"), &out),
                     i == 0 ? SL_OK : SL_EINVAL);
        sl_buf_deinit(&out);
        sl_json_destroy(&p.doc);
    }
    struct sl_source broken = a_source();
    broken.fields = sl_slice_str("{");
    struct parsed p = parse("{}");
    struct sl_buf out = {0};
    char *why = NULL;
    cr_assert_eq(sl_extraction_inputs(p.root, &broken, &out, &why), SL_ECORRUPT);
    cr_assert_not_null(why);
    sl_free(why);
    sl_buf_deinit(&out);
    sl_json_destroy(&p.doc);
}

static void
assert_fields(const char *extraction, const char *outputs, const char *want)
{
    struct parsed p = parse(extraction);
    struct sl_source source = a_source();
    struct sl_buf out = {0};
    cr_assert_eq(sl_extraction_fields(p.root, &source, sl_slice_str(outputs), &out), SL_OK);
    cr_assert_str_eq(sl_buf_text(&out), want);
    sl_buf_deinit(&out);
    sl_json_destroy(&p.doc);
}

Test(extraction, outputs_win_over_passed_fields_and_no_name_comes_twice)
{
    assert_fields("{\"passthrough\":[{\"source_path\":\"sku\"},{\"source_path\":\"a.b\"},"
                  "{\"source_path\":\"n\",\"target_path\":\"sku\"},"
                  "{\"source_path\":\"none\",\"default\":7},{\"source_path\":\"void\"},"
                  "{\"source_path\":\"big\"}]}",
                  "{\"text\":\"t\",\"b\":9}",
                  "{\"text\":\"t\",\"b\":9,\"sku\":\"A-17\",\"none\":7,\"big\":\"blob_2\"}");
    assert_fields("{\"include_all\":true,\"passthrough\":[{\"source_path\":\"sku\"}]}", "{\"n\":2}",
                  "{\"n\":2,\"sku\":\"A-17\",\"content\":\"field\",\"a\":{\"b\":[1]}}");
}

Test(extraction, what_has_a_model_or_is_apart_is_its_tenants_alone)
{
    struct parsed plain = parse("{}"), apart = parse("{\"apart\":true}");
    struct sl_scope scope = {7};
    cr_assert_eq(sl_extraction_tenant(scope, plain.root, ""), 0);
    cr_assert_eq(sl_extraction_tenant(scope, plain.root, "models/7/m"), 7);
    cr_assert_eq(sl_extraction_tenant(scope, apart.root, ""), 7);
    struct sl_slice spec = sl_slice_str("{}"), model = sl_slice_str("");
    cr_assert_neq(sl_extraction_number(spec, model, 7), sl_extraction_number(spec, model, 8));
    sl_json_destroy(&plain.doc);
    sl_json_destroy(&apart.doc);
}

Test(extraction, a_payload_reads_back_and_every_cut_is_refused)
{
    struct sl_task_payload in = {.origin = sl_slice_str("btch_1"),
                                 .collection = sl_slice_str("col_1"),
                                 .source = sl_slice("b\0o", 3)};
    struct sl_task_payload out;
    struct sl_buf buf = {0};
    sl_task_payload_encode(&in, &buf);
    cr_assert_eq(sl_task_payload_decode(sl_buf_slice(&buf), &out), SL_OK);
    cr_assert(sl_slice_equal(out.origin, in.origin));
    cr_assert(sl_slice_equal(out.collection, in.collection));
    cr_assert(sl_slice_equal(out.source, in.source));
    for (size_t size = 0; size < buf.size; size++)
        cr_assert_eq(sl_task_payload_decode(sl_slice(buf.data, size), &out), SL_ECORRUPT);
    sl_buf_deinit(&buf);
}
