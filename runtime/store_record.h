/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_record.h - what one transaction is in the log: operations, one after the other. For the
 * store's files and their tests.
 *
 *   PUT   u8 1 | scope u64 | table u8 | key block | value block
 *   DEL   u8 2 | scope u64 | table u8 | key block
 *   ADD   u8 3 | scope u64 | table u8 | key block | delta u64
 *   EVENT u8 4 | scope u64 | projection u8 | event block
 */
#ifndef SL_RUNTIME_STORE_RECORD_H
#define SL_RUNTIME_STORE_RECORD_H

#include "runtime/buf.h"
#include "runtime/catalogue.h"

enum sl_op_kind { SL_OP_PUT = 1, SL_OP_DEL = 2, SL_OP_ADD = 3, SL_OP_EVENT = 4 };

/* One operation; slices are borrowed from the record. */
struct sl_op {
    enum sl_op_kind kind;
    uint8_t table; /* EVENT: the projection. */
    struct sl_scope scope;
    struct sl_slice key;   /* EVENT: empty. */
    struct sl_slice value; /* PUT's value or EVENT's event. */
    int64_t delta;
};

void sl_op_encode(const struct sl_op *op, struct sl_buf *out);

/* Read the next one; false, with r->is_bad, when there is none that is whole and valid. */
bool sl_op_decode(struct sl_reader *r, struct sl_op *ret_op);

/* Whether all of `record` decodes. */
bool sl_record_is_valid(struct sl_slice record);

/* The value of a counter's row. SL_ECORRUPT: it is none. */
SL_MUST_CHECK enum sl_err sl_counter_decode(struct sl_slice value, int64_t *ret_value);

/* Counters wrap rather than trap: a delta may come from a damaged or hostile log. */
int64_t sl_counter_sum(int64_t a, int64_t b);

#endif
