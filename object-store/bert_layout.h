/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bert_layout.h - what a BERT-like encoder needs from a model: the numbers of its config.json and
 * the tensors, each with the shape that the numbers demand. A model whose config and tensors
 * disagree is refused here, so that the encoder need not check anything.
 *
 * Linear weights are [out, in], as stored. Tensors may carry the "bert." prefix or not.
 * Threading: plain state, read only once created.
 */
#ifndef SL_OBJECT_STORE_BERT_LAYOUT_H
#define SL_OBJECT_STORE_BERT_LAYOUT_H

#include "object-store/model.h"

#define SL_BERT_LAYERS_MAX 96

enum sl_pooling { SL_POOLING_MEAN, SL_POOLING_CLS };

struct sl_bert_shape {
    uint32_t hidden_size;
    uint32_t layers_count;
    uint32_t heads_count; /* Divides hidden_size. */
    uint32_t intermediate_size;
    uint32_t vocab_size; /* Rows of the word embeddings; the vocabulary has no more. */
    uint32_t positions_count;
    uint32_t types_count;
    uint32_t tokens_count_max; /* Of one input, [CLS] and [SEP] included; <= positions_count. */
    float layer_norm_epsilon;
    enum sl_pooling pooling;
    bool is_normalized; /* Unit vectors: modules.json ends with Normalize. */
    bool is_lower_case;
    bool has_half; /* Some tensor is F16 or BF16; else all are F32. */
};

struct sl_bert_pair { /* A linear layer's or a layer norm's two tensors. */
    struct sl_tensor weight, bias;
};

struct sl_bert_layer {
    struct sl_bert_pair query, key, value; /* [hidden, hidden], [hidden] */
    struct sl_bert_pair attention_output;  /* [hidden, hidden], [hidden] */
    struct sl_bert_pair attention_norm;    /* [hidden], [hidden] */
    struct sl_bert_pair intermediate;      /* [intermediate, hidden], [intermediate] */
    struct sl_bert_pair output;            /* [hidden, intermediate], [hidden] */
    struct sl_bert_pair output_norm;       /* [hidden], [hidden] */
};

struct sl_bert_layout {
    struct sl_bert_shape shape;
    struct sl_tensor word_embeddings;     /* [vocab, hidden] */
    struct sl_tensor position_embeddings; /* [positions, hidden] */
    struct sl_tensor type_embeddings;     /* [types, hidden] */
    struct sl_bert_pair embeddings_norm;
    struct sl_bert_layer *layers; /* shape.layers_count of them. Owned. */
    struct sl_slice vocabulary;   /* vocab.txt; empty when there is only tokenizer.json. */
    struct sl_slice tokenizer;    /* tokenizer.json; empty when there is none. */
};

/*
 * Check the model and collect its tensors, which borrow from `model`: destroy the layout first.
 * SL_EINVAL: config and tensors disagree, or something is missing; the cause names it, with the
 * expected and the found shape. SL_EUNAVAIL: an architecture that is not read here.
 */
SL_MUST_CHECK
enum sl_err sl_bert_layout_create(const struct sl_model *model, struct sl_bert_layout **ret_layout,
                                  struct sl_cause *ret_cause);
void sl_bert_layout_destroy(struct sl_bert_layout **layout); /* NULL inside is fine. */

/* The same checks, when only the numbers are wanted: at upload. */
SL_MUST_CHECK
enum sl_err sl_model_check_bert(const struct sl_model *model, struct sl_bert_shape *ret_shape,
                                struct sl_cause *ret_cause);

#endif
