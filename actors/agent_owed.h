/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_owed.h - ends that a link did not take, told with the next beat. Of a task: the result is
 * gone, and only that it is can be told; it is under way until the head hears. Of a replica that
 * calls go straight to: until the router hears, they wait there. Part of the agent actor.
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
    uint64_t *gone; /* Replicas; none as a rule. */
    uint32_t gone_count, gone_room;
};

/* False: there are as many as the head has given; older leases are void. */
bool sl_agent_owed_add(struct sl_agent_owed *owed, const struct sl_m_undelivered *m, uint32_t max);
/* The router was not told that the replica has ended. */
void sl_agent_owed_gone(struct sl_agent_owed *owed, uint64_t replica);
/* Tell the dispatcher and the router all of them, and forget them; how many tasks' ends. */
uint32_t sl_agent_owed_tell(struct sl_agent_owed *owed, struct sl_ctx *ctx);
void sl_agent_owed_deinit(struct sl_agent_owed *owed); /* Zeroed is fine. */

#endif
