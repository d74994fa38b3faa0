/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doubles stand for what talks to the actors under test: the gateway's actor, which writes jobs
 * into the store, together with a client that asks again until it has an answer; and a replica.
 */
#include "actors/simulate_world.h"

#include <inttypes.h>
#include <stdio.h>

#include "actors/extraction.h"
#include "actors/record.h"
#include "actors/job_row.h"
#include "actors/rows.h"
#include "extractors/replica.h"
#include "runtime/alloc.h"
#include "runtime/spawn_port.h"

/* ---- the plan ------------------------------------------------------------------------------ */

/* Under load most are good: what is to be seen is much work, and not that bad work takes long. */
static enum sl_world_work
pick_gentle_work(struct sl_random *random)
{
    uint64_t draw = sl_random_below(random, 400);
    return draw < 2    ? SL_WORK_SLOW
           : draw < 4  ? SL_WORK_POISON
           : draw < 12 ? SL_WORK_BAD
           : draw < 28 ? SL_WORK_FLAKY
                       : SL_WORK_GOOD;
}

static enum sl_world_work
pick_work(struct sl_random *random)
{
    static const enum sl_world_work works[] = {
        SL_WORK_GOOD, SL_WORK_GOOD,  SL_WORK_GOOD, SL_WORK_GOOD, SL_WORK_GOOD,   SL_WORK_GOOD,
        SL_WORK_GOOD, SL_WORK_FLAKY, SL_WORK_SLOW, SL_WORK_BAD,  SL_WORK_POISON, SL_WORK_MISSING};
    return works[sl_random_below(random, SL_COUNT_OF(works))];
}

static void
plan_tasks(struct sl_world *w, uint32_t j)
{
    struct sl_random *random = sl_sim_random(w->sim);
    struct sl_world_job *job = &w->jobs[j];
    for (uint32_t t = 0; t < job->tasks_count; t++) {
        bool is_gentle = w->options.load != 0 && j >= SL_WORLD_CHAINS && !sl_world_is_second(w, j);
        job->tasks[t].work = is_gentle ? pick_gentle_work(random) : pick_work(random);
        if (job->tasks[t].work == SL_WORK_MISSING && !sl_world_is_veiled(w, j))
            job->tasks[t].work = SL_WORK_GOOD;
        bool is_small = is_gentle && sl_random_below(random, 8) != 0;
        job->tasks[t].records =
            is_small ? 1 : (uint32_t)sl_sim_between(w->sim, 1, SL_WORLD_RECORDS);
        job->tasks[t].is_in_parts = j >= SL_WORLD_CHAINS && sl_random_below(random, 3) == 0;
        job->tasks[t].most_ms = job->tasks[t].work == SL_WORK_SLOW ? 15000
                                : job->scope.id == 1               ? 6
                                : job->scope.id == 2               ? 60
                                                                   : 600;
    }
}

/* Tenants that want the same time with tasks of very different cost, and no other trouble. */
static void
plan_rival(struct sl_world *w, uint32_t j)
{
    struct sl_world_job *job = &w->jobs[j];
    uint32_t dear = w->jobs_count - 1;
    job->scope.id = j == dear ? 2 : 1;
    job->tasks_count = SL_WORLD_TASKS;
    job->is_cancel_wanted = false;
    for (uint32_t t = 0; t < SL_WORLD_TASKS; t++)
        job->tasks[t] = (struct sl_world_task){
            .records = 1, .most_ms = j == dear ? 2000 : 20, .work = SL_WORK_GOOD};
}

static void
name_job(struct sl_world_job *job, uint32_t j)
{
    job->id.bytes[0] = (uint8_t)((j + 1) & 0xff);
    job->id.bytes[1] = (uint8_t)((j + 1) >> 8);
}

static void
plan_second_tiers(struct sl_world *w)
{
    for (uint32_t j = w->jobs_count; j < w->jobs_all; j++) {
        const struct sl_world_job *first = &w->jobs[j - w->jobs_count];
        struct sl_world_job *job = &w->jobs[j];
        name_job(job, j);
        job->scope = first->scope;
        job->tasks_count = first->tasks_count * SL_WORLD_RECORDS;
        plan_tasks(w, j);
    }
}

