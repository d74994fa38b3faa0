/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource.h - what handlers of named resources have in common: ids, unique names, rows of JSON
 * that are found by id or by name, and rewriting such a row with some members replaced. All memory
 * here is the call's arena.
 */
#ifndef SL_GATEWAY_RESOURCE_H
#define SL_GATEWAY_RESOURCE_H

#include "gateway/call.h"

#include "actors/count.h"
#include "actors/rows.h"
#include "gateway/purge.h"

struct sl_resource_kind {
    const char *noun; /* "bucket": of messages, and of SL_TABLE_NAME */
    uint8_t table;    /* Keyed by (parent, id), or by (id) when it has no parent. */
    const char *name; /* The row's member that holds the name: "bucket_name". */
    bool has_parent;
};
extern const struct sl_resource_kind sl_kind_namespace, sl_kind_bucket, sl_kind_collection,
    sl_kind_retriever;

struct sl_resource {
    const char *id;
    struct sl_json row;
};

/* Parse a text that lives as long as the call needs it: it is copied. NONE: not JSON (a bug here).
 */
struct sl_json sl_call_parse(struct sl_call *call, struct sl_slice text);
/* NUL-terminated copy; NULL when it is empty, holds a NUL or is longer than 128 bytes. */
const char *sl_call_identifier(struct sl_call *call, struct sl_slice text);
/* prefix and `count` random characters of [a-z0-9]. */
const char *sl_call_id(struct sl_call *call, const char *prefix, size_t count);

/* Find by id or name; parent "" where the kind has none. False: the call has failed with 404. */
bool sl_resource_find(struct sl_call *call, const struct sl_resource_kind *kind, const char *parent,
                      struct sl_slice identifier, struct sl_resource *ret_resource);
/* The same without failing the call. */
bool sl_resource_lookup(struct sl_call *call, const struct sl_resource_kind *kind,
                        const char *parent, struct sl_slice identifier,
                        struct sl_resource *ret_resource);
/* The row's key, in arena memory. */
struct sl_slice sl_resource_key(struct sl_call *call, const struct sl_resource_kind *kind,
                                const char *parent, const char *id);
void sl_resource_put(struct sl_call *call, const struct sl_resource_kind *kind, const char *parent,
                     const char *id, const struct sl_buf *row);
void sl_resource_delete(struct sl_call *call, const struct sl_resource_kind *kind,
                        const char *parent, const struct sl_resource *resource);

/* Is the word a path segment of ours, and so no name for a resource? */
bool sl_name_is_reserved(struct sl_slice name);
/* Check a name (422) and take it (409 when another id has it). False: the call has failed. */
struct sl_name {
    const struct sl_resource_kind *kind;
    const char *parent, *id;
    struct sl_slice name;
};
bool sl_name_take(struct sl_call *call, const struct sl_name *name);
void sl_name_release(struct sl_call *call, const struct sl_name *name);
/* A PATCH's new name: taken, and the old one released. True also when none was sent. */
bool sl_name_change(struct sl_call *call, const struct sl_resource_kind *kind, const char *parent,
                    const struct sl_resource *resource);

/* Write the members of `object` but those named in the NULL-terminated list. */
void sl_write_except(struct sl_jsonw *w, struct sl_json object, const char *const *names);
/* Write body's member `name` if it was sent, else the row's. */
void sl_write_member(struct sl_jsonw *w, struct sl_json body, struct sl_json row, const char *name);
/* The row as a PATCH leaves it: `names` from the body where sent and not null, updated_at now. */
void sl_row_patched(struct sl_call *call, struct sl_json row, const char *const *names,
                    struct sl_buf *out);

/* Text of a member; empty when absent. */
struct sl_slice sl_member_text(struct sl_call *call, struct sl_json object, const char *name);
const char *sl_member_str(struct sl_call *call, struct sl_json object, const char *name);

/* Members traceparent and, where the caller sent one, tracestate: of the call's span. Nothing of a
 * call that is no request. */
void sl_call_write_trace(const struct sl_call *call, struct sl_jsonw *w);

static inline struct sl_counter
sl_counter(const struct sl_call *call, const char *what, const char *parent)
{
    return (struct sl_counter){.scope = call->who.scope, .what = what, .parent = parent};
}

struct sl_list_source;
/* The whole reply of a list: results, pagination, total_count, stats. */
void sl_resource_list(struct sl_call *call, const struct sl_list_source *source);

/*
 * The reply is about a copy or a webhook that was made: 201, which generated clients before 1.0
 * know, or 200, which those since know. Each drops the reply that has the other status.
 */
void sl_resource_copied(struct sl_call *call);

#endif
