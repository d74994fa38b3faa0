/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled for AVX-512 where the CPU may have it; called only when it has. */
#include "extractors/tensor/ops.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__)

#define VECTOR    16
#define TILE_ROWS 12 /* 24 sums of 32 registers */
#define OPS_NAME  "avx512"
#include "extractors/tensor/ops_lanes.inc"

const struct sl_tensor_ops *
sl_tensor_ops_avx512(void)
{
    bool has_it = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    return has_it ? &ops : NULL;
}

#else

const struct sl_tensor_ops *
sl_tensor_ops_avx512(void)
{
    return NULL;
}

#endif
