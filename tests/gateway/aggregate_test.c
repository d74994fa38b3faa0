/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "gateway/aggregate.h"
#include "runtime/buf.h"

static struct sl_json_doc *docs[16];
static uint32_t docs_count;

static struct sl_json
parse(const char *text)
{
    cr_assert_eq(sl_json_parse(sl_slice_str(text), &docs[docs_count], NULL), SL_OK, "%s", text);
    return sl_json_root(docs[docs_count++]);
}

static void
forget(void)
{
    while (docs_count > 0)
        sl_json_destroy(&docs[--docs_count]);
}

TestSuite(aggregate, .fini = forget);

/* Group `rows` as `request` says and compare with `wanted`. */
static void
check(const char *request, const char *rows, const char *wanted)
{
    struct sl_aggregation *a = NULL;
    struct sl_aggregation_error error = {0};
    struct sl_buf out = {0};
    struct sl_jsonw w;
    cr_assert_eq(sl_aggregation_create(parse(request), &a, &error), SL_OK, "%s: %s", error.place,
                 error.why);
    for (struct sl_json_iter i = sl_json_iter(parse(rows)); sl_json_next(&i);)
        cr_assert_eq(sl_aggregation_add(a, i.value), SL_OK);
    sl_jsonw_init(&w, &out);
    (void)sl_aggregation_write(a, &w);
    sl_jsonw_done(&w);
    cr_assert_str_eq(sl_buf_text(&out), wanted);
    sl_buf_deinit(&out);
    sl_aggregation_destroy(&a);
}

#define SALES                                                                                      \
    "[{\"shop\":\"a\",\"n\":3,\"at\":\"2026-03-04T05:06:07Z\",\"tags\":[\"x\",\"y\"]},"            \
    "{\"shop\":\"b\",\"n\":5,\"at\":\"2026-03-09T00:00:00Z\",\"tags\":[\"x\"]},"                   \
    "{\"shop\":\"a\",\"n\":1,\"at\":\"2026-03-08T23:59:59Z\",\"tags\":[]}]"

Test(aggregate, counts_and_sums_each_group)
{
    check("{\"group_by\":[{\"field\":\"shop\"}],\"aggregations\":["
          "{\"function\":\"count\",\"alias\":\"c\"},"
          "{\"function\":\"sum\",\"field\":\"n\",\"alias\":\"s\"},"
          "{\"function\":\"avg\",\"field\":\"n\",\"alias\":\"m\"}],"
          "\"sort_by\":\"s\",\"sort_direction\":\"asc\"}",
          SALES,
          "[{\"group\":{\"shop\":\"a\"},\"metrics\":{\"c\":2,\"s\":4,\"m\":2}},"
          "{\"group\":{\"shop\":\"b\"},\"metrics\":{\"c\":1,\"s\":5,\"m\":5}}]");
}

Test(aggregate, without_groups_is_one_result_even_of_nothing)
{
    check("{\"aggregations\":[{\"function\":\"count\",\"alias\":\"c\"},"
          "{\"function\":\"max\",\"field\":\"n\",\"alias\":\"m\"}]}",
          "[]", "[{\"group\":{},\"metrics\":{\"c\":0,\"m\":null}}]");
}

Test(aggregate, least_greatest_first_and_last)
{
    check("{\"aggregations\":[{\"function\":\"min\",\"field\":\"n\",\"alias\":\"a\"},"
          "{\"function\":\"max\",\"field\":\"at\",\"alias\":\"b\"},"
          "{\"function\":\"first\",\"field\":\"n\",\"alias\":\"c\"},"
          "{\"function\":\"last\",\"field\":\"n\",\"alias\":\"d\"}]}",
          SALES,
          "[{\"group\":{},\"metrics\":{\"a\":1,\"b\":\"2026-03-09T00:00:00Z\",\"c\":3,\"d\":1}}]");
}

Test(aggregate, sets_hold_each_value_once_and_lists_all)
{
    check("{\"aggregations\":[{\"function\":\"add_to_set\",\"field\":\"shop\",\"alias\":\"a\"},"
          "{\"function\":\"push\",\"field\":\"shop\",\"alias\":\"b\"},"
          "{\"function\":\"count_distinct\",\"field\":\"shop\",\"alias\":\"c\"}]}",
          SALES,
          "[{\"group\":{},\"metrics\":{\"a\":[\"a\",\"b\"],\"b\":[\"a\",\"b\",\"a\"],\"c\":2}}]");
}

Test(aggregate, variance_is_that_of_a_sample)
{
    check("{\"aggregations\":[{\"function\":\"variance\",\"field\":\"n\",\"alias\":\"v\"},"
          "{\"function\":\"stddev\",\"field\":\"n\",\"alias\":\"d\"}]}",
          SALES, "[{\"group\":{},\"metrics\":{\"v\":4,\"d\":2}}]");
}

Test(aggregate, dates_are_cut_to_a_unit_and_weeks_begin_on_monday)
{
    check("{\"group_by\":[{\"field\":\"at\",\"date_trunc\":\"week\",\"alias\":\"w\"}],"
          "\"aggregations\":[{\"function\":\"count\",\"alias\":\"c\"}]}",
          SALES,
          "[{\"group\":{\"w\":\"2026-03-02T00:00:00.000Z\"},\"metrics\":{\"c\":2}},"
          "{\"group\":{\"w\":\"2026-03-09T00:00:00.000Z\"},\"metrics\":{\"c\":1}}]");
}

