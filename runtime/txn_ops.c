/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/txn_ops.h"

#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/limits.h"

#define BUCKETS_MIN  64
#define BUCKETS_KEPT 4096
#define NO_OP        UINT32_MAX

static uint64_t
hash_key(struct sl_scope scope, uint8_t table, struct sl_slice key)
{
    return sl_hash64(key) ^ ((scope.id << 8 | table) * UINT64_C(0x9e3779b97f4a7c15));
}

/* ---- the index ----------------------------------------------------------------------------- */

static void
link_op(struct sl_txn_ops *s, uint32_t index)
{
    uint32_t *bucket = &s->buckets[s->items[index].hash & (s->buckets_count - 1)];
    s->items[index].older = *bucket;
    *bucket = index;
}

static void
resize_buckets(struct sl_txn_ops *s, uint32_t count)
{
    s->buckets = sl_realloc(s->buckets, count * sizeof(s->buckets[0]));
    s->buckets_count = count;
    memset(s->buckets, 0xff, count * sizeof(s->buckets[0])); /* NO_OP */
    for (uint32_t i = 0; i < s->count; i++)
        link_op(s, i);
}

struct sl_op
sl_txn_ops_at(const struct sl_txn_ops *s, uint32_t index)
{
    size_t offset = s->items[index].offset;
    struct sl_reader r = sl_reader(sl_slice(s->record.data + offset, s->record.size - offset));
    struct sl_op op;
    bool is_good = sl_op_decode(&r, &op);
    sl_assert(is_good); /* We wrote it. */
    return op;
}

const struct sl_txn_op *
sl_txn_ops_find(const struct sl_txn_ops *s, const struct sl_op *want, struct sl_op *ret_op)
{
    if (s->count == 0)
        return NULL;
    uint64_t hash = hash_key(want->scope, want->table, want->key);
    for (uint32_t i = s->buckets[hash & (s->buckets_count - 1)]; i != NO_OP;
         i = s->items[i].older) {
        if (s->items[i].hash != hash)
            continue;
        struct sl_op op = sl_txn_ops_at(s, i);
        if (op.kind == SL_OP_EVENT || op.scope.id != want->scope.id || op.table != want->table ||
            !sl_slice_equal(op.key, want->key))
            continue;
        *ret_op = op;
        return &s->items[i];
    }
    return NULL;
}

/* ---- adding and undoing -------------------------------------------------------------------- */

static void
refuse(struct sl_txn_ops *s, enum sl_err err)
{
    if (s->bad != SL_OK)
        return;
    s->bad = err;
    s->bad_offset = s->record.size;
}

/* What a counter will be with `op`, from what is staged for it so far. SL_EINVAL: no counter. */
static enum sl_err
add_up(const struct sl_txn_ops *s, const struct sl_op *op, struct sl_txn_op *staged)
{
    struct sl_op old;
    const struct sl_txn_op *before = sl_txn_ops_find(s, op, &old);
    int64_t base = 0;
    if (before != NULL && old.kind == SL_OP_ADD) {
        base = before->sum;
        staged->is_based = before->is_based;
    } else if (before != NULL) {
        staged->is_based = true;
        if (old.kind == SL_OP_PUT && sl_counter_decode(old.value, &base) != SL_OK)
            return SL_EINVAL;
    }
    staged->sum = sl_counter_sum(base, op->delta);
    return SL_OK;
}

static void
push(struct sl_txn_ops *s, const struct sl_txn_op *staged)
{
    if (s->count == s->capacity) {
        s->capacity = SL_MAX(s->capacity * 2, (uint32_t)BUCKETS_MIN);
        s->items = sl_realloc(s->items, s->capacity * sizeof(s->items[0]));
    }
    s->items[s->count++] = *staged;
    if (s->count > s->buckets_count)
        resize_buckets(s, SL_MAX(s->buckets_count * 2, (uint32_t)BUCKETS_MIN));
    else
        link_op(s, s->count - 1);
}

void
sl_txn_ops_add(struct sl_txn_ops *s, const struct sl_op *op)
{
    if (op->kind != SL_OP_EVENT && (op->key.size == 0 || op->key.size > SL_KEY_SIZE_MAX)) {
        refuse(s, SL_EINVAL);
        return;
    }
    if (op->value.size > SL_LIMIT_RECORD_BYTES ||
        s->record.size + op->value.size > SL_LIMIT_RECORD_BYTES) {
        refuse(s, SL_ETOOBIG); /* And do not keep what can never be committed. */
        return;
    }
    s->has_rows = s->has_rows || op->kind != SL_OP_EVENT;
    s->touches[op->table] = true; /* No table is 0, as an event's is. */
    struct sl_txn_op staged = {.offset = s->record.size};
    if (op->kind != SL_OP_EVENT)
        staged.hash = hash_key(op->scope, op->table, op->key);
    enum sl_err err = op->kind == SL_OP_ADD ? add_up(s, op, &staged) : SL_OK;
    if (err != SL_OK) {
        refuse(s, err);
        return;
    }
    sl_op_encode(op, &s->record);
    push(s, &staged);
}

void
sl_txn_ops_rollback(struct sl_txn_ops *s, size_t mark)
{
    sl_assert(mark <= s->record.size);
    while (s->count > 0 && s->items[s->count - 1].offset >= mark) {
        const struct sl_txn_op *op = &s->items[--s->count];
        s->buckets[op->hash & (s->buckets_count - 1)] = op->older;
    }
    s->record.size = mark;
    if (s->bad != SL_OK && s->bad_offset >= mark)
        s->bad = SL_OK;
}

void
sl_txn_ops_clear(struct sl_txn_ops *s)
{
    sl_txn_ops_rollback(s, 0); /* Empties every bucket that was used. */
    memset(s->touches, false, sizeof(s->touches));
    s->has_rows = false;
    if (s->buckets_count > BUCKETS_KEPT) {
        resize_buckets(s, BUCKETS_MIN);
        sl_free(s->items);
        s->items = NULL;
        s->capacity = 0;
    }
    if (s->record.capacity > SL_MIB)
        sl_buf_deinit(&s->record);
}

void
sl_txn_ops_deinit(struct sl_txn_ops *s)
{
    sl_buf_deinit(&s->record);
    sl_free(s->items);
    sl_free(s->buckets);
    *s = (struct sl_txn_ops){0};
}
