/* SPDX-License-Identifier: Apache-2.0 */
/* Trying again what failed of a batch, and building its part of the indexes again. */
#include "actors/index.h"
#include "actors/record.h"
#include "gateway/ask.h"
#include "gateway/batch/failure.h"
#include "gateway/turn.h"
#include "runtime/alloc.h"

#define RETRY_MAX 100000

/* ---- trying again -------------------------------------------------------------------------- */

struct retry {
    struct sl_batch_plan plan;
    struct sl_json tiers; /* Wanted ones; NONE: all. */
    bool is_all;          /* Else only what was transient. */
    uint64_t retries_max;
    uint32_t tier;           /* The one that is collected. */
    struct sl_batch_job job; /* Of it. */
    struct sl_buf keys;      /* Failures that go with it: a block each. */
    const char *moved_from;  /* Job whose failures are counted in `moved`. */
    uint64_t moved;
    uint64_t retried, skipped;
};

static bool
is_wanted_tier(struct sl_call *call, const struct retry *r, uint32_t tier)
{
    (void)call;
    if (sl_json_count(r->tiers) == 0)
        return true;
    for (struct sl_json_iter i = sl_json_iter(r->tiers); sl_json_next(&i);) {
        uint64_t wanted;
        if (sl_json_u64(i.value, &wanted) == SL_OK && wanted == tier)
            return true;
    }
    return false;
}

static bool
is_transient(struct sl_json row)
{
    return sl_json_bool(sl_json_member(row, "transient"), false) ||
           sl_json_is(sl_json_member(row, "error_type"), "network") ||
           sl_json_is(sl_json_member(row, "error_type"), "resource") ||
           sl_json_is(sl_json_member(row, "code"), "replica_crashed") ||
           sl_json_is(sl_json_member(row, "code"), "replica_memory") ||
           sl_json_is(sl_json_member(row, "code"), "replica_exited");
}

/* The step of a collection; NULL: it is gone, disabled or in another tier by now. */
static const struct sl_batch_step *
step_of(const struct retry *r, struct sl_slice collection)
{
    for (uint32_t i = 0; i < r->plan.steps_count; i++) {
        const struct sl_batch_step *step = &r->plan.steps[i];
        if (step->tier == r->tier && sl_slice_is(collection, step->collection))
            return step;
    }
    return NULL;
}

static bool
collect(struct sl_call *call, void *arg, const struct sl_batch_failure *f)
{
    struct retry *r = arg;
    if (f->tier != r->tier || r->retried >= RETRY_MAX)
        return f->tier < r->tier;
    struct sl_json row = sl_batch_failure_row(call, f);
    uint64_t retries = sl_batch_number(row, "retries");
    const struct sl_batch_step *step = step_of(r, sl_member_text(call, row, "collection"));
    if (step == NULL || retries >= r->retries_max || (!r->is_all && !is_transient(row))) {
        r->skipped++;
        return true;
    }
    struct sl_buf source = {0};
    bool is_record = sl_json_is(sl_json_member(row, "kind"), "record");
    struct sl_slice key =
        sl_key(&source, 2, sl_member_str(call, row, "parent"), sl_member_str(call, row, "source"));
    struct sl_task_payload p = {.kind = is_record ? SL_SOURCE_RECORD : SL_SOURCE_OBJECT,
                                .is_chained = step->is_chained,
                                .retries = (uint32_t)retries + 1,
                                .source = key};
    sl_batch_job_task(&r->job, &p, step->collection);
    sl_buf_append_block(&r->keys, f->key);
    sl_buf_deinit(&source);
    r->retried++;
    return true;
}

/* The failures of `job` that are tried again are no longer its own: they move to the new job. */
static void
move_counts(struct sl_call *call, struct sl_slice job, uint64_t count)
{
    struct sl_task_view v;
    struct sl_buf row = {0};
    if (count == 0 || !sl_task_find(call, job, &v))
        return;
    struct sl_job_row moved = v.row;
    moved.dead -= SL_MIN(count, moved.dead);
    moved.total -= SL_MIN(count, moved.total);
    if (moved.state == SL_JOB_PARTIAL || moved.state == SL_JOB_FAILED)
        moved.state = moved.dead == 0 ? SL_JOB_SUCCEEDED : moved.state;
    sl_job_row_encode(&moved, &row);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_JOB, sl_slice(v.id.bytes, sizeof(v.id.bytes)),
               sl_buf_slice(&row));
    sl_buf_deinit(&row);
}

