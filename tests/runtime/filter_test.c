/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "runtime/filter.h"
#include "runtime/alloc.h"

struct rows {
    struct sl_json_doc *doc;
};

static struct sl_json
parse(const char *text, struct sl_json_doc **ret_doc)
{
    cr_assert_eq(sl_json_parse(sl_slice_str(text), ret_doc, NULL), SL_OK, "%s", text);
    return sl_json_root(*ret_doc);
}

/* 1 holds, 0 does not, -1 the filter is refused. */
static int
ask_inputs(const char *filter, const char *row, const char *inputs)
{
    struct sl_json_doc *a = NULL, *b = NULL, *c = NULL;
    struct sl_filter *f = NULL;
    struct sl_filter_options options = {.inputs = parse(inputs, &c)};
    char *why = NULL;
    int answer = -1;
    if (sl_filter_compile(parse(filter, &a), &options, &f, &why) == SL_OK)
        answer = sl_filter_matches(f, parse(row, &b));
    else
        cr_assert_not_null(why);
    sl_free(why);
    sl_filter_destroy(&f);
    sl_json_destroy(&a);
    sl_json_destroy(&b);
    sl_json_destroy(&c);
    return answer;
}

static int
ask(const char *filter, const char *row)
{
    return ask_inputs(filter, row, "{}");
}

#define ROW                                                                                        \
    "{\"name\":\"Trail Boots\",\"price\":42.5,\"tags\":[\"rain\",\"Hike\"],\"meta\":{\"n\":3},"    \
    "\"big\":9007199254740993,\"on\":true,\"nil\":null,\"at\":\"2026-01-10T12:00:00.000Z\"}"

Test(filter, knows_every_operator)
{
    static const struct {
        const char *field, *op, *value;
        int expected;
    } cases[] = {
        {"name", "eq", "\"trail boots\"", 1},
        {"name", "ne", "\"trail boots\"", 0},
        {"price", "gt", "42", 1},
        {"price", "gt", "42.5", 0},
        {"price", "gte", "42.5", 1},
        {"price", "lt", "42.5", 0},
        {"price", "lte", "42.5", 1},
        {"price", "gt", "\"1\"", 0}, /* Kinds do not mix. */
        {"name", "in", "[\"x\",\"TRAIL BOOTS\"]", 1},
        {"name", "nin", "[\"x\",\"TRAIL BOOTS\"]", 0},
        {"tags", "in", "[\"hike\"]", 1},
        {"tags", "contains", "\"rai\"", 1},
        {"tags", "eq", "\"rain\"", 1},
        {"name", "contains", "\"L BOO\"", 1},
        {"name", "starts_with", "\"trail\"", 1},
        {"name", "starts_with", "\"rail\"", 0},
        {"name", "ends_with", "\"OOTS\"", 1},
        {"name", "ends_with", "\"a longer text than the field has\"", 0},
        {"name", "regex", "\"^tr\\\\w+ b\"", 1},
        {"name", "regex", "\"^boots\"", 0},
        {"name", "exists", "true", 1},
        {"nope", "exists", "true", 0},
        {"nope", "exists", "false", 1},
        {"nil", "exists", "true", 1},
        {"nil", "is_null", "true", 1},
        {"nope", "is_null", "true", 1},
        {"name", "is_null", "true", 0},
        {"name", "text", "\"boots trail\"", 1},
        {"name", "text", "\"boots snow\"", 0},
        {"meta.n", "eq", "3", 1},
        {"meta.n", "eq", "3.0", 1},
        {"big", "eq", "9007199254740992", 0},
        {"big", "eq", "9007199254740993", 1},
        {"on", "eq", "true", 1},
        {"on", "gt", "false", 0}, /* No order among booleans. */
        {"at", "gt", "\"2026-01-10T12:30:00+01:00\"", 1},
        {"at", "lt", "\"2026-01-10T12:30:00+01:00\"", 0},
        {"nope", "eq", "1", 0},
        {"nope", "ne", "1", 1},
        {"nope", "gt", "1", 0},
    };
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++) {
        char *filter = sl_format("{\"field\":\"%s\",\"operator\":\"%s\",\"value\":%s}",
                                 cases[i].field, cases[i].op, cases[i].value);
        cr_expect_eq(ask(filter, ROW), cases[i].expected, "%s", filter);
        sl_free(filter);
    }
}

