/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode_tool - run a model's encoder by itself, for minilm_check and for profiling.
 *
 *   encode-tool DIRECTORY THREADS < texts     texts end in NUL; writes u32 count, ids, floats each
 *   encode-tool DIRECTORY THREADS FILE   the same texts again and again: encode_serve.h
 *   encode-tool DIRECTORY THREADS TEXTS TOKENS   time it: TEXTS texts of TOKENS tokens
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "extractors/encoder_model.h"
#include "extractors/tensor/blas.h"
#include "runtime/alloc.h"
#include "runtime/time.h"
#include "tests/extractors/encode_serve.h"

static int
fail(const char *what, const struct sl_cause *cause)
{
    fprintf(stderr, "encode-tool: %s: %s\n", what, cause->text);
    return 1;
}

static void
read_all(int fd, struct sl_buf *b)
{
    char chunk[4096];
    ssize_t size;
    while ((size = read(fd, chunk, sizeof(chunk))) > 0)
        sl_buf_append(b, chunk, (size_t)size);
}

static int
encode_texts(struct sl_encoder_model *m)
{
    struct sl_buf input = {0};
    uint32_t hidden = m->layout->shape.hidden_size, max = m->layout->shape.tokens_count_max;
    uint32_t *tokens = NULL, *sizes = NULL, count = 0, used = 0;
    read_all(STDIN_FILENO, &input);
    for (size_t at = 0; at < input.size; count++) {
        const uint8_t *end = memchr(input.data + at, 0, input.size - at);
        size_t size = end == NULL ? input.size - at : (size_t)(end - input.data) - at;
        tokens = sl_realloc(tokens, (used + max) * sizeof(*tokens));
        sizes = sl_realloc(sizes, (count + 1) * sizeof(*sizes));
        sizes[count] =
            sl_wordpiece_encode(m->tokenizer, sl_slice(input.data + at, size), tokens + used, max);
        used += sizes[count];
        at += size + 1;
    }
    float *vectors = sl_zalloc(((size_t)count * hidden + 1) * sizeof(*vectors));
    struct sl_encoder_batch batch = {count, sizes, tokens, vectors, NULL, NULL};
    if (sl_encoder_encode(m->encoder, &batch) != SL_OK)
        return 1;
    for (uint32_t i = 0, at = 0; i < count; at += sizes[i++]) {
        fwrite(&sizes[i], sizeof(sizes[i]), 1, stdout);
        fwrite(tokens + at, sizeof(*tokens), sizes[i], stdout);
        fwrite(vectors + (size_t)i * hidden, sizeof(*vectors), hidden, stdout);
    }
    sl_free(tokens);
    sl_free(sizes);
    sl_free(vectors);
    sl_buf_deinit(&input);
    return 0;
}

/* GFLOP/s of one matrix product as the feed-forward part has it, run by `threads` inside BLAS. */
static double
gemm_rate(const struct sl_bert_shape *s, uint32_t threads)
{
    enum { ROWS = 1024, ROUNDS = 30 };
    struct sl_blas blas;
    const char *why;
    if (sl_blas_open(threads, &blas, &why) != SL_OK)
        return 0;
    uint32_t n = s->intermediate_size, k = s->hidden_size;
    float *memory = sl_zalloc(((size_t)ROWS * (n + k) + (size_t)n * k) * sizeof(float));
    struct sl_gemm g = {.a = memory,
                        .b = memory + (size_t)ROWS * k,
                        .m = ROWS,
                        .n = n,
                        .k = k,
                        .lda = k,
                        .ldb = k,
                        .ldc = n,
                        .is_b_transposed = true};
    g.c = memory + (size_t)ROWS * k + (size_t)n * k;
    double best = 0;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t start = sl_time_mono_ns();
        sl_blas_gemm(&blas, &g);
        best = SL_MAX(best, 2.0 * ROWS * n * k / (double)(sl_time_mono_ns() - start));
    }
    sl_free(memory);
    return best;
}

static int
measure(struct sl_encoder_model *m, uint32_t threads, uint32_t count, uint32_t size)
{
    const struct sl_bert_shape *s = &m->layout->shape;
    uint32_t *tokens = sl_zalloc((size_t)count * size * sizeof(*tokens));
    uint32_t *sizes = sl_zalloc(count * sizeof(*sizes));
    float *vectors = sl_zalloc((size_t)count * s->hidden_size * sizeof(*vectors));
    for (uint32_t i = 0; i < count * size; i++)
        tokens[i] = i * 7919u % s->vocab_size;
    for (uint32_t i = 0; i < count; i++)
        sizes[i] = size;
    struct sl_encoder_batch batch = {count, sizes, tokens, vectors, NULL, NULL};
    double best = 1e30;
    for (int i = 0; i < 7; i++) {
        uint64_t start = sl_time_mono_ns();
        if (sl_encoder_encode(m->encoder, &batch) != SL_OK)
            return 1;
        best = SL_MIN(best, (double)(sl_time_mono_ns() - start) / 1e9);
    }
    double h = s->hidden_size, wide = s->intermediate_size;
    double flop_token = s->layers_count * (2 * (4 * h * h + 2 * h * wide) + 4.0 * size * h);
    double rate = flop_token * count * size / best / 1e9, peak = gemm_rate(s, threads);
    printf("threads=%u texts=%u tokens=%u texts_per_s=%.1f gflops=%.1f sgemm_gflops=%.1f "
           "peak_fraction=%.3f\n",
           threads, count, size, count / best, rate, peak, rate / peak);
    sl_free(tokens);
    sl_free(sizes);
    sl_free(vectors);
    return 0;
}

int
main(int argc, char **argv)
{
    struct sl_cause cause = {0};
    struct sl_model *model = NULL;
    struct sl_encoder_model m;
    int fd = -1, directory = argc < 3 ? -1 : open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        fprintf(stderr, "usage: encode-tool DIRECTORY THREADS [FILE | TEXTS TOKENS]\n");
        return 2;
    }
    uint32_t threads = (uint32_t)atoi(argv[2]);
    if (sl_model_build(directory, NULL, &fd, &cause) != SL_OK)
        return fail("build", &cause);
    if (sl_model_attach(fd, &model, &cause) != SL_OK)
        return fail("attach", &cause);
    uint64_t start = sl_time_mono_ns();
    if (sl_encoder_model_init(&m, model, threads, &cause) != SL_OK)
        return fail("open", &cause);
    fprintf(stderr, "open: %.1f ms\n", (double)(sl_time_mono_ns() - start) / 1e6);
    int rc = 1;
    if (argc == 4) {
        struct sl_buf texts = {0};
        int texts_fd = open(argv[3], O_RDONLY | O_CLOEXEC);
        if (texts_fd >= 0)
            read_all(texts_fd, &texts);
        rc = encode_serve(&m, sl_buf_slice(&texts));
        sl_buf_deinit(&texts);
        close(texts_fd);
    } else if (argc < 4) {
        rc = encode_texts(&m);
    } else {
        rc = measure(&m, threads, (uint32_t)atoi(argv[3]), (uint32_t)atoi(argv[4]));
    }
    sl_encoder_model_deinit(&m);
    sl_model_destroy(&model);
    close(fd);
    close(directory);
    return rc;
}
