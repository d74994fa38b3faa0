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
#include "gateway/limit.h"

struct sl_limits;

struct sl_limits *sl_limits_create(void);
void sl_limits_destroy(struct sl_limits **limits); /* NULL inside is fine. */
/* Rows of keys or tenants have changed. */
void sl_limits_forget(struct sl_limits *limits);

/* False: the call has failed. Needs its transaction. */
bool sl_limits_admit(struct sl_call *call);
void sl_limits_answered(struct sl_call *call);

/* Of a tenant, as it is now; needs the call's transaction. Borrowed for the call. */
struct sl_limit_state *sl_limits_of(struct sl_call *call, const struct sl_identity *tenant);
struct sl_limit_clock sl_limits_clock(const struct sl_call *call);

#endif
