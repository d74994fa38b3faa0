/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/tensor/ops.h"

#include <criterion/criterion.h>
#include <math.h>

#include "extractors/tensor/blas.h"
#include "runtime/alloc.h"
#include "runtime/random.h"

/* tests/extractors/ops_wide.c */
const struct sl_tensor_ops *sl_tensor_ops_wide(void);

static struct sl_random dice;

static const struct sl_tensor_ops *
table(uint32_t index)
{
    const struct sl_tensor_ops *tables[] = {sl_tensor_ops_portable(), sl_tensor_ops_avx2(),
                                            sl_tensor_ops_avx512(), sl_tensor_ops_wide()};
    return tables[index];
}
#define TABLES 4u

static float *
draw(size_t count, float scale)
{
    float *data = sl_alloc((count + 1) * sizeof(float));
    for (size_t i = 0; i < count; i++)
        data[i] = ((float)sl_random_below(&dice, 1u << 24) / (1u << 24) - 0.5f) * 2 * scale;
    return data;
}

static double
gelu(double v)
{
    return 0.5 * v * (1 + erf(v / sqrt(2)));
}

/* ---- linear -------------------------------------------------------------------------------- */

struct product {
    uint32_t rows, in, out, members;
    bool has_gelu;
};

/* By members one after the other: what they write must not overlap, whoever comes first. */
static void
check_linear(const struct sl_tensor_ops *ops, const struct product *p)
{
    const float untouched = 77;
    uint32_t stride = p->in + 3, to_stride = p->out + 5;
    float *x = draw((size_t)p->rows * stride, 1), *weight = draw((size_t)p->out * p->in, 1);
    float *bias = draw(p->out, 1), *y = draw((size_t)p->rows * to_stride, 1);
    float *scratch = draw(ops->linear_scratch, 1);
    for (uint32_t i = 0; i < p->rows * to_stride; i++)
        y[i] = untouched;
    for (uint32_t m = p->members; m-- > 0;)
        ops->linear((struct sl_rows){x, p->rows, p->in, stride}, &(struct sl_linear){weight, bias},
                    p->has_gelu, (struct sl_rows){y, p->rows, p->out, to_stride},
                    (struct sl_part){m, p->members}, scratch);
    for (uint32_t r = 0; r < p->rows; r++) {
        for (uint32_t c = 0; c < p->out; c++) {
            double want = bias[c];
            for (uint32_t i = 0; i < p->in; i++)
                want += (double)x[r * stride + i] * (double)weight[c * p->in + i];
            want = p->has_gelu ? gelu(want) : want;
            cr_assert_lt(fabs((double)y[r * to_stride + c] - want), 2e-6 * (sqrt(p->in) + 2),
                         "%s %u x %u x %u at %u, %u: %g, not %g", ops->name, p->rows, p->in, p->out,
                         r, c, (double)y[r * to_stride + c], want);
        }
        for (uint32_t c = p->out; c < to_stride; c++)
            cr_assert_eq(y[r * to_stride + c], untouched, "nothing is written past the width");
    }
    float *all[] = {x, weight, bias, y, scratch};
    for (size_t i = 0; i < SL_COUNT_OF(all); i++)
        sl_free(all[i]);
}

Test(ops, linear_is_right_for_every_small_shape_and_share)
{
    sl_random_seed(&dice, 3);
    for (uint32_t t = 0; t < TABLES; t++) {
        for (uint32_t i = 0; table(t) != NULL && i < 300; i++)
            check_linear(table(t), &(struct product){.rows = 1 + sl_random_below(&dice, 30),
                                                     .in = 1 + sl_random_below(&dice, 50),
                                                     .out = 1 + sl_random_below(&dice, 90),
                                                     .members = 1 + sl_random_below(&dice, 4),
                                                     .has_gelu = i % 2 == 0});
    }
}

Test(ops, linear_is_right_where_it_is_cut_into_blocks)
{
    static const struct product shapes[] = {{200, 800, 40, 1, true},
                                            {97, 385, 400, 2, false},
                                            {13, 1536, 193, 3, true},
                                            {1, 384, 384, 2, false}};
    sl_random_seed(&dice, 4);
    for (uint32_t t = 0; t < TABLES; t++) {
        for (size_t i = 0; table(t) != NULL && i < SL_COUNT_OF(shapes); i++)
            check_linear(table(t), &shapes[i]);
    }
}

