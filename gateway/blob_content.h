/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blob_content.h - addresses that an object's blobs can be read from without a key, for an hour:
 *
 *   .../objects/{object}/blobs/{blob}/content?scope=7&expires=1700000000&signature=HEX
 *
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_BLOB_CONTENT_H
#define SL_GATEWAY_BLOB_CONTENT_H

#include "gateway/call.h"

/* The whole address of a blob of an object; NULL: no address can be signed here. Arena. */
const char *sl_blob_presign(struct sl_call *call, const char *bucket, const char *object,
                            struct sl_json blob);

#endif