static uint32_t
count_jobs(const struct sl_world *w)
{
    uint64_t seconds = w->fault_until_ns / SL_SECOND_NS;
    uint64_t jobs = w->options.load * seconds / (SL_WORLD_TASKS / 2);
    return w->options.load == 0 ? SL_WORLD_JOBS
                                : (uint32_t)SL_MIN(SL_MAX(jobs, (uint64_t)SL_WORLD_JOBS),
                                                   (uint64_t)SL_WORLD_JOBS_MAX);
}

void
sl_world_plan(struct sl_world *w)
{
    struct sl_random *random = sl_sim_random(w->sim);
    w->jobs_count = count_jobs(w) + SL_WORLD_RIVALS;
    w->jobs_all = w->jobs_count + SL_WORLD_CHAINS;
    w->jobs = sl_zalloc(w->jobs_all * sizeof(w->jobs[0]));
    for (uint32_t i = 0; i < w->jobs_count; i++) {
        struct sl_world_job *job = &w->jobs[i];
        name_job(job, i);
        job->scope.id = 1 + i % SL_WORLD_TENANTS;
        uint32_t most = i < SL_WORLD_CHAINS ? SL_WORLD_TASKS / SL_WORLD_RECORDS : SL_WORLD_TASKS;
        job->tasks_count = (uint32_t)sl_sim_between(w->sim, 1, most);
        job->is_cancel_wanted = sl_random_below(random, 6) == 0;
        if (sl_world_is_rival(w, i))
            plan_rival(w, i);
        else
            plan_tasks(w, i);
    }
    plan_second_tiers(w);
}

const char *
sl_world_collection(const struct sl_world *w, uint32_t job)
{
    return sl_world_is_second(w, job) ? SL_WORLD_SECOND : SL_WORLD_COLLECTION;
}

/* These run for each task, many times: printf was a tenth of a run. */
static void
append_number(struct sl_buf *out, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    sl_buf_append(out, digits + at, sizeof(digits) - at);
}

/* "content":"j t" */
static void
write_content(struct sl_buf *out, uint32_t j, uint32_t t)
{
    sl_buf_append_str(out, "\"content\":\"");
    append_number(out, j);
    sl_buf_append_u8(out, ' ');
    append_number(out, t);
    sl_buf_append_u8(out, '"');
}

void
sl_world_source_key(const struct sl_world *w, uint32_t job, uint32_t task, struct sl_buf *out)
{
    char name[32];
    struct sl_buf source = {0}, origin = {0};
    if (!sl_world_is_second(w, job)) {
        sl_buf_append_u8(&source, 'j');
        append_number(&source, job);
        sl_buf_append_str(&source, "_t");
        append_number(&source, task);
        (void)sl_key(out, 2, SL_WORLD_BUCKET, sl_buf_text(&source));
        sl_buf_deinit(&source);
        return;
    }
    sl_world_source_key(w, job - w->jobs_count, task / SL_WORLD_RECORDS, &source);
    sl_record_id(&(struct sl_record_origin){.collection = sl_slice_str(SL_WORLD_COLLECTION),
                                            .origin = sl_world_origin(w, job, &origin),
                                            .source = sl_buf_slice(&source),
                                            .position = task % SL_WORLD_RECORDS},
                 name);
    (void)sl_key(out, 2, SL_WORLD_COLLECTION, name);
    sl_buf_deinit(&source);
    sl_buf_deinit(&origin);
}

struct sl_slice
sl_world_origin(const struct sl_world *w, uint32_t job, struct sl_buf *out)
{
    sl_buf_clear(out);
    sl_buf_append_str(out, "batch");
    append_number(out, sl_world_is_second(w, job) ? job - w->jobs_count : job);
    return sl_buf_slice(out);
}

