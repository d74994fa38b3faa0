/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vectors_kernel.h - the dot product, and nothing else: one that every CPU runs, and one for AVX2
 * and FMA, chosen at run time. Both add in 16 lanes, so that they agree but for FMA's missing
 * rounding.
 */
#ifndef SL_OBJECT_STORE_VECTORS_KERNEL_H
#define SL_OBJECT_STORE_VECTORS_KERNEL_H

#include "runtime/base.h"

#define SL_VECTORS_LANES 16 /* Rows are padded to a multiple of this. */

/* `size` is a multiple of SL_VECTORS_LANES; both are 64-byte aligned. */
typedef float (*sl_vectors_fn)(const float *a, const float *b, size_t size);

struct sl_vectors_kernel {
    sl_vectors_fn dot;
    sl_vectors_fn squared_distance;
};

struct sl_vectors_kernel sl_vectors_kernel_plain(void);

/* The fastest that this CPU runs. */
struct sl_vectors_kernel sl_vectors_kernel_choose(void);

#endif
