/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_line.h - how a report (report.h) is written: as a line of text, or as a JSON object on a
 * line, of which each key=value is a member. What clients may have named is in both harmless:
 * control characters and what is not UTF-8 are escaped, so that a line is one line and no terminal
 * obeys it; in JSON so are < > and &, for whoever shows it on a page.
 *
 * Threading: plain functions.
 */
#ifndef SL_RUNTIME_REPORT_LINE_H
#define SL_RUNTIME_REPORT_LINE_H

#include "runtime/base.h"

#define SL_REPORT_LINE_MAX 4096u /* What a pipe takes at once, whoever else writes to it. */

struct sl_report_line {
    uint64_t at_ms;
    const char *level, *role, *event; /* Our own names: nothing in them is escaped. */
    int pid;
    const char *details; /* key=value and key="several words", separated by spaces. */
};

/* Returns its size, the end of the line included. What does not fit is cut, which "..." says. */
size_t sl_report_line_text(const struct sl_report_line *line, char ret_line[SL_REPORT_LINE_MAX]);
/*
 * The same as {"time", "level", "role", "pid", "event", ...}: whole numbers are numbers, all else
 * is a string; what is no key=value is in "text". A key that one of ours has gets a '_' before it;
 * of a key that is there twice the first counts. Members that do not fit are left out, and "is_cut"
 * is true.
 */
size_t sl_report_line_json(const struct sl_report_line *line, char ret_line[SL_REPORT_LINE_MAX]);

/* The first value of a key in details, without its quotes. False, and nothing written: there is
 * none, or it is empty or does not fit with a NUL behind it. */
bool sl_report_line_value(const char *details, const char *key, char *ret_value, size_t size);

#endif
