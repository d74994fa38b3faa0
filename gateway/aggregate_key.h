/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aggregate_key.h - what a row's value is grouped as: itself, a part of a date, a range.
 * Threading: plain functions.
 */
#ifndef SL_GATEWAY_AGGREGATE_KEY_H
#define SL_GATEWAY_AGGREGATE_KEY_H

#include "runtime/buf.h"
#include "runtime/json.h"

enum sl_date_unit {
    SL_DATE_NONE,
    SL_DATE_YEAR,
    SL_DATE_MONTH,
    SL_DATE_WEEK,
    SL_DATE_DAY,
    SL_DATE_HOUR,
    SL_DATE_MINUTE,
    SL_DATE_SECOND,
    SL_DATE_DAY_OF_WEEK, /* Parts only: 1 is Sunday. */
    SL_DATE_DAY_OF_YEAR, /* Parts only: 1 to 366. */
};

/* The unit of a name ("month", "dayOfWeek"); NONE: unknown, or none that dates are cut to. */
enum sl_date_unit sl_date_unit_parse(struct sl_json name, bool is_part);

/* Append as JSON the start of the unit (weeks from Monday), or the part's number; null: no date. */
void sl_date_trunc_write(struct sl_json value, enum sl_date_unit unit, struct sl_buf *out);
void sl_date_part_write(struct sl_json value, enum sl_date_unit unit, struct sl_buf *out);

/* Append as JSON the name of the range that a number lies in: "10-20" is above 10, to 20. What lies
 * outside, or is no number, is in `other`. */
void sl_range_write(struct sl_json value, const double *boundaries, uint32_t count,
                    struct sl_slice other, struct sl_buf *out);

#endif
