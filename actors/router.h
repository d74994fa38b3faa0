/* SPDX-License-Identifier: Apache-2.0 */
/*
 * router.h - the actor for calls that must not wait in the queue: it sends each to the node with
 * the fewest of them under way, over an open link, and gives up at a deadline. Bounded: past
 * SL_ROUTER_CALLS_MAX a call is refused with SL_EFULL. While no node is there calls are parked.
 */
#ifndef SL_ACTORS_ROUTER_H
#define SL_ACTORS_ROUTER_H

#include "actors/cluster.h"

#define SL_ROUTER_CALLS_MAX   1024
#define SL_ROUTER_DEADLINE_NS (20 * SL_SECOND_NS)
/* From when a node was asked to load a model: gigabytes come from its disk. */
#define SL_ROUTER_LOAD_DEADLINE_NS (600 * SL_SECOND_NS)

extern const struct sl_actor_class sl_router_class; /* No argument. */

#endif
