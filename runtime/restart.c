/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/restart.h"

struct sl_restart_range
sl_restart_decide(enum sl_restart_strategy strategy, enum sl_child_kind kind, enum sl_err reason,
                  uint32_t child, uint32_t children_count)
{
    sl_assert(child < children_count);
    if (kind == SL_TEMPORARY || (kind == SL_TRANSIENT && reason == SL_OK))
        return (struct sl_restart_range){0, 0};
    switch (strategy) {
    case SL_ONE_FOR_ALL:
        return (struct sl_restart_range){0, children_count};
    case SL_REST_FOR_ONE:
        return (struct sl_restart_range){child, children_count};
    case SL_ONE_FOR_ONE:
        break;
    }
    return (struct sl_restart_range){child, child + 1};
}

bool
sl_restart_budget_take(struct sl_restart_budget *b, uint64_t now_ns)
{
    sl_assert(b->restarts_max <= SL_RESTARTS_MAX);
    if (b->restarts_max == 0)
        return false;
    uint64_t *slot = &b->times_ns[b->count % b->restarts_max];
    /* The slot holds the restart that was restarts_max before this one. */
    uint64_t since_ns = now_ns > *slot ? now_ns - *slot : 0;
    if (b->count >= b->restarts_max && since_ns < b->window_ns)
        return false;
    *slot = now_ns;
    b->count++;
    return true;
}
