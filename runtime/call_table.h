/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_table.h - the calls of one actor that wait for a reply: found by number, expired in order of
 * their deadlines. A binary heap, and a hash table of places in it.
 * Threading: one owner. It reads no clock.
 */
#ifndef SL_RUNTIME_CALL_TABLE_H
#define SL_RUNTIME_CALL_TABLE_H

#include "runtime/message.h"

#define SL_CALLS_MAX UINT32_C(65536) /* Of one actor. */

struct sl_call {
    uint64_t deadline_ns;
    uint64_t request;
    struct sl_addr to;
    uint32_t place; /* The table's own. */
};

struct sl_call_table {
    struct sl_call *heap;
    uint32_t *places; /* Heap index + 1, by hash of the request; 0: free. Twice the capacity. */
    uint32_t count, capacity;
};

void sl_call_table_deinit(struct sl_call_table *t);
/* Add a copy; its request is not in the table. SL_EFULL: SL_CALLS_MAX are there. */
SL_MUST_CHECK enum sl_err sl_call_table_add(struct sl_call_table *t, const struct sl_call *call);
/* Take the call with this number out. False: there is none. */
bool sl_call_table_remove(struct sl_call_table *t, uint64_t request);
/* Take the oldest call with deadline_ns <= now_ns out. False: there is none. */
bool sl_call_table_expire(struct sl_call_table *t, uint64_t now_ns, struct sl_call *ret_call);
uint64_t sl_call_table_next_ns(const struct sl_call_table *t); /* UINT64_MAX: none. */

#endif
