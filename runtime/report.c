/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/report.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "runtime/report_line.h"
#include "runtime/time.h"

#define DETAILS_MAX 1024

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static _Atomic int level_min = -1;
static _Atomic int format_now = -1;
static const char *role_name = "sluice";

static int
level_from_environment(void)
{
    const char *text = getenv("SLUICE_REPORT");
    for (int i = 0; text != NULL && i < (int)SL_COUNT_OF(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0)
            return i;
    }
    return SL_REPORT_INFO;
}

static int
format_from_environment(void)
{
    const char *text = getenv(SL_REPORT_FORMAT_ENV);
    return text != NULL && strcmp(text, "json") == 0 ? SL_REPORT_JSON : SL_REPORT_TEXT;
}

void
sl_report_level_set(enum sl_report_level level)
{
    atomic_store(&level_min, (int)level);
}

void
sl_report_role_set(const char *role)
{
    role_name = role;
}

void
sl_report(enum sl_report_level level, const char *event, const char *format, ...)
{
    if (atomic_load(&level_min) < 0)
        atomic_store(&level_min, level_from_environment());
    if (atomic_load(&format_now) < 0)
        atomic_store(&format_now, format_from_environment());
    if ((int)level < atomic_load(&level_min))
        return;

    char details[DETAILS_MAX], line[SL_REPORT_LINE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(details, sizeof(details), format, args);
    va_end(args);
    const struct sl_report_line what = {.at_ms = sl_time_wall_ms(),
                                        .level = level_names[level],
                                        .role = role_name,
                                        .pid = (int)getpid(),
                                        .event = event,
                                        .details = details};
    size_t size = atomic_load(&format_now) == SL_REPORT_JSON ? sl_report_line_json(&what, line)
                                                             : sl_report_line_text(&what, line);
    ssize_t ignored = write(STDERR_FILENO, line, size);
    (void)ignored;
}
