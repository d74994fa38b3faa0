/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isolation/level.h - which level of isolation is in force for a tenant, beside the one that was
 * asked for.
 *
 *   logical   replicas of plugins that share nothing work for several tenants
 *   process   all replicas are the tenant's own, with its uid
 *   physical  and all of them at nodes with the tenant's taint alone (actors/home.h), where there
 *             are no others' replicas
 *
 * Each extraction of a tenant at `process` says that its replicas are its own, and so do those that
 * are made for a call. Where a level changes, all are written anew, in the transaction of the
 * change: the next task or call goes to replicas of the other kind.
 *
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_ISOLATION_LEVEL_H
#define SL_GATEWAY_ISOLATION_LEVEL_H

#include "gateway/call.h"

/* Of a level that is asked for: static text. */
const char *sl_isolation_enforced(const char *level);
/* Stage that the level holds in a scope, for what is made there from then on. */
void sl_isolation_begin(struct sl_txn *txn, struct sl_scope scope, const char *level);
bool sl_isolation_is_apart(struct sl_txn *txn, struct sl_scope scope);
/* Write what the level says of an extraction, into its object: its replicas are the tenant's own if
 * the plugin asks for that, or the level does. */
void sl_isolation_note(struct sl_txn *txn, struct sl_scope scope, bool is_of_plugin,
                       struct sl_jsonw *w);
/* The same for what is there already, of the tenant in whose place the call is. */
void sl_isolation_change(struct sl_call *call, const char *level);
/* What can be said to hold of what the row says: replicas that nothing confines are not apart. */
const char *sl_isolation_in_force(const struct sl_call *call, const char *enforced);

#endif
