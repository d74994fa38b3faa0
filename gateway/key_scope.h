/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_scope.h - what a key with scopes may touch. One of its scopes must name
 * what the path names, by id or "*", and allow the operation (no operations: all of them):
 *
 *   organization                   everything
 *   namespace                      the namespace in the path, or that of X-Namespace, with all in
 * it bucket, collection, retriever  that resource, where the path names one
 *
 * Names are not looked at: a later resource of the same name is another one. A key without scopes
 * may do what its permissions say.
 */
#ifndef SL_GATEWAY_KEY_SCOPE_H
#define SL_GATEWAY_KEY_SCOPE_H

#include "gateway/call.h"

/* 403 on the call where no scope allows it. After the namespace is known. */
void sl_key_scope_check(struct sl_call *call);
/* The operation a route stands for: "read_data", "execute_job"... Static text. */
const char *sl_key_scope_operation(const struct sl_route *route);

#endif
