/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/resource.h"

#include "gateway/arena.h"
#include "gateway/bucket.h"
#include "gateway/list.h"
#include "runtime/alloc.h"

#define IDENTIFIER_SIZE_MAX 128

const struct sl_resource_kind sl_kind_namespace = {
    .noun = "namespace", .table = SL_TABLE_NAMESPACE, .name = "namespace_name"};
const struct sl_resource_kind sl_kind_bucket = {
    .noun = "bucket", .table = SL_TABLE_BUCKET, .name = "bucket_name", .has_parent = true};
const struct sl_resource_kind sl_kind_collection = {.noun = "collection",
                                                    .table = SL_TABLE_COLLECTION,
                                                    .name = "collection_name",
                                                    .has_parent = true};
const struct sl_resource_kind sl_kind_retriever = {
    .noun = "retriever", .table = SL_TABLE_RETRIEVER, .name = "retriever_name", .has_parent = true};

static void
destroy_doc(void *doc)
{
    struct sl_json_doc *dead = doc;
    sl_json_destroy(&dead);
}

struct sl_json
sl_call_parse(struct sl_call *call, struct sl_slice text)
{
    struct sl_json_doc *doc = NULL;
    if (sl_json_parse(sl_call_copy(call, text), &doc, NULL) != SL_OK)
        return (struct sl_json){0};
    sl_arena_defer(call->arena, destroy_doc, doc);
    return sl_json_root(doc);
}

const char *
sl_call_identifier(struct sl_call *call, struct sl_slice text)
{
    if (text.size == 0 || text.size > IDENTIFIER_SIZE_MAX || memchr(text.data, 0, text.size))
        return NULL;
    return (const char *)sl_call_copy(call, text).data;
}

const char *
sl_call_id(struct sl_call *call, const char *prefix, size_t count)
{
    size_t prefix_size = strlen(prefix);
    char *id = sl_call_alloc(call, prefix_size + count + 1);
    memcpy(id, prefix, prefix_size);
    sl_random_id(id + prefix_size, count);
    return id;
}

struct sl_slice
sl_resource_key(struct sl_call *call, const struct sl_resource_kind *kind, const char *parent,
                const char *id)
{
    struct sl_buf buf = {0};
    struct sl_slice key = kind->has_parent ? sl_key(&buf, 2, parent, id) : sl_key(&buf, 1, id);
    key = sl_call_copy(call, key);
    sl_buf_deinit(&buf);
    return key;
}

static struct sl_slice
name_key(struct sl_call *call, const struct sl_resource_kind *kind, const char *parent,
         const char *name)
{
    struct sl_buf buf = {0};
    struct sl_slice key = sl_call_copy(call, sl_key(&buf, 3, kind->noun, parent, name));
    sl_buf_deinit(&buf);
    return key;
}

static bool
load(struct sl_call *call, const struct sl_resource_kind *kind, const char *parent, const char *id,
     struct sl_resource *ret_resource)
{
    struct sl_slice value;
    struct sl_slice key = sl_resource_key(call, kind, parent, id);
    if (sl_txn_get(call->txn, call->who.scope, kind->table, key, &value) != SL_OK)
        return false;
    ret_resource->id = id;
    ret_resource->row = sl_call_parse(call, value);
    return true;
}

bool
sl_resource_lookup(struct sl_call *call, const struct sl_resource_kind *kind, const char *parent,
                   struct sl_slice identifier, struct sl_resource *ret_resource)
{
    const char *id = sl_call_identifier(call, identifier);
    if (id == NULL)
        return false;
    if (load(call, kind, parent, id, ret_resource))
        return true;
    struct sl_slice value;
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_NAME, name_key(call, kind, parent, id),
                   &value) != SL_OK)
        return false;
    return load(call, kind, parent, (const char *)sl_call_copy(call, value).data, ret_resource);
}

bool
sl_resource_find(struct sl_call *call, const struct sl_resource_kind *kind, const char *parent,
                 struct sl_slice identifier, struct sl_resource *ret_resource)
{
    if (sl_resource_lookup(call, kind, parent, identifier, ret_resource))
        return true;
    sl_call_not_found(call, kind->noun, identifier);
    return false;
}

