/* SPDX-License-Identifier: Apache-2.0 */
/* Submitting a batch: the jobs of its tiers, the first of them with its tasks. */
#include "gateway/arena.h"
#include "gateway/ask.h"
#include "gateway/batch.h"
#include "gateway/batch/row.h"
#include "gateway/collection.h"
#include "gateway/limits.h"
#include "gateway/object.h"
#include "gateway/stock.h"
#include "runtime/alloc.h"
#include "runtime/filter.h"
#include "runtime/limits.h"

/* ---- one job ------------------------------------------------------------------------------- */

const char **
sl_batch_task_ids(struct sl_call *call, uint32_t count)
{
    const char **ids = sl_call_alloc(call, count * sizeof(*ids));
    for (uint32_t i = 0; i < count; i++) {
        char *text = sl_call_alloc(call, 37);
        sl_random_uuid4(text);
        ids[i] = text;
    }
    return ids;
}

static struct sl_job_id
job_id(const struct sl_batch_job *job)
{
    struct sl_job_id id = {0};
    (void)!sl_job_id_parse(sl_slice_str(job->task_ids[job->tier]), &id); /* We made it. */
    return id;
}

void
sl_batch_job_begin(struct sl_call *call, struct sl_batch_job *job)
{
    sl_queue_event_enqueue(&job->event, &(struct sl_enqueue){.job = job_id(job),
                                                             .class = SL_CLASS_CPU,
                                                             .priority = 5,
                                                             .created_ms = call->now_ms});
}

void
sl_batch_job_task(struct sl_batch_job *job, struct sl_task_payload *p, const char *collection)
{
    p->run = (uint32_t)job->run;
    p->origin = sl_slice_str(job->batch->id);
    p->collection = sl_slice_str(collection);
    sl_buf_clear(&job->payload);
    sl_task_payload_encode(p, &job->payload);
    sl_queue_event_task(&job->event, sl_buf_slice(&job->payload));
    job->total++;
}

static void
write_about(struct sl_call *call, const struct sl_batch_job *job, struct sl_jsonw *w)
{
    const struct sl_batch *b = job->batch;
    struct sl_slice ids = sl_batch_objects(call, b), id;
    uint64_t count = 0;
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "batch_id", b->id);
    sl_jsonw_member_str(w, "bucket_id", b->bucket);
    if (job->is_counted)
        sl_jsonw_member_str(w, "counted_under", b->bucket); /* See count.h. */
    sl_jsonw_member_str(w, "namespace_id", call->namespace_id);
    sl_call_write_trace(call, w);
    sl_batch_plan_write(call, job->plan, job->tier, job->run, job->task_ids, w);
    (void)!sl_json_u64(sl_json_member(b->row, "object_count"), &count);
    sl_jsonw_member_u64(w, "object_count", count);
    sl_jsonw_name(w, "sample_object_ids");
    sl_jsonw_array(w);
    for (int i = 0; i < 5 && sl_batch_next_id(&ids, &id); i++)
        sl_jsonw_slice(w, id);
    sl_jsonw_end(w);
    sl_jsonw_end(w);
    sl_jsonw_done(w);
}

/* Tasks that have begun their way go on in later tiers: only new batches are refused. */
static bool
may_enqueue(struct sl_call *call, const struct sl_batch_job *job)
{
    struct sl_queue_depth d;
    if (sl_queue_depth(call->gateway->queue, call->who.scope, SL_CLASS_CPU, 0, &d) != SL_OK)
        return true;
    uint64_t depth = d.ready + d.delayed + d.leased;
    if (!sl_lane_mode_takes(d.settings.mode)) {
        sl_call_fail(call, SL_API_UNAVAILABLE,
                     "the queue %s:cpu is draining: it takes no new tasks", call->who.tenant_id);
        return false;
    }
    if (d.settings.depth_max != 0 && depth + job->total > d.settings.depth_max) {
        sl_call_fail(call, SL_API_QUOTA,
                     "the queue %s:cpu has %llu tasks and may have %llu: no room for %llu more",
                     call->who.tenant_id, (unsigned long long)depth,
                     (unsigned long long)d.settings.depth_max, (unsigned long long)job->total);
        return false;
    }
    return true;
}

/* Within the tenant's limits of what is there. */
static bool
has_room(struct sl_call *call, const struct sl_batch_job *job)
{
    if (!sl_stock_take(call, SL_LIMIT_max_queued_jobs, job->total))
        return false;
    if (sl_limits_concern(call))
        sl_stock_tell_tasks(call, &call->who);
    return true;
}

