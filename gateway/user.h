/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user.h - what the handlers of users and of their keys share.
 */
#ifndef SL_GATEWAY_USER_H
#define SL_GATEWAY_USER_H

#include "gateway/resource.h"

/* A row of the system's scope, parsed. False: there is none. */
bool sl_system_row(struct sl_call *call, uint8_t table, struct sl_slice key,
                   struct sl_json *ret_row);
/* A user of the caller's organization, by e-mail. False: 404 is on the call. */
bool sl_user_find(struct sl_call *call, struct sl_slice email, struct sl_resource *ret_user);
/* Revoke every key of a user. */
void sl_keys_revoke(struct sl_call *call, const char *email);
/* Have every key of a user (NULL: of the organization) go by what is staged of user and tenant. */
void sl_keys_refresh(struct sl_call *call, const char *email);

#endif