Test(filter, refuses_what_it_does_not_understand)
{
    cr_expect_eq(ask("{\"field\":\"a\",\"operator\":\"like\",\"value\":1}", ROW), -1);
    cr_expect_eq(ask("{\"field\":\"a\",\"operator\":\"in\",\"value\":1}", ROW), -1);
    cr_expect_eq(ask("{\"field\":\"a\",\"operator\":\"starts_with\",\"value\":1}", ROW), -1);
    cr_expect_eq(ask("{\"field\":\"\",\"value\":1}", ROW), -1);
    cr_expect_eq(ask("[1]", ROW), -1);
    cr_expect_eq(ask("{\"AND\":[5]}", ROW), -1);
    cr_expect_eq(ask("{\"field\":\"a\",\"operator\":5,\"value\":1}", ROW), -1);
}

static int
ask_pattern(const char *pattern, const char *row)
{
    char *filter = sl_format("{\"field\":\"a\",\"operator\":\"regex\",\"value\":\"%s\"}", pattern);
    int answer = ask(filter, row);
    sl_free(filter);
    return answer;
}

Test(filter, refuses_patterns_that_cannot_be_kept_small)
{
    static const char *const patterns[] = {
        "(a)\\\\1", "(a{1,200}){1,200}", "a{30000}", "(?=x)",   "(",
        "",         "a++++++",           "a**",      "(a)?{2}", "a+??",
        "[z-a]",    "\\\\p{L}{900}",
    };
    for (size_t i = 0; i < SL_COUNT_OF(patterns); i++)
        cr_expect_eq(ask_pattern(patterns[i], ROW), -1, "%s", patterns[i]);
    struct sl_buf filter = {0};
    sl_buf_append_str(&filter, "{\"field\":\"a\",\"operator\":\"regex\",\"value\":\"");
    for (int i = 0; i <= SL_FILTER_PATTERN_SIZE_MAX; i++)
        sl_buf_append_u8(&filter, 'a');
    sl_buf_append_str(&filter, "\"}");
    cr_expect_eq(ask(sl_buf_text(&filter), ROW), -1);
    sl_buf_deinit(&filter);
}

/* Other engines take seconds to years to compile or to match each of them. */
Test(filter, is_quick_with_patterns_that_are_known_to_be_slow)
{
    static const char *const patterns[] = {
        "((((((((((a+)+)+)+)+)+)+)+)+)+)+b$",
        "^(x*)*^(x*)*^(x*)*^(x*)*^(x*)*^(x*)*^(x*)*^(x*)*^(x*)*^(x*)*^(x*)*^(x*)*^(x*)*^(x*)*b$",
        "^((((x)*)*)*)*((((x)*)*)*)*((((x)*)*)*)*((((x)*)*)*)*((((x)*)*)*)*((((x)*)*)*)*b$",
        "\\\\b(((((x)*)*)*)*)*(((((x)*)*)*)*)*(((((x)*)*)*)*)*b$",
        "(((x*\\\\b)*(x*\\\\b)*^x*)*)*b$",
        "\\\\B(x*|y*)(x*|y*)(x*|y*)(x*|y*)($)*(x*|y*)(x*|y*)(x*|y*)(a*)*(x*|y*)(((x*|y*){16}))b$",
        "(.*)*a(.*)*a(.*)*a(.*)*a(.*)*b",
        "(a|aa)+b",
        "(a?){50}a{50}b",
    };
    struct sl_buf row = {0};
    sl_buf_append_str(&row, "{\"a\":\"");
    for (uint32_t i = 0; i < SL_FILTER_SUBJECT_SIZE_MAX; i++)
        sl_buf_append_u8(&row, 'a');
    sl_buf_append_str(&row, "\"}");
    for (size_t i = 0; i < SL_COUNT_OF(patterns); i++)
        cr_expect_eq(ask_pattern(patterns[i], sl_buf_text(&row)), 0, "%s", patterns[i]);
    sl_buf_deinit(&row);
}

