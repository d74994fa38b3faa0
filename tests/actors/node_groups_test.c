/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/node_groups.h"

#include <criterion/criterion.h>

#include "runtime/alloc.h"

static struct sl_node_groups
groups_of(const char *config)
{
    struct sl_node_groups g;
    char *why = NULL;
    cr_assert_eq(sl_node_groups_read(config, &g, &why), SL_OK, "%s", why);
    cr_assert_null(why);
    return g;
}

static void
expect_refused(const struct sl_node_groups *g, const char *group, uint64_t count, const char *why)
{
    char *text = sl_node_groups_refusal(g, group, count);
    cr_assert_eq(text == NULL, why == NULL, "%s: %s", group, text);
    if (why != NULL)
        cr_expect_str_eq(text, why);
    sl_free(text);
}

Test(node_groups, without_configuration_all_may_join)
{
    static const char *const none[] = {NULL, "", "  "};
    for (size_t i = 0; i < SL_COUNT_OF(none); i++) {
        struct sl_node_groups g = groups_of(none[i]);
        expect_refused(&g, "cpu", 100000, NULL);
        expect_refused(&g, "any", 100000, NULL);
    }
}

Test(node_groups, those_that_are_named_may_join)
{
    struct sl_node_groups g = groups_of(" cpu  gpu-workers ");
    expect_refused(&g, "cpu", 100000, NULL);
    expect_refused(&g, "gpu", 0, NULL);
    expect_refused(&g, "any", 0, "this head takes no workers of the group any, only cpu gpu");
}

Test(node_groups, so_many_may_join_and_not_one_more)
{
    struct sl_node_groups g =
        groups_of("{\"cpu-workers\":{\"min\":\"2\",\"max\":\"3\"},\"gpu\":\"\",\"any\":{}}");
    expect_refused(&g, "cpu", 2, NULL);
    expect_refused(&g, "cpu", 3, "the group cpu has as many workers as it may, 3");
    expect_refused(&g, "gpu", 100000, NULL);
    expect_refused(&g, "batch", 0,
                   "this head takes no workers of the group batch, only cpu gpu any");
    cr_expect_eq(sl_node_groups_of(&g, "cpu")->min, 2);
    cr_expect_eq(sl_node_groups_of(&g, "gpu")->min, 0);
}

Test(node_groups, says_what_is_wrong_with_a_configuration)
{
    static const char *const bad[][2] = {
        {"tpu", "tpu is none of"},
        {"cpu cpu-workers", "the group cpu is named twice"},
        {"{\"cpu\":\"\",\"cpu-workers\":\"\"}", "named twice"},
        {"{\"cpu\":\"2\"}", "cluster.groups.cpu: takes min and max"},
        {"{\"cpu\":{\"least\":\"2\"}}", "no key but min and max"},
        {"{\"cpu\":{\"min\":\"-2\"}}", "whole numbers"},
        {"{\"cpu\":{\"max\":\"2x\"}}", "whole numbers"},
        {"{\"cpu\":{\"max\":\"10000000\"}}", "whole numbers"},
        {"{\"cpu\":{\"min\":\"3\",\"max\":\"2\"}}", "a min above its max"},
        {"{no", "neither names nor keys"},
    };
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        struct sl_node_groups g;
        char *why = NULL;
        cr_assert_eq(sl_node_groups_read(bad[i][0], &g, &why), SL_EINVAL, "%s", bad[i][0]);
        cr_expect_not_null(strstr(why, bad[i][1]), "%s", why);
        sl_free(why);
    }
}

Test(node_groups, those_that_are_started_here_have_usual_limits)
{
    struct sl_node_groups g = groups_of(
        "{\"cpu\":{\"provider\":\"local\"},\"batch\":{\"provider\":\"local\",\"max\":\"5\"},"
        "\"gpu\":{\"provider\":\"local\",\"gpus\":\"2\",\"idle\":\"1s\",\"tasks\":\"4\","
        "\"memory\":\"8GiB\"},\"any\":{\"provider\":\"none\",\"min\":\"1\"}}");
    const struct sl_node_group_limits *cpu = sl_node_groups_of(&g, "cpu");
    const struct sl_node_group_limits *batch = sl_node_groups_of(&g, "batch");
    const struct sl_node_group_limits *gpu = sl_node_groups_of(&g, "gpu");
    cr_expect(cpu->is_local && cpu->min == 1 && cpu->max == 4 && cpu->gpus == 0);
    cr_expect(cpu->idle_ns == 60 * SL_SECOND_NS && cpu->tasks == 256);
    cr_expect(batch->min == 0 && batch->max == 5);
    cr_expect(gpu->min == 0 && gpu->max == 8 && gpu->gpus == 2 && gpu->tasks == 4);
    cr_expect(gpu->idle_ns == SL_SECOND_NS && gpu->memory_bytes == UINT64_C(8) << 30);
    cr_expect_not(sl_node_groups_of(&g, "any")->is_local);
    cr_expect_eq(sl_node_groups_local_max(&g), 17);
}

Test(node_groups, says_what_is_wrong_with_a_group_that_is_started_here)
{
    static const char *const bad[][2] = {
        {"{\"cpu\":{\"provider\":\"cloud\"}}", "cluster.groups.cpu: takes the provider local or"},
        {"{\"cpu\":{\"idle\":\"1s\"}}", "idle is for groups with `provider: local`"},
        {"{\"cpu\":{\"provider\":\"local\",\"idle\":\"soon\"}}", "cluster.groups.cpu: idle: "},
        {"{\"cpu\":{\"provider\":\"local\",\"tasks\":\"0\"}}", "tasks: "},
        {"{\"cpu\":{\"provider\":\"local\",\"min\":\"5\"}}", "a min above its max"},
        {"{\"cpu\":{\"provider\":\"local\",\"max\":\"129\"}}", "a max above 128"},
    };
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        struct sl_node_groups g;
        char *why = NULL;
        cr_assert_eq(sl_node_groups_read(bad[i][0], &g, &why), SL_EINVAL, "%s", bad[i][0]);
        cr_expect_not_null(strstr(why, bad[i][1]), "%s", why);
        sl_free(why);
    }
}
