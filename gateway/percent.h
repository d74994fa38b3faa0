/* SPDX-License-Identifier: Apache-2.0 */
/*
 * percent.h - percent-encoded text, and which texts may name things.
 */
#ifndef SL_GATEWAY_PERCENT_H
#define SL_GATEWAY_PERCENT_H

#include "runtime/base.h"

/*
 * Decode `text` into `ret_bytes`, which has room for text.size. SL_EINVAL: a '%' without two hex
 * digits, a NUL, or bytes that are no UTF-8; with is_strict also any control character.
 */
SL_MUST_CHECK enum sl_err sl_percent_decode(struct sl_slice text, bool is_strict,
                                            uint8_t *ret_bytes, size_t *ret_size);

/* 1 to size_max characters from '!' to '~', and ' ' inside. */
bool sl_is_printable(struct sl_slice text, size_t size_max);

#endif
