/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "object-store/onnx_state.h"
#include "runtime/alloc.h"
#include "runtime/utf8.h"

/* ---- what all readers of messages share ----------------------------------------------------- */

enum sl_err
sl_onnx_done(const struct sl_onnx_parse *p, const struct sl_protobuf *r, const char *where)
{
    if (r->bad == NULL)
        return SL_OK;
    return sl_cause_set(p->cause, SL_EINVAL,
                        "not an ONNX file, or a cut one: %s at byte %zu, in %s", r->bad,
                        p->file.size == 0 ? 0 : (size_t)(r->at - p->file.data), where);
}

enum sl_err
sl_onnx_want(const struct sl_onnx_parse *p, const struct sl_protobuf_field *f,
             enum sl_protobuf_wire wire, const char *where)
{
    if (f->wire == wire)
        return SL_OK;
    return sl_cause_set(p->cause, SL_EINVAL,
                        "not an ONNX file: field %" PRIu32 " of %s has wire type %d, not %d",
                        f->number, where, (int)f->wire, (int)wire);
}

enum sl_err
sl_onnx_once(const struct sl_onnx_parse *p, const struct sl_protobuf_field *f,
             struct sl_slice *text, const char *where)
{
    enum sl_err err = sl_onnx_want(p, f, SL_PROTOBUF_LEN, where);
    /* Protocol buffers would merge them, or take the last: readers that differ see other files. */
    if (err == SL_OK && text->size != 0)
        err = sl_cause_set(p->cause, SL_EINVAL, "field %" PRIu32 " of %s is there twice", f->number,
                           where);
    if (err == SL_OK)
        *text = f->bytes;
    return err;
}

enum sl_err
sl_onnx_check_name(const struct sl_onnx_parse *p, struct sl_slice name, const char *what)
{
    if (name.size > SL_ONNX_NAME_SIZE_MAX)
        return sl_cause_set(p->cause, SL_ETOOBIG,
                            "the name of %s has %zu bytes; at most %d are "
                            "read",
                            what, name.size, SL_ONNX_NAME_SIZE_MAX);
    if (!sl_utf8_is_valid(name) || (name.size > 0 && memchr(name.data, 0, name.size) != NULL))
        return sl_cause_set(p->cause, SL_EINVAL, "the name of %s is not UTF-8, or has a NUL", what);
    return SL_OK;
}

/* ---- inputs and outputs -------------------------------------------------------------------- */

static const char *const types[] = {
    "UNDEFINED",      "FLOAT",    "UINT8",        "INT8",           "UINT16",
    "INT16",          "INT32",    "INT64",        "STRING",         "BOOL",
    "FLOAT16",        "DOUBLE",   "UINT32",       "UINT64",         "COMPLEX64",
    "COMPLEX128",     "BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2",
    "FLOAT8E5M2FNUZ", "UINT4",    "INT4",         "FLOAT4E2M1",     "FLOAT8E8M0",
    "UINT2",          "INT2"};

const char *
sl_onnx_type_name(uint32_t type)
{
    return type < SL_COUNT_OF(types) ? types[type] : "?";
}

void
sl_onnx_value_deinit(struct sl_onnx_value *value)
{
    sl_free(value->name);
    for (uint32_t i = 0; i < value->dims_count; i++)
        sl_free(value->dims[i].symbol);
    *value = (struct sl_onnx_value){0};
}

static enum sl_err
read_dim(struct sl_onnx_parse *p, const struct sl_protobuf *parent, struct sl_slice message,
         struct sl_onnx_value *value)
{
    static const char where[] = "a dimension";
    struct sl_protobuf r = sl_protobuf_enter(parent, message);
    struct sl_slice symbol = {0};
    enum sl_err err = SL_OK;
    if (value->dims_count == SL_TENSOR_DIMS_MAX)
        return sl_cause_set(p->cause, SL_EUNAVAIL,
                            "'%.96s' has more than %d dimensions, which is not read here",
                            value->name, SL_TENSOR_DIMS_MAX);
    struct sl_onnx_dim *dim = &value->dims[value->dims_count++];
    for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);) {
        if (f.number == 1) {
            err = sl_onnx_want(p, &f, SL_PROTOBUF_VARINT, where);
            /* Some exporters write -1 (and older ones 0) for what is open. */
            dim->is_known = err == SL_OK && (int64_t)f.value >= 0;
            dim->size = f.value;
            if (err == SL_OK && (int64_t)f.value < -1)
                err = sl_cause_set(p->cause, SL_EINVAL, "'%.96s' has a dimension of %" PRId64,
                                   value->name, (int64_t)f.value);
        } else if (f.number == 2) {
            err = sl_onnx_once(p, &f, &symbol, where);
            if (err == SL_OK)
                err = sl_onnx_check_name(p, symbol, where);
        }
    }
    if (err == SL_OK)
        err = sl_onnx_done(p, &r, where);
    if (err == SL_OK && !dim->is_known && symbol.size > 0)
        dim->symbol = sl_strndup(symbol.data, symbol.size);
    return err;
}

