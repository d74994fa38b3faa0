/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unicode.h - as much of Unicode as text extraction needs: decode UTF-8, tell white space,
 * punctuation and word characters apart, fold case and accents away. Pure functions over static
 * tables (scripts/unicode-tables); any thread.
 */
#ifndef SL_EXTRACTORS_UNICODE_H
#define SL_EXTRACTORS_UNICODE_H

#include "runtime/base.h"

#define SL_UNICODE_REPLACEMENT 0xFFFDu
#define SL_UNICODE_FOLD_MAX    3 /* Code points one folds to, at most. */

enum sl_unicode_class {
    SL_UNICODE_OTHER = 0, /* Symbols, emoji, what is not assigned. */
    SL_UNICODE_SPACE,
    SL_UNICODE_DROP,  /* Control, format and private characters, U+0000, U+FFFD. */
    SL_UNICODE_PUNCT, /* Category P, and all printable ASCII that is no letter or digit. */
    SL_UNICODE_MARK,  /* Non-spacing marks: accents on their own. */
    SL_UNICODE_WORD   /* Letters, digits and spacing marks. */
};

/*
 * Decode the code point at *at (< end) and advance *at past it. Never fails: a byte that starts no
 * valid sequence gives SL_UNICODE_REPLACEMENT and advances by one.
 */
uint32_t sl_unicode_next(const uint8_t **at, const uint8_t *end);

enum sl_unicode_class sl_unicode_class(uint32_t c);

/* Ideographs, which are words by themselves. Not kana, not Hangul. */
bool sl_unicode_is_cjk(uint32_t c);

/*
 * Lower case without accents: the canonical decomposition, less non-spacing marks, each in lower
 * case. Return how many code points were written: 0 for a mark.
 */
size_t sl_unicode_fold(uint32_t c, uint32_t ret_folded[static SL_UNICODE_FOLD_MAX]);

#endif
