/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_carrier.h - what carries the frames of link.h from process to process: link_local.h on a
 * machine, link_zmq.h between machines. For link*.c alone.
 *
 * A port is where frames come in: a listener, which has many connections, or a call, which has one
 * at most. A pipe is where frames to one peer go out. A carrier keeps the order of a connection's
 * frames and loses none before the connection itself; sessions (session.h) make up for that.
 * Threading: as link.h.
 */
#ifndef SL_RUNTIME_LINK_CARRIER_H
#define SL_RUNTIME_LINK_CARRIER_H

#include "runtime/frame.h"

struct sl_link_carrier;

/* Its port's, and valid until that is closed, or has told that it was lost. */
struct sl_link_pipe {
    const struct sl_link_carrier *carrier;
};

struct sl_link_port {
    const struct sl_link_carrier *carrier;
    struct sl_link_pipe *pipe; /* A call's: as long as the port lives. */
    uint64_t dial_ns; /* A call: when to `dial` (monotonic). UINT64_MAX: nothing is to be done. */
    bool has_changes; /* Ask for them at once. Otherwise now and then will do. */
};

/* Who sends, by the name that its connection began with. */
struct sl_link_name {
    uint32_t node; /* > 0 */
    uint64_t boot; /* > 0 */
};

enum sl_link_sent {
    SL_LINK_SENT,
    SL_LINK_BUSY, /* Nothing was taken: try again after SL_LINK_ROOM. */
    SL_LINK_GONE, /* No connection, or it has just broken. */
};

enum sl_link_heard {
    SL_LINK_FRAME,
    SL_LINK_NOTHING,
    SL_LINK_NONSENSE, /* Of nobody we know: dropped, to be counted. */
};

struct sl_link_received {
    struct sl_link_pipe *pipe; /* The way back. */
    struct sl_link_name from;  /* Of a listener; a call has its peer's. */
    struct sl_slice bytes;     /* Valid until `release`. Nonsense: its size alone. */
};

enum sl_link_change_kind {
    SL_LINK_LOST,
    SL_LINK_UNAUTHORISED, /* A call: the other end does not let our certificate in. */
    SL_LINK_MISMATCH,     /* The handshake failed: other certificates, or no sluice. */
    SL_LINK_ROOM,         /* A pipe that was busy has room. */
};

struct sl_link_change {
    enum sl_link_change_kind kind;
    const struct sl_link_pipe *pipe; /* Whose; NULL: the carrier does not know. Never read it. */
};

struct sl_link_carrier {
    bool has_beats; /* Silence tells that a peer has gone; otherwise its connection breaks. */
    /* `owner` is a frame whose bytes these are, and which may be kept; NULL: they are copied. */
    enum sl_link_sent (*send)(struct sl_link_pipe *pipe, const struct sl_link_name *to,
                              struct sl_slice bytes, struct sl_frame *owner);
    /* Until it says nothing: then a descriptor of `fds` tells of more. */
    enum sl_link_heard (*receive)(struct sl_link_port *port, struct sl_link_received *ret);
    void (*release)(struct sl_link_port *port); /* Of what was received: it is used up. */
    /* The public key of who sent what was received last; "": none. */
    const char *(*key)(struct sl_link_port *port);
    bool (*is_connected)(struct sl_link_port *port); /* A call: frames can go. */
    /* The next thing that happened to connections; false: nothing. */
    bool (*change)(struct sl_link_port *port, struct sl_link_change *ret_change);
    void (*dial)(struct sl_link_port *port, uint64_t now_ns); /* A call: connect again. */
    uint32_t (*fds)(const struct sl_link_port *port, int *ret_fds, uint32_t max);
    char *(*bound)(const struct sl_link_port *port); /* A listener's endpoint: the caller's. */
    void (*close)(struct sl_link_port *port);        /* What was sent gets 200 ms. Frees it. */
};

#endif