Test(aggregate, parts_of_dates_are_numbers_and_sunday_is_1)
{
    check("{\"group_by\":[{\"field\":\"at\",\"date_part\":\"dayOfWeek\",\"alias\":\"d\"}],"
          "\"aggregations\":[{\"function\":\"count\",\"alias\":\"c\"}],\"sort_by\":\"d\","
          "\"sort_direction\":\"asc\"}",
          SALES,
          "[{\"group\":{\"d\":1},\"metrics\":{\"c\":1}},{\"group\":{\"d\":2},\"metrics\":{\"c\":1}}"
          ",{\"group\":{\"d\":4},\"metrics\":{\"c\":1}}]");
}

Test(aggregate, a_boundary_belongs_to_the_range_below_it)
{
    check("{\"range_buckets\":[{\"field\":\"n\",\"boundaries\":[0,3,4],"
          "\"default_bucket\":\"more\"}],"
          "\"aggregations\":[{\"function\":\"count\",\"alias\":\"c\"}]}",
          SALES,
          "[{\"group\":{\"n\":\"0-3\"},\"metrics\":{\"c\":2}},"
          "{\"group\":{\"n\":\"more\"},\"metrics\":{\"c\":1}}]");
}

Test(aggregate, unwinding_counts_each_element)
{
    check("{\"unwind\":\"tags\",\"group_by\":[\"tags\"],"
          "\"aggregations\":[{\"function\":\"count\",\"alias\":\"c\"}],\"sort_by\":\"c\"}",
          SALES,
          "[{\"group\":{\"tags\":\"x\"},\"metrics\":{\"c\":2}},"
          "{\"group\":{\"tags\":\"y\"},\"metrics\":{\"c\":1}}]");
}

Test(aggregate, having_and_limit_choose_among_groups)
{
    check("{\"group_by\":[\"shop\"],\"aggregations\":[{\"function\":\"count\",\"alias\":\"c\"}],"
          "\"having\":[{\"field\":\"c\",\"operator\":\"gte\",\"value\":2}]}",
          SALES, "[{\"group\":{\"shop\":\"a\"},\"metrics\":{\"c\":2}}]");
    check("{\"group_by\":[\"shop\"],\"aggregations\":[{\"function\":\"count\",\"alias\":\"c\"}],"
          "\"sort_by\":\"shop\",\"limit\":1}",
          SALES, "[{\"group\":{\"shop\":\"b\"},\"metrics\":{\"c\":1}}]");
}

Test(aggregate, says_what_is_wrong_with_a_request)
{
    static const char *const wrong[][2] = {
        {"{}", "aggregations"},
        {"{\"aggregations\":[{\"function\":\"no\",\"alias\":\"a\"}]}", "aggregations.0.function"},
        {"{\"aggregations\":[{\"function\":\"sum\",\"alias\":\"a\"}]}", "aggregations.0.field"},
        {"{\"aggregations\":[{\"function\":\"count\"}]}", "aggregations.0.alias"},
        {"{\"aggregations\":[{\"function\":\"count\",\"alias\":\"a\"},"
         "{\"function\":\"count\",\"alias\":\"a\"}]}",
         "aggregations.1.alias"},
        {"{\"aggregations\":[{\"function\":\"count\",\"alias\":\"a\"}],\"group_by\":[{}]}",
         "group_by.0.field"},
        {"{\"aggregations\":[{\"function\":\"count\",\"alias\":\"a\"}],\"limit\":0}", "limit"},
        {"{\"aggregations\":[{\"function\":\"count\",\"alias\":\"a\"}],\"having\":[{\"field\":"
         "\"a\",\"operator\":\"no\",\"value\":1}]}",
         "having"},
        {"{\"aggregations\":[{\"function\":\"count\",\"alias\":\"a\"}],\"range_buckets\":"
         "[{\"field\":\"n\",\"boundaries\":[2,1]}]}",
         "range_buckets.0.boundaries"},
    };
    for (size_t i = 0; i < SL_COUNT_OF(wrong); i++) {
        struct sl_aggregation *a = NULL;
        struct sl_aggregation_error error = {0};
        cr_assert_eq(sl_aggregation_create(parse(wrong[i][0]), &a, &error), SL_EINVAL, "%s",
                     wrong[i][0]);
        cr_assert_str_eq(error.place, wrong[i][1]);
    }
}

Test(aggregate, more_groups_than_the_limit_are_refused)
{
    struct sl_aggregation *a = NULL;
    struct sl_aggregation_error error = {0};
    struct sl_json request = parse("{\"group_by\":[\"n\"],\"aggregations\":"
                                   "[{\"function\":\"count\",\"alias\":\"c\"}]}");
    cr_assert_eq(sl_aggregation_create(request, &a, &error), SL_OK);
    for (uint32_t i = 0; i <= SL_AGGREGATION_GROUPS_MAX; i++) {
        char text[32];
        struct sl_json_doc *doc = NULL;
        int size = snprintf(text, sizeof(text), "{\"n\":%u}", i);
        cr_assert_eq(sl_json_parse(sl_slice(text, (size_t)size), &doc, NULL), SL_OK);
        cr_assert_eq(sl_aggregation_add(a, sl_json_root(doc)),
                     i < SL_AGGREGATION_GROUPS_MAX ? SL_OK : SL_EFULL);
        sl_json_destroy(&doc);
    }
    sl_aggregation_destroy(&a);
}
