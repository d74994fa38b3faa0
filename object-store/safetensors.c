/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/json.h"

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
    if (size > SL_SAFETENSORS_HEADER_SIZE_MAX && size <= file_size - 8)
        return sl_cause_set(ret_cause, SL_EINVAL,
                            "its header has %" PRIu64 " bytes; at most %" PRIu64 " are read", size,
                            (uint64_t)SL_SAFETENSORS_HEADER_SIZE_MAX);
    if (size < 2 || size > file_size - 8)
        return sl_cause_set(ret_cause, SL_EINVAL,
                            "not a safetensors file, or a cut one: it states a header of %" PRIu64
                            " bytes, the file has %" PRIu64,
                            size, file_size);
    *ret_size = size + 8;
    return SL_OK;
}

static bool
parse_shape(struct sl_json v, struct sl_weight *t)
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
parse_range(struct sl_json v, uint64_t data_size, struct sl_weight *t, struct sl_cause *cause)
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
    enum sl_err err = sl_tensor_size(t->dtype, t->dims_count, t->shape, &want);
    if (err != SL_OK)
        return sl_cause_set(cause, SL_EINVAL, "tensor '%s': its shape %s", t->name,
                            err == SL_EINVAL ? "does not fill whole bytes" : "is too big to exist");
    if (want != range[1] - range[0])
        return sl_cause_set(cause, SL_EINVAL,
                            "tensor '%s': its shape and dtype take %" PRIu64
                            " bytes, its data_offsets %" PRIu64,
                            t->name, want, range[1] - range[0]);
    t->offset = range[0];
    t->span_bytes = want;
    sl_weight_strides_fill(t);
    return SL_OK;
}

/* `raw` is a JSON string as it stands: no name of a dtype needs an escape. */
static bool
find_dtype(struct sl_slice raw, enum sl_dtype *ret_dtype)
{
    return raw.size > 2 && raw.data[0] == '"' &&
           sl_dtype_find(sl_slice(raw.data + 1, raw.size - 2), ret_dtype);
}

static enum sl_err
parse_tensor(struct sl_json v, uint64_t data_size, struct sl_weight *t, struct sl_cause *cause)
{
    if (sl_json_kind(v) != SL_JSON_OBJECT)
        return sl_cause_set(cause, SL_EINVAL, "tensor '%s': not an object", t->name);
    struct sl_slice raw = sl_json_raw(sl_json_member(v, "dtype"));
    if (!find_dtype(raw, &t->dtype)) {
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
parse_members(struct sl_json root, uint64_t data_size, struct sl_weights *table,
              struct sl_cause *cause)
{
    for (struct sl_json_iter i = sl_json_iter(root); sl_json_next(&i);) {
        enum sl_err err;
        if (sl_json_is(i.name, "__metadata__")) {
            err = check_metadata(i.value, cause);
        } else {
            struct sl_weight *t = &table->items[table->count];
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
    return strcmp(((const struct sl_weight *)a)->name, ((const struct sl_weight *)b)->name);
}

static int
by_offset(const void *a, const void *b)
{
    const struct sl_weight *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    /* Empty tensors go first, so that the tiling check walks forward. */
    return x->span_bytes < y->span_bytes ? -1 : x->span_bytes > y->span_bytes;
}

static enum sl_err
check_tiling(struct sl_weights *table, uint64_t data_size, struct sl_cause *cause)
{
    /* The JSON reader refuses duplicate members; this holds whatever reads the header. */
    if (table->count > 1)
        qsort(table->items, table->count, sizeof(*table->items), by_name);
    for (uint32_t i = 1; i < table->count; i++) {
        if (strcmp(table->items[i - 1].name, table->items[i].name) == 0)
            return sl_cause_set(cause, SL_EINVAL, "tensor '%s' is there twice",
                                table->items[i].name);
    }
    if (table->count > 1)
        qsort(table->items, table->count, sizeof(*table->items), by_offset);
    uint64_t at = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        const struct sl_weight *t = &table->items[i];
        if (t->offset != at)
            return sl_cause_set(cause, SL_EINVAL, "tensor '%s': %s before it at byte %" PRIu64,
                                t->name, t->offset < at ? "overlaps the one" : "a hole",
                                SL_MIN(t->offset, at));
        at += t->span_bytes;
    }
    if (at != data_size)
        return sl_cause_set(cause, SL_EINVAL,
                            "the tensors end at byte %" PRIu64 ", the file at %" PRIu64
                            ", both after the header",
                            at, data_size);
    return SL_OK;
}

enum sl_err
sl_safetensors_parse(struct sl_slice head, uint64_t file_size, struct sl_weights *ret_weights,
                     struct sl_cause *ret_cause)
{
    sl_assert(ret_weights != NULL);
    sl_assert(head.size <= file_size);
    uint64_t head_size = 0;
    enum sl_err err = sl_safetensors_head_size(head, file_size, &head_size, ret_cause);
    if (err != SL_OK)
        return err;
    if (head.size < head_size)
        return sl_cause_set(ret_cause, SL_EINVAL, "the header is cut");

    struct sl_weights table = {0};
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
    if (members > SL_WEIGHTS_COUNT_MAX) {
        err = sl_cause_set(ret_cause, SL_EINVAL, "%u tensors; at most %d are read", members,
                           SL_WEIGHTS_COUNT_MAX);
        goto out;
    }
    table.items = sl_zalloc(sizeof(*table.items) * SL_MAX(members, 1u));
    err = parse_members(root, file_size - head_size, &table, ret_cause);
    if (err == SL_OK)
        err = check_tiling(&table, file_size - head_size, ret_cause);
    if (err != SL_OK)
        goto out;
    for (uint32_t i = 0; i < table.count; i++)
        table.items[i].offset += head_size;
    *ret_weights = table;
    table = (struct sl_weights){0};
out:
    sl_weights_deinit(&table);
    sl_json_destroy(&doc);
    return err;
}
