/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time.h - clocks, for drivers only (actors are handed the time), and RFC 3339 text.
 */
#ifndef SL_RUNTIME_TIME_H
#define SL_RUNTIME_TIME_H

#include "runtime/base.h"

#define SL_TIME_TEXT_SIZE 25 /* "2026-01-10T12:00:00.000Z" and a NUL */

uint64_t sl_time_mono_ns(void); /* CLOCK_MONOTONIC */
uint64_t sl_time_wall_ms(void); /* CLOCK_REALTIME, milliseconds since 1970 */
/* CLOCK_MONOTONIC_COARSE: some milliseconds old, for next to nothing. It only says that time moved.
 */
uint64_t sl_time_coarse_ns(void);
uint64_t sl_time_processor_ns(void); /* What this process's threads have run, all together. */

/* For drivers that wait for something no descriptor tells of. */
void sl_time_sleep_ns(uint64_t duration_ns);

/* Write the UTC text of `wall_ms`. Years up to 9999. */
void sl_time_format(uint64_t wall_ms, char ret_text[static SL_TIME_TEXT_SIZE]);

/* Read RFC 3339 with any offset. SL_EINVAL: not a date, or before 1970. */
SL_MUST_CHECK enum sl_err sl_time_parse(struct sl_slice text, uint64_t *ret_wall_ms);

#endif
