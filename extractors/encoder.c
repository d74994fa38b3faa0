/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/encoder.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "runtime/alloc.h"

#define ENCODER_MAGIC       0x454E4344u
#define THREADS_MAX         64u
#define PASS_TOKENS_DEFAULT 1024u
/* Below this many rows the matrix product loses more than a second thread gives. */
#define PASS_TOKENS_MIN 128u
#define ALIGNMENT       64u

/* Working memory of one pass. The four inputs of attention and the wide rows of the feed-forward
 * part are never alive together and share `wide`. */
struct arena {
    void *memory;
    size_t floats_count;
    float *x, *y, *wide, *scores;
};

/* Texts of one pass: [first, first + count) of the order. */
struct pass {
    uint32_t first, count;
    uint32_t tokens_count;
    uint32_t size_max; /* Of its longest text. */
};

struct sl_encoder {
    uint32_t magic;
    struct sl_encoder_weights w;
    struct sl_encoder_options options;
    struct sl_blas blas;
    struct arena arenas[THREADS_MAX];
};

/* One call of encode, shared by its threads. */
struct run {
    struct sl_encoder *e;
    const struct sl_encoder_batch *batch;
    uint32_t *order;   /* Texts, longest first. */
    uint32_t *offsets; /* First token of each text. */
    struct pass *passes;
    uint32_t passes_count;
    atomic_uint next_pass;
    atomic_uint next_arena;
    atomic_bool is_cancelled;
};

/* What one pass works with. */
struct work {
    struct run *run;
    const struct pass *pass;
    struct arena *arena;
    bool asks; /* This thread is the caller's, so it asks whether to go on. */
};

struct sl_encoder *
sl_encoder_create(const struct sl_encoder_weights *weights,
                  const struct sl_encoder_options *options, const struct sl_blas *blas)
{
    const struct sl_encoder_dims *d = &weights->dims;
    sl_assert(d->heads_count > 0 && d->hidden_size % d->heads_count == 0);
    sl_assert(d->positions_count > 0 && d->vocab_size > 0);
    struct sl_encoder *e = sl_zalloc(sizeof(*e));
    e->magic = ENCODER_MAGIC;
    e->w = *weights;
    e->options = *options;
    e->blas = *blas;
    if (e->options.threads == 0)
        e->options.threads = sl_blas_threads_default();
    e->options.threads = SL_MIN(e->options.threads, THREADS_MAX);
    if (e->options.tokens_per_pass_max == 0)
        e->options.tokens_per_pass_max = PASS_TOKENS_DEFAULT;
    e->options.tokens_per_pass_max = SL_MAX(e->options.tokens_per_pass_max, d->positions_count);
    if (e->options.ops == NULL)
        e->options.ops = sl_row_ops_best();
    return e;
}

void
sl_encoder_destroy(struct sl_encoder **encoder)
{
    struct sl_encoder *e = *encoder;
    *encoder = NULL;
    if (e == NULL)
        return;
    sl_assert(e->magic == ENCODER_MAGIC);
    for (uint32_t i = 0; i < THREADS_MAX; i++)
        sl_free(e->arenas[i].memory);
    e->magic = 0;
    sl_free(e);
}

static float *
carve(float **at, size_t count)
{
    float *piece = *at;
    *at += (count + 15) & ~(size_t)15;
    return piece;
}

