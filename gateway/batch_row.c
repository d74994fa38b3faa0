/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/batch_row.h"

#include "actors/extraction.h"
#include "gateway/ask.h"
#include "gateway/batch.h"
#include "gateway/collection.h"
#include "gateway/object.h"

static struct sl_slice
key_of(struct sl_call *call, const char *bucket, const char *id)
{
    return sl_object_key(call, bucket, id); /* bucket, id: the same form. */
}

bool
sl_batch_read(struct sl_call *call, const char *bucket, const char *id, struct sl_slice value,
              struct sl_batch *ret_batch)
{
    struct sl_batch b = {.bucket = bucket, .id = id, .row = sl_call_parse(call, value)};
    struct sl_slice task = sl_member_text(call, b.row, "task_id");
    b.is_draft = sl_json_is(sl_json_member(b.row, "state"), "DRAFT");
    b.has_task = task.size > 0 && sl_task_find(call, task, &b.task);
    *ret_batch = b;
    return true;
}

bool
sl_batch_lookup(struct sl_call *call, const char *bucket, const char *id,
                struct sl_batch *ret_batch)
{
    struct sl_slice value;
    return id != NULL &&
           sl_txn_get(call->txn, call->who.scope, SL_TABLE_BATCH, key_of(call, bucket, id),
                      &value) == SL_OK &&
           sl_batch_read(call, bucket, id, value, ret_batch);
}

const char *
sl_batch_status(const struct sl_batch *b)
{
    if (b->is_draft)
        return "DRAFT";
    return b->has_task ? sl_task_status(b->task.state) : "UNKNOWN";
}

struct sl_slice
sl_batch_objects(struct sl_call *call, const struct sl_batch *b)
{
    struct sl_slice value;
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_BATCH_OBJECTS,
                   key_of(call, b->bucket, b->id), &value) != SL_OK)
        return sl_slice(NULL, 0);
    return sl_call_copy(call, value);
}

void
sl_batch_objects_put(struct sl_call *call, const struct sl_batch *b, struct sl_slice ids)
{
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_BATCH_OBJECTS, key_of(call, b->bucket, b->id),
               ids);
}

static void
write_or_row(struct sl_jsonw *w, const char *name, struct sl_json value, struct sl_json row)
{
    sl_jsonw_member_value(w, name,
                          sl_json_kind(value) == SL_JSON_NONE ? sl_json_member(row, name) : value);
}

void
sl_batch_put(struct sl_call *call, struct sl_batch *b, const struct sl_batch_change *change)
{
    static const char *const replaced[] = {
        "state", "task_id", "collection_ids", "metadata", "object_count", "updated_at", NULL};
    struct sl_buf row = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &row);
    sl_jsonw_object(&w);
    sl_write_except(&w, b->row, replaced);
    if (change->state != NULL)
        sl_jsonw_member_str(&w, "state", change->state);
    else
        sl_jsonw_member_value(&w, "state", sl_json_member(b->row, "state"));
    if (change->task_id != NULL)
        sl_jsonw_member_str(&w, "task_id", change->task_id);
    else
        sl_jsonw_member_value(&w, "task_id", sl_json_member(b->row, "task_id"));
    write_or_row(&w, "collection_ids", change->collection_ids, b->row);
    write_or_row(&w, "metadata", change->metadata, b->row);
    if (change->object_count > 0)
        sl_jsonw_member_u64(&w, "object_count", change->object_count);
    else
        sl_jsonw_member_value(&w, "object_count", sl_json_member(b->row, "object_count"));
    sl_jsonw_member_time(&w, "updated_at", call->now_ms);
    sl_jsonw_end(&w);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_BATCH, key_of(call, b->bucket, b->id),
               sl_buf_slice(&row));
    (void)sl_batch_read(call, b->bucket, b->id, sl_buf_slice(&row), b);
    sl_buf_deinit(&row);
}

static uint64_t
count_lines(struct sl_slice ids)
{
    uint64_t count = ids.size > 0;
    for (size_t i = 0; i < ids.size; i++)
        count += ids.data[i] == '\n';
    return count;
}

