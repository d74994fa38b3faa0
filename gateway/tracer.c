/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/tracer.h"

#include <stdio.h>

#include "actors/cluster.h"
#include "actors/rows.h"
#include "gateway/fetch.h"
#include "gateway/keyring.h"
#include "gateway/trace_spans.h"
#include "gateway/version.h"
#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/report.h"

#define PERIOD_NS        SL_SECOND_NS
#define TIMEOUT_NS       (10 * SL_SECOND_NS)
#define PAUSE_MAX_NS     (30 * SL_SECOND_NS)
#define PAUSE_ASKED_S    300u /* A collector may ask for no longer pause. */
#define REPLY_MAX        (64 * SL_KIB)
#define HEADERS_MAX      20u
#define JOBS_MAX         256u /* A power of two: that are remembered. */
#define TASKS_OF_JOB_MAX 128u /* Of one job, while it is remembered: a job may have millions. */

struct batch {
    struct batch *next;
    struct sl_buf spans; /* With commas between. */
    uint32_t count;
};

/* A request under way. While the work runs, all but `count` is the work's. */
struct flight {
    struct sl_buf body, reply;
    struct sl_fetch_request request;
    struct sl_fetch_reply answer;
    enum sl_err err;
};

struct job { /* What its row says of its trace. */
    struct sl_job_id id;
    struct sl_scope scope; /* 0: a free place. */
    struct sl_trace_context context;
    char tenant[64];
    uint32_t tasks; /* Of which there are spans. */
};

struct tracer {
    struct sl_tracer_options options;
    char *headers[HEADERS_MAX]; /* Up to a NULL. */
    struct batch *oldest, *newest;
    uint32_t held; /* Spans of all batches; the oldest is under way while there is a flight. */
    struct flight *flight;
    uint32_t tries;      /* Of the oldest batch. */
    uint64_t not_before; /* It is tried again then; by now_ns. */
    uint64_t timer, timer_ns;
    bool is_draining, is_told; /* A failure was reported, and nothing was sent since. */
    struct sl_trace_clock clock;
    struct job jobs[JOBS_MAX];
};

/* ---- the buffer ---------------------------------------------------------------------------- */

static void
set_timer(struct tracer *t, struct sl_ctx *ctx, uint64_t at_ns)
{
    if (at_ns >= t->timer_ns)
        return;
    t->timer_ns = at_ns;
    sl_after(ctx, at_ns <= ctx->now_ns ? 0 : at_ns - ctx->now_ns, ++t->timer);
}

static void
keep(struct tracer *t, const struct sl_span *span)
{
    if (t->held >= SL_TRACER_SPANS_MAX) {
        t->options.counts->dropped++;
        return;
    }
    bool is_closed = t->newest == NULL || t->newest->count == SL_TRACER_BATCH ||
                     (t->flight != NULL && t->newest == t->oldest);
    if (is_closed) {
        struct batch *b = sl_zalloc(sizeof(*b));
        if (t->newest == NULL)
            t->oldest = b;
        else
            t->newest->next = b;
        t->newest = b;
    }
    sl_otlp_span(span, &t->newest->spans);
    t->newest->count++;
    t->held++;
}

static void
keep_all(struct tracer *t, struct sl_ctx *ctx, const struct sl_traced *traced)
{
    for (uint32_t i = 0; i < traced->count; i++)
        keep(t, &traced->spans[i]);
    bool is_due = t->is_draining || (t->oldest != NULL && t->oldest->count == SL_TRACER_BATCH);
    if (t->flight == NULL)
        set_timer(t, ctx, SL_MAX(t->not_before, ctx->now_ns + (is_due ? 0 : PERIOD_NS)));
}

static void
free_oldest(struct tracer *t)
{
    struct batch *b = t->oldest;
    t->held -= b->count;
    t->oldest = b->next;
    if (t->oldest == NULL)
        t->newest = NULL;
    sl_buf_deinit(&b->spans);
    sl_free(b);
    t->tries = 0;
}

bool
sl_tracer_is_busy(const void *tracer)
{
    return ((const struct tracer *)tracer)->held > 0;
}

/* ---- sending ------------------------------------------------------------------------------- */

static enum sl_err
take_reply(void *arg, const void *data, size_t size)
{
    struct flight *f = arg;
    sl_buf_append(&f->reply, data, size);
    return SL_OK;
}

static void
work(void *argument)
{
    struct flight *f = argument;
    f->err = sl_fetch(&f->request, &f->answer);
}

static void
destroy_flight(struct flight **flight)
{
    struct flight *f = *flight;
    if (f == NULL)
        return;
    *flight = NULL;
    sl_buf_deinit(&f->body);
    sl_buf_deinit(&f->reply);
    sl_free(f);
}

