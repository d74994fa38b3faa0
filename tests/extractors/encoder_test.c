/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/encoder.h"

#include <criterion/criterion.h>
#include <math.h>

#include "runtime/alloc.h"

#include "golden/encoder.inc"

enum { TOKENS = SL_COUNT_OF(golden_tokens) };

/* The numbers that golden/encoder.py draws, in its order. */
struct model {
    uint32_t state;
    float *memory;
    size_t used;
    struct sl_encoder_layer layers[LAYERS];
    struct sl_encoder_weights weights;
};

static const float *
draw(struct model *m, size_t count, float scale, float base)
{
    float *to = m->memory + m->used;
    for (size_t i = 0; i < count; i++) {
        m->state = m->state * 1664525u + 1013904223u;
        to[i] = base + ((float)(m->state >> 16) / 65536 - 0.5f) * scale;
    }
    m->used += count;
    return to;
}

static struct sl_norm
draw_norm(struct model *m)
{
    const float *gamma = draw(m, HIDDEN, 0.5f, 1.0f);
    return (struct sl_norm){.gamma = gamma, .beta = draw(m, HIDDEN, 0.5f, 0), .epsilon = 1e-12f};
}

static struct sl_linear
draw_linear(struct model *m, size_t rows, size_t columns)
{
    const float *weight = draw(m, rows * columns, 1, 0);
    return (struct sl_linear){.weight = weight, .bias = draw(m, rows, 0.5f, 0)};
}

static void
model_init(struct model *m)
{
    *m = (struct model){.state = 12345};
    m->memory = sl_alloc(1 << 20);
    struct sl_encoder_weights *w = &m->weights;
    w->dims = (struct sl_encoder_dims){HIDDEN, LAYERS, HEADS, WIDE, VOCAB, POSITIONS};
    w->word_embeddings = draw(m, VOCAB * HIDDEN, 1, 0);
    w->position_embeddings = draw(m, POSITIONS * HIDDEN, 1, 0);
    w->type_embeddings = draw(m, HIDDEN, 1, 0);
    w->embeddings_norm = draw_norm(m);
    for (int i = 0; i < LAYERS; i++) {
        struct sl_encoder_layer *l = &m->layers[i];
        l->query = draw_linear(m, HIDDEN, HIDDEN);
        l->key = draw_linear(m, HIDDEN, HIDDEN);
        l->value = draw_linear(m, HIDDEN, HIDDEN);
        l->attention_output = draw_linear(m, HIDDEN, HIDDEN);
        l->attention_norm = draw_norm(m);
        l->intermediate = draw_linear(m, WIDE, HIDDEN);
        l->output = draw_linear(m, HIDDEN, WIDE);
        l->output_norm = draw_norm(m);
    }
    w->layers = m->layers;
}

static double
error_of(const float *got, const float *want, size_t count)
{
    double error = 0;
    for (size_t i = 0; i < count; i++)
        error = fmax(error, isnan(got[i]) ? INFINITY : fabs((double)got[i] - (double)want[i]));
    return error;
}

static double
golden_error(struct model *m, const struct sl_encoder_options *options, const float *want)
{
    float vectors[TEXTS * HIDDEN];
    struct sl_encoder *e = sl_encoder_create(&m->weights, options);
    struct sl_encoder_batch batch = {TEXTS, golden_sizes, golden_tokens, vectors, NULL, NULL};
    double error = 0;
    for (int round = 0; round < 2; round++) { /* The second uses the memory of the first. */
        memset(vectors, 0x7F, sizeof(vectors));
        cr_assert_eq(sl_encoder_encode(e, &batch), SL_OK);
        error = fmax(error, error_of(vectors, want, TEXTS * HIDDEN));
    }
    sl_encoder_destroy(&e);
    return error;
}