/* Cut the next id off; false at the end. */
static bool
next_id(struct sl_slice *ids, struct sl_slice *ret_id)
{
    if (ids->size == 0)
        return false;
    const uint8_t *end = memchr(ids->data, '\n', ids->size);
    size_t size = end == NULL ? ids->size : (size_t)(end - ids->data);
    *ret_id = sl_slice(ids->data, size);
    size += end != NULL;
    *ids = sl_slice(ids->data + size, ids->size - size);
    return true;
}

void
sl_batch_make(struct sl_call *call, const char *bucket, struct sl_slice ids,
              struct sl_batch *ret_batch)
{
    struct sl_buf row = {0};
    struct sl_jsonw w;
    const char *id = sl_call_id(call, "btch_", 12);
    struct sl_json collections = sl_json_member(call->body, "collection_ids");
    sl_jsonw_init(&w, &row);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "batch_id", id);
    sl_jsonw_member_str(&w, "bucket_id", bucket);
    sl_jsonw_member_str(&w, "namespace_id", call->namespace_id);
    sl_jsonw_member_value(&w, "batch_name", sl_json_member(call->body, "batch_name"));
    sl_jsonw_member_str(&w, "state", "DRAFT");
    sl_jsonw_member_null(&w, "task_id");
    sl_jsonw_name(&w, "collection_ids");
    if (sl_json_has(collections))
        sl_jsonw_value(&w, collections);
    else
        sl_jsonw_raw(&w, sl_slice_str("[]"));
    sl_jsonw_member_value(&w, "metadata", sl_json_member(call->body, "metadata"));
    sl_jsonw_member_u64(&w, "object_count", count_lines(ids));
    sl_jsonw_member_time(&w, "created_at", call->now_ms);
    sl_jsonw_member_time(&w, "updated_at", call->now_ms);
    sl_jsonw_end(&w);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_BATCH, key_of(call, bucket, id),
               sl_buf_slice(&row));
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_BATCH_OF, sl_slice_str(id),
               sl_slice_str(bucket));
    (void)sl_batch_read(call, bucket, id, sl_buf_slice(&row), ret_batch);
    sl_batch_objects_put(call, ret_batch, ids);
    sl_count_add(call->txn, sl_counter(call, SL_COUNT_BATCHES, bucket), 1);
    sl_buf_deinit(&row);
}

/* ---- showing ------------------------------------------------------------------------------- */

static void
write_tier(const struct sl_batch *b, struct sl_jsonw *w)
{
    const struct sl_task_view *v = &b->task;
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "tier_num", 0);
    sl_jsonw_member_value(w, "task_id", sl_json_member(b->row, "task_id"));
    sl_jsonw_member_str(w, "status", sl_task_status(v->state));
    if (sl_json_count(sl_json_member(b->row, "collection_ids")) > 0)
        sl_jsonw_member_value(w, "collection_ids", sl_json_member(b->row, "collection_ids"));
    sl_jsonw_member_str(w, "source_type", "bucket");
    sl_jsonw_member_time(w, "started_at", v->row.started_ms);
    sl_jsonw_member_time(w, "completed_at", v->row.ended_ms);
    if (v->row.ended_ms >= v->row.started_ms && v->row.started_ms > 0)
        sl_jsonw_member_u64(w, "duration_ms", v->row.ended_ms - v->row.started_ms);
    sl_jsonw_member_u64(w, "documents_submitted_to_engine", v->total);
    sl_jsonw_member_u64(w, "documents_written", v->row.records);
    sl_jsonw_end(w);
}

/* The one word that newer clients need beside the status. */
static const char *
lifecycle(const struct sl_batch *b)
{
    static const struct {
        const char *status, *word;
    } words[] = {{"DRAFT", "accepted"},
                 {"PENDING", "queued"},
                 {"IN_PROGRESS", "extracting"},
                 {"COMPLETED", "indexed"},
                 {"COMPLETED_WITH_ERRORS", "indexed"},
                 {"FAILED", "failed"},
                 {"CANCELED", "canceled"}};
    for (size_t i = 0; i < SL_COUNT_OF(words); i++) {
        if (strcmp(sl_batch_status(b), words[i].status) == 0)
            return words[i].word;
    }
    return NULL;
}

