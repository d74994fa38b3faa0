/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/extractor/describe.h"

#include <criterion/criterion.h>

static struct sl_arena *arena;
static struct sl_cause cause;

static struct sl_extractor_info
blank(void)
{
    return (struct sl_extractor_info){
        .name = "mine", .version = "v1", .id = "mine_v1", .inputs = "{}", .position_fields = "[]"};
}

static void
setup(void)
{
    arena = sl_arena_create();
}

static void
teardown(void)
{
    sl_arena_destroy(&arena);
}

TestSuite(extractor_describe, .init = setup, .fini = teardown);

static enum sl_err
read(const char *text, struct sl_extractor_info *info)
{
    *info = blank();
    memset(&cause, 0, sizeof(cause));
    return sl_extractor_description_read(sl_slice_str(text), arena, info, &cause);
}

Test(extractor_describe, takes_what_a_plugin_says)
{
    struct sl_extractor_info info;
    cr_assert_eq(
        read(
            "{\"name\":\"mine\",\"version\":\"v7\",\"description\":\"Cuts.\",\"describe\":{"
            "\"input_schema\":{\"required\":[\"text\"],\"properties\":{\"text\":{\"type\":"
            "\"string\"}}},\"parameter_schema\":{\"properties\":{\"n\":{\"default\":3},\"m\":{}}},"
            "\"position_fields\":[\"at\"],\"indexes\":[{\"name\":\"letters\",\"dimensions\":26}]}}",
            &info),
        SL_OK, "%s", cause.text);
    cr_expect_str_eq(info.version, "v7");
    cr_expect_str_eq(info.id, "mine_v7");
    cr_expect_str_eq(info.description, "Cuts.");
    cr_expect_str_eq(info.inputs, "{\"text\":{\"type\":\"string\"}}");
    cr_expect_str_eq(info.inputs_required, "[\"text\"]");
    cr_expect_str_eq(info.defaults, "{\"n\":3}");
    cr_expect_str_eq(info.position_fields, "[\"at\"]");
    cr_assert_eq(info.indexes_count, 1);
    cr_expect_str_eq(info.indexes[0].name, "letters");
    cr_expect_str_eq(info.indexes[0].output, "mine_v7_embedding");
    cr_expect_eq(info.indexes[0].dimensions, 26);
    cr_expect_str_eq(info.indexes[0].purpose, "text");
}

Test(extractor_describe, takes_a_plugin_that_says_nothing)
{
    struct sl_extractor_info info;
    cr_assert_eq(read("{\"name\":\"mine\",\"version\":\"v1\",\"describe\":{}}", &info), SL_OK);
    cr_expect_str_eq(info.inputs, "{}");
    cr_expect_eq(info.indexes_count, 0);
}

/* What it says, and a word of the reason. The info stays as it was. */
static const struct {
    const char *text, *why;
} refusals[] = {
    {"nonsense", "no JSON"},
    {"{\"version\":\"v1\"}", "no name"},
    {"{\"name\":\"other\",\"version\":\"v1\"}", "other.so"},
    {"{\"name\":\"mine\",\"version\":\"v1\",\"describe\":{\"input_schema\":{}}}", "properties"},
    {"{\"name\":\"mine\",\"version\":\"v1\",\"describe\":{\"input_schema\":"
     "{\"properties\":{\"a\":1}}}}",
     "each field"},
    {"{\"name\":\"mine\",\"version\":\"v1\",\"describe\":{\"input_schema\":"
     "{\"properties\":{},\"required\":[1]}}}",
     "required"},
    {"{\"name\":\"mine\",\"version\":\"v1\",\"describe\":{\"position_fields\":\"at\"}}",
     "position_fields"},
    {"{\"name\":\"mine\",\"version\":\"v1\",\"describe\":{\"indexes\":[{},{}]}}", "one vector"},
    {"{\"name\":\"mine\",\"version\":\"v1\",\"describe\":{\"indexes\":[{\"name\":\"A\","
     "\"dimensions\":3}]}}",
     "name of"},
    {"{\"name\":\"mine\",\"version\":\"v1\",\"describe\":{\"indexes\":[{\"name\":\"a\","
     "\"dimensions\":0}]}}",
     "dimensions"},
    {"{\"name\":\"mine\",\"version\":\"v1\",\"describe\":{\"indexes\":[{\"name\":\"a\","
     "\"dimensions\":65537}]}}",
     "dimensions"},
};

/* Member by member: padding may differ. */
static bool
is_same(const struct sl_extractor_info *a, const struct sl_extractor_info *b)
{
    return a->name == b->name && a->version == b->version && a->id == b->id &&
           a->description == b->description && a->inputs == b->inputs && a->outputs == b->outputs &&
           a->parameters == b->parameters && a->inputs_required == b->inputs_required &&
           a->defaults == b->defaults && a->position_fields == b->position_fields &&
           a->indexes == b->indexes && a->indexes_count == b->indexes_count;
}

Test(extractor_describe, refuses_what_is_malformed_and_says_why)
{
    for (size_t i = 0; i < SL_COUNT_OF(refusals); i++) {
        struct sl_extractor_info info, before = blank();
        cr_expect_eq(read(refusals[i].text, &info), SL_EINVAL, "%s", refusals[i].text);
        cr_expect(strstr(cause.text, refusals[i].why) != NULL, "'%s' does not say '%s'", cause.text,
                  refusals[i].why);
        cr_expect(is_same(&info, &before), "%s", refusals[i].text);
    }
}

Test(extractor_describe, says_why_a_plugin_could_not_be_asked)
{
    struct sl_extractor_info info = blank();
    struct sl_extractor_plugins how = {.program = "/bin/false"};
    cr_expect_eq(sl_extractor_describe(&how, "/x.so", arena, &info, &cause), SL_EUNAVAIL);
    cr_expect(strstr(cause.text, "crashed") != NULL, "%s", cause.text);
    how.program = "/bin/echo";
    cr_expect_eq(sl_extractor_describe(&how, "/x.so", arena, &info, &cause), SL_EINVAL);
    how.program = "/no/program";
    cr_expect_eq(sl_extractor_describe(&how, "/x.so", arena, &info, &cause), SL_EUNAVAIL);
}