static void
send_oldest(struct tracer *t, struct sl_ctx *ctx)
{
    if (t->flight != NULL || t->oldest == NULL)
        return;
    struct flight *f = t->flight = sl_zalloc(sizeof(*f));
    sl_otlp_begin(&t->options.resource, &f->body);
    sl_buf_append_slice(&f->body, sl_buf_slice(&t->oldest->spans));
    sl_otlp_end(&f->body);
    f->request = (struct sl_fetch_request){.url = t->options.endpoint,
                                           .is_post = true,
                                           .body = sl_buf_slice(&f->body),
                                           .headers = (const char *const *)t->headers,
                                           .take = take_reply,
                                           .take_arg = f,
                                           .size_bytes_max = REPLY_MAX,
                                           .timeout_ns = t->is_draining ? SL_SECOND_NS : TIMEOUT_NS,
                                           .is_private_allowed = true,
                                           .is_cancelled = t->options.is_stopping};
    sl_work(ctx, work, f, 0);
}

/* Those of the specification that are worth another try, and collectors that are not there. */
static bool
is_for_later(const struct flight *f)
{
    uint16_t status = f->answer.status;
    if (f->err != SL_OK)
        return f->err == SL_EUNAVAIL || f->err == SL_ETIMEOUT || f->err == SL_EIO;
    return status == 429 || status == 502 || status == 503 || status == 504;
}

static void
report(struct tracer *t, const struct flight *f, const char *action)
{
    if (t->is_told)
        return;
    t->is_told = true;
    sl_report_warn("traces-not-sent", "status=%u err=%s why=\"%s\" action=\"%s\"", f->answer.status,
                   sl_err_name(f->err), f->answer.cause, action);
}

/* The pause doubles with each try, by a random part of it less, so that not all come at once. */
static uint64_t
pause_ns(const struct tracer *t, const struct sl_ctx *ctx, const struct flight *f)
{
    uint64_t longest_ns = SL_MIN(SL_SECOND_NS << SL_MIN(t->tries, 5u), PAUSE_MAX_NS);
    uint64_t asked_ns = SL_MIN(f->answer.retry_after_s, PAUSE_ASKED_S) * SL_SECOND_NS;
    return SL_MAX(longest_ns / 2 + sl_random_below(ctx->random, longest_ns / 2), asked_ns);
}

static void
settle(struct tracer *t, struct sl_ctx *ctx, const struct flight *f)
{
    bool is_taken = f->answer.status / 100 == 2 && (f->err == SL_OK || f->err == SL_ETOOBIG);
    uint32_t count = t->oldest->count;
    t->not_before = 0;
    if (is_taken) {
        uint64_t refused = SL_MIN(sl_otlp_refused(sl_buf_slice(&f->reply)), (uint64_t)count);
        t->options.counts->sent += count - refused;
        t->options.counts->dropped += refused;
        t->is_told = false;
        free_oldest(t);
    } else if (is_for_later(f) && !t->is_draining) {
        report(t, f, "they are sent later, and dropped when there are too many");
        t->not_before = ctx->now_ns + pause_ns(t, ctx, f);
        t->tries++;
    } else {
        report(t, f, "they are dropped");
        t->options.counts->dropped += count;
        free_oldest(t);
    }
}

static void
on_work_done(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct tracer *t = self;
    (void)msg;
    if (SL_BUG(t->flight == NULL || t->oldest == NULL))
        return;
    settle(t, ctx, t->flight);
    destroy_flight(&t->flight);
    if (t->oldest == NULL)
        return;
    bool is_due = t->is_draining || t->oldest->count == SL_TRACER_BATCH;
    set_timer(t, ctx, SL_MAX(t->not_before, ctx->now_ns + (is_due ? 0 : PERIOD_NS)));
}

static void
on_timer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct tracer *t = self;
    if (SL_BODY(msg, timer)->token != t->timer)
        return;
    t->timer_ns = UINT64_MAX;
    send_oldest(t, ctx);
}

static void
on_drain(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct tracer *t = self;
    (void)msg;
    t->is_draining = true;
    send_oldest(t, ctx);
}

/* ---- jobs ---------------------------------------------------------------------------------- */

static bool
read_row(struct sl_txn *txn, struct sl_scope scope, struct sl_slice id, struct sl_job_row *ret_row)
{
    struct sl_slice bytes;
    return sl_txn_get(txn, scope, SL_TABLE_JOB, id, &bytes) == SL_OK &&
           sl_job_row_decode(bytes, ret_row) == SL_OK;
}

static void
read_context(const struct sl_job_row *row, struct sl_trace_context *ret_context)
{
    struct sl_json_doc *doc;
    struct sl_trace_context context;
    if (sl_json_parse(row->about, &doc, NULL) != SL_OK)
        return;
    char *text = sl_json_strdup(sl_json_member(sl_json_root(doc), "traceparent"));
    if (text != NULL && sl_trace_context_parse(sl_slice_str(text), &context))
        *ret_context = context;
    sl_free(text);
    sl_json_destroy(&doc);
}

/* What is known of a job's trace; its row is read once, unless others took its place. NULL: it is
 * not sampled. */
