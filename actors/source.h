/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - a source (an API object) as it is stored: what tasks read their inputs from.
 */
#ifndef SL_ACTORS_SOURCE_H
#define SL_ACTORS_SOURCE_H

#include "runtime/base.h"
#include "runtime/buf.h"

/*
 * `fields` is a JSON object of user fields. `blobs` is a JSON array of
 *   {"blob_id","property","type","data": any | "blob": 64 hex digits of a stored blob,
 *    "size_bytes","mime_type","metadata"}; exactly one of data and blob.
 * `extra` is a JSON object that only the gateway reads (status, key_prefix...).
 */
struct sl_source {
    uint64_t created_ms, updated_ms;
    uint64_t size_bytes;    /* Of its content: blobs and fields. */
    struct sl_slice unique; /* Its unique key's canonical text; empty: none. */
    struct sl_slice fields;
    struct sl_slice blobs;
    struct sl_slice extra;
};

void sl_source_encode(const struct sl_source *s, struct sl_buf *out);
/* Slices are borrowed from `bytes`. SL_ECORRUPT. */
SL_MUST_CHECK enum sl_err sl_source_decode(struct sl_slice bytes, struct sl_source *ret_source);

#endif
