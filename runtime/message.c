/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/message.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#include <msgpack.h>
#pragma GCC diagnostic pop

#include <endian.h>

#include "runtime/alloc.h"
#include "runtime/limits.h"
#include "runtime/message_pool.h"

#define PROTOCOLS_MAX 16

/* Array header, then: id, to.actor, from.node, from.actor, request. The node it goes to is implied.
 */
#define ENVELOPE_FIELDS  5

#define SL_PROTOCOL_DEF  "runtime/system.def"
#define SL_PROTOCOL_NAME system
#define SL_PROTOCOL_ID   SL_PROTOCOL_SYSTEM
#define SL_PROTOCOL_LOCAL
#include "runtime/message_table.h"

static const struct sl_protocol *protocols[PROTOCOLS_MAX] = {
    [SL_PROTOCOL_SYSTEM] = &sl_protocol_system,
};

void
sl_protocol_register(const struct sl_protocol *protocol)
{
    sl_assert(protocol->id > SL_PROTOCOL_SYSTEM && protocol->id < PROTOCOLS_MAX);
    sl_assert(protocols[protocol->id] == NULL || protocols[protocol->id] == protocol);
    protocols[protocol->id] = protocol;
}

const struct sl_message_type *
sl_message_type_lookup(uint32_t id)
{
    uint32_t protocol = id >> 16, row = id & 0xffff;
    if (protocol >= PROTOCOLS_MAX || protocols[protocol] == NULL)
        return NULL;
    return row < protocols[protocol]->count ? &protocols[protocol]->types[row] : NULL;
}

static size_t
field_size(uint8_t type)
{
    return type == SL_BYTES ? sizeof(struct sl_slice) : sizeof(uint64_t);
}

/* Copy the bytes behind each slice of `body` to `at`, and point the slices there. */
static void
adopt_slices(const struct sl_message_type *type, unsigned char *body, unsigned char *at)
{
    for (uint8_t i = 0; i < type->fields_count; i++) {
        if (type->fields[i] == SL_BYTES) {
            struct sl_slice *s = (struct sl_slice *)(void *)body;
            if (s->size > 0)
                memcpy(at, s->data, s->size);
            s->data = at;
            at += s->size;
        }
        body += field_size(type->fields[i]);
    }
}

static size_t
slices_size(const struct sl_message_type *type, const unsigned char *body)
{
    size_t size = 0;
    for (uint8_t i = 0; i < type->fields_count; i++) {
        if (type->fields[i] == SL_BYTES)
            size += ((const struct sl_slice *)(const void *)body)->size;
        body += field_size(type->fields[i]);
    }
    return size;
}

struct sl_msg *
sl_msg_create(uint32_t id, const void *body)
{
    const struct sl_message_type *type = sl_message_type_lookup(id);
    sl_assert(type != NULL);
    sl_assert(type->fields_count <= SL_FIELDS_MAX);
    /* Slices are the only fields of 16 bytes: most messages have none and skip both passes. */
    bool has_slices = type->size > type->fields_count * sizeof(uint64_t);
    size_t size = sizeof(struct sl_msg) + type->size + (has_slices ? slices_size(type, body) : 0);
    uint8_t pool;
    struct sl_msg *msg = sl_pool_alloc(size, &pool);
    *msg = (struct sl_msg){.type = type, .id = id, .pool = pool};
    if (type->size > 0)
        memcpy(msg->body, body, type->size);
    if (has_slices)
        adopt_slices(type, msg->body, msg->body + type->size);
    return msg;
}

void
sl_msg_destroy(struct sl_msg **msg)
{
    if (*msg != NULL)
        sl_pool_free(*msg, (*msg)->pool);
    *msg = NULL;
}

/* The first fields that are numbers, until one is none. */
static void
first_numbers(const struct sl_msg *msg, uint64_t *ret_numbers, uint8_t count)
{
    for (uint8_t i = 0; i < SL_MIN(msg->type->fields_count, count); i++) {
        if (msg->type->fields[i] == SL_BYTES)
            return;
        memcpy(&ret_numbers[i], msg->body + i * sizeof(uint64_t), sizeof(uint64_t));
    }
}

