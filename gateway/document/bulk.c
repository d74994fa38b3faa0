/* SPDX-License-Identifier: Apache-2.0 */
/* Documents made by hand, and changes of many at once. */
#include <stdio.h>

#include "actors/index.h"
#include "gateway/arena.h"
#include "gateway/ask.h"
#include "gateway/bucket.h"
#include "gateway/document/id.h"
#include "gateway/document/row.h"
#include "gateway/stock.h"
#include "runtime/alloc.h"
#include "runtime/filter.h"

#define BULK_DOCUMENTS_MAX 10000 /* That a filter may pick in one request. */

/* ---- create -------------------------------------------------------------------------------- */

struct made {
    const char *collection, *id;
    struct sl_slice index;
    float *vector; /* NULL: none. */
    uint32_t dimensions;
};

static void
after_create(struct sl_call *call, void *arg)
{
    const struct made *m = arg;
    uint64_t number;
    if (sl_record_number(sl_slice_str(m->id), &number) == SL_OK)
        sl_index_put(sl_call_indexes(call),
                     &(struct sl_index_id){.scope = call->who.scope,
                                           .collection = sl_slice_str(m->collection),
                                           .name = m->index},
                     number, m->vector, m->dimensions);
}

static bool
refuse_vector(struct sl_call *call, const struct sl_document_view *s)
{
    sl_call_invalid(call, "body.features", "value_error",
                    "vectors of this collection are %llu finite numbers under the name %.*s",
                    (unsigned long long)s->dimensions, SL_SLICE_FMT(s->index));
    return false;
}

/* [numbers], or {index name: [numbers]}. */
static bool
read_vector(struct sl_call *call, const struct sl_document_view *s, struct sl_json vectors,
            struct made *m)
{
    uint32_t at = 0;
    if (sl_json_kind(vectors) == SL_JSON_OBJECT) {
        struct sl_json named = sl_json_member_slice(vectors, s->index);
        vectors = sl_json_has(named) ? named : sl_json_member_slice(vectors, s->output);
    }
    if (s->index.size == 0 || sl_json_kind(vectors) != SL_JSON_ARRAY ||
        sl_json_count(vectors) != s->dimensions)
        return refuse_vector(call, s);
    m->dimensions = (uint32_t)s->dimensions;
    m->vector = sl_call_alloc(call, m->dimensions * sizeof(*m->vector));
    m->index = s->index;
    for (struct sl_json_iter i = sl_json_iter(vectors); sl_json_next(&i);) {
        double number;
        if (sl_json_f64(i.value, &number) != SL_OK || !(number > -1e30 && number < 1e30))
            return refuse_vector(call, s);
        m->vector[at++] = (float)number;
    }
    return true;
}

/* The fields: what each feature's payload has, then the body's own (which win). */
static void
write_fields(struct sl_call *call, const struct sl_document_view *s, struct sl_jsonw *w)
{
    static const char *const known[] = {"collection_id", "root_object_id", "root_bucket_id",
                                        "source_type",   "features",       NULL};
    struct sl_json features = sl_json_member(call->body, "features");
    sl_jsonw_object(w);
    for (struct sl_json_iter f = sl_json_iter(features); sl_json_next(&f);) {
        struct sl_json payload = sl_json_member(f.value, "payload");
        for (struct sl_json_iter i = sl_json_iter(payload); sl_json_next(&i);) {
            struct sl_slice name = sl_call_text(call, i.name);
            if (sl_document_is_own(i.name) || sl_slice_equal(name, s->output) ||
                sl_json_kind(sl_json_member_slice(call->body, name)) != SL_JSON_NONE)
                continue;
            sl_jsonw_name_slice(w, name);
            sl_jsonw_value(w, i.value);
        }
    }
    for (struct sl_json_iter i = sl_json_iter(call->body); sl_json_next(&i);) {
        bool is_known = sl_document_is_own(i.name);
        for (size_t k = 0; known[k] != NULL; k++)
            is_known = is_known || sl_json_is(i.name, known[k]);
        if (is_known)
            continue;
        sl_jsonw_name_slice(w, sl_call_text(call, i.name));
        sl_jsonw_value(w, i.value);
    }
    sl_jsonw_end(w);
    sl_jsonw_done(w);
}

