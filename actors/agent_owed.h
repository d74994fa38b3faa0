/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_owed.h - ends of tasks that a link did not take: the result is gone, and only that it is
 * can be told, with the next beat. A task is under way until the head hears. Part of the agent
 * actor.
 */
#ifndef SL_ACTORS_AGENT_OWED_H
#define SL_ACTORS_AGENT_OWED_H

#include "actors/cluster.h"

struct sl_owed_end {
    uint64_t task_id, epoch, kind;
};

struct sl_agent_owed {
    struct sl_owed_end *ends; /* None as a rule. */
    uint32_t count;
};

/* False: there are as many as the head has given; older leases are void. */
bool sl_agent_owed_add(struct sl_agent_owed *owed, const struct sl_m_undelivered *m, uint32_t max);
/* Tell the dispatcher all of them, and forget them; how many. */
uint32_t sl_agent_owed_tell(struct sl_agent_owed *owed, struct sl_ctx *ctx);
void sl_agent_owed_deinit(struct sl_agent_owed *owed); /* Zeroed is fine. */

#endif
