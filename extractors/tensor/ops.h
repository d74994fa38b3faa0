/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops.h - what the encoder does to matrices, as a table, so that a device can stand in for the CPU.
 *
 * A matrix is row-major fp32: `count` rows of `width` floats, the next row `stride` floats further.
 * One source, ops_lanes.inc, is compiled for vectors of 4, 8 and 16 floats; the tables agree within
 * rounding. An operation on large matrices can be shared by a team: each member calls it with its
 * part, and the parts touch no memory in common but what they all only read.
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

/* A linear layer, as models store it. */
struct sl_linear {
    const float *weight; /* [out, in] */
    const float *bias;   /* [out] */
};

/* Layer norm's parameters; each array is as wide as the rows. */
struct sl_norm {
    const float *gamma, *beta;
    float epsilon;
};

/* Member `index` of `count` that share an operation; {0, 1} does all of it. */
struct sl_part {
    uint32_t index, count;
};

/* Attention of one text's heads: each row of q, k, v and out is one token's, all heads in a row.
 * Each of the four has `tokens` rows, `stride` floats apart. */
struct sl_attention {
    const float *q, *k, *v;
    float *out;
    uint32_t tokens, stride;
    uint32_t heads, head_width;
};

struct sl_tensor_ops {
    const char *name; /* "avx512", "avx2", "portable" */
    /* to = from * transposed weight + bias; then the exact gelu (with erf), where wanted. The part
     * is one of the columns of `to`. `scratch` is this member's own: linear_scratch floats. */
    void (*linear)(struct sl_rows from, const struct sl_linear *layer, bool has_gelu,
                   struct sl_rows to, struct sl_part part, float *scratch);
    size_t linear_scratch;
    /* out = softmax(q * transposed k / sqrt(head_width)) * v, each head by itself, without ever
     * holding all scores. The part is one of the heads. `scratch`: attention_scratch() floats. */
    void (*attention)(const struct sl_attention *a, struct sl_part part, float *scratch);
    size_t (*attention_scratch)(uint32_t tokens, uint32_t head_width);
    /* x = norm(x + residual), each row by itself; the residual may be NULL, else it has x's shape
     * and stride. The part is one of the rows. */
    void (*add_norm)(struct sl_rows x, const float *residual, const struct sl_norm *norm,
                     struct sl_part part);
};

const struct sl_tensor_ops *sl_tensor_ops_portable(void);
const struct sl_tensor_ops *sl_tensor_ops_avx2(void);   /* NULL: not on this CPU. */
const struct sl_tensor_ops *sl_tensor_ops_avx512(void); /* NULL: not on this CPU. */
const struct sl_tensor_ops *sl_tensor_ops_best(void);

/* Fill `ret` with the n floats that `data` holds as IEEE half or bfloat16 numbers. */
void sl_floats_from_f16(const uint16_t *data, size_t count, float *ret);
void sl_floats_from_bf16(const uint16_t *data, size_t count, float *ret);

#endif
