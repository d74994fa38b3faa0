/* SPDX-License-Identifier: Apache-2.0 */
/* Trigger a collection: one batch of all that feeds it, submitted at once. */
#include "actors/record.h"
#include "gateway/batch/row.h"
#include "gateway/collection.h"
#include "gateway/collection_config.h"
#include "gateway/object.h"
#include "gateway/turn.h"
#include "runtime/alloc.h"
#include "runtime/filter.h"

#define TRIGGER_OBJECTS_MAX 100000
#define TRIGGER_BUCKETS_MAX 100 /* As many as a collection may have. */

struct trigger {
    struct sl_resource collection;
    const char *buckets[TRIGGER_BUCKETS_MAX]; /* The first one has the batch. */
    uint32_t buckets_count;
    const char *parents[SL_COLLECTION_PARENTS_MAX]; /* Collections whose documents are read. */
    uint32_t parents_count;
    struct sl_filter *filter, *own; /* The request's; the collection's, for documents. */
    bool is_of_collections;
    struct sl_turn turn;
    struct sl_buf ids;     /* Objects, '\n' between. */
    struct sl_buf sources; /* Keys of objects, or of records: a block each. */
    uint64_t count;
};

static void
destroy(void *state)
{
    struct trigger *t = state;
    sl_filter_destroy(&t->filter);
    sl_filter_destroy(&t->own);
    sl_turn_end(&t->turn);
    sl_buf_deinit(&t->ids);
    sl_buf_deinit(&t->sources);
    sl_free(t);
}

static bool
is_named(struct sl_call *call, struct sl_json names, const struct sl_resource *bucket)
{
    struct sl_slice name = sl_member_text(call, bucket->row, "bucket_name");
    for (struct sl_json_iter i = sl_json_iter(names); sl_json_next(&i);) {
        struct sl_slice text = sl_call_text(call, i.value);
        if (sl_slice_is(text, bucket->id) || sl_slice_equal(text, name))
            return true;
    }
    return false;
}

/* The buckets that feed the collection, or those of them that are named. */
static bool
find_sources(struct sl_call *call, struct trigger *t)
{
    struct sl_json names = sl_json_member(call->body, "include_buckets");
    struct sl_json ids = sl_json_path(t->collection.row, sl_slice_str("source.bucket_ids"));
    struct sl_resource bucket;
    for (struct sl_json_iter i = sl_json_iter(ids); sl_json_next(&i);) {
        if (!sl_resource_find(call, &sl_kind_bucket, call->namespace_id,
                              sl_call_text(call, i.value), &bucket))
            return false;
        if (sl_json_count(names) > 0 && !is_named(call, names, &bucket))
            continue;
        if (t->buckets_count < TRIGGER_BUCKETS_MAX)
            t->buckets[t->buckets_count++] = bucket.id;
    }
    if (sl_json_count(sl_json_member(call->body, "include_collections")) > 0)
        sl_call_invalid(call, "body.include_collections", "value_error",
                        "buckets feed this one, no collection does");
    else if (t->buckets_count == 0)
        sl_call_invalid(call, "body.include_buckets", "value_error",
                        "no such bucket feeds the collection");
    return !sl_call_has_failed(call);
}

/* Does the object, as clients see it, hold? */
static bool
is_wanted(struct sl_call *call, const struct trigger *t, struct sl_slice key, struct sl_slice value)
{
    struct sl_object object = {0};
    if (t->filter == NULL)
        return true;
    if (SL_BUG(sl_source_decode(value, &object.source) != SL_OK))
        return false;
    object.id = (const char *)sl_call_copy(call, sl_key_part(key, 1)).data;
    const char *bucket = (const char *)sl_call_copy(call, sl_key_part(key, 0)).data;
    return sl_object_holds(call, bucket, &object, t->filter);
}

static bool
check_count(struct sl_call *call, const struct trigger *t)
{
    const char *what = t->is_of_collections ? "document" : "object";
    if (t->count == 0)
        sl_call_fail(call, SL_API_BAD_REQUEST, "no %s feeds the collection", what);
    else if (t->count > TRIGGER_OBJECTS_MAX)
        sl_call_fail(call, SL_API_BAD_REQUEST,
                     "more than %d %ss feed the collection: filter them, or make batches",
                     TRIGGER_OBJECTS_MAX, what);
    return !sl_call_has_failed(call);
}

static bool
collect_object(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value)
{
    struct trigger *t = arg;
    if (is_wanted(call, t, key, value)) {
        if (t->count++ > 0)
            sl_buf_append_u8(&t->ids, '\n');
        sl_buf_append_slice(&t->ids, sl_key_part(key, 1));
        sl_buf_append_block(&t->sources, key);
    }
    return t->count <= TRIGGER_OBJECTS_MAX;
}

/* ---- documents ----------------------------------------------------------------------------- */

static bool
collect_record(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value)
{
    struct trigger *t = arg;
    struct sl_record record;
    struct sl_json fields = {0};
    if (SL_BUG(sl_record_decode(value, &record) != SL_OK))
        return true;
    if (t->own != NULL || t->filter != NULL)
        fields = sl_call_parse(call, record.fields);
    if (sl_filter_matches(t->own, fields) && sl_filter_matches(t->filter, fields)) {
        t->count++;
        sl_buf_append_block(&t->sources, key);
    }
    return t->count <= TRIGGER_OBJECTS_MAX;
}

