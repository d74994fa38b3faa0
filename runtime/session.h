/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - one peer's session: what has to be sent, in what order, and what was heard.
 *
 * A pure state machine beneath link.h: no socket, no clock. Frames may be lost, doubled and
 * reordered between two of these; each still hands on every frame once and in order, for as long as
 * both ends keep the session. A session is a pair of ids, one drawn by each end (its boot, and a
 * counter within it). An end that gives up, because its peer was silent or came back as another
 * boot, drops what was not acknowledged and draws a new id; the other end notices and does the
 * same.
 *
 *              join             hello of the peer            hello that names us
 *     CUT ----------> UNBOUND ----------------------> BOUND ---------------------> in step: data
 * flows ^                 ^                              | |  cut `------------------------------'
 * silent, gone, refused, another peer id
 *      `---- (from any state; a bound session stays bound)
 *
 * After a cut both ends tell in a hello what they have received, and the sender goes back to there.
 * A gap is told of in the same way.
 *
 * Threading: one owner.
 */
#ifndef SL_RUNTIME_SESSION_H
#define SL_RUNTIME_SESSION_H

#include "runtime/frame.h"

struct sl_session_options {
    /* What we say of ourselves. Ids are drawn from above `session`: another for each session of a
       boot with one peer. Below it all is filled in. */
    struct sl_hello self;
    bool is_caller;        /* We connect: we begin the handshake. The other end only answers. */
    uint64_t beat_ns;      /* Something is sent at least so often. 0: not by time. */
    uint64_t dead_ns;      /* A peer that beats and is silent for so long has gone; > 0. */
    uint64_t lost_ns;      /* The same for one whose connection is gone. 0: dead_ns. */
    uint64_t buffer_bytes; /* Frames that are not acknowledged yet; at least one is taken. */
};

struct sl_session;

struct sl_session *sl_session_create(const struct sl_session_options *options, uint64_t now_ns);
void sl_session_destroy(struct sl_session **session);

/* ---- sending ------------------------------------------------------------------------------- */

/* Whether a frame of `size` bytes may be pushed: SL_EFULL: the peer acknowledges too slowly.
 * SL_EDENIED: it has refused us. SL_ENOTFOUND: nobody is there, and we do not call. */
SL_MUST_CHECK enum sl_err sl_session_room(const struct sl_session *s, size_t size);
/* A frame to fill and push: a used one, or a new one. */
struct sl_frame *sl_session_frame(struct sl_session *s);
/* Take a frame, whose bytes begin with room for a head, and number it. */
void sl_session_push(struct sl_session *s, struct sl_frame *frame);

struct sl_session_out {
    enum sl_frame_kind kind;
    struct sl_frame *frame;    /* SL_FRAME_DATA: borrowed until the next call. */
    struct sl_frame_head beat; /* SL_FRAME_BEAT */
    struct sl_hello hello;     /* SL_FRAME_HELLO */
};

/* What is to be transmitted now; then sl_session_sent, or sl_session_cut when it did not go. */
bool sl_session_next(struct sl_session *s, uint64_t now_ns, struct sl_session_out *ret_out);
void sl_session_sent(struct sl_session *s, uint64_t now_ns, const struct sl_session_out *out);

/* ---- hearing ------------------------------------------------------------------------------- */

void sl_session_join(struct sl_session *s, uint64_t now_ns); /* A connection is there. */
void sl_session_cut(struct sl_session *s, uint64_t now_ns);  /* It is gone, or may be another. */
void sl_session_probe(struct sl_session *s); /* Say something, to see whether it still goes. */
void sl_session_hello(struct sl_session *s, uint64_t now_ns, const struct sl_hello *hello);
/* True: the frame is the next one, hand its messages on. */
bool sl_session_data(struct sl_session *s, uint64_t now_ns, const struct sl_frame_head *head,
                     size_t size);
void sl_session_beat(struct sl_session *s, uint64_t now_ns, const struct sl_frame_head *head);
void sl_session_refuse(struct sl_session *s, uint64_t now_ns); /* The peer refused us. */
/* Drop what is under way, as for a peer that is given up. */
void sl_session_void(struct sl_session *s, uint64_t now_ns, const char *reason);
void sl_session_tick(struct sl_session *s, uint64_t now_ns);
uint64_t sl_session_deadline_ns(const struct sl_session *s); /* When to tick; UINT64_MAX: never. */

/* ---- what became of it --------------------------------------------------------------------- */

struct sl_session_event {
    bool is_up;
    uint64_t boot, session; /* The peer's. */
    const char *reason;     /* Down: why, static text. */
};

/* The next change; false when there is none. Ask after each call above, before handing data on. */
bool sl_session_event(struct sl_session *s, struct sl_session_event *ret_event);

struct sl_session_counts {
    uint64_t resent, duplicates, gaps, foreign, voided;
};
const struct sl_session_counts *sl_session_counts(const struct sl_session *s);
bool sl_session_is_bound(const struct sl_session *s);
bool sl_session_is_cut(const struct sl_session *s);
bool sl_session_has_unsent(const struct sl_session *s); /* Frames wait for a connection. */
bool sl_session_is_idle(const struct sl_session *s);    /* Nothing of ours is under way. */
uint64_t sl_session_heard_ns(const struct sl_session *s);

#endif
