/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_hash.h - the built-in embedder, for when no model is deployed: texts that share words, word
 * stems or parts of words get vectors that point the same way. Of meaning it knows a few hundred
 * classes of English and computing words ("folder" and "directory", "delete" and "remove"); other
 * words for one thing are strangers. It is made for short passages and for questions about them:
 * the first words of a text count most. It needs no state, so vectors made anywhere can be
 * compared.
 *
 * Weights are integers until the last division and square root, so a text has one vector, bit by
 * bit, on every machine. A change of what comes out is a new index name.
 *
 * Pure; any thread.
 */
#ifndef SL_EXTRACTORS_TEXT_HASH_H
#define SL_EXTRACTORS_TEXT_HASH_H

#include "runtime/base.h"

#define SL_TEXT_HASH_INDEX      "text_hash_v1"
#define SL_TEXT_HASH_DIMENSIONS 1024

/* Write the vector of `text` (any bytes), of length 1. An empty text has one too. */
void sl_text_hash(struct sl_slice text, float ret_vector[static SL_TEXT_HASH_DIMENSIONS]);

#endif
