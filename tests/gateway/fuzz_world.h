/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_world.h - a gateway without sockets for fuzzing: the front's checks over a request that was
 * never sent, the handlers over a real store in a temporary directory. Libmicrohttpd's look-ups are
 * answered by fuzz_world.c, and so is what handlers ask of the api actor.
 */
#ifndef SL_TESTS_GATEWAY_FUZZ_WORLD_H
#define SL_TESTS_GATEWAY_FUZZ_WORLD_H

#include "gateway/call.h"

#define FUZZ_PAIRS_MAX 128

struct fuzz_request {
    const char *method, *url;                                      /* Without the query. */
    struct sl_pair headers[FUZZ_PAIRS_MAX], query[FUZZ_PAIRS_MAX]; /* NUL-terminated, raw. */
    uint32_t headers_count, query_count, head_bytes;
    struct sl_slice body;
};

/*
 * Answer a request; the call belongs to the caller. NULL: its route takes a form or an upload,
 * which are libmicrohttpd's to read. A request without Authorization has a tenant's key.
 */
struct sl_call *fuzz_answer(const struct fuzz_request *request);

/* Ids of what exists in the world, by the first letter of what they name; NULL: there is none. */
const char *fuzz_id(char letter);

/* Make a world at the first call; make another one when the last has been changed a lot. */
void fuzz_world_ready(void);

/* Is the status one that /openapi.json has for the call's operation, or one of any request? */
bool fuzz_is_stated(const struct sl_call *call);

#endif
