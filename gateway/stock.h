/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stock.h - limits of what is there: bytes of objects, documents, models, retrievers, tasks that
 * wait or run. Whoever adds some takes them first, in the transaction that adds them; as these run
 * one after the other, no two calls can both have the last place.
 *
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_STOCK_H
#define SL_GATEWAY_STOCK_H

#include "gateway/call.h"
#include "gateway/limit.h"

/* How many there are, as it was before the call's transaction. */
uint64_t sl_stock_count(struct sl_call *call, struct sl_scope scope, enum sl_limit limit);

/*
 * So many more are to be there when the call's transaction is committed. False: the call has
 * failed, as its tenant may not have so many. What was taken before in the same transaction counts
 * as well. An operator is not limited.
 */
bool sl_stock_take(struct sl_call *call, enum sl_limit limit, uint64_t amount);

/*
 * Tasks write documents without a call: they find max_embeddings of their tenant beside its counts.
 * To be called by whoever changes the limit or gives the tenant tasks, since the plan may have
 * brought another one since.
 */
void sl_stock_tell_tasks(struct sl_call *call, const struct sl_identity *tenant);

#endif
