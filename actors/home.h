/* SPDX-License-Identifier: Apache-2.0 */
/*
 * home.h - nodes of one tenant alone: a node may carry a taint, "tenant=ID", and then takes work of
 * that tenant alone; and a tenant at isolation level `physical` has its work done at such nodes
 * alone. Both are a number, the tenant's scope: that of a node, that of some work, 0 for none; and
 * they go together where the numbers are equal (sl_placement_is_home).
 *
 * Threading: the store's thread.
 */
#ifndef SL_ACTORS_HOME_H
#define SL_ACTORS_HOME_H

#include "runtime/store.h"

#define SL_HOME_TENANT_MAX 128 /* Bytes of a tenant's id. */

/* Of SL_TABLE_HEAD of a tenant's scope: its level, there while that is above `logical`. */
#define SL_HOME_LEVEL_KEY "apart"

/* The tenant's id that a taint, such as "tenant=acme", names; empty: it is no taint. Borrowed. */
struct sl_slice sl_home_tenant(struct sl_slice taint);
/* The number of that tenant. SL_ENOTFOUND: there is none of that id. */
SL_MUST_CHECK enum sl_err sl_home_lookup(struct sl_txn *txn, struct sl_slice tenant,
                                         uint64_t *ret_home);
/* Whose nodes alone the work of a scope is for, as it is now; 0: it is for those without a taint.
 */
uint64_t sl_home_of(struct sl_txn *txn, struct sl_scope scope);

#endif
