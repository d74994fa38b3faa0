/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/turn.h"

#include "gateway/arena.h"
#include "gateway/resource.h"

#define TURN_COST  4096u /* Rows; a large one counts for several. */
#define COST_BYTES 512u
#define ENOUGH     UINT32_MAX

/* False: the row asked for no more. */
static bool
see_row(struct sl_turn *turn, struct sl_call *call, const struct sl_scan *scan, sl_turn_row_fn *row,
        void *arg)
{
    struct sl_arena_mark mark = sl_arena_mark(call->arena);
    bool is_more = row(call, arg, scan->key, scan->value);
    sl_arena_rewind(call->arena, mark);
    turn->cost += 1 + scan->value.size / COST_BYTES;
    if (turn->cost >= TURN_COST) {
        sl_buf_clear(&turn->after);
        sl_buf_append_slice(&turn->after, scan->key);
    }
    return is_more;
}

bool
sl_turn_walk(struct sl_turn *turn, struct sl_call *call, const struct sl_turn_range *range,
             sl_turn_row_fn *row, void *arg)
{
    struct sl_buf prefix = {0};
    struct sl_scan scan = {0};
    bool is_more = true, is_over = false;
    if (range->number < turn->range)
        return true;
    if (turn->cost >= TURN_COST)
        return false;
    sl_txn_scan(call->txn, call->who.scope, range->table, sl_key_prefix(&prefix, 1, range->id),
                sl_buf_slice(&turn->after), false, &scan);
    while (is_more && !is_over && sl_scan_next(&scan)) {
        is_more = see_row(turn, call, &scan, row, arg);
        is_over = turn->cost >= TURN_COST;
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    if (is_more && is_over)
        return false;
    sl_buf_clear(&turn->after);
    turn->range = is_more ? range->number + 1 : ENOUGH;
    return true;
}

void
sl_turn_give(struct sl_turn *turn, struct sl_call *call, sl_handler_fn *then)
{
    turn->cost = 0;
    sl_call_yield(call, then);
}

void
sl_turn_end(struct sl_turn *turn)
{
    sl_buf_deinit(&turn->after);
}
