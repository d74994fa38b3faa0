/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - frames between nodes over ZeroMQ: the one adapter of that library.
 *
 * A frame is a version byte and the messages of one batch to one peer. Peers are node numbers; a
 * listening node learns a peer with its first frame.
 * Threading: all calls on the owner's thread (ZeroMQ sockets are not thread-safe).
 */
#ifndef SL_RUNTIME_LINK_H
#define SL_RUNTIME_LINK_H

#include "runtime/message.h"

struct sl_links;

struct sl_links *sl_links_create(uint32_t node);
void sl_links_destroy(struct sl_links **links); /* Unsent frames get 200 ms. */

SL_MUST_CHECK enum sl_err sl_links_listen(struct sl_links *l, const char *endpoint);
SL_MUST_CHECK enum sl_err sl_links_connect(struct sl_links *l, uint32_t node, const char *endpoint);

/*
 * Add a message to the frame for its node. SL_ENOTFOUND: no link leads there (one that listens
 * finds that out when it sends, and drops the frame). SL_ETOOBIG: it is larger than a frame may be;
 * a peer would hang up on it.
 */
SL_MUST_CHECK enum sl_err sl_links_add(struct sl_links *l, const struct sl_msg *msg);
void sl_links_flush(struct sl_links *l); /* Send all frames begun. */

/*
 * Next received message, NULL when none is waiting. Frames that fail their checks are dropped and
 * reported. Its `from.node` is the peer's, whatever the frame claimed.
 */
struct sl_msg *sl_links_receive(struct sl_links *l);

/* Descriptors to poll for reading; after either is readable or anything was sent: receive until
 * NULL. */
uint32_t sl_links_fds(const struct sl_links *l, int *ret_fds, uint32_t max);

#endif
