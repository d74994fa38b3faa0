/* SPDX-License-Identifier: Apache-2.0 */
/*
 * router.h - the actor for calls that must not wait in the queue: of two nodes drawn by chance it
 * sends each to the one with fewer of them under way, over an open link; those that belong together
 * (sticky) go to one node while it is open. While no node is there calls are parked.
 *
 *   embed --> parked --node--> under way --embedded--> (answered)
 *     `- refused: SL_EFULL   |   `- its replica died: once more, alone
 *                            `- deadline: SL_ETIMEOUT; embed_cancel: (gone, and the node told)
 *
 * Where an agent has offered it, a call goes straight to a replica (shortcuts.h), of two drawn by
 * chance the less busy one, and by its node only if there is no room there or it must be alone.
 *
 * Bounded: in all, by extraction, by who asks, and while they are parked. A node is told how long
 * the answer is waited for, and runs nothing after that.
 */
#ifndef SL_ACTORS_ROUTER_H
#define SL_ACTORS_ROUTER_H

#include "actors/cluster.h"

#define SL_ROUTER_CALLS_MAX      4096                 /* Under way and parked. */
#define SL_ROUTER_EXTRACTION_MAX 2048                 /* Of these: of one extraction. */
#define SL_ROUTER_SCOPE_MAX      1024                 /* Of one tenant. */
#define SL_ROUTER_PARKED_MAX     1024                 /* While there is no node. */
#define SL_ROUTER_DEADLINE_NS    (20 * SL_SECOND_NS)  /* Of a call that states none. */
#define SL_ROUTER_TIMEOUT_MAX_NS (600 * SL_SECOND_NS) /* One that states more gets this. */
/* The head is told of calls that are under way so often at least. */
#define SL_ROUTER_TELL_NS SL_SECOND_NS
/* From when a node was asked to load a model: gigabytes come from its disk. */
#define SL_ROUTER_LOAD_DEADLINE_NS (600 * SL_SECOND_NS)

struct sl_router_counts {
    uint64_t answered, refused, overdue, cancelled, again; /* again: their replica had died. */
    uint64_t straight;                                     /* Sent straight to a replica. */
    uint32_t calls, parked;                                /* Now. */
};

/* Its argument is a struct sl_channels (runtime/channel_port.h), borrowed, or NULL: it has none,
 * and all calls go by nodes. */
extern const struct sl_actor_class sl_router_class;

/* Of the actor's state; on its thread. */
void sl_router_counts(const void *router, struct sl_router_counts *ret_counts);

#endif
