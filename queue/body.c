/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/body.h"

#include "runtime/hash.h"

#define CRC_SIZE 4 /* Little endian, before the bytes. */

enum sl_err
sl_body_read(struct sl_store *store, struct sl_body body, struct sl_slice *ret_bytes)
{
    if (body.size == 0) {
        *ret_bytes = (struct sl_slice){0};
        return SL_OK;
    }
    struct sl_log_at at = {body.at.segment, body.at.offset - CRC_SIZE};
    struct sl_slice bytes;
    enum sl_err err = sl_store_read(store, at, body.size + CRC_SIZE, &bytes);
    if (err != SL_OK)
        return err;
    struct sl_reader r = sl_reader(bytes);
    uint32_t crc = sl_read_u32(&r);
    struct sl_slice rest = sl_read_bytes(&r, body.size);
    if (r.is_bad || sl_crc32c(0, rest.data, rest.size) != crc)
        return SL_ECORRUPT;
    *ret_bytes = rest;
    return SL_OK;
}

enum sl_err
sl_lease_read(struct sl_store *store, struct sl_lease *lease, struct sl_buf *copy)
{
    struct sl_slice bytes;
    enum sl_err err = sl_body_read(store, lease->body, &bytes);
    if (err != SL_OK)
        return err;
    sl_buf_clear(copy);
    sl_buf_append_slice(copy, bytes);
    lease->payload = sl_buf_slice(copy);
    return SL_OK;
}
