/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage_period.h - the time that a usage report is about, as a request names it. All of it UTC.
 *
 * Threading: any.
 */
#ifndef SL_GATEWAY_USAGE_PERIOD_H
#define SL_GATEWAY_USAGE_PERIOD_H

#include "runtime/base.h"

struct sl_usage_period {
    uint64_t start_ms, end_ms; /* [start, end) */
};

/*
 * "2026-01", "2026-01-10" or "last_30_days" (29 whole days and today so far); empty: this month.
 * SL_EINVAL: none of them, or a date that is not there.
 */
SL_MUST_CHECK enum sl_err sl_usage_period(struct sl_slice text, uint64_t now_ms,
                                          struct sl_usage_period *ret_period);

/* A date, which is when that day begins, or RFC 3339. SL_EINVAL. */
SL_MUST_CHECK enum sl_err sl_usage_time(struct sl_slice text, uint64_t *ret_ms);

#endif