static void
put_made(struct sl_call *call, struct made *m, const struct sl_record *r)
{
    struct sl_buf row = {0};
    sl_record_encode(r, &row);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_RECORD,
               sl_document_key(call, m->collection, m->id), sl_buf_slice(&row));
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_DOCUMENT, sl_slice_str(m->id),
               sl_slice_str(m->collection));
    sl_count_add(call->txn, sl_counter(call, SL_COUNT_RECORDS, m->collection), 1);
    if (m->vector != NULL) {
        sl_txn_put(call->txn, call->who.scope, SL_TABLE_VECTOR,
                   sl_document_vector_key(call, m->collection, m->index, m->id),
                   sl_slice(m->vector, m->dimensions * sizeof(*m->vector)));
        sl_call_after_commit(call, after_create, m);
    }
    sl_buf_deinit(&row);
}

/* Its id comes from a random origin, so that no document of a batch can ever have it. */
static const char *
new_id(struct sl_call *call, const char *collection, struct sl_slice origin)
{
    char *id = sl_call_alloc(call, SL_RECORD_ID_SIZE + 1);
    sl_record_id(&(struct sl_record_origin){.collection = sl_slice_str(collection),
                                            .origin = origin,
                                            .source = sl_slice_str("")},
                 id);
    return id;
}

/* A document that a client wrote itself. It is not embedded: its vectors are the client's too. */
void
sl_api_create_document(struct sl_call *call)
{
    struct sl_document_view s;
    struct sl_buf fields = {0};
    struct sl_jsonw w;
    if (!sl_document_collection(call, call->params[0], &s) ||
        !sl_stock_take(call, SL_LIMIT_max_embeddings, 1))
        return;
    struct made *m = sl_call_alloc(call, sizeof(*m));
    m->collection = s.collection;
    struct sl_json features = sl_json_member(call->body, "features");
    for (struct sl_json_iter i = sl_json_iter(features); sl_json_next(&i);) {
        struct sl_json vectors = sl_json_member(i.value, "vectors");
        if (sl_json_has(vectors) && !read_vector(call, &s, vectors, m))
            return;
    }
    struct sl_slice origin = sl_slice_str(sl_call_id(call, "hand_", 20));
    m->id = new_id(call, s.collection, origin);
    sl_jsonw_init(&w, &fields);
    write_fields(call, &s, &w);
    const char *source =
        sl_call_format(call, "%s/%s", sl_member_str(call, call->body, "root_bucket_id"),
                       sl_member_str(call, call->body, "root_object_id"));
    struct sl_slice key = sl_call_copy(call, sl_slice_str(source));
    uint8_t *slash = memchr(key.data, '/', key.size);
    *slash = '\0'; /* bucket NUL object, as everywhere; either may be empty. */
    struct sl_record r = {.created_ms = call->now_ms,
                          .updated_ms = call->now_ms,
                          .source = key,
                          .origin = origin,
                          .fields = sl_call_copy(call, sl_buf_slice(&fields)),
                          .vectors = m->vector == NULL ? sl_slice_str("") : m->index};
    sl_buf_deinit(&fields);
    put_made(call, m, &r);
    sl_document_write(call, &s, m->id, &r, &call->out);
}

/* ---- many ---------------------------------------------------------------------------------- */

struct bulk {
    struct sl_document_view view;
    struct sl_filter *filter;
    struct sl_jsonw *w; /* results: one row a document that was named. */
    uint64_t done, failed;
};

static void
write_result(struct bulk *b, struct sl_slice id, const char *error)
{
    sl_jsonw_object(b->w);
    sl_jsonw_member_slice(b->w, "document_id", id);
    sl_jsonw_member_bool(b->w, "success", error == NULL);
    if (error == NULL)
        sl_jsonw_member_null(b->w, "error");
    else
        sl_jsonw_member_str(b->w, "error", error);
    sl_jsonw_end(b->w);
    b->done += error == NULL;
    b->failed += error != NULL;
}

