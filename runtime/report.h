/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - diagnostic lines on standard error: a stable event name, then key=value.
 * (The durable log is log.h; this is what operators read.) Modules return errors, actors report:
 * each failure is reported once, by whoever decides what to do about it.
 * Text, or JSON where the environment says SLUICE_LOG_FORMAT=json (report_line.h), which all
 * processes of a sluice have from the first.
 * They go to the head of the machine as well (report_sink.h), which keeps the last ones.
 * Threading: any thread; a line is one write.
 */
#ifndef SL_RUNTIME_REPORT_H
#define SL_RUNTIME_REPORT_H

#include "runtime/base.h"

enum sl_report_level { SL_REPORT_DEBUG, SL_REPORT_INFO, SL_REPORT_WARN, SL_REPORT_ERROR };

#define SL_REPORT_FORMAT_ENV "SLUICE_LOG_FORMAT"
enum sl_report_format { SL_REPORT_TEXT, SL_REPORT_JSON };

/* Lines below `level` are dropped. Default INFO, or SLUICE_REPORT=debug|info|warn|error. */
void sl_report_level_set(enum sl_report_level level);

/* The process's role in each line: "main", "node", "replica". Borrowed for ever. */
void sl_report_role_set(const char *role);

/* Whom and what this thread works for: told in each of its lines until it is set again. The texts
 * are borrowed until then; NULL: not known. */
struct sl_report_about {
    uint64_t scope; /* Of the tenant; 0: none. */
    const char *tenant, *job, *request, *trace, *extractor;
};
/* NULL: nobody. What was in force before. */
const struct sl_report_about *sl_report_about_set(const struct sl_report_about *about);

void sl_report(enum sl_report_level level, const char *event, const char *format, ...)
    SL_PRINTF(3, 4);

#define sl_report_debug(event, ...) sl_report(SL_REPORT_DEBUG, event, __VA_ARGS__)
#define sl_report_info(event, ...)  sl_report(SL_REPORT_INFO, event, __VA_ARGS__)
#define sl_report_warn(event, ...)  sl_report(SL_REPORT_WARN, event, __VA_ARGS__)
#define sl_report_error(event, ...) sl_report(SL_REPORT_ERROR, event, __VA_ARGS__)

#endif