static struct job *
find_job(struct tracer *t, struct sl_ctx *ctx, struct sl_scope scope, struct sl_slice id)
{
    struct sl_job_row row;
    struct sl_identity who;
    if (id.size != sizeof(struct sl_job_id))
        return NULL;
    struct job *j = &t->jobs[sl_hash64(id) & (JOBS_MAX - 1)];
    if (j->scope.id != scope.id || memcmp(j->id.bytes, id.data, id.size) != 0) {
        *j = (struct job){.scope = scope};
        memcpy(j->id.bytes, id.data, id.size);
        struct sl_txn *txn = sl_store_begin(ctx->store);
        if (read_row(txn, scope, id, &row))
            read_context(&row, &j->context);
        sl_txn_abort(&txn);
        if (sl_keyring_tenant_of(t->options.keyring, scope, &who) == SL_OK)
            (void)snprintf(j->tenant, sizeof(j->tenant), "%s", who.tenant_id);
    }
    return (j->context.flags & SL_TRACE_SAMPLED) != 0 ? j : NULL;
}

static struct sl_traced_job
told(const struct job *j)
{
    return (struct sl_traced_job){.id = j->id, .context = j->context, .tenant = j->tenant};
}

static void
on_task(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct tracer *t = self;
    const struct sl_m_task_traced *m = SL_BODY(msg, task_traced);
    struct job *j = find_job(t, ctx, (struct sl_scope){m->scope}, m->job);
    struct sl_traced traced;
    if (j == NULL || j->tasks == TASKS_OF_JOB_MAX)
        return;
    j->tasks++;
    struct sl_traced_job job = told(j);
    sl_trace_task(m, &job, &t->clock, &traced);
    keep_all(t, ctx, &traced);
}

static void
on_job(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct tracer *t = self;
    const struct sl_m_job_ended *m = SL_BODY(msg, job_ended);
    struct sl_scope scope = {m->scope};
    struct job *j = find_job(t, ctx, scope, m->job);
    struct sl_job_row row;
    struct sl_traced traced;
    if (j == NULL)
        return;
    struct sl_traced_job job = told(j);
    struct sl_txn *txn = sl_store_begin(ctx->store);
    if (read_row(txn, scope, m->job, &row)) {
        sl_trace_job(&row, &job, &t->clock, &traced);
        keep_all(t, ctx, &traced);
    }
    sl_txn_abort(&txn);
    *j = (struct job){0}; /* It is not heard of again. */
}

static void
on_call(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct tracer *t = self;
    const struct sl_m_call_traced *m = SL_BODY(msg, call_traced);
    struct sl_trace_context context;
    struct sl_traced traced;
    if (SL_BUG(m->context.size != sizeof(context)))
        return;
    memcpy(&context, m->context.data, sizeof(context));
    sl_trace_call(m, &context, &t->clock, &traced);
    keep_all(t, ctx, &traced);
}

/* ---- the actor ----------------------------------------------------------------------------- */

static const struct sl_on table[] = {
    {SL_M_call_traced, on_call}, {SL_M_task_traced, on_task},    {SL_M_job_ended, on_job},
    {SL_M_timer, on_timer},      {SL_M_work_done, on_work_done}, {SL_M_drain, on_drain},
};

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct tracer *t = self;
    sl_trace_clock_look(&t->clock, ctx->now_ns, ctx->now_ms);
    if (!sl_dispatch(table, SL_COUNT_OF(table), self, ctx, msg))
        sl_report_warn("message-unknown", "actor=tracer message=%s", msg->type->name);
}

static void
add_header(struct tracer *t, char *line)
{
    for (uint32_t i = 0; i + 1 < HEADERS_MAX; i++) {
        if (t->headers[i] == NULL) {
            t->headers[i] = line;
            return;
        }
    }
    sl_free(line);
}

static void
init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct tracer *t = self;
    struct sl_json_doc *doc = NULL;
    t->options = *(const struct sl_tracer_options *)argument;
    t->timer_ns = UINT64_MAX;
    t->clock.offset_ns = INT64_MIN / 2;
    sl_trace_clock_look(&t->clock, ctx->now_ns, ctx->now_ms);
    add_header(t, sl_format("Content-Type: application/json"));
    add_header(t, sl_format("User-Agent: sluice-traces/" SL_VERSION));
    if (t->options.headers[0] == '\0' ||
        sl_json_parse(sl_slice_str(t->options.headers), &doc, NULL) != SL_OK)
        return;
    for (struct sl_json_iter i = sl_json_iter(sl_json_root(doc)); sl_json_next(&i);) {
        char *name = sl_json_strdup(i.name), *value = sl_json_strdup(i.value);
        if (name != NULL && value != NULL && strpbrk(name, "\r\n:") == NULL &&
            strpbrk(value, "\r\n") == NULL)
            add_header(t, sl_format("%s: %s", name, value));
        else
            sl_report_warn("trace-header-refused", "why=\"it is no name and text of a header\"");
        sl_free(name);
        sl_free(value);
    }
    sl_json_destroy(&doc);
}

static void
deinit(void *self)
{
    struct tracer *t = self;
    while (t->oldest != NULL)
        free_oldest(t);
    destroy_flight(&t->flight);
    for (uint32_t i = 0; i < HEADERS_MAX; i++)
        sl_free(t->headers[i]);
}

const struct sl_actor_class sl_tracer_class = {.name = "tracer",
                                               .state_size = sizeof(struct tracer),
                                               .init = init,
                                               .handle = handle,
                                               .deinit = deinit};
