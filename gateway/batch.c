/* SPDX-License-Identifier: Apache-2.0 */
/* Batches. */
#include "gateway/batch.h"

#include "gateway/arena.h"
#include "gateway/ask.h"
#include "gateway/batch/row.h"
#include "gateway/list.h"
#include "gateway/object.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/time.h"

#define MISSING_SHOWN_MAX 100
#define LISTED_IDS_MAX    100 /* Object ids of each batch in a list; all of them in a GET. */

bool
sl_batch_find(struct sl_call *call, struct sl_batch *ret_batch)
{
    struct sl_resource bucket;
    if (!sl_bucket_find(call, &bucket))
        return false;
    if (sl_batch_lookup(call, bucket.id, sl_call_identifier(call, call->params[1]), ret_batch))
        return true;
    sl_call_not_found(call, "batch", call->params[1]);
    return false;
}

/* ---- object ids ---------------------------------------------------------------------------- */

/* A set of texts: open addressing, at most half full. */
struct set {
    struct sl_slice *slots;
    size_t mask;
};

static void
set_init(struct set *s, size_t count)
{
    size_t size = 16;
    while (size < count * 2)
        size *= 2;
    s->slots = sl_zalloc(size * sizeof(*s->slots));
    s->mask = size - 1;
}

static bool
set_add(struct set *s, struct sl_slice text)
{
    size_t at = sl_hash64(text) & s->mask;
    for (; s->slots[at].data != NULL; at = (at + 1) & s->mask) {
        if (sl_slice_equal(s->slots[at], text))
            return false;
    }
    s->slots[at] = text;
    return true;
}

struct ids {
    struct set seen;
    struct sl_buf lines, missing; /* missing: JSON array of the first ones. */
    struct sl_jsonw w;
    uint64_t missing_count;
};

static void
take_id(struct sl_call *call, const char *bucket, bool is_checked, struct sl_slice id,
        struct ids *ids)
{
    struct sl_slice value;
    const char *text = sl_call_identifier(call, id);
    bool is_good = text != NULL && memchr(id.data, '\n', id.size) == NULL;
    if (is_good && is_checked) {
        struct sl_arena_mark mark = sl_arena_mark(call->arena); /* There may be 100,000 keys. */
        is_good = sl_txn_get(call->txn, call->who.scope, SL_TABLE_SOURCE,
                             sl_object_key(call, bucket, text), &value) == SL_OK;
        sl_arena_rewind(call->arena, mark);
    }
    if (!is_good) {
        if (ids->missing_count++ < MISSING_SHOWN_MAX)
            sl_jsonw_slice(&ids->w, id);
        return;
    }
    if (!set_add(&ids->seen, sl_slice(text, id.size)))
        return;
    if (ids->lines.size > 0)
        sl_buf_append_u8(&ids->lines, '\n');
    sl_buf_append_slice(&ids->lines, id);
}

/* `before` and the ids of the body, each once. False: some do not exist (404). */
static bool
read_ids(struct sl_call *call, const char *bucket, struct sl_slice before, struct sl_slice *ret_ids)
{
    struct sl_json sent = sl_json_member(call->body, "object_ids");
    bool is_checked = !sl_call_query_bool(call, "skip_validation", false);
    struct ids ids = {0};
    set_init(&ids.seen, sl_json_count(sent) + before.size / 2 + 1);
    sl_jsonw_init(&ids.w, &ids.missing);
    sl_jsonw_array(&ids.w);
    while (before.size > 0) {
        const uint8_t *end = memchr(before.data, '\n', before.size);
        size_t size = end == NULL ? before.size : (size_t)(end - before.data);
        take_id(call, bucket, false, sl_slice(before.data, size), &ids);
        size += end != NULL;
        before = sl_slice(before.data + size, before.size - size);
    }
    struct sl_buf scratch = {0};
    for (struct sl_json_iter i = sl_json_iter(sent); sl_json_next(&i);) {
        struct sl_slice id;
        sl_buf_clear(&scratch);
        if (sl_json_text(i.value, &scratch, &id) == SL_OK)
            take_id(call, bucket, is_checked, id, &ids);
    }
    sl_buf_deinit(&scratch);
    sl_jsonw_end(&ids.w);
    if (ids.missing_count > 0) {
        sl_call_fail(call, SL_API_NOT_FOUND, "%llu objects do not exist in bucket %s",
                     (unsigned long long)ids.missing_count, bucket);
        sl_call_detail(call, "resource", "object");
        sl_call_detail_raw(call, "missing", sl_buf_slice(&ids.missing));
    }
    *ret_ids = sl_call_copy(call, sl_buf_slice(&ids.lines));
    sl_free(ids.seen.slots);
    sl_buf_deinit(&ids.lines);
    sl_buf_deinit(&ids.missing);
    return !sl_call_has_failed(call);
}

