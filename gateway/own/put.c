/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that are put into a tenant's own queue: many in one call, each with a result of its own.
 * What becomes of one is queue/submit.h's to say: a job whose idempotency key is held is the one
 * that holds it.
 */
#include "actors/rows.h"
#include "gateway/gateway.h"
#include "gateway/idempotency.h"
#include "gateway/meter.h"
#include "gateway/own/queue.h"
#include "gateway/resource.h"
#include "gateway/stock.h"
#include "queue/events.h"
#include "queue/submit.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

/* The schema has checked that each is in its range. */
static int64_t
number(struct sl_json object, const char *name)
{
    int64_t value;
    return sl_json_i64(sl_json_member(object, name), &value) == SL_OK ? value : 0;
}

static int64_t
choice(struct sl_json v, const char *const *names, int64_t fallback)
{
    for (int64_t i = 0; names[i] != NULL; i++) {
        if (sl_json_is(v, names[i]))
            return i;
    }
    return fallback;
}

/* ---- reading ------------------------------------------------------------------------------- */

static bool
read_classes(struct sl_call *call, struct sl_json list, struct sl_retry_policy *p)
{
    for (struct sl_json_iter i = sl_json_iter(list); sl_json_next(&i);) {
        struct sl_slice class = sl_call_text(call, i.value);
        if (p->classes_count == SL_RETRY_CLASSES_MAX || class.size == 0 ||
            class.size > SL_RETRY_CLASS_SIZE_MAX || memchr(class.data, '\0', class.size) != NULL)
            return false;
        memcpy(p->classes[p->classes_count++], class.data, class.size);
    }
    return true;
}

/* Of a body's `retry`, encoded; empty where there is none. */
static bool
read_policy(struct sl_call *call, struct sl_json retry, struct sl_slice *ret_policy)
{
    struct sl_json kind = sl_json_member(retry, "kind");
    struct sl_buf bytes = {0};
    *ret_policy = (struct sl_slice){0};
    if (!sl_json_has(retry))
        return true;
    struct sl_retry_policy p = {
        .kind = sl_json_is(kind, "fixed")    ? SL_RETRY_FIXED
                : sl_json_is(kind, "fourth") ? SL_RETRY_FOURTH
                                             : SL_RETRY_EXPONENTIAL,
        .attempts_max = (uint16_t)number(retry, "attempts_max"),
        .base_ms = (uint32_t)number(retry, "base_ms"),
        .cap_ms = (uint32_t)number(retry, "cap_ms"),
        .after_cap_ms = (uint32_t)number(retry, "after_cap_ms"),
        .retry_for_ms = (uint64_t)number(retry, "retry_for_ms"),
    };
    if (!read_classes(call, sl_json_member(retry, "final_classes"), &p) ||
        sl_retry_check(&p) != SL_OK)
        return false;
    sl_retry_encode(&p, &bytes);
    *ret_policy = sl_call_copy(call, sl_buf_slice(&bytes));
    sl_buf_deinit(&bytes);
    return true;
}

/* Wall time of a member, 0 without it; the schema has checked that it is one. */
static int64_t
time_of(struct sl_call *call, struct sl_json v)
{
    uint64_t wall_ms = 0;
    if (!sl_json_has(v) || sl_time_parse(sl_call_text(call, v), &wall_ms) != SL_OK)
        return 0;
    return (int64_t)SL_MAX(wall_ms, UINT64_C(1));
}

static const char *
read_times(struct sl_call *call, struct sl_json job, struct sl_submit *item)
{
    int64_t expires_at = time_of(call, sl_json_member(job, "expires_at"));
    item->delay_ms = number(job, "delay_ms");
    item->at_ms = time_of(call, sl_json_member(job, "eta"));
    item->expires_ms = number(job, "expires_ms");
    item->retain_ms = number(job, "retain_ms");
    if (sl_json_has(sl_json_member(job, "delay_ms")) && item->at_ms > 0)
        return "delay_ms and eta exclude each other";
    if (expires_at == 0)
        return NULL;
    if (sl_json_has(sl_json_member(job, "expires_ms")))
        return "expires_ms and expires_at exclude each other";
    item->expires_ms = expires_at - (int64_t)call->now_ms;
    return item->expires_ms <= 0 ? "expires_at has passed" : NULL;
}

static void
read_key(struct sl_call *call, struct sl_json job, struct sl_submit *item)
{
    static const char *const modes[] = {"none",     "until_start", "until_done", "ttl",
                                        "throttle", "debounce",    NULL};
    struct sl_json key = sl_json_member(job, "key");
    if (!sl_json_has(key))
        return;
    item->key.name = sl_call_text(call, key);
    item->key.mode = choice(sl_json_member(job, "mode"), modes, SL_DEDUP_UNTIL_DONE);
    item->key.window_ms = number(job, "window_ms");
    item->key.max_ms = number(job, "max_ms");
}