static bool
is_collection_named(struct sl_call *call, struct sl_json names, const struct sl_resource *found)
{
    struct sl_slice name = sl_member_text(call, found->row, "collection_name");
    for (struct sl_json_iter i = sl_json_iter(names); sl_json_next(&i);) {
        struct sl_slice text = sl_call_text(call, i.value);
        if (sl_slice_is(text, found->id) || sl_slice_equal(text, name))
            return true;
    }
    return sl_json_count(names) == 0;
}

/* Every collection that feeds it, or those of them that are named. */
static bool
find_parents(struct sl_call *call, struct trigger *t)
{
    struct sl_json source = sl_json_member(t->collection.row, "source");
    struct sl_json names = sl_json_member(call->body, "include_collections");
    struct sl_json ids = sl_json_member(source, "collection_ids");
    struct sl_json_iter root = sl_json_iter(sl_json_member(source, "inherited_bucket_ids"));
    char *why = NULL; /* It was compiled before it was stored. */
    t->is_of_collections = true;
    if (SL_BUG(!sl_json_next(&root)))
        return false;
    t->buckets[t->buckets_count++] = (const char *)sl_call_text(call, root.value).data;
    if (sl_filter_compile(sl_collection_filters(source), NULL, &t->own, &why) != SL_OK)
        sl_free(why);
    for (struct sl_json_iter i = sl_json_iter(ids); sl_json_next(&i);) {
        struct sl_resource found;
        if (!sl_resource_find(call, &sl_kind_collection, call->namespace_id,
                              sl_call_text(call, i.value), &found))
            return false;
        if (is_collection_named(call, names, &found) &&
            t->parents_count < SL_COLLECTION_PARENTS_MAX)
            t->parents[t->parents_count++] = found.id;
    }
    return true;
}

static bool
submit(struct sl_call *call, const struct trigger *t, struct sl_batch *b)
{
    struct sl_batch_sources sources = {.collection = t->collection.id,
                                       .keys = sl_buf_slice(&t->sources),
                                       .is_of_objects = !t->is_of_collections};
    if (t->is_of_collections)
        sl_batch_make_of_collection(call, t->buckets[0], t->count, b);
    else
        sl_batch_make(call, t->buckets[0], sl_buf_slice(&t->ids), b);
    return sl_batch_submit_sources(call, b, &sources);
}

static void
reply(struct sl_call *call, const struct trigger *t, const struct sl_batch *b)
{
    struct sl_jsonw *w = &call->out;
    struct sl_json source = sl_json_member(t->collection.row, "source");
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "batch_id", b->id);
    sl_jsonw_member_value(w, "task_id", sl_json_member(b->row, "task_id"));
    sl_jsonw_member_str(w, "collection_id", t->collection.id);
    sl_jsonw_name(w, "source_bucket_ids");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < t->buckets_count; i++)
        sl_jsonw_str(w, t->buckets[i]);
    sl_jsonw_end(w);
    sl_jsonw_name(w, "source_collection_ids");
    if (t->is_of_collections)
        sl_jsonw_value(w, sl_json_member(source, "collection_ids"));
    else
        sl_jsonw_raw(w, sl_slice_str("[]"));
    sl_jsonw_member_u64(w, t->is_of_collections ? "document_count" : "object_count", t->count);
    sl_jsonw_member_u64(w, "total_tiers", b->tiers_count);
    sl_jsonw_member_str(w, "message", "the collection is being processed");
    sl_jsonw_end(w);
}

/* False: the turn is over. */
static bool
collect(struct sl_call *call, struct trigger *t)
{
    uint32_t count = t->is_of_collections ? t->parents_count : t->buckets_count;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_turn_range range = {.number = i,
                                      .table =
                                          t->is_of_collections ? SL_TABLE_RECORD : SL_TABLE_SOURCE,
                                      .id = t->is_of_collections ? t->parents[i] : t->buckets[i]};
        if (!sl_turn_walk(&t->turn, call, &range,
                          t->is_of_collections ? collect_record : collect_object, t))
            return false;
    }
    return true;
}

static void
go_on(struct sl_call *call)
{
    struct trigger *t = call->state;
    struct sl_batch b;
    struct sl_resource now;
    if (!collect(call, t)) {
        sl_turn_give(&t->turn, call, go_on);
        return;
    }
    /* Others had their turn: the collection may be gone by now. */
    if (check_count(call, t) &&
        sl_resource_find(call, &sl_kind_collection, call->namespace_id,
                         sl_slice_str(t->collection.id), &now) &&
        submit(call, t, &b))
        reply(call, t, &b);
}

void
sl_api_trigger_collection(struct sl_call *call)
{
    struct trigger *t = sl_zalloc(sizeof(*t));
    char *why = NULL;
    call->state = t;
    call->state_free = destroy;
    if (!sl_resource_find(call, &sl_kind_collection, call->namespace_id, call->params[0],
                          &t->collection))
        return;
    if (!sl_json_bool(sl_json_member(t->collection.row, "enabled"), true)) {
        sl_call_fail(call, SL_API_BAD_REQUEST, "the collection is disabled");
        return;
    }
    if (sl_filter_compile(sl_collection_filters(call->body), NULL, &t->filter, &why) != SL_OK)
        sl_call_invalid(call, "body.source_filters", "filter", "%s", why);
    sl_free(why);
    struct sl_json type = sl_json_path(t->collection.row, sl_slice_str("source.type"));
    if (!sl_call_has_failed(call) &&
        (sl_json_is(type, "collection") ? find_parents(call, t) : find_sources(call, t)))
        go_on(call);
}