void
sl_resource_put(struct sl_call *call, const struct sl_resource_kind *kind, const char *parent,
                const char *id, const struct sl_buf *row)
{
    sl_txn_put(call->txn, call->who.scope, kind->table, sl_resource_key(call, kind, parent, id),
               sl_buf_slice(row));
}

void
sl_resource_delete(struct sl_call *call, const struct sl_resource_kind *kind, const char *parent,
                   const struct sl_resource *resource)
{
    sl_name_release(call,
                    &(struct sl_name){.kind = kind,
                                      .parent = parent,
                                      .name = sl_member_text(call, resource->row, kind->name)});
    sl_txn_del(call->txn, call->who.scope, kind->table,
               sl_resource_key(call, kind, parent, resource->id));
}

/* ---- names --------------------------------------------------------------------------------- */

bool
sl_name_is_reserved(struct sl_slice name)
{
    static const char *const words[] = {
        "list",   "available", "org",        "uploads", "reconfigure", "migrations", "features",
        "stages", "execute",   "executions", "batch",   "bulk",        "aggregate"};
    for (size_t i = 0; i < SL_COUNT_OF(words); i++) {
        if (sl_slice_is(name, words[i]))
            return true;
    }
    return false;
}

static bool
is_printable(struct sl_slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] < 0x20 || name.data[i] == 0x7f || name.data[i] == '/')
            return false;
    }
    return true;
}

static bool
check_name(struct sl_call *call, const struct sl_name *n)
{
    const char *loc = sl_call_format(call, "body.%s", n->kind->name);
    if (n->name.size == 0 || n->name.size > IDENTIFIER_SIZE_MAX)
        sl_call_invalid(call, loc, "value_error", "a name has 1 to %d bytes", IDENTIFIER_SIZE_MAX);
    else if (!is_printable(n->name))
        sl_call_invalid(call, loc, "value_error", "a name has no slash and no control characters");
    else if (sl_name_is_reserved(n->name))
        sl_call_invalid(call, loc, "value_error", "%.*s is a word of the API and no name",
                        SL_SLICE_FMT(n->name));
    return !sl_call_has_failed(call);
}

bool
sl_name_take(struct sl_call *call, const struct sl_name *n)
{
    if (!check_name(call, n))
        return false;
    const char *text = (const char *)sl_call_copy(call, n->name).data;
    struct sl_slice key = name_key(call, n->kind, n->parent, text), holder;
    enum sl_err err = sl_txn_get(call->txn, call->who.scope, SL_TABLE_NAME, key, &holder);
    if (err == SL_OK && !sl_slice_is(holder, n->id)) {
        sl_call_fail(call, SL_API_CONFLICT, "a %s named %s exists already", n->kind->noun, text);
        sl_call_detail(call, "resource", n->kind->noun);
        sl_call_detail(call, "name", text);
        return false;
    }
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_NAME, key, sl_slice_str(n->id));
    return true;
}

void
sl_name_release(struct sl_call *call, const struct sl_name *n)
{
    const char *text = sl_call_identifier(call, n->name);
    if (text != NULL)
        sl_txn_del(call->txn, call->who.scope, SL_TABLE_NAME,
                   name_key(call, n->kind, n->parent, text));
}

bool
sl_name_change(struct sl_call *call, const struct sl_resource_kind *kind, const char *parent,
               const struct sl_resource *resource)
{
    struct sl_json sent = sl_json_member(call->body, kind->name);
    struct sl_name name = {.kind = kind, .parent = parent, .id = resource->id};
    if (!sl_json_has(sent))
        return true;
    struct sl_slice old = sl_member_text(call, resource->row, kind->name);
    name.name = sl_call_text(call, sent);
    if (sl_slice_equal(name.name, old))
        return true;
    if (!sl_name_take(call, &name))
        return false;
    name.name = old;
    sl_name_release(call, &name);
    return true;
}

/* ---- rows of JSON -------------------------------------------------------------------------- */

static bool
is_listed(struct sl_json name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (sl_json_is(name, *names))
            return true;
    }
    return false;
}

void
sl_write_except(struct sl_jsonw *w, struct sl_json object, const char *const *names)
{
    struct sl_buf scratch = {0};
    for (struct sl_json_iter i = sl_json_iter(object); sl_json_next(&i);) {
        struct sl_slice name;
        sl_buf_clear(&scratch);
        if (is_listed(i.name, names) || sl_json_text(i.name, &scratch, &name) != SL_OK)
            continue;
        sl_jsonw_name_slice(w, name);
        sl_jsonw_value(w, i.value);
    }
    sl_buf_deinit(&scratch);
}

