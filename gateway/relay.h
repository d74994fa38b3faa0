/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.h - the messages between a head and gateways that are processes of their own.
 *
 *   gateway (edge.h)                                     head (edges.h)
 *     join ------------------------------------------------> a new term
 *     <-------------------------------- welcome, all keys, then each change of a key
 *     call (pieces) ---------------------------------------> decoded, checked, to the api actor
 *     <------------------------------------------ reply (pieces), once what it did is durable
 *     beat <-----------------------------------------------> beat
 */
#ifndef SL_GATEWAY_RELAY_H
#define SL_GATEWAY_RELAY_H

#include "actors/cluster.h"
#include "runtime/limits.h"

#define SL_EDGE_BEAT_NS      (500 * SL_MILLI_NS)
#define SL_EDGE_ENDPOINT_MAX 512u
#define SL_EDGE_CALLS_MAX    4096u /* Of one gateway, under way at the head. */
#define SL_EDGE_PIECE_BYTES  (2 * SL_MIB)
/* An encoded call or reply; what is around the body has limits of its own far below a MiB. */
#define SL_EDGE_CALL_BYTES_MAX  (SL_LIMIT_OBJECT_BODY_BYTES + 2 * SL_MIB)
#define SL_EDGE_REPLY_BYTES_MAX (SL_LIMIT_REPLY_BYTES + 2 * SL_MIB)

/* A change; a piece of all keys; the last piece: from now on they are all there is. */
enum sl_edge_keys { SL_EDGE_KEYS_CHANGE = 1, SL_EDGE_KEYS_PART, SL_EDGE_KEYS_LAST };

#define F(type, name) SL_C_##type name;
#define MESSAGE(name, fields, doc)                                                                 \
    struct sl_m_##name {                                                                           \
        fields                                                                                     \
    };
#include "gateway/relay.def"
#undef MESSAGE
#undef F

enum sl_relay_message {
    SL_RELAY_FIRST = (SL_PROTOCOL_RELAY << 16) - 1,
#define MESSAGE(name, fields, doc) SL_M_##name,
#include "gateway/relay.def"
#undef MESSAGE
};

extern const struct sl_protocol sl_protocol_relay;

/* One encoded call or reply that comes in pieces. In place: zero it. */
struct sl_relay_parts {
    uint64_t serial, total;
    struct sl_buf text;
};

/* What edge_call and edge_reply have in common. */
struct sl_relay_piece {
    uint64_t serial, offset, total;
    struct sl_slice bytes;
};

/*
 * Take a piece. SL_OK: it is whole, parts->text has it until the next piece. SL_EBUSY: more is to
 * come. SL_ETOOBIG, SL_ECORRUPT: out of order, or too large; what was there is dropped.
 */
SL_MUST_CHECK enum sl_err sl_relay_take(struct sl_relay_parts *parts,
                                        const struct sl_relay_piece *piece, uint64_t bytes_max);
void sl_relay_parts_deinit(struct sl_relay_parts *parts);

/* Send `text` in pieces: `id` is SL_M_edge_call or SL_M_edge_reply. A piece that no link takes
 * comes back as `undelivered` with the serial as its request. */
struct sl_relay_head {
    struct sl_addr to;
    uint32_t id;
    uint64_t term, serial;
};
void sl_relay_send(struct sl_ctx *ctx, const struct sl_relay_head *head, struct sl_slice text);

#endif
