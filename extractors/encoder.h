/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoder.h - the forward pass of a BERT-like encoder in fp32: tokens in, one vector a text out.
 *
 * Texts are packed end to end without padding, so every matrix product but attention's runs over
 * all tokens of a pass at once. A pass has a bounded number of tokens and its memory is allocated
 * once. Passes run side by side, each on one thread; a batch too small for two passes runs as one,
 * whose operations the threads share.
 *
 * Threading: calls on one encoder never overlap; it starts and joins its own threads in a call.
 */
#ifndef SL_EXTRACTORS_ENCODER_H
#define SL_EXTRACTORS_ENCODER_H

#include "extractors/tensor/ops.h"
#include "runtime/base.h"

struct sl_encoder_dims {
    uint32_t hidden_size;
    uint32_t layers_count;
    uint32_t heads_count; /* Divides hidden_size. */
    uint32_t intermediate_size;
    uint32_t vocab_size;
    uint32_t positions_count;
};

struct sl_encoder_layer {
    struct sl_linear query, key, value; /* [hidden, hidden] */
    struct sl_linear attention_output;  /* [hidden, hidden] */
    struct sl_norm attention_norm;
    struct sl_linear intermediate; /* [intermediate, hidden] */
    struct sl_linear output;       /* [hidden, intermediate] */
    struct sl_norm output_norm;
};

/* All of it borrowed until the encoder is destroyed; as large as `dims` says. */
struct sl_encoder_weights {
    struct sl_encoder_dims dims;
    const float *word_embeddings;     /* [vocab, hidden] */
    const float *position_embeddings; /* [positions, hidden] */
    const float *type_embeddings;     /* [hidden]: every token is of the first type. */
    struct sl_norm embeddings_norm;
    const struct sl_encoder_layer *layers;
};

struct sl_encoder_options {
    uint32_t threads;                /* 0: sl_encoder_threads_default; at most 64. */
    uint32_t tokens_per_pass_max;    /* 0: a default; never less than dims.positions_count. */
    bool pools_first_token;          /* The vector is the first token's; else the mean of all. */
    bool is_normalized;              /* Scale each vector to length 1. */
    const struct sl_tensor_ops *ops; /* NULL: the best there is. */
};

struct sl_encoder_batch {
    uint32_t count;         /* Texts. */
    const uint32_t *sizes;  /* Tokens of each: 1 to dims.positions_count. */
    const uint32_t *tokens; /* Of all texts, end to end. */
    float *ret_vectors;     /* [count, hidden] */
    /* Asked between layers, from the calling thread; NULL: never. */
    bool (*is_cancelled)(void *self);
    void *self;
};

struct sl_encoder;

/* As many threads as there are CPUs online, at most 4. */
uint32_t sl_encoder_threads_default(void);

/* Never NULL. `weights` and what it points to is borrowed. */
struct sl_encoder *sl_encoder_create(const struct sl_encoder_weights *weights,
                                     const struct sl_encoder_options *options);
void sl_encoder_destroy(struct sl_encoder **encoder); /* NULL inside is fine. */

/*
 * Encode a batch. SL_EINVAL: a token or a size out of range; nothing was done. SL_ECANCELED: the
 * vectors are undefined. A text's vector does not depend on its order in the batch; its last bits
 * may depend on the company it is in.
 */
SL_MUST_CHECK
enum sl_err sl_encoder_encode(struct sl_encoder *encoder, const struct sl_encoder_batch *batch);

#endif