/* A batch is never submitted anew by itself: lost work goes back to its queue, task by task. */
static void
write_lifecycle(const struct sl_batch *b, struct sl_jsonw *w)
{
    sl_jsonw_member_str(w, "lifecycle", lifecycle(b));
    if (b->has_task && b->task.row.error.size > 0)
        sl_jsonw_member_slice(w, "lifecycle_reason", b->task.row.error);
    else
        sl_jsonw_member_null(w, "lifecycle_reason");
    sl_jsonw_member_u64(w, "max_node_death_resubmits", 0);
    sl_jsonw_member_u64(w, "max_deploy_resubmits", 0);
}

void
sl_batch_write(struct sl_call *call, const struct sl_batch *b, uint64_t ids_max, struct sl_jsonw *w)
{
    static const char *const hidden[] = {"state", NULL};
    struct sl_slice ids = sl_batch_objects(call, b), id;
    sl_jsonw_object(w);
    sl_write_except(w, b->row, hidden);
    sl_jsonw_member_str(w, "status", sl_batch_status(b));
    sl_jsonw_member_str(w, "type", "BUCKET");
    sl_jsonw_name(w, "object_ids");
    sl_jsonw_array(w);
    for (uint64_t i = 0; i < ids_max && next_id(&ids, &id); i++)
        sl_jsonw_slice(w, id);
    sl_jsonw_end(w);
    sl_jsonw_member_u64(w, "current_tier", 0);
    sl_jsonw_member_u64(w, "total_tiers", 1);
    sl_jsonw_name(w, "tier_tasks");
    sl_jsonw_array(w);
    if (b->has_task)
        write_tier(b, w);
    sl_jsonw_end(w);
    if (b->has_task && b->task.row.error.size > 0)
        sl_jsonw_member_slice(w, "error", b->task.row.error);
    write_lifecycle(b, w);
    sl_jsonw_end(w);
}

/* ---- submit -------------------------------------------------------------------------------- */

static bool
is_wanted(struct sl_call *call, struct sl_json only, struct sl_json collection)
{
    if (sl_json_count(only) == 0)
        return true;
    struct sl_slice id = sl_member_text(call, collection, "collection_id");
    struct sl_slice name = sl_member_text(call, collection, "collection_name");
    for (struct sl_json_iter i = sl_json_iter(only); sl_json_next(&i);) {
        struct sl_slice text = sl_call_text(call, i.value);
        if (sl_slice_equal(text, id) || sl_slice_equal(text, name))
            return true;
    }
    return false;
}

/* Enabled collections that the bucket feeds, as a JSON array of ids. */
static struct sl_json
find_collections(struct sl_call *call, const char *bucket, struct sl_json only)
{
    struct sl_scan scan = {0};
    struct sl_buf prefix = {0}, out = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &out);
    sl_jsonw_array(&w);
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_COLLECTION,
                sl_key_prefix(&prefix, 1, call->namespace_id), sl_slice(NULL, 0), false, &scan);
    while (sl_scan_next(&scan)) {
        struct sl_json row = sl_call_parse(call, scan.value);
        if (sl_json_bool(sl_json_member(row, "enabled"), true) &&
            sl_collection_is_fed_by(row, bucket) && is_wanted(call, only, row))
            sl_jsonw_slice(&w, sl_key_part(scan.key, 1));
    }
    sl_scan_end(&scan);
    sl_jsonw_end(&w);
    struct sl_json found = sl_call_parse(call, sl_buf_slice(&out));
    sl_buf_deinit(&prefix);
    sl_buf_deinit(&out);
    return found;
}

/* One event for all: it is in the log whole or not at all. Returns how many tasks. */
static uint64_t
enqueue(struct sl_call *call, const struct sl_batch *b, struct sl_job_id job,
        struct sl_json collections)
{
    struct sl_buf event = {0}, payload = {0}, source = {0};
    struct sl_slice ids = sl_batch_objects(call, b), id;
    uint64_t total = 0;
    sl_queue_event_enqueue(
        &event, &(struct sl_enqueue){
                    .job = job, .class = SL_CLASS_CPU, .priority = 5, .created_ms = call->now_ms});
    while (next_id(&ids, &id)) {
        sl_buf_clear(&source);
        sl_buf_append_str(&source, b->bucket);
        sl_buf_append_u8(&source, 0);
        sl_buf_append_slice(&source, id);
        for (struct sl_json_iter i = sl_json_iter(collections); sl_json_next(&i); total++) {
            struct sl_slice raw = sl_json_raw(i.value); /* Our own ids: no escapes. */
            sl_buf_clear(&payload);
            sl_task_payload_encode(
                &(struct sl_task_payload){.origin = sl_slice_str(b->id),
                                          .collection = sl_slice(raw.data + 1, raw.size - 2),
                                          .source = sl_buf_slice(&source)},
                &payload);
            sl_queue_event_task(&event, sl_buf_slice(&payload));
        }
    }
    sl_txn_event(call->txn, SL_PROJECTION_QUEUE, call->who.scope, sl_buf_slice(&event));
    sl_buf_deinit(&event);
    sl_buf_deinit(&payload);
    sl_buf_deinit(&source);
    return total;
}

