/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blas.h - OpenBLAS, opened at run time: what the encoder's own products are measured against. The
 * product does without it. The kernel it picks can be chosen, by the environment while it loads:
 * version 0.3.21 does not know newer CPUs and falls back to AVX2 on some that have AVX-512; then it
 * is told.
 *
 * Threading: sl_blas_open from one thread; afterwards sl_blas_gemm from any number of threads while
 * sl_blas_threads_set is not being called.
 */
#ifndef SL_EXTRACTORS_TENSOR_BLAS_H
#define SL_EXTRACTORS_TENSOR_BLAS_H

#include "runtime/base.h"

/* c = a * b, or a * transposed b; a is m x k, c is m x n; ld: floats from a row to the next. */
struct sl_gemm {
    const float *a, *b;
    float *c;
    uint32_t m, n, k;
    uint32_t lda, ldb, ldc;
    bool is_b_transposed; /* b is n x k, as linear layers are stored; else k x n. */
};

struct sl_blas {
    void *library;
    void (*sgemm)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                  const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);
    void (*set_num_threads)(int count);
    char *(*get_config)(void);
    char *(*get_corename)(void);
    uint32_t threads; /* As last set. */
};

/*
 * Load libopenblas.so.0, which starts `threads` - 1 threads of its own, at least 0. It changes the
 * environment: call it before other threads exist, or from create. On SL_EUNAVAIL *ret_why says
 * what is missing (static, or the loader's, until the next call). The library is never unloaded:
 * its threads outlive a close.
 */
SL_MUST_CHECK
enum sl_err sl_blas_open(uint32_t threads, struct sl_blas *ret_blas, const char **ret_why);

/* Threads for calls made from now on; at least 1. A no-op when that is the count already. */
void sl_blas_threads_set(struct sl_blas *blas, uint32_t threads);

/* c = a * b. Dimensions are below 2^31. Nothing is done when one of them is 0. */
void sl_blas_gemm(const struct sl_blas *blas, const struct sl_gemm *g);

#endif
