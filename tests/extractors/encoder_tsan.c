/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that share one pass, and threads that take one each, under ThreadSanitizer; the vectors
 * must be those of one thread. */
#include "extractors/encoder.h"

#include <math.h>
#include <stdio.h>

#include "runtime/alloc.h"
#include "runtime/random.h"

enum { HIDDEN = 32, WIDE = 96, HEADS = 4, VOCAB = 50, POSITIONS = 40, TEXTS = 60 };

static struct sl_random dice;

static const float *
draw(float **at, size_t count, float base)
{
    float *from = *at;
    for (size_t i = 0; i < count; i++)
        from[i] = base + (float)sl_random_below(&dice, 1000) / 1000 - 0.5f;
    *at += count;
    return from;
}

static struct sl_linear
draw_linear(float **at, uint32_t out, uint32_t in)
{
    const float *weight = draw(at, (size_t)out * in, 0);
    return (struct sl_linear){weight, draw(at, out, 0)};
}

static struct sl_norm
draw_norm(float **at)
{
    const float *gamma = draw(at, HIDDEN, 1);
    return (struct sl_norm){gamma, draw(at, HIDDEN, 0), 1e-12f};
}

static void
encode(const struct sl_encoder_weights *w, uint32_t threads, uint32_t count, const uint32_t *sizes,
       const uint32_t *tokens, float *vectors)
{
    struct sl_encoder_options options = {.threads = threads, .tokens_per_pass_max = 1};
    struct sl_encoder *e = sl_encoder_create(w, &options);
    struct sl_encoder_batch batch = {count, sizes, tokens, vectors, NULL, NULL};
    enum sl_err err = sl_encoder_encode(e, &batch);
    sl_assert(err == SL_OK);
    sl_encoder_destroy(&e);
}

int
main(void)
{
    uint32_t sizes[TEXTS], tokens[TEXTS * POSITIONS];
    static float memory[1 << 16], alone[TEXTS * HIDDEN], shared[TEXTS * HIDDEN];
    float *at = memory;
    sl_random_seed(&dice, 9);
    struct sl_encoder_layer layer = {.query = draw_linear(&at, HIDDEN, HIDDEN),
                                     .key = draw_linear(&at, HIDDEN, HIDDEN),
                                     .value = draw_linear(&at, HIDDEN, HIDDEN),
                                     .attention_output = draw_linear(&at, HIDDEN, HIDDEN),
                                     .attention_norm = draw_norm(&at),
                                     .intermediate = draw_linear(&at, WIDE, HIDDEN),
                                     .output = draw_linear(&at, HIDDEN, WIDE),
                                     .output_norm = draw_norm(&at)};
    struct sl_encoder_weights w = {.dims = {HIDDEN, 1, HEADS, WIDE, VOCAB, POSITIONS},
                                   .word_embeddings = draw(&at, VOCAB * HIDDEN, 0),
                                   .position_embeddings = draw(&at, POSITIONS * HIDDEN, 0),
                                   .type_embeddings = draw(&at, HIDDEN, 0),
                                   .embeddings_norm = draw_norm(&at),
                                   .layers = &layer};
    for (uint32_t i = 0; i < TEXTS; i++)
        sizes[i] = 1 + (uint32_t)sl_random_below(&dice, POSITIONS);
    for (uint32_t i = 0; i < TEXTS * POSITIONS; i++)
        tokens[i] = (uint32_t)sl_random_below(&dice, VOCAB);
    const uint32_t counts[] = {1, TEXTS}; /* One pass, and many. */
    for (size_t c = 0; c < SL_COUNT_OF(counts); c++) {
        encode(&w, 1, counts[c], sizes, tokens, alone);
        encode(&w, 3, counts[c], sizes, tokens, shared);
        for (uint32_t i = 0; i < counts[c] * HIDDEN; i++)
            sl_assert(fabsf(alone[i] - shared[i]) < 1e-4f);
    }
    puts("ok - threads share passes and agree");
    return 0;
}
