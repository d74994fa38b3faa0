/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/tensor/ops.h"

const struct sl_tensor_ops *
sl_tensor_ops_best(void)
{
    const struct sl_tensor_ops *best = sl_tensor_ops_avx512();
    best = best != NULL ? best : sl_tensor_ops_avx2();
    return best != NULL ? best : sl_tensor_ops_portable();
}

static float
float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static float
float_of_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = half >> 10 & 0x1F, fraction = half & 0x3FF;
    if (exponent == 0) { /* Zero, or subnormal: fraction * 2^-24. */
        float value = (float)fraction * 0x1p-24f;
        return sign != 0 ? -value : value;
    }
    if (exponent == 31)
        return float_of_bits(sign | 0x7F800000 | fraction << 13);
    return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

void
sl_floats_from_f16(const uint16_t *data, size_t count, float *ret)
{
    for (size_t i = 0; i < count; i++)
        ret[i] = float_of_f16(data[i]);
}

void
sl_floats_from_bf16(const uint16_t *data, size_t count, float *ret)
{
    for (size_t i = 0; i < count; i++)
        ret[i] = float_of_bits((uint32_t)data[i] << 16);
}
