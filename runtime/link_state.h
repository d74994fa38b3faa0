/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_state.h - what the files of link.h share: peers, the sockets they are behind, and frames on
 * their way in and out. For link*.c alone.
 */
#ifndef SL_RUNTIME_LINK_STATE_H
#define SL_RUNTIME_LINK_STATE_H

#include <zmq.h>

#include "runtime/link.h"
#include "runtime/link_socket.h"
#include "runtime/mailbox.h"
#include "runtime/session.h"

#define SL_LINK_PEERS_MAX     4096
#define SL_LINK_SLOTS         (2 * SL_LINK_PEERS_MAX) /* Of the table of peers by node. */
#define SL_LINK_LISTENERS_MAX 4
#define SL_LINK_CALLS_MAX     64

struct sl_link_peer {
    uint32_t node;
    uint64_t boot;        /* Of the peer, in its identity; 0: we call it, or nothing was heard. */
    uint64_t boot_former; /* Was replaced by `boot`: it must not come again. */
    void *socket;         /* Its DEALER, or the ROUTER it was heard on. */
    bool is_call;
    struct sl_session *session;
    struct sl_frame *open; /* The frame begun. */
    struct sl_link_peer *next_active;
    bool is_active;
    bool has_told_unasked, has_told_malformed, has_told_refused, has_told_full, has_told_lost;
    char key[SL_CERT_KEY_SIZE]; /* Public; "" over ipc. */
    char name[SL_FRAME_TEXT_MAX + 1], group[SL_FRAME_TEXT_MAX + 1];
};

struct sl_link_call {
    void *socket, *monitor;
    char *endpoint;
    uint64_t dial_ns; /* When to connect again; UINT64_MAX: ZeroMQ does that by itself. */
    struct sl_link_peer *peer;
};

struct sl_link_listener {
    void *socket, *monitor;
    bool is_tcp, has_told_foreign, has_told_mismatch;
    uint32_t probes_left; /* A connection broke: ask whose it was. */
    uint64_t probe_ns;    /* When; UINT64_MAX: nothing is to be asked. */
};

struct sl_links {
    struct sl_links_options options;
    char *name, *group;
    struct sl_link_net net;
    struct sl_link_listener listeners[SL_LINK_LISTENERS_MAX];
    uint32_t listeners_count;
    struct sl_link_call calls[SL_LINK_CALLS_MAX];
    uint32_t calls_count;
    struct sl_link_peer *peers[SL_LINK_PEERS_MAX];
    uint32_t peers_count;
    struct sl_link_peer *slots[SL_LINK_SLOTS]; /* Linear probing. */
    struct sl_link_peer *active;
    uint64_t due_ns, tick_ns, side_ns; /* A session is due; not before; monitors are. */
    uint32_t turn;                     /* Where receive looks next: no peer starves another. */
    struct sl_msg_list told;           /* peer_up and peer_down. */
    zmq_msg_t received;                /* The frame being taken apart. */
    bool has_received;
    struct sl_link_peer *received_from;
    struct sl_slice rest;
    struct sl_buf scratch;
    struct sl_links_counts counts;
};

/* Where a frame came from. */
struct sl_link_source {
    void *socket;
    struct sl_link_listener *listener; /* NULL: a call. */
    struct sl_link_call *call;
    uint32_t node;
    uint64_t boot;
};

/* ---- link_peer.c: peers, and letting them speak ---------------------------------------------- */

struct sl_link_peer *sl_link_peer_lookup(const struct sl_links *l, uint32_t node);
/* NULL: there are too many that must not be forgotten. */
struct sl_link_peer *sl_link_peer_add(struct sl_links *l, uint32_t node, void *socket, bool is_call,
                                      bool is_tcp);
void sl_link_peer_destroy(struct sl_link_peer *p);
void sl_link_activate(struct sl_links *l, struct sl_link_peer *p);
void sl_link_take_events(struct sl_links *l, struct sl_link_peer *p);
void sl_link_seal(struct sl_link_peer *p); /* The frame begun is whole. */
/* Let all active sessions say what they have to; true if anything went. */
bool sl_link_speak(struct sl_links *l);
bool sl_link_send_identity(const struct sl_link_peer *p);
bool sl_link_send_bytes(void *socket, const struct sl_buf *bytes);

/* ---- link_take.c: what a frame means --------------------------------------------------------- */

/* Take the frame in l->received. True: l->rest has messages for the taking. */
bool sl_link_take_frame(struct sl_links *l, const struct sl_link_source *from);
/* `p` NULL: of nobody we know, at `from`. */
void sl_link_malformed(struct sl_links *l, struct sl_link_peer *p,
                       const struct sl_link_source *from, size_t size);

#endif
