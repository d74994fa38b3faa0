/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_stem.h - English words cut to what their forms share: compress for compresses, compressed,
 * compressing, compressor. It is enough that forms of one word meet; a stem need not be a word.
 *
 * Pure; any thread.
 */
#ifndef SL_EXTRACTORS_TEXT_STEM_H
#define SL_EXTRACTORS_TEXT_STEM_H

#include "runtime/base.h"

#define SL_TEXT_WORD_MAX 96

/* Code points, folded by sl_unicode_fold. */
struct sl_text_word {
    uint32_t letters[SL_TEXT_WORD_MAX];
    uint32_t count;
};

/* Cut `w` in place. Words of other scripts and of less than four letters stay as they are. */
void sl_text_stem(struct sl_text_word *w);

#endif
