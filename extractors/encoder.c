/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/encoder.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/alloc.h"

#define ENCODER_MAGIC       0x454E4344u
#define THREADS_MAX         64u
#define THREADS_DEFAULT_MAX 4u
#define PASS_TOKENS_DEFAULT 1024u
/* Below this many rows packing the weights costs more than a second pass gives. */
#define PASS_TOKENS_MIN 128u
#define ALIGNMENT       64u

/* Memory that only grows. */
struct memory {
    void *bytes;
    size_t floats_count;
};

/* What a pass works on. The four matrices of attention and the wide rows of the feed-forward part
 * are never alive together and share `wide`. */
struct arena {
    struct memory memory;
    float *x, *y, *wide;
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
    struct arena arenas[THREADS_MAX];
    struct memory scratches[THREADS_MAX];
};

/* One call of encode, shared by its threads: each takes passes, or all share the only one. */
struct run {
    struct sl_encoder *e;
    const struct sl_encoder_batch *batch;
    uint32_t *order;   /* Texts, longest first. */
    uint32_t *offsets; /* First token of each text. */
    struct pass *passes;
    uint32_t passes_count;
    uint32_t team;             /* Threads in a pass. */
    pthread_barrier_t barrier; /* Of the team. */
    pthread_mutex_t gate;
    atomic_uint next_pass;
    atomic_uint next_thread;
    atomic_bool is_cancelled;
};

/* One thread's part of a pass. */
struct work {
    struct run *run;
    const struct pass *pass;
    struct arena *arena;
    float *scratch;
    struct sl_part part;
    bool asks; /* This thread is the caller's, so it asks whether to go on. */
};

/* What the team has written so far may be read by all of it from here on. */
static void
meet(const struct work *w)
{
    if (w->part.count > 1)
        (void)pthread_barrier_wait(&w->run->barrier);
}

uint32_t
sl_encoder_threads_default(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : SL_MIN((uint32_t)online, THREADS_DEFAULT_MAX);
}