Test(ops, gelu_is_the_exact_one)
{
    for (uint32_t t = 0; t < TABLES; t++) {
        const struct sl_tensor_ops *ops = table(t);
        if (ops == NULL)
            continue;
        float *scratch = sl_alloc(ops->linear_scratch * sizeof(float)), one = 1, zero = 0;
        for (float v = -12; v < 12; v += 0.003f) {
            float x = v, y;
            ops->linear((struct sl_rows){&x, 1, 1, 1}, &(struct sl_linear){&one, &zero}, true,
                        (struct sl_rows){&y, 1, 1, 1}, (struct sl_part){0, 1}, scratch);
            double want = gelu((double)v);
            cr_assert_lt(fabs((double)y - want), 1e-6 * fmax(1, fabs(want)), "%s", ops->name);
        }
        sl_free(scratch);
    }
}

/* ---- attention ----------------------------------------------------------------------------- */

struct heads {
    uint32_t tokens, heads, width, members;
    float scale;
};

/* One output of one head, slowly. */
static double
attended(const struct sl_attention *a, const struct heads *h, uint32_t head, uint32_t row,
         uint32_t column)
{
    double largest = -INFINITY, sum = 0, mixed = 0;
    size_t at = (size_t)head * h->width;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t t = 0; t < h->tokens; t++) {
            double score = 0;
            for (uint32_t i = 0; i < h->width; i++)
                score +=
                    (double)a->q[row * a->stride + at + i] * (double)a->k[t * a->stride + at + i];
            score /= sqrt(h->width);
            largest = pass == 0 ? fmax(largest, score) : largest;
            double share = pass == 0 ? 0 : exp(score - largest);
            sum += share;
            mixed += share * (double)a->v[t * a->stride + at + column];
        }
    }
    return mixed / sum;
}

static void
check_attention(const struct sl_tensor_ops *ops, const struct heads *h)
{
    uint32_t stride = h->heads * h->width + 2;
    size_t count = (size_t)h->tokens * stride;
    float *q = draw(count, h->scale), *k = draw(count, h->scale), *v = draw(count, 1);
    float *out = draw(count, 1), *scratch = draw(ops->attention_scratch(h->tokens, h->width), 1);
    struct sl_attention a = {q, k, v, out, h->tokens, stride, h->heads, h->width};
    for (uint32_t m = h->members; m-- > 0;)
        ops->attention(&a, (struct sl_part){m, h->members}, scratch);
    for (uint32_t head = 0; head < h->heads; head++) {
        for (uint32_t i = 0; i < 40; i++) {
            uint32_t row = sl_random_below(&dice, h->tokens);
            uint32_t column = sl_random_below(&dice, h->width);
            double want = attended(&a, h, head, row, column);
            double got = (double)out[row * stride + head * h->width + column];
            cr_assert_lt(fabs(got - want), 1e-5, "%s: %u tokens of %u: %g, not %g", ops->name,
                         h->tokens, h->width, got, want);
        }
    }
    float *all[] = {q, k, v, out, scratch};
    for (size_t i = 0; i < SL_COUNT_OF(all); i++)
        sl_free(all[i]);
}

Test(ops, attention_is_right_for_every_length)
{
    static const uint32_t widths[] = {1, 7, 16, 32, 40, 64};
    sl_random_seed(&dice, 5);
    for (uint32_t t = 0; t < TABLES; t++) {
        for (uint32_t i = 0; table(t) != NULL && i < 80; i++)
            check_attention(table(t), &(struct heads){.tokens = 1 + i + (i > 70 ? 200 : 0),
                                                      .heads = 1 + sl_random_below(&dice, 4),
                                                      .width = widths[i % SL_COUNT_OF(widths)],
                                                      .members = 1 + sl_random_below(&dice, 3),
                                                      .scale = 1});
    }
}

Test(ops, attention_survives_large_scores)
{
    sl_random_seed(&dice, 6);
    for (uint32_t t = 0; t < TABLES; t++) {
        if (table(t) != NULL)
            check_attention(table(t), &(struct heads){37, 2, 8, 1, 1e3f});
    }
}

/* ---- layer norm ---------------------------------------------------------------------------- */

