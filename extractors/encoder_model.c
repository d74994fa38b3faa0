/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/encoder_model.h"

#include "runtime/alloc.h"

/* Where converted weights go. Two rounds over the tensors: the first counts, the second writes. */
struct converter {
    float *at; /* NULL in the first round. */
    size_t count;
};

static const float *
floats(struct converter *c, const struct sl_tensor *tensor)
{
    if (tensor->dtype == SL_DTYPE_F32)
        return tensor->data;
    size_t count = tensor->size_bytes / sizeof(uint16_t);
    float *to = c->at == NULL ? NULL : c->at + c->count;
    c->count += (count + 15) & ~(size_t)15;
    if (to == NULL)
        return NULL;
    if (tensor->dtype == SL_DTYPE_F16)
        sl_floats_from_f16(tensor->data, count, to);
    else
        sl_floats_from_bf16(tensor->data, count, to);
    return to;
}

static struct sl_linear
linear(struct converter *c, const struct sl_bert_pair *pair)
{
    return (struct sl_linear){.weight = floats(c, &pair->weight), .bias = floats(c, &pair->bias)};
}

static struct sl_norm
norm(struct converter *c, const struct sl_bert_pair *pair, float epsilon)
{
    return (struct sl_norm){
        .gamma = floats(c, &pair->weight), .beta = floats(c, &pair->bias), .epsilon = epsilon};
}

static void
fill_layer(struct converter *c, const struct sl_bert_layer *from, float epsilon,
           struct sl_encoder_layer *to)
{
    to->query = linear(c, &from->query);
    to->key = linear(c, &from->key);
    to->value = linear(c, &from->value);
    to->attention_output = linear(c, &from->attention_output);
    to->attention_norm = norm(c, &from->attention_norm, epsilon);
    to->intermediate = linear(c, &from->intermediate);
    to->output = linear(c, &from->output);
    to->output_norm = norm(c, &from->output_norm, epsilon);
}

static void
fill(struct converter *c, const struct sl_bert_layout *layout, struct sl_encoder_layer *layers,
     struct sl_encoder_weights *ret)
{
    const struct sl_bert_shape *s = &layout->shape;
    ret->dims = (struct sl_encoder_dims){.hidden_size = s->hidden_size,
                                         .layers_count = s->layers_count,
                                         .heads_count = s->heads_count,
                                         .intermediate_size = s->intermediate_size,
                                         .vocab_size = s->vocab_size,
                                         .positions_count = s->tokens_count_max};
    ret->word_embeddings = floats(c, &layout->word_embeddings);
    ret->position_embeddings = floats(c, &layout->position_embeddings);
    ret->type_embeddings = floats(c, &layout->type_embeddings);
    ret->embeddings_norm = norm(c, &layout->embeddings_norm, s->layer_norm_epsilon);
    for (uint32_t i = 0; i < s->layers_count; i++)
        fill_layer(c, &layout->layers[i], s->layer_norm_epsilon, &layers[i]);
    ret->layers = layers;
}

static enum sl_err
open_tokenizer(struct sl_encoder_model *m, struct sl_cause *ret_cause)
{
    struct sl_slice vocabulary = m->layout->vocabulary;
    if (vocabulary.size == 0) {
        if (sl_wordpiece_vocabulary(m->layout->tokenizer, &m->vocabulary) != SL_OK)
            return sl_cause_set(ret_cause, SL_EINVAL,
                                "the model has no vocab.txt and no tokenizer.json with a "
                                "WordPiece vocabulary: add one of them");
        vocabulary = sl_buf_slice(&m->vocabulary);
    }
    const struct sl_bert_shape *s = &m->layout->shape;
    if (sl_wordpiece_create(vocabulary, s->vocab_size, s->is_lower_case, &m->tokenizer) != SL_OK)
        return sl_cause_set(ret_cause, SL_EINVAL,
                            "the vocabulary lacks [UNK], [CLS] or [SEP], or has more tokens than "
                            "the %u rows of the word embeddings",
                            s->vocab_size);
    if (s->tokens_count_max < SL_WORDPIECE_TOKENS_MIN)
        return sl_cause_set(ret_cause, SL_EINVAL, "the model takes only %u tokens",
                            s->tokens_count_max);
    return SL_OK;
}

static void
open_encoder(struct sl_encoder_model *m, uint32_t threads)
{
    const struct sl_bert_shape *s = &m->layout->shape;
    struct sl_encoder_weights weights = {0};
    struct converter c = {0};
    m->layers = sl_zalloc(s->layers_count * sizeof(*m->layers));
    fill(&c, m->layout, m->layers, &weights);
    if (c.count > 0) {
        m->converted = sl_alloc(c.count * sizeof(*m->converted));
        c = (struct converter){.at = m->converted};
        fill(&c, m->layout, m->layers, &weights);
    }
    struct sl_encoder_options options = {.threads = threads,
                                         .pools_first_token = s->pooling == SL_POOLING_CLS,
                                         .is_normalized = true};
    m->encoder = sl_encoder_create(&weights, &options);
}

enum sl_err
sl_encoder_model_init(struct sl_encoder_model *ret, const struct sl_model *model, uint32_t threads,
                      struct sl_cause *ret_cause)
{
    struct sl_encoder_model m = {0};
    enum sl_err err = sl_bert_layout_create(model, &m.layout, ret_cause);
    if (err == SL_OK)
        err = open_tokenizer(&m, ret_cause);
    if (err != SL_OK) {
        sl_encoder_model_deinit(&m);
        return err;
    }
    open_encoder(&m, threads);
    *ret = m;
    return SL_OK;
}

void
sl_encoder_model_deinit(struct sl_encoder_model *m)
{
    sl_encoder_destroy(&m->encoder);
    sl_wordpiece_destroy(&m->tokenizer);
    sl_free(m->converted);
    sl_free(m->layers);
    sl_buf_deinit(&m->vocabulary);
    sl_bert_layout_destroy(&m->layout);
    *m = (struct sl_encoder_model){0};
}
