/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoder_model.h - from a mapped model to an encoder and its tokeniser. fp32 weights are used
 * where they lie, in memory that all replicas share; halves are converted once, into memory of our
 * own.
 *
 * Threading: as encoder.h.
 */
#ifndef SL_EXTRACTORS_ENCODER_MODEL_H
#define SL_EXTRACTORS_ENCODER_MODEL_H

#include "extractors/encoder.h"
#include "extractors/wordpiece.h"
#include "object-store/bert_layout.h"

struct sl_encoder_model {
    struct sl_bert_layout *layout;
    struct sl_encoder_layer *layers;
    float *converted; /* NULL when all weights are fp32. */
    struct sl_buf vocabulary;
    struct sl_wordpiece *tokenizer;
    struct sl_encoder *encoder;
};

/*
 * Fill *ret from `model`, which is borrowed until deinit. `threads` as in sl_encoder_options.
 * Errors: those of sl_bert_layout_create; SL_EINVAL: a vocabulary that does not fit the model.
 * The cause says which.
 */
SL_MUST_CHECK
enum sl_err sl_encoder_model_init(struct sl_encoder_model *ret, const struct sl_model *model,
                                  uint32_t threads, struct sl_cause *ret_cause);
void sl_encoder_model_deinit(struct sl_encoder_model *m); /* Zeroed is fine. */

#endif