struct sl_world_task *
sl_world_task_of(struct sl_world *w, struct sl_slice inputs)
{
    struct sl_reader in = sl_reader(inputs);
    (void)sl_read_block(&in);
    (void)sl_read_block(&in);
    struct sl_slice text = sl_read_block(&in);
    uint32_t numbers[2] = {0}, at = 0;
    for (size_t i = 0; i < text.size && at < 2; i++) {
        const char digit = (char)text.data[i];
        if (digit == ' ')
            at++;
        else if (digit < '0' || digit > '9')
            return NULL;
        else
            numbers[at] = numbers[at] * 10 + (uint32_t)(digit - '0');
    }
    uint32_t job = numbers[0], task = numbers[1];
    if (in.is_bad || at != 1 || job >= w->jobs_all || task >= w->jobs[job].tasks_count)
        return NULL;
    return &w->jobs[job].tasks[task];
}

/* ---- the gateway and its client ------------------------------------------------------------ */

#define TOKEN_SUBMIT  1
#define TOKEN_CALL    2
#define SL_WORLD_CALL "call" /* The inputs of an online call. */

struct gateway {
    struct sl_world *world;
};

static struct sl_slice
id_slice(const struct sl_world_job *job)
{
    return sl_slice(job->id.bytes, sizeof(job->id.bytes));
}

static void
put_source(struct sl_world *w, struct sl_txn *txn, uint32_t j, uint32_t t)
{
    const struct sl_world_job *job = &w->jobs[j];
    struct sl_buf key = {0}, fields = {0}, row = {0};
    sl_world_source_key(w, j, t, &key);
    if (job->tasks[t].work == SL_WORK_MISSING)
        sl_buf_append_str(&fields, "{}");
    else {
        sl_buf_append_u8(&fields, '{');
        write_content(&fields, j, t);
        sl_buf_append_u8(&fields, '}');
    }
    struct sl_source source = {
        .fields = sl_buf_slice(&fields), .blobs = sl_slice_str("[]"), .extra = sl_slice_str("{}")};
    sl_source_encode(&source, &row);
    sl_txn_put(txn, job->scope, SL_TABLE_SOURCE, sl_buf_slice(&key), sl_buf_slice(&row));
    sl_buf_deinit(&key);
    sl_buf_deinit(&fields);
    sl_buf_deinit(&row);
}

/* What makes the actors chain a second tier. */
static struct sl_slice
write_about(uint32_t j, struct sl_world *w, struct sl_buf *out)
{
    char second[37];
    if (j >= SL_WORLD_CHAINS)
        return sl_slice_str("{}");
    sl_job_id_format(w->jobs[w->jobs_count + j].id, second);
    sl_buf_printf(out,
                  "{\"batch_id\":\"batch%u\",\"run\":0,\"total_tiers\":2,\"current_tier\":0,"
                  "\"chain\":[{\"task_id\":\"%s\",\"collections\":[{\"collection_id\":\"%s\","
                  "\"sources\":[\"%s\"],\"is_chained\":false,\"filters\":null}]}]}",
                  j, second, SL_WORLD_SECOND, SL_WORLD_COLLECTION);
    return sl_buf_slice(out);
}

static uint8_t
priority_of(uint32_t j)
{
    return (uint8_t)(j % (SL_QUEUE_PRIORITY_MAX + 1));
}

static void
put_job(struct sl_world *w, struct sl_ctx *ctx, struct sl_txn *txn, uint32_t j)
{
    const struct sl_world_job *job = &w->jobs[j];
    struct sl_buf event = {0}, payload = {0}, key = {0}, origin = {0}, row = {0}, about = {0};
    struct sl_enqueue enqueue = {.job = job->id,
                                 .class = (enum sl_class)(sl_world_lane(w, j) % 4),
                                 .priority = priority_of(j),
                                 .created_ms = ctx->now_ms,
                                 .not_before_ms =
                                     sl_world_is_delayed(w, j) ? ctx->now_ms + 3000 : 0};
    sl_queue_event_enqueue(&event, &enqueue);
    for (uint32_t t = 0; t < job->tasks_count; t++) {
        put_source(w, txn, j, t);
        sl_world_source_key(w, j, t, &key);
        struct sl_task_payload p = {.origin = sl_world_origin(w, j, &origin),
                                    .collection = sl_slice_str(SL_WORLD_COLLECTION),
                                    .is_chained = j < SL_WORLD_CHAINS,
                                    .source = sl_buf_slice(&key)};
        sl_buf_clear(&payload);
        sl_task_payload_encode(&p, &payload);
        sl_queue_event_task(&event, sl_buf_slice(&payload));
    }
    sl_job_row_encode(&(struct sl_job_row){.state = SL_JOB_PENDING,
                                           .created_ms = ctx->now_ms,
                                           .total = job->tasks_count,
                                           .kind = sl_slice_str("batch"),
                                           .about = write_about(j, w, &about)},
                      &row);
    sl_txn_put(txn, job->scope, SL_TABLE_JOB, id_slice(job), sl_buf_slice(&row));
    sl_txn_event(txn, SL_PROJECTION_QUEUE, job->scope, sl_buf_slice(&event));
    sl_buf_deinit(&event);
    sl_buf_deinit(&payload);
    sl_buf_deinit(&key);
    sl_buf_deinit(&origin);
    sl_buf_deinit(&row);
    sl_buf_deinit(&about);
}

