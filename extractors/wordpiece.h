/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wordpiece.h - the tokeniser of BERT-like models: clean, space out ideographs, fold case and
 * accents, split at white space and punctuation, then match the longest known pieces greedily.
 * It gives the ids that Hugging Face's BertTokenizer gives, with one difference: "[SEP]" and the
 * like, written in a text, are text. A tenant's document has no business steering the model.
 *
 * Threading: read only once created; any thread may encode.
 */
#ifndef SL_EXTRACTORS_WORDPIECE_H
#define SL_EXTRACTORS_WORDPIECE_H

#include "runtime/base.h"
#include "runtime/buf.h"

#define SL_WORDPIECE_WORD_MAX   100 /* Characters; a longer word is [UNK]. */
#define SL_WORDPIECE_TOKENS_MIN 3   /* [CLS], something, [SEP] */

struct sl_wordpiece;

/*
 * Read a vocabulary: a token a line, the line's number is its id. `vocabulary` is borrowed until
 * destroy. Tokens at or above `ids_count_max` (rows of the embedding table) are refused.
 * SL_EINVAL: no [UNK], [CLS] or [SEP], or too many tokens. `is_lower_case` folds case and accents.
 */
SL_MUST_CHECK
enum sl_err sl_wordpiece_create(struct sl_slice vocabulary, uint32_t ids_count_max,
                                bool is_lower_case, struct sl_wordpiece **ret_tokenizer);
void sl_wordpiece_destroy(struct sl_wordpiece **tokenizer); /* NULL inside is fine. */

/*
 * Append, as such a vocabulary, what a tokenizer.json holds. SL_EINVAL: not one of a WordPiece
 * model, or its ids do not run from 0 without gaps.
 */
SL_MUST_CHECK
enum sl_err sl_wordpiece_vocabulary(struct sl_slice tokenizer_json, struct sl_buf *vocabulary);

/*
 * Write [CLS], the pieces of `text` and [SEP]: at most `count_max` (>= SL_WORDPIECE_TOKENS_MIN)
 * ids; pieces beyond that are cut off. Return how many. Any bytes are a text.
 */
uint32_t sl_wordpiece_encode(const struct sl_wordpiece *tokenizer, struct sl_slice text,
                             uint32_t *ret_ids, uint32_t count_max);

#endif