Test(encoder, agrees_with_the_reference_with_any_kernels_and_threads)
{
    struct model m;
    model_init(&m);
    const struct sl_tensor_ops *tables[2] = {sl_tensor_ops_portable(), sl_tensor_ops_best()};
    for (uint32_t i = 0; i < 8; i++) {
        struct sl_encoder_options options = {.threads = 1 + i / 4,
                                             .tokens_per_pass_max = i / 2 % 2 ? 1 : 0,
                                             .is_normalized = true,
                                             .ops = tables[i % 2]};
        double error = golden_error(&m, &options, golden_means);
        cr_expect_leq(error, 1e-5, "variant %u is off by %g", i, error);
        options.pools_first_token = true;
        options.is_normalized = false;
        error = golden_error(&m, &options, golden_firsts);
        cr_expect_leq(error, 1e-4, "variant %u is off by %g", i, error);
    }
    sl_free(m.memory);
}

Test(encoder, a_large_batch_on_many_threads_gives_each_text_its_own_vector)
{
    enum { COPIES = 60 };
    struct model m;
    model_init(&m);
    struct sl_encoder_options options = {.threads = 3, .is_normalized = true};
    struct sl_encoder *e = sl_encoder_create(&m.weights, &options);
    uint32_t *sizes = sl_alloc(COPIES * sizeof(golden_sizes));
    uint32_t *tokens = sl_alloc(COPIES * sizeof(golden_tokens));
    float *vectors = sl_zalloc(COPIES * sizeof(golden_means));
    for (size_t i = 0; i < COPIES; i++) {
        memcpy(sizes + i * TEXTS, golden_sizes, sizeof(golden_sizes));
        memcpy(tokens + i * TOKENS, golden_tokens, sizeof(golden_tokens));
    }
    struct sl_encoder_batch batch = {COPIES * TEXTS, sizes, tokens, vectors, NULL, NULL};
    cr_assert_eq(sl_encoder_encode(e, &batch), SL_OK);
    for (size_t i = 0; i < COPIES; i++)
        cr_expect_leq(error_of(vectors + i * TEXTS * HIDDEN, golden_means, TEXTS * HIDDEN), 1e-5);
    sl_encoder_destroy(&e);
    sl_free(sizes);
    sl_free(tokens);
    sl_free(vectors);
    sl_free(m.memory);
}

static bool
cancel_at_third(void *self)
{
    return ++*(int *)self == 3;
}

Test(encoder, stops_between_layers_when_cancelled)
{
    struct model m;
    model_init(&m);
    int asked = 0;
    float vectors[TEXTS * HIDDEN];
    struct sl_encoder_options options = {.threads = 1};
    struct sl_encoder *e = sl_encoder_create(&m.weights, &options);
    struct sl_encoder_batch batch = {TEXTS,   golden_sizes,    golden_tokens,
                                     vectors, cancel_at_third, &asked};
    cr_expect_eq(sl_encoder_encode(e, &batch), SL_ECANCELED);
    cr_expect_eq(asked, 3);
    cr_expect_eq(sl_encoder_encode(e, &batch), SL_OK, "and can be used again");
    sl_encoder_destroy(&e);
    sl_free(m.memory);
}

Test(encoder, refuses_tokens_and_sizes_out_of_range)
{
    struct model m;
    model_init(&m);
    float vectors[HIDDEN];
    uint32_t tokens[POSITIONS + 1] = {VOCAB}, size = 1;
    struct sl_encoder_options options = {.threads = 1};
    struct sl_encoder *e = sl_encoder_create(&m.weights, &options);
    struct sl_encoder_batch batch = {1, &size, tokens, vectors, NULL, NULL};
    cr_expect_eq(sl_encoder_encode(e, &batch), SL_EINVAL);
    tokens[0] = 0;
    cr_expect_eq(sl_encoder_encode(e, &batch), SL_OK);
    size = POSITIONS + 1;
    cr_expect_eq(sl_encoder_encode(e, &batch), SL_EINVAL);
    size = 0;
    cr_expect_eq(sl_encoder_encode(e, &batch), SL_EINVAL);
    batch.count = 0;
    cr_expect_eq(sl_encoder_encode(e, &batch), SL_OK, "nothing to do");
    sl_encoder_destroy(&e);
    sl_free(m.memory);
}