struct sl_encoder *
sl_encoder_create(const struct sl_encoder_weights *weights,
                  const struct sl_encoder_options *options)
{
    const struct sl_encoder_dims *d = &weights->dims;
    sl_assert(d->heads_count > 0 && d->hidden_size % d->heads_count == 0);
    sl_assert(d->positions_count > 0 && d->vocab_size > 0);
    struct sl_encoder *e = sl_zalloc(sizeof(*e));
    e->magic = ENCODER_MAGIC;
    e->w = *weights;
    e->options = *options;
    if (e->options.threads == 0)
        e->options.threads = sl_encoder_threads_default();
    e->options.threads = SL_MIN(e->options.threads, THREADS_MAX);
    if (e->options.tokens_per_pass_max == 0)
        e->options.tokens_per_pass_max = PASS_TOKENS_DEFAULT;
    e->options.tokens_per_pass_max = SL_MAX(e->options.tokens_per_pass_max, d->positions_count);
    if (e->options.ops == NULL)
        e->options.ops = sl_tensor_ops_best();
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
    for (uint32_t i = 0; i < THREADS_MAX; i++) {
        sl_free(e->arenas[i].memory.bytes);
        sl_free(e->scratches[i].bytes);
    }
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

/* Room for that many floats, on a cache line; what was there is lost. */
static float *
memory_fit(struct memory *m, size_t floats_count)
{
    if (floats_count > m->floats_count) {
        sl_free(m->bytes);
        m->bytes = sl_alloc(floats_count * sizeof(float) + ALIGNMENT);
        m->floats_count = floats_count;
    }
    return (float *)(void *)(((uintptr_t)m->bytes + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
}

static void
arena_fit(struct arena *a, const struct sl_encoder_dims *d, const struct pass *pass)
{
    size_t rows = (size_t)pass->tokens_count * d->hidden_size;
    size_t wide =
        (size_t)pass->tokens_count * SL_MAX(4 * (size_t)d->hidden_size, d->intermediate_size);
    float *at = memory_fit(&a->memory, 2 * rows + wide + 3 * ALIGNMENT);
    a->x = carve(&at, rows);
    a->y = carve(&at, rows);
    a->wide = carve(&at, wide);
}

static float *
scratch_fit(struct memory *m, const struct sl_encoder *e, const struct pass *pass)
{
    const struct sl_encoder_dims *d = &e->w.dims;
    size_t attention =
        e->options.ops->attention_scratch(pass->size_max, d->hidden_size / d->heads_count);
    return memory_fit(m, SL_MAX(attention, e->options.ops->linear_scratch));
}

static struct sl_rows
rows_of(float *data, uint32_t count, uint32_t width)
{
    return (struct sl_rows){.data = data, .count = count, .width = width, .stride = width};
}

/* to = layer(from), over all tokens of the pass. */
static void
apply(const struct work *w, struct sl_rows from, const struct sl_linear *layer, bool has_gelu,
      struct sl_rows to)
{
    w->run->e->options.ops->linear(from, layer, has_gelu, to, w->part, w->scratch);
}

static void
add_norm(const struct work *w, struct sl_rows x, const float *residual, const struct sl_norm *norm)
{
    w->run->e->options.ops->add_norm(x, residual, norm, w->part);
}

static void
embed_text(const struct run *run, uint32_t text, float *row)
{
    const struct sl_encoder_weights *weights = &run->e->w;
    const uint32_t *tokens = run->batch->tokens + run->offsets[text];
    uint32_t hidden = weights->dims.hidden_size;
    for (uint32_t t = 0; t < run->batch->sizes[text]; t++, row += hidden) {
        const float *word = weights->word_embeddings + (size_t)tokens[t] * hidden;
        const float *position = weights->position_embeddings + (size_t)t * hidden;
        for (uint32_t h = 0; h < hidden; h++)
            row[h] = word[h] + position[h] + weights->type_embeddings[h];
    }
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
        if (i % w->part.count == w->part.index)
            embed_text(run, text, row);
        row += (size_t)run->batch->sizes[text] * hidden;
    }
    meet(w);
    add_norm(w, rows_of(w->arena->x, w->pass->tokens_count, hidden), NULL,
             &weights->embeddings_norm);
    meet(w);
}

/* mixed = attention over q, k and v, which lie one after the other in `wide`; so does mixed. */
static void
mix(const struct work *w, size_t plane)
{
    const struct sl_encoder *e = w->run->e;
    const struct sl_encoder_dims *d = &e->w.dims;
    struct sl_attention a = {.q = w->arena->wide,
                             .k = w->arena->wide + plane,
                             .v = w->arena->wide + 2 * plane,
                             .out = w->arena->wide + 3 * plane,
                             .stride = d->hidden_size,
                             .heads = d->heads_count,
                             .head_width = d->hidden_size / d->heads_count};
    for (uint32_t i = 0; i < w->pass->count; i++) {
        a.tokens = w->run->batch->sizes[w->run->order[w->pass->first + i]];
        e->options.ops->attention(&a, w->part, w->scratch);
        size_t size = (size_t)a.tokens * d->hidden_size;
        a.q += size;
        a.k += size;
        a.v += size;
        a.out += size;
    }
}

/* y = what attention makes of x, with its output layer. */
static void
attend(const struct work *w, const struct sl_encoder_layer *layer)
{
    uint32_t count = w->pass->tokens_count, hidden = w->run->e->w.dims.hidden_size;
    const struct sl_linear *linears[3] = {&layer->query, &layer->key, &layer->value};
    size_t plane = (size_t)count * hidden;
    struct sl_rows x = rows_of(w->arena->x, count, hidden);
    for (int i = 0; i < 3; i++)
        apply(w, x, linears[i], false, rows_of(w->arena->wide + (size_t)i * plane, count, hidden));
    meet(w);
    mix(w, plane);
    meet(w);
    apply(w, rows_of(w->arena->wide + 3 * plane, count, hidden), &layer->attention_output, false,
          rows_of(w->arena->y, count, hidden));
    meet(w);
}

/* x = layer(x) */
static void
run_layer(const struct work *w, const struct sl_encoder_layer *layer)
{
    const struct sl_encoder_dims *d = &w->run->e->w.dims;
    uint32_t count = w->pass->tokens_count;
    struct sl_rows x = rows_of(w->arena->x, count, d->hidden_size);
    struct sl_rows y = rows_of(w->arena->y, count, d->hidden_size);
    struct sl_rows wide = rows_of(w->arena->wide, count, d->intermediate_size);
    attend(w, layer);
    add_norm(w, y, x.data, &layer->attention_norm);
    meet(w);
    apply(w, y, &layer->intermediate, true, wide);
    meet(w);
    apply(w, wide, &layer->output, false, x);
    meet(w);
    add_norm(w, x, y.data, &layer->output_norm);
    meet(w);
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
        if (i % w->part.count == w->part.index)
            pool_text(run->e, rows, run->batch->sizes[text],
                      run->batch->ret_vectors + (size_t)text * hidden);
        rows += (size_t)run->batch->sizes[text] * hidden;
    }
}

/* A team decides as one: its asker asks, and the others look before it can ask again. */
static bool
is_cancelled(const struct work *w)
{
    struct run *run = w->run;
    if (w->asks && run->batch->is_cancelled != NULL && run->batch->is_cancelled(run->batch->self))
        atomic_store(&run->is_cancelled, true);
    meet(w);
    return atomic_load(&run->is_cancelled);
}

/* False: cancelled. */
static bool
run_pass(struct work *w)
{
    const struct sl_encoder *e = w->run->e;
    embed(w);
    for (uint32_t i = 0; i < e->w.dims.layers_count; i++) {
        if (is_cancelled(w))
            return false;
        run_layer(w, &e->w.layers[i]);
    }
    pool(w);
    return true;
}

/* Take passes until there are none left. */
static void
take_passes(struct work *w, uint32_t thread)
{
    struct run *run = w->run;
    uint32_t index;
    w->arena = &run->e->arenas[thread];
    while ((index = atomic_fetch_add(&run->next_pass, 1)) < run->passes_count) {
        w->pass = &run->passes[index];
        arena_fit(w->arena, &run->e->w.dims, w->pass);
        w->scratch = scratch_fit(&run->e->scratches[thread], run->e, w->pass);
        if (!run_pass(w))
            return;
    }
}

static void
run_passes(struct run *run, bool asks)
{
    uint32_t thread = atomic_fetch_add(&run->next_thread, 1);
    struct work w = {.run = run, .asks = asks, .part = {0, 1}};
    if (run->passes_count > 1) {
        take_passes(&w, thread);
        return;
    }
    w.part = (struct sl_part){thread, run->team};
    w.arena = &run->e->arenas[0];
    w.pass = &run->passes[0];
    w.scratch = scratch_fit(&run->e->scratches[thread], run->e, w.pass);
    (void)run_pass(&w);
}

static void *
run_passes_thread(void *argument)
{
    struct run *run = argument;
    (void)pthread_mutex_lock(&run->gate); /* Open when it is known how many have started. */
    (void)pthread_mutex_unlock(&run->gate);
    run_passes(run, false);
    return NULL;
}

/* The caller's thread and others; should one not start, there are fewer. */
static void
run_threads(struct run *run)
{
    pthread_t threads[THREADS_MAX];
    bool is_team = run->passes_count == 1;
    uint32_t most = run->e->options.threads, started = 0;
    uint32_t wanted = is_team ? most : SL_MIN(most, run->passes_count);
    (void)pthread_mutex_init(&run->gate, NULL);
    (void)pthread_mutex_lock(&run->gate);
    while (started + 1 < wanted &&
           pthread_create(&threads[started], NULL, run_passes_thread, run) == 0)
        started++;
    run->team = is_team ? started + 1 : 1;
    if (is_team) {
        (void)pthread_barrier_init(&run->barrier, NULL, run->team);
        arena_fit(&run->e->arenas[0], &run->e->w.dims, &run->passes[0]);
    }
    (void)pthread_mutex_unlock(&run->gate);
    run_passes(run, true);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (is_team)
        (void)pthread_barrier_destroy(&run->barrier);
    (void)pthread_mutex_destroy(&run->gate);
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
