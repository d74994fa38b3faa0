/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.h - one object of a bucket, from a client's JSON to a source row and back. Errors of one
 * object are kept apart from the call, since a bulk call survives them.
 *
 *     body --read--> item --place (unique key)--> id --> put
 */
#ifndef SL_GATEWAY_OBJECT_H
#define SL_GATEWAY_OBJECT_H

#include "actors/source.h"
#include "gateway/bucket.h"
#include "object-store/blob.h"

#define SL_OBJECT_FIELDS_SIZE_MAX                                                                  \
    ((size_t)1024 * 1024) /* Root fields; larger values are blobs.                                 \
                           */
#define SL_OBJECT_BLOBS_MAX 100

struct sl_fault {
    enum sl_api_error error;
    const char *loc;     /* NULL: of no one place. */
    const char *message; /* NULL: no fault. */
};

struct sl_object_target { /* Where objects go; the same for all of a call. */
    const char *bucket;
    struct sl_json schema, unique_fields;
    const char *policy; /* "insert", "update", "upsert"; "": none */
    int64_t count_added, bytes_added;
};

struct sl_object {
    const char *id;
    struct sl_source source; /* Slices are arena memory. */
    struct sl_fault fault;
    bool skips_duplicates; /* The client's wish; */
    bool is_duplicate;     /* after placing: it is another one that is there already. */
};

/* A value that was stored as a blob before the transaction. */
struct sl_staged {
    const uint8_t *at; /* Where its JSON begins in the body. */
    struct sl_slice bytes;
    struct sl_blob blob;
    bool is_address;        /* `bytes` is one, and the blob what it names. */
    enum sl_err error;      /* Of an address; the cause is for the client. */
    const char *cause;      /* Arena or static. */
    const char *media_type; /* Of what the address named; "": unknown. Arena. */
};
struct sl_staging {
    uint32_t count, capacity; /* While `values` is NULL, stage counts how many there will be. */
    uint32_t addresses;
    struct sl_staged *values;
    enum sl_err error;
};

/* Fill *ret_object from a body. False: the fault says why. */
bool sl_object_read(struct sl_call *call, const struct sl_object_target *target,
                    struct sl_json body, struct sl_object *ret_object);
/* The same for a body without blobs, whose blobs are known: a change of an object. */
bool sl_object_read_over(struct sl_call *call, const struct sl_object_target *target,
                         struct sl_json body, struct sl_slice blobs, struct sl_object *ret_object);
/* Find its place by unique key and policy, and stage it. False: the fault says why. */
bool sl_object_place(struct sl_call *call, struct sl_object_target *target,
                     struct sl_object *object);
/* Fail the call with an object's fault. */
void sl_object_raise(struct sl_call *call, const struct sl_fault *fault);
/* Stage what the target has counted. False: the call has failed, it is too much for its tenant. */
bool sl_object_count(struct sl_call *call, const struct sl_object_target *target);
/* Stage a changed object at its id; `old` is how it was. */
bool sl_object_replace(struct sl_call *call, struct sl_object_target *target,
                       struct sl_object *object, const struct sl_source *old);
/* The Object. */
void sl_object_write(struct sl_call *call, const char *bucket, const struct sl_object *object,
                     struct sl_jsonw *w);
/* Does the object, as sl_object_write shows it, hold? What it takes of the arena stays. */
struct sl_filter;
bool sl_object_holds(struct sl_call *call, const char *bucket, const struct sl_object *o,
                     const struct sl_filter *filter);

/* Collect, or count, the values of a body that are too large for a row or are addresses. */
void sl_object_stage(struct sl_call *call, struct sl_json body, struct sl_staging *staging);
/*
 * For a handler of objects: store these values on the I/O pool first. True: the call waits, and
 * `then` comes back with their blobs; or it has failed. In `then`, and without such values: false.
 * `objects` is an array of bodies; NONE: the call's body is the only one.
 */
bool sl_staging_wait(struct sl_call *call, struct sl_json objects, sl_handler_fn *then);
/* Begin such a handler: false when what it staged could not be stored, and the call has failed. */
bool sl_staging_check(struct sl_call *call);
/* Is the member no user field? */
bool sl_object_is_reserved(struct sl_json name);
/* The key under SL_TABLE_SOURCE, and under SL_TABLE_UNIQUE. Arena. */
struct sl_slice sl_object_key(struct sl_call *call, const char *bucket, const char *id);
struct sl_slice sl_object_unique_key(struct sl_call *call, const char *bucket,
                                     struct sl_slice unique);

#endif
