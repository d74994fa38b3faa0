/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/scale_trace.h"

#include <math.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/random.h"
#include "runtime/timers.h"

#define SECOND    1e9
#define SLOTS_MAX 1000u

/* ---- the file ------------------------------------------------------------------------------ */

/* A number at *at up to `stop`; *at moves behind it. */
static bool
read_number(const char **at, char stop, double *ret_value)
{
    char *end;
    const char *text = *at;
    size_t size = strspn(text, "0123456789.eE+-");
    if (size == 0 || text[size] != stop)
        return false;
    *ret_value = strtod(text, &end);
    *at = end;
    return end == text + size && isfinite(*ret_value) && *ret_value >= 0;
}

static const char *
read_line(const char *line, struct sl_trace *trace, uint32_t capacity)
{
    double seconds, per_second;
    const char *at = line;
    if (!read_number(&at, ',', &seconds))
        return "expected SECONDS,REQUESTS_PER_SECOND";
    at++;
    if (!read_number(&at, '\0', &per_second))
        return "expected requests per second behind the ','";
    if (seconds > 366.0 * 86400 || per_second > 1e6)
        return "more than a year, or than a million requests per second";
    uint64_t at_ns = (uint64_t)(seconds * SECOND);
    if (trace->count > 0 && at_ns <= trace->points[trace->count - 1].at_ns)
        return "its time is not after that of the line before";
    if (trace->count == capacity)
        return "too many lines";
    trace->points[trace->count++] =
        (struct sl_trace_point){.at_ns = at_ns, .per_second = per_second};
    return NULL;
}

enum sl_err
sl_trace_read(struct sl_slice text, struct sl_trace *ret_trace, char **ret_error)
{
    uint32_t capacity = 1, line_number = 0;
    for (size_t i = 0; i < text.size && capacity < SL_TRACE_POINTS_MAX; i++)
        capacity += text.data[i] == '\n';
    struct sl_trace trace = {.points = sl_alloc(capacity * sizeof(*trace.points))};
    const char *why = NULL;
    while (text.size > 0 && why == NULL) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        size_t size = end == NULL ? text.size : (size_t)(end - text.data);
        size_t used = SL_MIN(size + 1, text.size);
        char *line = sl_strndup(text.data, size);
        line_number++;
        line[strcspn(line, "#\r")] = '\0';
        if (strlen(line) > 0)
            why = read_line(line, &trace, capacity);
        sl_free(line);
        text = sl_slice(text.data + used, text.size - used);
    }
    if (why == NULL && trace.count < 2)
        why = "a trace has two lines at least: a beginning and an end";
    if (why != NULL) {
        *ret_error = sl_format("line %u: %s", line_number, why);
        sl_trace_deinit(&trace);
        return SL_EINVAL;
    }
    trace.end_ns = trace.points[--trace.count].at_ns;
    *ret_trace = trace;
    return SL_OK;
}

void
sl_trace_deinit(struct sl_trace *trace)
{
    sl_free(trace->points);
    *trace = (struct sl_trace){0};
}

/* ---- the run ------------------------------------------------------------------------------- */

enum event { ARRIVAL, ANSWER, READY, LOOK, ROW };

struct run {
    const struct sl_trace *trace;
    const struct sl_trace_options *options;
    struct sl_trace_outcome *outcome;
    struct sl_autoscaler *autoscaler;
    struct sl_timers timers;
    struct sl_random random;
    uint64_t now_ns, look_ns;
    uint32_t point;              /* Of the trace, in force. */
    uint64_t *arrived;           /* When each request came, in order; */
    uint32_t came, begun, ended; /* how many have. */
    uint32_t capacity;
    uint64_t *took;
    uint32_t slots;                     /* Of a replica. */
    uint32_t replicas, ready, starting; /* Wanted; able; on the way. */
    bool was_up;
    uint64_t worst_ns, ready_at_ns;
};

static void
set_timer(struct run *r, uint64_t at_ns, enum event event, uint64_t what)
{
    sl_timers_add(&r->timers,
                  &(struct sl_timer){.at_ns = at_ns, .token = (uint64_t)event << 56 | what});
}

static double
rate(const struct run *r)
{
    return r->trace->points[r->point].per_second;
}

