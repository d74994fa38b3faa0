/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_calls.h - the online calls at a node: what a router asked for, and how it is answered. They
 * wait in the pools beside tasks, and go before them. Part of the agent actor.
 */
#ifndef SL_ACTORS_AGENT_CALLS_H
#define SL_ACTORS_AGENT_CALLS_H

#include "actors/pool.h"
#include "extractors/replica.h"

/* From when on nobody waits for it; 0: for a task, or a call without one. */
uint64_t sl_agent_call_deadline_ns(const struct sl_ctx *ctx, const struct sl_msg *msg);

/* Answer the call with the first vector of the first output, or that there is none. */
void sl_agent_call_done(struct sl_ctx *ctx, const struct sl_item *call, struct sl_slice outputs);
void sl_agent_call_failed(struct sl_ctx *ctx, const struct sl_item *call,
                          const struct sl_m_task_failed *why);

/* How many wait in these pools or are under way at their replicas. */
uint64_t sl_agent_calls_count(const struct sl_pool *pools, uint32_t pools_count);

/* Its router says that nobody waits for a call any more: it is looked for in these pools. Which had
 * it; NULL: none. */
struct sl_pool *sl_agent_call_cancel(struct sl_ctx *ctx, const struct sl_msg *msg,
                                     struct sl_pool *pools, uint32_t pools_count);

#endif