static void
acknowledge(struct sl_ctx *ctx, uint32_t job, enum sl_world_ack ack)
{
    struct sl_m_wake wake = {.reason = (uint64_t)job << 8 | ack};
    sl_send(ctx, sl_at(0, SL_ACTOR_DISPATCHER), SL_M_wake, &wake);
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_WORLD_PORT_ACK), SL_M_wake, &wake);
}

static void
tell_submit(struct sl_world *w, uint32_t j)
{
    const struct sl_world_job *job = &w->jobs[j];
    bool is_ready =
        !sl_world_is_delayed(w, j) && !job->is_cancel_wanted && !sl_world_is_veiled(w, j);
    sl_world_tell(w, (struct sl_history_event){.what = SL_HISTORY_SUBMIT,
                                               .task = priority_of(j),
                                               .job = j,
                                               .value = job->tasks_count,
                                               .node = is_ready,
                                               .tenant = sl_world_lane(w, j)});
}

static void
submit(struct sl_world *w, struct sl_ctx *ctx, uint32_t j)
{
    struct sl_slice row;
    struct sl_txn *txn = sl_store_begin(ctx->store);
    bool is_known =
        sl_txn_get(txn, w->jobs[j].scope, SL_TABLE_JOB, id_slice(&w->jobs[j]), &row) == SL_OK;
    w->jobs[j].is_tried = true;
    if (!is_known)
        put_job(w, ctx, txn, j);
    if (sl_txn_commit(&txn) == SL_OK) {
        if (!is_known)
            tell_submit(w, j);
        acknowledge(ctx, j, SL_ACK_SUBMIT);
    }
    sl_txn_abort(&txn);
}

/* All at once, so that each has work while the others have. */
static void
submit_rivals(struct sl_world *w, struct sl_ctx *ctx)
{
    for (uint32_t j = w->jobs_count - SL_WORLD_RIVALS; j < w->jobs_count; j++) {
        if (!w->jobs[j].is_acked)
            submit(w, ctx, j);
    }
}

static void
cancel(struct sl_world *w, struct sl_ctx *ctx, uint32_t j)
{
    const struct sl_world_job *job = &w->jobs[j];
    struct sl_buf event = {0}, row = {0};
    struct sl_job_info info;
    if (sl_queue_job(w->queue, job->id, &info) == SL_OK && info.state < SL_JOB_SUCCEEDED) {
        struct sl_txn *txn = sl_store_begin(ctx->store);
        struct sl_job_row ended = {.state = SL_JOB_CANCELED,
                                   .created_ms = info.created_ms,
                                   .ended_ms = ctx->now_ms,
                                   .total = info.total,
                                   .done = info.done,
                                   .dead = info.dead,
                                   .canceled = info.total - info.done - info.dead};
        sl_queue_event_cancel(&event, job->id);
        sl_txn_event(txn, SL_PROJECTION_QUEUE, job->scope, sl_buf_slice(&event));
        sl_job_row_encode(&ended, &row);
        sl_txn_put(txn, job->scope, SL_TABLE_JOB, id_slice(job), sl_buf_slice(&row));
        enum sl_err err = sl_txn_commit(&txn);
        if (err == SL_OK)
            acknowledge(ctx, j, SL_ACK_CANCEL);
    } else {
        acknowledge(ctx, j, SL_ACK_CANCEL); /* It has ended, which is what was wanted. */
    }
    sl_buf_deinit(&event);
    sl_buf_deinit(&row);
}

