/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/weights.h"

#include "runtime/alloc.h"

void
sl_weights_deinit(struct sl_weights *weights)
{
    sl_assert(weights != NULL);
    for (uint32_t i = 0; i < weights->count; i++) {
        sl_free(weights->items[i].name);
        sl_free(weights->items[i].inline_data);
    }
    for (uint32_t i = 0; i < weights->files_count; i++)
        sl_free(weights->files[i]);
    sl_free(weights->items);
    sl_free(weights->files);
    *weights = (struct sl_weights){0};
}

void
sl_weight_strides_fill(struct sl_weight *weight)
{
    sl_assert(weight->dims_count <= SL_TENSOR_DIMS_MAX);
    uint64_t stride = 1;
    for (uint32_t i = weight->dims_count; i-- > 0;) {
        weight->strides[i] = stride;
        /* A shape with a zero in it may have a product of the others that does not fit. */
        if (__builtin_mul_overflow(stride, weight->shape[i], &stride))
            stride = 0;
    }
}

bool
sl_weight_is_row_major(const struct sl_weight *weight)
{
    uint64_t stride = 1;
    for (uint32_t i = 0; i < weight->dims_count; i++) {
        if (weight->shape[i] == 0)
            return true;
    }
    for (uint32_t i = weight->dims_count; i-- > 0;) {
        if (weight->shape[i] != 1 && weight->strides[i] != stride)
            return false;
        stride *= weight->shape[i];
    }
    return true;
}
