/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "runtime/report_line.h"
#include "runtime/report_sink.h"
#include "runtime/time.h"

#define DETAILS_MAX 1536
#define TEXT_MAX    1024 /* Of them what the caller says. */

static _Atomic int level_min = -1;
static _Atomic int format_now = -1;
static const char *role_name = "sluice";
static _Thread_local const struct sl_report_about *about_now;

static int
level_from_environment(void)
{
    const char *text = getenv("SLUICE_REPORT");
    for (int i = 0; text != NULL && i < (int)SL_REPORT_ERROR + 1; i++) {
        if (strcmp(text, sl_report_level_names[i]) == 0)
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

const struct sl_report_about *
sl_report_about_set(const struct sl_report_about *about)
{
    const struct sl_report_about *before = about_now;
    about_now = about;
    return before;
}

/* What the line does not say itself. */
static void
append_about(char *details, const struct sl_report_about *about)
{
    const struct {
        const char *key, *value;
    } known[] = {{"tenant", about->tenant},
                 {"job", about->job},
                 {"request", about->request},
                 {"trace", about->trace}};
    char had[160];
    for (size_t i = 0; i < SL_COUNT_OF(known); i++) {
        const char *value = known[i].value;
        size_t size = strlen(details);
        if (value == NULL || *value == '\0' || strpbrk(value, " \"") != NULL ||
            sl_report_line_value(details, known[i].key, had, sizeof(had)))
            continue;
        (void)snprintf(details + size, DETAILS_MAX - size, " %s=%s", known[i].key, value);
    }
    size_t size = strlen(details);
    if (about->scope != 0 && (about->tenant == NULL || *about->tenant == '\0') &&
        !sl_report_line_value(details, "scope", had, sizeof(had)))
        (void)snprintf(details + size, DETAILS_MAX - size, " scope=%" PRIu64, about->scope);
}

static void
keep(const struct sl_report_line *line, enum sl_report_level level,
     const struct sl_report_about *about)
{
    sl_report_sink_put(&(struct sl_report_entry){.at_ms = line->at_ms,
                                                 .level = (uint8_t)level,
                                                 .pid = (uint32_t)line->pid,
                                                 .scope = about->scope,
                                                 .texts = {[SL_REPORT_role] = line->role,
                                                           [SL_REPORT_event] = line->event,
                                                           [SL_REPORT_tenant] = about->tenant,
                                                           [SL_REPORT_job] = about->job,
                                                           [SL_REPORT_request] = about->request,
                                                           [SL_REPORT_trace] = about->trace,
                                                           [SL_REPORT_extractor] = about->extractor,
                                                           [SL_REPORT_message] = line->details}},
                       true);
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
    (void)vsnprintf(details, TEXT_MAX, format, args);
    va_end(args);
    static const struct sl_report_about nobody;
    const struct sl_report_about *about = about_now == NULL ? &nobody : about_now;
    append_about(details, about);
    const struct sl_report_line what = {.at_ms = sl_time_wall_ms(),
                                        .level = sl_report_level_names[level],
                                        .role = role_name,
                                        .pid = (int)getpid(),
                                        .event = event,
                                        .details = details};
    size_t size = atomic_load(&format_now) == SL_REPORT_JSON ? sl_report_line_json(&what, line)
                                                             : sl_report_line_text(&what, line);
    ssize_t ignored = write(STDERR_FILENO, line, size);
    (void)ignored;
    keep(&what, level, about);
}
