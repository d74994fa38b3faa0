/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_sink.h - where a process tells its lines beside standard error: to the head of its
 * machine, by a socket that it was started with (report_tap.h).
 *
 * Threading: any thread; set before there are others.
 */
#ifndef SL_RUNTIME_REPORT_SINK_H
#define SL_RUNTIME_REPORT_SINK_H

#include "runtime/report_entry.h"

/* Borrowed; -1: nowhere, as at the start. */
void sl_report_sink_set(int fd);
int sl_report_sink(void);
/* What is not taken at once is counted, and told with the next that is; one that may wait tries
 * for 2 ms. */
void sl_report_sink_put(const struct sl_report_entry *entry, bool may_wait);

#endif