static void
read_limits(struct sl_call *call, struct sl_json list, struct sl_submit *item)
{
    static const char *const policies[] = {"queue", "cancel_in_progress", "cancel_newest",
                                           "replace_queued", NULL};
    struct sl_submit_limit *limits = sl_call_alloc(call, SL_KEYS_PER_TASK_MAX * sizeof(*limits));
    item->limits = limits;
    for (struct sl_json_iter i = sl_json_iter(list);
         item->limits_count < SL_KEYS_PER_TASK_MAX && sl_json_next(&i);) {
        struct sl_submit_limit *l = &limits[item->limits_count++];
        l->name = sl_call_text(call, sl_json_member(i.value, "key"));
        l->limit = number(i.value, "limit");
        l->policy = choice(sl_json_member(i.value, "policy"), policies, SL_KEY_QUEUE);
        l->rate.count = (uint32_t)number(i.value, "rate");
        l->rate.period_ns = (uint64_t)number(i.value, "rate_period_ms") * SL_MILLI_NS;
        l->rate.burst = SL_MAX((uint32_t)number(i.value, "burst"), 1u);
    }
}

/* NULL: it is read. Else what is wrong with it. */
static const char *
read_item(struct sl_call *call, struct sl_json job, struct sl_submit *item)
{
    const char *why = NULL;
    item->priority = number(job, "priority");
    if (!sl_own_read_bytes(call, job, "payload", &item->payload, &why))
        return why;
    why = read_times(call, job, item);
    if (why != NULL)
        return why;
    read_key(call, job, item);
    read_limits(call, sl_json_member(job, "limits"), item);
    return read_policy(call, sl_json_member(job, "retry"), &item->policy)
               ? NULL
               : "retry is no policy: see base_ms against cap_ms, and final_classes";
}

/* ---- putting ------------------------------------------------------------------------------- */

/* What comes hangs on what came before (queue/submit.h), so a call may commit in parts. */
struct batch {
    struct sl_submit_batch submitted; /* Since the last commit. */
    struct sl_buf events;
    struct sl_buf rows; /* Results so far, as an open JSON array. */
    struct sl_jsonw w;  /* Writes them. */
    uint32_t index;     /* Of the item at hand: those before it are decided. */
    uint32_t accepted;
    enum sl_err err; /* Of a commit. */
    bool is_low;     /* The disk: then nothing new is taken. */
};

/* With the part that is committed: so that who sends the call again puts nothing twice. */
static void
note(struct sl_call *call, const struct batch *b)
{
    struct sl_buf so_far = {0};
    sl_buf_append_u32(&so_far, b->index);
    sl_buf_append_u32(&so_far, b->accepted);
    sl_buf_append_slice(&so_far, sl_buf_slice(&b->rows));
    sl_buf_append_str(&so_far, "]");
    sl_idempotency_note(call, sl_buf_slice(&so_far));
    sl_buf_deinit(&so_far);
}

/* The results of the parts that were committed before the call was cut off. */
static void
go_on(struct sl_call *call, struct batch *b, uint32_t count)
{
    struct sl_reader r = sl_reader(call->begun);
    uint32_t index = sl_read_u32(&r), accepted = sl_read_u32(&r);
    if (call->begun.size == 0 || r.is_bad)
        return;
    struct sl_json rows = sl_call_parse(call, sl_slice(r.at, (size_t)(r.end - r.at)));
    if (index > count || sl_json_count(rows) != index)
        return; /* Not of this call, whose body is the same. */
    for (struct sl_json_iter i = sl_json_iter(rows); sl_json_next(&i);)
        sl_jsonw_value(&b->w, i.value);
    b->index = index;
    b->accepted = accepted;
}

static bool
commit(struct sl_call *call, struct batch *b)
{
    sl_events_stage(&b->events, call->txn, SL_PROJECTION_QUEUE);
    note(call, b);
    b->err = sl_txn_commit(&call->txn);
    call->txn = sl_store_begin(call->gateway->store);
    b->submitted = (struct sl_submit_batch){0};
    return b->err == SL_OK;
}

static void
submit(struct sl_call *call, struct batch *b, const struct sl_submit *item,
       struct sl_submitted *ret_result)
{
    *ret_result = (struct sl_submitted){.err = SL_ENOSPC, .code = "disk_full"};
    if (b->is_low)
        return;
    while (!sl_queue_submit(call->gateway->queue, &b->submitted, item, &b->events, ret_result)) {
        if (!commit(call, b))
            return;
    }
}

/* ---- the reply ----------------------------------------------------------------------------- */

