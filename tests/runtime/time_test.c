/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <time.h>

#include "runtime/random.h"
#include "runtime/time.h"

Test(time, formats_as_the_c_library_does_and_reads_it_back)
{
    struct sl_random random;
    sl_random_seed(&random, 1);
    for (int i = 0; i < 20000; i++) {
        uint64_t ms = sl_random_below(&random, UINT64_C(253402300800000)), back = 0;
        char text[SL_TIME_TEXT_SIZE], want[64];
        struct tm parts;
        time_t seconds = (time_t)(ms / 1000);
        gmtime_r(&seconds, &parts);
        size_t used = strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S", &parts);
        snprintf(want + used, sizeof(want) - used, ".%03uZ", (unsigned)(ms % 1000));
        sl_time_format(ms, text);
        cr_assert_str_eq(text, want);
        cr_assert_eq(sl_time_parse(sl_slice_str(text), &back), SL_OK);
        cr_assert_eq(back, ms);
    }
}

Test(time, days_that_no_month_has_are_refused)
{
    static const struct {
        const char *text;
        bool is_good;
    } days[] = {{"2026-02-30T00:00:00Z", false}, {"2026-02-29T00:00:00Z", false},
                {"2028-02-29T00:00:00Z", true},  {"2100-02-29T00:00:00Z", false},
                {"2000-02-29T23:59:60Z", true},  {"2026-04-31T00:00:00Z", false},
                {"2026-04-30T00:00:00Z", true},  {"2026-12-31T23:59:59.999+23:59", true},
                {"2026-13-01T00:00:00Z", false}, {"2026-00-01T00:00:00Z", false},
                {"2026-01-00T00:00:00Z", false}, {"2026-01-32T00:00:00Z", false}};
    for (size_t i = 0; i < SL_COUNT_OF(days); i++) {
        uint64_t ms = 7;
        enum sl_err err = sl_time_parse(sl_slice_str(days[i].text), &ms);
        cr_expect_eq(err, days[i].is_good ? SL_OK : SL_EINVAL, "%s", days[i].text);
        cr_expect_eq(ms == 7, !days[i].is_good, "%s", days[i].text);
    }
}

Test(time, a_time_past_the_year_9999_is_its_last_millisecond)
{
    char text[SL_TIME_TEXT_SIZE];
    sl_time_format(UINT64_MAX, text);
    cr_assert_str_eq(text, "9999-12-31T23:59:59.999Z");
    sl_time_format(0, text);
    cr_assert_str_eq(text, "1970-01-01T00:00:00.000Z");
}

Test(time, processor_time_grows_with_what_is_run_and_less_than_the_wall_s)
{
    uint64_t wall_ns = sl_time_mono_ns(), spent_ns = sl_time_processor_ns(), sum = 0;
    while (sl_time_processor_ns() - spent_ns < SL_MILLI_NS)
        sum += sl_time_mono_ns();
    cr_assert_gt(sum, 0);
    cr_assert_geq(sl_time_mono_ns() - wall_ns, SL_MILLI_NS);
}