static bool
lacks(const struct sl_world_job *job)
{
    return !job->is_acked || (job->is_cancel_wanted && !job->is_cancel_acked);
}

/* The next job that lacks something, from a random one of the first few that may. */
static uint32_t
pick_job(struct sl_world *w, struct sl_ctx *ctx)
{
    while (w->open_from < w->jobs_count && !lacks(&w->jobs[w->open_from]))
        w->open_from++;
    uint32_t ahead = SL_MIN(w->jobs_count - w->open_from, (uint32_t)SL_WORLD_JOBS);
    if (ahead == 0)
        return w->jobs_count;
    uint32_t j = w->open_from + (uint32_t)sl_random_below(ctx->random, ahead);
    while (j < w->jobs_count && !lacks(&w->jobs[j]))
        j++;
    return j < w->jobs_count ? j : w->open_from;
}

/* Submits come as the faults do, spread over their time; a try is lost now and then. */
static void
gateway_timer(struct gateway *g, struct sl_ctx *ctx)
{
    struct sl_world *w = g->world;
    uint32_t j = pick_job(w, ctx);
    if (j == w->jobs_count)
        return;
    if (sl_world_is_rival(w, j))
        submit_rivals(w, ctx);
    else if (!w->jobs[j].is_acked)
        submit(w, ctx, j);
    else if (w->jobs[j].is_cancel_wanted && !w->jobs[j].is_cancel_acked)
        cancel(w, ctx, j);
    uint64_t most_ms = w->fault_until_ns / SL_MILLI_NS / w->jobs_count;
    if (w->options.load != 0)
        most_ms = most_ms * 7 / 4; /* Up to the end, with some left to ask again. */
    sl_after(ctx, (1 + sl_random_below(ctx->random, SL_MAX(most_ms, UINT64_C(1)))) * SL_MILLI_NS,
             TOKEN_SUBMIT);
}

/* An online call: a vector of one text, which must not wait in the queue. */
static void
gateway_call(struct gateway *g, struct sl_ctx *ctx)
{
    static const char spec[] = "{\"extractor\":\"text_extractor\",\"params\":{},\"index\":"
                               "\"" SL_WORLD_INDEX "\"}";
    struct sl_world *w = g->world;
    uint32_t rate = w->options.calls_rate != 0 ? w->options.calls_rate
                    : w->options.load != 0     ? w->options.load
                                               : 4;
    struct sl_m_embed m = {.spec = sl_slice_str(spec), .inputs = sl_slice_str(SL_WORLD_CALL)};
    uint64_t number = ++w->call_last;
    if (sl_world_has_home(w->options.seed) && number % 4 == 0)
        m.home = m.tenant = m.scope = SL_WORLD_HOMED;
    sl_after(ctx, sl_random_below(ctx->random, 2 * SL_SECOND_NS / rate), TOKEN_CALL);
    if (sl_sim_now_ns(w->sim) >= w->fault_until_ns)
        return;
    sl_world_tell(w, (struct sl_history_event){.what = SL_HISTORY_CALL, .value = number});
    w->result->calls++;
    sl_request(ctx, sl_at(0, SL_ACTOR_ROUTER), number, SL_M_embed, &m);
}

static void
gateway_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct gateway *g = self;
    if (msg->id == SL_M_timer && SL_BODY(msg, timer)->token == TOKEN_CALL) {
        gateway_call(g, ctx);
    } else if (msg->id == SL_M_timer) {
        gateway_timer(g, ctx);
    } else if (msg->id == SL_M_embedded) {
        struct sl_world *w = g->world;
        w->result->answers++;
        w->result->failed_calls += SL_BODY(msg, embedded)->err != SL_OK;
        sl_world_tell(w,
                      (struct sl_history_event){.what = SL_HISTORY_ANSWER, .value = msg->request});
    } else if (msg->id == SL_M_job_ended) {
        struct sl_slice id = SL_BODY(msg, job_ended)->job;
        uint64_t job = (uint64_t)id.data[0] + ((uint64_t)id.data[1] << 8) - 1;
        struct sl_m_wake wake = {.reason = job << 8 | SL_ACK_ENDED};
        sl_send(ctx, sl_at(SL_NODE_PORT, SL_WORLD_PORT_ACK), SL_M_wake, &wake);
    }
}

