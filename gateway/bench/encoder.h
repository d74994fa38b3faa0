/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/encoder.h - the encoder's arithmetic in double precision, one number after the other: slow,
 * and written from the model's definition, so that it can say how far the fast one is off.
 * Threading: none of its own; reads the layout only.
 */
#ifndef SL_GATEWAY_BENCH_ENCODER_H
#define SL_GATEWAY_BENCH_ENCODER_H

#include "object-store/bert_layout.h"

/*
 * Encode one text of `size` tokens, 1 or more; hidden_size numbers go to ret_vector. The tensors
 * must be F32.
 */
void sl_bench_reference(const struct sl_bert_layout *layout, const uint32_t *tokens, uint32_t size,
                        double *ret_vector);

#endif
