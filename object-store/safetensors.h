/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors.h - read and check the header of a .safetensors file.
 *
 *   u64 LE header size | JSON header | tensor bytes, tiled without a hole or an overlap
 *
 * Everything is checked before a number is used: dtype, shape product, range, tiling, unique names.
 * Threading: plain state, one owner.
 */
#ifndef SL_OBJECT_STORE_SAFETENSORS_H
#define SL_OBJECT_STORE_SAFETENSORS_H

#include "object-store/cause.h"
#include "runtime/base.h"

#define SL_TENSOR_DIMS_MAX             8
#define SL_TENSOR_NAME_SIZE_MAX        512
#define SL_SAFETENSORS_HEADER_SIZE_MAX (100 * SL_MIB)
#define SL_SAFETENSORS_COUNT_MAX       65536

/* Part of the model file's format: append only. */
enum sl_dtype {
    SL_DTYPE_F32,
    SL_DTYPE_F16,
    SL_DTYPE_BF16,
    SL_DTYPE_I64,
    SL_DTYPE_I32,
    SL_DTYPE_I16,
    SL_DTYPE_I8,
    SL_DTYPE_U8,
    SL_DTYPE_BOOL,
    SL_DTYPE_F64,
    SL_DTYPE_COUNT
};

const char *sl_dtype_name(enum sl_dtype dtype); /* "F32"; static storage; "?" for none of ours. */
uint32_t sl_dtype_size(enum sl_dtype dtype);    /* Bytes of one element; 0 for none of ours. */

/* Bytes of a tensor of this shape. SL_ETOOBIG: the product does not fit in 63 bits. */
SL_MUST_CHECK
enum sl_err sl_tensor_size(enum sl_dtype dtype, uint32_t dims_count, const uint64_t *shape,
                           uint64_t *ret_size_bytes);

/* "[2, 384]" into `text`, cut when it does not fit; returns `text`. */
const char *sl_tensor_shape_text(uint32_t dims_count, const uint64_t *shape, char *text,
                                 size_t text_size);

struct sl_safetensor {
    char *name; /* Owned by the table. */
    enum sl_dtype dtype;
    uint32_t dims_count;
    uint64_t shape[SL_TENSOR_DIMS_MAX];
    uint64_t offset; /* From the start of the file. */
    uint64_t size_bytes;
};

struct sl_safetensors {
    struct sl_safetensor *tensors; /* Sorted by offset. */
    uint32_t count;
};

/*
 * How many bytes of the file sl_safetensors_parse must see: `head` holds at least its first 8.
 * SL_EINVAL: the size it states is impossible for a file of `file_size` bytes.
 */
SL_MUST_CHECK
enum sl_err sl_safetensors_head_size(struct sl_slice head, uint64_t file_size, uint64_t *ret_size,
                                     struct sl_cause *ret_cause);

/*
 * Parse a file of `file_size` bytes from its first bytes, which must reach to the end of the header
 * (a whole mapped file is fine). `head` is borrowed for the call. SL_EINVAL, with a cause that
 * names the tensor. On success deinit the table.
 */
SL_MUST_CHECK
enum sl_err sl_safetensors_parse(struct sl_slice head, uint64_t file_size,
                                 struct sl_safetensors *ret_table, struct sl_cause *ret_cause);
void sl_safetensors_deinit(struct sl_safetensors *table); /* Zeroed is fine. */

#endif
