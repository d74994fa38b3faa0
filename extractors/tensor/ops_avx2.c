/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled for AVX2 and FMA where the CPU may have them; called only when it has. */
#include "extractors/tensor/ops.h"

#if defined(__AVX2__) && defined(__FMA__)

#define VECTOR    8
#define TILE_ROWS 6 /* 12 sums of 16 registers */
#define OPS_NAME  "avx2"
#include "extractors/tensor/ops_lanes.inc"

const struct sl_tensor_ops *
sl_tensor_ops_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &ops : NULL;
}

#else

const struct sl_tensor_ops *
sl_tensor_ops_avx2(void)
{
    return NULL;
}

#endif