static void
gateway_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct gateway *g = self;
    g->world = (struct sl_world *)(uintptr_t)argument;
    sl_after(ctx, SL_MILLI_NS, TOKEN_SUBMIT);
    sl_after(ctx, SL_SECOND_NS, TOKEN_CALL);
}

const struct sl_actor_class sl_world_gateway = {
    .name = "gateway",
    .state_size = sizeof(struct gateway),
    .init = gateway_init,
    .handle = gateway_handle,
};

/* ---- a replica ----------------------------------------------------------------------------- */

#define TOKEN_READY 1
#define TOKEN_WORK  2

struct replica {
    struct sl_world_replica_options options;
    struct sl_msg *oldest, **tail; /* What it was given, in order. */
    uint64_t began_ns;             /* The one it is at. */
    bool is_stopping, is_busy, is_hung;
};

static void
end_self(struct sl_ctx *ctx, uint64_t signal)
{
    struct sl_m_spawn_kill end = {.signal = signal};
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_SPAWNER), SL_M_spawn_kill, &end);
}

static void
begin_next(struct replica *r, struct sl_ctx *ctx)
{
    if (r->is_busy || r->is_hung)
        return;
    if (r->oldest == NULL) {
        if (r->is_stopping)
            end_self(ctx, 0);
        return;
    }
    const struct sl_world_task *task =
        sl_world_task_of(r->options.world, SL_BODY(r->oldest, process)->inputs);
    uint64_t most_ms = task == NULL ? 300 : task->most_ms;
    r->is_busy = true;
    r->began_ns = ctx->now_ns;
    sl_after(ctx, (1 + sl_random_below(ctx->random, most_ms)) * SL_MILLI_NS, TOKEN_WORK);
}

/* What a task of the second tier reads from record `position`; one of them finds nothing. */
static void
append_content(struct sl_world *w, const struct sl_world_task *task, uint32_t position,
               struct sl_buf *fields)
{
    for (uint32_t j = 0; j < SL_WORLD_CHAINS; j++) {
        const struct sl_world_job *job = &w->jobs[j];
        if (task < job->tasks || task >= job->tasks + job->tasks_count)
            continue;
        uint32_t second = w->jobs_count + j;
        uint32_t t = (uint32_t)(task - job->tasks) * SL_WORLD_RECORDS + position;
        if (w->jobs[second].tasks[t].work == SL_WORK_MISSING)
            continue;
        sl_buf_append_u8(fields, ',');
        write_content(fields, second, t);
    }
}

/* Each run marks what it makes with a number of its own, so that whose it is can be told later. */
static void
append_outputs(struct sl_world *w, const struct sl_world_task *task, uint32_t first,
               struct sl_buf *out)
{
    static const float vector[SL_WORLD_DIMENSIONS] = {1, 2, 3, 4};
    struct sl_buf fields = {0};
    size_t nonce = w->nonces.size;
    sl_buf_append_u8(&w->nonces, 0);
    uint32_t end = task->is_in_parts ? SL_MIN(first + 1, task->records) : task->records;
    sl_buf_append_u32(out, end - first);
    for (uint32_t i = first; i < end; i++) {
        sl_buf_clear(&fields);
        sl_buf_append_str(&fields, "{\"nonce\":");
        append_number(&fields, nonce);
        append_content(w, task, i, &fields);
        sl_buf_append_str(&fields, "}");
        sl_buf_append_block(out, sl_buf_slice(&fields));
        sl_buf_append_u32(out, 1);
        sl_buf_append_block(out, sl_slice_str(SL_WORLD_INDEX));
        sl_buf_append_block(out, sl_slice(vector, sizeof(vector)));
    }
    sl_buf_deinit(&fields);
}

static void
append_vector(struct sl_buf *out)
{
    static const float vector[SL_WORLD_DIMENSIONS] = {1, 2, 3, 4};
    sl_buf_append_u32(out, 1);
    sl_buf_append_block(out, sl_slice_str("{}"));
    sl_buf_append_u32(out, 1);
    sl_buf_append_block(out, sl_slice_str(SL_WORLD_INDEX));
    sl_buf_append_block(out, sl_slice(vector, sizeof(vector)));
}