/* There may be thousands: what one takes from the arena is given back. */
static const char *
change_named(struct sl_call *call, struct bulk *b, struct sl_slice sent, struct sl_json update)
{
    struct sl_arena_mark mark = sl_arena_mark(call->arena);
    struct sl_record r;
    const char *id, *error = "the document does not exist";
    if (sl_document_lookup(call, b->view.collection, sent, &id, &r))
        error =
            sl_document_change(call, &b->view, id, update, &r) ? NULL : "vectors cannot be changed";
    sl_arena_rewind(call->arena, mark);
    return error;
}

static const char *
delete_named(struct sl_call *call, struct bulk *b, struct sl_slice sent)
{
    struct sl_arena_mark mark = sl_arena_mark(call->arena);
    struct sl_record r;
    char copy[SL_RECORD_ID_SIZE + 1] = "";
    const char *id;
    bool is_found = sl_document_lookup(call, b->view.collection, sent, &id, &r);
    bool has_vector = is_found && r.vectors.size > 0;
    if (is_found)
        (void)snprintf(copy, sizeof(copy), "%s", id);
    sl_arena_rewind(call->arena, mark);
    if (!is_found)
        return "the document does not exist";
    /* A collection has one index, so the row need not be kept for its name. */
    r = (struct sl_record){.vectors = has_vector ? b->view.index : sl_slice_str("")};
    sl_document_delete(call, b->view.collection, sl_call_format(call, "%s", copy), &r);
    return NULL;
}

/* Does the document, as clients see it, hold? */
static bool
is_wanted(struct sl_call *call, const struct bulk *b, const char *id, const struct sl_record *r)
{
    struct sl_buf shown = {0};
    struct sl_jsonw w;
    if (b->filter == NULL)
        return true;
    sl_jsonw_init(&w, &shown);
    sl_document_write(call, &b->view, id, r, &w);
    sl_jsonw_done(&w);
    bool is_held = sl_filter_matches(b->filter, sl_call_parse(call, sl_buf_slice(&shown)));
    sl_buf_deinit(&shown);
    return is_held;
}

/* Keys of the documents that the filter picks, a block each. False: too many, 422 is on the call.
 */
static bool
pick(struct sl_call *call, struct bulk *b, struct sl_buf *keys)
{
    struct sl_buf prefix = {0};
    struct sl_scan scan = {0};
    uint32_t count = 0;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_RECORD,
                sl_key_prefix(&prefix, 1, b->view.collection), sl_slice(NULL, 0), false, &scan);
    while (count <= BULK_DOCUMENTS_MAX && sl_scan_next(&scan)) {
        struct sl_arena_mark mark = sl_arena_mark(call->arena);
        struct sl_record r;
        const char *id = (const char *)sl_call_copy(call, sl_key_part(scan.key, 1)).data;
        if (sl_record_decode(scan.value, &r) == SL_OK && is_wanted(call, b, id, &r)) {
            sl_buf_append_block(keys, sl_slice_str(id));
            count++;
        }
        sl_arena_rewind(call->arena, mark);
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    if (count > BULK_DOCUMENTS_MAX)
        sl_call_invalid(call, "body.filters", "too_long",
                        "more than %d documents hold: change them in parts", BULK_DOCUMENTS_MAX);
    return !sl_call_has_failed(call);
}

/* Change, or with NONE delete, what the filters pick. */
static void
run_filtered(struct sl_call *call, struct bulk *b, struct sl_json update)
{
    struct sl_buf keys = {0};
    char *why = NULL;
    if (sl_filter_compile(sl_json_member(call->body, "filters"), NULL, &b->filter, &why) != SL_OK)
        sl_call_invalid(call, "body.filters", "filter", "%s", why);
    sl_free(why);
    bool is_picked = !sl_call_has_failed(call) && pick(call, b, &keys);
    struct sl_reader r = sl_reader(sl_buf_slice(&keys));
    while (is_picked && !sl_reader_is_done(&r) && !r.is_bad) {
        struct sl_slice id = sl_read_block(&r);
        const char *error =
            sl_json_has(update) ? change_named(call, b, id, update) : delete_named(call, b, id);
        b->done += error == NULL;
        b->failed += error != NULL;
    }
    sl_filter_destroy(&b->filter);
    sl_buf_deinit(&keys);
}

