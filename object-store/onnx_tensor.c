/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elements come in one of three ways: as they are (raw_data), in a list of the type's own, or in
 * another file. Bytes that stand in the file as a tensor needs them stay there; lists of varints,
 * and lists in more than one piece, are put together in memory.
 */
#include <inttypes.h>

#include "object-store/onnx_state.h"
#include "runtime/alloc.h"

enum { /* Fields of a TensorProto. */
       DIMS = 1,
       DATA_TYPE = 2,
       SEGMENT = 3,
       FLOAT_DATA = 4,
       INT32_DATA = 5,
       STRING_DATA = 6,
       INT64_DATA = 7,
       NAME = 8,
       RAW_DATA = 9,
       DOUBLE_DATA = 10,
       UINT64_DATA = 11,
       EXTERNAL_DATA = 13,
       DATA_LOCATION = 14
};

static const struct type {
    bool is_read;
    enum sl_dtype dtype;
    uint32_t field;    /* The list that such elements are in. */
    int64_t low, high; /* What an int32 of that list may be. */
} types[] = {
    [1] = {true, SL_DTYPE_F32, FLOAT_DATA, 0, 0},
    [2] = {true, SL_DTYPE_U8, INT32_DATA, 0, UINT8_MAX},
    [3] = {true, SL_DTYPE_I8, INT32_DATA, INT8_MIN, INT8_MAX},
    [4] = {true, SL_DTYPE_U16, INT32_DATA, 0, UINT16_MAX},
    [5] = {true, SL_DTYPE_I16, INT32_DATA, INT16_MIN, INT16_MAX},
    [6] = {true, SL_DTYPE_I32, INT32_DATA, INT32_MIN, INT32_MAX},
    [7] = {true, SL_DTYPE_I64, INT64_DATA, INT64_MIN, INT64_MAX},
    [9] = {true, SL_DTYPE_BOOL, INT32_DATA, 0, 1},
    [10] = {true, SL_DTYPE_F16, INT32_DATA, 0, UINT16_MAX},
    [11] = {true, SL_DTYPE_F64, DOUBLE_DATA, 0, 0},
    [12] = {true, SL_DTYPE_U32, UINT64_DATA, 0, UINT32_MAX},
    [13] = {true, SL_DTYPE_U64, UINT64_DATA, INT64_MIN, INT64_MAX}, /* As bits. */
    [14] = {true, SL_DTYPE_C64, FLOAT_DATA, 0, 0},
    [16] = {true, SL_DTYPE_BF16, INT32_DATA, 0, UINT16_MAX},
    [17] = {true, SL_DTYPE_F8_E4M3, INT32_DATA, 0, UINT8_MAX},
    [18] = {true, SL_DTYPE_F8_E4M3FNUZ, INT32_DATA, 0, UINT8_MAX},
    [19] = {true, SL_DTYPE_F8_E5M2, INT32_DATA, 0, UINT8_MAX},
    [20] = {true, SL_DTYPE_F8_E5M2FNUZ, INT32_DATA, 0, UINT8_MAX},
    [23] = {true, SL_DTYPE_F4, INT32_DATA, 0, UINT8_MAX}, /* Two of them in each. */
    [24] = {true, SL_DTYPE_F8_E8M0, INT32_DATA, 0, UINT8_MAX},
};

struct tensor {
    struct sl_slice message, name, raw;
    uint64_t dims[SL_TENSOR_DIMS_MAX];
    uint32_t dims_count;
    uint32_t type;
    bool has_raw, is_external;
    uint32_t list;         /* The field of a list; 0: none. */
    uint32_t list_pieces;  /* Fields it comes in. */
    struct sl_slice piece; /* The last of them, where it is packed. */
    uint64_t list_bytes;
    bool has_location, has_offset, has_length;
    struct sl_slice location;
    uint64_t offset, length;
};

static const char where[] = "a tensor";

/* ---- its fields ---------------------------------------------------------------------------- */