static void
move_failures(struct sl_call *call, struct retry *r)
{
    struct sl_reader keys = sl_reader(sl_buf_slice(&r->keys));
    struct sl_slice job = {0};
    uint64_t count = 0;
    while (!sl_reader_is_done(&keys) && !keys.is_bad) {
        struct sl_slice key = sl_read_block(&keys), of = sl_key_part(key, 0);
        if (!sl_slice_equal(of, job)) {
            move_counts(call, job, count);
            job = of;
            count = 0;
        }
        count++;
        sl_txn_del(call->txn, call->who.scope, SL_TABLE_FAILURE, key);
    }
    move_counts(call, job, count);
}

/* `jobs` with the new ids at the end of their tiers. */
static struct sl_json
with_jobs(struct sl_call *call, const struct sl_batch *b, const struct sl_batch_job *job)
{
    struct sl_buf out = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &out);
    sl_jsonw_array(&w);
    for (uint32_t t = 0; t < b->tiers_count; t++) {
        sl_jsonw_array(&w);
        for (struct sl_json_iter i = sl_json_iter(b->tiers[t].jobs); sl_json_next(&i);)
            sl_jsonw_value(&w, i.value);
        if (t >= job->tier)
            sl_jsonw_str(&w, job->task_ids[t]);
        sl_jsonw_end(&w);
    }
    sl_jsonw_end(&w);
    struct sl_json jobs = sl_call_parse(call, sl_buf_slice(&out));
    sl_buf_deinit(&out);
    return jobs;
}

/* One job for what failed in r->tier; the tiers after it follow as in a first run. */
static void
retry_tier(struct sl_call *call, struct sl_batch *b, struct retry *r, const char **task_id)
{
    uint64_t before = r->retried;
    r->job = (struct sl_batch_job){.batch = b,
                                   .plan = &r->plan,
                                   .task_ids = sl_batch_task_ids(call, r->plan.tiers_count),
                                   .tier = r->tier,
                                   .run = sl_batch_number(b->row, "runs") + 1};
    sl_buf_clear(&r->keys);
    sl_batch_job_begin(call, &r->job);
    sl_batch_failures(call, b, collect, r);
    if (r->retried == before) {
        sl_buf_deinit(&r->job.event);
        sl_buf_deinit(&r->job.payload);
        return;
    }
    if (!sl_batch_job_put(call, &r->job))
        return;
    move_failures(call, r);
    *task_id = *task_id == NULL ? r->job.task_ids[r->tier] : *task_id;
    sl_batch_put(
        call, b,
        &(struct sl_batch_change){.tier_jobs = with_jobs(call, b, &r->job), .runs = r->job.run});
}

static bool
read_retry(struct sl_call *call, const struct sl_batch *b, struct retry *ret_retry)
{
    struct sl_json mode = sl_json_member(call->body, "retry_mode");
    *ret_retry = (struct retry){.tiers = sl_json_member(call->body, "tier_nums"),
                                .is_all = sl_json_is(mode, "all"),
                                .retries_max = 3};
    if (sl_json_has(sl_json_member(call->body, "max_retry_count")))
        ret_retry->retries_max = sl_batch_number(call->body, "max_retry_count");
    for (struct sl_json_iter i = sl_json_iter(ret_retry->tiers); sl_json_next(&i);) {
        uint64_t tier;
        if (sl_json_u64(i.value, &tier) != SL_OK || tier >= b->tiers_count)
            sl_call_invalid(call, "body.tier_nums", "value_error", "the batch has tiers 0 to %u",
                            b->tiers_count - 1);
    }
    if (sl_call_has_failed(call))
        return false;
    if (b->is_draft || !b->has_task)
        sl_call_fail(call, SL_API_CONFLICT, "batch %s was not submitted", b->id);
    else if (sl_batch_runs(b))
        sl_call_fail(call, SL_API_CONFLICT, "batch %s still runs", b->id);
    return !sl_call_has_failed(call);
}

/* The plan as of now; its tiers must be those that ran. */
static bool
plan_again(struct sl_call *call, const struct sl_batch *b, struct retry *r)
{
    struct sl_batch_start start = {.bucket = b->bucket,
                                   .only = sl_json_member(b->row, "collection_ids")};
    if (sl_json_is(sl_json_member(b->row, "type"), "COLLECTION")) {
        struct sl_json_iter first = sl_json_iter(start.only);
        start.collection =
            sl_json_next(&first) ? (const char *)sl_call_text(call, first.value).data : "";
    }
    if (!sl_batch_plan(call, &start, &r->plan))
        return false;
    if (r->plan.tiers_count == b->tiers_count)
        return true;
    sl_call_fail(call, SL_API_CONFLICT, "the collections of batch %s have changed since it ran",
                 b->id);
    return false;
}

