/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64.h - RFC 4648: bytes as text, in the standard and the URL alphabet.
 */
#ifndef SL_GATEWAY_BASE64_H
#define SL_GATEWAY_BASE64_H

#include "runtime/base.h"
#include "runtime/buf.h"

/* Append; standard with padding, URL alphabet without. */
void sl_base64_encode(struct sl_slice bytes, bool is_url, struct sl_buf *out);

/* Append the bytes of either alphabet, padded or not. SL_EINVAL: `out` is as it was. */
SL_MUST_CHECK enum sl_err sl_base64_decode(struct sl_slice text, struct sl_buf *out);

#endif