/* Make room for a pass; the memory only grows. */
static void
arena_fit(struct arena *a, const struct sl_encoder_dims *d, const struct pass *pass)
{
    size_t rows = (size_t)pass->tokens_count * d->hidden_size;
    size_t wide =
        (size_t)pass->tokens_count * SL_MAX(4 * (size_t)d->hidden_size, d->intermediate_size);
    size_t scores = (size_t)pass->size_max * pass->size_max;
    size_t floats_count = 2 * rows + wide + scores + 5 * ALIGNMENT;
    if (floats_count > a->floats_count) {
        sl_free(a->memory);
        a->memory = sl_alloc(floats_count * sizeof(float));
        a->floats_count = floats_count;
    }
    float *at =
        (float *)(void *)(((uintptr_t)a->memory + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
    a->x = carve(&at, rows);
    a->y = carve(&at, rows);
    a->wide = carve(&at, wide);
    a->scores = carve(&at, scores);
}

static struct sl_rows
rows_of(float *data, uint32_t count, uint32_t width)
{
    return (struct sl_rows){.data = data, .count = count, .width = width, .stride = width};
}

/* to = from * transposed weight, over all tokens of the pass; the bias is the next operation's. */
static void
multiply(const struct work *w, struct sl_rows from, const struct sl_linear *linear,
         struct sl_rows to)
{
    struct sl_gemm g = {.a = from.data,
                        .b = linear->weight,
                        .c = to.data,
                        .m = from.count,
                        .n = to.width,
                        .k = from.width,
                        .lda = from.stride,
                        .ldb = from.width,
                        .ldc = to.stride,
                        .is_b_transposed = true};
    sl_blas_gemm(&w->run->e->blas, &g);
}

static void
embed(const struct work *w)
{
    const struct run *run = w->run;
    const struct sl_encoder_weights *weights = &run->e->w;
    uint32_t hidden = weights->dims.hidden_size;
    float *row = w->arena->x;
    for (uint32_t i = 0; i < w->pass->count; i++) {
        uint32_t text = run->order[w->pass->first + i];
        const uint32_t *tokens = run->batch->tokens + run->offsets[text];
        for (uint32_t t = 0; t < run->batch->sizes[text]; t++, row += hidden) {
            const float *word = weights->word_embeddings + (size_t)tokens[t] * hidden;
            const float *position = weights->position_embeddings + (size_t)t * hidden;
            for (uint32_t h = 0; h < hidden; h++)
                row[h] = word[h] + position[h] + weights->type_embeddings[h];
        }
    }
    run->e->options.ops->bias_norm(rows_of(w->arena->x, w->pass->tokens_count, hidden), NULL, NULL,
                                   &weights->embeddings_norm);
}

/* One head of one text of `size` tokens; q, k, v and out point at its first token's part. */
static void
attend_head(const struct work *w, const float *const qkv[3], float *out, uint32_t size)
{
    const struct sl_encoder *e = w->run->e;
    uint32_t hidden = e->w.dims.hidden_size, width = hidden / e->w.dims.heads_count;
    struct sl_rows scores = rows_of(w->arena->scores, size, size);
    struct sl_gemm match = {.a = qkv[0],
                            .b = qkv[1],
                            .c = scores.data,
                            .m = size,
                            .n = size,
                            .k = width,
                            .lda = hidden,
                            .ldb = hidden,
                            .ldc = size,
                            .is_b_transposed = true};
    struct sl_gemm mix = {.a = scores.data,
                          .b = qkv[2],
                          .c = out,
                          .m = size,
                          .n = width,
                          .k = size,
                          .lda = size,
                          .ldb = hidden,
                          .ldc = hidden};
    sl_blas_gemm(&e->blas, &match);
    e->options.ops->softmax(scores, 1.0f / sqrtf((float)width));
    sl_blas_gemm(&e->blas, &mix);
}

/* y = what attention makes of x, before its output layer's bias. */
static void
attend(const struct work *w, const struct sl_encoder_layer *layer)
{
    const struct sl_encoder *e = w->run->e;
    uint32_t count = w->pass->tokens_count, hidden = e->w.dims.hidden_size;
    uint32_t width = hidden / e->w.dims.heads_count;
    const struct sl_linear *linears[3] = {&layer->query, &layer->key, &layer->value};
    size_t plane = (size_t)count * hidden;
    struct sl_rows x = rows_of(w->arena->x, count, hidden);
    float *mixed = w->arena->wide + 3 * plane;
    for (int i = 0; i < 3; i++) {
        struct sl_rows to = rows_of(w->arena->wide + (size_t)i * plane, count, hidden);
        multiply(w, x, linears[i], to);
        e->options.ops->add_bias(to, linears[i]->bias);
    }
    size_t at = 0;
    for (uint32_t i = 0; i < w->pass->count; i++) {
        uint32_t size = w->run->batch->sizes[w->run->order[w->pass->first + i]];
        for (uint32_t head = 0; head < e->w.dims.heads_count; head++) {
            const float *q = w->arena->wide + at + (size_t)head * width;
            const float *const qkv[3] = {q, q + plane, q + 2 * plane};
            attend_head(w, qkv, mixed + at + (size_t)head * width, size);
        }
        at += (size_t)size * hidden;
    }
    multiply(w, rows_of(mixed, count, hidden), &layer->attention_output,
             rows_of(w->arena->y, count, hidden));
}

/* x = layer(x) */
static void
run_layer(const struct work *w, const struct sl_encoder_layer *layer)
{
    const struct sl_row_ops *ops = w->run->e->options.ops;
    const struct sl_encoder_dims *d = &w->run->e->w.dims;
    uint32_t count = w->pass->tokens_count;
    struct sl_rows x = rows_of(w->arena->x, count, d->hidden_size);
    struct sl_rows y = rows_of(w->arena->y, count, d->hidden_size);
    struct sl_rows wide = rows_of(w->arena->wide, count, d->intermediate_size);
    attend(w, layer);
    ops->bias_norm(y, layer->attention_output.bias, x.data, &layer->attention_norm);
    multiply(w, y, &layer->intermediate, wide);
    ops->bias_gelu(wide, layer->intermediate.bias);
    multiply(w, wide, &layer->output, x);
    ops->bias_norm(x, layer->output.bias, y.data, &layer->output_norm);
}

static void
pool_text(const struct sl_encoder *e, const float *rows, uint32_t size, float *vector)
{
    uint32_t hidden = e->w.dims.hidden_size;
    uint32_t used = e->options.pools_first_token ? 1 : size;
    double squares = 0;
    memcpy(vector, rows, hidden * sizeof(*vector));
    for (uint32_t t = 1; t < used; t++) {
        for (uint32_t h = 0; h < hidden; h++)
            vector[h] += rows[(size_t)t * hidden + h];
    }
    for (uint32_t h = 0; h < hidden; h++) {
        vector[h] /= (float)used;
        squares += (double)vector[h] * (double)vector[h];
    }
    if (!e->options.is_normalized || squares == 0)
        return;
    float scale = (float)(1.0 / sqrt(squares));
    for (uint32_t h = 0; h < hidden; h++)
        vector[h] *= scale;
}

static void
pool(const struct work *w)
{
    const struct run *run = w->run;
    uint32_t hidden = run->e->w.dims.hidden_size;
    const float *rows = w->arena->x;
    for (uint32_t i = 0; i < w->pass->count; i++) {
        uint32_t text = run->order[w->pass->first + i];
        pool_text(run->e, rows, run->batch->sizes[text],
                  run->batch->ret_vectors + (size_t)text * hidden);
        rows += (size_t)run->batch->sizes[text] * hidden;
    }
}

static bool
is_cancelled(const struct work *w)
{
    struct run *run = w->run;
    if (w->asks && run->batch->is_cancelled != NULL && run->batch->is_cancelled(run->batch->self))
        atomic_store(&run->is_cancelled, true);
    return atomic_load(&run->is_cancelled);
}

/* Take passes until there are none left. */
static void
run_passes(struct run *run, bool asks)
{
    struct work w = {.run = run, .asks = asks};
    w.arena = &run->e->arenas[atomic_fetch_add(&run->next_arena, 1)];
    for (;;) {
        uint32_t index = atomic_fetch_add(&run->next_pass, 1);
        if (index >= run->passes_count)
            return;
        w.pass = &run->passes[index];
        arena_fit(w.arena, &run->e->w.dims, w.pass);
        embed(&w);
        for (uint32_t i = 0; i < run->e->w.dims.layers_count; i++) {
            if (is_cancelled(&w))
                return;
            run_layer(&w, &run->e->w.layers[i]);
        }
        pool(&w);
    }
}

static void *
run_passes_thread(void *run)
{
    run_passes(run, false);
    return NULL;
}

/* The caller's thread and as many others as there are passes for. */
static void
run_threads(struct run *run)
{
    pthread_t threads[THREADS_MAX];
    uint32_t wanted = SL_MIN(run->e->options.threads, run->passes_count), started = 0;
    sl_blas_threads_set(&run->e->blas, wanted > 1 ? 1 : run->e->options.threads);
    /* Should a thread not start, the others take its passes. */
    while (started + 1 < wanted &&
           pthread_create(&threads[started], NULL, run_passes_thread, run) == 0)
        started++;
    run_passes(run, true);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

static int
compare_sizes(const void *a, const void *b, void *sizes)
{
    uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;
    const uint32_t *s = sizes;
    if (s[first] != s[second])
        return s[first] > s[second] ? -1 : 1;
    return first < second ? -1 : 1;
}

/* Cut the order into passes of at most `tokens_max` tokens; texts of like length come together. */
static void
plan(struct run *run, uint32_t tokens_max)
{
    for (uint32_t i = 0; i < run->batch->count; i++) {
        uint32_t size = run->batch->sizes[run->order[i]];
        struct pass *pass = &run->passes[run->passes_count];
        if (run->passes_count == 0 || pass[-1].tokens_count + size > tokens_max) {
            *pass = (struct pass){.first = i, .size_max = size};
            run->passes_count++;
        } else {
            pass--;
        }
        pass->count++;
        pass->tokens_count += size;
    }
}

static bool
is_valid(const struct sl_encoder_dims *d, const struct sl_encoder_batch *batch,
         uint64_t *ret_tokens_count)
{
    uint64_t tokens_count = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->sizes[i] < 1 || batch->sizes[i] > d->positions_count)
            return false;
        tokens_count += batch->sizes[i];
    }
    if (tokens_count > UINT32_MAX)
        return false;
    for (uint64_t i = 0; i < tokens_count; i++) {
        if (batch->tokens[i] >= d->vocab_size)
            return false;
    }
    *ret_tokens_count = tokens_count;
    return true;
}

enum sl_err
sl_encoder_encode(struct sl_encoder *encoder, const struct sl_encoder_batch *batch)
{
    struct sl_encoder *e = encoder;
    uint64_t tokens_count = 0;
    sl_assert(e->magic == ENCODER_MAGIC);
    if (!is_valid(&e->w.dims, batch, &tokens_count))
        return SL_EINVAL;
    if (batch->count == 0)
        return SL_OK;

    struct run run = {.e = e, .batch = batch};
    run.order = sl_alloc(batch->count * sizeof(*run.order));
    run.offsets = sl_alloc(batch->count * sizeof(*run.offsets));
    run.passes = sl_alloc(batch->count * sizeof(*run.passes));
    for (uint32_t i = 0, at = 0; i < batch->count; at += batch->sizes[i++]) {
        run.order[i] = i;
        run.offsets[i] = at;
    }
    qsort_r(run.order, batch->count, sizeof(*run.order), compare_sizes, (void *)batch->sizes);
    uint32_t share = (uint32_t)((tokens_count + e->options.threads - 1) / e->options.threads);
    plan(&run, SL_MIN(SL_MAX(share, PASS_TOKENS_MIN), e->options.tokens_per_pass_max));
    run_threads(&run);
    sl_free(run.order);
    sl_free(run.offsets);
    sl_free(run.passes);
    return atomic_load(&run.is_cancelled) ? SL_ECANCELED : SL_OK;
}
