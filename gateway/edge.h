/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edge.h - the actor of a gateway that is a process of its own: its membership at the head, its
 * copy of the keys, and the calls that its front posts (api_call to SL_ACTOR_EDGE), each of which
 * it sends to the head and answers (api_reply to SL_PORT_FRONT), once:
 *
 *   posted --> answered                       by a worker, directly: the head is not needed
 *        |`--> sent --> answered              by the head
 *        |         `--> 503 "head_lost"       the head was silent, or began anew: it may have run
 *        |         `--> 503 "head_late"       no answer in time: the same
 *        `-----------> 503 "head_away"        it did not run
 *
 * Calls that the head has once said how to resolve (resolved_cache.h) go to the api actor of this
 * process, which has no store, and by its router to workers that have connected to us. While the
 * head is away they go on.
 */
#ifndef SL_GATEWAY_EDGE_H
#define SL_GATEWAY_EDGE_H

#include <stdatomic.h>

#include "gateway/gateway.h"
#include "gateway/relay.h"

/* What any thread may read of it: kept by the edge's. In place: zero it. */
struct sl_edge_view {
    atomic_bool is_up;      /* The head knows us and is heard. */
    atomic_bool is_refused; /* It does not want us: for good. */
    atomic_uint pending, nodes;
    atomic_ullong sent, answered, refused, lost, late, direct;
};

struct sl_edge_options {        /* Strings are borrowed for the actor's life. */
    struct sl_gateway *gateway; /* Its keyring and blobs. */
    const char *name, *endpoint;
    uint64_t pid;
    uint64_t silence_ns;       /* A head that says nothing for so long is away. */
    uint64_t timeout_ns;       /* A call that it does not answer in that time is given up. */
    const char *head;          /* For reports: its endpoint. */
    struct sl_edge_view *view; /* NULL: nobody looks. */
};

/* A `drain` message has it say goodbye to the head; then the same goes to SL_PORT_DRAIN. */

extern const struct sl_actor_class sl_edge_class; /* Argument: sl_edge_options. */

struct sl_edge_counts {
    uint32_t pending;
    uint32_t nodes; /* Workers that have connected. */
    uint64_t sent, answered, refused, lost, late, direct;
};
void sl_edge_counts(const void *edge, struct sl_edge_counts *ret_counts);

#endif
