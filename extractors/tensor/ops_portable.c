/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors that every CPU of its kind has: SSE2, NEON. */
#define VECTOR    4
#define TILE_ROWS 4
#define OPS_NAME  "portable"
#include "extractors/tensor/ops_lanes.inc"

const struct sl_tensor_ops *
sl_tensor_ops_portable(void)
{
    return &ops;
}