static enum sl_err
add_dim(const struct sl_onnx_parse *p, struct tensor *t, uint64_t dim)
{
    if ((int64_t)dim < 0)
        return sl_cause_set(p->cause, SL_EINVAL, "tensor '%.*s' has a dimension of %" PRId64,
                            SHOWN(t->name), (int64_t)dim);
    if (t->dims_count == SL_TENSOR_DIMS_MAX)
        return sl_cause_set(p->cause, SL_EUNAVAIL,
                            "tensor '%.*s' has more than %d dimensions, which is not read here",
                            SHOWN(t->name), SL_TENSOR_DIMS_MAX);
    t->dims[t->dims_count++] = dim;
    return SL_OK;
}

static enum sl_err
read_dims(const struct sl_onnx_parse *p, const struct sl_protobuf *r, struct tensor *t,
          const struct sl_protobuf_field *f)
{
    if (f->wire != SL_PROTOBUF_LEN) {
        enum sl_err err = sl_onnx_want(p, f, SL_PROTOBUF_VARINT, where);
        return err != SL_OK ? err : add_dim(p, t, f->value);
    }
    struct sl_protobuf packed = sl_protobuf_enter(r, f->bytes);
    enum sl_err err = SL_OK;
    for (uint64_t dim; err == SL_OK && sl_protobuf_varint(&packed, &dim);)
        err = add_dim(p, t, dim);
    return err != SL_OK ? err : sl_onnx_done(p, &packed, "a tensor's dims");
}

static bool
read_decimal(struct sl_slice text, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (text.size == 0 || text.size > 19) /* 19 digits fit. */
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *ret_value = value;
    return true;
}

static enum sl_err
take_entry(const struct sl_onnx_parse *p, struct tensor *t, struct sl_slice key,
           struct sl_slice value)
{
    bool is_good = true;
    if (sl_slice_is(key, "location")) {
        is_good = !t->has_location;
        t->has_location = true;
        t->location = value;
    } else if (sl_slice_is(key, "offset")) {
        is_good = !t->has_offset && read_decimal(value, &t->offset);
        t->has_offset = true;
    } else if (sl_slice_is(key, "length")) {
        is_good = !t->has_length && read_decimal(value, &t->length);
        t->has_length = true;
    }
    if (is_good)
        return SL_OK;
    return sl_cause_set(p->cause, SL_EINVAL,
                        "tensor '%.*s': the %.*s of its external data is there twice or no number",
                        SHOWN(t->name), SHOWN(key));
}

static enum sl_err
read_entry(const struct sl_onnx_parse *p, const struct sl_protobuf *parent, struct tensor *t,
           const struct sl_protobuf_field *field)
{
    enum sl_err err = sl_onnx_want(p, field, SL_PROTOBUF_LEN, where);
    if (err != SL_OK)
        return err;
    struct sl_protobuf r = sl_protobuf_enter(parent, field->bytes);
    struct sl_slice key = {0}, value = {0};
    for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);) {
        if (f.number == 1)
            err = sl_onnx_once(p, &f, &key, "an external_data entry");
        else if (f.number == 2)
            err = sl_onnx_once(p, &f, &value, "an external_data entry");
    }
    if (err == SL_OK)
        err = sl_onnx_done(p, &r, "an external_data entry");
    return err != SL_OK ? err : take_entry(p, t, key, value);
}

static enum sl_err
note_list(const struct sl_onnx_parse *p, struct tensor *t, const struct sl_protobuf_field *f)
{
    if (t->list != 0 && t->list != f->number)
        return sl_cause_set(p->cause, SL_EINVAL, "tensor '%.*s' has two lists of elements",
                            SHOWN(t->name));
    t->list = f->number;
    t->list_pieces++;
    t->list_bytes += f->wire == SL_PROTOBUF_LEN ? f->bytes.size : 1;
    t->piece = f->bytes; /* {0} where it is not packed. */
    return SL_OK;
}

