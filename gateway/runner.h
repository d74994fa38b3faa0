/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner.h - a posted call on the store's thread: namespace, plan, schema, idempotency, one
 * transaction around the handler. Neither waits nor replies: the api actor does.
 *
 *   run --> handler --> committed or aborted: its reply may leave once the store is synced
 *              `-----> is_waiting --> continue --> ...
 *
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_RUNNER_H
#define SL_GATEWAY_RUNNER_H

#include "gateway/gateway.h"

/*
 * Run a call that the front posted. Afterwards its reply is complete, or call->is_waiting is true
 * and sl_runner_continue is due. A success may leave only when what was committed is durable.
 */
void sl_runner_run(struct sl_gateway *g, struct sl_call *call);

/* What the handler asked for is there (call->wait says how it went): run `then` the same way. */
void sl_runner_continue(struct sl_gateway *g, struct sl_call *call, sl_handler_fn *then);

/*
 * Delete one namespace whose time is over, in the scope of `call`, which carries no request: its
 * who.scope, now_ms, random and internal are set. *ret_id NULL: there is none. It lives as long as
 * the call. Errors: the commit's, and SL_EBUSY when it holds more than can be deleted.
 */
SL_MUST_CHECK enum sl_err sl_runner_expire(struct sl_gateway *g, struct sl_call *call,
                                           const char **ret_id);

/*
 * Forget stored replies of one scope that have expired: looks at up to `rows_max` rows that follow
 * `cursor` (a key; empty: from the start) and moves it on; empty again when the end was reached.
 * Also stores when keys, of whatever scope, were used.
 * SL_ENOSPC and the store's other errors: nothing was removed.
 */
SL_MUST_CHECK enum sl_err sl_runner_sweep(struct sl_gateway *g, struct sl_scope scope,
                                          uint64_t now_ms, uint32_t rows_max,
                                          struct sl_buf *cursor);

#endif