bool
sl_batch_job_put(struct sl_call *call, struct sl_batch_job *job)
{
    struct sl_buf about = {0}, row = {0};
    struct sl_jsonw w;
    struct sl_job_id id = job_id(job);
    bool is_small = job->event.size < SL_LIMIT_RECORD_BYTES / 2;
    bool is_put = is_small && may_enqueue(call, job) && has_room(call, job);
    if (is_put) {
        sl_jsonw_init(&w, &about);
        write_about(call, job, &w);
        sl_job_row_encode(&(struct sl_job_row){.state = SL_JOB_PENDING,
                                               .created_ms = call->now_ms,
                                               .total = job->total,
                                               .kind = sl_slice_str("api_buckets_batches_process"),
                                               .about = sl_buf_slice(&about)},
                          &row);
        sl_txn_event(call->txn, SL_PROJECTION_QUEUE, call->who.scope, sl_buf_slice(&job->event));
        sl_txn_put(call->txn, call->who.scope, SL_TABLE_JOB, sl_slice(id.bytes, sizeof(id.bytes)),
                   sl_buf_slice(&row));
        sl_call_wake_dispatcher(call);
    } else if (!is_small) {
        sl_call_fail(call, SL_API_BAD_REQUEST, "%llu tasks are more than one batch may have",
                     (unsigned long long)job->total);
    }
    sl_buf_deinit(&about);
    sl_buf_deinit(&row);
    sl_buf_deinit(&job->event);
    sl_buf_deinit(&job->payload);
    return is_put;
}

/* ---- submit -------------------------------------------------------------------------------- */

/* [["id of tier 0"], ...] */
static struct sl_json
jobs_of(struct sl_call *call, const char *const *task_ids, uint32_t count)
{
    struct sl_buf out = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &out);
    sl_jsonw_array(&w);
    for (uint32_t i = 0; i < count; i++) {
        sl_jsonw_array(&w);
        sl_jsonw_str(&w, task_ids[i]);
        sl_jsonw_end(&w);
    }
    sl_jsonw_end(&w);
    struct sl_json jobs = sl_call_parse(call, sl_buf_slice(&out));
    sl_buf_deinit(&out);
    return jobs;
}

static bool
put_submitted(struct sl_call *call, struct sl_batch *b, struct sl_batch_job *job)
{
    const struct sl_batch_plan *plan = job->plan;
    if (!sl_batch_job_put(call, job))
        return false;
    sl_batch_put(
        call, b,
        &(struct sl_batch_change){.state = "SUBMITTED",
                                  .task_id = job->task_ids[0],
                                  .collection_ids = sl_batch_plan_collections(call, plan),
                                  .tiers = sl_batch_plan_tiers(call, plan),
                                  .tier_jobs = jobs_of(call, job->task_ids, plan->tiers_count)});
    sl_count_add(call->txn, sl_counter(call, SL_COUNT_JOBS, b->bucket), 1);
    return true;
}

/* Filters of the collections of tier 0, NULL where one has none. */
static struct sl_filter **
compile_filters(struct sl_call *call, const struct sl_batch_plan *plan)
{
    struct sl_filter **filters = sl_call_alloc(call, plan->steps_count * sizeof(*filters));
    for (uint32_t i = 0; i < plan->steps_count && plan->steps[i].tier == 0; i++) {
        char *why = NULL; /* It was compiled before it was stored. */
        struct sl_json tree = sl_collection_filters(sl_json_member(plan->steps[i].row, "source"));
        if (sl_filter_compile(tree, NULL, &filters[i], &why) != SL_OK)
            sl_free(why);
    }
    return filters;
}

/* Does the object hold? One that does not exist does not; no filter holds for all, unread. */
static bool
holds(struct sl_call *call, const char *bucket, struct sl_slice id, const struct sl_filter *filter)
{
    struct sl_slice row;
    struct sl_object object = {0};
    if (filter == NULL)
        return true;
    struct sl_arena_mark mark = sl_arena_mark(call->arena);
    object.id = (const char *)sl_call_copy(call, id).data;
    bool is_held = sl_txn_get(call->txn, call->who.scope, SL_TABLE_SOURCE,
                              sl_object_key(call, bucket, object.id), &row) == SL_OK &&
                   sl_source_decode(row, &object.source) == SL_OK &&
                   sl_object_holds(call, bucket, &object, filter);
    sl_arena_rewind(call->arena, mark);
    return is_held;
}

