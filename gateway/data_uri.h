/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data_uri.h - content within an address (RFC 2397): data:text/plain;charset=utf-8;base64,aGVsbG8=
 */
#ifndef SL_GATEWAY_DATA_URI_H
#define SL_GATEWAY_DATA_URI_H

#include "runtime/base.h"
#include "runtime/buf.h"

struct sl_data_uri {
    struct sl_slice media_type; /* Without parameters; empty: not said. */
    struct sl_slice content;    /* As it is written: base64, or percent-encoded. */
    bool is_base64;
};

/* SL_EINVAL: the text is none, but perhaps a sentence that begins with "data:". Borrows. */
SL_MUST_CHECK enum sl_err sl_data_uri_parse(struct sl_slice text, struct sl_data_uri *ret_uri);
/* Append the bytes. SL_EINVAL: no base64, or a '%' without two hex digits. */
SL_MUST_CHECK enum sl_err sl_data_uri_decode(const struct sl_data_uri *uri, struct sl_buf *out);
/* Does it say that it is text? */
bool sl_data_uri_is_text(const struct sl_data_uri *uri);

#endif
