/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object_wire.h - what a process says to the store over its socket, one packet (SOCK_SEQPACKET) a
 * message, and what it is answered; descriptors travel beside them. Numbers are little endian.
 *
 *   request  magic, ask, number, tag, rebuild_ns, kind, key, bytes
 *   reply    magic, err, number, tag, value, size, text
 *
 * Nothing names the tenant: it is that of the socket.
 */
#ifndef SL_OBJECT_STORE_OBJECT_WIRE_H
#define SL_OBJECT_STORE_OBJECT_WIRE_H

#include "object-store/object_id.h"
#include "runtime/buf.h"

#define SL_OBJECT_INLINE_MAX  (64 * SL_KIB) /* Of bytes in a request; larger ones are files. */
#define SL_OBJECT_MESSAGE_MAX (SL_OBJECT_INLINE_MAX + 128)
#define SL_OBJECT_FDS_MAX     2
#define SL_OBJECT_SIZE_BYTES  8   /* Of a size, in a request's bytes. */
#define SL_OBJECT_MODEL_MAX   256 /* Bytes of a model's id. */
#define SL_OBJECT_TEXT_MAX    400 /* Of what a reply says to people. */

/*
 *   ask      takes                       answers
 *   HELLO    -                           descriptors: index, pins. ENOTFOUND: there is no arena
 *   SEGMENT  number                      descriptor; value: its life. ENOTFOUND
 *   FIND     id                          in the arena: nothing; a large one: descriptor, size,
 *                                        number: the hold. ENOTFOUND, EFULL, ENOMEM, EIO
 *   LET_GO   number: a hold              nothing. ENOTFOUND
 *   PUT      id, rebuild_ns, bytes       nothing. EEXIST, EFULL, ENOMEM, EINVAL
 *   ADOPT    id, rebuild_ns, descriptor  the same
 *   DELETE   id                          nothing. ENOTFOUND
 *   RING     -                           descriptor (object_ring.h). EEXIST, EFULL, ENOMEM
 *   STREAM   id, rebuild_ns, its size    an object's bytes may come (object_stream.h). Descriptor,
 *                                        unless the client has the stream. EBUSY: there are too
 *                                        many; EEXIST, EFULL, ENOMEM, EINVAL
 *   STREAMED number: 1 all came, 0 none  as PUT. ENOTFOUND: no such object began
 *            is to
 *   POKE     -                           no reply: there is something in the ring or stream
 *   MODEL    bytes: its id               descriptor, size; later, when it is there. Who asks for
 *                                        another meanwhile hears of that one alone. ENOTFOUND,
 *                                        EFULL, ENOMEM, EBUSY, EUNAVAIL, EINVAL, with a text
 *
 * What is in a client's ring when it asks is taken before it is answered.
 */
enum sl_object_ask {
    SL_OBJECT_HELLO = 1,
    SL_OBJECT_SEGMENT,
    SL_OBJECT_FIND,
    SL_OBJECT_LET_GO,
    SL_OBJECT_PUT,
    SL_OBJECT_ADOPT,
    SL_OBJECT_DELETE,
    SL_OBJECT_RING,
    SL_OBJECT_POKE,
    SL_OBJECT_STREAM,
    SL_OBJECT_STREAMED,
    SL_OBJECT_MODEL,
    SL_OBJECT_ASKS_END
};

struct sl_object_request {
    enum sl_object_ask ask;
    uint32_t number;
    uint64_t tag; /* Comes back. */
    uint64_t rebuild_ns;
    struct sl_object_id id; /* Of no tenant. kind 0: the ask takes none. */
    struct sl_slice bytes;  /* Borrowed from the message. */
};

struct sl_object_reply {
    enum sl_err err;
    uint32_t number;
    uint64_t tag;
    uint64_t value;
    uint64_t size_bytes;
    struct sl_slice text; /* Why there is an error; borrowed from the message. Mostly empty. */
};

void sl_object_request_write(struct sl_buf *buf, const struct sl_object_request *request);
/* SL_EVERSION: another magic. SL_EINVAL: anything else that no request is. */
SL_MUST_CHECK enum sl_err sl_object_request_read(struct sl_slice message,
                                                 struct sl_object_request *ret_request);
void sl_object_reply_write(struct sl_buf *buf, const struct sl_object_reply *reply);
SL_MUST_CHECK enum sl_err sl_object_reply_read(struct sl_slice message,
                                               struct sl_object_reply *ret_reply);

/* ---- packets ------------------------------------------------------------------------------- */
struct sl_object_packet {
    struct sl_buf bytes;
    int fds[SL_OBJECT_FDS_MAX]; /* Of one that was received: the receiver's. */
    uint32_t fds_count;
};
/* Without waiting. SL_EBUSY: there is no room in the socket. SL_EUNAVAIL: the peer is gone. */
SL_MUST_CHECK enum sl_err sl_object_packet_send(int fd, const struct sl_object_packet *packet);
/* The same. SL_EBUSY: nothing is there. SL_ETOOBIG: a packet or more descriptors than any has. */
SL_MUST_CHECK enum sl_err sl_object_packet_receive(int fd, struct sl_object_packet *packet);
void sl_object_packet_close(struct sl_object_packet *packet); /* Its descriptors. */

#endif