/* The time of the next arrival; UINT64_MAX: none before the end. A rate that changes on the way is
 * no matter: what is left of the wait is drawn anew. */
static uint64_t
next_arrival_ns(struct run *r)
{
    const struct sl_trace *t = r->trace;
    uint64_t at_ns = SL_MAX(r->now_ns, t->points[0].at_ns);
    for (;;) {
        while (r->point + 1 < t->count && t->points[r->point + 1].at_ns <= at_ns)
            r->point++;
        uint64_t until_ns = r->point + 1 < t->count ? t->points[r->point + 1].at_ns : t->end_ns;
        double draw = (double)(sl_random_u64(&r->random) >> 11) / 9007199254740992.0;
        double wait_ns = rate(r) > 0 ? -log1p(-draw) / rate(r) * SECOND : INFINITY;
        if (wait_ns < (double)(until_ns - at_ns))
            return at_ns + (uint64_t)wait_ns;
        if (until_ns >= t->end_ns)
            return UINT64_MAX;
        at_ns = until_ns;
    }
}

static void
begin(struct run *r)
{
    while (r->begun < r->came && r->begun - r->ended < r->ready * r->slots) {
        set_timer(r, r->now_ns + r->options->service_ns, ANSWER, r->begun);
        r->begun++;
    }
}

static void
count_change(struct run *r, uint32_t replicas)
{
    bool is_up = replicas > r->replicas;
    r->outcome->changes++;
    if (r->outcome->changes > 1 && is_up != r->was_up)
        r->outcome->turns++;
    r->was_up = is_up;
    r->outcome->most = SL_MAX(r->outcome->most, replicas);
}

/* Replicas that are still starting are the first to go; of others, those with least to do, whose
 * slots are free as soon as what they have begun is answered. */
static void
take(struct run *r, uint32_t replicas)
{
    if (replicas == r->replicas)
        return;
    count_change(r, replicas);
    for (uint32_t i = r->ready + r->starting; i < replicas; i++) {
        set_timer(r, r->now_ns + r->options->start_ns, READY, 0);
        r->starting++;
    }
    if (r->ready > replicas) {
        r->outcome->replica_seconds +=
            (double)r->ready * (double)(r->now_ns - r->ready_at_ns) / SECOND;
        r->ready_at_ns = r->now_ns;
        r->ready = replicas;
    }
    r->replicas = replicas;
}

static void
decide(struct run *r)
{
    struct sl_scale_input input = {.at_ns = r->now_ns,
                                   .waiting = r->came - r->begun,
                                   .running = r->begun - r->ended,
                                   .arrived = r->came,
                                   .answered = r->ended,
                                   .room = UINT32_MAX};
    struct sl_scale_decision d = sl_autoscaler_decide(r->autoscaler, &input);
    r->outcome->decisions++;
    if (r->options->decided != NULL)
        r->options->decided(r->options->arg, &input, &d);
    take(r, d.replicas);
    if (d.next_ns != UINT64_MAX && (r->look_ns <= r->now_ns || d.next_ns < r->look_ns)) {
        r->look_ns = d.next_ns; /* One that was set for later comes early for nothing. */
        set_timer(r, d.next_ns, LOOK, 0);
    }
}

static bool
on_arrival(struct run *r)
{
    if (r->came == SL_TRACE_REQUESTS_MAX)
        return false;
    if (r->came == r->capacity) {
        r->capacity = SL_MAX(r->capacity * 2, 1024u);
        r->arrived = sl_realloc(r->arrived, r->capacity * sizeof(*r->arrived));
        r->took = sl_realloc(r->took, r->capacity * sizeof(*r->took));
    }
    r->arrived[r->came++] = r->now_ns;
    uint64_t next_ns = next_arrival_ns(r);
    if (next_ns != UINT64_MAX)
        set_timer(r, next_ns, ARRIVAL, 0);
    return true;
}

static void
on_answer(struct run *r, uint64_t index)
{
    uint64_t took_ns = r->now_ns - r->arrived[index];
    r->took[r->ended++] = took_ns;
    r->worst_ns = SL_MAX(r->worst_ns, took_ns);
}

static void
on_ready(struct run *r)
{
    r->starting--;
    if (r->ready >= r->replicas)
        return; /* It is not wanted any more. */
    r->outcome->replica_seconds += (double)r->ready * (double)(r->now_ns - r->ready_at_ns) / SECOND;
    r->ready_at_ns = r->now_ns;
    r->ready++;
}