static enum sl_err
read_field(const struct sl_onnx_parse *p, const struct sl_protobuf *r, struct tensor *t,
           const struct sl_protobuf_field *f)
{
    enum sl_err err;
    switch (f->number) {
    case DIMS:
        return read_dims(p, r, t, f);
    case DATA_TYPE:
        err = sl_onnx_want(p, f, SL_PROTOBUF_VARINT, where);
        if (err == SL_OK && t->type != 0)
            return sl_cause_set(p->cause, SL_EINVAL, "tensor '%.*s' has two types", SHOWN(t->name));
        t->type = (uint32_t)SL_MIN(f->value, (uint64_t)UINT32_MAX);
        return err;
    case SEGMENT:
        return sl_cause_set(p->cause, SL_EUNAVAIL,
                            "tensor '%.*s' is in segments, which are not read here: save the "
                            "model with whole tensors",
                            SHOWN(t->name));
    case FLOAT_DATA:
    case INT32_DATA:
    case STRING_DATA:
    case INT64_DATA:
    case DOUBLE_DATA:
    case UINT64_DATA:
        return note_list(p, t, f);
    case RAW_DATA:
        t->has_raw = true;
        return sl_onnx_once(p, f, &t->raw, where);
    case EXTERNAL_DATA:
        return read_entry(p, r, t, f);
    case DATA_LOCATION:
        err = sl_onnx_want(p, f, SL_PROTOBUF_VARINT, where);
        if (err == SL_OK && f->value > 1)
            return sl_cause_set(p->cause, SL_EINVAL, "tensor '%.*s': a data_location of %" PRIu64,
                                SHOWN(t->name), f->value);
        t->is_external = f->value == 1;
        return err;
    default:
        return SL_OK;
    }
}

/* The name first, for the messages: it stands behind most of the others. */
static enum sl_err
read_name(const struct sl_onnx_parse *p, const struct sl_protobuf *parent, struct tensor *t)
{
    struct sl_protobuf r = sl_protobuf_enter(parent, t->message);
    enum sl_err err = SL_OK;
    for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);) {
        if (f.number == NAME)
            err = sl_onnx_once(p, &f, &t->name, where);
    }
    if (err == SL_OK)
        err = sl_onnx_done(p, &r, where);
    return err != SL_OK ? err : sl_onnx_check_name(p, t->name, where);
}

/* ---- elements in lists --------------------------------------------------------------------- */

struct elements { /* Where they go, one after the other. */
    uint8_t *out; /* NULL: they are counted and checked only. */
    uint64_t size, at;
    uint32_t width;
    int64_t low, high;
};

/* False: out of range, or one too many. */
static bool
put(struct elements *e, uint64_t value, bool is_unsigned)
{
    bool is_in = is_unsigned && e->low == 0 ? value <= (uint64_t)e->high
                                            : (int64_t)value >= e->low && (int64_t)value <= e->high;
    if (!is_in || e->size - e->at < e->width)
        return false;
    for (uint32_t i = 0; e->out != NULL && i < e->width; i++)
        e->out[e->at + i] = (uint8_t)(value >> (8 * i));
    e->at += e->width;
    return true;
}

static bool
put_piece(struct elements *e, const struct sl_protobuf_field *f, struct sl_protobuf *packed)
{
    bool is_unsigned = f->number == UINT64_DATA;
    if (f->number == FLOAT_DATA || f->number == DOUBLE_DATA) {
        uint64_t left = e->size - e->at;
        if (f->wire == (f->number == FLOAT_DATA ? SL_PROTOBUF_I32 : SL_PROTOBUF_I64)) {
            struct elements one = *e;
            one.width = f->number == FLOAT_DATA ? 4 : 8;
            one.low = INT64_MIN;
            one.high = INT64_MAX;
            bool is_put = put(&one, f->value, false);
            e->at = one.at;
            return is_put;
        }
        if (f->wire != SL_PROTOBUF_LEN || f->bytes.size > left)
            return false;
        if (e->out != NULL && f->bytes.size > 0)
            memcpy(e->out + e->at, f->bytes.data, f->bytes.size);
        e->at += f->bytes.size;
        return true;
    }
    if (f->wire == SL_PROTOBUF_VARINT)
        return put(e, f->value, is_unsigned);
    if (f->wire != SL_PROTOBUF_LEN)
        return false;
    for (uint64_t value; sl_protobuf_varint(packed, &value);) {
        if (!put(e, value, is_unsigned))
            return false;
    }
    return packed->bad == NULL;
}