Test(filter, reads_the_usual_pattern_dialect)
{
    cr_expect_eq(ask("{\"field\":\"a\",\"operator\":\"regex\",\"value\":\"^\\\\d+-(?:x|y)$\"}",
                     "{\"a\":\"42-Y\"}"),
                 1);
    cr_expect_eq(ask("{\"field\":\"a\",\"operator\":\"regex\",\"value\":\"^[\\\\d.]+$\"}",
                     "{\"a\":\"4.2\"}"),
                 1);
    static const struct {
        const char *pattern;
        int first, second; /* "42-x <a> <b>", "42-x" */
    } cases[] = {
        {"<.*?>", 1, 0},
        {"^4??2+?-[xy]{1}?$", 0, 1},
        {"((((((((((42))))))))))", 1, 1},
        {"^(4)?(2)?(-)?(x)?", 1, 1},
        {"[*+]?4", 1, 1},
        {"\\\\bX\\\\b", 1, 1},
        {"\\\\s\\\\S+$", 1, 0},
        {"(?P<n>4)(?-i:X)", 0, 0},
        {"[[:digit:]]{2}\\\\W\\\\w$", 0, 1},
    };
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++) {
        const char *pattern = cases[i].pattern;
        cr_expect_eq(ask_pattern(pattern, "{\"a\":\"42-x <a> <b>\"}"), cases[i].first, "%s",
                     pattern);
        cr_expect_eq(ask_pattern(pattern, "{\"a\":\"42-x\"}"), cases[i].second, "%s", pattern);
    }
    cr_expect_eq(ask_pattern("^caf.$", "{\"a\":\"CAF\u00c9\"}"), 1, "a character, not a byte");
    cr_expect_eq(ask_pattern("\u00e9", "{\"a\":\"CAF\u00c9\"}"), 1, "of any alphabet");
    cr_expect_eq(ask("{\"case_sensitive\":true,\"AND\":[{\"field\":\"a\",\"operator\":\"regex\","
                     "\"value\":\"(?i)abc\"}]}",
                     "{\"a\":\"ABC\"}"),
                 1);
}

Test(filter, joins_conditions)
{
    cr_expect_eq(ask("{\"AND\":[{\"on\":true},{\"meta.n\":3}]}", ROW), 1);
    cr_expect_eq(ask("{\"AND\":[{\"on\":true},{\"meta.n\":4}]}", ROW), 0);
    cr_expect_eq(ask("{\"OR\":[{\"on\":false},{\"meta.n\":3}]}", ROW), 1);
    cr_expect_eq(ask("{\"NOT\":[{\"on\":false},{\"meta.n\":4}]}", ROW), 1);
    cr_expect_eq(ask("{\"NOT\":[{\"on\":false},{\"meta.n\":3}]}", ROW), 0);
    /* Several keys: all must hold. */
    cr_expect_eq(ask("{\"AND\":[{\"on\":true}],\"NOT\":[{\"meta.n\":3}]}", ROW), 0);
    cr_expect_eq(ask("{\"on\":true,\"meta.n\":4}", ROW), 0);
    /* What clients send for nodes they do not use. */
    cr_expect_eq(ask("{\"AND\":[{\"on\":true}],\"OR\":null,\"NOT\":[]}", ROW), 1);
    cr_expect_eq(ask("{}", ROW), 1);
    cr_expect_eq(ask("null", ROW), 1);
}

Test(filter, honours_case_on_nodes_and_not_on_conditions)
{
    cr_expect_eq(ask("{\"AND\":[{\"name\":\"trail boots\"}],\"case_sensitive\":true}", ROW), 0);
    cr_expect_eq(ask("{\"AND\":[{\"name\":\"Trail Boots\"}],\"case_sensitive\":true}", ROW), 1);
    cr_expect_eq(ask("{\"field\":\"name\",\"value\":\"trail boots\",\"case_sensitive\":true}", ROW),
                 1);
    cr_expect_eq(
        ask("{\"AND\":[{\"field\":\"name\",\"value\":\"trail boots\",\"case_sensitive\":false}],"
            "\"case_sensitive\":true}",
            ROW),
        0);
}

