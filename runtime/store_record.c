/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/store_record.h"

#include <endian.h>

void
sl_op_encode(const struct sl_op *op, struct sl_buf *out)
{
    sl_buf_append_u8(out, (uint8_t)op->kind);
    sl_buf_append_u64(out, op->scope.id);
    sl_buf_append_u8(out, op->table);
    if (op->kind != SL_OP_EVENT)
        sl_buf_append_block(out, op->key);
    if (op->kind == SL_OP_PUT || op->kind == SL_OP_EVENT)
        sl_buf_append_block(out, op->value);
    if (op->kind == SL_OP_ADD)
        sl_buf_append_u64(out, (uint64_t)op->delta);
}

bool
sl_op_decode(struct sl_reader *r, struct sl_op *ret_op)
{
    struct sl_op op = {0};
    uint8_t kind = sl_read_u8(r);
    op.scope.id = sl_read_u64(r);
    op.table = sl_read_u8(r);
    switch (kind) {
    case SL_OP_PUT:
        op.key = sl_read_block(r);
        op.value = sl_read_block(r);
        break;
    case SL_OP_DEL:
        op.key = sl_read_block(r);
        break;
    case SL_OP_ADD:
        op.key = sl_read_block(r);
        op.delta = (int64_t)sl_read_u64(r);
        break;
    case SL_OP_EVENT:
        op.value = sl_read_block(r);
        break;
    default:
        r->is_bad = true;
        break;
    }
    if (kind != SL_OP_EVENT && (op.key.size == 0 || op.key.size > SL_KEY_SIZE_MAX))
        r->is_bad = true;
    if (r->is_bad)
        return false;
    op.kind = (enum sl_op_kind)kind;
    *ret_op = op;
    return true;
}

bool
sl_record_is_valid(struct sl_slice record)
{
    struct sl_reader r = sl_reader(record);
    struct sl_op op;
    while (!r.is_bad && !sl_reader_is_done(&r))
        sl_op_decode(&r, &op);
    return !r.is_bad;
}

enum sl_err
sl_counter_decode(struct sl_slice value, int64_t *ret_value)
{
    if (value.size != sizeof(*ret_value))
        return SL_ECORRUPT;
    uint64_t le;
    memcpy(&le, value.data, sizeof(le));
    *ret_value = (int64_t)le64toh(le);
    return SL_OK;
}

int64_t
sl_counter_sum(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}
