/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_state.h - what the files of link.h share: peers, the sockets they are behind, and frames on
 * their way in and out. For link*.c alone.
 */
#ifndef SL_RUNTIME_LINK_STATE_H
#define SL_RUNTIME_LINK_STATE_H

#include "runtime/link.h"
#include "runtime/link_carrier.h"
#include "runtime/link_zmq.h"
#include "runtime/mailbox.h"
#include "runtime/session.h"

#define SL_LINK_PEERS_MAX     4096
#define SL_LINK_SLOTS         (2 * SL_LINK_PEERS_MAX) /* Of the table of peers by node. */
#define SL_LINK_LISTENERS_MAX 4
#define SL_LINK_CALLS_MAX     64

struct sl_link_peer {
    uint32_t node;
    uint64_t boot;             /* Of the peer, in its name; 0: we call it, or nothing was heard. */
    uint64_t boot_former;      /* Was replaced by `boot`: it must not come again. */
    struct sl_link_pipe *pipe; /* To it; NULL: its connection is gone. */
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
    struct sl_link_port *port;
    uint32_t refusals; /* Since the last connection. */
    struct sl_link_peer *peer;
};

struct sl_link_listener {
    struct sl_link_port *port;
    bool has_told_foreign, has_told_mismatch;
    uint32_t probes_left; /* A connection broke, and nobody knows whose: ask all. */
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
    uint64_t sessions;                 /* Begun. */
    uint64_t due_ns, tick_ns, side_ns; /* A session is due; not before; monitors are. */
    uint32_t turn;                     /* Where receive looks next: no peer starves another. */
    struct sl_msg_list told;           /* peer_up and peer_down. */
    struct sl_link_port *received_at;  /* Of the frame being taken apart; NULL: none is. */
    struct sl_link_peer *received_from;
    struct sl_slice rest;
    struct sl_buf scratch;
    struct sl_links_counts counts;
};

/* Where a frame came from. */
struct sl_link_source {
    struct sl_link_port *port;
    struct sl_link_listener *listener; /* NULL: a call. */
    struct sl_link_call *call;
    struct sl_link_pipe *pipe;
    struct sl_link_name name;
    struct sl_slice bytes;
};

/* ---- link_peer.c: peers, and letting them speak ---------------------------------------------- */

struct sl_link_peer *sl_link_peer_lookup(const struct sl_links *l, uint32_t node);
/* NULL: there are too many that must not be forgotten. */
struct sl_link_peer *sl_link_peer_add(struct sl_links *l, uint32_t node, struct sl_link_pipe *pipe,
                                      bool is_call);
void sl_link_peer_destroy(struct sl_link_peer *p);
void sl_link_peer_remove(struct sl_links *l, struct sl_link_peer *p); /* And forget it. */
void sl_link_activate(struct sl_links *l, struct sl_link_peer *p);
void sl_link_take_events(struct sl_links *l, struct sl_link_peer *p);
void sl_link_seal(struct sl_link_peer *p); /* The frame begun is whole. */
/* Let all active sessions say what they have to; true if anything went. */
bool sl_link_speak(struct sl_links *l);
void sl_link_release(struct sl_links *l); /* The frame being taken apart is used up. */

/* ---- link_take.c: what a frame means --------------------------------------------------------- */

/* Take a frame. True: l->rest has messages for the taking. */
bool sl_link_take_frame(struct sl_links *l, const struct sl_link_source *from);
/* `p` NULL: of nobody we know, at `from`. */
void sl_link_malformed(struct sl_links *l, struct sl_link_peer *p,
                       const struct sl_link_source *from, size_t size);

#endif
