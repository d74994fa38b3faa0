/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/tensor/ops.h"

#include <math.h>

static void
add_bias(struct sl_rows x, const float *bias)
{
    for (uint32_t r = 0; r < x.count; r++) {
        float *row = x.data + (size_t)r * x.stride;
        for (uint32_t i = 0; i < x.width; i++)
            row[i] += bias[i];
    }
}

static void
bias_gelu(struct sl_rows x, const float *bias)
{
    const float half_root = 0.70710678f; /* 1 / sqrt(2) */
    for (uint32_t r = 0; r < x.count; r++) {
        float *row = x.data + (size_t)r * x.stride;
        for (uint32_t i = 0; i < x.width; i++) {
            float v = row[i] + bias[i];
            row[i] = 0.5f * v * (1.0f + erff(v * half_root));
        }
    }
}

static void
norm_row(float *row, uint32_t width, const struct sl_norm *norm)
{
    float sum = 0, squares = 0;
    for (uint32_t i = 0; i < width; i++)
        sum += row[i];
    float mean = sum / (float)width;
    for (uint32_t i = 0; i < width; i++)
        squares += (row[i] - mean) * (row[i] - mean);
    float scale = 1.0f / sqrtf(squares / (float)width + norm->epsilon);
    for (uint32_t i = 0; i < width; i++)
        row[i] = (row[i] - mean) * scale * norm->gamma[i] + norm->beta[i];
}

static void
bias_norm(struct sl_rows x, const float *bias, const float *residual, const struct sl_norm *norm)
{
    for (uint32_t r = 0; r < x.count; r++) {
        float *row = x.data + (size_t)r * x.stride;
        for (uint32_t i = 0; bias != NULL && i < x.width; i++)
            row[i] += bias[i];
        for (uint32_t i = 0; residual != NULL && i < x.width; i++)
            row[i] += residual[(size_t)r * x.stride + i];
        norm_row(row, x.width, norm);
    }
}

static void
softmax(struct sl_rows x, float scale)
{
    for (uint32_t r = 0; r < x.count; r++) {
        float *row = x.data + (size_t)r * x.stride;
        float largest = -INFINITY, sum = 0;
        for (uint32_t i = 0; i < x.width; i++)
            largest = fmaxf(largest, row[i] * scale);
        for (uint32_t i = 0; i < x.width; i++) {
            row[i] = expf(row[i] * scale - largest);
            sum += row[i];
        }
        for (uint32_t i = 0; i < x.width; i++)
            row[i] /= sum;
    }
}

const struct sl_row_ops *
sl_row_ops_portable(void)
{
    static const struct sl_row_ops ops = {"portable", add_bias, bias_gelu, bias_norm, softmax};
    return &ops;
}

const struct sl_row_ops *
sl_row_ops_best(void)
{
    const struct sl_row_ops *avx2 = sl_row_ops_avx2();
    return avx2 != NULL ? avx2 : sl_row_ops_portable();
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
