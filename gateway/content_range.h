/* SPDX-License-Identifier: Apache-2.0 */
/* content_range.h - the header Content-Range of a PUT that sends a piece. Pure: any thread. */
#ifndef SL_GATEWAY_CONTENT_RANGE_H
#define SL_GATEWAY_CONTENT_RANGE_H

#include "runtime/base.h"

#define SL_CONTENT_RANGE_MAX (UINT64_C(1) << 60) /* No offset or size is as large. */

struct sl_content_range {
    bool is_query;               /* No piece, only a question how much is there. */
    bool has_total;              /* The size of the whole is known. */
    uint64_t offset, size_bytes; /* Of the piece; size > 0. Both 0 for a query. */
    uint64_t total_bytes;        /* >= offset + size. */
};

/*
 * Read "bytes FIRST-LAST/TOTAL"; an asterisk stands for TOTAL where it is not known yet, and for
 * FIRST-LAST in a question. SL_EINVAL: anything else.
 */
SL_MUST_CHECK enum sl_err sl_content_range_parse(struct sl_slice text,
                                                 struct sl_content_range *ret_range);

#endif
