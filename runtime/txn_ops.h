/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn_ops.h - the operations of a transaction that is not committed yet. For the store and tests.
 *
 * They are kept as the bytes their log record will have, plus an index over them: a hash table
 * whose chains are newest first, so that a rollback only pops. It knows neither log nor catalogue.
 *
 * Threading: one owner. A zeroed one is empty.
 */
#ifndef SL_RUNTIME_TXN_OPS_H
#define SL_RUNTIME_TXN_OPS_H

#include "runtime/buf.h"
#include "runtime/store_record.h"

struct sl_txn_op {
    size_t offset;  /* In the record. */
    uint64_t hash;  /* Of scope, table and key; events: 0. */
    uint32_t older; /* In the same bucket. */
    bool is_based;  /* ADD: `sum` is the whole value; else it is added to the committed one. */
    int64_t sum;    /* ADD: the effect of this one and all staged before it. */
};

struct sl_txn_ops {
    bool touches[256]; /* Tables that were staged to, by number, be it undone since. */
    bool has_rows;     /* Not events alone, be it undone since. */
    enum sl_err bad;   /* The first operation that cannot be committed... */
    size_t bad_offset; /* ...and where it would have been. */
    struct sl_buf record;
    struct sl_txn_op *items;
    uint32_t count, capacity;
    uint32_t *buckets; /* Index of the newest operation. */
    uint32_t buckets_count;
};

void sl_txn_ops_deinit(struct sl_txn_ops *s);

/* Forget all operations; keeps memory for the next ones, unless it is much. */
void sl_txn_ops_clear(struct sl_txn_ops *s);

/*
 * Add a copy of `op`. What can never be committed is left out, and s->bad says why: SL_EINVAL (the
 * key's size, a sum on a value that is no counter), SL_ETOOBIG (the record would be).
 */
void sl_txn_ops_add(struct sl_txn_ops *s, const struct sl_op *op);

/* Undo all that was added since the record had `mark` bytes. */
void sl_txn_ops_rollback(struct sl_txn_ops *s, size_t mark);

/* The operation with this index, [0, count). Slices live until the next change. */
struct sl_op sl_txn_ops_at(const struct sl_txn_ops *s, uint32_t index);

/* The newest operation on the row that `want` names, decoded into *ret_op; NULL: none. */
const struct sl_txn_op *sl_txn_ops_find(const struct sl_txn_ops *s, const struct sl_op *want,
                                        struct sl_op *ret_op);

#endif
