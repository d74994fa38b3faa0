/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.h - one API call, from the routed request to its reply. What a handler sees.
 *
 * The HTTP front (its own thread) matches the route, authenticates, checks permission, content type
 * and size, reads the body (or streams an upload to blob storage), parses the JSON, and hands the call
 * to the api actor. The api actor resolves the namespace, validates the body against the route's
 * schema, begins a transaction and runs the handler, which reads, stages writes and writes its reply.
 * The actor then commits (status < 400) or aborts, and the reply leaves when the commit is durable.
 *
 *     front: route, key, permission, type, size, JSON --> api actor: namespace, schema --> handler
 *                                                                 ^                        |  ask
 *                                                                 `-- continuation <-------'
 *
 * Threading: a call is owned by one thread at a time: the front until posted, then the store's thread.
 */
#ifndef SL_GATEWAY_CALL_H
#define SL_GATEWAY_CALL_H

#include "runtime/base.h"
#include "runtime/buf.h"
#include "runtime/json.h"
#include "runtime/random.h"
#include "runtime/store.h"

#include "actors/index.h"
#include "queue/queue.h"

#define SL_CALL_PARAMS_MAX 6
#define SL_CALL_QUERY_MAX  24
#define SL_CALL_FORM_MAX   24

enum sl_permission { /* What a route asks of a key. */
    SL_PERMIT_NONE,     /* Public: no key is looked at. */
    SL_PERMIT_READ,
    SL_PERMIT_WRITE,
    SL_PERMIT_DELETE,
    SL_PERMIT_ADMIN,
    SL_PERMIT_OPERATOR
};
#define SL_PERMIT_BIT(p) (1u << (p))

/* Who calls, as the key says. Copied out of the keyring: no pointer into it. */
struct sl_identity {
    struct sl_scope scope;      /* The tenant's rows; X-Tenant-Id of an operator changes it. */
    uint32_t permissions;       /* SL_PERMIT_BIT of each. */
    bool is_operator;
    char tenant_id[64];
    char organization_id[24];
    char key_id[24];
    char user_id[24];
    char account_type[16];      /* free, pro, team, enterprise */
};

struct sl_pair {
    struct sl_slice name, value; /* Percent-decoded. */
};

struct sl_upload { /* A file part that was streamed to blob storage. */
    char blob[65];               /* SHA-256, hex; "" when there is none. */
    uint64_t size_bytes;
    struct sl_slice filename;
};

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
    struct sl_pair query[SL_CALL_QUERY_MAX];
    uint32_t query_count;
    struct sl_pair form[SL_CALL_FORM_MAX];      /* Multipart fields. */
    uint32_t form_count;
    struct sl_upload upload;
    struct sl_slice body_text;
    struct sl_json_doc *body_doc;
    struct sl_json body;                        /* Root; an empty body reads as {}. */
    struct sl_slice namespace_header;           /* X-Namespace as sent; empty: none. */
    struct sl_slice idempotency_key;
    char namespace_id[20];                      /* Resolved, for routes that need one. */
    uint64_t now_ms;

    /* ---- what a handler works with ---- */
    struct sl_gateway *gateway;
    struct sl_txn *txn;                         /* NULL in a continuation until it begins one. */
    struct sl_random *random;

    /* ---- the reply ---- */
    uint16_t status;                            /* Preset to the route's success code. */
    struct sl_buf reply;
    struct sl_jsonw out;                        /* Writes to `reply`. */
    struct sl_pair headers[4];                  /* Extra reply headers, static or arena text. */
    uint32_t headers_count;

    struct sl_arena *arena;                     /* Freed with the call: see sl_call_format. */
    bool is_waiting;                            /* A continuation is to come: no reply yet. */
    void *state;                                /* The handler's own between ask and continuation. */
    void (*state_free)(void *state);
    void *internal;                             /* The api actor's and the front's. */
};

/* ---- reading ------------------------------------------------------------------------------------ */
/* Value of a query parameter or form field; empty slice with data NULL when absent. */
struct sl_slice sl_call_query(const struct sl_call *call, const char *name);
struct sl_slice sl_call_form(const struct sl_call *call, const char *name);
bool sl_call_query_bool(const struct sl_call *call, const char *name, bool fallback);

/* Text of a body string, unescaped; arena memory. Empty with data NULL when absent or no string. */
struct sl_slice sl_call_text(struct sl_call *call, struct sl_json v);
/* The first of two spellings that is present (api.md 1.10). */
struct sl_json sl_call_member(const struct sl_call *call, const char *name, const char *alias);

/* Arena memory: lives as long as the call. */
void *sl_call_alloc(struct sl_call *call, size_t size); /* Zeroed. */
char *sl_call_format(struct sl_call *call, const char *format, ...) SL_PRINTF(2, 3);
struct sl_slice sl_call_copy(struct sl_call *call, struct sl_slice s); /* NUL after the end. */

/* ---- failing: replaces whatever was written; the transaction will be aborted ------------------- */
/* One row of gateway/error.def by name: status and `type`. */
enum sl_api_error {
#define API_ERROR(name, status, type) SL_API_##name,
#include "gateway/error.def"
    SL_API_ERROR_COUNT
};
void sl_call_fail(struct sl_call *call, enum sl_api_error error, const char *format, ...)
    SL_PRINTF(3, 4);
/* Add to error.details of a failed call. */
void sl_call_detail(struct sl_call *call, const char *name, const char *text);
void sl_call_detail_raw(struct sl_call *call, const char *name, struct sl_slice json);
/* 422 with detail [{loc, msg, type}]; loc like "body.stages.0.config". May be called repeatedly. */
void sl_call_invalid(struct sl_call *call, const char *loc, const char *type, const char *format,
                     ...) SL_PRINTF(4, 5);
void sl_call_not_found(struct sl_call *call, const char *resource, struct sl_slice id);
bool sl_call_has_failed(const struct sl_call *call);

/* ---- waiting ------------------------------------------------------------------------------------ */
/*
 * Embed a text with what makes `index` of a collection's extraction (row JSON): the continuation finds
 * the vector in ret of sl_call_embedding, or NULL after a failure (it then calls sl_call_fail itself
 * by sl_call_fail_wait). The call's transaction is ended before waiting; the continuation gets a new one.
 */
void sl_call_embed(struct sl_call *call, struct sl_json extraction, struct sl_slice text,
                   sl_handler_fn *then);
const float *sl_call_embedding(const struct sl_call *call, uint32_t *ret_dimensions);

/* Run `work` on the I/O pool (blocking is fine there, the store is not to be touched), then `then`. */
void sl_call_work(struct sl_call *call, void (*work)(struct sl_call *call), sl_handler_fn *then);

/* Load a model into the object store of a node (or drop it), then `then`. */
void sl_call_model_load(struct sl_call *call, struct sl_slice namespace_id, struct sl_slice model_id,
                        const char *directory, sl_handler_fn *then);
/* How the wait ended: SL_OK, SL_ETIMEOUT, SL_EUNAVAIL, SL_EFULL...; with a message. */
enum sl_err sl_call_wait_error(const struct sl_call *call, struct sl_slice *ret_message);
/* Turn the wait's error into the reply: 503 (with Retry-After) for EUNAVAIL/EFULL/ETIMEOUT, else 500/422. */
void sl_call_fail_wait(struct sl_call *call);

/*
 * Run `then` on the store's thread right after this call's transaction was committed, in the order of
 * these calls; never after a failure. What follows the catalogue in memory is changed there: the
 * keyring, the vector indexes. `arg` is arena memory or NULL.
 */
typedef void sl_after_fn(struct sl_call *call, void *arg);
void sl_call_after_commit(struct sl_call *call, sl_after_fn *then, void *arg);

/* After a commit that enqueued: have the dispatcher look (sent once the commit is durable). */
void sl_call_wake_dispatcher(struct sl_call *call);

/* ---- what handlers share ------------------------------------------------------------------------ */
struct sl_queue *sl_call_queue(const struct sl_call *call);
struct sl_index_cache *sl_call_indexes(const struct sl_call *call);
const char *sl_call_data_directory(const struct sl_call *call);


#endif
