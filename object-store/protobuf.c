/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/protobuf.h"

#define VARINT_SIZE_MAX 10

static bool
fail(struct sl_protobuf *r, const char *what)
{
    r->bad = what;
    return false;
}

struct sl_protobuf
sl_protobuf(struct sl_slice message)
{
    struct sl_protobuf r = {.at = message.data, .end = message.data};
    if (message.size > 0)
        r.end += message.size;
    return r;
}

struct sl_protobuf
sl_protobuf_enter(const struct sl_protobuf *parent, struct sl_slice message)
{
    struct sl_protobuf r = sl_protobuf(message);
    r.depth = parent->depth + 1;
    if (r.depth > SL_PROTOBUF_DEPTH_MAX)
        (void)fail(&r, "messages nested too deeply");
    return r;
}

bool
sl_protobuf_varint(struct sl_protobuf *r, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (r->bad != NULL || r->at == r->end)
        return false;
    for (uint32_t i = 0; i < VARINT_SIZE_MAX; i++) {
        if (r->at == r->end)
            return fail(r, "a number that is cut");
        uint8_t byte = *r->at++;
        if (i == VARINT_SIZE_MAX - 1 && byte > 1)
            break; /* More than 64 bits, or a byte more to come. */
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *ret_value = value;
            return true;
        }
    }
    return fail(r, "a number of more than 10 bytes or 64 bits");
}

static bool
read_fixed(struct sl_protobuf *r, uint32_t size, uint64_t *ret_value)
{
    uint64_t value = 0;
    if ((size_t)(r->end - r->at) < size)
        return fail(r, "a field that is cut");
    for (uint32_t i = 0; i < size; i++)
        value |= (uint64_t)*r->at++ << (8 * i);
    *ret_value = value;
    return true;
}

static bool
read_bytes(struct sl_protobuf *r, struct sl_slice *ret_bytes)
{
    uint64_t size;
    if (!sl_protobuf_varint(r, &size))
        return r->bad == NULL ? fail(r, "a field that is cut") : false;
    if (size > (size_t)(r->end - r->at))
        return fail(r, "a length over what is left");
    *ret_bytes = sl_slice(r->at, (size_t)size);
    r->at += size;
    return true;
}

bool
sl_protobuf_next(struct sl_protobuf *r, struct sl_protobuf_field *ret_field)
{
    uint64_t tag;
    if (!sl_protobuf_varint(r, &tag))
        return false;
    if (tag > UINT32_MAX || tag >> 3 == 0)
        return fail(r, "a field number that does not exist");
    struct sl_protobuf_field f = {.number = (uint32_t)(tag >> 3)};
    bool is_read;
    switch (tag & 7) {
    case SL_PROTOBUF_VARINT:
        f.wire = SL_PROTOBUF_VARINT;
        is_read = sl_protobuf_varint(r, &f.value);
        if (!is_read && r->bad == NULL)
            (void)fail(r, "a field that is cut");
        break;
    case SL_PROTOBUF_I64:
        f.wire = SL_PROTOBUF_I64;
        is_read = read_fixed(r, 8, &f.value);
        break;
    case SL_PROTOBUF_LEN:
        f.wire = SL_PROTOBUF_LEN;
        is_read = read_bytes(r, &f.bytes);
        break;
    case SL_PROTOBUF_I32:
        f.wire = SL_PROTOBUF_I32;
        is_read = read_fixed(r, 4, &f.value);
        break;
    case 3:
    case 4:
        return fail(r, "a group, which is not read here");
    default:
        return fail(r, "an unknown wire type");
    }
    if (is_read)
        *ret_field = f;
    return is_read;
}
