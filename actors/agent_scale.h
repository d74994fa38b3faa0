/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_scale.h - what the head says of replicas' numbers, and what a node's pools decided on them.
 * Part of the agent actor.
 */
#ifndef SL_ACTORS_AGENT_SCALE_H
#define SL_ACTORS_AGENT_SCALE_H

#include "actors/pool.h"

/* Read the head's word into the book; pools obey at once. False: it says what it said, as after a
 * restart of the head, or is none, and nothing has changed. */
bool sl_agent_scale_take(struct sl_scale_book *book, const struct sl_m_scale_config *m,
                         struct sl_pool pools[SL_POOLS_MAX], uint64_t now_ns);
/*
 * Have `add` called for each pool that is kept without work, as the book says: of an extractor with
 * the index of the head's list (`indexes`, a JSON object), so that it is the pool of the work that
 * comes. Of tenants' own none is: as many would be kept on each node as there are tenants.
 */
void sl_agent_scale_keep(const struct sl_scale_book *book, struct sl_slice indexes,
                         void (*add)(void *agent, const struct sl_work_spec *spec), void *agent);
/* Tell the head, if there is news, or anyway. */
void sl_agent_scale_tell(struct sl_pool pools[SL_POOLS_MAX], struct sl_ctx *ctx, bool is_anyway);
/* Those with a model: none of them is kept without work from now on. */
void sl_agent_scale_park(struct sl_pool pools[SL_POOLS_MAX], struct sl_slice model);

#endif
