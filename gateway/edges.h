/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edges.h - the head's actor for gateways that are processes of their own: who they are, their
 * copies of the keys, and the calls they send.
 *
 *   (unknown) --join--> known --silence, leave, a join of another process under its number-->
 * (gone)
 *
 * A call is checked again here, by the digest of its key: a key that was revoked is refused from
 * the commit on, whatever a gateway believes. What runs for a gateway that is gone runs to its end,
 * and its reply is dropped.
 */
#ifndef SL_GATEWAY_EDGES_H
#define SL_GATEWAY_EDGES_H

#include "gateway/gateway.h"
#include "gateway/relay.h"

#define SL_EDGES_MAX 64u /* Gateways at a time. */

struct sl_edges_options {
    struct sl_gateway *gateway; /* Its keyring, blobs and incoming. */
    uint64_t silence_ns;        /* A gateway that says nothing for so long is gone. */
};

extern const struct sl_actor_class sl_edges_class; /* Argument: sl_edges_options. */

/* For the status page: appends a JSON array of gateways. */
void sl_edges_status(const void *edges, struct sl_buf *out);

#endif