static void
add_object(struct sl_call *call, struct sl_batch_job *job, struct sl_slice id,
           struct sl_filter **filters)
{
    struct sl_buf source = {0};
    sl_buf_append_str(&source, job->batch->bucket);
    sl_buf_append_u8(&source, 0);
    sl_buf_append_slice(&source, id);
    for (uint32_t i = 0; i < job->plan->steps_count && job->plan->steps[i].tier == 0; i++) {
        const struct sl_batch_step *step = &job->plan->steps[i];
        if (!holds(call, job->batch->bucket, id, filters[i]))
            continue;
        struct sl_task_payload p = {.kind = SL_SOURCE_OBJECT,
                                    .is_chained = step->is_chained,
                                    .source = sl_buf_slice(&source)};
        sl_batch_job_task(job, &p, step->collection);
    }
    sl_buf_deinit(&source);
}

bool
sl_batch_submit(struct sl_call *call, struct sl_batch *b, struct sl_json only)
{
    struct sl_batch_plan plan;
    struct sl_slice ids = sl_batch_objects(call, b), id;
    if (!sl_json_has(only))
        only = sl_json_member(b->row, "collection_ids");
    if (!sl_batch_plan(call, &(struct sl_batch_start){.bucket = b->bucket, .only = only}, &plan))
        return false;
    if (ids.size == 0) {
        sl_call_fail(call, SL_API_BAD_REQUEST, "the batch has no objects");
        return false;
    }
    struct sl_batch_job job = {.batch = b,
                               .plan = &plan,
                               .task_ids = sl_batch_task_ids(call, plan.tiers_count),
                               .is_counted = true};
    struct sl_filter **filters = compile_filters(call, &plan);
    sl_batch_job_begin(call, &job);
    while (sl_batch_next_id(&ids, &id))
        add_object(call, &job, id, filters);
    for (uint32_t i = 0; i < plan.steps_count; i++)
        sl_filter_destroy(&filters[i]);
    return put_submitted(call, b, &job);
}

/* Does the collection's own filter hold for the object? Records were looked at when collected. */
static bool
is_source_wanted(struct sl_call *call, const struct sl_filter *filter, struct sl_slice key)
{
    struct sl_arena_mark mark = sl_arena_mark(call->arena);
    const char *bucket = (const char *)sl_call_copy(call, sl_key_part(key, 0)).data;
    bool is_held = holds(call, bucket, sl_key_part(key, 1), filter);
    sl_arena_rewind(call->arena, mark);
    return is_held;
}

static void
add_sources(struct sl_call *call, struct sl_batch_job *job, const struct sl_batch_sources *sources)
{
    struct sl_reader r = sl_reader(sources->keys);
    struct sl_filter **filters = compile_filters(call, job->plan);
    while (!sl_reader_is_done(&r) && !r.is_bad) {
        struct sl_task_payload p = {.kind = sources->is_of_objects ? SL_SOURCE_OBJECT
                                                                   : SL_SOURCE_RECORD,
                                    .is_chained = job->plan->steps[0].is_chained,
                                    .source = sl_read_block(&r)};
        if (!sources->is_of_objects || is_source_wanted(call, filters[0], p.source))
            sl_batch_job_task(job, &p, sources->collection);
    }
    for (uint32_t i = 0; i < job->plan->steps_count; i++)
        sl_filter_destroy(&filters[i]);
}

bool
sl_batch_submit_sources(struct sl_call *call, struct sl_batch *b,
                        const struct sl_batch_sources *sources)
{
    struct sl_batch_plan plan;
    struct sl_batch_start start = {.bucket = b->bucket};
    if (sources->is_of_objects)
        start.only = sl_call_parse(
            call, sl_slice_str(sl_call_format(call, "[\"%s\"]", sources->collection)));
    else
        start.collection = sources->collection;
    if (!sl_batch_plan(call, &start, &plan))
        return false;
    struct sl_batch_job job = {.batch = b,
                               .plan = &plan,
                               .task_ids = sl_batch_task_ids(call, plan.tiers_count),
                               .is_counted = true};
    sl_batch_job_begin(call, &job);
    add_sources(call, &job, sources);
    return put_submitted(call, b, &job);
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

/* ---- cancel -------------------------------------------------------------------------------- */

void
sl_batch_cancel(struct sl_call *call, struct sl_batch *b)
{
    for (uint32_t t = 0; t <= b->current; t++) {
        for (struct sl_json_iter i = sl_json_iter(b->tiers[t].jobs); sl_json_next(&i);) {
            struct sl_task_view v;
            if (!sl_task_find(call, sl_call_text(call, i.value), &v))
                continue;
            if (!v.is_ended)
                sl_task_cancel(call, &v);
            else if (v.row.ended_ms ==
                     0) /* Its tasks have ended, its row has not: cut the chain. */
                sl_task_put_canceled(call, &v);
        }
    }
}
