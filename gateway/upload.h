/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upload.h - a presigned upload, whatever it is for: uploads.c has those of buckets' objects,
 * model/presign.c those of an organization's models, under a bucket's id that is none's.
 *
 *   begin --> I/O thread makes the file --> begun: a row PENDING, with an address to PUT to
 *   confirm: check --> what came becomes what it is for --> COMPLETED
 */
#ifndef SL_GATEWAY_UPLOAD_H
#define SL_GATEWAY_UPLOAD_H

#include "gateway/call.h"

/* ---- rows ---------------------------------------------------------------------------------- */
/* Arena. */
struct sl_slice sl_upload_key(struct sl_call *call, const char *bucket, const char *id);
/* The row of an upload of this bucket. False: there is none; the call is left alone. */
bool sl_upload_lookup(struct sl_call *call, const char *bucket, struct sl_slice id,
                      struct sl_json *ret_row);
/* Confirmed: its bytes are the blob that the row's "file_hash" names. */
bool sl_upload_is_complete(struct sl_json row);
uint64_t sl_upload_size(struct sl_json row); /* Bytes, of one that is complete. */
/* Never confirmed, and its address has expired. */
bool sl_upload_is_over(struct sl_json row, uint64_t now_ms);
/* A row as its reader sees it. */
void sl_upload_write(struct sl_json row, struct sl_jsonw *w);

/* ---- making one ---------------------------------------------------------------------------- */
/* Forget some of the bucket's that are over, make a file, then `then`; 503 where there is no room.
 * Takes call->state. */
void sl_upload_begin(struct sl_call *call, const char *bucket, sl_handler_fn *then);
/* In `then`: the new upload's id, or NULL: 503, the file could not be made. */
const char *sl_upload_begun(struct sl_call *call);
/* When the address of a new one expires, in seconds since 1970. */
uint64_t sl_upload_expires_s(const struct sl_call *call);
/* Where to PUT: of `file_size_bytes` of the body, or of at most this size. Arena. */
const char *sl_upload_address(struct sl_call *call, const char *bucket, const char *id,
                              uint64_t size_bytes_max);

/* ---- confirming ---------------------------------------------------------------------------- */
/*
 * Whether all came, and is what the row and the request say; false: 400. *ret_etag is its SHA-256
 * in hex.
 */
bool sl_upload_check(struct sl_call *call, struct sl_json row, struct sl_slice *ret_etag);

#endif
