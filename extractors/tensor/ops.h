/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops.h - what the encoder does to matrices, as a table, so that a device can stand in for the CPU.
 *
 * A matrix is row-major: `count` rows of `width` floats, the next row `stride` floats further.
 * Two CPU tables differ in the row operations, portable C and AVX2, and agree within 1e-6 of the
 * largest magnitude in a row. The product comes from OpenBLAS (blas.h).
 *
 * Threading: tables are static; calls on different data may overlap.
 */
#ifndef SL_EXTRACTORS_TENSOR_OPS_H
#define SL_EXTRACTORS_TENSOR_OPS_H

#include "runtime/base.h"

struct sl_rows {
    float *data;
    uint32_t count;
    uint32_t width;
    uint32_t stride;
};

/* Layer norm's parameters; each array is as wide as the rows. */
struct sl_norm {
    const float *gamma, *beta;
    float epsilon;
};

/* c = a * b, or a * transposed b; a is m x k, c is m x n; ld: floats from a row to the next. */
struct sl_gemm {
    const float *a, *b;
    float *c;
    uint32_t m, n, k;
    uint32_t lda, ldb, ldc;
    bool is_b_transposed; /* b is n x k, as linear layers are stored; else k x n. */
};

struct sl_row_ops {
    const char *name; /* "avx2", "portable" */
    void (*add_bias)(struct sl_rows x, const float *bias);
    /* x = gelu(x + bias), the exact one, with erf. */
    void (*bias_gelu)(struct sl_rows x, const float *bias);
    /* x = norm(x + bias + residual), each row by itself; bias and residual may be NULL. The
     * residual has x's shape and stride. */
    void (*bias_norm)(struct sl_rows x, const float *bias, const float *residual,
                      const struct sl_norm *norm);
    /* x = softmax(x * scale), each row by itself; width >= 1. */
    void (*softmax)(struct sl_rows x, float scale);
};

const struct sl_row_ops *sl_row_ops_portable(void);
const struct sl_row_ops *sl_row_ops_avx2(void); /* NULL where the CPU has no AVX2 and FMA. */
const struct sl_row_ops *sl_row_ops_best(void);

/* Fill `ret` with the n floats that `data` holds as IEEE half or bfloat16 numbers. */
void sl_floats_from_f16(const uint16_t *data, size_t count, float *ret);
void sl_floats_from_bf16(const uint16_t *data, size_t count, float *ret);

#endif
