/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tensor.h - what a tensor's elements are and how many bytes they take.
 * Threading: pure functions.
 */
#ifndef SL_OBJECT_STORE_TENSOR_H
#define SL_OBJECT_STORE_TENSOR_H

#include "runtime/base.h"

#define SL_TENSOR_DIMS_MAX      8
#define SL_TENSOR_NAME_SIZE_MAX 512 /* Bytes, without the NUL. */

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
    SL_DTYPE_U16,
    SL_DTYPE_U32,
    SL_DTYPE_U64,
    SL_DTYPE_C64, /* Two F32: real, imaginary. */
    SL_DTYPE_F8_E4M3,
    SL_DTYPE_F8_E5M2,
    SL_DTYPE_F8_E8M0,
    SL_DTYPE_F8_E4M3FNUZ,
    SL_DTYPE_F8_E5M2FNUZ,
    SL_DTYPE_F6_E2M3, /* Packed, without padding between elements; F4 as well. */
    SL_DTYPE_F6_E3M2,
    SL_DTYPE_F4,
    SL_DTYPE_COUNT
};

const char *sl_dtype_name(enum sl_dtype dtype); /* "F32"; static storage; "?" for none of ours. */
uint32_t sl_dtype_bits(enum sl_dtype dtype);    /* Bits of one element; 0 for none of ours. */
/* By the name above. False: none of ours. */
bool sl_dtype_find(struct sl_slice name, enum sl_dtype *ret_dtype);

/*
 * Bytes of a tensor of this shape, its elements one after the other. SL_ETOOBIG: the product does
 * not fit in 60 bits. SL_EINVAL: packed elements that do not fill the last byte.
 */
SL_MUST_CHECK
enum sl_err sl_tensor_size(enum sl_dtype dtype, uint32_t dims_count, const uint64_t *shape,
                           uint64_t *ret_size_bytes);

/* "[2, 384]" into `text`, cut when it does not fit; returns `text`. */
const char *sl_tensor_shape_text(uint32_t dims_count, const uint64_t *shape, char *text,
                                 size_t text_size);

#endif
