/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/tensor.h"

#include <inttypes.h>
#include <stdio.h>

#define BITS_MAX (UINT64_C(1) << 63)

static const struct {
    const char *name;
    uint32_t bits;
} dtypes[SL_DTYPE_COUNT] = {
    [SL_DTYPE_F32] = {"F32", 32},
    [SL_DTYPE_F16] = {"F16", 16},
    [SL_DTYPE_BF16] = {"BF16", 16},
    [SL_DTYPE_I64] = {"I64", 64},
    [SL_DTYPE_I32] = {"I32", 32},
    [SL_DTYPE_I16] = {"I16", 16},
    [SL_DTYPE_I8] = {"I8", 8},
    [SL_DTYPE_U8] = {"U8", 8},
    [SL_DTYPE_BOOL] = {"BOOL", 8},
    [SL_DTYPE_F64] = {"F64", 64},
    [SL_DTYPE_U16] = {"U16", 16},
    [SL_DTYPE_U32] = {"U32", 32},
    [SL_DTYPE_U64] = {"U64", 64},
    [SL_DTYPE_C64] = {"C64", 64},
    [SL_DTYPE_F8_E4M3] = {"F8_E4M3", 8},
    [SL_DTYPE_F8_E5M2] = {"F8_E5M2", 8},
    [SL_DTYPE_F8_E8M0] = {"F8_E8M0", 8},
    [SL_DTYPE_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 8},
    [SL_DTYPE_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 8},
    [SL_DTYPE_F6_E2M3] = {"F6_E2M3", 6},
    [SL_DTYPE_F6_E3M2] = {"F6_E3M2", 6},
    [SL_DTYPE_F4] = {"F4", 4},
};

const char *
sl_dtype_name(enum sl_dtype dtype)
{
    return (unsigned)dtype < SL_DTYPE_COUNT ? dtypes[dtype].name : "?";
}

uint32_t
sl_dtype_bits(enum sl_dtype dtype)
{
    return (unsigned)dtype < SL_DTYPE_COUNT ? dtypes[dtype].bits : 0;
}

bool
sl_dtype_find(struct sl_slice name, enum sl_dtype *ret_dtype)
{
    for (unsigned i = 0; i < SL_DTYPE_COUNT; i++) {
        if (sl_slice_is(name, dtypes[i].name)) {
            *ret_dtype = (enum sl_dtype)i;
            return true;
        }
    }
    return false;
}

enum sl_err
sl_tensor_size(enum sl_dtype dtype, uint32_t dims_count, const uint64_t *shape,
               uint64_t *ret_size_bytes)
{
    sl_assert(dims_count <= SL_TENSOR_DIMS_MAX);
    sl_assert(ret_size_bytes != NULL);
    uint64_t bits = sl_dtype_bits(dtype);
    for (uint32_t i = 0; i < dims_count; i++) {
        if (__builtin_mul_overflow(bits, shape[i], &bits) || bits >= BITS_MAX)
            return SL_ETOOBIG;
    }
    if (bits % 8 != 0)
        return SL_EINVAL;
    *ret_size_bytes = bits / 8;
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