void
sl_api_create_batch(struct sl_call *call)
{
    struct sl_resource bucket;
    struct sl_slice ids;
    struct sl_batch b;
    if (!sl_bucket_find(call, &bucket) || !read_ids(call, bucket.id, sl_slice(NULL, 0), &ids))
        return;
    sl_batch_make(call, bucket.id, ids, &b);
    sl_batch_write(call, &b, UINT64_MAX, &call->out);
}

void
sl_api_add_batch_objects(struct sl_call *call)
{
    struct sl_slice ids;
    struct sl_batch b;
    uint64_t count = 1;
    if (!sl_batch_find(call, &b))
        return;
    if (!b.is_draft) {
        sl_call_fail(call, SL_API_CONFLICT, "batch %s is %s: only a draft takes objects", b.id,
                     sl_batch_status(&b));
        return;
    }
    if (!read_ids(call, b.bucket, sl_batch_objects(call, &b), &ids))
        return;
    for (size_t i = 0; i < ids.size; i++)
        count += ids.data[i] == '\n';
    sl_batch_objects_put(call, &b, ids);
    sl_batch_put(call, &b, &(struct sl_batch_change){.object_count = count});
    sl_batch_write(call, &b, UINT64_MAX, &call->out);
}

void
sl_api_get_batch(struct sl_call *call)
{
    struct sl_batch b;
    if (sl_batch_find(call, &b))
        sl_batch_write(call, &b, UINT64_MAX, &call->out);
}

void
sl_api_patch_batch(struct sl_call *call)
{
    struct sl_batch b;
    if (!sl_batch_find(call, &b))
        return;
    sl_batch_put(call, &b,
                 &(struct sl_batch_change){.metadata = sl_json_member(call->body, "metadata")});
    sl_batch_write(call, &b, UINT64_MAX, &call->out);
}

/* ---- list ---------------------------------------------------------------------------------- */

struct wanted {
    const char *bucket;
    struct sl_slice status, collection;
};

static bool
render(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value,
       struct sl_jsonw *w)
{
    const struct wanted *wanted = arg;
    const char *id = (const char *)sl_call_copy(call, sl_key_part(key, 1)).data;
    struct sl_batch b;
    bool is_fed = wanted->collection.size == 0;
    (void)sl_batch_read(call, wanted->bucket, id, value, &b);
    if (wanted->status.size > 0 && !sl_slice_is(wanted->status, sl_batch_status(&b)))
        return false;
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(b.row, "collection_ids"));
         !is_fed && sl_json_next(&i);)
        is_fed = sl_slice_equal(sl_call_text(call, i.value), wanted->collection);
    if (is_fed)
        sl_batch_write(call, &b, LISTED_IDS_MAX, w);
    return is_fed;
}

void
sl_api_list_batches(struct sl_call *call)
{
    struct sl_resource bucket;
    struct sl_buf prefix = {0};
    struct sl_list list;
    if (!sl_bucket_find(call, &bucket) || !sl_list_begin(call, 100, &list))
        return;
    struct wanted wanted = {.bucket = bucket.id,
                            .status = sl_member_text(call, call->body, "status"),
                            .collection = sl_member_text(call, call->body, "collection_id")};
    bool is_read =
        sl_list_run(&list, call,
                    &(struct sl_list_source){.scope = call->who.scope,
                                             .table = SL_TABLE_BATCH,
                                             .prefix = sl_key_prefix(&prefix, 1, bucket.id),
                                             .render = render,
                                             .arg = &wanted,
                                             .needs_total = true});
    if (is_read) {
        sl_jsonw_object(&call->out);
        sl_jsonw_member_raw(&call->out, "results", sl_buf_slice(&list.rows));
        sl_jsonw_member_u64(&call->out, "total_count", list.total);
        sl_jsonw_end(&call->out);
        sl_list_end(&list);
    }
    sl_buf_deinit(&prefix);
}