/* Put all pieces of the list together. */
static enum sl_err
gather(const struct sl_onnx_parse *p, const struct sl_protobuf *parent, const struct tensor *t,
       struct elements *e)
{
    struct sl_protobuf r = sl_protobuf_enter(parent, t->message);
    bool is_good = true;
    for (struct sl_protobuf_field f; is_good && sl_protobuf_next(&r, &f);) {
        if (f.number != t->list)
            continue;
        struct sl_protobuf packed = sl_protobuf_enter(&r, f.bytes);
        is_good = put_piece(e, &f, &packed);
    }
    if (is_good && e->at == e->size)
        return SL_OK;
    return sl_cause_set(p->cause, SL_EINVAL,
                        "tensor '%.*s': its list of elements is malformed, has some that do not "
                        "fit its type, or not as many as its shape says",
                        SHOWN(t->name));
}

static bool
is_range(const struct tensor *t)
{
    return (t->list == FLOAT_DATA || t->list == DOUBLE_DATA) && t->list_pieces == 1 &&
           t->piece.data != NULL;
}

static enum sl_err
take_list(struct sl_onnx_parse *p, const struct sl_protobuf *parent, const struct tensor *t,
          struct sl_weight *w, bool is_kept)
{
    const struct type *type = &types[t->type];
    if (type->field != t->list)
        return sl_cause_set(p->cause, SL_EINVAL,
                            "tensor '%.*s' is of type %s, its elements are in the list of another",
                            SHOWN(t->name), sl_onnx_type_name(t->type));
    if (is_range(t)) {
        w->offset = (uint64_t)(t->piece.data - p->file.data);
        if (t->piece.size == w->span_bytes)
            return SL_OK;
        return sl_cause_set(p->cause, SL_EINVAL,
                            "tensor '%.*s': its shape takes %" PRIu64 " bytes, its elements %zu",
                            SHOWN(t->name), w->span_bytes, t->piece.size);
    }
    struct elements e = {.size = w->span_bytes,
                         .width = SL_MAX(sl_dtype_bits(type->dtype) / 8, 1u),
                         .low = type->low,
                         .high = type->high};
    /* No allocation that the file has not paid for: an element takes a byte of it at least. */
    if (t->list_bytes < e.size / 8)
        return sl_cause_set(p->cause, SL_EINVAL,
                            "tensor '%.*s': its shape takes %" PRIu64
                            " bytes, its list of elements has %" PRIu64,
                            SHOWN(t->name), w->span_bytes, t->list_bytes);
    if (is_kept && e.size > SL_ONNX_INLINE_SIZE_MAX - p->inline_bytes)
        return sl_cause_set(p->cause, SL_ETOOBIG,
                            "tensor '%.*s': over %d MiB of elements are in lists: save the model "
                            "with raw_data",
                            SHOWN(t->name), (int)(SL_ONNX_INLINE_SIZE_MAX / SL_MIB));
    if (is_kept) {
        p->inline_bytes += e.size;
        w->inline_data = e.out = sl_alloc(SL_MAX(e.size, UINT64_C(1)));
    }
    return gather(p, parent, t, &e);
}

/* ---- elements in another file -------------------------------------------------------------- */

static enum sl_err
check_location(const struct sl_onnx_parse *p, const struct tensor *t)
{
    struct sl_slice s = t->location;
    bool is_good = s.size > 0 && s.size <= SL_ONNX_LOCATION_MAX && !sl_slice_is(s, ".") &&
                   !sl_slice_is(s, "..");
    for (size_t i = 0; is_good && i < s.size; i++)
        is_good = s.data[i] != '/' && s.data[i] != '\\' && s.data[i] >= 0x20 && s.data[i] != 0x7f;
    if (!is_good)
        return sl_cause_set(p->cause, SL_EINVAL,
                            "tensor '%.*s': its external data is at '%.*s', which is not the name "
                            "of a file beside the model",
                            SHOWN(t->name), SHOWN(s));
    return sl_onnx_check_name(p, s, "a file of external data");
}

