/* SPDX-License-Identifier: Apache-2.0 */
/* The operations as AVX-512 has them, for a CPU that has not: the same source, other registers. */
#define VECTOR    16
#define TILE_ROWS 12
#define OPS_NAME  "wide"
#include "extractors/tensor/ops_lanes.inc"

const struct sl_tensor_ops *sl_tensor_ops_wide(void);

const struct sl_tensor_ops *
sl_tensor_ops_wide(void)
{
    return &ops;
}
