/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object_node.h - the objects of a node and the server of its processes, on a thread of their own:
 * to make room they wait for memory and the disk, and whoever starts processes must not.
 *
 *   open --> grant (the thread starts with the first) --> ... --> close
 *
 *   node's thread --(tenant, tag, socket)--> store's thread <--(sockets)--> processes of tenants
 *                 <--------(tag)--------- a process that misbehaved was dropped: end it
 *                 <-(tag, ticket, model)- a process asks for a model, which the node's thread keeps
 *                 -(ticket, file)-------> ...and gives it, now or later
 *
 * Threading: measure on any thread; the others on one.
 */
#ifndef SL_OBJECT_STORE_OBJECT_NODE_H
#define SL_OBJECT_STORE_OBJECT_NODE_H

#include "object-store/object_server.h"

struct sl_object_node;

struct sl_object_node_options {
    uint64_t memory_bytes; /* Of all tenants; 0: sl_object_node_memory(). */
    uint64_t tenant_bytes; /* Each tenant's quota; 0: half of that. */
    uint64_t spill_bytes;  /* 0: nothing is spilled. */
    const char *spill_directory;
    uint64_t seed; /* That tenants cannot guess. */
};

uint64_t sl_object_node_memory(void); /* A quarter of the machine's. */

/* The directory is made when it is missing; borrowed for the call. SL_EFULL, SL_ENOMEM: no sockets.
 */
SL_MUST_CHECK enum sl_err sl_object_node_open(const struct sl_object_node_options *options,
                                              struct sl_object_node **ret_node);
/* Clients find out by their sockets. NULL inside is fine. */
void sl_object_node_close(struct sl_object_node **node);

/*
 * A socket for a process of that tenant; the caller's. Without waiting. SL_EFULL: no descriptor is
 * free, or the thread is that far behind. SL_ENOMEM: there is no thread. Where there is no store,
 * as was said in the log, the socket is closed at its other end.
 */
SL_MUST_CHECK enum sl_err sl_object_node_grant(struct sl_object_node *n,
                                               const struct sl_object_peer *peer, int *ret_fd);
/* Bytes of the largest that it takes of a tenant. */
uint64_t sl_object_node_largest(const struct sl_object_node *n);
int sl_object_node_fd(const struct sl_object_node *n); /* Readable: `told` may know something. */
/*
 * The next that the store's thread has to say; false: nothing. Ticket 0: the process of that tag
 * was dropped and is to be ended. Else it asks for a model, whose id lives until the next call.
 */
bool sl_object_node_told(struct sl_object_node *n, struct sl_object_want *ret_told);
/* Answer such an ask; without waiting. SL_EFULL: the thread is that far behind. SL_EUNAVAIL. */
SL_MUST_CHECK enum sl_err sl_object_node_give(struct sl_object_node *n,
                                              const struct sl_object_given *given);

/* As of a second ago, at most, while there are clients. */
struct sl_object_node_stats {
    uint64_t memory_bytes, memory_max_bytes; /* Of segments, indexes, pins, large objects. */
    uint64_t object_bytes, objects;          /* Of what is in memory. */
    uint64_t spilled_bytes, tenants, clients;
    uint64_t pins, holds;              /* Now. */
    uint64_t evictions, spills, drops; /* Ever. */
    uint64_t handed, lost;             /* Ever: in rings; and not put, for want of room, say. */
    uint64_t models;                   /* Given to processes, ever. */
};
void sl_object_node_measure(const struct sl_object_node *n, struct sl_object_node_stats *ret_stats);

#endif
