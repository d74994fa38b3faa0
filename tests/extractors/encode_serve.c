/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/extractors/encode_serve.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/time.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define QUERY_TOKENS 32
#define QUERIES      51
#define SHOWN        16
#define FMA_ROUNDS   2000000

struct set {
    struct sl_encoder_model *m;
    struct sl_slice *texts;
    uint32_t *sizes, *tokens;
    float *vectors;
    uint32_t count;
};

static double
since_s(uint64_t start_ns)
{
    return (double)(sl_time_mono_ns() - start_ns) / 1e9;
}

static uint32_t
tokenize(struct set *s)
{
    uint32_t used = 0, max = s->m->layout->shape.tokens_count_max;
    for (uint32_t i = 0; i < s->count; i++) {
        s->sizes[i] = sl_wordpiece_encode(s->m->tokenizer, s->texts[i], s->tokens + used, max);
        used += s->sizes[i];
    }
    return used;
}

static bool
encode(struct set *s)
{
    struct sl_encoder_batch batch = {s->count, s->sizes, s->tokens, s->vectors, NULL, NULL};
    return sl_encoder_encode(s->m->encoder, &batch) == SL_OK;
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median time of one text of QUERY_TOKENS tokens. */
static double
time_query(struct set *s)
{
    uint32_t tokens[QUERY_TOKENS], size = QUERY_TOKENS;
    double times[QUERIES];
    float *vector = sl_zalloc(s->m->layout->shape.hidden_size * sizeof(*vector));
    for (uint32_t i = 0; i < QUERY_TOKENS; i++)
        tokens[i] = 1000 + i * 37;
    struct sl_encoder_batch batch = {1, &size, tokens, vector, NULL, NULL};
    for (int i = 0; i < QUERIES; i++) {
        uint64_t start_ns = sl_time_mono_ns();
        if (sl_encoder_encode(s->m->encoder, &batch) != SL_OK)
            return 0;
        times[i] = since_s(start_ns);
    }
    qsort(times, QUERIES, sizeof(*times), by_value);
    sl_free(vector);
    return times[QUERIES / 2];
}

static double
query_flop(const struct set *s)
{
    const struct sl_bert_shape *shape = &s->m->layout->shape;
    double h = shape->hidden_size, wide = shape->intermediate_size;
    return QUERY_TOKENS * shape->layers_count *
           (2 * (4 * h * h + 2 * h * wide) + 4.0 * QUERY_TOKENS * h);
}

#if defined(__x86_64__)
/* Twelve chains hide the latency of the two units; each must stay in a register. */
#define CHAINS(_) _(0) _(1) _(2) _(3) _(4) _(5) _(6) _(7) _(8) _(9) _(10) _(11)
#define START(k)  __m256 s##k = _mm256_set1_ps(k);
#define STEP(k)   s##k = _mm256_fmadd_ps(s##k, a, b);
#define ADD(k)    sum = _mm256_add_ps(sum, s##k);

__attribute__((target("avx2,fma"))) static double
fma_rate(void)
{
    __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(1e-6f), sum = _mm256_setzero_ps();
    float out[8], total = 0;
    CHAINS(START)
    uint64_t start_ns = sl_time_mono_ns();
    for (int i = 0; i < FMA_ROUNDS; i++) {
        CHAINS(STEP)
    }
    double s = since_s(start_ns);
    CHAINS(ADD)
    _mm256_storeu_ps(out, sum);
    for (int k = 0; k < 8; k++)
        total += out[k];
    return total == 12345.0f ? 0 : 12.0 * 8 * 2 * FMA_ROUNDS / s / 1e9;
}
#else
static double
fma_rate(void)
{
    return 0;
}
#endif

static double
best_fma_rate(void)
{
    double best = 0;
    for (int i = 0; i < 5; i++)
        best = SL_MAX(best, fma_rate());
    return best;
}

static void
answer(struct set *s, const char *line)
{
    uint64_t start_ns = sl_time_mono_ns();
    if (strcmp(line, "tokenize\n") == 0) {
        uint32_t ids = tokenize(s);
        printf("%.9f %u\n", since_s(start_ns), ids);
    } else if (strcmp(line, "encode\n") == 0) {
        bool is_ok = encode(s);
        printf("%s %.9f\n", is_ok ? "ok" : "failed", since_s(start_ns));
    } else if (strcmp(line, "query\n") == 0) {
        double seconds = time_query(s);
        printf("%.9f %.0f\n", seconds, query_flop(s));
    } else if (strcmp(line, "peak\n") == 0) {
        printf("%.3f\n", best_fma_rate());
    } else {
        size_t floats = (size_t)SL_MIN(s->count, (uint32_t)SHOWN) * s->m->layout->shape.hidden_size;
        (void)fwrite(s->vectors, sizeof(float), floats, stdout);
    }
    (void)fflush(stdout);
}

int
encode_serve(struct sl_encoder_model *m, struct sl_slice texts)
{
    struct set s = {.m = m};
    uint32_t max = m->layout->shape.tokens_count_max, capacity = 1;
    char line[64];
    for (size_t i = 0; i < texts.size; i++)
        capacity += texts.data[i] == '\0';
    s.texts = sl_zalloc(capacity * sizeof(*s.texts));
    for (size_t at = 0; at < texts.size;) {
        const uint8_t *end = memchr(texts.data + at, 0, texts.size - at);
        size_t size = end == NULL ? texts.size - at : (size_t)(end - texts.data) - at;
        s.texts[s.count++] = sl_slice(texts.data + at, size);
        at += size + 1;
    }
    s.sizes = sl_zalloc(capacity * sizeof(*s.sizes));
    s.tokens = sl_zalloc((size_t)capacity * max * sizeof(*s.tokens));
    s.vectors = sl_zalloc((size_t)capacity * m->layout->shape.hidden_size * sizeof(*s.vectors));
    (void)tokenize(&s);
    while (fgets(line, sizeof(line), stdin) != NULL)
        answer(&s, line);
    sl_free(s.texts);
    sl_free(s.sizes);
    sl_free(s.tokens);
    sl_free(s.vectors);
    return 0;
}