static void
check_norm(const struct sl_tensor_ops *ops, uint32_t rows, uint32_t width, bool has_residual)
{
    uint32_t stride = width + 3;
    float *x = draw((size_t)rows * stride, 4), *residual = draw((size_t)rows * stride, 4);
    float *gamma = draw(width, 1), *beta = draw(width, 1), *before = draw((size_t)rows * stride, 1);
    memcpy(before, x, (size_t)rows * stride * sizeof(float));
    for (uint32_t m = 0; m < 3; m++)
        ops->add_norm((struct sl_rows){x, rows, width, stride}, has_residual ? residual : NULL,
                      &(struct sl_norm){gamma, beta, 1e-5f}, (struct sl_part){m, 3});
    for (uint32_t r = 0; r < rows; r++) {
        double mean = 0, variance = 0;
        for (int pass = 0; pass < 3; pass++) {
            for (uint32_t i = 0; i < width; i++) {
                double v = (double)before[r * stride + i] +
                           (has_residual ? (double)residual[r * stride + i] : 0);
                mean += pass == 0 ? v / width : 0;
                variance += pass == 1 ? (v - mean) * (v - mean) / width : 0;
                double want =
                    (v - mean) / sqrt(variance + 1e-5) * (double)gamma[i] + (double)beta[i];
                if (pass == 2) /* One column has no variance: there it is all rounding. */
                    cr_assert_lt(fabs((double)x[r * stride + i] - want), width == 1 ? 1e-2 : 5e-5,
                                 "%s width %u", ops->name, width);
            }
        }
        for (uint32_t i = width; i < stride; i++)
            cr_assert_eq(x[r * stride + i], before[r * stride + i], "past the width");
    }
    float *all[] = {x, residual, gamma, beta, before};
    for (size_t i = 0; i < SL_COUNT_OF(all); i++)
        sl_free(all[i]);
}

Test(ops, norm_is_right_for_every_width)
{
    sl_random_seed(&dice, 7);
    for (uint32_t t = 0; t < TABLES; t++) {
        for (uint32_t width = 1; table(t) != NULL && width <= 80; width++)
            check_norm(table(t), 1 + width % 5, width, width % 3 != 0);
    }
}

Test(ops, converts_halves)
{
    const uint16_t f16[] = {0x3C00, 0xC000, 0x0001, 0x7BFF, 0x8000, 0x7C00, 0x3555};
    const float want[] = {1.0f, -2.0f, 0x1p-24f, 65504.0f, -0.0f, INFINITY, 0.33325195f};
    const uint16_t bf16[] = {0x3F80, 0xC000, 0x3EAB};
    float got[SL_COUNT_OF(f16)];
    sl_floats_from_f16(f16, SL_COUNT_OF(f16), got);
    for (size_t i = 0; i < SL_COUNT_OF(f16); i++)
        cr_expect_eq(got[i], want[i]);
    sl_floats_from_bf16(bf16, SL_COUNT_OF(bf16), got);
    cr_expect(got[0] == 1.0f && got[1] == -2.0f && fabsf(got[2] - 0.334f) < 0.001f);
}

/* The yardstick: what it measures must be the same product. */
Test(ops, blas_multiplies_what_linear_does)
{
    enum { M = 7, N = 5, K = 9 };
    struct sl_blas blas;
    const char *why = NULL;
    if (sl_blas_open(1, &blas, &why) != SL_OK)
        return; /* It is not needed to run. */
    sl_random_seed(&dice, 8);
    const struct sl_tensor_ops *ops = sl_tensor_ops_best();
    float *a = draw(M * K, 1), *b = draw(N * K, 1), c[M * N], d[M * N], zero[N] = {0};
    float *scratch = draw(ops->linear_scratch, 1);
    struct sl_gemm g = {a, b, c, M, N, K, K, K, N, true};
    sl_blas_gemm(&blas, &g);
    ops->linear((struct sl_rows){a, M, K, K}, &(struct sl_linear){b, zero}, false,
                (struct sl_rows){d, M, N, N}, (struct sl_part){0, 1}, scratch);
    for (int i = 0; i < M * N; i++)
        cr_assert_float_eq(c[i], d[i], 1e-5f);
    sl_free(a);
    sl_free(b);
    sl_free(scratch);
}
