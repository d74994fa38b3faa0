/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.h - the table of routes (routes.def) and of request schemas (schemas.def), and what is
 * derived from them: matching, validation, /openapi.json, metric labels. The formats of the two
 * tables are stated at their heads. All of it is constant: any thread.
 */
#ifndef SL_GATEWAY_ROUTE_H
#define SL_GATEWAY_ROUTE_H

#include "gateway/call.h"

enum sl_method {
    SL_GET,
    SL_POST,
    SL_PUT,
    SL_PATCH,
    SL_DELETE,
    SL_METHOD_COUNT,
    SL_ANY = SL_METHOD_COUNT /* In a row: every method. */
};

enum sl_body_kind {
    SL_BODY_NONE,      /* A body is read and ignored (clients send empty ones). */
    SL_BODY_JSON,      /* <= 10 MiB; empty reads as {}. */
    SL_BODY_JSON_BIG,  /* <= 50 MiB: inline blobs. */
    SL_BODY_MULTIPART, /* The part "file" is streamed to blob storage. */
    SL_BODY_UPLOAD     /* Bytes for an incoming file, at a presigned address: front/put.c. */
};

enum sl_route_flag {
    SL_ROUTE_NAMESPACE = 1,  /* Needs X-Namespace (or the only namespace there is). */
    SL_ROUTE_ENTERPRISE = 2, /* account_type enterprise, else 403. */
    SL_ROUTE_ANYWAY = 4096,  /* Also on a disk that is nearly full: it keeps somebody out. */
    SL_ROUTE_FOLLOW = 2048,  /* With ?follow=true it answers the events of its list as they come. */
    SL_ROUTE_UNLIMITED = 1024, /* A tenant's limits do not hold for it. */
    SL_ROUTE_CSV = 512,        /* It answers a table of text as well, where that is asked for. */
    SL_ROUTE_LOADS = 256,      /* It loads a model: 500 where the weights cannot be. */
    SL_ROUTE_SSE = 128,        /* It answers server-sent events; 204 where there will be none. */
    SL_ROUTE_RESOLVES = 64,    /* Its handler says what it runs on: struct sl_resolved. */
    SL_ROUTE_BYTES = 32,       /* It answers bytes of some type, not JSON. */
    SL_ROUTE_EVENTS = 16,      /* With "stream": true it answers server-sent events. */
    SL_ROUTE_FRONT = 8,        /* Runs on the front's thread: it needs no store and never waits. */
    SL_ROUTE_REFUSED = 4       /* Not served: 501 after the key check. */
};

/* One field of a request body. A schema is an array of them that ends with a NULL name. */
enum sl_field_kind {
    SL_FIELD_ANY,
    SL_FIELD_STRING,
    SL_FIELD_INTEGER,
    SL_FIELD_NUMBER,
    SL_FIELD_BOOLEAN,
    SL_FIELD_OBJECT,
    SL_FIELD_ARRAY,
    SL_FIELD_STRINGS /* array of strings */,
    SL_FIELD_TIME
};
struct sl_field {
    const char *name;
    const char *alias; /* Another accepted spelling, or NULL. */
    enum sl_field_kind kind;
    bool is_required;
    double min, max;     /* Numbers: value; strings: characters; arrays: items. Both 0: any. */
    const char *choices; /* "a|b|c": enum; NULL: any. */
    const struct sl_field *fields; /* Of an object, or of an array's object items. */
    const char *doc;
};

struct sl_route {
    enum sl_method method;
    const char *path; /* "/v1/buckets/{bucket}/objects": parameters fill params[] in order.
                         A last segment "*" stands for any rest, also an empty one. */
    const char *name; /* Operation id, also the metric label. */
    enum sl_permission permission;
    unsigned flags; /* enum sl_route_flag */
    enum sl_body_kind body;
    uint16_t success;
    const struct sl_field *schema; /* NULL: free. */
    sl_handler_fn *handler;
    const char *summary;
};

/* All routes, in the table's order. */
const struct sl_route *sl_routes(uint32_t *ret_count);

/*
 * Match a method and a raw path (percent-encoded, a trailing slash is ignored, literals win over
 * parameters). SL_ENOTFOUND: no such path; SL_EDENIED: the path exists, not with this method.
 * ret_params are raw slices of `path`.
 */
SL_MUST_CHECK enum sl_err sl_route_match(enum sl_method method, struct sl_slice path,
                                         const struct sl_route **ret_route,
                                         struct sl_slice ret_params[SL_CALL_PARAMS_MAX]);

/* The methods a path has, as bits 1 << enum sl_method: for the Allow header. */
unsigned sl_route_methods(struct sl_slice path);
const char *sl_method_name(enum sl_method method);

/*
 * Make a multipart call's body readable as JSON: an object of its fields, each a string, or what
 * its text says where the schema wants a number, boolean, array or object. Before
 * sl_route_validate.
 */
void sl_route_form_body(struct sl_call *call);

/* Check the body against the route's schema; failures are on the call (422, up to 32 of them). */
void sl_route_validate(struct sl_call *call);

/* The OpenAPI 3.1 document of the table. Owned by the caller. */
void sl_route_openapi(struct sl_buf *out);

#endif
