/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `encoder`: texts through the encoder that text_extractor uses, and what of the
 * machine's plain sgemm rate its arithmetic reaches, in alternating slices of one run. The weights
 * are seeded, of MiniLM-L6's shape: speed does not depend on their values.
 *
 * sgemm is measured in a process of its own, because the number of BLAS's threads belongs to a
 * process, and the encoder sets its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "extractors/encoder_model.h"
#include "extractors/tensor/blas.h"
#include "gateway/bench.h"
#include "gateway/bench/encoder.h"
#include "gateway/bench/model.h"
#include "runtime/alloc.h"
#include "runtime/random.h"
#include "runtime/time.h"

#define TEXTS      128u
#define QUICK      32u
#define CHECKED    2u
#define TOKENS_MIN 8u
#define TOKENS_MAX 160u
#define SLICES     10u
#define PEAK_NS    (200 * SL_MILLI_NS)
#define PEAK_ROWS  1024u

/* ---- the machine's rate -------------------------------------------------------------------- */

struct peak {
    pid_t pid;
    int ask_fd, answer_fd;
};

/* The feed-forward product of the encoder over many rows, GFLOP/s: the best round of a slice. */
static double
time_sgemm(const struct sl_blas *blas, float *memory)
{
    const uint32_t n = 1536, k = 384;
    struct sl_gemm g = {.a = memory,
                        .b = memory + PEAK_ROWS * k,
                        .c = memory + PEAK_ROWS * k + n * k,
                        .m = PEAK_ROWS,
                        .n = n,
                        .k = k,
                        .lda = k,
                        .ldb = k,
                        .ldc = n,
                        .is_b_transposed = true};
    double best = 0;
    uint64_t until_ns = sl_time_mono_ns() + PEAK_NS;
    while (sl_time_mono_ns() < until_ns) {
        uint64_t start_ns = sl_time_mono_ns();
        sl_blas_gemm(blas, &g);
        best = SL_MAX(best, 2.0 * PEAK_ROWS * n * k / (double)(sl_time_mono_ns() - start_ns));
    }
    return best;
}

SL_NORETURN static void
be_peak(int ask_fd, int answer_fd)
{
    struct sl_blas blas;
    const char *why;
    char byte;
    size_t count = (size_t)PEAK_ROWS * (384 + 1536) + 384 * 1536;
    float *memory = sl_alloc(count * sizeof(float));
    for (size_t i = 0; i < count; i++)
        memory[i] = (float)(i % 97) / 97.0f;
    if (sl_blas_open(sl_encoder_threads_default(), &blas, &why) != SL_OK)
        _exit(1);
    while (read(ask_fd, &byte, 1) == 1) {
        double rate = time_sgemm(&blas, memory);
        if (write(answer_fd, &rate, sizeof(rate)) != sizeof(rate))
            break;
    }
    _exit(0);
}

static bool
open_peak(struct peak *p)
{
    int ask[2], answer[2];
    if (pipe2(ask, O_CLOEXEC) != 0 || pipe2(answer, O_CLOEXEC) != 0)
        return sl_bench_fail("pipe: %s", strerror(errno));
    p->pid = fork();
    if (p->pid == 0) {
        (void)close(ask[1]); /* Else it would never see the end of its input. */
        be_peak(ask[0], answer[1]);
    }
    (void)close(ask[0]);
    (void)close(answer[1]);
    p->ask_fd = ask[1];
    p->answer_fd = answer[0];
    return p->pid > 0 || sl_bench_fail("fork: %s", strerror(errno));
}

static bool
ask_peak(const struct peak *p, double *ret_gflops)
{
    return (write(p->ask_fd, "", 1) == 1 &&
            read(p->answer_fd, ret_gflops, sizeof(*ret_gflops)) == sizeof(*ret_gflops)) ||
           sl_bench_fail("sgemm cannot be measured: libopenblas.so.0 does not load");
}

static void
close_peak(struct peak *p)
{
    if (p->pid <= 0)
        return;
    (void)close(p->ask_fd);
    (void)close(p->answer_fd);
    (void)waitpid(p->pid, NULL, 0);
}

/* ---- texts --------------------------------------------------------------------------------- */

struct texts {
    uint32_t count;
    uint32_t sizes[TEXTS];
    uint32_t *tokens;
    float *vectors;
    double flop;
};

