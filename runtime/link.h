/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - messages between nodes: `ipc://` on a machine, over sockets of the file system, and
 * `tcp://` between machines, over ZeroMQ (link_carrier.h).
 *
 * A node listens and connects to others. Peers are node numbers; each has a session
 * (session.h), by which its messages come once and in order as long as it lives, over
 * however many connections. A frame carries many messages. tcp is encrypted, and both ends know
 * each other's keys (CURVE).
 *
 * Threading: all calls on the owner's thread (no carrier's sockets are thread-safe).
 */
#ifndef SL_RUNTIME_LINK_H
#define SL_RUNTIME_LINK_H

#include "runtime/frame.h"
#include "runtime/message.h"

struct sl_links;

struct sl_links_options {
    uint32_t node;     /* Ours, > 0. */
    const char *name;  /* For the peers' reports; NULL: "". */
    const char *group; /* What sort of node: for the peer's `admit`. NULL: "". */
    uint64_t boot;     /* Another for each run of this node; 0: a random one. */
    /* tcp: how often something is said, and how long a silent peer lives. 0: 1 s and 10 s. */
    uint64_t beat_ns, dead_ns;
    uint64_t lost_ns;      /* How long one lives whose connection broke. 0: as dead_ns. */
    uint64_t buffer_bytes; /* Sent to a peer and not acknowledged yet. 0: 1 GiB. */
    /* Whether a peer may begin a session: NULL, or why not (static). `key` is its public key, ""
       over ipc. NULL: whoever has an allowed key. */
    const char *(*admit)(void *arg, const struct sl_hello *hello, const char *key);
    void *admit_arg;
    /* Whether a peer may send such a message: to.actor and from.node are set. NULL: any. */
    bool (*takes)(const struct sl_msg *msg);
    /* Where to send peer_up and peer_down messages (system.def): an actor's number; 0: nowhere. */
    uint32_t watcher;
    uint32_t watcher_too; /* And where else, in order with what peers send there. 0: nowhere. */
};

/* Files are those of cert.h. */
struct sl_link_security {
    const char *cert;    /* Our certificate; its secret is in it, or in CERT_secret. */
    const char *server;  /* To connect: the public certificate of the node that listens. */
    const char *allowed; /* To listen: a directory of the public certificates that may connect. */
    bool is_insecure;    /* Let tcp on the loopback go without certificates: for tests. */
};

struct sl_links *sl_links_create(uint32_t node); /* All else by default. */
struct sl_links *sl_links_create_with(const struct sl_links_options *options);
void sl_links_destroy(struct sl_links **links); /* Unsent frames get 200 ms. */

/* Before tcp endpoints are listened on or connected to. SL_ENOTFOUND, SL_EINVAL: a certificate is
 * not there, or none, or has no secret. SL_EDENIED: others may read its secret. */
SL_MUST_CHECK enum sl_err sl_links_secure(struct sl_links *l,
                                          const struct sl_link_security *security);
/* "ipc://path", "tcp://host:port"; port 0: any. SL_EDENIED: tcp, and not secured for that.
 * SL_EBUSY, SL_EINVAL, SL_ENOTFOUND (no such host here), SL_EIO, SL_EFULL (endpoints). */
SL_MUST_CHECK enum sl_err sl_links_listen(struct sl_links *l, const char *endpoint);
SL_MUST_CHECK enum sl_err sl_links_connect(struct sl_links *l, uint32_t node, const char *endpoint);
/* Whether the node's endpoint has been reached, and what is sent goes there now. */
bool sl_links_is_connected(const struct sl_links *l, uint32_t node);
/* Forget a node that was connected to, and what it was sent; none is fine. */
void sl_links_disconnect(struct sl_links *l, uint32_t node);
/* The endpoint last listened on, as it can be connected to: with its port. Owned by the caller. */
char *sl_links_bound(const struct sl_links *l);

/*
 * Add a message to the frame for its node. SL_ENOTFOUND: no link leads there, or the node has not
 * come yet, or is gone. SL_EDENIED: it refused us. SL_EFULL: it does not acknowledge what it has
 * been sent. SL_ETOOBIG: larger than a frame may be; a peer would hang up on it.
 */
SL_MUST_CHECK enum sl_err sl_links_add(struct sl_links *l, const struct sl_msg *msg);
void sl_links_flush(struct sl_links *l); /* Send all frames begun. */

/*
 * Next received message, NULL when none is waiting. Frames that fail their checks are counted,
 * dropped and reported once a peer. `from.node` is the peer's, whatever the frame claimed.
 */
struct sl_msg *sl_links_receive(struct sl_links *l);

/* Descriptors to poll for reading; after one is readable, anything was sent, or the deadline has
 * come: receive until NULL. */
uint32_t sl_links_fds(const struct sl_links *l, int *ret_fds, uint32_t max);
uint64_t sl_links_deadline_ns(const struct sl_links *l); /* Monotonic; UINT64_MAX: none. */

/* Since the start. */
struct sl_links_counts {
    uint64_t frames_sent, frames_received, messages_sent, messages_received;
    uint64_t malformed;                        /* Frames or messages that fail their checks. */
    uint64_t unasked;                          /* Messages that `takes` refused. */
    uint64_t unknown;                          /* Messages and frames of later minor versions. */
    uint64_t foreign;                          /* Frames of no live session of their peer. */
    uint64_t refused;                          /* Peers: version, key, node, group. */
    uint64_t resent, duplicates, gaps, voided; /* As in session.h, of peers that are still known. */
    uint64_t overflows;                        /* SL_EFULL */
};
void sl_links_counts(const struct sl_links *l, struct sl_links_counts *ret_counts);

#endif