static void
finish(struct replica *r, struct sl_ctx *ctx)
{
    struct sl_world *w = r->options.world;
    struct sl_msg *msg = r->oldest;
    r->oldest = msg->next;
    if (r->oldest == NULL)
        r->tail = &r->oldest;
    r->is_busy = false;
    const struct sl_world_task *task = sl_world_task_of(w, SL_BODY(msg, process)->inputs);
    bool is_call = sl_slice_is(SL_BODY(msg, process)->inputs, SL_WORLD_CALL);
    enum sl_world_work work = task != NULL ? task->work : is_call ? SL_WORK_GOOD : SL_WORK_BAD;
    struct sl_buf outputs = {0};
    struct sl_m_processed m = {.item = SL_BODY(msg, process)->item,
                               .busy_ns = (1 + sl_random_below(ctx->random, 40)) * SL_MILLI_NS,
                               .served_ns = ctx->now_ns - r->began_ns};
    bool is_passing = work == SL_WORK_FLAKY || (sl_sim_now_ns(w->sim) < w->item_fails_until_ns &&
                                                sl_random_below(ctx->random, 2) == 0);
    if (work == SL_WORK_BAD) {
        m.kind = SL_FAIL_PERMANENT;
    } else if (is_passing && sl_random_below(ctx->random, 2) == 0) {
        m.kind = SL_FAIL_TRANSIENT;
    } else if (is_call) {
        append_vector(&outputs);
        m.outputs = sl_buf_slice(&outputs);
    } else {
        uint64_t first = SL_BODY(msg, process)->first;
        bool is_paused = task->is_in_parts && first + 1 < task->records;
        append_outputs(w, task, (uint32_t)first, &outputs);
        m.outputs = sl_buf_slice(&outputs);
        m.resume = sl_slice_str(is_paused ? "on" : "");
    }
    m.code = sl_slice_str(m.kind == 0 ? "" : "double");
    m.message = sl_slice_str(m.kind == 0 ? "" : "as planned");
    if (work == SL_WORK_POISON)
        end_self(ctx, 11);
    else
        sl_send(ctx, sl_at(r->options.agent, SL_ACTOR_AGENT), SL_M_processed, &m);
    sl_buf_deinit(&outputs);
    sl_msg_destroy(&msg);
    if (work != SL_WORK_POISON)
        begin_next(r, ctx);
}

static void
replica_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct replica *r = self;
    if (msg->id == SL_M_timer && SL_BODY(msg, timer)->token == TOKEN_READY) {
        struct sl_m_replica_ready ready = {.replica = r->options.number, .pid = 1};
        sl_send(ctx, sl_at(r->options.agent, SL_ACTOR_AGENT), SL_M_replica_ready, &ready);
    } else if (msg->id == SL_M_timer) {
        if (!r->is_hung)
            finish(r, ctx);
    } else if (msg->id == SL_M_process) {
        struct sl_msg *copy = sl_msg_create(msg->id, msg->body);
        *r->tail = copy;
        r->tail = &copy->next;
        begin_next(r, ctx);
    } else if (msg->id == SL_M_replica_stop) {
        r->is_stopping = true;
        begin_next(r, ctx);
    }
}

static void
replica_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct replica *r = self;
    r->options = *(const struct sl_world_replica_options *)argument;
    r->tail = &r->oldest;
    sl_after(ctx, (1 + sl_random_below(ctx->random, 400)) * SL_MILLI_NS, TOKEN_READY);
}

static void
replica_deinit(void *self)
{
    struct replica *r = self;
    for (struct sl_msg *msg = r->oldest, *next; msg != NULL; msg = next) {
        next = msg->next;
        sl_msg_destroy(&msg);
    }
}

const struct sl_actor_class sl_world_replica = {
    .name = "replica",
    .state_size = sizeof(struct replica),
    .init = replica_init,
    .handle = replica_handle,
    .deinit = replica_deinit,
};

void
sl_world_hang(void *replica)
{
    ((struct replica *)replica)->is_hung = true;
}
