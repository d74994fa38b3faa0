/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idempotency.h - replies stored by a key. The row is written in the transaction that has
 * the effect, so a reply is stored exactly when what it tells of has happened.
 * Threading: the store's thread; call->txn is open.
 */
#ifndef SL_GATEWAY_IDEMPOTENCY_H
#define SL_GATEWAY_IDEMPOTENCY_H

#include "gateway/gateway.h"

#define SL_IDEMPOTENT_MS (UINT64_C(24) * 60 * 60 * 1000)

/*
 * Look the call's key up. True: go on (there is no key, or it is new: call->idempotent_row is set).
 * False: the reply is there, a stored one or a failure: another body (422), still running (409).
 */
bool sl_idempotency_begin(struct sl_call *call);
/* Stage the reply under the call's key, if it has one and the reply is one that is kept. */
void sl_idempotency_store(struct sl_call *call);
/*
 * A call that commits in parts stages with each how far it has come, if it has a key: when it is
 * sent again after it was cut off (a crash, a full disk), call->begun is that. Its handler decides
 * what the bytes mean; those of a reply that is too large to be kept are not either.
 */
void sl_idempotency_note(struct sl_call *call, struct sl_slice so_far);
/* While a call waits its key is taken: put it on the gateway's list, and take it off. */
void sl_idempotency_hold(struct sl_call *call);
void sl_idempotency_release(struct sl_call *call);

/* Whether a stored row has expired. Rows that cannot be read have. */
bool sl_idempotency_is_over(struct sl_slice row, uint64_t now_ms);

#endif