/* ---- life ---------------------------------------------------------------------------------- */

void
sl_api_submit_batch(struct sl_call *call)
{
    struct sl_batch b;
    if (!sl_batch_find(call, &b))
        return;
    if (!b.is_draft) {
        sl_call_fail(call, SL_API_CONFLICT, "batch %s is %s and cannot be submitted", b.id,
                     sl_batch_status(&b));
        return;
    }
    if (sl_batch_submit(call, &b, sl_json_member(call->body, "collection_ids")))
        sl_task_write(call, &b.task, &call->out);
}

/* A draft has no job yet: cancelling makes one that is ended. */
static void
cancel_draft(struct sl_call *call, struct sl_batch *b)
{
    const char *about =
        sl_call_format(call, "{\"batch_id\":\"%s\",\"bucket_id\":\"%s\"}", b->id, b->bucket);
    const char *task_id =
        sl_task_put_done(call, sl_slice_str("api_buckets_batches_process"), sl_slice_str(about));
    struct sl_task_view v;
    if (SL_BUG(!sl_task_find(call, sl_slice_str(task_id), &v)))
        return;
    v.row.done = v.row.total = v.done = v.total = 0;
    sl_task_put_canceled(call, &v);
    sl_batch_put(call, b, &(struct sl_batch_change){.state = "CANCELED", .task_id = task_id});
}

static void
cancel(struct sl_call *call, struct sl_batch *b)
{
    if (b->is_draft)
        cancel_draft(call, b);
    else if (sl_batch_runs(b))
        sl_batch_cancel(call, b);
}

void
sl_api_cancel_batch(struct sl_call *call)
{
    struct sl_batch b;
    struct sl_task_view v;
    if (!sl_batch_find(call, &b))
        return;
    cancel(call, &b);
    if (sl_batch_lookup(call, b.bucket, b.id, &b) && b.has_task &&
        sl_task_find(call, sl_batch_task_text(call, &b), &v))
        sl_task_write(call, &v, &call->out);
    else
        sl_call_not_found(call, "task", sl_slice_str(b.id));
}

static void
delete_rows(struct sl_call *call, const struct sl_batch *b, struct sl_purge *purge)
{
    struct sl_buf prefix = {0};
    struct sl_slice key = sl_object_key(call, b->bucket, b->id);
    for (uint32_t t = 0; t < b->tiers_count; t++) {
        for (struct sl_json_iter i = sl_json_iter(b->tiers[t].jobs); sl_json_next(&i);) {
            const char *job = (const char *)sl_call_text(call, i.value).data;
            sl_rows_delete(call, SL_TABLE_FAILURE, sl_key_prefix(&prefix, 1, job), purge);
            sl_txn_del(call->txn, call->who.scope, SL_TABLE_JOB_LOG, sl_slice_str(job));
        }
    }
    sl_buf_deinit(&prefix);
    sl_txn_del(call->txn, call->who.scope, SL_TABLE_BATCH, key);
    sl_txn_del(call->txn, call->who.scope, SL_TABLE_BATCH_OBJECTS, key);
    sl_txn_del(call->txn, call->who.scope, SL_TABLE_BATCH_OF, sl_slice_str(b->id));
}

void
sl_api_delete_batch(struct sl_call *call)
{
    struct sl_batch b;
    struct sl_purge purge = sl_purge_begin();
    if (!sl_batch_find(call, &b))
        return;
    if (sl_batch_runs(&b)) {
        sl_call_fail(call, SL_API_CONFLICT, "batch %s is %s: cancel it first", b.id,
                     sl_batch_status(&b));
        return;
    }
    delete_rows(call, &b, &purge);
    sl_count_add(call->txn, sl_counter(call, SL_COUNT_BATCHES, b.bucket), -1);
    if (sl_json_is(sl_json_member(b.row, "state"), "SUBMITTED") && b.has_task) {
        sl_count_add(call->txn, sl_counter(call, SL_COUNT_JOBS, b.bucket), -1);
        sl_count_add(call->txn, sl_counter(call, sl_count_of_job(b.state), b.bucket), -1);
    }
    if (sl_call_has_failed(call))
        return;
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "message", "the batch is deleted");
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_end(&call->out);
}