/* *ret_file: as weights call it, from 1. */
static enum sl_err
find_file(struct sl_onnx_parse *p, const struct tensor *t, uint32_t *ret_file)
{
    struct sl_weights *weights = &p->onnx->weights;
    const struct sl_onnx_name *known = sl_onnx_names_lookup(&p->externals, t->location);
    if (known != NULL) {
        *ret_file = known->value + 1;
        return SL_OK;
    }
    enum sl_err err = check_location(p, t);
    if (err != SL_OK)
        return err;
    if (sl_onnx_names_add(&p->externals, t->location, weights->files_count, SL_ONNX_FILES_MAX) !=
        SL_OK)
        return sl_cause_set(p->cause, SL_ETOOBIG,
                            "external data in more than %d files: save it to one file",
                            SL_ONNX_FILES_MAX);
    if (weights->files_count == p->files_capacity) {
        p->files_capacity = SL_MAX(4u, p->files_capacity * 2);
        weights->files = sl_realloc(weights->files, p->files_capacity * sizeof(weights->files[0]));
        p->external_sizes =
            sl_realloc(p->external_sizes, p->files_capacity * sizeof(p->external_sizes[0]));
    }
    char *name = sl_strndup(t->location.data, t->location.size);
    weights->files[weights->files_count] = name;
    uint64_t *size = &p->external_sizes[weights->files_count++];
    if (p->files.size == NULL || !p->files.size(p->files.arg, name, size))
        return sl_cause_set(p->cause, SL_EINVAL,
                            "tensor '%.*s': its external data is in '%.*s', which is not there: "
                            "put it beside the model",
                            SHOWN(t->name), SHOWN(t->location));
    *ret_file = weights->files_count;
    return SL_OK;
}

static enum sl_err
take_external(struct sl_onnx_parse *p, const struct tensor *t, struct sl_weight *w)
{
    enum sl_err err = find_file(p, t, &w->file);
    if (err != SL_OK)
        return err;
    uint64_t size = p->external_sizes[w->file - 1];
    uint64_t length = t->has_length ? t->length : size - SL_MIN(size, t->offset);
    if (t->offset > size || length > size - t->offset)
        return sl_cause_set(p->cause, SL_EINVAL,
                            "tensor '%.*s': bytes %" PRIu64 " to %" PRIu64
                            " are not in '%.*s', which has %" PRIu64,
                            SHOWN(t->name), t->offset, t->offset + SL_MIN(length, INT64_MAX),
                            SHOWN(t->location), size);
    if (length != w->span_bytes)
        return sl_cause_set(p->cause, SL_EINVAL,
                            "tensor '%.*s': its shape takes %" PRIu64
                            " bytes, its external data %" PRIu64,
                            SHOWN(t->name), w->span_bytes, length);
    w->offset = t->offset;
    /* Views of the same bytes cost nothing in the file, and all they show when it is laid out. */
    p->external_bytes += length;
    uint64_t total = 0;
    for (uint32_t i = 0; i < p->onnx->weights.files_count; i++)
        total += SL_MIN(p->external_sizes[i], UINT64_C(1) << 48);
    if (p->external_bytes > total * SL_ONNX_SHARED_TIMES)
        return sl_cause_set(p->cause, SL_EINVAL,
                            "tensor '%.*s': external tensors overlap until they are over %u times "
                            "as large as their files",
                            SHOWN(t->name), SL_ONNX_SHARED_TIMES);
    return SL_OK;
}

/* ---- the tensor ---------------------------------------------------------------------------- */

static enum sl_err
check_sources(const struct sl_onnx_parse *p, const struct tensor *t)
{
    const char *what = NULL;
    if (t->is_external && (t->has_raw || t->list != 0))
        what = "has its elements both inside and in another file";
    else if (t->has_raw && t->list != 0)
        what = "has its elements both as raw_data and in a list";
    else if (t->is_external && !t->has_location)
        what = "has external data that does not say where";
    else if (!t->is_external && (t->has_location || t->has_offset || t->has_length))
        what = "names external data, but says that its elements are inside";
    return what == NULL
               ? SL_OK
               : sl_cause_set(p->cause, SL_EINVAL, "tensor '%.*s' %s", SHOWN(t->name), what);
}

