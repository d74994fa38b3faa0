/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isolation/alarm.h - a violation of a tenant's isolation is told to whoever looks after the
 * system, whatever it was that found it. Threading: the store's thread.
 */
#ifndef SL_GATEWAY_ISOLATION_ALARM_H
#define SL_GATEWAY_ISOLATION_ALARM_H

#include "gateway/call.h"

/* To the log, and to the events, in the call's transaction; `check` as it is called. */
void sl_isolation_alarm(struct sl_call *call, const struct sl_identity *tenant, const char *check,
                        const char *why);

#endif
