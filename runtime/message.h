/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h - typed messages from tables. A protocol is a .def file of rows
 *
 *     MESSAGE(name, F(U64, task_id) F(BYTES, inputs), "what it is for")
 *
 * from which follow SL_M_name, struct sl_m_name (as below for system.def) and, by message_table.h,
 * the descriptors that drive copying, encoding, decoding and printing. Fields are U64, I64, F64 (8
 * bytes) or BYTES (a slice), so a struct's layout is the sum of its fields.
 *
 * A message inside a process is one allocation: header, struct, and the bytes its slices point to.
 * Between processes it is one msgpack array; a frame is a version byte and many of them.
 */
#ifndef SL_RUNTIME_MESSAGE_H
#define SL_RUNTIME_MESSAGE_H

#include "runtime/base.h"
#include "runtime/buf.h"

#define SL_WIRE_VERSION 4
#define SL_FIELDS_MAX   16

/* Where messages go. node 0 is the node itself; SL_NODE_PORT its driver's ports. */
struct sl_addr {
    uint32_t node;
    uint32_t actor;
};
#define SL_NODE_PORT UINT32_C(0xffffffff)

enum sl_field_type { SL_U64, SL_I64, SL_F64, SL_BYTES };

struct sl_message_type {
    const char *name;
    const uint8_t *fields; /* enum sl_field_type of each. */
    const char *const *field_names;
    uint16_t size; /* Of the struct. */
    uint8_t fields_count;
};

struct sl_protocol {
    const char *name;
    uint16_t id; /* Message ids are id << 16 | row. */
    const struct sl_message_type *types;
    uint32_t count;
    bool is_local; /* May carry pointers and descriptors: never taken from a peer. */
};

struct sl_msg {
    struct sl_msg *next; /* Mailboxes' and outboxes' own. */
    const struct sl_message_type *type;
    uint32_t id;
    struct sl_addr to, from;
    uint8_t pool;     /* message_pool.h's own. */
    uint8_t level;    /* enum sl_level (actor.h): what it waits for before it leaves. */
    uint64_t request; /* Of a call: its reply carries the same. 0: none. */
    _Alignas(16) unsigned char body[];
};

/* The body of a message as its struct: SL_BODY(msg, run_task)->task_id. */
#define SL_BODY(msg, name) ((const struct sl_m_##name *)(const void *)(msg)->body)

/* ---- making a protocol from its table ------------------------------------------------------ */
#define SL_C_U64   uint64_t
#define SL_C_I64   int64_t
#define SL_C_F64   double
#define SL_C_BYTES struct sl_slice

/* Protocols of the product; ids are on the wire: never reuse one. */
enum sl_protocol_id {
    SL_PROTOCOL_SYSTEM = 1,
    SL_PROTOCOL_REPLICA = 2,
    SL_PROTOCOL_CLUSTER = 3,
    SL_PROTOCOL_API = 4,
    SL_PROTOCOL_TEST = 5,
    SL_PROTOCOL_BENCH = 6,
    SL_PROTOCOL_RELAY = 7,
    SL_PROTOCOL_QUEUE = 8,
    SL_PROTOCOL_IMAGE = 9
};

#define F(type, name) SL_C_##type name;
#define MESSAGE(name, fields, doc)                                                                 \
    struct sl_m_##name {                                                                           \
        fields                                                                                     \
    };
#include "runtime/system.def"
#undef MESSAGE
#undef F

/* The driver's own messages; local. */
enum sl_system_message {
    SL_SYSTEM_FIRST = (SL_PROTOCOL_SYSTEM << 16) - 1,
#define MESSAGE(name, fields, doc) SL_M_##name,
#include "runtime/system.def"
#undef MESSAGE
};

/* Make a protocol known to decoders. Once a process, before threads. Borrowed for ever. */
void sl_protocol_register(const struct sl_protocol *protocol);
const struct sl_message_type *sl_message_type_lookup(uint32_t id); /* NULL: unknown. */

/* A message with a deep copy of `body` (struct of that type). Owned by the caller. */
struct sl_msg *sl_msg_create(uint32_t id, const void *body);
void sl_msg_destroy(struct sl_msg **msg); /* NULL inside is fine. */
/* What its sender hears of a message that nobody takes; addressed. Owned by the caller. */
struct sl_msg *sl_msg_undelivered(const struct sl_msg *msg, enum sl_err reason);
size_t sl_msg_size(const struct sl_msg *msg); /* About as much as it takes in a frame. */

/* Append one message to a frame. */
void sl_msg_encode(const struct sl_msg *msg, struct sl_buf *out);
/*
 * Take the next message off `*rest`. false at the end. *ret_msg is NULL, and *rest is what follows,
 * for a message of an unknown type; SL_ECORRUPT through ret_err ends the frame.
 */
bool sl_msg_decode(struct sl_slice *rest, struct sl_msg **ret_msg, enum sl_err *ret_err);
/* "name{field=1 other=..12 bytes..}" */
void sl_msg_print(const struct sl_msg *msg, struct sl_buf *out);

#endif