static enum sl_err
take_shape(const struct sl_onnx_parse *p, const struct tensor *t, struct sl_weight *w)
{
    w->dtype = types[t->type].dtype;
    w->dims_count = t->dims_count;
    memcpy(w->shape, t->dims, sizeof(w->shape));
    enum sl_err err = sl_tensor_size(w->dtype, w->dims_count, w->shape, &w->span_bytes);
    if (err != SL_OK)
        return sl_cause_set(p->cause, SL_EINVAL, "tensor '%.*s': its shape %s", SHOWN(t->name),
                            err == SL_EINVAL ? "does not fill whole bytes" : "is too big to exist");
    sl_weight_strides_fill(w);
    return SL_OK;
}

static enum sl_err
take_elements(struct sl_onnx_parse *p, const struct sl_protobuf *parent, const struct tensor *t,
              struct sl_weight *w, bool is_kept)
{
    if (t->is_external)
        return take_external(p, t, w);
    if (t->list != 0)
        return take_list(p, parent, t, w, is_kept);
    if (t->raw.size != w->span_bytes)
        return sl_cause_set(p->cause, SL_EINVAL,
                            "tensor '%.*s': its shape takes %" PRIu64 " bytes, its raw_data %zu",
                            SHOWN(t->name), w->span_bytes, t->raw.size);
    w->offset = t->raw.size == 0 ? 0 : (uint64_t)(t->raw.data - p->file.data);
    return SL_OK;
}

static enum sl_err
keep(struct sl_onnx_parse *p, const struct tensor *t, const char *prefix, struct sl_weight *w)
{
    struct sl_weights *weights = &p->onnx->weights;
    w->name = sl_format("%s%.*s", prefix, (int)t->name.size,
                        t->name.size == 0 ? "" : (const char *)t->name.data);
    size_t size = strlen(w->name);
    if (t->name.size == 0 || size > SL_TENSOR_NAME_SIZE_MAX)
        return sl_cause_set(p->cause, SL_EINVAL, "a tensor's name is empty or over %d bytes",
                            SL_TENSOR_NAME_SIZE_MAX);
    if (sl_onnx_names_lookup(&p->weights, sl_slice(w->name, size)) != NULL)
        return sl_cause_set(p->cause, SL_EINVAL, "tensor '%.96s' is there twice", w->name);
    if (sl_onnx_names_add(&p->weights, sl_slice(w->name, size), 0, SL_WEIGHTS_COUNT_MAX) != SL_OK)
        return sl_cause_set(p->cause, SL_ETOOBIG, "over %d tensors", SL_WEIGHTS_COUNT_MAX);
    if (weights->count == p->weights_capacity) {
        p->weights_capacity = SL_MAX(16u, p->weights_capacity * 2);
        weights->items =
            sl_realloc(weights->items, p->weights_capacity * sizeof(weights->items[0]));
    }
    weights->items[weights->count++] = *w;
    *w = (struct sl_weight){0};
    return SL_OK;
}

enum sl_err
sl_onnx_tensor(struct sl_onnx_parse *p, const struct sl_protobuf *parent, struct sl_slice message,
               const char *prefix, struct sl_slice *ret_name)
{
    struct tensor t = {.message = message};
    struct sl_weight w = {0};
    struct sl_protobuf r = sl_protobuf_enter(parent, message);
    enum sl_err err = read_name(p, parent, &t);
    for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);)
        err = read_field(p, &r, &t, &f);
    if (err == SL_OK)
        err = sl_onnx_done(p, &r, where);
    if (err == SL_OK)
        err = check_sources(p, &t);
    if (err != SL_OK)
        return err;
    if (t.type >= SL_COUNT_OF(types) || !types[t.type].is_read) {
        if (prefix == NULL && !t.is_external)
            return SL_OK;
        return sl_cause_set(p->cause, SL_EUNAVAIL,
                            "tensor '%.*s': elements of type %s (%" PRIu32 ") are not read here",
                            SHOWN(t.name), sl_onnx_type_name(t.type), t.type);
    }
    err = take_shape(p, &t, &w);
    if (err == SL_OK)
        err = take_elements(p, parent, &t, &w, prefix != NULL);
    if (err == SL_OK && prefix != NULL)
        err = keep(p, &t, prefix, &w);
    if (err == SL_OK)
        *ret_name = t.name;
    sl_free(w.name);
    sl_free(w.inline_data);
    return err;
}
