/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/tenants/{tenant_id}/isolation/verify: rows are tried on the store's thread, then
 * processes fight it out while a thread of the pool listens, then it is judged.
 */
#include <inttypes.h>
#include <stdio.h>

#include "actors/use_counts.h"
#include "extractors/replica_settings.h"
#include "gateway/account.h"
#include "gateway/isolation/alarm.h"
#include "gateway/isolation/level.h"
#include "gateway/isolation/rows.h"
#include "gateway/isolation/siege.h"
#include "gateway/settings.h"
#include "gateway/tenant.h"
#include "gateway/gateway.h"
#include "gateway/resource.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define AGAIN_S  "1"
#define PAUSE_MS UINT64_C(5000)
#define PAUSES   256u

struct verification {
    struct sl_identity tenant;
    const char *level, *enforced; /* Asked for, and what is in force. */
    struct sl_siege siege;
    bool has_siege, is_under_way, is_for_operator;
    struct sl_isolation found;
    bool is_wanted[SL_CHECK_COUNT];
    struct sl_gateway *gateway; /* To be told that it is over. */
};

/* Before the reply, so that who has it may ask again; and where there is none, with the call, which
 * may be on another thread by then. */
static void
end(void *state)
{
    struct verification *v = state;
    if (v->has_siege)
        sl_siege_end(&v->siege);
    if (v->is_under_way)
        atomic_store(&v->gateway->is_verifying, false);
    v->has_siege = v->is_under_way = false;
}

/* The tenant of the path, in whose audit log it is; an operator's any. */
static bool
enter(struct sl_call *call, struct verification *v)
{
    struct sl_json row;
    const char *id = sl_call_identifier(call, call->params[0]);
    if (id == NULL || (!call->who.is_operator && strcmp(id, call->who.tenant_id) != 0) ||
        !sl_tenant_find(call, id, &row) || sl_identity_of_tenant(row, &v->tenant) != SL_OK) {
        sl_call_not_found(call, "tenant", call->params[0]);
        return false;
    }
    sl_identity_enter(&call->who, &v->tenant);
    v->level = sl_member_str(call, row, "isolation_level");
    v->enforced = sl_isolation_in_force(call, sl_member_str(call, row, "isolation_enforced"));
    v->found.is_apart = strcmp(v->enforced, "logical") != 0;
    v->found.is_sanitized = sl_sandbox_is_sanitized();
    return true;
}

/*
 * One is under way at a time, for all tenants: by a pause behind each of its own a tenant leaves
 * the others a turn. Who has the same place as another has none: it is for fairness, not a limit.
 */
static struct pause {
    uint64_t scope, ended_ms;
} pauses[PAUSES]; /* The store's thread's. */

static struct pause *
pause_of(const struct verification *v)
{
    return &pauses[v->tenant.scope.id % PAUSES];
}

static bool
must_pause(struct sl_call *call, const struct verification *v)
{
    const struct pause *p = pause_of(v);
    uint64_t since_ms = call->now_ms - p->ended_ms; /* A clock that went back ends it. */
    if (call->who.is_operator || p->scope != v->tenant.scope.id || call->now_ms < p->ended_ms ||
        since_ms >= PAUSE_MS)
        return false;
    sl_call_fail(call, SL_API_RATE_LIMIT,
                 "this tenant was verified a moment ago: try again in some seconds");
    sl_call_header(call, "Retry-After",
                   sl_call_format(call, "%" PRIu64, (PAUSE_MS - since_ms + 999) / 1000));
    return true;
}

static bool
read_wanted(struct sl_call *call, struct verification *v)
{
    struct sl_json checks = sl_json_member(call->body, "checks");
    for (unsigned i = 0; i < SL_CHECK_COUNT; i++)
        v->is_wanted[i] = !sl_json_has(checks) || sl_json_count(checks) == 0;
    for (struct sl_json_iter i = sl_json_iter(checks); sl_json_next(&i);) {
        enum sl_isolation_check check;
        if (sl_isolation_check_of(sl_call_text(call, i.value), &check))
            v->is_wanted[check] = true;
        else
            sl_call_invalid(call, "body.checks", "value_error",
                            "checks are database_isolation, cache_isolation, network_isolation, "
                            "process_isolation and resource_isolation");
    }
    return !sl_call_has_failed(call);
}

/* False: there is no spawner to ask, or no descriptors; what needs it stays untried. */
static bool
begin_siege(struct sl_call *call, struct verification *v)
{
    const struct sl_gateway *g = call->gateway;
    struct sl_replica_settings settings;
    struct sl_buf text = {0};
    struct sl_jsonw w;
    if (g->live == NULL || g->run_directory == NULL || g->settings == NULL)
        return false;
    const struct sl_config *config = g->settings->started;
    sl_up_options_replicas(config, &settings);
    sl_jsonw_init(&w, &text);
    sl_replica_settings_write(&settings, &w);
    sl_jsonw_done(&w);
    char *socket = sl_call_format(call, "%s/head", g->run_directory);
    struct sl_siege_options options = {.live = g->live,
                                       .tenant = v->found.is_apart ? v->tenant.scope.id : 0,
                                       .settings = sl_buf_slice(&text),
                                       .memory_bytes = sl_replica_memory(&settings),
                                       .data = g->data_directory,
                                       .socket = socket,
                                       .api = sl_config_string(config, SL_UP_http)};
    enum sl_err err = sl_siege_begin(&options, &v->siege);
    sl_buf_deinit(&text);
    if (err != SL_OK)
        sl_report_warn("isolation-probe", "tenant=%s action=\"unverified\" err=%s",
                       v->tenant.tenant_id, sl_err_name(err));
    return err == SL_OK;
}

