/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/store_state.h"

#include <endian.h>

#include "runtime/limits.h"

static void
check_txn(const struct sl_txn *t)
{
    sl_assert(t != NULL);
    sl_assert(t->is_open);
}

struct sl_txn *
sl_store_begin(struct sl_store *store)
{
    sl_store_check(store);
    struct sl_txn *t = &store->txn;
    sl_assert(!t->is_open);
    sl_assert(t->ops.count == 0 && t->ops.record.size == 0);
    t->is_open = true;
    return t;
}

static void
stage(struct sl_txn *t, const struct sl_op *op)
{
    check_txn(t);
    sl_txn_ops_add(&t->ops, op);
}

bool
sl_txn_touches(const struct sl_txn *t, uint8_t table)
{
    return t->ops.touches[table];
}

void
sl_txn_put(struct sl_txn *t, struct sl_scope scope, uint8_t table, struct sl_slice key,
           struct sl_slice value)
{
    stage(t, &(struct sl_op){
                 .kind = SL_OP_PUT, .scope = scope, .table = table, .key = key, .value = value});
}

void
sl_txn_del(struct sl_txn *t, struct sl_scope scope, uint8_t table, struct sl_slice key)
{
    stage(t, &(struct sl_op){.kind = SL_OP_DEL, .scope = scope, .table = table, .key = key});
}

void
sl_txn_add(struct sl_txn *t, struct sl_scope scope, uint8_t table, struct sl_slice key,
           int64_t delta)
{
    stage(t, &(struct sl_op){
                 .kind = SL_OP_ADD, .scope = scope, .table = table, .key = key, .delta = delta});
}

void
sl_txn_event(struct sl_txn *t, uint8_t projection, struct sl_scope scope, struct sl_slice event)
{
    uint32_t index;
    sl_assert(sl_store_projection(t->store, projection, &index) != NULL);
    stage(t, &(struct sl_op){
                 .kind = SL_OP_EVENT, .scope = scope, .table = projection, .value = event});
}

bool
sl_txn_is_empty(const struct sl_txn *t)
{
    check_txn(t);
    return t->ops.count == 0 && t->ops.bad == SL_OK;
}

size_t
sl_txn_mark(const struct sl_txn *t)
{
    check_txn(t);
    return t->ops.record.size;
}

void
sl_txn_rollback_to(struct sl_txn *t, size_t mark)
{
    check_txn(t);
    sl_txn_ops_rollback(&t->ops, mark);
}

/* ---- reading ------------------------------------------------------------------------------- */

int64_t
sl_txn_counter(struct sl_txn *t, struct sl_scope scope, uint8_t table, struct sl_slice key)
{
    struct sl_op want = {.scope = scope, .table = table, .key = key}, op;
    int64_t value = 0;
    check_txn(t);
    const struct sl_txn_op *staged = sl_txn_ops_find(&t->ops, &want, &op);
    if (staged != NULL && op.kind == SL_OP_DEL)
        return 0;
    if (staged != NULL && op.kind == SL_OP_PUT)
        return sl_counter_decode(op.value, &value) == SL_OK ? value : 0;
    if (staged != NULL && staged->is_based)
        return staged->sum;
    if (sl_store_counter(t->store, &want, &value) != SL_OK)
        value = 0;
    return sl_counter_sum(value, staged == NULL ? 0 : staged->sum);
}

enum sl_err
sl_txn_get(struct sl_txn *t, struct sl_scope scope, uint8_t table, struct sl_slice key,
           struct sl_slice *ret_value)
{
    struct sl_op want = {.scope = scope, .table = table, .key = key}, op;
    check_txn(t);
    if (sl_txn_ops_find(&t->ops, &want, &op) == NULL)
        return sl_catalogue_get(t->store->catalogue, scope, table, key, ret_value);
    if (op.kind == SL_OP_DEL)
        return SL_ENOTFOUND;
    if (op.kind == SL_OP_PUT) {
        *ret_value = op.value;
        return SL_OK;
    }
    t->counter = (int64_t)htole64((uint64_t)sl_txn_counter(t, scope, table, key));
    *ret_value = sl_slice(&t->counter, sizeof(t->counter));
    return SL_OK;
}

void
sl_txn_scan(struct sl_txn *t, struct sl_scope scope, uint8_t table, struct sl_slice prefix,
            struct sl_slice after, bool is_reverse, struct sl_scan *ret_scan)
{
    check_txn(t);
    sl_catalogue_scan(t->store->catalogue, scope, table, prefix, after, is_reverse, ret_scan);
}

/* ---- commit -------------------------------------------------------------------------------- */

static void
end_txn(struct sl_txn **txn)
{
    sl_txn_ops_clear(&(*txn)->ops);
    (*txn)->is_open = false;
    *txn = NULL;
}

void
sl_txn_abort(struct sl_txn **txn)
{
    if (*txn == NULL)
        return;
    check_txn(*txn);
    end_txn(txn);
}

/* All reasons for which a commit may be refused, before anything has changed. */
static enum sl_err
check_commit(struct sl_txn *t)
{
    struct sl_store *store = t->store;
    if (store->failed != SL_OK)
        return store->failed;
    if (t->ops.bad != SL_OK)
        return t->ops.bad;
    if (t->ops.record.size > SL_LIMIT_RECORD_BYTES)
        return SL_ETOOBIG;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < t->ops.count; i++) {
        int64_t ignored;
        struct sl_op op = sl_txn_ops_at(&t->ops, i);
        if (op.kind == SL_OP_ADD && !t->ops.items[i].is_based &&
            sl_store_counter(store, &op, &ignored) != SL_OK)
            return SL_EINVAL; /* Adding to a row that is no counter. */
        if (op.kind == SL_OP_PUT || op.kind == SL_OP_ADD)
            bytes += op.key.size + op.value.size;
    }
    if (sl_catalogue_has_room(store->catalogue, t->ops.count, bytes))
        return SL_OK;
    if (atomic_load(&store->is_catalogue_copied))
        return SL_ENOSPC; /* It cannot be committed now, to make some. */
    enum sl_err err = sl_store_commit_catalogue(store, false);
    if (err != SL_OK)
        return err;
    return sl_catalogue_has_room(store->catalogue, t->ops.count, bytes) ? SL_OK : SL_ENOSPC;
}

enum sl_err
sl_txn_commit(struct sl_txn **txn)
{
    struct sl_txn *t = *txn;
    check_txn(t);
    struct sl_store *store = t->store;
    struct sl_slice record = sl_buf_slice(&t->ops.record);
    struct sl_log_at at = {0};
    enum sl_err err = check_commit(t);
    if (err == SL_OK && t->ops.count > 0) {
        uint64_t position = sl_log_last(store->log) + 1;
        if (t->ops.has_rows)
            err = sl_store_apply_rows(store, record, position);
        else
            sl_catalogue_position_set(store->catalogue, position);
        if (err != SL_OK)
            store->failed = err; /* Half of it is in the open LMDB transaction. */
        else
            sl_log_append(store->log, record, &at);
        if (err == SL_OK)
            store->failed = err = sl_store_apply_events(store, record, 0, at);
    }
    bool is_touched[SL_WATCHES_MAX];
    for (uint32_t i = 0; i < SL_WATCHES_MAX; i++)
        is_touched[i] = err == SL_OK && store->touched[i] != NULL && t->ops.count > 0 &&
                        t->ops.touches[store->touched_table[i]];
    end_txn(txn);
    for (uint32_t i = 0; i < SL_WATCHES_MAX; i++) {
        if (is_touched[i])
            store->touched[i](store->touched_arg[i]);
    }
    return err;
}
