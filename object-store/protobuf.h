/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protobuf.h - walk the fields of a protocol buffer message, in place and within bounds: the wire
 * alone, no schema, no memory. What a field means is its reader's business.
 *
 *     for (struct sl_protobuf_field f; sl_protobuf_next(&r, &f);)
 *         ...
 *     if (r.bad != NULL) ...
 *
 * Refused: varints of more than 10 bytes or 64 bits, lengths over what is left, field number 0,
 * groups, unknown wire types, nesting over SL_PROTOBUF_DEPTH_MAX.
 * Threading: plain state, one owner; all slices borrow from the message.
 */
#ifndef SL_OBJECT_STORE_PROTOBUF_H
#define SL_OBJECT_STORE_PROTOBUF_H

#include "runtime/base.h"

#define SL_PROTOBUF_DEPTH_MAX 100

enum sl_protobuf_wire { /* The numbers on the wire. 3 and 4 are groups. */
                        SL_PROTOBUF_VARINT = 0,
                        SL_PROTOBUF_I64 = 1,
                        SL_PROTOBUF_LEN = 2,
                        SL_PROTOBUF_I32 = 5
};

struct sl_protobuf {
    const uint8_t *at, *end;
    uint32_t depth;
    const char *bad; /* Static text: what was wrong first. NULL: nothing. */
};

struct sl_protobuf_field {
    uint32_t number;
    enum sl_protobuf_wire wire;
    uint64_t value;        /* Of all but LEN. */
    struct sl_slice bytes; /* Of LEN. Never NULL there. */
};

struct sl_protobuf sl_protobuf(struct sl_slice message);
/* The message in a LEN field of `parent`. Too deep: `bad` is set at once. */
struct sl_protobuf sl_protobuf_enter(const struct sl_protobuf *parent, struct sl_slice message);

/* The next field; false at the end, and from the first thing that is wrong on. */
bool sl_protobuf_next(struct sl_protobuf *r, struct sl_protobuf_field *ret_field);
/* The next varint of a packed list; false as above. */
bool sl_protobuf_varint(struct sl_protobuf *r, uint64_t *ret_value);

#endif
