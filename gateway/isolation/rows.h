/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isolation/rows.h - the attacks of isolation.def that need no process: a key of a neighbour's asks
 * for what is the tenant's, of the stores by their scope handle and of the API's handlers by ids.
 *
 * The neighbour is an identity without rows, in a scope that no tenant gets. Handlers are called as
 * the runner calls them, behind the check of the key and the look-up of the namespace: in place of
 * that, they are told the tenant's own namespace.
 *
 * Threading: the store's thread. Nothing is staged.
 */
#ifndef SL_GATEWAY_ISOLATION_ROWS_H
#define SL_GATEWAY_ISOLATION_ROWS_H

#include "gateway/call.h"
#include "gateway/isolation.h"

/* Who may do all that a tenant's admin may, and owns nothing. */
struct sl_identity sl_isolation_neighbour(void);

/* Of `victim`, who need not be who calls. */
void sl_isolation_rows(struct sl_call *call, const struct sl_identity *victim,
                       const struct sl_identity *neighbour, struct sl_isolation *found);

#endif
