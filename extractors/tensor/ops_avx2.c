/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The row operations eight floats at a time. The functions carry their target, so this file is
 * compiled with the same flags as all others and nothing here runs before the CPU was asked.
 * A row's tail is read and written through a mask: masked lanes neither fault nor change.
 */
#include "extractors/tensor/ops.h"

#include <math.h>

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX2  __attribute__((target("avx2,fma")))
#define LANES 8u

/* Lanes [0, count) on; count <= 8. */
AVX2 static inline __m256i
mask_of(uint32_t count)
{
    static const int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones_then_zeros + LANES - count));
}

AVX2 static inline float
sum_of(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

AVX2 static inline float
max_of(__m256 v)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

/* e^x for x <= 0, within 2 ulp: 2^n * e^r with |r| <= ln 2 / 2, e^r by its Taylor series. */
AVX2 static inline __m256
exp_of(__m256 x)
{
    x = _mm256_max_ps(x, _mm256_set1_ps(-87.0f)); /* Below, the result is 0 to all purposes. */
    __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)),
                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    /* ln 2 in two parts: n times the first is exact. */
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
    __m256 e = _mm256_set1_ps(1.0f / 5040);
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.0f / 720));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.0f / 120));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.0f / 24));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.0f / 6));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(0.5f));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.0f));
    e = _mm256_fmadd_ps(e, r, _mm256_set1_ps(1.0f));
    __m256i power = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(e), power));
}

/* gelu(v) = v/2 * (1 + erf(v / sqrt 2)); erf by Abramowitz and Stegun 7.1.26, within 1.5e-7. */
AVX2 static inline __m256
gelu_of(__m256 v)
{
    const __m256 sign_bit = _mm256_set1_ps(-0.0f), one = _mm256_set1_ps(1.0f);
    __m256 x = _mm256_mul_ps(v, _mm256_set1_ps(0.70710678f));
    __m256 size = _mm256_andnot_ps(sign_bit, x);
    __m256 t = _mm256_div_ps(one, _mm256_fmadd_ps(size, _mm256_set1_ps(0.3275911f), one));
    __m256 p = _mm256_set1_ps(1.061405429f);
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(-1.453152027f));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(1.421413741f));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(-0.284496736f));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(0.254829592f));
    __m256 decay = exp_of(_mm256_xor_ps(_mm256_mul_ps(x, x), sign_bit));
    __m256 erf = _mm256_fnmadd_ps(_mm256_mul_ps(p, t), decay, one);
    erf = _mm256_or_ps(erf, _mm256_and_ps(x, sign_bit));
    __m256 half = _mm256_mul_ps(v, _mm256_set1_ps(0.5f));
    return _mm256_fmadd_ps(half, erf, half);
}

AVX2 static void
add_bias(struct sl_rows x, const float *bias)
{
    uint32_t whole = x.width / LANES * LANES;
    for (uint32_t r = 0; r < x.count; r++) {
        float *row = x.data + (size_t)r * x.stride;
        for (uint32_t i = 0; i < whole; i += LANES)
            _mm256_storeu_ps(row + i,
                             _mm256_add_ps(_mm256_loadu_ps(row + i), _mm256_loadu_ps(bias + i)));
        for (uint32_t i = whole; i < x.width; i++)
            row[i] += bias[i];
    }
}

AVX2 static void
bias_gelu(struct sl_rows x, const float *bias)
{
    uint32_t whole = x.width / LANES * LANES;
    __m256i mask = mask_of(x.width - whole);
    for (uint32_t r = 0; r < x.count; r++) {
        float *row = x.data + (size_t)r * x.stride;
        for (uint32_t i = 0; i < whole; i += LANES)
            _mm256_storeu_ps(row + i, gelu_of(_mm256_add_ps(_mm256_loadu_ps(row + i),
                                                            _mm256_loadu_ps(bias + i))));
        if (whole < x.width) {
            __m256 v = _mm256_add_ps(_mm256_maskload_ps(row + whole, mask),
                                     _mm256_maskload_ps(bias + whole, mask));
            _mm256_maskstore_ps(row + whole, mask, gelu_of(v));
        }
    }
}