/* `list` and `filters` are two modes. False: both or none, 422 is on the call. */
static bool
check_mode(struct sl_call *call, const char *list, bool *ret_is_named)
{
    bool has_list = sl_json_has(sl_json_member(call->body, list));
    bool has_filters = sl_json_has(sl_json_member(call->body, "filters"));
    if (has_list == has_filters)
        sl_call_invalid(call, "body", "value_error", "either %s or filters", list);
    *ret_is_named = has_list;
    return !sl_call_has_failed(call);
}

static void
finish(struct sl_call *call, const struct bulk *b, const char *count_name)
{
    struct sl_jsonw *w = &call->out;
    if (sl_call_has_failed(call)) /* The failure has taken the reply's place. */
        return;
    sl_jsonw_member_u64(w, count_name, b->done);
    sl_jsonw_member_u64(w, "failed_count", b->failed);
    sl_jsonw_member_str(w, "message",
                        sl_call_format(call, "%llu of %llu documents", (unsigned long long)b->done,
                                       (unsigned long long)(b->done + b->failed)));
    sl_jsonw_end(w);
}

void
sl_api_update_documents(struct sl_call *call)
{
    struct bulk b = {.w = &call->out};
    struct sl_json update = sl_json_member(call->body, "update_data");
    bool is_named;
    if (!sl_document_collection(call, call->params[0], &b.view) ||
        !check_mode(call, "updates", &is_named))
        return;
    if (!is_named && sl_json_kind(update) != SL_JSON_OBJECT) {
        sl_call_invalid(call, "body.update_data", "missing", "filters need update_data, an object");
        return;
    }
    sl_jsonw_object(b.w);
    sl_jsonw_name(b.w, "results");
    sl_jsonw_array(b.w);
    struct sl_json updates = sl_json_member(call->body, "updates");
    for (struct sl_json_iter i = sl_json_iter(updates); sl_json_next(&i);) {
        struct sl_slice id = sl_member_text(call, i.value, "document_id");
        struct sl_json data = sl_json_member(i.value, "update_data");
        write_result(&b, id,
                     sl_json_kind(data) == SL_JSON_OBJECT ? change_named(call, &b, id, data)
                                                          : "update_data is not an object");
    }
    sl_jsonw_end(b.w);
    if (!is_named)
        run_filtered(call, &b, update);
    finish(call, &b, "updated_count");
}

void
sl_api_delete_documents(struct sl_call *call)
{
    struct bulk b = {.w = &call->out};
    bool is_named;
    if (!sl_document_collection(call, call->params[0], &b.view) ||
        !check_mode(call, "document_ids", &is_named))
        return;
    sl_jsonw_object(b.w);
    sl_jsonw_name(b.w, "results");
    sl_jsonw_array(b.w);
    struct sl_json ids = sl_json_member(call->body, "document_ids");
    for (struct sl_json_iter i = sl_json_iter(ids); sl_json_next(&i);) {
        struct sl_slice id = sl_call_text(call, i.value);
        write_result(&b, id, delete_named(call, &b, id));
    }
    sl_jsonw_end(b.w);
    if (!is_named)
        run_filtered(call, &b, (struct sl_json){0});
    finish(call, &b, "deleted_count");
}

void
sl_api_bulk_update_documents(struct sl_call *call)
{
    struct bulk b = {.w = &call->out};
    if (!sl_document_collection(call, call->params[0], &b.view))
        return;
    sl_jsonw_object(b.w);
    run_filtered(call, &b, sl_json_member(call->body, "update_data"));
    finish(call, &b, "updated_count");
}
