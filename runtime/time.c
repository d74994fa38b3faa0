/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/time.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

uint64_t
sl_time_mono_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SL_SECOND_NS + (uint64_t)now.tv_nsec;
}

uint64_t
sl_time_coarse_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * SL_SECOND_NS + (uint64_t)now.tv_nsec;
}

uint64_t
sl_time_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / SL_MILLI_NS;
}

uint64_t
sl_time_processor_ns(void)
{
    struct timespec spent;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return (uint64_t)spent.tv_sec * SL_SECOND_NS + (uint64_t)spent.tv_nsec;
}

void
sl_time_sleep_ns(uint64_t duration_ns)
{
    struct timespec left = {.tv_sec = (time_t)(duration_ns / SL_SECOND_NS),
                            .tv_nsec = (long)(duration_ns % SL_SECOND_NS)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static void
write_digits(char *at, uint32_t digits, uint32_t value)
{
    for (; digits > 0; digits--, value /= 10)
        at[digits - 1] = (char)('0' + value % 10);
}

/* Every row that is listed has two or three of these: strftime and printf took most of its time. */
void
sl_time_format(uint64_t wall_ms, char ret_text[static SL_TIME_TEXT_SIZE])
{
    static const uint64_t year_9999_ms = UINT64_C(253402300799999);
    wall_ms = SL_MIN(wall_ms, year_9999_ms);
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    memcpy(ret_text, "0000-00-00T00:00:00.000Z", SL_TIME_TEXT_SIZE);
    write_digits(ret_text, 4, (uint32_t)parts.tm_year + 1900);
    write_digits(ret_text + 5, 2, (uint32_t)parts.tm_mon + 1);
    write_digits(ret_text + 8, 2, (uint32_t)parts.tm_mday);
    write_digits(ret_text + 11, 2, (uint32_t)parts.tm_hour);
    write_digits(ret_text + 14, 2, (uint32_t)parts.tm_min);
    write_digits(ret_text + 17, 2, (uint32_t)parts.tm_sec);
    write_digits(ret_text + 20, 3, (uint32_t)(wall_ms % 1000));
}

/* Read `digits` decimal digits at *p and move past them. */
static bool
read_digits(const uint8_t **p, const uint8_t *end, int digits, int *ret_value)
{
    int value = 0;
    for (int i = 0; i < digits; i++, (*p)++) {
        if (*p == end || **p < '0' || **p > '9')
            return false;
        value = value * 10 + (**p - '0');
    }
    *ret_value = value;
    return true;
}

static bool
read_char(const uint8_t **p, const uint8_t *end, const char *any_of)
{
    if (*p == end || **p == '\0' || strchr(any_of, **p) == NULL)
        return false;
    (*p)++;
    return true;
}

static bool
read_offset(const uint8_t **p, const uint8_t *end, int *ret_minutes)
{
    if (read_char(p, end, "Zz")) {
        *ret_minutes = 0;
        return true;
    }
    if (*p == end)
        return false;
    int sign = **p == '-' ? -1 : 1;
    int hours, minutes;
    if (!read_char(p, end, "+-") || !read_digits(p, end, 2, &hours) || !read_char(p, end, ":") ||
        !read_digits(p, end, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_minutes = sign * (hours * 60 + minutes);
    return true;
}

static int
days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap);
}

enum sl_err
sl_time_parse(struct sl_slice text, uint64_t *ret_wall_ms)
{
    const uint8_t *p = text.data, *end = text.data + text.size;
    struct tm t = {0};
    int year, month, milli = 0, offset;
    if (!read_digits(&p, end, 4, &year) || !read_char(&p, end, "-") ||
        !read_digits(&p, end, 2, &month) || !read_char(&p, end, "-") ||
        !read_digits(&p, end, 2, &t.tm_mday) || !read_char(&p, end, "Tt ") ||
        !read_digits(&p, end, 2, &t.tm_hour) || !read_char(&p, end, ":") ||
        !read_digits(&p, end, 2, &t.tm_min) || !read_char(&p, end, ":") ||
        !read_digits(&p, end, 2, &t.tm_sec))
        return SL_EINVAL;
    if (read_char(&p, end, ".")) {
        int scale = 100, digits = 0;
        for (; p != end && *p >= '0' && *p <= '9'; p++, digits++, scale /= 10)
            milli += (*p - '0') * scale;
        if (digits == 0)
            return SL_EINVAL;
    }
    if (!read_offset(&p, end, &offset) || p != end || month < 1 || month > 12 || t.tm_mday < 1 ||
        t.tm_mday > days_of(year, month) || t.tm_hour > 23 || t.tm_min > 59 || t.tm_sec > 60)
        return SL_EINVAL;
    t.tm_year = year - 1900;
    t.tm_mon = month - 1;
    int64_t seconds = (int64_t)timegm(&t) - (int64_t)offset * 60;
    if (seconds < 0)
        return SL_EINVAL;
    *ret_wall_ms = (uint64_t)seconds * 1000 + (uint64_t)milli;
    return SL_OK;
}
