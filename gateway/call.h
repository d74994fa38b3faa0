/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.h - one API call, from the routed request to its reply. What a handler sees.
 *
 * The HTTP front (its own thread) matches the route, authenticates, checks permission, content type
 * and size, reads the body (or streams an upload to blob storage), parses the JSON, and hands the
 * call to the api actor. The api actor resolves the namespace, validates the body against the
 * route's schema, begins a transaction and runs the handler, which reads, stages writes and writes
 * its reply. The actor then commits (status < 400) or aborts, and the reply leaves when the commit
 * is durable.
 *
 *     front: route, key, permission, type, size, JSON --> api actor: namespace, schema --> handler
 *                                                                 ^                        |  ask
 *                                                                 `-- continuation <-------'
 *
 * Threading: a call is owned by one thread at a time: the front until posted, then the store's
 * thread.
 */
#ifndef SL_GATEWAY_CALL_H
#define SL_GATEWAY_CALL_H

#include <stdatomic.h>

#include "runtime/base.h"
#include "runtime/buf.h"
#include "runtime/json.h"
#include "runtime/random.h"
#include "runtime/store.h"
#include "gateway/call_parts.h"
#include "gateway/identity.h"

struct sl_after;
struct sl_arena;
struct sl_failure;
struct sl_route;
struct sl_call;
struct sl_gateway; /* Everything handlers share beside the store: see gateway.h. */

typedef void sl_handler_fn(struct sl_call *call);

struct sl_call {
    /* ---- the request: read only for handlers ---- */
    const struct sl_route *route;
    struct sl_identity who;
    char request_id[132];
    struct sl_slice params[SL_CALL_PARAMS_MAX]; /* Path parameters in order, decoded. */
    uint32_t query_count, form_count;
    struct sl_upload upload;
    struct sl_slice path;   /* As sent, without the query; lives as long as the call. */
    struct sl_buf body_buf; /* Holds body_text when it was sent as it is. */
    struct sl_slice body_text;
    struct sl_json_doc *body_doc;
    struct sl_json body;                         /* Root; an empty body reads as {}. */
    struct sl_slice namespace_header;            /* X-Namespace as sent; empty: none. */
    struct sl_slice idempotency_key, user_agent; /* As sent; empty: none. */
    struct sl_slice client, site; /* Its address; "https://HOST" that it asked. Empty: unknown. */
    struct sl_call_headers sent;  /* More of its headers. */
    char namespace_id[20];        /* Resolved, for routes that need one. */
    uint64_t timeout_ns;          /* X-Timeout-Ms: the reply is waited for so long. 0: not said. */
    uint64_t sticky;              /* X-Session-Id: those of a number go to one node. 0: not said. */
    uint64_t deadline_ns;         /* Of what embeds, by now_ns; 0: each text has the router's. */
    uint64_t now_ms, now_ns;      /* now_ns: monotonic, as leases go by. */

    /* ---- what a handler works with ---- */
    struct sl_gateway *gateway;
    struct sl_txn *txn; /* NULL in a continuation until it begins one. */
    struct sl_random *random;

    /* ---- the reply ---- */
    uint16_t status; /* Preset to the route's success code. */
    struct sl_buf reply;
    struct sl_jsonw out;    /* Writes to `reply`. */
    const char *reply_type; /* Content-Type of a success, static or arena; NULL: JSON. */
    int reply_fd;           /* The body of a success: a file, closed with the call. -1: none. */
    uint64_t reply_file_size;
    char reply_blob[65]; /* Which blob reply_fd is; "": none. */
    uint32_t headers_count;
    struct sl_arena *arena;     /* Freed with the call: see sl_call_format. */
    struct sl_after *after;     /* sl_call_after_commit's list, in order. */
    struct sl_failure *failure; /* Set by sl_call_fail and its like. */
    struct sl_resolved resolved;
    struct sl_wait wait;  /* How the last wait ended; the api actor's to fill. */
    bool is_waiting;      /* A continuation is to come: no reply yet. */
    bool is_audited;      /* Its event is staged, or was. */
    bool is_failure_kept; /* What was staged is committed although the call fails: its reason. */
    void *state;          /* The handler's own between ask and continuation. */
    void (*state_free)(void *state);
    struct sl_slice idempotent_row; /* The runner's: where the reply is to be stored. */
    struct sl_slice begun; /* What sl_idempotency_note stored when it ran before; empty: nothing. */
    uint32_t plane, front; /* The front's: which of its planes it goes to, and its own number. */
    struct sl_call *next;  /* Of a list of calls that the owner keeps. */
    uint64_t handle;       /* The poster's: which connection waits for the reply. */
    const atomic_bool *client_gone; /* Of a call of this process: who waits for it has gone. */
    struct sl_call_origin origin;
    struct sl_call_asker asker;
    struct sl_used used;
    void *internal; /* The api actor's. */
    /* ---- not zeroed in a new call: so many are there as their counts say ---- */
    struct sl_pair query[SL_CALL_QUERY_MAX];
    struct sl_pair form[SL_CALL_FORM_MAX]; /* Multipart fields. */
    struct sl_pair headers[12];            /* Extra reply headers, static or arena text. */
};

/* An empty call. Owned by the caller; destroy frees all that hangs on it. */
struct sl_call *sl_call_create(void);
void sl_call_destroy(struct sl_call **call);

/* ---- reading ------------------------------------------------------------------------------- */
/* Value of a query parameter or form field; empty slice with data NULL when absent. */
struct sl_slice sl_call_query(const struct sl_call *call, const char *name);
struct sl_slice sl_call_form(const struct sl_call *call, const char *name);
bool sl_call_query_bool(const struct sl_call *call, const char *name, bool fallback);

/* Text of a body string, unescaped; arena memory. Empty with data NULL when absent or no string. */
struct sl_slice sl_call_text(struct sl_call *call, struct sl_json v);
/* The first of two spellings that is present. */
struct sl_json sl_call_member(const struct sl_call *call, const char *name, const char *alias);
/* Arena memory: lives as long as the call. */
void *sl_call_alloc(struct sl_call *call, size_t size); /* Zeroed. */
char *sl_call_format(struct sl_call *call, const char *format, ...) SL_PRINTF(2, 3);
struct sl_slice sl_call_copy(struct sl_call *call, struct sl_slice s); /* NUL after the end. */

/* ---- failing: replaces whatever was written; the transaction will be aborted ---------------- */
/* One row of gateway/error.def by name: status and `type`. */
enum sl_api_error {
#define API_ERROR(name, status, type) SL_API_##name,
#include "gateway/error.def"
    SL_API_ERROR_COUNT
};
void sl_call_fail(struct sl_call *call, enum sl_api_error error, const char *format, ...)
    SL_PRINTF(3, 4);
/* The status alone, for failures whose reply is written by hand. */
uint16_t sl_api_error_status(enum sl_api_error error);
const char *sl_api_error_type(enum sl_api_error error);
/* Add to error.details of a failed call. */
void sl_call_detail(struct sl_call *call, const char *name, const char *text);
void sl_call_detail_raw(struct sl_call *call, const char *name, struct sl_slice json);
/* 422 with detail [{loc, msg, type}]; loc like "body.stages.0.config". May be called repeatedly. */
void sl_call_invalid(struct sl_call *call, const char *loc, const char *type, const char *format,
                     ...) SL_PRINTF(4, 5);
void sl_call_not_found(struct sl_call *call, const char *resource, struct sl_slice id);
bool sl_call_has_failed(const struct sl_call *call);
const char *sl_call_failure(const struct sl_call *call); /* Of one that has: its message. */
/* Forget a failure and what was written: the call is as before its handler ran. */
void sl_call_reset(struct sl_call *call);
/* Add a reply header. Both texts are static or arena memory. More than fit are dropped. */
void sl_call_header(struct sl_call *call, const char *name, const char *value);
#include "gateway/ask.h"

#endif
