/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/tensor/ops.h"

#include <criterion/criterion.h>
#include <math.h>

#include "extractors/tensor/blas.h"
#include "runtime/alloc.h"
#include "runtime/random.h"

enum { ROWS = 3, STRIDE = 80, CELLS = ROWS * STRIDE };

static float
random_float(struct sl_random *random, float scale)
{
    return ((float)sl_random_below(random, 1u << 24) / (1u << 24) - 0.5f) * 2 * scale;
}

static void
fill(struct sl_random *random, float *data, size_t count, float scale)
{
    for (size_t i = 0; i < count; i++)
        data[i] = random_float(random, scale);
}

struct operands {
    float x[CELLS], residual[CELLS], bias[STRIDE], gamma[STRIDE], beta[STRIDE];
};

static void
apply(const struct sl_row_ops *ops, int operation, struct operands *o, uint32_t width)
{
    struct sl_rows rows = {.data = o->x, .count = ROWS, .width = width, .stride = STRIDE};
    struct sl_norm norm = {.gamma = o->gamma, .beta = o->beta, .epsilon = 1e-12f};
    switch (operation) {
    case 0:
        ops->add_bias(rows, o->bias);
        break;
    case 1:
        ops->bias_gelu(rows, o->bias);
        break;
    case 2:
        ops->bias_norm(rows, o->bias, o->residual, &norm);
        break;
    case 3:
        ops->bias_norm(rows, NULL, NULL, &norm);
        break;
    default:
        ops->softmax(rows, 0.5f);
    }
}

Test(ops, avx2_agrees_with_portable_on_every_width)
{
    const struct sl_row_ops *avx2 = sl_row_ops_avx2();
    struct sl_random random;
    if (avx2 == NULL)
        return; /* Nothing to compare on this CPU. */
    sl_random_seed(&random, 3);
    for (uint32_t width = 1; width <= STRIDE; width++) {
        for (int operation = 0; operation < 5; operation++) {
            struct operands a, b;
            fill(&random, (float *)&a, sizeof(a) / sizeof(float), operation == 4 ? 40.0f : 4.0f);
            b = a;
            apply(sl_row_ops_portable(), operation, &a, width);
            apply(avx2, operation, &b, width);
            /* One column has no variance: there, a norm is all rounding. */
            float tolerance = operation == 2 || operation == 3 ? 2e-5f : 2e-6f;
            for (int i = 0; i < CELLS; i++) {
                if ((uint32_t)(i % STRIDE) >= width)
                    cr_assert_eq(a.x[i], b.x[i], "nothing is written past the width");
                else if (width > 1 || operation < 2 || operation == 4)
                    cr_assert_lt(fabsf(a.x[i] - b.x[i]), tolerance, "op %d width %u: %g and %g",
                                 operation, width, (double)a.x[i], (double)b.x[i]);
            }
        }
    }
}

Test(ops, softmax_survives_large_scores)
{
    const struct sl_row_ops *tables[2] = {sl_row_ops_portable(), sl_row_ops_best()};
    for (int i = 0; i < 2; i++) {
        float x[9] = {1e30f, 1e30f, -1e30f, 0, 0, 0, 0, 0, -INFINITY};
        tables[i]->softmax((struct sl_rows){x, 1, 9, 9}, 1.0f);
        cr_expect_float_eq(x[0], 0.5f, 1e-6f);
        cr_expect_float_eq(x[1], 0.5f, 1e-6f);
        cr_expect_float_eq(x[8], 0.0f, 1e-6f);
    }
}

Test(ops, gelu_is_the_exact_one)
{
    const struct sl_row_ops *ops = sl_row_ops_best();
    for (float v = -12; v < 12; v += 0.003f) {
        float x[1] = {v}, zero[1] = {0};
        double want = 0.5 * (double)v * (1 + erf((double)v / sqrt(2)));
        ops->bias_gelu((struct sl_rows){x, 1, 1, 1}, zero);
        cr_assert_lt(fabs((double)x[0] - want), 1e-6 * fmax(1, fabs(want)));
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

Test(ops, gemm_multiplies_with_strides_and_transposes)
{
    enum { M = 7, N = 5, K = 9, LD = 12 };
    struct sl_blas blas;
    const char *why = NULL;
    struct sl_random random;
    float a[M * LD], b[LD * LD], c[M * LD];
    cr_assert_eq(sl_blas_open(1, &blas, &why), SL_OK, "%s", why);
    sl_random_seed(&random, 4);
    fill(&random, a, M * LD, 1);
    fill(&random, b, LD * LD, 1);
    for (int is_transposed = 0; is_transposed < 2; is_transposed++) {
        struct sl_gemm g = {.a = a,
                            .b = b,
                            .c = c,
                            .m = M,
                            .n = N,
                            .k = K,
                            .lda = LD,
                            .ldb = LD,
                            .ldc = LD,
                            .is_b_transposed = is_transposed};
        memset(c, 0x7F, sizeof(c));
        sl_blas_gemm(&blas, &g);
        for (int i = 0; i < M; i++) {
            for (int j = 0; j < N; j++) {
                float want = 0;
                for (int k = 0; k < K; k++)
                    want += a[i * LD + k] * (is_transposed ? b[j * LD + k] : b[k * LD + j]);
                cr_assert_float_eq(c[i * LD + j], want, 1e-5f);
            }
        }
    }
}
