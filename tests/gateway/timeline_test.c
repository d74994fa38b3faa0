/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>

#include "gateway/timeline.h"

#define START_MS UINT64_C(1800000000000) /* Of a step of each span. */

static struct sl_timeline *timeline;
static struct sl_buf out;
static struct sl_json_doc *doc;

static void
setup(void)
{
    timeline = sl_timeline_create();
}

static void
teardown(void)
{
    sl_json_destroy(&doc);
    sl_buf_deinit(&out);
    sl_timeline_destroy(&timeline);
}

TestSuite(timeline, .init = setup, .fini = teardown);

/* A sample in which all series have the same value. */
static void
add(uint64_t at_ms, float value)
{
    float values[SL_TIMELINE_SERIES];
    for (uint32_t i = 0; i < SL_TIMELINE_SERIES; i++)
        values[i] = value;
    sl_timeline_add(timeline, at_ms, values);
}

static struct sl_json
read(enum sl_timeline_span span)
{
    struct sl_jsonw w;
    sl_json_destroy(&doc);
    sl_buf_clear(&out);
    sl_jsonw_init(&w, &out);
    sl_timeline_write(timeline, span, &w);
    sl_jsonw_done(&w);
    cr_assert_eq(sl_json_parse(sl_buf_slice(&out), &doc, NULL), SL_OK);
    return sl_json_root(doc);
}

/* Of a series the value that is `back` steps before the last; NAN: a gap. */
static double
value_of(enum sl_timeline_span span, const char *name, uint32_t back)
{
    struct sl_json series = sl_json_member(sl_json_member(read(span), "series"), name);
    uint32_t at = 0, count = sl_json_count(series);
    double value = NAN;
    for (struct sl_json_iter i = sl_json_iter(series); sl_json_next(&i); at++) {
        if (at + 1 + back == count && sl_json_f64(i.value, &value) != SL_OK)
            value = NAN;
    }
    return value;
}

static uint64_t
number(enum sl_timeline_span span, const char *name)
{
    uint64_t value = 0;
    cr_assert_eq(sl_json_u64(sl_json_member(read(span), name), &value), SL_OK);
    return value;
}

Test(timeline, is_empty_at_first)
{
    static const uint32_t steps[] = {360, 720, 432};
    for (unsigned i = 0; i < SL_TIMELINE_SPANS; i++) {
        struct sl_json series = sl_json_member(read((enum sl_timeline_span)i), "series");
        cr_assert_eq(sl_json_count(series), SL_TIMELINE_SERIES);
        cr_assert_eq(sl_json_count(sl_json_member(series, "nodes")), steps[i]);
        cr_assert(isnan(value_of((enum sl_timeline_span)i, "nodes", 0)));
        cr_assert_eq(number((enum sl_timeline_span)i, "end"), 0);
    }
}

Test(timeline, longer_steps_have_the_mean_or_the_most)
{
    for (unsigned i = 0; i < 6; i++)
        add(START_MS + i * SL_TIMELINE_STEP_MS, (float)i);
    cr_assert_float_eq(value_of(SL_TIMELINE_1H, "requests_per_s", 0), 5, 1e-6);
    cr_assert_float_eq(value_of(SL_TIMELINE_1H, "requests_per_s", 5), 0, 1e-6);
    cr_assert(isnan(value_of(SL_TIMELINE_1H, "requests_per_s", 6)));
    cr_assert_float_eq(value_of(SL_TIMELINE_12H, "requests_per_s", 0), 2.5, 1e-5);
    cr_assert_float_eq(value_of(SL_TIMELINE_12H, "queue_ready", 0), 5, 1e-6);
    cr_assert_float_eq(value_of(SL_TIMELINE_72H, "requests_per_s", 0), 2.5, 1e-5);
    cr_assert_eq(number(SL_TIMELINE_12H, "end"), START_MS / 1000 + 60);
}

Test(timeline, a_step_without_a_sample_is_a_gap_and_what_is_old_goes)
{
    add(START_MS, 1);
    add(START_MS + 3 * SL_TIMELINE_STEP_MS, 2);
    cr_assert(isnan(value_of(SL_TIMELINE_1H, "nodes", 1)));
    cr_assert_float_eq(value_of(SL_TIMELINE_1H, "nodes", 3), 1, 1e-6);
    add(START_MS + 2 * UINT64_C(3600000), 3); /* Nothing of the hour before is left. */
    cr_assert_float_eq(value_of(SL_TIMELINE_1H, "nodes", 0), 3, 1e-6);
    for (uint32_t back = 1; back < 360; back++)
        cr_assert(isnan(value_of(SL_TIMELINE_1H, "nodes", back)), "%u", back);
    cr_assert_float_eq(value_of(SL_TIMELINE_12H, "nodes", 120), 2, 1e-6);
}

Test(timeline, a_clock_that_goes_back_is_not_believed_until_it_has_caught_up)
{
    add(START_MS + UINT64_C(600000), 1);
    add(START_MS, 9);
    cr_assert_float_eq(value_of(SL_TIMELINE_1H, "nodes", 0), 1, 1e-6);
    cr_assert(isnan(value_of(SL_TIMELINE_1H, "nodes", 60)));
    add(0, 9);
    add(START_MS + UINT64_C(610000), 2);
    cr_assert_float_eq(value_of(SL_TIMELINE_1H, "nodes", 0), 2, 1e-6);
}

Test(timeline, begins_anew_where_the_clock_was_ahead_by_more_than_all_of_it)
{
    add(START_MS + 4 * UINT64_C(3600000), 9);
    add(START_MS, 1);
    cr_assert_float_eq(value_of(SL_TIMELINE_1H, "nodes", 0), 1, 1e-6);
    for (uint32_t back = 1; back < 360; back += 7)
        cr_assert(isnan(value_of(SL_TIMELINE_1H, "nodes", back)), "%u", back);
    cr_assert_eq(number(SL_TIMELINE_1H, "end"), START_MS / 1000 + 10);
    cr_assert_float_eq(value_of(SL_TIMELINE_12H, "nodes", 0), 9, 1e-6, "it waits for the time");
    add(START_MS + SL_TIMELINE_STEP_MS, 2);
    cr_assert_float_eq(value_of(SL_TIMELINE_1H, "nodes", 0), 2, 1e-6);
    cr_assert_float_eq(value_of(SL_TIMELINE_1H, "nodes", 1), 1, 1e-6);
}

Test(timeline, values_that_are_none_are_gaps)
{
    add(START_MS, NAN);
    add(START_MS + SL_TIMELINE_STEP_MS, 4);
    add(START_MS + 2 * SL_TIMELINE_STEP_MS, INFINITY);
    cr_assert(isnan(value_of(SL_TIMELINE_1H, "nodes", 2)));
    cr_assert(isnan(value_of(SL_TIMELINE_1H, "nodes", 0)));
    cr_assert_float_eq(value_of(SL_TIMELINE_12H, "nodes", 0), 4, 1e-6);
}

Test(timeline, spans_have_names)
{
    cr_assert_eq(sl_timeline_span(sl_slice_str("72h")), SL_TIMELINE_72H);
    cr_assert_eq(sl_timeline_span(sl_slice_str("2h")), SL_TIMELINE_SPANS);
    cr_assert_eq(sl_timeline_span(sl_slice_str("")), SL_TIMELINE_SPANS);
}
