/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.h - a node: a live driver with one agent, linked to the head and to its replicas. It is a
 * child that the head's spawner forks, or a worker that somebody starts (gateway/worker.h).
 */
#ifndef SL_ACTORS_NODE_H
#define SL_ACTORS_NODE_H

#include "actors/pool.h"
#include "runtime/live.h"
#include "runtime/spawner.h"

struct sl_node;

struct sl_node_options {                     /* Strings are borrowed for the node's life. */
    const char *head;                        /* The head's endpoint. */
    const struct sl_link_security *security; /* Of a tcp one; borrowed for the call. NULL: none. */
    const char *data; /* The head's data directory, as seen from here: models and blobs. */
    uint32_t room;    /* Tasks that it takes at a time; 0: the usual. */
    struct sl_pool_options pool; /* node, endpoint ("ipc://PATH"), plugins and limits; not blobs. */
    int spawner_fd;              /* Taken; -1: start one from `program`, and again when it dies. */
    const char *program;
    const char *name, *facts; /* Of a worker; NULL: a child of the head's. */
    const char *group;        /* NULL: none. */
    /* Objects that replicas of a tenant share (object_node.h); zeros: its defaults. */
    uint64_t objects_bytes, objects_tenant_bytes, objects_spill_bytes;
    const char *spill_directory; /* NULL: nothing is spilled. Borrowed for the call. */
    /* Where models lie that it fetches, as `data` does not have them, and how many bytes of them at
     * most (0: any). If another process has the directory, it takes one beside it; if it cannot
     * have any, it fetches none. NULL: neither. */
    const char *images_directory;
    uint64_t images_bytes;
};

/* SL_EBUSY: the endpoint is taken; SL_EINVAL; SL_EIO; SL_EUNAVAIL: no spawner. */
SL_MUST_CHECK enum sl_err sl_node_open(const struct sl_node_options *options,
                                       struct sl_node **ret_node);
struct sl_live *sl_node_live(struct sl_node *node); /* To run and stop it. */
void sl_node_close(struct sl_node **node);          /* Its replicas end. NULL inside is fine. */

/*
 * The child's life. Its text is JSON: {"head":endpoint,"run":directory for its socket,"plugins",
 * "data","threads","replicas","idle_ms","task_ms","objects","objects_tenant","objects_spill"
 * (bytes), "settings" (replica_settings.h), "room","node":number}. It ends by itself when it has
 * been told to drain.
 */
int sl_node_run(const struct sl_child *child);

#endif
