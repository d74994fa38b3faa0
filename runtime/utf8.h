/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utf8.h - the two questions asked of UTF-8 text. Overlong forms, surrogates and code points above
 * U+10FFFF are not UTF-8.
 */
#ifndef SL_RUNTIME_UTF8_H
#define SL_RUNTIME_UTF8_H

#include "runtime/base.h"

/* Bytes of the sequence that starts at `at` (at < end): 1 to 4, or 0 when it is not valid. */
size_t sl_utf8_size(const uint8_t *at, const uint8_t *end);

/* Write `code` (a Unicode scalar value) as 1 to 4 bytes and return how many. */
size_t sl_utf8_encode(uint32_t code, uint8_t ret_bytes[static 4]);

bool sl_utf8_is_valid(struct sl_slice text);

#endif
