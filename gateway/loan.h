/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loan.h - what a head lends its gateways of a tenant's rate, so that they can answer calls by
 * themselves and all together never let more through than the tenant may: plain state on both
 * sides, for which the caller tells the time (docs/decisions/0028-loans-of-limits.md).
 *
 *   head: LENT --its end, by the head's clock--> given back
 *   gateway: HELD --its end, by the gateway's clock: no later, as it counts from when it asked-->
 * gone
 *
 * A loan is a bucket that is cut out of the head's: rate, room for credits, and credits that the
 * head has no more. So rates and room of all buckets always add up to the tenant's, and no stretch
 * of time sees more calls than its burst and its rate allow, whoever dies, and whatever is lost or
 * late. A loan is never changed and never taken back: who needs more asks for another.
 *
 * Threading: the owner's.
 */
#ifndef SL_GATEWAY_LOAN_H
#define SL_GATEWAY_LOAN_H

#include "gateway/limit.h"

#define SL_LOAN_LIFE_NS (5 * SL_SECOND_NS)

/* How calls of a tenant may be answered without the head. */
enum sl_loan_rule {
    SL_LOAN_FREE,   /* Nothing of it is limited. */
    SL_LOAN_NEEDED, /* Its rate alone is: within a loan. */
    SL_LOAN_NEVER   /* Of more (sl_limit_is_heads): the head answers. */
};
enum sl_loan_rule sl_loan_rule(const struct sl_limit_state *s);

struct sl_loan {
    uint64_t rate, burst; /* Requests a second; credits at most. */
    uint64_t credits;     /* At the beginning. */
    uint64_t end_ns;      /* By its holder's clock. */
};

/* ---- the head's: all loans of a tenant. In place: zero it. ---------------------------------- */

struct sl_loans {
    struct sl_loan *items;
    uint32_t count, room;
};
void sl_loans_deinit(struct sl_loans *loans);
/* Those that have ended are the tenant's own again. */
void sl_loans_settle(struct sl_loans *loans, struct sl_limit_state *s, uint64_t now_ns);
/*
 * Half of what is left of the half that gateways may have together: so that all who ask soon have
 * about as much. SL_EDENIED: by the rule; SL_EFULL: there is less than a call a second of it left.
 */
SL_MUST_CHECK enum sl_err sl_loans_grant(struct sl_loans *loans, struct sl_limit_state *s,
                                         uint64_t now_ns, struct sl_loan *ret_loan);
/* What a head before this one may have lent, of which nothing is known: all it could have. */
void sl_loans_assume(struct sl_loans *loans, struct sl_limit_state *s, uint64_t end_ns);

/* ---- a gateway's: the loans that it holds of a tenant. In place: zero it. ------------------- */

#define SL_LOANS_HELD 4u

struct sl_loans_held {
    struct sl_limit_state states[SL_LOANS_HELD];
    uint64_t ends_ns[SL_LOANS_HELD]; /* 0: none. */
    uint64_t asked_ns;               /* When it was asked for the last. */
    bool is_asked;                   /* Ever. */
};
/* Take one that was asked for at asked_ns. False: it has ended before it came, or there is no room.
 */
bool sl_loans_take(struct sl_loans_held *held, const struct sl_loan *loan, uint64_t asked_ns,
                   uint64_t now_ns);
/* Whether a call may be answered now; it has then used a credit. */
bool sl_loans_admit(struct sl_loans_held *held, uint64_t now_ns);
/* Whether to ask for one: none has most of its time left, and the last was asked for a while ago.
 * Notes that it is asked now. */
bool sl_loans_ask(struct sl_loans_held *held, uint64_t now_ns);

#endif
