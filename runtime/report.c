/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/report.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "runtime/time.h"

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static _Atomic int level_min = -1;
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
    if ((int)level < atomic_load(&level_min))
        return;

    char when[SL_TIME_TEXT_SIZE];
    sl_time_format(sl_time_wall_ms(), when);
    char line[1024];
    int used = snprintf(line, sizeof(line), "%s %s %s[%d] %s ", when, level_names[level], role_name,
                        (int)getpid(), event);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format, args);
    va_end(args);
    size_t size = SL_MIN((size_t)used + (size_t)SL_MAX(more, 0), sizeof(line) - 2);
    line[size++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, size);
    (void)ignored;
}