struct sl_msg *
sl_msg_undelivered(const struct sl_msg *msg, enum sl_err reason)
{
    uint64_t numbers[2] = {0};
    first_numbers(msg, numbers, 2);
    struct sl_m_undelivered body = {
        .message = msg->id, .reason = reason, .first = numbers[0], .second = numbers[1]};
    struct sl_msg *answer = sl_msg_create(SL_M_undelivered, &body);
    answer->from = msg->to;
    answer->to = msg->from;
    answer->request = msg->request;
    return answer;
}

size_t
sl_msg_size(const struct sl_msg *msg)
{
    return sizeof(struct sl_msg) + msg->type->size + slices_size(msg->type, msg->body);
}

/*
 * ---- the wire: flat msgpack arrays -----------------------------------------------------------
 *
 * Numbers without a sign and bytes, of which nearly all messages are made, are written and read
 * here: the library's writer is called back for each byte of a header, and its reader makes itself
 * a pool for each value. The rest is the library's, and so are the rules for what is well-formed.
 */

static int
pack_write(void *data, const char *bytes, size_t size)
{
    sl_buf_append(data, bytes, size);
    return 0;
}

#define NUMBER_MAX 9 /* Bytes of a number, or of what comes before bytes or an array's values. */

/* The tag, and the lowest `size` bytes of a value, highest first. */
static unsigned char *
write_tagged(unsigned char *at, uint8_t tag, uint64_t value, size_t size)
{
    uint64_t big = htobe64(value);
    *at = tag;
    memcpy(at + 1, (const unsigned char *)&big + sizeof(big) - size, size);
    return at + 1 + size;
}

static unsigned char *
write_number(unsigned char *at, uint64_t value)
{
    if (value < 0x80) {
        *at = (unsigned char)value;
        return at + 1;
    }
    if (value <= UINT8_MAX)
        return write_tagged(at, 0xcc, value, 1);
    if (value <= UINT16_MAX)
        return write_tagged(at, 0xcd, value, 2);
    return value <= UINT32_MAX ? write_tagged(at, 0xce, value, 4)
                               : write_tagged(at, 0xcf, value, 8);
}

static void
append_number(struct sl_buf *out, uint64_t value)
{
    sl_buf_reserve(out, NUMBER_MAX);
    out->size = (size_t)(write_number(out->data + out->size, value) - out->data);
}

static void
append_bytes(struct sl_buf *out, struct sl_slice s)
{
    sl_assert(s.size <= UINT32_MAX);
    sl_buf_reserve(out, NUMBER_MAX + s.size);
    unsigned char *at = out->data + out->size;
    if (s.size <= UINT8_MAX)
        at = write_tagged(at, 0xc4, s.size, 1);
    else
        at = s.size <= UINT16_MAX ? write_tagged(at, 0xc5, s.size, 2)
                                  : write_tagged(at, 0xc6, s.size, 4);
    if (s.size > 0)
        memcpy(at, s.data, s.size);
    out->size = (size_t)(at + s.size - out->data);
}

static void
append_envelope(struct sl_buf *out, const struct sl_msg *msg)
{
    size_t count = (size_t)ENVELOPE_FIELDS + msg->type->fields_count;
    sl_buf_reserve(out, (ENVELOPE_FIELDS + 1) * NUMBER_MAX);
    unsigned char *at = out->data + out->size;
    if (count < 16)
        *at++ = (unsigned char)(0x90 | count);
    else
        at = write_tagged(at, 0xdc, count, 2);
    at = write_number(at, msg->id);
    at = write_number(at, msg->to.actor);
    at = write_number(at, msg->from.node);
    at = write_number(at, msg->from.actor);
    at = write_number(at, msg->request);
    out->size = (size_t)(at - out->data);
}

void
sl_msg_encode(const struct sl_msg *msg, struct sl_buf *out)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, pack_write);
    append_envelope(out, msg);
    const unsigned char *at = msg->body;
    for (uint8_t i = 0; i < msg->type->fields_count; i++) {
        const void *field = at;
        switch ((enum sl_field_type)msg->type->fields[i]) {
        case SL_U64:
            append_number(out, *(const uint64_t *)field);
            break;
        case SL_I64:
            msgpack_pack_int64(&pk, *(const int64_t *)field);
            break;
        case SL_F64:
            msgpack_pack_double(&pk, *(const double *)field);
            break;
        case SL_BYTES:
            append_bytes(out, *(const struct sl_slice *)field);
            break;
        }
        at += field_size(msg->type->fields[i]);
    }
}

