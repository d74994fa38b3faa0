/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_fetch.h - content that a client names by its address: a file below the configured root,
 * or http(s). It is copied into blob storage when the object is made, and the request waits for it.
 *
 * Threading: one of the I/O pool: blocks on disk and network.
 */
#ifndef SL_GATEWAY_SOURCE_FETCH_H
#define SL_GATEWAY_SOURCE_FETCH_H

#include <stdatomic.h>

#include "object-store/blob.h"

struct sl_source_rules {
    const char *file_root;   /* "": no files. */
    uint64_t size_bytes_max; /* Of one. */
    uint64_t timeout_ns;     /* Of all addresses of a request; given to fetch, of that one. */
    bool is_private_allowed; /* http(s) to addresses that only this machine's network has. */
    const atomic_bool *is_cancelled; /* Then fetches end within a second or so; NULL: never. */
};

#define SL_SOURCES_AT_ONCE 4   /* Requests that may fetch at a time; each holds an I/O thread. */
#define SL_SOURCES_MAX     100 /* Addresses in one request. */

struct sl_source_found {
    struct sl_blob blob;
    char media_type[128]; /* As the server says, without parameters; "": unknown. */
    char cause[320];      /* On failure: for the client, what went wrong. */
};

/* The bytes of a JSON string, as they are written: may it be an address? Cheap; true says little.
 */
bool sl_source_may_be_address(struct sl_slice raw);

/* Is the text one address, and so not content? */
bool sl_source_is_address(struct sl_slice text);

/* The type of field that what `url` names most likely is, by the ending of its path: "image",
 * "audio", "video", "pdf", "excel", else "text". */
const char *sl_source_type(struct sl_slice url);

/* Copy what `url` names into a blob; *ret_found is filled whatever is returned. */
SL_MUST_CHECK enum sl_err sl_source_fetch(const struct sl_source_rules *rules,
                                          struct sl_blobs *blobs, struct sl_slice url,
                                          struct sl_source_found *ret_found);
/* May a failure of sl_source_fetch pass by itself? Else it is the address's own. */
bool sl_source_may_pass(enum sl_err err);

#endif
