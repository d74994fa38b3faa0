/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "gateway/bench/encoder.h"
#include "runtime/alloc.h"

struct pass {
    const struct sl_bert_shape *shape;
    uint32_t size;
    double *rows; /* [size, hidden]: what a layer reads and leaves. */
    double *query, *key, *value, *context;
    double *wide; /* [size, intermediate] */
};

static const float *
floats(const struct sl_tensor *t)
{
    return t->data;
}

/* out = in * transposed weight + bias */
static void
linear(const struct pass *p, const struct sl_bert_pair *pair, const double *in, double *out)
{
    uint64_t rows = pair->weight.shape[0], columns = pair->weight.shape[1];
    const float *weight = floats(&pair->weight), *bias = floats(&pair->bias);
    for (uint32_t t = 0; t < p->size; t++) {
        for (uint64_t r = 0; r < rows; r++) {
            double sum = (double)bias[r];
            for (uint64_t c = 0; c < columns; c++)
                sum += in[t * columns + c] * (double)weight[r * columns + c];
            out[t * rows + r] = sum;
        }
    }
}

static void
normalise(const struct pass *p, const struct sl_bert_pair *pair)
{
    uint32_t hidden = p->shape->hidden_size;
    const float *scale = floats(&pair->weight), *shift = floats(&pair->bias);
    for (uint32_t t = 0; t < p->size; t++) {
        double *row = p->rows + (size_t)t * hidden, mean = 0, variance = 0;
        for (uint32_t i = 0; i < hidden; i++)
            mean += row[i] / hidden;
        for (uint32_t i = 0; i < hidden; i++)
            variance += (row[i] - mean) * (row[i] - mean) / hidden;
        double by = 1 / sqrt(variance + (double)p->shape->layer_norm_epsilon);
        for (uint32_t i = 0; i < hidden; i++)
            row[i] = (row[i] - mean) * by * (double)scale[i] + (double)shift[i];
    }
}

/* One token's attention in one head, into its part of the context. */
static void
attend(const struct pass *p, uint32_t token, uint32_t head, double *weights)
{
    uint32_t hidden = p->shape->hidden_size, wide = hidden / p->shape->heads_count;
    size_t at = (size_t)head * wide;
    double most = -INFINITY, sum = 0;
    for (uint32_t t = 0; t < p->size; t++) {
        weights[t] = 0;
        for (uint32_t i = 0; i < wide; i++)
            weights[t] += p->query[(size_t)token * hidden + at + i] *
                          p->key[(size_t)t * hidden + at + i] / sqrt(wide);
        most = fmax(most, weights[t]);
    }
    for (uint32_t t = 0; t < p->size; t++)
        sum += weights[t] = exp(weights[t] - most);
    for (uint32_t i = 0; i < wide; i++) {
        double *out = &p->context[(size_t)token * hidden + at + i];
        *out = 0;
        for (uint32_t t = 0; t < p->size; t++)
            *out += weights[t] / sum * p->value[(size_t)t * hidden + at + i];
    }
}

/* rows = norm(rows + added) */
static void
add_and_normalise(const struct pass *p, const double *added, const struct sl_bert_pair *norm)
{
    size_t count = (size_t)p->size * p->shape->hidden_size;
    for (size_t i = 0; i < count; i++)
        p->rows[i] += added[i];
    normalise(p, norm);
}

static void
run_layer(const struct pass *p, const struct sl_bert_layer *layer)
{
    double *weights = sl_alloc(p->size * sizeof(*weights));
    linear(p, &layer->query, p->rows, p->query);
    linear(p, &layer->key, p->rows, p->key);
    linear(p, &layer->value, p->rows, p->value);
    for (uint32_t t = 0; t < p->size; t++) {
        for (uint32_t h = 0; h < p->shape->heads_count; h++)
            attend(p, t, h, weights);
    }
    linear(p, &layer->attention_output, p->context, p->query);
    add_and_normalise(p, p->query, &layer->attention_norm);
    linear(p, &layer->intermediate, p->rows, p->wide);
    for (size_t i = 0; i < (size_t)p->size * p->shape->intermediate_size; i++)
        p->wide[i] *= 0.5 * (1 + erf(p->wide[i] / sqrt(2)));
    linear(p, &layer->output, p->wide, p->query);
    add_and_normalise(p, p->query, &layer->output_norm);
    sl_free(weights);
}

static void
embed(const struct pass *p, const struct sl_bert_layout *l, const uint32_t *tokens)
{
    uint32_t hidden = p->shape->hidden_size;
    for (uint32_t t = 0; t < p->size; t++) {
        for (uint32_t i = 0; i < hidden; i++)
            p->rows[(size_t)t * hidden + i] =
                (double)floats(&l->word_embeddings)[(size_t)tokens[t] * hidden + i] +
                (double)floats(&l->position_embeddings)[(size_t)t * hidden + i] +
                (double)floats(&l->type_embeddings)[i];
    }
    normalise(p, &l->embeddings_norm);
}

static void
pool(const struct pass *p, double *ret_vector)
{
    uint32_t hidden = p->shape->hidden_size;
    uint32_t count = p->shape->pooling == SL_POOLING_CLS ? 1 : p->size;
    double square = 0;
    for (uint32_t i = 0; i < hidden; i++) {
        ret_vector[i] = 0;
        for (uint32_t t = 0; t < count; t++)
            ret_vector[i] += p->rows[(size_t)t * hidden + i] / count;
        square += ret_vector[i] * ret_vector[i];
    }
    for (uint32_t i = 0; p->shape->is_normalized && i < hidden; i++)
        ret_vector[i] /= sqrt(square);
}

void
sl_bench_reference(const struct sl_bert_layout *layout, const uint32_t *tokens, uint32_t size,
                   double *ret_vector)
{
    const struct sl_bert_shape *shape = &layout->shape;
    size_t narrow = (size_t)size * shape->hidden_size;
    size_t wide = (size_t)size * shape->intermediate_size;
    sl_assert(size >= 1 && !shape->has_half);
    double *memory = sl_alloc((5 * narrow + wide) * sizeof(*memory));
    struct pass p = {.shape = shape,
                     .size = size,
                     .rows = memory,
                     .query = memory + narrow,
                     .key = memory + 2 * narrow,
                     .value = memory + 3 * narrow,
                     .context = memory + 4 * narrow,
                     .wide = memory + 5 * narrow};
    embed(&p, layout, tokens);
    for (uint32_t i = 0; i < shape->layers_count; i++)
        run_layer(&p, &layout->layers[i]);
    pool(&p, ret_vector);
    sl_free(memory);
}
