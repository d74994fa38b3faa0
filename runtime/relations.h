/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relations.h - what an actor is to others: who watches it, who is linked to it, which of its calls
 * wait. Most actors have none of it, so it is a block of its own that is made when it is needed.
 * What a driver's own messages do to an actor is decided here, for all drivers.
 * Threading: one owner, the actor. Plain state: it sends nothing, but makes what is to be sent.
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

/* ---- what messages do ----------------------------------------------------------------------- */

enum sl_relations_verdict {
    SL_RELATIONS_HANDLE, /* The handler is to see it. */
    SL_RELATIONS_DONE,
    SL_RELATIONS_END /* The actor ends. */
};

/* Take a message that an actor gets; *relations are made if it needs them. Of messages that are not
 * the driver's own it only looks whether they answer a call that still waits. END: the reason. */
enum sl_relations_verdict sl_relations_take(struct sl_relations **relations, bool is_trapping,
                                            const struct sl_msg *msg, enum sl_err *ret_reason);
/* What comes back to the sender of a message that nobody took, on this node; NULL: nothing. */
struct sl_msg *sl_relations_refusal(const struct sl_msg *msg, enum sl_err reason, uint32_t node);
/* When `self` has ended: what the Nth of those is told who are to know; NULL: that were all. */
struct sl_msg *sl_relations_farewell(const struct sl_relations *r, struct sl_addr self,
                                     enum sl_err reason, uint32_t nth);
/* For the handler of `self`: that the oldest call had no answer in time. NULL: there is none. */
struct sl_msg *sl_relations_timeout(struct sl_relations *r, struct sl_addr self, uint64_t now_ns);
/* When a timer has to be set, for `calls_due`, that is not set yet. UINT64_MAX: none has to. */
uint64_t sl_relations_arm(struct sl_relations *r);

#endif