static const char *
message_of(const char *code)
{
    static const char *const messages[][2] = {
        {"expires", "it would expire before it may begin"},
        {"key_name", "a key has 1 to 256 bytes"},
        {"key_window", "ttl, throttle and debounce need a window_ms"},
        {"limits", "each limit has a key of 1 to 256 bytes, once, and a limit or a rate with its "
                   "period; all policies but queue need a limit"},
        {"limit_reached", "as many jobs with its key as may run are there"},
        {"keys_full", "as many keys as there may be are held"},
    };
    for (size_t i = 0; code != NULL && i < SL_COUNT_OF(messages); i++) {
        if (strcmp(messages[i][0], code) == 0)
            return messages[i][1];
    }
    return NULL;
}

/* Who repeats a submit wants what came of the first. */
static void
write_existing(struct sl_call *call, const struct sl_submitted *r, struct sl_jsonw *w)
{
    struct sl_store_backend b;
    struct sl_buf result = {0};
    sl_jsonw_member_bool(w, "existing", true);
    sl_jsonw_member_bool(w, "replaced", r->is_replaced);
    sl_own_backend(call, &b);
    if (r->state == SL_STATE_SUCCEEDED &&
        b.backend.ops->read(&b.backend, call->who.scope, r->task_id, SL_TASK_RESULT, &result) ==
            SL_OK)
        sl_own_write_bytes(w, "result", sl_buf_slice(&result));
    sl_buf_deinit(&result);
    sl_store_backend_deinit(&b);
}

static void
write_result(struct sl_call *call, struct batch *b, const struct sl_submitted *r, const char *why)
{
    struct sl_jsonw *w = &b->w;
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "index", b->index);
    if (why != NULL) {
        sl_own_write_error(w, SL_EINVAL, why);
    } else if (r->err != SL_OK) { /* Too many at once, of a key or of a queue: the same. */
        sl_own_write_error(w, r->err == SL_EBUSY ? SL_EFULL : r->err, message_of(r->code));
        sl_jsonw_member_str(w, "code", r->code);
    } else {
        sl_jsonw_member_str(w, "job_id", sl_own_job_id(call, r->task_id));
        sl_jsonw_member_str(w, "state", sl_state_name(r->state));
        if (r->is_existing)
            write_existing(call, r, w);
        if (r->canceled > 0)
            sl_jsonw_member_u64(w, "canceled", r->canceled);
    }
    sl_jsonw_end(w);
}

static void
put_item(struct sl_call *call, const struct sl_queue_depth *depth, struct batch *b,
         struct sl_json job)
{
    struct sl_submit item = {.scope = depth->scope,
                             .class = SL_CLASS_OWN,
                             .queue = call->params[0],
                             .now_ms = call->now_ms};
    struct sl_submitted result = {0};
    const char *why = read_item(call, job, &item);
    if (why == NULL)
        submit(call, b, &item, &result);
    if (b->err != SL_OK)
        return; /* The call fails, and may be sent again. */
    write_result(call, b, &result, why);
    b->accepted += why == NULL && result.err == SL_OK;
    b->index++;
}

static void
put(struct sl_call *call, const struct sl_queue_depth *depth, struct batch *b)
{
    struct sl_json jobs = sl_json_member(call->body, "jobs");
    uint32_t at = 0;
    b->is_low = sl_store_is_low(call->gateway->store);
    sl_queue_clock(call->gateway->queue, call->now_ns);
    sl_jsonw_init(&b->w, &b->rows);
    sl_jsonw_array(&b->w);
    go_on(call, b, sl_json_count(jobs));
    for (struct sl_json_iter i = sl_json_iter(jobs); b->err == SL_OK && sl_json_next(&i); at++) {
        if (at >= b->index)
            put_item(call, depth, b, i.value);
    }
    sl_jsonw_end(&b->w);
    sl_jsonw_done(&b->w);
}

sl_handler_fn sl_api_put_own_jobs;

/* The last of the events are committed with the call's own transaction, and its reply. */
void
sl_api_put_own_jobs(struct sl_call *call)
{
    struct sl_queue_depth depth;
    struct batch b = {0};
    if (!sl_own_find(call, &depth) ||
        (call->begun.size == 0 && /* Else some of them are there. */
         !sl_stock_take(call, SL_LIMIT_max_queued_jobs,
                        sl_json_count(sl_json_member(call->body, "jobs")))))
        return;
    put(call, &depth, &b);
    sl_events_stage(&b.events, call->txn, SL_PROJECTION_QUEUE);
    sl_jsonw_object(&call->out);
    sl_meter_use(call, SL_LEDGER_jobs, b.accepted, "");
    sl_jsonw_member_raw(&call->out, "results", sl_buf_slice(&b.rows));
    sl_jsonw_member_u64(&call->out, "accepted", b.accepted);
    sl_jsonw_member_u64(&call->out, "refused", b.index - b.accepted);
    sl_jsonw_end(&call->out);
    if (b.err != SL_OK)
        sl_own_fail(call, b.err, "the jobs");
    else
        sl_own_wake(call);
    sl_buf_deinit(&b.events);
    sl_buf_deinit(&b.rows);
}
