/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gateway/limit.h"
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

Test(plan, may_have_limits_for_tenants_without_their_own)
{
    const char *config = "{\"scale\":{\"models\":\"3\",\"limits\":{\"max_batch_size\":\"100\","
                         "\"daily_budget\":\"2.5\"}}}";
    struct sl_json_doc *doc = NULL;
    uint64_t max = 0;
    char *error = NULL;
    cr_assert_eq(sl_plans_check(config, &error), SL_OK, "%s", error);
    cr_assert_eq(limits_of(config, "scale").models_max, 3);
    struct sl_json limits = sl_plan_defaults(config, sl_slice_str("premium"), &doc);
    cr_assert_eq(
        sl_limit_read(SL_LIMIT_max_batch_size, sl_json_member(limits, "max_batch_size"), &max),
        SL_OK);
    cr_expect_eq(max, 100);
    cr_assert_eq(sl_limit_read(SL_LIMIT_daily_budget, sl_json_member(limits, "daily_budget"), &max),
                 SL_OK);
    cr_expect_eq(max, 2500000000);
    sl_json_destroy(&doc);
    cr_expect_not(sl_json_has(sl_plan_defaults(config, sl_slice_str("growth"), &doc)));
    sl_json_destroy(&doc);
    cr_expect_not(sl_json_has(sl_plan_defaults(NULL, sl_slice_str("scale"), &doc)));
    cr_expect_null(doc);
}

Test(plan, refuses_what_is_no_plan_no_limit_or_no_number_with_its_name)
{
    static const char *const bad[] = {"{\"gold\":{\"models\":\"3\"}}",
                                      "{\"premium\":{\"models\":\"3\"}}",
                                      "{\"scale\":{\"colour\":\"3\"}}",
                                      "{\"scale\":{\"limits\":\"1\"}}",
                                      "{\"scale\":{\"limits\":{\"max_shoes\":\"1\"}}}",
                                      "{\"scale\":{\"limits\":{\"max_batch_size\":\"0\"}}}",
                                      "{\"scale\":{\"limits\":{\"max_batch_size\":\"1.5\"}}}",
                                      "{\"scale\":{\"limits\":{\"daily_budget\":\"much\"}}}",
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
