/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tenant's calls were like over time, step by step. Requests, errors, cost and tokens are
 * the ledger's, so that they outlive restarts; how long calls took is known since the start, of the
 * last 72 hours. The ledger keeps hours for a month: before that what a day had stands at its
 * beginning.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "gateway/account.h"
#include "gateway/gateway.h"
#include "gateway/meter.h"
#include "gateway/request_counts.h"
#include "gateway/usage_period.h"
#include "runtime/time.h"

#define TURN_ROWS  4096u
#define POINTS_MAX 1000u
#define STEPS_MAX  (31u * 24) /* Hours of one. */
#define NANO       1e9

enum series { REQUESTS, LATENCY, ERRORS, COST, TOKENS, SERIES };
static const char *const names[SERIES] = {"requests_total", "latency_p99", "error_rate",
                                          "cost_total", "tokens_total"};

struct point {
    uint64_t requests, errors, cost_nano, tokens;
};

struct report {
    struct sl_meter *meter;
    struct sl_identity whose;
    struct sl_usage_period period;
    const char *period_text;
    uint64_t step_ms;
    bool is_wanted[SERIES], is_csv;
    struct sl_ledger_place place;
    struct point *points; /* In the call's arena. */
    uint32_t points_count;
};

static void
free_report(void *state)
{
    struct report *r = state;
    r->meter->readers--;
    sl_buf_deinit(&r->place.after);
}

/* ---- what is asked for --------------------------------------------------------------------- */

static void
read_names(struct sl_call *call, struct report *r)
{
    struct sl_slice rest = sl_call_query(call, "metrics");
    for (unsigned i = 0; i < SERIES; i++)
        r->is_wanted[i] = rest.size == 0 && i != TOKENS;
    while (rest.size > 0) {
        const uint8_t *comma = memchr(rest.data, ',', rest.size);
        size_t size = comma == NULL ? rest.size : (size_t)(comma - rest.data);
        unsigned i = 0;
        while (i < SERIES && !sl_slice_is(sl_slice(rest.data, size), names[i]))
            i++;
        if (i == SERIES) {
            sl_call_invalid(call, "query.metrics", "value_error",
                            "%.*s is none of requests_total, latency_p99, error_rate, cost_total, "
                            "tokens_total",
                            (int)SL_MIN(size, (size_t)64), (const char *)rest.data);
            return;
        }
        r->is_wanted[i] = true;
        rest = comma == NULL ? sl_slice(NULL, 0) : sl_slice(comma + 1, rest.size - size - 1);
    }
}

/* "6h" or "1d". */
static void
read_step(struct sl_call *call, struct report *r)
{
    struct sl_slice text = sl_call_query(call, "step");
    uint64_t hours = 0;
    size_t at = 0;
    r->step_ms = SL_REQUEST_HOUR_MS;
    if (text.data == NULL)
        return;
    for (; at < text.size && text.data[at] >= '0' && text.data[at] <= '9' && at < 4; at++)
        hours = 10 * hours + (uint64_t)(text.data[at] - '0');
    bool is_days = at + 1 == text.size && text.data[at] == 'd';
    bool is_hours = at + 1 == text.size && text.data[at] == 'h';
    hours *= is_days ? 24 : 1;
    r->step_ms = hours * SL_REQUEST_HOUR_MS;
    if (!(is_days || is_hours) || hours == 0 || hours > STEPS_MAX)
        sl_call_invalid(call, "query.step", "value_error", "must be hours or days, as 1h or 7d");
}

static void
read_period(struct sl_call *call, struct report *r)
{
    struct sl_slice text = sl_call_query(call, "period");
    if (text.size == 0)
        text = sl_slice_str("last_30_days");
    r->period_text = (const char *)sl_call_copy(call, text).data;
    if (sl_usage_period(text, call->now_ms, &r->period) != SL_OK) {
        sl_call_invalid(call, "query.period", "value_error",
                        "must be a month, as 2026-01, a day, as 2026-01-10, or last_30_days");
        return;
    }
    r->period.end_ms = SL_MAX(r->period.start_ms, SL_MIN(r->period.end_ms, call->now_ms + 1));
    uint64_t count = (r->period.end_ms - r->period.start_ms + r->step_ms - 1) / r->step_ms;
    if (count > POINTS_MAX)
        sl_call_invalid(call, "query.step", "value_error", "there are more than %u steps",
                        POINTS_MAX);
    else
        r->points_count = (uint32_t)count;
}

/* ---- adding up ----------------------------------------------------------------------------- */

static void
see(void *arg, uint64_t at_ms, const struct sl_ledger_entry *e)
{
    struct report *r = arg;
    if (at_ms < r->period.start_ms || at_ms >= r->period.end_ms)
        return;
    struct point *p = &r->points[(at_ms - r->period.start_ms) / r->step_ms];
    struct sl_slice status = e->dimensions[SL_LEDGER_BY_status];
    p->cost_nano = sl_ledger_plus(p->cost_nano, e->cost_nano);
    if (e->resource == SL_LEDGER_requests)
        p->requests = sl_ledger_plus(p->requests, e->amount);
    if (e->resource == SL_LEDGER_requests && status.size == 3 && status.data[0] == '5')
        p->errors = sl_ledger_plus(p->errors, e->amount);
    if (e->resource == SL_LEDGER_tokens)
        p->tokens = sl_ledger_plus(p->tokens, e->amount);
}

