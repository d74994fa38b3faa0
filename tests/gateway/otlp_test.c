/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/otlp.h"

#include <criterion/criterion.h>

#include "runtime/alloc.h"
#include "runtime/json.h"

static struct sl_span
some_span(void)
{
    struct sl_span span = {.trace = {0x4b, 0xf9, [15] = 0x36},
                           .id = {0, 0xf0, [7] = 0xb7},
                           .parent = {[7] = 1},
                           .name = "compute",
                           .kind = SL_SPAN_INTERNAL,
                           .start_ns = UINT64_C(1700000000000000001),
                           .end_ns = UINT64_C(1700000000000000009)};
    return span;
}

static void
expect(const struct sl_span *span, const char *wanted)
{
    struct sl_buf out = {0};
    sl_otlp_span(span, &out);
    cr_expect(sl_slice_is(sl_buf_slice(&out), wanted), "%.*s", SL_SLICE_FMT(sl_buf_slice(&out)));
    sl_buf_deinit(&out);
}

Test(otlp, ids_are_hex_and_times_are_texts)
{
    struct sl_span span = some_span();
    sl_span_text(&span, "sluice.tenant", sl_slice_str("a\"b"));
    sl_span_number(&span, "sluice.task", UINT64_C(1) << 60);
    expect(&span, "{\"traceId\":\"4bf90000000000000000000000000036\","
                  "\"spanId\":\"00f00000000000b7\",\"parentSpanId\":\"0000000000000001\","
                  "\"name\":\"compute\",\"kind\":1,"
                  "\"startTimeUnixNano\":\"1700000000000000001\","
                  "\"endTimeUnixNano\":\"1700000000000000009\",\"attributes\":["
                  "{\"key\":\"sluice.tenant\",\"value\":{\"stringValue\":\"a\\\"b\"}},"
                  "{\"key\":\"sluice.task\",\"value\":{\"intValue\":\"1152921504606846976\"}}]}");
}

Test(otlp, a_root_names_no_parent_and_an_error_has_a_status)
{
    struct sl_span span = some_span();
    memset(span.parent, 0, sizeof(span.parent));
    span.is_error = true;
    span.end_ns = 0;
    expect(&span, "{\"traceId\":\"4bf90000000000000000000000000036\","
                  "\"spanId\":\"00f00000000000b7\",\"name\":\"compute\",\"kind\":1,"
                  "\"startTimeUnixNano\":\"1700000000000000001\","
                  "\"endTimeUnixNano\":\"1700000000000000001\",\"attributes\":[],"
                  "\"status\":{\"code\":2}}");
}

Test(otlp, attributes_are_bounded)
{
    struct sl_span span = some_span();
    char text[SL_SPAN_TEXT_MAX + 10];
    memset(text, 'x', sizeof(text));
    sl_span_text(&span, "empty", sl_slice_str(""));
    cr_expect_eq(span.attributes_count, 0);
    for (int i = 0; i < 2 * SL_SPAN_ATTRIBUTES_MAX; i++)
        sl_span_text(&span, "name", sl_slice(text, sizeof(text)));
    sl_span_number(&span, "number", 1);
    cr_expect_eq(span.attributes_count, SL_SPAN_ATTRIBUTES_MAX);
    cr_expect_eq(span.attributes[0].text.size, SL_SPAN_TEXT_MAX);
}

static struct sl_json
first(struct sl_json array)
{
    struct sl_json_iter i = sl_json_iter(array);
    cr_assert(sl_json_next(&i));
    return i.value;
}

Test(otlp, a_request_is_one_resource_with_all_spans)
{
    struct sl_otlp_resource resource = {.version = "1", .host = "h", .instance = "h-7"};
    struct sl_span span = some_span();
    struct sl_buf out = {0}, spans = {0};
    struct sl_json_doc *doc;
    sl_otlp_span(&span, &spans);
    sl_otlp_span(&span, &spans);
    sl_otlp_begin(&resource, &out);
    sl_buf_append_slice(&out, sl_buf_slice(&spans));
    sl_otlp_end(&out);
    cr_assert_eq(sl_json_parse(sl_buf_slice(&out), &doc, NULL), SL_OK);
    struct sl_json group = first(sl_json_member(sl_json_root(doc), "resourceSpans"));
    struct sl_json attributes = sl_json_member(sl_json_member(group, "resource"), "attributes");
    struct sl_json scope = first(sl_json_member(group, "scopeSpans"));
    cr_expect_eq(sl_json_count(attributes), 4);
    cr_expect_eq(sl_json_count(sl_json_member(scope, "spans")), 2);
    sl_json_destroy(&doc);
    sl_buf_deinit(&out);
    sl_buf_deinit(&spans);
}

Test(otlp, what_a_collector_refused_is_read_as_number_or_text)
{
    cr_expect_eq(sl_otlp_refused(sl_slice_str("{}")), 0);
    cr_expect_eq(sl_otlp_refused(sl_slice_str("")), 0);
    cr_expect_eq(sl_otlp_refused(sl_slice_str("<html>")), 0);
    cr_expect_eq(sl_otlp_refused(sl_slice_str("{\"partialSuccess\":{\"rejectedSpans\":3}}")), 3);
    cr_expect_eq(sl_otlp_refused(sl_slice_str("{\"partialSuccess\":{\"rejectedSpans\":\"4\"}}")),
                 4);
}