/* Add bias and residual (NULL: none) to a row and return the row's sum. */
AVX2 static float
add_and_sum(float *row, uint32_t width, const float *bias, const float *residual)
{
    uint32_t whole = width / LANES * LANES;
    __m256 sums = _mm256_setzero_ps();
    float tail = 0;
    for (uint32_t i = 0; i < whole; i += LANES) {
        __m256 v = _mm256_loadu_ps(row + i);
        if (bias != NULL)
            v = _mm256_add_ps(v, _mm256_loadu_ps(bias + i));
        if (residual != NULL)
            v = _mm256_add_ps(v, _mm256_loadu_ps(residual + i));
        _mm256_storeu_ps(row + i, v);
        sums = _mm256_add_ps(sums, v);
    }
    for (uint32_t i = whole; i < width; i++) {
        row[i] += (bias != NULL ? bias[i] : 0) + (residual != NULL ? residual[i] : 0);
        tail += row[i];
    }
    return sum_of(sums) + tail;
}

AVX2 static void
norm_row(float *row, uint32_t width, float mean, const struct sl_norm *norm)
{
    uint32_t whole = width / LANES * LANES;
    __m256 means = _mm256_set1_ps(mean), squares = _mm256_setzero_ps();
    float tail = 0;
    for (uint32_t i = 0; i < whole; i += LANES) {
        __m256 d = _mm256_sub_ps(_mm256_loadu_ps(row + i), means);
        squares = _mm256_fmadd_ps(d, d, squares);
    }
    for (uint32_t i = whole; i < width; i++)
        tail += (row[i] - mean) * (row[i] - mean);
    float variance = (sum_of(squares) + tail) / (float)width;
    float scale = 1.0f / sqrtf(variance + norm->epsilon);
    __m256 scales = _mm256_set1_ps(scale);
    for (uint32_t i = 0; i < whole; i += LANES) {
        __m256 v = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(row + i), means), scales);
        v = _mm256_fmadd_ps(v, _mm256_loadu_ps(norm->gamma + i), _mm256_loadu_ps(norm->beta + i));
        _mm256_storeu_ps(row + i, v);
    }
    for (uint32_t i = whole; i < width; i++)
        row[i] = (row[i] - mean) * scale * norm->gamma[i] + norm->beta[i];
}

AVX2 static void
bias_norm(struct sl_rows x, const float *bias, const float *residual, const struct sl_norm *norm)
{
    for (uint32_t r = 0; r < x.count; r++) {
        float *row = x.data + (size_t)r * x.stride;
        const float *other = residual == NULL ? NULL : residual + (size_t)r * x.stride;
        float sum = add_and_sum(row, x.width, bias, other);
        norm_row(row, x.width, sum / (float)x.width, norm);
    }
}

AVX2 static void
softmax_row(float *row, uint32_t width, float scale)
{
    uint32_t whole = width / LANES * LANES;
    __m256i mask = mask_of(width - whole);
    __m256 scales = _mm256_set1_ps(scale), largest = _mm256_set1_ps(-INFINITY);
    __m256 sums = _mm256_setzero_ps();
    for (uint32_t i = 0; i < whole; i += LANES)
        largest = _mm256_max_ps(largest, _mm256_mul_ps(_mm256_loadu_ps(row + i), scales));
    __m256 tail = _mm256_mul_ps(_mm256_maskload_ps(row + whole, mask), scales);
    tail = _mm256_blendv_ps(_mm256_set1_ps(-INFINITY), tail, _mm256_castsi256_ps(mask));
    __m256 top = _mm256_set1_ps(max_of(_mm256_max_ps(largest, tail)));
    for (uint32_t i = 0; i < whole; i += LANES) {
        __m256 e = exp_of(_mm256_fmsub_ps(_mm256_loadu_ps(row + i), scales, top));
        _mm256_storeu_ps(row + i, e);
        sums = _mm256_add_ps(sums, e);
    }
    tail = _mm256_and_ps(exp_of(_mm256_sub_ps(tail, top)), _mm256_castsi256_ps(mask));
    __m256 share = _mm256_set1_ps(1.0f / sum_of(_mm256_add_ps(sums, tail)));
    for (uint32_t i = 0; i < whole; i += LANES)
        _mm256_storeu_ps(row + i, _mm256_mul_ps(_mm256_loadu_ps(row + i), share));
    _mm256_maskstore_ps(row + whole, mask, _mm256_mul_ps(tail, share));
}

AVX2 static void
softmax(struct sl_rows x, float scale)
{
    for (uint32_t r = 0; r < x.count; r++)
        softmax_row(x.data + (size_t)r * x.stride, x.width, scale);
}

const struct sl_row_ops *
sl_row_ops_avx2(void)
{
    static const struct sl_row_ops ops = {"avx2", add_bias, bias_gelu, bias_norm, softmax};
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &ops : NULL;
}

#else

const struct sl_row_ops *
sl_row_ops_avx2(void)
{
    return NULL;
}

#endif
