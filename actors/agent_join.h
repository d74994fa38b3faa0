/* SPDX-License-Identifier: Apache-2.0 */
/* agent_join.h - what a node says of itself to the head when it joins. Part of the agent actor. */
#ifndef SL_ACTORS_AGENT_JOIN_H
#define SL_ACTORS_AGENT_JOIN_H

#include "actors/agent.h"

void sl_agent_join(const struct sl_agent_options *options, struct sl_ctx *ctx);

#endif
