/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timers.h - a binary heap of deadlines. Equal deadlines fire in the order they were set.
 * Threading: one owner.
 */
#ifndef SL_RUNTIME_TIMERS_H
#define SL_RUNTIME_TIMERS_H

#include "runtime/message.h"

struct sl_timer {
    uint64_t at_ns;
    uint64_t order; /* Set by the heap. */
    uint64_t token;
    struct sl_addr who;
};

struct sl_timers {
    struct sl_timer *heap;
    uint32_t count, capacity;
    uint64_t order_next;
};

void sl_timers_deinit(struct sl_timers *t);
void sl_timers_add(struct sl_timers *t, const struct sl_timer *timer);
uint64_t sl_timers_next_ns(const struct sl_timers *t); /* UINT64_MAX: none. */
bool sl_timers_pop(struct sl_timers *t, uint64_t now_ns, struct sl_timer *ret_timer);

#endif
