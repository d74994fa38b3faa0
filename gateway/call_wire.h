/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call_wire.h - a call and its reply as bytes, for a head in another process. Pure: nothing is
 * opened, looked up (but the route, by method and path pattern) or believed. Files go by name: an
 * upload's lies in blobs/tmp, a reply's is a blob.
 *
 *   request: version, method, pattern, who, ids, path, params, query, form, upload, headers, body
 *   reply:   version, status, type, headers, blob, what it resolved to, body
 *
 * Numbers are little endian, texts are blocks (u32 size, bytes); every count and size is checked.
 */
#ifndef SL_GATEWAY_CALL_WIRE_H
#define SL_GATEWAY_CALL_WIRE_H

#include "gateway/call.h"

/* Append the request of a call that passed a front. */
void sl_call_request_write(const struct sl_call *call, struct sl_buf *out);
/*
 * Make the call again; the caller owns it. Of `who` the digest of the key, the permissions and so
 * on are as the sender says: to be checked. SL_ECORRUPT; SL_ENOTFOUND: the route is unknown here.
 */
SL_MUST_CHECK enum sl_err sl_call_request_read(struct sl_slice text, struct sl_call **ret_call);

/* Append the reply of a call that has ended. */
void sl_call_reply_write(const struct sl_call *call, struct sl_buf *out);
/* Fill the reply into a call that waits for it. SL_ECORRUPT: the call is as it was. */
SL_MUST_CHECK enum sl_err sl_call_reply_read(struct sl_slice text, struct sl_call *call);

#endif
