/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/vectors_kernel.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static float
sum_lanes(const float sums[static SL_VECTORS_LANES])
{
    float sum = 0;
    for (size_t lane = 0; lane < SL_VECTORS_LANES; lane++)
        sum += sums[lane];
    return sum;
}

static float
dot_plain(const float *a, const float *b, size_t size)
{
    float sums[SL_VECTORS_LANES] = {0};
    for (size_t i = 0; i < size; i += SL_VECTORS_LANES) {
        for (size_t lane = 0; lane < SL_VECTORS_LANES; lane++)
            sums[lane] += a[i + lane] * b[i + lane];
    }
    return sum_lanes(sums);
}

static float
squared_distance_plain(const float *a, const float *b, size_t size)
{
    float sums[SL_VECTORS_LANES] = {0};
    for (size_t i = 0; i < size; i += SL_VECTORS_LANES) {
        for (size_t lane = 0; lane < SL_VECTORS_LANES; lane++) {
            float difference = a[i + lane] - b[i + lane];
            sums[lane] += difference * difference;
        }
    }
    return sum_lanes(sums);
}

struct sl_vectors_kernel
sl_vectors_kernel_plain(void)
{
    return (struct sl_vectors_kernel){.dot = dot_plain, .squared_distance = squared_distance_plain};
}

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma")))

AVX2 static float
sum_avx2(__m256 a, __m256 b, __m256 c, __m256 d)
{
    __m256 sum = _mm256_add_ps(_mm256_add_ps(a, c), _mm256_add_ps(b, d));
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
}

AVX2 static inline __m256
dot_step(const float *a, const float *b, __m256 sum)
{
    return _mm256_fmadd_ps(_mm256_load_ps(a), _mm256_load_ps(b), sum);
}

AVX2 static inline __m256
distance_step(const float *a, const float *b, __m256 sum)
{
    __m256 difference = _mm256_sub_ps(_mm256_load_ps(a), _mm256_load_ps(b));
    return _mm256_fmadd_ps(difference, difference, sum);
}

/* Four chains hide the latency of FMA; two of them rest for the last 16 of an odd size. */
AVX2 static float
dot_avx2(const float *a, const float *b, size_t size)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 32 <= size; i += 32) {
        s0 = dot_step(a + i, b + i, s0);
        s1 = dot_step(a + i + 8, b + i + 8, s1);
        s2 = dot_step(a + i + 16, b + i + 16, s2);
        s3 = dot_step(a + i + 24, b + i + 24, s3);
    }
    if (i < size) {
        s0 = dot_step(a + i, b + i, s0);
        s1 = dot_step(a + i + 8, b + i + 8, s1);
    }
    return sum_avx2(s0, s1, s2, s3);
}

AVX2 static float
squared_distance_avx2(const float *a, const float *b, size_t size)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 32 <= size; i += 32) {
        s0 = distance_step(a + i, b + i, s0);
        s1 = distance_step(a + i + 8, b + i + 8, s1);
        s2 = distance_step(a + i + 16, b + i + 16, s2);
        s3 = distance_step(a + i + 24, b + i + 24, s3);
    }
    if (i < size) {
        s0 = distance_step(a + i, b + i, s0);
        s1 = distance_step(a + i + 8, b + i + 8, s1);
    }
    return sum_avx2(s0, s1, s2, s3);
}
#endif

struct sl_vectors_kernel
sl_vectors_kernel_choose(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (struct sl_vectors_kernel){.dot = dot_avx2,
                                          .squared_distance = squared_distance_avx2};
#endif
    return sl_vectors_kernel_plain();
}
