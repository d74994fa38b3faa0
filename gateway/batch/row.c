/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/batch/row.h"

#include "gateway/ask.h"
#include "gateway/object.h"

static struct sl_slice
key_of(struct sl_call *call, const char *bucket, const char *id)
{
    return sl_object_key(call, bucket, id); /* bucket, id: the same form. */
}

/* ---- tiers --------------------------------------------------------------------------------- */

static void
add_job(struct sl_batch_tier *t, const struct sl_task_view *v)
{
    bool ran = t->has_task && t->state <= SL_JOB_RUNNING;
    bool is_pending = (!t->has_task || t->state == SL_JOB_PENDING) && v->state == SL_JOB_PENDING;
    t->total += v->total;
    t->done += v->done;
    t->dead += v->dead;
    t->records += v->row.records;
    t->started_ms = t->started_ms == 0 ? v->row.started_ms : t->started_ms;
    t->ended_ms = v->row.ended_ms;
    if (is_pending)
        t->state = SL_JOB_PENDING;
    else if (ran || v->state <= SL_JOB_RUNNING)
        t->state = SL_JOB_RUNNING;
    else if (!t->has_task || v->state == SL_JOB_CANCELED)
        t->state = v->state;
    else if (t->dead == 0)
        t->state = SL_JOB_SUCCEEDED;
    else
        t->state = t->done > 0 ? SL_JOB_PARTIAL : SL_JOB_FAILED;
    t->task = *v;
    t->has_task = true;
}

static void
read_tier(struct sl_call *call, struct sl_batch_tier *t)
{
    for (struct sl_json_iter i = sl_json_iter(t->jobs); sl_json_next(&i);) {
        struct sl_task_view v;
        if (sl_task_find(call, sl_call_text(call, i.value), &v))
            add_job(t, &v);
    }
}

/* The whole from its tiers. The next one's job comes with the final row of the one before. */
static enum sl_job_state
state_of(const struct sl_batch *b)
{
    const struct sl_batch_tier *now = &b->tiers[b->current];
    bool has_errors = false;
    for (uint32_t i = 0; i <= b->current; i++) {
        if (b->tiers[i].state <= SL_JOB_RUNNING)
            return b->current == 0 ? b->tiers[i].state : SL_JOB_RUNNING;
        has_errors = has_errors || b->tiers[i].dead > 0;
    }
    if (now->state == SL_JOB_CANCELED || now->state == SL_JOB_FAILED)
        return now->state;
    if (b->current + 1 < b->tiers_count)
        return now->ended_ms == 0 ? SL_JOB_RUNNING : SL_JOB_CANCELED; /* Its chain was cut. */
    return has_errors ? SL_JOB_PARTIAL : SL_JOB_SUCCEEDED;
}

static void
read_tiers(struct sl_call *call, struct sl_batch *b)
{
    struct sl_json jobs = sl_json_member(b->row, "tier_jobs");
    uint32_t at = 0;
    b->tiers_count = SL_MAX(sl_json_count(jobs), 1u);
    b->tiers = sl_call_alloc(call, b->tiers_count * sizeof(*b->tiers));
    for (struct sl_json_iter i = sl_json_iter(jobs); sl_json_next(&i); at++) {
        b->tiers[at].jobs = i.value;
        read_tier(call, &b->tiers[at]);
        if (b->tiers[at].has_task)
            b->current = at;
    }
    struct sl_slice task = sl_member_text(call, b->row, "task_id");
    struct sl_task_view v;
    if (at == 0 && task.size > 0 && sl_task_find(call, task, &v)) /* A draft that was cancelled. */
        add_job(&b->tiers[0], &v);
    b->has_task = b->tiers[0].has_task;
    if (!b->has_task)
        return;
    b->task = b->tiers[b->current].task;
    b->state = state_of(b);
}

