/* SPDX-License-Identifier: Apache-2.0 */
/* upload.h - what other resources ask about presigned uploads. */
#ifndef SL_GATEWAY_UPLOAD_H
#define SL_GATEWAY_UPLOAD_H

#include "gateway/call.h"

/* The row of an upload of this bucket. False: there is none; the call is left alone. */
bool sl_upload_lookup(struct sl_call *call, const char *bucket, struct sl_slice id,
                      struct sl_json *ret_row);
/* Confirmed: its bytes are the blob that the row's "file_hash" names. */
bool sl_upload_is_complete(struct sl_json row);
uint64_t sl_upload_size(struct sl_json row); /* Bytes, of one that is complete. */
/* Never confirmed, and its address has expired. */
bool sl_upload_is_over(struct sl_json row, uint64_t now_ms);

#endif
