/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - the bytes of a frame between nodes, and the memory of one.
 *
 *     u8 major, u8 kind, then by kind (numbers are little endian):
 *     DATA    u16 0, u32 tag, u64 seq, u64 ack, messages (message.h)
 *     BEAT    u16 flags, u32 tag, u64 seq of the last frame pushed, u64 ack
 *     HELLO   u8 minor, u8 flags, u32 node, u32 beat_ms, u64 boot, session, peer_boot,
 *             peer_session, received, block name, block group
 *     REFUSE  u8 minor, u8 0, block reason (text)
 *
 * A later minor version appends to HELLO and REFUSE and adds kinds, which older ones skip. The
 * first two bytes and REFUSE keep their shape in every major version, so that peers of different
 * ones can tell each other why they part.
 *
 * Threading: a frame may be unreferenced on any thread; all else on one.
 */
#ifndef SL_RUNTIME_FRAME_H
#define SL_RUNTIME_FRAME_H

#include <stdatomic.h>

#include "runtime/buf.h"
#include "runtime/message.h"

#define SL_WIRE_MINOR       0
#define SL_FRAME_HEAD_BYTES 24
#define SL_FRAME_TEXT_MAX   255 /* Names, groups and reasons. */

enum sl_frame_kind { SL_FRAME_HELLO = 1, SL_FRAME_DATA, SL_FRAME_BEAT, SL_FRAME_REFUSE };

/* Of DATA and BEAT. */
struct sl_frame_head {
    bool wants_ack; /* BEAT */
    uint32_t tag;   /* Of the sender's session: sl_frame_tag. */
    uint64_t seq;   /* From 1 in a session. */
    uint64_t ack;   /* All frames up to this one have come. */
};

/* Texts are borrowed: from the bytes, or from whoever filled it in. */
struct sl_hello {
    uint8_t minor;
    bool wants_reply;
    uint32_t node;
    uint32_t beat_ms; /* How often its sender beats; 0: it does not. */
    uint64_t boot, session;
    uint64_t peer_boot, peer_session; /* The receiver's as its sender knows them; 0: it does not. */
    uint64_t received;                /* Frames of that session that have come. */
    struct sl_slice name, group;
};

struct sl_frame_view {
    uint8_t major; /* Others than SL_WIRE_VERSION: `kind` is 0, or REFUSE with `text`. */
    enum sl_frame_kind kind;
    struct sl_frame_head head;
    struct sl_hello hello;
    struct sl_slice text; /* REFUSE: why. */
    struct sl_slice rest; /* DATA: its messages. */
};

uint32_t sl_frame_tag(uint64_t boot, uint64_t session);

/* Write DATA's head over the first SL_FRAME_HEAD_BYTES of a frame. */
void sl_frame_head_put(uint8_t *at, enum sl_frame_kind kind, const struct sl_frame_head *head);
/* Append a whole frame. */
void sl_frame_beat(struct sl_buf *out, const struct sl_frame_head *head);
void sl_frame_hello(struct sl_buf *out, const struct sl_hello *hello);
void sl_frame_refuse(struct sl_buf *out, const char *reason);

/*
 * Read a frame; everything points into `bytes`. SL_ECORRUPT: malformed. SL_EVERSION: of another
 * major version (*ret_view has it). SL_ENOTFOUND: a kind of a later minor version; skip it.
 */
SL_MUST_CHECK enum sl_err sl_frame_read(struct sl_slice bytes, struct sl_frame_view *ret_view);

/* ---- memory -------------------------------------------------------------------------------- */

/* Kept by its session until it is acknowledged, and by ZeroMQ while it is sent without a copy. */
struct sl_frame {
    struct sl_frame *next; /* Its session's. */
    uint64_t seq;
    _Atomic uint32_t refs;
    struct sl_buf bytes;
};

struct sl_frame *sl_frame_create(void);       /* One reference; bytes has room for the head. */
void sl_frame_unref(struct sl_frame **frame); /* NULL inside is fine. */

#endif
