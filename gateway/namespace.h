/* SPDX-License-Identifier: Apache-2.0 */
/*
 * namespace.h - namespaces that end by themselves: `ttl_seconds` after they were created.
 */
#ifndef SL_GATEWAY_NAMESPACE_H
#define SL_GATEWAY_NAMESPACE_H

#include "gateway/call.h"

/* Stage the deletion of one namespace of call->who.scope whose time is over, batches or not.
 * Returns its id (arena), NULL: there is none. The call may have failed: nothing is to be kept. */
const char *sl_namespace_expire(struct sl_call *call);

#endif
