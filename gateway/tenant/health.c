/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a tenant is: whether its calls are answered, its limits leave room, and its queues move.
 * Calls are those of the last 24 hours that this process has answered; it knows of none before its
 * start.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "actors/rows.h"
#include "gateway/account.h"
#include "gateway/gateway.h"
#include "gateway/limits.h"
#include "gateway/request_counts.h"
#include "gateway/resource.h"
#include "gateway/tenant.h"
#include "gateway/user.h"
#include "queue/look.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define HOURS       24u
#define ERRORS_LOW  1.0 /* Percent of the last two hours' calls. */
#define ERRORS_HIGH 10.0
#define QUOTA_LOW   80.0
#define QUOTA_HIGH  100.0
#define OLD_MS      UINT64_C(900000) /* As a group's threshold in /v1/health. */

enum state { HEALTHY, DEGRADED, CRITICAL };
static const char *const state_names[] = {"healthy", "degraded", "critical"};

struct health {
    struct sl_identity whose;
    enum state state; /* The worst that was found. */
    double uptime, error_rate, quota_usage;
};

static enum state
grade(double value, double low, double high)
{
    return value >= high ? CRITICAL : value >= low ? DEGRADED : HEALTHY;
}

static void write_check(struct sl_call *call, struct health *h, const char *name, enum state state,
                        const char *format, ...) SL_PRINTF(5, 6);

static void
write_check(struct sl_call *call, struct health *h, const char *name, enum state state,
            const char *format, ...)
{
    char detail[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    h->state = SL_MAX(h->state, state);
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "name", name);
    sl_jsonw_member_str(&call->out, "status", state_names[state]);
    sl_jsonw_member_str(&call->out, "detail", detail);
    sl_jsonw_end(&call->out);
}

/* ---- checks -------------------------------------------------------------------------------- */

static void
check_state(struct sl_call *call, struct health *h, struct sl_json row)
{
    char *state = sl_json_strdup(sl_json_member(row, "state"));
    bool is_active = state != NULL && strcmp(state, "active") == 0;
    write_check(call, h, "tenant", is_active ? HEALTHY : CRITICAL, "%s",
                state == NULL ? "unknown" : state);
    sl_free(state);
}

static double
percent(uint64_t part, uint64_t of)
{
    return of == 0 ? 0 : 100 * (double)part / (double)of;
}

static void
check_errors(struct sl_call *call, struct health *h)
{
    const struct sl_request_counts *counts = call->gateway->requests;
    const struct sl_request_tenant *t =
        counts == NULL ? NULL : sl_request_counts_of(counts, h->whose.scope);
    uint64_t all = 0, errors = 0, recent = 0, recent_errors = 0;
    for (uint32_t i = 0; t != NULL && i < HOURS; i++) {
        const struct sl_request_hour *hour =
            sl_request_hour_of(t, call->now_ms - i * SL_REQUEST_HOUR_MS);
        if (hour == NULL)
            continue;
        all += hour->count;
        errors += hour->errors;
        recent += i < 2 ? hour->count : 0;
        recent_errors += i < 2 ? hour->errors : 0;
    }
    h->uptime = 100 - percent(errors, all);
    h->error_rate = percent(recent_errors, recent);
    write_check(call, h, "errors", grade(h->error_rate, ERRORS_LOW, ERRORS_HIGH),
                "%" PRIu64 " of %" PRIu64 " calls of this hour and the last failed", recent_errors,
                recent);
}

/* Of limits that end with a day or month; the one of which most is used. */
static void
check_quota(struct sl_call *call, struct health *h)
{
    const char *name = "no limit is set";
    struct sl_limit_clock now = sl_limits_clock(call);
    const struct sl_limit_state *s =
        call->gateway->limits == NULL ? NULL : sl_limits_of(call, &h->whose);
    for (unsigned i = 0; s != NULL && i < SL_LIMIT_COUNT; i++) {
        struct sl_limit_verdict v = sl_limit_look(s, (enum sl_limit)i, now);
        double used = percent(v.used, v.max);
        if (v.max == 0 || v.reset_ms == 0 || used < h->quota_usage)
            continue;
        h->quota_usage = used;
        name = sl_limit_name((enum sl_limit)i);
    }
    write_check(call, h, "quota", grade(h->quota_usage, QUOTA_LOW, QUOTA_HIGH), "%s: %.1f %%", name,
                h->quota_usage);
}

static void
check_queues(struct sl_call *call, struct health *h)
{
    struct sl_queue_depth d;
    uint64_t oldest_ms = call->now_ms, dead = 0;
    uint32_t at = 0;
    const struct sl_queue *queue = call->gateway->queue;
    while (queue != NULL && sl_queue_depth_next(queue, h->whose.scope, &at, &d)) {
        dead += d.count[SL_STATE_DEAD] + d.count[SL_STATE_QUARANTINED];
        if (d.oldest_ms != 0 && d.oldest_ms < oldest_ms)
            oldest_ms = d.oldest_ms;
    }
    uint64_t age_ms = call->now_ms - oldest_ms;
    write_check(call, h, "queues", age_ms >= OLD_MS ? DEGRADED : HEALTHY,
                "the oldest ready task waits for %" PRIu64 " s, %" PRIu64 " failed for good",
                age_ms / 1000, dead);
}

/* ---- the route ----------------------------------------------------------------------------- */

sl_handler_fn sl_api_get_tenant_health;

void
sl_api_get_tenant_health(struct sl_call *call)
{
    struct sl_slice id = call->params[0];
    struct health h = {0};
    struct sl_json row;
    struct sl_jsonw *w = &call->out;
    if ((!sl_slice_is(id, call->who.tenant_id) && !call->who.is_operator) ||
        sl_keyring_tenant(call->gateway->keyring, id, &h.whose) != SL_OK ||
        !sl_system_row(call, SL_TABLE_TENANT, id, &row)) {
        sl_call_not_found(call, "tenant", id);
        return;
    }
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "tenant_id", h.whose.tenant_id);
    sl_jsonw_name(w, "checks");
    sl_jsonw_array(w);
    check_state(call, &h, row);
    check_errors(call, &h);
    check_quota(call, &h);
    check_queues(call, &h);
    sl_jsonw_end(w);
    sl_jsonw_member_str(w, "status", state_names[h.state]);
    sl_jsonw_member_f64(w, "uptime", h.uptime);
    sl_jsonw_member_f64(w, "error_rate", h.error_rate);
    sl_jsonw_member_f64(w, "quota_usage", h.quota_usage);
    sl_jsonw_member_time(w, "checked_at", call->now_ms);
    sl_jsonw_end(w);
}
