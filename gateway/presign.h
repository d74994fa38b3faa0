/* SPDX-License-Identifier: Apache-2.0 */
/*
 * presign.h - addresses that may be written to without a key: what they allow is in their query,
 * and signed (HMAC-SHA256), so that the front can check them without the store.
 *
 *   .../uploads/{upload}/content?scope=7&expires=1700000000&size=1048576&signature=HEX
 *
 * Threading: pure: any thread.
 */
#ifndef SL_GATEWAY_PRESIGN_H
#define SL_GATEWAY_PRESIGN_H

#include "gateway/call.h"

struct sl_presigned {
    const char *bucket, *upload; /* Ids: no '\n' in them. */
    uint64_t scope;              /* The tenant's. */
    uint64_t expires_s;          /* Since 1970. */
    uint64_t size_bytes_max;
};

/* Path and query, arena memory. */
const char *sl_presign(struct sl_call *call, const uint8_t *secret, const struct sl_presigned *p);
/* Read and check the call's path parameters and query. False: not signed by us, or expired. */
bool sl_presign_check(struct sl_call *call, const uint8_t *secret,
                      struct sl_presigned *ret_presigned);

/* The same for reading a blob of an object. */
struct sl_presigned_read {
    const char *bucket, *object, *blob; /* Ids: no '\n' in them. */
    uint64_t scope, expires_s;
};
const char *sl_presign_read(struct sl_call *call, const uint8_t *secret,
                            const struct sl_presigned_read *p);
bool sl_presign_read_check(struct sl_call *call, const uint8_t *secret,
                           struct sl_presigned_read *ret_presigned);

#endif
