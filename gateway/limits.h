/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h - calls against what their tenant and their key may ask for (limit.h): the limits are
 * read from the rows of both, and again once one of these has changed; what was used, from the
 * ledger. All calls that need the store pass here, from whichever gateway they come.
 *
 *     sl_limits_admit --> handler ... --> sl_limits_answered: RateLimit headers, and the next may
 * run
 *            `----------> 429 ----------------^
 *
 * An operator is not limited, nor what needs no key.
 *
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_LIMITS_H
#define SL_GATEWAY_LIMITS_H

#include "gateway/call.h"
#include "gateway/loan.h"

struct sl_limits;

struct sl_limits *sl_limits_create(void);
void sl_limits_destroy(struct sl_limits **limits); /* NULL inside is fine. */
/* Rows of keys or tenants have changed. */
void sl_limits_forget(struct sl_limits *limits);
/* The call's transaction changes them: from now on what is staged is read, and after an abort what
 * was there before. */
void sl_limits_staged(struct sl_call *call);

/*
 * Lend a gateway a part of a tenant's rate, if its limits are known as they are now. SL_ESTALE: its
 * next call reads them. SL_EDENIED, SL_EFULL: see sl_loans_grant.
 */
SL_MUST_CHECK enum sl_err sl_limits_lend(struct sl_limits *limits, struct sl_scope scope,
                                         uint64_t now_ns, struct sl_loan *ret_loan);
/* Loans are about to be given: the store remembers it, so that a head that is started again keeps
 * back what may be out. False: it could not, and none may be given. */
bool sl_limits_remember(struct sl_limits *limits, struct sl_store *store);

/* False: the call has failed. Needs its transaction. */
bool sl_limits_admit(struct sl_call *call);
void sl_limits_answered(struct sl_call *call);

/* Whether its tenant's limits are for the call. */
bool sl_limits_concern(const struct sl_call *call);
/* Fail it with what a verdict says. */
void sl_limits_refuse(struct sl_call *call, const struct sl_limit_verdict *v, const char *name);
/* How much of one is used, of whatever kind. */
struct sl_limit_verdict sl_limits_look(struct sl_call *call, const struct sl_identity *tenant,
                                       enum sl_limit limit);
/* Of a tenant, as it is now; needs the call's transaction. Borrowed for the call. */
struct sl_limit_state *sl_limits_of(struct sl_call *call, const struct sl_identity *tenant);
/* The next tenant of those that were limited since the start, from *at on, which 0 begins; NULL:
 * there is none. */
const struct sl_limit_state *sl_limits_next(const struct sl_limits *limits, uint32_t *at,
                                            struct sl_scope *ret_scope);
struct sl_limit_clock sl_limits_clock(const struct sl_call *call);

#endif
