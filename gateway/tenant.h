/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tenant.h - what the handlers of tenants share.
 */
#ifndef SL_GATEWAY_TENANT_H
#define SL_GATEWAY_TENANT_H

#include "gateway/call.h"

/* The row of a tenant by its id. False: there is none. */
bool sl_tenant_find(struct sl_call *call, const char *id, struct sl_json *ret_row);
/* The row as clients see it: the reply. */
void sl_tenant_write(struct sl_call *call, struct sl_json row);
/* 403: it is suspended. Any thread. */
void sl_tenant_fail_suspended(struct sl_call *call);
/* The tenant that the path names, in whose place the call goes on, so that what is done is in its
 * audit log. False: the call has failed. */
bool sl_tenant_enter(struct sl_call *call, struct sl_json *ret_row);
/* Store a row that has changed, and have the keyring go by it. */
void sl_tenant_put(struct sl_call *call, const struct sl_buf *value);
/* Pause the queues that hand out, and write down which, as objects; and set them as they were. */
void sl_tenant_freeze(struct sl_call *call, struct sl_jsonw *w);
void sl_tenant_thaw(struct sl_call *call, struct sl_json frozen);
/* 422 for a list of addresses that is none. */
void sl_tenant_fail_door(struct sl_call *call);
/* Of the body: what could not be kept is refused, not stored. False: the call has failed. */
bool sl_tenant_takes_security(struct sl_call *call);

#endif
