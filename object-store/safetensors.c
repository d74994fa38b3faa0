/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/json.h"

static const struct {
    const char *name;
    uint32_t size;
} dtypes[SL_DTYPE_COUNT] = {
    [SL_DTYPE_F32] = {"F32", 4}, [SL_DTYPE_F16] = {"F16", 2}, [SL_DTYPE_BF16] = {"BF16", 2},
    [SL_DTYPE_I64] = {"I64", 8}, [SL_DTYPE_I32] = {"I32", 4}, [SL_DTYPE_I16] = {"I16", 2},
    [SL_DTYPE_I8] = {"I8", 1},   [SL_DTYPE_U8] = {"U8", 1},   [SL_DTYPE_BOOL] = {"BOOL", 1},
    [SL_DTYPE_F64] = {"F64", 8},
};

const char *
sl_dtype_name(enum sl_dtype dtype)
{
    return (unsigned)dtype < SL_DTYPE_COUNT ? dtypes[dtype].name : "?";
}

uint32_t
sl_dtype_size(enum sl_dtype dtype)
{
    return (unsigned)dtype < SL_DTYPE_COUNT ? dtypes[dtype].size : 0;
}

enum sl_err
sl_tensor_size(enum sl_dtype dtype, uint32_t dims_count, const uint64_t *shape,
               uint64_t *ret_size_bytes)
{
    sl_assert(dims_count <= SL_TENSOR_DIMS_MAX);
    sl_assert(ret_size_bytes != NULL);
    uint64_t size = sl_dtype_size(dtype);
    for (uint32_t i = 0; i < dims_count; i++) {
        if (__builtin_mul_overflow(size, shape[i], &size) || size > INT64_MAX)
            return SL_ETOOBIG;
    }
    *ret_size_bytes = size;
    return SL_OK;
}

const char *
sl_tensor_shape_text(uint32_t dims_count, const uint64_t *shape, char *text, size_t text_size)
{
    sl_assert(text_size >= 3);
    size_t used = (size_t)snprintf(text, text_size, "[");
    for (uint32_t i = 0; i < dims_count && used < text_size; i++)
        used += (size_t)snprintf(text + used, text_size - used, "%s%" PRIu64, i == 0 ? "" : ", ",
                                 shape[i]);
    if (used < text_size)
        (void)snprintf(text + used, text_size - used, "]");
    return text;
}

enum sl_err
sl_safetensors_head_size(struct sl_slice head, uint64_t file_size, uint64_t *ret_size,
                         struct sl_cause *ret_cause)
{
    struct sl_reader reader = sl_reader(head);
    uint64_t size = sl_read_u64(&reader);
    if (reader.is_bad || file_size < 8)
        return sl_cause_set(
            ret_cause, SL_EINVAL,
            "the file is shorter than the 8 bytes every safetensors file starts with");
    if (size < 2 || size > SL_SAFETENSORS_HEADER_SIZE_MAX || size > file_size - 8)
        return sl_cause_set(ret_cause, SL_EINVAL,
                            "not a safetensors file, or a cut one: it states a header of %" PRIu64
                            " bytes, the file has %" PRIu64,
                            size, file_size);
    *ret_size = size + 8;
    return SL_OK;
}

static bool
parse_dtype(struct sl_json v, enum sl_dtype *ret_dtype)
{
    for (unsigned i = 0; i < SL_DTYPE_COUNT; i++) {
        if (sl_json_is(v, dtypes[i].name)) {
            *ret_dtype = (enum sl_dtype)i;
            return true;
        }
    }
    return false;
}

static bool
parse_shape(struct sl_json v, struct sl_safetensor *t)
{
    if (sl_json_kind(v) != SL_JSON_ARRAY || sl_json_count(v) > SL_TENSOR_DIMS_MAX)
        return false;
    for (struct sl_json_iter i = sl_json_iter(v); sl_json_next(&i);) {
        if (sl_json_u64(i.value, &t->shape[t->dims_count++]) != SL_OK)
            return false;
    }
    return true;
}