/* The number behind a tag, highest byte first; false: it is cut off. */
static bool
read_tagged(const struct sl_slice *rest, size_t size, uint64_t *ret_value)
{
    uint64_t big = 0;
    if (rest->size < 1 + size)
        return false;
    memcpy((unsigned char *)&big + sizeof(big) - size, rest->data + 1, size);
    *ret_value = be64toh(big);
    return true;
}

/* A number without a sign, if the next value is one that begins like it; else nothing is taken. */
static bool
take_number(struct sl_slice *rest, uint64_t *ret_value)
{
    size_t size = 0;
    if (rest->size == 0)
        return false;
    uint8_t first = rest->data[0];
    if (first < 0x80)
        *ret_value = first;
    else if (first < 0xcc || first > 0xcf)
        return false;
    else if (!read_tagged(rest, size = (size_t)1 << (first - 0xcc), ret_value))
        return false;
    *rest = sl_slice(rest->data + 1 + size, rest->size - 1 - size);
    return true;
}

/* The same for bytes, which are borrowed. */
static bool
take_bytes(struct sl_slice *rest, struct sl_slice *ret_bytes)
{
    uint64_t size;
    if (rest->size == 0 || rest->data[0] < 0xc4 || rest->data[0] > 0xc6)
        return false;
    size_t head = (size_t)1 << (rest->data[0] - 0xc4);
    if (!read_tagged(rest, head, &size) || size > rest->size - 1 - head)
        return false;
    *ret_bytes = sl_slice(rest->data + 1 + head, size);
    *rest = sl_slice(rest->data + 1 + head + size, rest->size - 1 - head - size);
    return true;
}

/*
 * Array and map headers make the unpacker allocate what they announce, before the bytes are there:
 * a 5-byte header can ask for 24 GiB. A message is a flat array, so containers are refused inside,
 * and the outer header is read here.
 */
static bool
is_flat(uint8_t first)
{
    bool is_container = (first >= 0x80 && first <= 0x9f) || (first >= 0xdc && first <= 0xdf);
    bool is_extension = (first >= 0xc7 && first <= 0xc9) || (first >= 0xd4 && first <= 0xd8);
    return !is_container && !is_extension && first != 0xc1;
}

static bool
next_value(struct sl_slice *rest, msgpack_object *ret_object)
{
    if (rest->size == 0 || !is_flat(rest->data[0]))
        return false;
    msgpack_unpacked result;
    msgpack_unpacked_init(&result);
    size_t used = 0;
    bool is_ok = msgpack_unpack_next(&result, (const char *)rest->data, rest->size, &used) ==
                 MSGPACK_UNPACK_SUCCESS;
    if (is_ok) {
        *ret_object = result.data; /* Flat: bytes point into the frame, nothing into the zone. */
        *rest = sl_slice(rest->data + used, rest->size - used);
    }
    msgpack_unpacked_destroy(&result);
    return is_ok;
}

static bool
next_u64(struct sl_slice *rest, uint64_t max, uint64_t *ret_value)
{
    msgpack_object o;
    if (take_number(rest, ret_value))
        return *ret_value <= max;
    if (!next_value(rest, &o) || o.type != MSGPACK_OBJECT_POSITIVE_INTEGER || o.via.u64 > max)
        return false;
    *ret_value = o.via.u64;
    return true;
}

static bool
next_array(struct sl_slice *rest, uint32_t *ret_count)
{
    if (rest->size >= 1 && (rest->data[0] & 0xf0) == 0x90) {
        *ret_count = rest->data[0] & 0x0f;
        *rest = sl_slice(rest->data + 1, rest->size - 1);
        return true;
    }
    if (rest->size >= 3 && rest->data[0] == 0xdc) {
        *ret_count = (uint32_t)rest->data[1] << 8 | rest->data[2];
        *rest = sl_slice(rest->data + 3, rest->size - 3);
        return true;
    }
    return false;
}