/* ---- of a bucket --------------------------------------------------------------------------- */

/* Every batch of a bucket, read; the array is arena memory. Writes may follow. */
static uint32_t
all_of(struct sl_call *call, const char *bucket, struct sl_batch **ret_batches)
{
    struct sl_scan scan = {0};
    struct sl_buf prefix = {0};
    uint32_t count = 0, capacity = 0;
    struct sl_batch *batches = NULL;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_BATCH, sl_key_prefix(&prefix, 1, bucket),
                sl_slice(NULL, 0), false, &scan);
    while (sl_scan_next(&scan)) {
        if (count == capacity) {
            struct sl_batch *more = sl_call_alloc(call, (capacity * 2 + 16) * sizeof(*more));
            if (count > 0)
                memcpy(more, batches, count * sizeof(*more));
            batches = more;
            capacity = capacity * 2 + 16;
        }
        const char *id = (const char *)sl_call_copy(call, sl_key_part(scan.key, 1)).data;
        (void)sl_batch_read(call, bucket, id, scan.value, &batches[count++]);
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    *ret_batches = batches;
    return count;
}

bool
sl_batch_is_active(struct sl_call *call, const char *bucket, const char *collection)
{
    struct sl_batch *batches;
    uint32_t count = all_of(call, bucket, &batches);
    for (uint32_t b = 0; b < count; b++) {
        if (!sl_batch_runs(&batches[b]))
            continue;
        if (collection == NULL)
            return true;
        struct sl_json ids = sl_json_member(batches[b].row, "collection_ids");
        for (struct sl_json_iter i = sl_json_iter(ids); sl_json_next(&i);) {
            if (sl_json_is(i.value, collection))
                return true;
        }
    }
    return false;
}

void
sl_batch_cancel_all(struct sl_call *call, const char *bucket)
{
    struct sl_batch *batches;
    uint32_t count = all_of(call, bucket, &batches);
    for (uint32_t b = 0; b < count; b++) {
        if (sl_batch_runs(&batches[b]))
            sl_batch_cancel(call, &batches[b]);
    }
}

void
sl_batch_delete_all(struct sl_call *call, const char *bucket, struct sl_purge *purge)
{
    struct sl_batch *batches;
    uint32_t count = all_of(call, bucket, &batches);
    for (uint32_t b = 0; b < count && !sl_call_has_failed(call); b++)
        delete_rows(call, &batches[b], purge);
}

void
sl_batch_count(struct sl_call *call, const char *bucket, struct sl_batch_stats *ret_stats)
{
    static const char *const names[] = {SL_COUNT_BATCHES, SL_COUNT_JOBS_DONE, SL_COUNT_JOBS_FAILED,
                                        SL_COUNT_JOBS, SL_COUNT_JOBS_CANCELED};
    uint64_t n[SL_COUNT_OF(names)];
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) /* Below 0: deleted before its job ended. */
        n[i] =
            (uint64_t)SL_MAX(sl_count(call->txn, sl_counter(call, names[i], bucket)), INT64_C(0));
    uint64_t ended = n[1] + n[2] + n[4];
    *ret_stats = (struct sl_batch_stats){.total = n[0],
                                         .completed = n[1],
                                         .failed = n[2],
                                         .active = n[3] > ended ? n[3] - ended : 0};
}

void
sl_batch_count_forget(struct sl_call *call, const char *bucket)
{
    static const char *const names[] = {SL_COUNT_BATCHES, SL_COUNT_JOBS, SL_COUNT_JOBS_DONE,
                                        SL_COUNT_JOBS_FAILED, SL_COUNT_JOBS_CANCELED};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++)
        sl_count_forget(call->txn, sl_counter(call, names[i], bucket));
}
