/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/aggregate_key.h"

#include <time.h>

#include "runtime/time.h"

static const struct {
    const char *name;
    enum sl_date_unit unit;
    bool is_part_only;
} units[] = {
    {"year", SL_DATE_YEAR, false},
    {"month", SL_DATE_MONTH, false},
    {"week", SL_DATE_WEEK, false},
    {"day", SL_DATE_DAY, false},
    {"hour", SL_DATE_HOUR, false},
    {"minute", SL_DATE_MINUTE, false},
    {"second", SL_DATE_SECOND, false},
    {"dayOfWeek", SL_DATE_DAY_OF_WEEK, true},
    {"dayOfYear", SL_DATE_DAY_OF_YEAR, true},
};

enum sl_date_unit
sl_date_unit_parse(struct sl_json name, bool is_part)
{
    for (size_t i = 0; i < SL_COUNT_OF(units); i++) {
        if (sl_json_is(name, units[i].name) && (is_part || !units[i].is_part_only))
            return units[i].unit;
    }
    return SL_DATE_NONE;
}

static bool
read_date(struct sl_json value, struct tm *ret_tm)
{
    struct sl_buf memory = {0};
    struct sl_slice text = {0};
    uint64_t wall_ms = 0;
    bool is_date =
        sl_json_text(value, &memory, &text) == SL_OK && sl_time_parse(text, &wall_ms) == SL_OK;
    time_t seconds = (time_t)(wall_ms / 1000);
    sl_buf_deinit(&memory);
    return is_date && gmtime_r(&seconds, ret_tm) != NULL;
}

static int
days_after_monday(const struct tm *tm)
{
    return (tm->tm_wday + 6) % 7;
}

void
sl_date_trunc_write(struct sl_json value, enum sl_date_unit unit, struct sl_buf *out)
{
    struct tm tm;
    char text[SL_TIME_TEXT_SIZE];
    if (!read_date(value, &tm)) {
        sl_buf_append_slice(out, sl_slice_str("null"));
        return;
    }
    if (unit < SL_DATE_SECOND)
        tm.tm_sec = 0;
    if (unit < SL_DATE_MINUTE)
        tm.tm_min = 0;
    if (unit < SL_DATE_HOUR)
        tm.tm_hour = 0;
    if (unit == SL_DATE_WEEK)
        tm.tm_mday -= days_after_monday(&tm); /* timegm puts a day below 1 right. */
    else if (unit < SL_DATE_DAY)
        tm.tm_mday = 1;
    if (unit < SL_DATE_MONTH)
        tm.tm_mon = 0;
    time_t start = timegm(&tm);
    sl_time_format(start < 0 ? 0 : (uint64_t)start * 1000, text);
    sl_buf_printf(out, "\"%s\"", text);
}

/* Of ISO 8601: the week of the year's first Thursday is week 1. */
static int
week_of_year(const struct tm *tm)
{
    char text[4] = "";
    strftime(text, sizeof(text), "%V", tm);
    return (text[0] - '0') * 10 + (text[1] - '0');
}

void
sl_date_part_write(struct sl_json value, enum sl_date_unit unit, struct sl_buf *out)
{
    struct tm tm;
    if (!read_date(value, &tm)) {
        sl_buf_append_slice(out, sl_slice_str("null"));
        return;
    }
    const int parts[] = {
        [SL_DATE_YEAR] = tm.tm_year + 1900,
        [SL_DATE_MONTH] = tm.tm_mon + 1,
        [SL_DATE_WEEK] = week_of_year(&tm),
        [SL_DATE_DAY] = tm.tm_mday,
        [SL_DATE_HOUR] = tm.tm_hour,
        [SL_DATE_MINUTE] = tm.tm_min,
        [SL_DATE_SECOND] = tm.tm_sec,
        [SL_DATE_DAY_OF_WEEK] = tm.tm_wday + 1,
        [SL_DATE_DAY_OF_YEAR] = tm.tm_yday + 1,
    };
    sl_buf_printf(out, "%d", parts[unit]);
}

void
sl_range_write(struct sl_json value, const double *boundaries, uint32_t count,
               struct sl_slice other, struct sl_buf *out)
{
    double number = 0;
    uint32_t above = 0; /* Boundaries below the number. */
    bool is_number = sl_json_kind(value) == SL_JSON_NUMBER && sl_json_f64(value, &number) == SL_OK;
    while (is_number && above < count && number > boundaries[above])
        above++;
    if (is_number && above > 0 && above < count) {
        sl_buf_printf(out, "\"%g-%g\"", boundaries[above - 1], boundaries[above]);
    } else {
        struct sl_jsonw w;
        sl_jsonw_init(&w, out);
        sl_jsonw_slice(&w, other);
        sl_jsonw_done(&w);
    }
}