void
sl_write_member(struct sl_jsonw *w, struct sl_json body, struct sl_json row, const char *name)
{
    struct sl_json sent = sl_json_member(body, name);
    sl_jsonw_member_value(w, name,
                          sl_json_kind(sent) == SL_JSON_NONE ? sl_json_member(row, name) : sent);
}

void
sl_row_patched(struct sl_call *call, struct sl_json row, const char *const *names,
               struct sl_buf *out)
{
    const char *left[32] = {"updated_at"};
    uint32_t count = 1;
    struct sl_jsonw w;
    for (const char *const *name = names; *name != NULL; name++) {
        sl_assert(count + 1 < SL_COUNT_OF(left));
        if (sl_json_has(sl_json_member(call->body, *name))) /* null counts as absent. */
            left[count++] = *name;
    }
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_write_except(&w, row, left);
    for (uint32_t i = 1; i < count; i++)
        sl_jsonw_member_value(&w, left[i], sl_json_member(call->body, left[i]));
    sl_jsonw_member_time(&w, "updated_at", call->now_ms);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

struct sl_slice
sl_member_text(struct sl_call *call, struct sl_json object, const char *name)
{
    return sl_call_text(call, sl_json_member(object, name));
}

const char *
sl_member_str(struct sl_call *call, struct sl_json object, const char *name)
{
    struct sl_slice text = sl_member_text(call, object, name);
    return text.size == 0 ? "" : (const char *)text.data; /* sl_call_text puts a NUL after it. */
}

/* Keys are collected first: a delete would end the scan's guarantee. */
uint32_t
sl_resource_ids(struct sl_call *call, const struct sl_resource_kind *kind, const char *parent,
                const char **ret_ids, uint32_t max)
{
    struct sl_scan scan = {0};
    struct sl_buf prefix = {0};
    uint32_t count = 0;
    struct sl_slice from = kind->has_parent ? sl_key_prefix(&prefix, 1, parent) : sl_slice(NULL, 0);
    sl_txn_scan(call->txn, call->who.scope, kind->table, from, sl_slice(NULL, 0), false, &scan);
    while (count < max && sl_scan_next(&scan)) {
        struct sl_slice id = sl_key_part(scan.key, kind->has_parent ? 1 : 0);
        ret_ids[count++] = (const char *)sl_call_copy(call, id).data;
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    return count;
}

void
sl_resource_list(struct sl_call *call, const struct sl_list_source *source)
{
    struct sl_list list;
    struct sl_jsonw *w = &call->out;
    if (!sl_list_begin(call, 10, &list))
        return;
    bool is_read = sl_list_run(&list, call, source);
    if (is_read) {
        sl_jsonw_object(w);
        sl_list_write(&list, w);
        if (list.has_total)
            sl_jsonw_member_u64(w, "total_count", list.total);
        sl_jsonw_name(w, "stats");
        sl_jsonw_object(w);
        if (list.has_total)
            sl_jsonw_member_u64(w, "total", list.total);
        sl_jsonw_end(w);
        sl_jsonw_end(w);
        sl_list_end(&list);
    }
}

/* "OpenAPI-Generator/1.3.783/python" */
void
sl_resource_copied(struct sl_call *call)
{
    static const char name[] = "OpenAPI-Generator/";
    struct sl_slice agent = call->user_agent;
    size_t at = sizeof(name) - 1;
    bool is_generated = agent.size > at && memcmp(agent.data, name, at) == 0;
    bool is_new = is_generated && agent.data[at] >= '1' && agent.data[at] <= '9';
    call->status = is_new ? 200 : 201;
}

void
sl_call_write_trace(const struct sl_call *call, struct sl_jsonw *w)
{
    char text[SL_TRACE_PARENT_SIZE];
    if (!sl_trace_context_is_set(&call->sent.trace))
        return;
    sl_trace_context_format(&call->sent.trace, text);
    sl_jsonw_member_str(w, "traceparent", text);
    if (call->sent.trace_state.size > 0)
        sl_jsonw_member_slice(w, "tracestate", call->sent.trace_state);
}