/* Over the hours of a step, as far as they are known. NAN: none is. */
static double
latency_ms(const struct sl_request_tenant *t, uint64_t from_ms, uint64_t to_ms)
{
    uint64_t steps[SL_REQUEST_STEPS] = {0};
    for (uint64_t at = from_ms; t != NULL && at < to_ms; at += SL_REQUEST_HOUR_MS) {
        const struct sl_request_hour *h = sl_request_hour_of(t, at);
        for (uint32_t i = 0; h != NULL && i < SL_REQUEST_STEPS; i++)
            steps[i] += h->steps[i];
    }
    return sl_request_quantile_ms(steps, 990);
}

/* NAN: not known. */
static double
value_of(const struct sl_call *call, const struct report *r, enum series series, uint32_t at)
{
    const struct point *p = &r->points[at];
    const struct sl_request_counts *counts = call->gateway->requests;
    uint64_t from_ms = r->period.start_ms + at * r->step_ms;
    switch (series) {
    case REQUESTS:
        return (double)p->requests;
    case ERRORS:
        return p->requests == 0 ? NAN : 100 * (double)p->errors / (double)p->requests;
    case COST:
        return (double)p->cost_nano / NANO;
    case TOKENS:
        return (double)p->tokens;
    default:
        return counts == NULL ? NAN
                              : latency_ms(sl_request_counts_of(counts, r->whose.scope), from_ms,
                                           SL_MIN(from_ms + r->step_ms, r->period.end_ms));
    }
}

/* ---- the reply ----------------------------------------------------------------------------- */

static void
write_json(struct sl_call *call, const struct report *r)
{
    struct sl_jsonw *w = &call->out;
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "tenant_id", r->whose.tenant_id);
    sl_jsonw_member_str(w, "period", r->period_text);
    sl_jsonw_member_u64(w, "step_s", r->step_ms / 1000);
    sl_jsonw_name(w, "series");
    sl_jsonw_object(w);
    for (unsigned i = 0; i < SERIES; i++) {
        if (!r->is_wanted[i])
            continue;
        sl_jsonw_name(w, names[i]);
        sl_jsonw_array(w);
        for (uint32_t k = 0; k < r->points_count; k++) {
            char time[SL_TIME_TEXT_SIZE];
            double value = value_of(call, r, (enum series)i, k);
            if (isnan(value))
                continue;
            sl_time_format(r->period.start_ms + k * r->step_ms, time);
            sl_jsonw_array(w);
            sl_jsonw_str(w, time);
            sl_jsonw_f64(w, value);
            sl_jsonw_end(w);
        }
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

static void
write_csv(struct sl_call *call, const struct report *r)
{
    struct sl_buf *out = &call->reply;
    sl_buf_append_str(out, "time");
    for (unsigned i = 0; i < SERIES; i++)
        sl_buf_printf(out, "%s%s", r->is_wanted[i] ? "," : "", r->is_wanted[i] ? names[i] : "");
    for (uint32_t k = 0; k < r->points_count; k++) {
        char time[SL_TIME_TEXT_SIZE];
        sl_time_format(r->period.start_ms + k * r->step_ms, time);
        sl_buf_printf(out, "\r\n%s", time);
        for (unsigned i = 0; i < SERIES; i++) {
            double value = r->is_wanted[i] ? value_of(call, r, (enum series)i, k) : NAN;
            if (r->is_wanted[i])
                sl_buf_append_u8(out, ',');
            if (!isnan(value))
                sl_buf_printf(out, "%.12g", value);
        }
    }
    sl_buf_append_str(out, "\r\n");
    call->reply_type = "text/csv; charset=utf-8";
}

static void
go_on(struct sl_call *call)
{
    struct report *r = call->state;
    struct sl_ledger_walk walk = {.scope = r->whose.scope,
                                  .from_ms = r->period.start_ms,
                                  .to_ms = r->period.end_ms,
                                  .rows_max = TURN_ROWS,
                                  .seen = see,
                                  .arg = r};
    if (!sl_ledger_walk(call->txn, &walk, &r->place)) {
        sl_call_yield(call, go_on);
        return;
    }
    sl_meter_walk(r->meter, r->whose.scope, r->period.end_ms - 1, see, r);
    if (r->is_csv)
        write_csv(call, r);
    else
        write_json(call, r);
}

sl_handler_fn sl_api_get_tenant_metrics;

void
sl_api_get_tenant_metrics(struct sl_call *call)
{
    struct sl_slice id = call->params[0], format = sl_call_query(call, "format");
    struct report *r = sl_call_alloc(call, sizeof(*r));
    if ((!sl_slice_is(id, call->who.tenant_id) && !call->who.is_operator) ||
        sl_keyring_tenant(call->gateway->keyring, id, &r->whose) != SL_OK) {
        sl_call_not_found(call, "tenant", id);
        return;
    }
    if (call->gateway->meter == NULL) {
        sl_call_fail(call, SL_API_UNAVAILABLE, "nothing is metered here");
        return;
    }
    r->meter = call->gateway->meter;
    r->meter->readers++;
    call->state = r;
    call->state_free = free_report;
    r->is_csv = sl_slice_is(format, "csv");
    if (format.data != NULL && !r->is_csv && !sl_slice_is(format, "json"))
        sl_call_invalid(call, "query.format", "value_error", "must be json or csv");
    read_names(call, r);
    read_step(call, r);
    if (!sl_call_has_failed(call))
        read_period(call, r);
    if (sl_call_has_failed(call))
        return;
    r->points = sl_call_alloc(call, SL_MAX(r->points_count, 1u) * sizeof(struct point));
    go_on(call);
}