Test(filter, nests_five_deep_and_no_deeper)
{
    struct sl_buf deep = {0};
    for (int depth = 1; depth <= 6; depth++) {
        sl_buf_clear(&deep);
        for (int i = 1; i < depth; i++)
            sl_buf_append_str(&deep, "{\"AND\":[");
        sl_buf_append_str(&deep, "{\"on\":true}");
        for (int i = 1; i < depth; i++)
            sl_buf_append_str(&deep, "]}");
        cr_expect_eq(ask(sl_buf_text(&deep), ROW), depth <= 5 ? 1 : -1, "depth %d", depth);
    }
    sl_buf_deinit(&deep);
}

Test(filter, takes_dynamic_values_from_the_inputs)
{
    const char *filter = "{\"field\":\"name\",\"value\":{\"type\":\"dynamic\","
                         "\"field\":\"inputs.who\"}}";
    cr_expect_eq(ask_inputs(filter, "{\"name\":\"ann\"}", "{\"who\":\"Ann\"}"), 1);
    cr_expect_eq(ask_inputs(filter, "{\"name\":\"bob\"}", "{\"who\":\"Ann\"}"), 0);
    /* An input that is missing must not turn into "is null". */
    cr_expect_eq(ask_inputs(filter, "{}", "{}"), -1);
}

Test(filter, not_is_the_negation_of_or)
{
    /* Property: over generated rows, NOT[a,b] == !OR[a,b] and AND[a,b] == !OR[!a,!b]. */
    struct sl_buf row = {0};
    for (int i = 0; i < 64; i++) {
        sl_buf_clear(&row);
        sl_buf_printf(&row, "{\"a\":%d,\"b\":\"%c\"}", i % 8, 'a' + i / 8);
        const char *text = sl_buf_text(&row);
#define A "{\"field\":\"a\",\"operator\":\"gte\",\"value\":4}"
#define B "{\"field\":\"b\",\"operator\":\"in\",\"value\":[\"a\",\"C\",\"e\"]}"
        cr_expect_eq(ask("{\"NOT\":[" A "," B "]}", text), !ask("{\"OR\":[" A "," B "]}", text));
        cr_expect_eq(ask("{\"AND\":[" A "," B "]}", text),
                     !ask("{\"OR\":[{\"NOT\":[" A "]},{\"NOT\":[" B "]}]}", text));
    }
    sl_buf_deinit(&row);
}

Test(filter, search_is_a_substring_with_wildcards)
{
    struct sl_slice text = sl_slice_str("Winter Shoes 2026");
    cr_expect(sl_search_matches(sl_slice_str("shoes"), text));
    cr_expect(sl_search_matches(sl_slice_str("win*20"), text));
    cr_expect(sl_search_matches(sl_slice_str("*"), text));
    cr_expect(sl_search_matches(sl_slice_str(""), text));
    cr_expect_not(sl_search_matches(sl_slice_str("20*win"), text));
    cr_expect_not(sl_search_matches(sl_slice_str("boots"), text));
    cr_expect_not(sl_search_matches(sl_slice_str("a"), sl_slice("", 0)));
}

Test(filter, tells_which_members_it_reads)
{
    struct sl_filter *filter = NULL;
    struct sl_json_doc *doc = NULL;
    char *why = NULL;
    static const char text[] = "{\"AND\":[{\"meta.title\":\"x\"},{\"NOT\":[{\"n\":1}]}]}";
    cr_assert_eq(sl_json_parse(sl_slice_str(text), &doc, NULL), SL_OK);
    cr_assert_eq(sl_filter_compile(sl_json_root(doc), NULL, &filter, &why), SL_OK);
    cr_expect(sl_filter_reads(filter, "meta"));
    cr_expect(sl_filter_reads(filter, "meta.title"));
    cr_expect(sl_filter_reads(filter, "n"));
    cr_expect_not(sl_filter_reads(filter, "met"));
    cr_expect_not(sl_filter_reads(filter, "title"));
    cr_expect_not(sl_filter_reads(NULL, "n"));
    sl_filter_destroy(&filter);
    sl_json_destroy(&doc);
}
