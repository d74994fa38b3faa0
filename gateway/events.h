/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - who follows events (actors/journal.h) is woken when one comes. To add one is
 * sl_journal_add.
 */
#ifndef SL_GATEWAY_EVENTS_H
#define SL_GATEWAY_EVENTS_H

#include "runtime/base.h"

struct sl_api;
struct sl_call;
struct sl_ctx;
struct sl_identity;
struct sl_msg;

/* What calls that follow events wait for, in the scope whose events they are. */
#define SL_EVENTS_LANE UINT64_C(0x65766e7400000001)

/* From now on commits of events wake who follows. `api` is the actor's state; the watch ends
 * before it. */
void sl_events_watch(struct sl_api *api);
/* The head's: something happened to a node or group. It is dropped, and counted, while the disk is
 * full. */
void sl_events_take(void *api, struct sl_ctx *ctx, const struct sl_msg *msg);

/* Stage the event of a tenant whose row is about to become `row` (JSON), where its state changes.
 */
void sl_events_tenant_state(struct sl_call *call, const struct sl_identity *tenant,
                            struct sl_slice row);

#endif