/* *data_size is what the file has after its header. Offsets in the header count from there. */
static enum sl_err
parse_range(struct sl_json v, uint64_t data_size, struct sl_safetensor *t, struct sl_cause *cause)
{
    uint64_t range[2] = {0}, want = 0;
    uint32_t n = 0;
    if (sl_json_kind(v) != SL_JSON_ARRAY || sl_json_count(v) != 2)
        return sl_cause_set(cause, SL_EINVAL, "tensor '%s': data_offsets is not two numbers",
                            t->name);
    for (struct sl_json_iter i = sl_json_iter(v); sl_json_next(&i);) {
        if (sl_json_u64(i.value, &range[n++]) != SL_OK)
            return sl_cause_set(cause, SL_EINVAL, "tensor '%s': data_offsets is not two numbers",
                                t->name);
    }
    if (range[0] > range[1] || range[1] > data_size)
        return sl_cause_set(cause, SL_EINVAL,
                            "tensor '%s': bytes %" PRIu64 " to %" PRIu64
                            " are not in the file, which has %" PRIu64 " after its header",
                            t->name, range[0], range[1], data_size);
    if (sl_tensor_size(t->dtype, t->dims_count, t->shape, &want) != SL_OK)
        return sl_cause_set(cause, SL_EINVAL, "tensor '%s': its shape is too big to exist",
                            t->name);
    if (want != range[1] - range[0])
        return sl_cause_set(cause, SL_EINVAL,
                            "tensor '%s': its shape and dtype take %" PRIu64
                            " bytes, its data_offsets %" PRIu64,
                            t->name, want, range[1] - range[0]);
    t->offset = range[0];
    t->size_bytes = want;
    return SL_OK;
}

static enum sl_err
parse_tensor(struct sl_json v, uint64_t data_size, struct sl_safetensor *t, struct sl_cause *cause)
{
    if (sl_json_kind(v) != SL_JSON_OBJECT)
        return sl_cause_set(cause, SL_EINVAL, "tensor '%s': not an object", t->name);
    if (!parse_dtype(sl_json_member(v, "dtype"), &t->dtype)) {
        struct sl_slice raw = sl_json_raw(sl_json_member(v, "dtype"));
        return sl_cause_set(cause, SL_EINVAL, "tensor '%s': dtype %.*s is not read here", t->name,
                            (int)SL_MIN(raw.size, 32u), (const char *)raw.data);
    }
    if (!parse_shape(sl_json_member(v, "shape"), t))
        return sl_cause_set(cause, SL_EINVAL, "tensor '%s': shape is not 0 to %d whole numbers",
                            t->name, SL_TENSOR_DIMS_MAX);
    return parse_range(sl_json_member(v, "data_offsets"), data_size, t, cause);
}

static enum sl_err
check_metadata(struct sl_json v, struct sl_cause *cause)
{
    if (sl_json_kind(v) != SL_JSON_OBJECT)
        return sl_cause_set(cause, SL_EINVAL, "__metadata__ is not an object");
    for (struct sl_json_iter i = sl_json_iter(v); sl_json_next(&i);) {
        if (sl_json_kind(i.value) != SL_JSON_STRING)
            return sl_cause_set(cause, SL_EINVAL, "__metadata__ holds something that is no string");
    }
    return SL_OK;
}

static enum sl_err
parse_members(struct sl_json root, uint64_t data_size, struct sl_safetensors *table,
              struct sl_cause *cause)
{
    for (struct sl_json_iter i = sl_json_iter(root); sl_json_next(&i);) {
        enum sl_err err;
        if (sl_json_is(i.name, "__metadata__")) {
            err = check_metadata(i.value, cause);
        } else {
            struct sl_safetensor *t = &table->tensors[table->count];
            t->name = sl_json_strdup(i.name);
            if (t->name == NULL)
                return sl_cause_set(cause, SL_EINVAL, "a tensor's name has a NUL in it");
            table->count++; /* From here on deinit frees the name. */
            size_t size = strlen(t->name);
            if (size == 0 || size > SL_TENSOR_NAME_SIZE_MAX)
                return sl_cause_set(cause, SL_EINVAL, "a tensor's name is empty or over %d bytes",
                                    SL_TENSOR_NAME_SIZE_MAX);
            err = parse_tensor(i.value, data_size, t, cause);
        }
        if (err != SL_OK)
            return err;
    }
    return SL_OK;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const struct sl_safetensor *)a)->name, ((const struct sl_safetensor *)b)->name);
}

