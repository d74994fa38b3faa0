/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onboard.h - how a tenant comes to be: six steps (docs/tenants.md says what each does), during
 * which its state is `provisioning` and its keys are refused; then `active`. A step that finds
 * something wrong makes it `failed`, with what it found, and the keys stay refused.
 *
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_ONBOARD_H
#define SL_GATEWAY_ONBOARD_H

#include "gateway/account.h"
#include "gateway/passage.h"

#define SL_ONBOARD_STEPS 6

/* Stage a tenant that is being provisioned, its task and its passage. The id must be free. Returns
 * the task's id, in arena memory. */
const char *sl_onboard_begin(struct sl_call *call, struct sl_tenant_new *want,
                             struct sl_tenant_made *ret_made);
/* Stage the next step. */
enum sl_passage_state sl_onboard_step(struct sl_passage *p);

#endif