static const char *
about(struct sl_call *call, const struct sl_batch *b, struct sl_json collections)
{
    struct sl_buf out = {0};
    struct sl_jsonw w;
    struct sl_slice ids = sl_batch_objects(call, b), id;
    sl_jsonw_init(&w, &out);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "batch_id", b->id);
    sl_jsonw_member_str(&w, "bucket_id", b->bucket);
    sl_jsonw_member_str(&w, "counted_under", b->bucket); /* See count.h. */
    sl_jsonw_member_str(&w, "namespace_id", call->namespace_id);
    sl_jsonw_member_u64(&w, "total_tiers", 1);
    sl_jsonw_member_u64(&w, "current_tier", 0);
    sl_jsonw_member_value(&w, "collection_ids", collections);
    sl_jsonw_member_u64(&w, "object_count", count_lines(ids));
    sl_jsonw_name(&w, "sample_object_ids");
    sl_jsonw_array(&w);
    for (int i = 0; i < 5 && next_id(&ids, &id); i++)
        sl_jsonw_slice(&w, id);
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    const char *text = (const char *)sl_call_copy(call, sl_buf_slice(&out)).data;
    sl_buf_deinit(&out);
    return text;
}

bool
sl_batch_submit(struct sl_call *call, struct sl_batch *b, struct sl_json only)
{
    char *task_id = sl_call_alloc(call, 37);
    struct sl_job_id job;
    if (!sl_json_has(only))
        only = sl_json_member(b->row, "collection_ids");
    struct sl_json collections = find_collections(call, b->bucket, only);
    if (sl_json_count(collections) == 0) {
        sl_call_fail(call, SL_API_BAD_REQUEST,
                     "no enabled collection is fed by bucket %s: nothing would be done", b->bucket);
        return false;
    }
    if (sl_batch_objects(call, b).size == 0) {
        sl_call_fail(call, SL_API_BAD_REQUEST, "the batch has no objects");
        return false;
    }
    sl_random_uuid4(task_id);
    if (SL_BUG(sl_job_id_parse(sl_slice_str(task_id), &job) != SL_OK))
        return false;
    uint64_t total = enqueue(call, b, job, collections);
    struct sl_buf row = {0};
    sl_job_row_encode(&(struct sl_job_row){.state = SL_JOB_PENDING,
                                           .created_ms = call->now_ms,
                                           .total = total,
                                           .kind = sl_slice_str("api_buckets_batches_process"),
                                           .about = sl_slice_str(about(call, b, collections))},
                      &row);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_JOB, sl_slice(job.bytes, sizeof(job.bytes)),
               sl_buf_slice(&row));
    sl_buf_deinit(&row);
    sl_batch_put(call, b,
                 &(struct sl_batch_change){
                     .state = "SUBMITTED", .task_id = task_id, .collection_ids = collections});
    sl_count_add(call->txn, sl_counter(call, SL_COUNT_JOBS, b->bucket), 1);
    sl_call_wake_dispatcher(call);
    return true;
}

bool
sl_batch_process(struct sl_call *call, const char *bucket, struct sl_slice object_ids,
                 const char **ret_batch_id, const char **ret_task_id)
{
    struct sl_batch b;
    sl_batch_make(call, bucket, object_ids, &b);
    if (!sl_batch_submit(call, &b, (struct sl_json){0}))
        return false;
    *ret_batch_id = b.id;
    *ret_task_id = sl_member_str(call, b.row, "task_id");
    return true;
}
