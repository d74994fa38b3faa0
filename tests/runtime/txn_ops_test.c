/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/txn_ops.h"

#include <criterion/criterion.h>

#include "runtime/limits.h"

static const struct sl_scope SCOPE = {.id = 3};

static struct sl_op
row(enum sl_op_kind kind, const char *key)
{
    return (struct sl_op){.kind = kind,
                          .table = 5,
                          .scope = SCOPE,
                          .key = sl_slice_str(key),
                          .value = sl_slice_str("v")};
}

static void
add_sum(struct sl_txn_ops *s, int64_t delta)
{
    struct sl_op op = row(SL_OP_ADD, "counter");
    op.delta = delta;
    sl_txn_ops_add(s, &op);
}

Test(txn_ops, finds_the_newest_operation_on_a_row_and_no_other)
{
    struct sl_txn_ops s = {0};
    struct sl_op op, put = row(SL_OP_PUT, "a"), del = row(SL_OP_DEL, "a"), other;
    cr_assert_null(sl_txn_ops_find(&s, &put, &op));
    sl_txn_ops_add(&s, &put);
    sl_txn_ops_add(&s, &del);
    cr_assert_not_null(sl_txn_ops_find(&s, &put, &op));
    cr_assert_eq(op.kind, SL_OP_DEL);

    other = put;
    other.table = 6;
    cr_assert_null(sl_txn_ops_find(&s, &other, &op));
    other = put;
    other.scope.id = 4;
    cr_assert_null(sl_txn_ops_find(&s, &other, &op));
    other = put;
    other.key = sl_slice_str("b");
    cr_assert_null(sl_txn_ops_find(&s, &other, &op));
    sl_txn_ops_deinit(&s);
}

Test(txn_ops, undoes_what_came_after_a_mark_though_its_index_has_grown)
{
    struct sl_txn_ops s = {0};
    struct sl_op op, first = row(SL_OP_PUT, "first");
    sl_txn_ops_add(&s, &first);
    size_t mark = s.record.size;
    for (uint32_t i = 0; i < 5000; i++) {
        struct sl_op more = row(SL_OP_PUT, "k");
        more.key = sl_slice(&i, sizeof(i));
        sl_txn_ops_add(&s, &more);
    }
    first.kind = SL_OP_DEL;
    sl_txn_ops_add(&s, &first);
    sl_txn_ops_rollback(&s, mark);
    cr_assert_eq(s.count, 1);
    cr_assert_eq(s.record.size, mark);
    cr_assert_not_null(sl_txn_ops_find(&s, &first, &op));
    cr_assert_eq(op.kind, SL_OP_PUT);
    uint32_t last = 4999;
    struct sl_op gone = row(SL_OP_PUT, "k");
    gone.key = sl_slice(&last, sizeof(last));
    cr_assert_null(sl_txn_ops_find(&s, &gone, &op));
    sl_txn_ops_deinit(&s);
}

Test(txn_ops, sums_a_counter_from_what_is_staged_for_it)
{
    struct sl_txn_ops s = {0};
    struct sl_op op, want = row(SL_OP_ADD, "counter"), del = row(SL_OP_DEL, "counter");
    add_sum(&s, 2);
    add_sum(&s, 3);
    const struct sl_txn_op *staged = sl_txn_ops_find(&s, &want, &op);
    cr_assert(staged->sum == 5 && !staged->is_based);
    sl_txn_ops_add(&s, &del);
    add_sum(&s, INT64_MAX);
    add_sum(&s, 1); /* Wraps. */
    staged = sl_txn_ops_find(&s, &want, &op);
    cr_assert(staged->sum == INT64_MIN && staged->is_based);
    sl_txn_ops_deinit(&s);
}

Test(txn_ops, keeps_nothing_that_can_never_be_committed_and_says_why_until_it_is_undone)
{
    static uint8_t key[SL_KEY_SIZE_MAX + 1];
    struct sl_txn_ops s = {0};
    struct sl_op put = row(SL_OP_PUT, "counter");
    sl_txn_ops_add(&s, &put);
    size_t mark = s.record.size;
    add_sum(&s, 1); /* "v" is no counter. */
    cr_assert_eq(s.bad, SL_EINVAL);
    cr_assert_eq(s.record.size, mark);
    sl_txn_ops_rollback(&s, mark);
    cr_assert_eq(s.bad, SL_OK);

    put.key = sl_slice(key, sizeof(key));
    sl_txn_ops_add(&s, &put);
    cr_assert_eq(s.bad, SL_EINVAL);
    sl_txn_ops_clear(&s);
    cr_assert_eq(s.bad, SL_OK);

    put = row(SL_OP_PUT, "a");
    put.value.size = SL_LIMIT_RECORD_BYTES + 1; /* Refused before it is read. */
    sl_txn_ops_add(&s, &put);
    cr_assert_eq(s.bad, SL_ETOOBIG);
    cr_assert_eq(s.count, 0);
    sl_txn_ops_deinit(&s);
}
