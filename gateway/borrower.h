/* SPDX-License-Identifier: Apache-2.0 */
/*
 * borrower.h - the loans (loan.h) that a gateway holds, by scope. Bounded: of scopes that meet at
 * one place the one that is there first keeps it until its loans have ended; the other's calls are
 * the head's meanwhile.
 *
 * Threading: one owner.
 */
#ifndef SL_GATEWAY_BORROWER_H
#define SL_GATEWAY_BORROWER_H

#include "gateway/loan.h"
#include "runtime/catalogue.h"

struct sl_borrower;

struct sl_borrower *sl_borrower_create(void);
void sl_borrower_destroy(struct sl_borrower **b); /* NULL inside is fine. */

/* Whether a call of the scope may be answered here; it has then used a credit. Whether to ask the
 * head for a loan is told either way; *ret_number is to come back with it. */
bool sl_borrower_admit(struct sl_borrower *b, struct sl_scope scope, uint64_t now_ns, bool *ret_ask,
                       uint64_t *ret_number);
/* One has come; what was not asked for, or is over, is dropped. */
void sl_borrower_take(struct sl_borrower *b, struct sl_scope scope, const struct sl_loan *loan,
                      uint64_t number, uint64_t now_ns);
/* Its limits may have changed (0: anybody's): what is held is used no more. */
void sl_borrower_drop(struct sl_borrower *b, struct sl_scope scope);

#endif
