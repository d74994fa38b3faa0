/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.h - the actor of a node: takes leased tasks and calls from the head, keeps a pool of
 * replicas for each extractor and model, builds and keeps the models' memory files, and reports
 * every end.
 *
 *   JOINING --welcome--> MEMBER --drain--> LEAVING --nothing left--> gone
 *      ^  `--refused--> (SL_PORT_NODE hears why)
 *      `------unknown------'   the head was started again, or had given us up: leases are void
 */
#ifndef SL_ACTORS_AGENT_H
#define SL_ACTORS_AGENT_H

#include "actors/pool.h"

#define SL_AGENT_ROOM 1024 /* Tasks a node holds at a time, at most. */

struct sl_agent_options { /* Strings are borrowed for the actor's life. */
    struct sl_pool_options pool;
    const char *data_directory; /* Models' directories are below it. */
    /* Of the node's actor of images, which fetches models that are not there. NULL: it has none. */
    const char *images_directory;
    uint64_t pid;  /* Of the node's process, for people. */
    uint32_t room; /* Tasks that it holds at a time; 0: SL_AGENT_ROOM. */
    /* Append what the node's store holds, and what its actor of images has, as a JSON object each,
     * or nothing. NULL: it has neither. */
    void (*stores)(void *shell, struct sl_buf *objects, struct sl_buf *images);
    void *shell;
    /* Of a worker that somebody else started: see node_facts.h. NULL: a child of the head's. */
    const char *name, *facts;
};

extern const struct sl_actor_class sl_agent_class; /* Argument: sl_agent_options. */

#endif