static enum sl_err
read_shape(struct sl_onnx_parse *p, const struct sl_protobuf *parent, struct sl_slice message,
           struct sl_onnx_value *value)
{
    static const char where[] = "a shape";
    struct sl_protobuf r = sl_protobuf_enter(parent, message);
    enum sl_err err = SL_OK;
    for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);) {
        if (f.number != 1)
            continue;
        err = sl_onnx_want(p, &f, SL_PROTOBUF_LEN, where);
        if (err == SL_OK)
            err = read_dim(p, &r, f.bytes, value);
    }
    return err != SL_OK ? err : sl_onnx_done(p, &r, where);
}

static enum sl_err
read_tensor_type(struct sl_onnx_parse *p, const struct sl_protobuf *parent, struct sl_slice message,
                 struct sl_onnx_value *value)
{
    static const char where[] = "a tensor's type";
    struct sl_protobuf r = sl_protobuf_enter(parent, message);
    enum sl_err err = SL_OK;
    for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);) {
        if (f.number == 1) {
            err = sl_onnx_want(p, &f, SL_PROTOBUF_VARINT, where);
            if (err == SL_OK && f.value > INT32_MAX)
                err = sl_cause_set(p->cause, SL_EINVAL, "'%.96s' has an element type of %" PRIu64,
                                   value->name, f.value);
            if (err == SL_OK)
                value->type = (uint32_t)f.value;
        } else if (f.number == 2) {
            err = sl_onnx_want(p, &f, SL_PROTOBUF_LEN, where);
            if (err == SL_OK && value->has_shape)
                err = sl_cause_set(p->cause, SL_EINVAL, "'%.96s' has two shapes", value->name);
            value->has_shape = true;
            if (err == SL_OK)
                err = read_shape(p, &r, f.bytes, value);
        }
    }
    return err != SL_OK ? err : sl_onnx_done(p, &r, where);
}

static enum sl_err
read_type(struct sl_onnx_parse *p, const struct sl_protobuf *parent, struct sl_slice message,
          struct sl_onnx_value *value)
{
    static const char where[] = "a type";
    struct sl_protobuf r = sl_protobuf_enter(parent, message);
    enum sl_err err = SL_OK;
    bool has_tensor = false;
    /* Sequences, maps and optionals (4, 5, 9) are not tensors: `type` stays 0. */
    for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);) {
        if (f.number != 1)
            continue;
        err = sl_onnx_want(p, &f, SL_PROTOBUF_LEN, where);
        if (err == SL_OK && has_tensor)
            err = sl_cause_set(p->cause, SL_EINVAL, "'%.96s' has two types", value->name);
        has_tensor = true;
        if (err == SL_OK)
            err = read_tensor_type(p, &r, f.bytes, value);
    }
    return err != SL_OK ? err : sl_onnx_done(p, &r, where);
}

enum sl_err
sl_onnx_value(struct sl_onnx_parse *p, const struct sl_protobuf *parent, struct sl_slice message,
              struct sl_onnx_value *value)
{
    static const char where[] = "an input or output";
    struct sl_protobuf r = sl_protobuf_enter(parent, message);
    struct sl_slice name = {0}, type = {0};
    enum sl_err err = SL_OK;
    for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);) {
        if (f.number == 1)
            err = sl_onnx_once(p, &f, &name, where);
        else if (f.number == 2)
            err = sl_onnx_once(p, &f, &type, where);
    }
    if (err == SL_OK)
        err = sl_onnx_done(p, &r, where);
    if (err == SL_OK && name.size == 0)
        err = sl_cause_set(p->cause, SL_EINVAL, "%s has no name", where);
    if (err == SL_OK)
        err = sl_onnx_check_name(p, name, where);
    if (err != SL_OK)
        return err;
    value->name = sl_strndup(name.data, name.size);
    return read_type(p, &r, type, value);
}
