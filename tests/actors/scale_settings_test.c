/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/scale_settings.h"

#include <criterion/criterion.h>

#include "runtime/alloc.h"

static struct sl_scale_settings settings;

static void
setup(void)
{
    settings = sl_scale_settings_default();
}

TestSuite(scale_settings, .init = setup);

static void
refused(const char *name, const char *value, enum sl_err err, const char *sentence)
{
    char *error = NULL;
    cr_assert_eq(sl_scale_settings_set(&settings, name, value, &error), err, "%s=%s", name, value);
    cr_assert_str_eq(error, sentence);
    sl_free(error);
}

static void
taken(const char *name, const char *value)
{
    char *error = NULL;
    cr_assert_eq(sl_scale_settings_set(&settings, name, value, &error), SL_OK, "%s=%s", name,
                 value);
}

Test(scale_settings, takes_each_by_all_of_its_names)
{
    taken("min_replicas", "0");
    taken("minReplicas", "2");
    cr_assert_eq(settings.min_replicas, 2);
    taken("max-scale", "7");
    cr_assert_eq(settings.max_replicas, 7);
    taken("target_num_ongoing_requests_per_replica", "1.5");
    cr_assert_float_eq(settings.target_ongoing, 1.5, 0);
    taken("scale-down-delay", "0.25");
    cr_assert_eq(settings.down_delay_ns, 250000000);
    taken("upscale_smoothing_factor", "5e-1");
    cr_assert_float_eq(settings.up_factor, 0.5, 0);
    taken("stable-window", "60");
    taken("panic_window_s", "6");
    cr_assert_null(sl_scale_settings_check(&settings));
}

Test(scale_settings, refuses_what_it_does_not_know_and_names_the_nearest)
{
    refused("min_replica", "1", SL_ENOTFOUND,
            "min_replica: no such setting; is min_replicas meant?");
    refused("downscale_delay", "1", SL_ENOTFOUND,
            "downscale_delay: no such setting; is downscale_delay_s meant?");
    refused("max-scale min-scale", "1", SL_ENOTFOUND,
            "max-scale min-scale: no such setting; is max_scale_up_rate meant?");
}

Test(scale_settings, refuses_values_that_are_none)
{
    static const char count[] = "min_replicas: expected a whole number up to 1000, got \"%s\"";
    static const char *const none[] = {"",     "x",   "-1",  "1.5", "1001",
                                       "0x10", "inf", "nan", " 1",  "1 "};
    for (uint32_t i = 0; i < SL_COUNT_OF(none); i++) {
        char *sentence = sl_format(count, none[i]);
        refused("min_replicas", none[i], SL_EINVAL, sentence);
        sl_free(sentence);
    }
    refused("upscale_delay_s", "1e9", SL_EINVAL,
            "upscale_delay_s: expected seconds, up to 30 days of them, got \"1e9\"");
    refused("panic_threshold", "-2", SL_EINVAL, "panic_threshold: expected a number, got \"-2\"");
}

Test(scale_settings, writes_what_it_reads)
{
    struct sl_buf text = {0}, again = {0};
    taken("downscale_delay_s", "12.5");
    taken("target_ongoing_requests", "0.3");
    sl_scale_settings_write(&settings, &text);
    cr_assert(strstr(sl_buf_text(&text), "\"downscale_delay_s\":12.5,") != NULL);
    taken("target_ongoing_requests", "0.29999999999999999");
    sl_scale_settings_write(&settings, &again);
    cr_assert_str_eq(sl_buf_text(&text), sl_buf_text(&again));
    sl_buf_deinit(&text);
    sl_buf_deinit(&again);
}
