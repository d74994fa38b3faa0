/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logs.h - the ids that lines about a call carry.
 *
 * Threading: plain functions.
 */
#ifndef SL_GATEWAY_LOGS_H
#define SL_GATEWAY_LOGS_H

#include "gateway/call.h"
#include "runtime/report.h"

#define SL_LOGS_TRACE_SIZE 33

/* For sl_report_about_set, as long as the call and `ret_trace` live. */
void sl_logs_about(const struct sl_call *call, struct sl_report_about *ret_about,
                   char ret_trace[static SL_LOGS_TRACE_SIZE]);

#endif