static int
by_offset(const void *a, const void *b)
{
    const struct sl_safetensor *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    /* Empty tensors go first, so that the tiling check walks forward. */
    return x->size_bytes < y->size_bytes ? -1 : x->size_bytes > y->size_bytes;
}

static enum sl_err
check_tiling(struct sl_safetensors *table, uint64_t data_size, struct sl_cause *cause)
{
    /* The JSON reader refuses duplicate members; this holds whatever reads the header. */
    if (table->count > 1)
        qsort(table->tensors, table->count, sizeof(*table->tensors), by_name);
    for (uint32_t i = 1; i < table->count; i++) {
        if (strcmp(table->tensors[i - 1].name, table->tensors[i].name) == 0)
            return sl_cause_set(cause, SL_EINVAL, "tensor '%s' is there twice",
                                table->tensors[i].name);
    }
    if (table->count > 1)
        qsort(table->tensors, table->count, sizeof(*table->tensors), by_offset);
    uint64_t at = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        const struct sl_safetensor *t = &table->tensors[i];
        if (t->offset != at)
            return sl_cause_set(cause, SL_EINVAL, "tensor '%s': %s before it at byte %" PRIu64,
                                t->name, t->offset < at ? "overlaps the one" : "a hole",
                                SL_MIN(t->offset, at));
        at += t->size_bytes;
    }
    if (at != data_size)
        return sl_cause_set(cause, SL_EINVAL,
                            "the tensors end at byte %" PRIu64 ", the file at %" PRIu64
                            ", both after the header",
                            at, data_size);
    return SL_OK;
}

enum sl_err
sl_safetensors_parse(struct sl_slice head, uint64_t file_size, struct sl_safetensors *ret_table,
                     struct sl_cause *ret_cause)
{
    sl_assert(ret_table != NULL);
    sl_assert(head.size <= file_size);
    uint64_t head_size = 0;
    enum sl_err err = sl_safetensors_head_size(head, file_size, &head_size, ret_cause);
    if (err != SL_OK)
        return err;
    if (head.size < head_size)
        return sl_cause_set(ret_cause, SL_EINVAL, "the header is cut");

    struct sl_safetensors table = {0};
    struct sl_json_doc *doc = NULL;
    struct sl_json_error bad = {0};
    err = sl_json_parse(sl_slice(head.data + 8, head_size - 8), &doc, &bad);
    if (err != SL_OK) {
        err = sl_cause_set(ret_cause, SL_EINVAL, "the header is not JSON: %s at byte %zu",
                           bad.what == NULL ? sl_err_text(err) : bad.what, bad.offset);
        goto out;
    }
    struct sl_json root = sl_json_root(doc);
    if (sl_json_kind(root) != SL_JSON_OBJECT || head.data[8] != '{') {
        err = sl_cause_set(ret_cause, SL_EINVAL, "the header is not a JSON object");
        goto out;
    }
    uint32_t members = sl_json_count(root);
    if (members > SL_SAFETENSORS_COUNT_MAX) {
        err = sl_cause_set(ret_cause, SL_EINVAL, "%u tensors; at most %d are read", members,
                           SL_SAFETENSORS_COUNT_MAX);
        goto out;
    }
    table.tensors = sl_zalloc(sizeof(*table.tensors) * SL_MAX(members, 1u));
    err = parse_members(root, file_size - head_size, &table, ret_cause);
    if (err == SL_OK)
        err = check_tiling(&table, file_size - head_size, ret_cause);
    if (err != SL_OK)
        goto out;
    for (uint32_t i = 0; i < table.count; i++)
        table.tensors[i].offset += head_size;
    *ret_table = table;
    table = (struct sl_safetensors){0};
out:
    sl_safetensors_deinit(&table);
    sl_json_destroy(&doc);
    return err;
}

void
sl_safetensors_deinit(struct sl_safetensors *table)
{
    sl_assert(table != NULL);
    for (uint32_t i = 0; i < table->count; i++)
        sl_free(table->tensors[i].name);
    sl_free(table->tensors);
    *table = (struct sl_safetensors){0};
}
