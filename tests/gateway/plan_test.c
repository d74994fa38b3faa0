/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gateway/plan.h"
#include "runtime/alloc.h"
#include "runtime/limits.h"

static struct sl_plan_limits
limits_of(const char *config, const char *plan)
{
    struct sl_plan_limits limits = {0};
    cr_assert_eq(sl_plan_limits_read(config, sl_slice_str(plan), &limits, NULL), SL_OK);
    return limits;
}

Test(plan, allows_50_models_of_10_gib_unless_told_otherwise)
{
    static const char *const names[] = {"free",       "starter", "growth",      "scale",
                                        "enterprise", "premium", "no such plan"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        struct sl_plan_limits limits = limits_of("", names[i]);
        cr_assert_eq(limits.models_max, 50, "%s", names[i]);
        cr_assert_eq(limits.archive_bytes_max, SL_LIMIT_ARCHIVE_BYTES, "%s", names[i]);
    }
    cr_assert_eq(limits_of(NULL, "scale").models_max, 50);
    cr_assert_eq(limits_of("", "unlimited").models_max, UINT32_MAX);
}

Test(plan, is_what_the_configuration_says)
{
    const char *config = "{\"scale\":{\"models\":\"3\",\"archive\":\"2GiB\"},"
                         "\"enterprise\":{\"models\":\"200\"}}";
    char *error = NULL;
    cr_assert_eq(sl_plans_check(config, &error), SL_OK);
    cr_assert_eq(limits_of(config, "scale").models_max, 3);
    cr_assert_eq(limits_of(config, "premium").archive_bytes_max, 2 * SL_GIB);
    cr_assert_eq(limits_of(config, "enterprise").models_max, 200);
    cr_assert_eq(limits_of(config, "enterprise").archive_bytes_max, SL_LIMIT_ARCHIVE_BYTES);
    cr_assert_eq(limits_of(config, "growth").models_max, 50);
}

Test(plan, refuses_what_is_no_plan_no_limit_or_no_number_with_its_name)
{
    static const char *const bad[] = {"{\"gold\":{\"models\":\"3\"}}",
                                      "{\"premium\":{\"models\":\"3\"}}",
                                      "{\"scale\":{\"colour\":\"3\"}}",
                                      "{\"scale\":{\"models\":\"many\"}}",
                                      "{\"scale\":{\"models\":\"-1\"}}",
                                      "{\"scale\":{\"archive\":\"11GiB\"}}",
                                      "{\"scale\":{\"archive\":{\"a\":\"1\"}}}",
                                      "{\"scale\":\"all\"}",
                                      "[]",
                                      "text"};
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        char *error = NULL;
        cr_assert_eq(sl_plans_check(bad[i], &error), SL_EINVAL, "%s", bad[i]);
        cr_assert_not_null(error, "%s", bad[i]);
        cr_assert_not_null(strstr(error, "plans"), "%s", error);
        sl_free(error);
    }
}
