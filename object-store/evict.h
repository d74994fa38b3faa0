/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evict.h - which object goes first. Each has a weight, what it costs to make it again for each
 * byte that it holds, and is worth that much more than what went last. So what is large and cheap
 * goes before what is small and dear, and what nobody asks for goes in the end, whatever its
 * weight (the policy known as GreedyDual-Size).
 *
 * Plain state: a heap of numbers, which are places in the owner's array. One owner.
 */
#ifndef SL_OBJECT_STORE_EVICT_H
#define SL_OBJECT_STORE_EVICT_H

#include "runtime/base.h"

struct sl_evict;

struct sl_evict *sl_evict_create(uint32_t capacity); /* Numbers are below it. */
void sl_evict_destroy(struct sl_evict **evict);      /* NULL inside is fine. */

/* What an object of `size_bytes` that takes `rebuild_ns` to make again weighs: at least 1. */
uint32_t sl_evict_weight(uint64_t size_bytes, uint64_t rebuild_ns);

/* A number is about to be added: what that touches is fetched into the caches. A hint. */
void sl_evict_expect(const struct sl_evict *e, uint32_t number);
/* Add a number that is not in it. */
void sl_evict_add(struct sl_evict *e, uint32_t number, uint32_t weight);
void sl_evict_touch(struct sl_evict *e,
                    uint32_t number); /* Somebody asked for it. No-op if absent. */
void sl_evict_remove(struct sl_evict *e, uint32_t number); /* No-op if absent. */
/*
 * Take out the one that is worth least. False: there is none. Of equals the one that was added or
 * touched first, where a touch of one that is among the youngest quarter is none: so what was put
 * in a row goes in that order, and leaves room in a row.
 */
bool sl_evict_pop(struct sl_evict *e, uint32_t *ret_number);
/* Whether a goes before b; both are in it. */
bool sl_evict_is_before(const struct sl_evict *e, uint32_t a, uint32_t b);
uint32_t sl_evict_count(const struct sl_evict *e);

#endif