bool
sl_batch_read(struct sl_call *call, const char *bucket, const char *id, struct sl_slice value,
              struct sl_batch *ret_batch)
{
    struct sl_batch b = {.bucket = bucket, .id = id, .row = sl_call_parse(call, value)};
    b.is_draft = sl_json_is(sl_json_member(b.row, "state"), "DRAFT");
    read_tiers(call, &b);
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

struct sl_slice
sl_batch_task_text(struct sl_call *call, const struct sl_batch *b)
{
    char text[37];
    sl_job_id_format(b->task.id, text);
    return sl_call_copy(call, sl_slice_str(text));
}

const char *
sl_batch_status(const struct sl_batch *b)
{
    if (b->is_draft)
        return "DRAFT";
    return b->has_task ? sl_task_status(b->state) : "UNKNOWN";
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
    static const char *const replaced[] = {"state",      "task_id",   "collection_ids", "metadata",
                                           "tiers",      "tier_jobs", "object_count",   "runs",
                                           "updated_at", NULL};
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
    write_or_row(&w, "tiers", change->tiers, b->row);
    write_or_row(&w, "tier_jobs", change->tier_jobs, b->row);
    if (change->object_count > 0)
        sl_jsonw_member_u64(&w, "object_count", change->object_count);
    else
        sl_jsonw_member_value(&w, "object_count", sl_json_member(b->row, "object_count"));
    if (change->runs > 0)
        sl_jsonw_member_u64(&w, "runs", change->runs);
    else
        sl_jsonw_member_value(&w, "runs", sl_json_member(b->row, "runs"));
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

bool
sl_batch_next_id(struct sl_slice *ids, struct sl_slice *ret_id)
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

static void
make(struct sl_call *call, const char *bucket, const char *type, uint64_t count,
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
    sl_jsonw_member_str(&w, "type", type);
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
    sl_jsonw_member_u64(&w, "object_count", count);
    sl_jsonw_member_time(&w, "created_at", call->now_ms);
    sl_jsonw_member_time(&w, "updated_at", call->now_ms);
    sl_jsonw_end(&w);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_BATCH, key_of(call, bucket, id),
               sl_buf_slice(&row));
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_BATCH_OF, sl_slice_str(id),
               sl_slice_str(bucket));
    (void)sl_batch_read(call, bucket, id, sl_buf_slice(&row), ret_batch);
    sl_count_add(call->txn, sl_counter(call, SL_COUNT_BATCHES, bucket), 1);
    sl_buf_deinit(&row);
}

void
sl_batch_make(struct sl_call *call, const char *bucket, struct sl_slice ids,
              struct sl_batch *ret_batch)
{
    make(call, bucket, "BUCKET", count_lines(ids), ret_batch);
    sl_batch_objects_put(call, ret_batch, ids);
}

void
sl_batch_make_of_collection(struct sl_call *call, const char *bucket, uint64_t documents,
                            struct sl_batch *ret_batch)
{
    make(call, bucket, "COLLECTION", documents, ret_batch);
}

/* ---- showing ------------------------------------------------------------------------------- */

/* Element `index` of a list; NONE: there is none. */
static struct sl_json
element(struct sl_json list, uint32_t index)
{
    struct sl_json_iter i = sl_json_iter(list);
    while (sl_json_next(&i)) {
        if (index-- == 0)
            return i.value;
    }
    return (struct sl_json){0};
}

/* What the tiers before gave, once its tasks were made. */
static void
write_fetched(struct sl_call *call, const struct sl_batch_tier *t, struct sl_jsonw *w)
{
    static const char *const names[] = {SL_CHAIN_FETCHED, SL_CHAIN_KEPT};
    if (!t->has_task || t->task.row.about.size == 0)
        return;
    struct sl_json about = sl_call_parse(call, t->task.row.about);
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        if (sl_json_has(sl_json_member(about, names[i])))
            sl_jsonw_member_value(w, names[i], sl_json_member(about, names[i]));
    }
}

static void
write_tier_state(const struct sl_batch *b, uint32_t number, struct sl_jsonw *w)
{
    const struct sl_batch_tier *t = &b->tiers[number];
    if (t->has_task)
        sl_jsonw_member_str(w, "status", sl_task_status(t->state));
    else
        sl_jsonw_member_str(w, "status", b->state <= SL_JOB_RUNNING ? "PENDING" : "SKIPPED");
    sl_jsonw_member_time(w, "started_at", t->started_ms);
    sl_jsonw_member_time(w, "completed_at", t->ended_ms);
    if (t->ended_ms >= t->started_ms && t->started_ms > 0)
        sl_jsonw_member_u64(w, "duration_ms", t->ended_ms - t->started_ms);
}