static bool
next_field(struct sl_slice *rest, uint8_t type, void *field)
{
    msgpack_object o;
    if ((type == SL_U64 && take_number(rest, field)) ||
        (type == SL_BYTES && take_bytes(rest, field)))
        return true;
    if (!next_value(rest, &o))
        return false;
    bool is_unsigned = o.type == MSGPACK_OBJECT_POSITIVE_INTEGER;
    switch ((enum sl_field_type)type) {
    case SL_U64:
        *(uint64_t *)field = o.via.u64;
        return is_unsigned;
    case SL_I64:
        *(int64_t *)field = o.via.i64;
        return (is_unsigned && o.via.u64 <= INT64_MAX) || o.type == MSGPACK_OBJECT_NEGATIVE_INTEGER;
    case SL_F64:
        *(double *)field = o.via.f64;
        return o.type == MSGPACK_OBJECT_FLOAT64;
    case SL_BYTES:
        *(struct sl_slice *)field = sl_slice(o.via.bin.ptr, o.via.bin.size);
        return o.type == MSGPACK_OBJECT_BIN;
    }
    return false;
}

static bool
skip_values(struct sl_slice *rest, uint32_t count)
{
    msgpack_object ignored;
    struct sl_slice bytes;
    uint64_t number;
    for (uint32_t i = 0; i < count; i++) {
        if (!take_number(rest, &number) && !take_bytes(rest, &bytes) && !next_value(rest, &ignored))
            return false;
    }
    return true;
}

bool
sl_msg_decode(struct sl_slice *rest, struct sl_msg **ret_msg, enum sl_err *ret_err)
{
    *ret_msg = NULL;
    *ret_err = SL_OK;
    if (rest->size == 0)
        return false;

    *ret_err = SL_ECORRUPT;
    uint32_t count;
    uint64_t id, to_actor, from_node, from_actor, request;
    if (!next_array(rest, &count) || count < ENVELOPE_FIELDS || !next_u64(rest, UINT32_MAX, &id) ||
        !next_u64(rest, UINT32_MAX, &to_actor) || !next_u64(rest, UINT32_MAX, &from_node) ||
        !next_u64(rest, UINT32_MAX, &from_actor) || !next_u64(rest, UINT64_MAX, &request))
        return false;
    count -= ENVELOPE_FIELDS;

    const struct sl_message_type *type = sl_message_type_lookup((uint32_t)id);
    if (type == NULL || protocols[id >> 16]->is_local || count < type->fields_count) {
        if (!skip_values(rest, count))
            return false;
        *ret_err = SL_OK;
        return true;
    }

    _Alignas(16) unsigned char body[SL_FIELDS_MAX * sizeof(struct sl_slice)];
    unsigned char *at = body;
    for (uint8_t i = 0; i < type->fields_count; i++) {
        if (!next_field(rest, type->fields[i], at))
            return false;
        at += field_size(type->fields[i]);
    }
    if (!skip_values(rest, count - type->fields_count)) /* A newer minor version adds at the end. */
        return false;
    *ret_err = SL_OK;
    *ret_msg = sl_msg_create((uint32_t)id, body);
    (*ret_msg)->to.actor = (uint32_t)to_actor;
    (*ret_msg)->from = (struct sl_addr){(uint32_t)from_node, (uint32_t)from_actor};
    (*ret_msg)->request = request;
    return true;
}

void
sl_msg_print(const struct sl_msg *msg, struct sl_buf *out)
{
    sl_buf_printf(out, "%s{", msg->type->name);
    const unsigned char *at = msg->body;
    for (uint8_t i = 0; i < msg->type->fields_count; i++) {
        const void *field = at;
        sl_buf_printf(out, "%s%s=", i == 0 ? "" : " ", msg->type->field_names[i]);
        switch ((enum sl_field_type)msg->type->fields[i]) {
        case SL_U64:
            sl_buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)field);
            break;
        case SL_I64:
            sl_buf_printf(out, "%lld", (long long)*(const int64_t *)field);
            break;
        case SL_F64:
            sl_buf_printf(out, "%g", *(const double *)field);
            break;
        case SL_BYTES:
            sl_buf_printf(out, "(%zu bytes)", ((const struct sl_slice *)field)->size);
            break;
        }
        at += field_size(msg->type->fields[i]);
    }
    sl_buf_append_str(out, "}");
}