static void
listen_to(struct sl_call *call)
{
    struct verification *v = call->state;
    sl_siege_run(&v->siege, &v->found);
}

static void
count_check(const struct sl_call *call, const struct verification *v, enum sl_isolation_check check,
            enum sl_isolation_status status)
{
    static const char *const results[] = {[SL_ISOLATION_ENFORCED] = "enforced",
                                          [SL_ISOLATION_NOT_ENFORCED] = "not_enforced",
                                          [SL_ISOLATION_UNKNOWN] = "unknown",
                                          [SL_ISOLATION_VIOLATED] = "violated"};
    struct sl_use use = {
        .kind = SL_USE_CHECKS,
        .scope = v->tenant.scope,
        .labels = {sl_slice_str(sl_isolation_check_name(check)), sl_slice_str(results[status])}};
    sl_use_count(call->gateway->uses, &use, 1, 0);
}

static void
write_checks(struct sl_call *call, const struct verification *v, struct sl_buf *failures,
             struct sl_buf *violations)
{
    struct sl_jsonw *w = &call->out, failed, violated;
    sl_jsonw_init(&failed, failures);
    sl_jsonw_init(&violated, violations);
    sl_jsonw_array(&failed);
    sl_jsonw_array(&violated);
    sl_jsonw_name(w, "checks");
    sl_jsonw_array(w);
    for (unsigned i = 0; i < SL_CHECK_COUNT; i++) {
        enum sl_isolation_check check = (enum sl_isolation_check)i;
        struct sl_isolation_verdict verdict;
        if (!v->is_wanted[i])
            continue;
        sl_isolation_judge(&v->found, check, &verdict);
        sl_isolation_write(&v->found, check, w);
        count_check(call, v, check, verdict.status);
        if (verdict.status != SL_ISOLATION_ENFORCED)
            sl_jsonw_str(&failed, sl_isolation_check_name(check));
        if (verdict.status != SL_ISOLATION_VIOLATED)
            continue;
        sl_jsonw_str(&violated, sl_isolation_check_name(check));
        sl_isolation_alarm(call, &v->tenant, sl_isolation_check_name(check), verdict.text);
    }
    sl_jsonw_end(w);
    sl_jsonw_end(&failed);
    sl_jsonw_done(&failed);
    sl_jsonw_end(&violated);
    sl_jsonw_done(&violated);
}

static void
on_found(struct sl_call *call)
{
    struct verification *v = call->state;
    struct sl_jsonw *w = &call->out;
    struct sl_buf failures = {0}, violations = {0};
    end(v);
    if (!v->is_for_operator)
        *pause_of(v) = (struct pause){v->tenant.scope.id, call->now_ms};
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "tenant_id", v->tenant.tenant_id);
    sl_jsonw_member_str(w, "isolation_level", v->level);
    sl_jsonw_member_str(w, "isolation_enforced", v->enforced);
    write_checks(call, v, &failures, &violations);
    sl_jsonw_member_bool(w, "all_passed", strcmp(sl_buf_text(&failures), "[]") == 0);
    sl_jsonw_member_raw(w, "failures", sl_buf_slice(&failures));
    sl_jsonw_member_raw(w, "violations", sl_buf_slice(&violations));
    sl_jsonw_name(w, "sandbox");
    sl_sandbox_write(v->found.states, w);
    sl_jsonw_member_time(w, "verified_at", call->now_ms);
    sl_jsonw_end(w);
    sl_buf_deinit(&failures);
    sl_buf_deinit(&violations);
}

void
sl_api_verify_isolation(struct sl_call *call)
{
    struct verification *v = sl_call_alloc(call, sizeof(*v));
    struct sl_identity neighbour = sl_isolation_neighbour();
    *v = (struct verification){.gateway = call->gateway, .found.states = SL_SANDBOX_NONE};
    v->is_for_operator = call->who.is_operator;
    if (!enter(call, v) || !read_wanted(call, v) || must_pause(call, v))
        return;
    /* Three processes and a thread of the pool, each time. */
    if (atomic_exchange(&call->gateway->is_verifying, true)) {
        sl_call_fail(call, SL_API_UNAVAILABLE, "another verification is under way");
        sl_call_header(call, "Retry-After", AGAIN_S);
        return;
    }
    v->is_under_way = true;
    call->state = v;
    call->state_free = end;
    sl_isolation_rows(call, &v->tenant, &neighbour, &v->found);
    v->has_siege = begin_siege(call, v);
    if (v->has_siege)
        sl_call_work(call, listen_to, on_found);
    else
        on_found(call);
}
