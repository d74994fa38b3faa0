/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode_serve.h - encode-tool under the hand of a benchmark: it holds a set of texts and times
 * what it is asked for, so that slices can alternate with another program's.
 */
#ifndef SL_TESTS_EXTRACTORS_ENCODE_SERVE_H
#define SL_TESTS_EXTRACTORS_ENCODE_SERVE_H

#include "extractors/encoder_model.h"

/*
 * `texts` end in NUL. Answers each line on standard input by one on standard output:
 *   tokenize   seconds for the ids of all texts, and how many ids
 *   encode     seconds for the vectors of all texts, tokenised before
 *   query      seconds for one text of 32 tokens: the median of several, and its FLOPs
 *   peak       GFLOP/s of fused multiply-adds on one core: the machine's limit
 *   vectors    the vectors of the first 16 texts, as little-endian floats
 */
int encode_serve(struct sl_encoder_model *m, struct sl_slice texts);

#endif
