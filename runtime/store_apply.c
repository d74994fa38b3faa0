/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/store_state.h"

#include <endian.h>

#define REPLAY_BYTES (16 * SL_MIB) /* Fewer commits, and pages that are not written in vain. */

enum sl_err
sl_store_counter(struct sl_store *store, const struct sl_op *op, int64_t *ret_value)
{
    struct sl_slice value;
    enum sl_err err = sl_catalogue_get(store->catalogue, op->scope, op->table, op->key, &value);
    *ret_value = 0;
    if (err == SL_ENOTFOUND)
        return SL_OK;
    return err == SL_OK ? sl_counter_decode(value, ret_value) : err;
}

static enum sl_err
apply_row(struct sl_store *store, const struct sl_op *op)
{
    struct sl_catalogue *c = store->catalogue;
    if (op->kind == SL_OP_PUT)
        return sl_catalogue_put(c, op->scope, op->table, op->key, op->value);
    if (op->kind == SL_OP_DEL)
        return sl_catalogue_del(c, op->scope, op->table, op->key);
    int64_t value;
    enum sl_err err = sl_store_counter(store, op, &value);
    if (err != SL_OK)
        return err;
    uint64_t le = htole64((uint64_t)sl_counter_sum(value, op->delta));
    return sl_catalogue_put(c, op->scope, op->table, op->key, sl_slice(&le, sizeof(le)));
}

struct sl_projection *
sl_store_projection(struct sl_store *store, uint8_t id, uint32_t *ret_index)
{
    for (uint32_t i = 0; i < store->options.projections_count; i++) {
        if (store->projections[i].id == id) {
            *ret_index = i;
            return &store->projections[i];
        }
    }
    return NULL;
}

enum sl_err
sl_store_apply_rows(struct sl_store *store, struct sl_slice record, uint64_t position)
{
    struct sl_reader r = sl_reader(record);
    struct sl_op op;
    enum sl_err err = SL_OK;
    while (err == SL_OK && !sl_reader_is_done(&r)) {
        if (!sl_op_decode(&r, &op))
            return SL_ECORRUPT;
        if (op.kind != SL_OP_EVENT)
            err = apply_row(store, &op);
    }
    if (err == SL_OK)
        sl_catalogue_position_set(store->catalogue, position);
    return err;
}

enum sl_err
sl_store_apply_events(struct sl_store *store, struct sl_slice record, uint64_t position,
                      struct sl_log_at at)
{
    struct sl_reader r = sl_reader(record);
    struct sl_op op;
    uint32_t index;
    while (!sl_reader_is_done(&r)) {
        if (!sl_op_decode(&r, &op))
            return SL_ECORRUPT;
        if (op.kind != SL_OP_EVENT)
            continue;
        struct sl_projection *p = sl_store_projection(store, op.table, &index);
        if (p == NULL)
            return SL_EVERSION; /* Written by a program that knew more than this one. */
        struct sl_log_at event = at;
        if (at.segment != 0)
            event.offset += (uint32_t)(op.value.data - record.data);
        if (position == 0 || (sl_projection_is_kept(p) && position > store->restored[index]))
            p->apply(p->self, op.scope, op.value, event);
    }
    return SL_OK;
}

enum sl_err
sl_store_replay(void *arg, uint64_t position, struct sl_slice record, struct sl_log_at at)
{
    struct sl_store *store = arg;
    enum sl_err err = SL_OK;
    if (!sl_record_is_valid(record))
        return SL_ECORRUPT;
    if (position > sl_catalogue_position(store->catalogue))
        err = sl_store_apply_rows(store, record, position);
    /* All replayed is durable; keeping the open transaction small keeps it in memory. */
    if (err == SL_OK && sl_catalogue_dirty_bytes(store->catalogue) > REPLAY_BYTES)
        err = sl_catalogue_commit(store->catalogue, false);
    return err == SL_OK ? sl_store_apply_events(store, record, position, at) : err;
}