/* What extracts for each collection of the tier; one that was deleted since has none. */
static void
write_extractor_jobs(struct sl_call *call, const struct sl_batch *b, uint32_t number,
                     struct sl_json ids, struct sl_jsonw *w)
{
    struct sl_slice row;
    sl_jsonw_name(w, "extractor_jobs");
    sl_jsonw_array(w);
    for (struct sl_json_iter i = sl_json_iter(ids); sl_json_next(&i);) {
        if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_EXTRACTION, sl_call_text(call, i.value),
                       &row) != SL_OK)
            continue;
        struct sl_json extraction = sl_call_parse(call, row);
        sl_jsonw_object(w);
        sl_jsonw_member_value(w, "extractor_type", sl_json_member(extraction, "extractor"));
        sl_jsonw_name(w, "collection_ids");
        sl_jsonw_array(w);
        sl_jsonw_value(w, i.value);
        sl_jsonw_end(w);
        write_tier_state(b, number, w);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

static void
write_tier_counts(const struct sl_batch_tier *t, struct sl_jsonw *w)
{
    sl_jsonw_member_u64(w, "documents_submitted_to_engine", t->total);
    sl_jsonw_member_u64(w, "documents_written", t->records);
}

static void
write_tier(struct sl_call *call, const struct sl_batch *b, uint32_t number, struct sl_jsonw *w)
{
    const struct sl_batch_tier *t = &b->tiers[number];
    struct sl_json tiers = sl_json_member(b->row, "tiers");
    struct sl_json ids =
        sl_json_has(tiers) ? element(tiers, number) : sl_json_member(b->row, "collection_ids");
    struct sl_slice id = sl_member_text(call, b->row, "task_id");
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "tier_num", number);
    for (struct sl_json_iter i = sl_json_iter(t->jobs); sl_json_next(&i);)
        id = sl_call_text(call, i.value);
    sl_jsonw_member_slice(w, "task_id", id);
    if (sl_json_count(ids) > 0)
        sl_jsonw_member_value(w, "collection_ids", ids);
    bool is_of_collections = number > 0 || sl_json_is(sl_json_member(b->row, "type"), "COLLECTION");
    sl_jsonw_member_str(w, "source_type", is_of_collections ? "collection" : "bucket");
    if (number > 0) {
        sl_jsonw_member_value(w, "source_collection_ids", element(tiers, number - 1));
        sl_jsonw_member_value(w, "parent_task_id", element(b->tiers[number - 1].jobs, 0));
    }
    write_tier_state(b, number, w);
    write_tier_counts(t, w);
    write_extractor_jobs(call, b, number, ids, w);
    write_fetched(call, &b->tiers[number], w);
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
    static const char *const hidden[] = {"state", "tiers", "tier_jobs", "runs", "type", NULL};
    struct sl_json tiers = sl_json_member(b->row, "tiers");
    bool is_of_collection = sl_json_is(sl_json_member(b->row, "type"), "COLLECTION");
    struct sl_slice ids = sl_batch_objects(call, b), id;
    sl_jsonw_object(w);
    sl_write_except(w, b->row, hidden);
    sl_jsonw_member_str(w, "status", sl_batch_status(b));
    sl_jsonw_member_str(w, "type", is_of_collection ? "COLLECTION" : "BUCKET");
    sl_jsonw_name(w, "object_ids");
    sl_jsonw_array(w);
    for (uint64_t i = 0; i < ids_max && sl_batch_next_id(&ids, &id); i++)
        sl_jsonw_slice(w, id);
    sl_jsonw_end(w);
    sl_jsonw_member_u64(w, "current_tier", b->current);
    sl_jsonw_member_u64(w, "total_tiers", b->tiers_count);
    sl_jsonw_name(w, "dag_tiers");
    if (sl_json_has(tiers))
        sl_jsonw_value(w, tiers);
    else
        sl_jsonw_raw(w, sl_slice_str("[]"));
    sl_jsonw_name(w, "tier_tasks");
    sl_jsonw_array(w);
    for (uint32_t i = 0; b->has_task && i < b->tiers_count; i++)
        write_tier(call, b, i, w);
    sl_jsonw_end(w);
    if (b->has_task && b->task.row.error.size > 0)
        sl_jsonw_member_slice(w, "error", b->task.row.error);
    write_lifecycle(b, w);
    sl_jsonw_end(w);
}