/* Of all lengths, the short ones more often, as chunks of documents are. */
static void
make_texts(const struct sl_bert_shape *shape, struct texts *ret_texts)
{
    struct sl_random random;
    uint32_t used = 0;
    double h = shape->hidden_size, wide = shape->intermediate_size;
    sl_random_seed(&random, 3);
    ret_texts->tokens = sl_alloc((size_t)TEXTS * TOKENS_MAX * sizeof(uint32_t));
    ret_texts->vectors = sl_zalloc((size_t)TEXTS * shape->hidden_size * sizeof(float));
    ret_texts->flop = 0;
    for (uint32_t i = 0; i < ret_texts->count; i++) {
        uint64_t longest = 1 + sl_random_below(&random, TOKENS_MAX - TOKENS_MIN);
        uint32_t size = TOKENS_MIN + (uint32_t)sl_random_below(&random, longest);
        ret_texts->sizes[i] = size;
        for (uint32_t k = 0; k < size; k++)
            ret_texts->tokens[used++] = (uint32_t)sl_random_below(&random, shape->vocab_size);
        ret_texts->flop +=
            size * (double)shape->layers_count * (2 * (4 * h * h + 2 * h * wide) + 4 * size * h);
    }
}

static bool
encode(struct sl_encoder_model *m, struct texts *t, double *ret_s)
{
    struct sl_encoder_batch batch = {
        .count = t->count, .sizes = t->sizes, .tokens = t->tokens, .ret_vectors = t->vectors};
    uint64_t start_ns = sl_time_mono_ns();
    enum sl_err err = sl_encoder_encode(m->encoder, &batch);
    *ret_s = (double)(sl_time_mono_ns() - start_ns) / 1e9;
    return err == SL_OK || sl_bench_fail("the encoder failed: %s", sl_err_text(err));
}

/* Against the plain double-precision pass, over the first few texts. */
static double
max_error(const struct sl_encoder_model *m, const struct texts *t)
{
    const struct sl_bert_shape *shape = &m->layout->shape;
    double *want = sl_alloc(shape->hidden_size * sizeof(*want)), error = 0;
    const uint32_t *tokens = t->tokens;
    for (uint32_t i = 0; i < CHECKED; tokens += t->sizes[i++]) {
        sl_bench_reference(m->layout, tokens, t->sizes[i], want);
        for (uint32_t k = 0; k < shape->hidden_size; k++)
            error =
                fmax(error, fabs(want[k] - (double)t->vectors[(size_t)i * shape->hidden_size + k]));
    }
    sl_free(want);
    return error;
}

/* ---- the suite ----------------------------------------------------------------------------- */

static bool
run_slices(const struct sl_bench *bench, struct sl_encoder_model *m, const struct peak *peak)
{
    double rates[SLICES], fractions[SLICES], s = 0, gflops = 0;
    struct texts t = {.count = bench->is_quick ? QUICK : TEXTS};
    make_texts(&m->layout->shape, &t);
    bool is_ok = encode(m, &t, &s); /* Warm. */
    for (uint32_t i = 0; is_ok && i < SLICES; i++) {
        is_ok = encode(m, &t, &s) && ask_peak(peak, &gflops);
        rates[i] = t.count / s;
        fractions[i] = t.flop / s / 1e9 / gflops;
    }
    if (is_ok) {
        struct sl_bench_figure figures[] = {
            {"encoder.minilm.fp32.texts_per_s", "1/s", SL_BENCH_NO_GOAL, 0,
             sl_bench_median(rates, SLICES), SL_BENCH_MODEL_NOTE ", 8 to 160 tokens"},
            {"encoder.minilm.peak_fraction", "of sgemm", SL_BENCH_NO_GOAL, 0,
             sl_bench_median(fractions, SLICES), SL_BENCH_MODEL_NOTE},
            {"encoder.minilm.fp32.max_error", "abs", SL_BENCH_AT_MOST, 1e-4, max_error(m, &t),
             SL_BENCH_MODEL_NOTE}};
        for (size_t i = 0; i < SL_COUNT_OF(figures); i++)
            sl_bench_show(bench, &figures[i]);
    }
    sl_free(t.tokens);
    sl_free(t.vectors);
    return is_ok;
}

bool
sl_bench_encoder(const struct sl_bench *bench)
{
    struct peak peak = {0};
    struct sl_cause cause = {0};
    struct sl_model *model = NULL;
    struct sl_encoder_model m = {0};
    double build_ms;
    bool is_ok = open_peak(&peak);
    int fd = is_ok ? sl_bench_model_build(bench, &build_ms) : -1;
    is_ok = fd >= 0;
    if (is_ok && (sl_model_attach(fd, &model, &cause) != SL_OK ||
                  sl_encoder_model_init(&m, model, 0, &cause) != SL_OK))
        is_ok = sl_bench_fail("the encoder does not open: %s", cause.text);
    is_ok = is_ok && run_slices(bench, &m, &peak);
    sl_encoder_model_deinit(&m);
    sl_model_destroy(&model);
    if (fd >= 0)
        (void)close(fd);
    close_peak(&peak);
    return is_ok;
}