void
sl_api_retry_batch(struct sl_call *call)
{
    struct sl_batch b;
    struct retry r;
    const char *task_id = NULL;
    struct sl_jsonw *w = &call->out;
    if (!sl_batch_find(call, &b) || !read_retry(call, &b, &r) || !plan_again(call, &b, &r))
        return;
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "batch_id", b.id);
    sl_jsonw_member_str(w, "retry_mode", r.is_all ? "all" : "transient_only");
    sl_jsonw_name(w, "tier_nums");
    sl_jsonw_array(w);
    for (r.tier = 0; r.tier < b.tiers_count && !sl_call_has_failed(call); r.tier++) {
        if (!is_wanted_tier(call, &r, r.tier))
            continue;
        sl_jsonw_u64(w, r.tier);
        retry_tier(call, &b, &r, &task_id);
    }
    sl_buf_deinit(&r.keys);
    sl_jsonw_end(w);
    sl_jsonw_member_str(w, "task_id",
                        task_id == NULL ? sl_member_str(call, b.row, "task_id") : task_id);
    sl_jsonw_member_u64(w, "retried_count", r.retried);
    sl_jsonw_member_u64(w, "skipped_count", r.skipped);
    sl_jsonw_end(w);
}

/* ---- writing the index again --------------------------------------------------------------- */

struct rewrite {
    struct sl_batch batch;
    struct sl_json collections; /* Of the tier. */
    struct sl_turn turn;
    uint64_t count; /* Documents that the batch wrote to them. */
};

static void
destroy_rewrite(void *state)
{
    struct rewrite *r = state;
    sl_turn_end(&r->turn);
    sl_free(r);
}

static bool
count_written(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value)
{
    struct rewrite *r = arg;
    struct sl_record record;
    (void)call, (void)key;
    r->count +=
        sl_record_decode(value, &record) == SL_OK && sl_slice_is(record.origin, r->batch.id);
    return true;
}

static void
reply_rewritten(struct sl_call *call, const struct rewrite *r)
{
    if (r->count == 0) {
        sl_call_fail(call, SL_API_CONFLICT, "tier %.*s of batch %s has no stored output",
                     SL_SLICE_FMT(call->params[2]), r->batch.id);
        return;
    }
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "batch_id", r->batch.id);
    sl_jsonw_name(&call->out, "tier_num");
    sl_jsonw_raw(&call->out, call->params[2]); /* Digits: it named a tier. */
    sl_jsonw_member_str(&call->out, "status", "COMPLETED");
    sl_jsonw_member_u64(&call->out, "documents_written", r->count);
    sl_jsonw_end(&call->out);
}

/* Vectors are stored with their documents; the index is memory. It is dropped and built anew. */
static void
rewrite(struct sl_call *call)
{
    struct rewrite *r = call->state;
    uint32_t number = 0;
    for (struct sl_json_iter i = sl_json_iter(r->collections); sl_json_next(&i); number++) {
        const char *id = (const char *)sl_call_text(call, i.value).data;
        struct sl_turn_range range = {.number = number, .table = SL_TABLE_RECORD, .id = id};
        if (!sl_turn_walk(&r->turn, call, &range, count_written, r)) {
            sl_turn_give(&r->turn, call, rewrite);
            return;
        }
    }
    for (struct sl_json_iter i = sl_json_iter(r->collections); sl_json_next(&i);)
        sl_index_drop(sl_call_indexes(call), call->who.scope, sl_call_text(call, i.value));
    reply_rewritten(call, r);
}

void
sl_api_retry_batch_write(struct sl_call *call)
{
    struct rewrite *r = sl_zalloc(sizeof(*r));
    uint32_t tier = 0;
    call->state = r;
    call->state_free = destroy_rewrite;
    if (!sl_batch_find(call, &r->batch))
        return;
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(r->batch.row, "tiers"));
         sl_json_next(&i); tier++) {
        if (sl_slice_is(call->params[2], sl_call_format(call, "%u", tier)))
            r->collections = i.value;
    }
    rewrite(call);
}
