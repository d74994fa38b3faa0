/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relations.h - what an actor is to others: who watches it, who is linked to it, which of its calls
 * wait. Most actors have none of it, so it is a block of its own that is made when it is needed.
 * Threading: one owner, the actor. Plain state: it sends nothing.
 */
#ifndef SL_RUNTIME_RELATIONS_H
#define SL_RUNTIME_RELATIONS_H

#include "runtime/call_table.h"

/* A set of addresses: a few, so an array. */
struct sl_addr_set {
    struct sl_addr *addrs;
    uint32_t count, capacity;
};

static inline bool
sl_addr_equal(struct sl_addr a, struct sl_addr b)
{
    return a.node == b.node && a.actor == b.actor;
}

bool sl_addr_set_add(struct sl_addr_set *s, struct sl_addr addr);    /* False: it was there. */
bool sl_addr_set_remove(struct sl_addr_set *s, struct sl_addr addr); /* False: it was not. */

struct sl_relations {
    struct sl_addr_set watchers, links;
    struct sl_call_table calls;
    uint64_t armed_ns; /* When a timer for the calls fires next; UINT64_MAX: none is set. */
    uint32_t call_last;
};

/*
 * The number of a new call of actor `self`: its upper half counts, below the bit that tells it from
 * numbers that actors choose, its lower half is who waits for the reply.
 */
uint64_t sl_relations_call_number(struct sl_relations *r, uint32_t self);
/* Whether a message with this number answers a call of `self`. */
static inline bool
sl_is_answer(uint64_t request, uint32_t self)
{
    return request >> 63 != 0 && (uint32_t)request == self;
}

struct sl_relations *sl_relations_create(void);
void sl_relations_destroy(struct sl_relations **r); /* NULL inside is fine. */

#endif