static void
on_row(struct run *r)
{
    struct sl_trace_row row = {.at_ns = r->now_ns,
                               .per_second = rate(r),
                               .replicas = r->replicas,
                               .ready = r->ready,
                               .waiting = r->came - r->begun,
                               .running = r->begun - r->ended,
                               .worst_ns = r->worst_ns};
    r->options->row(r->options->arg, &row);
    r->worst_ns = 0;
    if (r->now_ns + r->options->row_ns <= r->trace->end_ns)
        set_timer(r, r->now_ns + r->options->row_ns, ROW, 0);
}

static bool
take_event(struct run *r, const struct sl_timer *timer)
{
    uint64_t what = timer->token & ((UINT64_C(1) << 56) - 1);
    switch ((enum event)(timer->token >> 56)) {
    case ARRIVAL:
        if (!on_arrival(r))
            return false;
        break;
    case ANSWER:
        on_answer(r, what);
        break;
    case READY:
        on_ready(r);
        break;
    case LOOK:
        if (timer->at_ns != r->look_ns)
            return true;
        break;
    case ROW:
        on_row(r);
        return true;
    }
    begin(r);
    decide(r);
    return true;
}

static int
compare_ns(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void
sum_up(struct run *r)
{
    struct sl_trace_outcome *o = r->outcome;
    const struct sl_trace *t = r->trace;
    double target = r->options->settings.target_ongoing;
    double service = (double)r->options->service_ns / SECOND;
    o->requests = r->ended;
    qsort(r->took, r->ended, sizeof(*r->took), compare_ns);
    if (r->ended > 0) {
        o->p50_ns = r->took[r->ended / 2];
        o->p99_ns = r->took[(uint64_t)r->ended * 99 / 100];
        o->worst_ns = r->took[r->ended - 1];
    }
    for (uint32_t i = 0; i < t->count; i++) {
        uint64_t until_ns = i + 1 < t->count ? t->points[i + 1].at_ns : t->end_ns;
        double needed = ceil(t->points[i].per_second * service / target - 1e-9);
        needed = fmin(fmax(needed, r->options->settings.min_replicas),
                      r->options->settings.max_replicas);
        o->needed = SL_MAX(o->needed, (uint32_t)needed);
        o->fitting_seconds += needed * (double)(until_ns - t->points[i].at_ns) / SECOND;
    }
    o->replica_seconds += (double)r->ready * (double)(r->now_ns - r->ready_at_ns) / SECOND;
}

enum sl_err
sl_trace_run(const struct sl_trace *trace, const struct sl_trace_options *options,
             struct sl_trace_outcome *ret_outcome)
{
    *ret_outcome = (struct sl_trace_outcome){0};
    struct run r = {.trace = trace, .options = options, .outcome = ret_outcome};
    struct sl_timer timer;
    bool is_good = true;
    sl_random_seed(&r.random, options->seed);
    double slots = options->slots > 0 ? options->slots : 2.5 * options->settings.target_ongoing;
    r.slots = (uint32_t)fmin(ceil(slots), SLOTS_MAX);
    r.now_ns = r.ready_at_ns = trace->points[0].at_ns;
    r.autoscaler = sl_autoscaler_create(&options->settings, r.now_ns);
    uint64_t first_ns = next_arrival_ns(&r);
    if (first_ns != UINT64_MAX)
        set_timer(&r, first_ns, ARRIVAL, 0);
    if (options->row_ns > 0)
        set_timer(&r, r.now_ns, ROW, 0);
    decide(&r); /* Those that are there without any demand. */
    while (is_good && sl_timers_next_ns(&r.timers) <= trace->end_ns) {
        r.now_ns = sl_timers_next_ns(&r.timers);
        (void)sl_timers_pop(&r.timers, r.now_ns, &timer);
        is_good = take_event(&r, &timer);
    }
    r.now_ns = trace->end_ns;
    sum_up(&r);
    sl_autoscaler_destroy(&r.autoscaler);
    sl_timers_deinit(&r.timers);
    sl_free(r.arrived);
    sl_free(r.took);
    return is_good ? SL_OK : SL_ETOOBIG;
}
