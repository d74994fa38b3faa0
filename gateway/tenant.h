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
/* 422 for a list of addresses that is none. */
void sl_tenant_fail_door(struct sl_call *call);

#endif
