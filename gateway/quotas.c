/* SPDX-License-Identifier: Apache-2.0 */
/* What a tenant may use: shown, set by the operator, and asked about. */
#include <inttypes.h>

#include "actors/rows.h"
#include "gateway/gateway.h"
#include "gateway/limits.h"
#include "gateway/resource.h"
#include "gateway/stock.h"
#include "gateway/user.h"

#define NANO 1e9

static bool
find_tenant(struct sl_call *call, struct sl_identity *ret_tenant)
{
    struct sl_slice id = call->params[0];
    bool is_own = sl_slice_is(id, call->who.tenant_id);
    if (call->gateway->limits == NULL) {
        sl_call_fail(call, SL_API_UNAVAILABLE, "nothing is limited here");
        return false;
    }
    if ((is_own || call->who.is_operator) &&
        sl_keyring_tenant(call->gateway->keyring, id, ret_tenant) == SL_OK)
        return true;
    sl_call_not_found(call, "tenant", id);
    return false;
}

static void
write_number(struct sl_jsonw *w, const char *name, enum sl_limit limit, uint64_t n)
{
    if (sl_limit_is_scaled(limit))
        sl_jsonw_member_f64(w, name, (double)n / NANO);
    else
        sl_jsonw_member_u64(w, name, n);
}

static void
write_state(struct sl_call *call, const struct sl_identity *tenant)
{
    struct sl_jsonw *w = &call->out;
    const struct sl_limit_state *s = sl_limits_of(call, tenant);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "tenant_id", tenant->tenant_id);
    sl_jsonw_name(w, "limits");
    sl_jsonw_object(w);
    for (unsigned i = 0; i < SL_LIMIT_COUNT; i++) {
        if (s->max[i] != 0)
            write_number(w, sl_limit_name((enum sl_limit)i), (enum sl_limit)i, s->max[i]);
    }
    sl_jsonw_end(w);
    sl_jsonw_name(w, "usage");
    sl_jsonw_object(w);
    for (unsigned i = 0; i < SL_LIMIT_COUNT; i++) {
        struct sl_limit_verdict v = sl_limits_look(call, tenant, (enum sl_limit)i);
        if (v.max == 0)
            continue;
        sl_jsonw_name(w, sl_limit_name(v.limit));
        sl_jsonw_object(w);
        write_number(w, "used", v.limit, v.used);
        write_number(w, "remaining", v.limit, v.used > v.max ? 0 : v.max - v.used);
        if (sl_limit_hard(s, v.limit) != v.max)
            write_number(w, "hard_max", v.limit, sl_limit_hard(s, v.limit));
        if (v.reset_ms > 0)
            sl_jsonw_member_time(w, "reset_at", v.reset_ms);
        else
            sl_jsonw_member_null(w, "reset_at");
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

void
sl_api_get_quotas(struct sl_call *call)
{
    struct sl_identity tenant;
    if (find_tenant(call, &tenant))
        write_state(call, &tenant);
}

/* ---- set ----------------------------------------------------------------------------------- */

static void
check_limits(struct sl_call *call, struct sl_json sent)
{
    for (struct sl_json_iter i = sl_json_iter(sent); sl_json_next(&i);) {
        struct sl_slice name = sl_call_text(call, i.name);
        enum sl_limit limit = sl_limit_of(name);
        uint64_t max = 0;
        const char *loc =
            sl_call_format(call, "body.limits.%.*s", (int)SL_MIN(name.size, (size_t)64), name.data);
        if (limit == SL_LIMIT_NONE)
            sl_call_invalid(call, loc, "value_error", "there is no such limit");
        else if (!sl_json_has(i.value))
            continue;
        else if (sl_json_kind(i.value) != SL_JSON_NUMBER ||
                 sl_limit_read(limit, i.value, &max) != SL_OK)
            sl_call_invalid(call, loc, "value_error", "must be a number above 0, or null: none%s",
                            sl_limit_is_scaled(limit) ? "" : "; a whole one");
    }
}

/* The stored ones, but those that were sent, which are added unless they are null. */
static struct sl_json
merge(struct sl_call *call, struct sl_json stored, struct sl_json sent)
{
    struct sl_buf text = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &text);
    sl_jsonw_object(&w);
    sl_jsonw_name(&w, "limits");
    sl_jsonw_object(&w);
    for (unsigned i = 0; i < SL_LIMIT_COUNT; i++) {
        const char *name = sl_limit_name((enum sl_limit)i);
        struct sl_json said = sl_json_member(sent, name);
        struct sl_json v = sl_json_kind(said) == SL_JSON_NONE ? sl_json_member(stored, name) : said;
        if (sl_json_has(v))
            sl_jsonw_member_value(&w, name, v);
    }
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    struct sl_json merged = sl_call_parse(call, sl_buf_slice(&text));
    sl_buf_deinit(&text);
    return merged;
}

/* What they may answer without us has changed. */
static void
tell_gateways(struct sl_gateway *g, struct sl_scope scope)
{
    g->touched.id = g->is_touched && g->touched.id != scope.id ? 0 : scope.id;
    g->is_touched = true;
}

void
sl_api_put_quotas(struct sl_call *call)
{
    static const char *const names[] = {"limits", NULL};
    struct sl_identity tenant;
    struct sl_json row, sent = sl_json_member(call->body, "limits");
    struct sl_buf out = {0};
    if (!find_tenant(call, &tenant))
        return;
    check_limits(call, sent);
    struct sl_slice key = sl_slice_str(tenant.tenant_id);
    if (sl_call_has_failed(call))
        return;
    if (!sl_system_row(call, SL_TABLE_TENANT, key, &row)) {
        sl_call_not_found(call, "tenant", key);
        return;
    }
    call->body = merge(call, sl_json_member(row, "limits"), sent);
    sl_row_patched(call, row, names, &out);
    sl_txn_put(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, key, sl_buf_slice(&out));
    sl_buf_deinit(&out);
    sl_limits_staged(call);
    sl_stock_tell_tasks(call, &tenant);
    tell_gateways(call->gateway, tenant.scope);
    write_state(call, &tenant);
}

/* ---- asked about --------------------------------------------------------------------------- */

void
sl_api_check_quota(struct sl_call *call)
{
    struct sl_identity tenant;
    double amount = 1;
    if (!find_tenant(call, &tenant))
        return;
    enum sl_limit limit = sl_limit_of(sl_member_text(call, call->body, "limit"));
    if (limit == SL_LIMIT_NONE) {
        sl_call_invalid(call, "body.limit", "value_error", "there is no such limit");
        return;
    }
    if (sl_json_f64(sl_json_member(call->body, "amount"), &amount) != SL_OK)
        amount = 1;
    struct sl_limit_verdict v = sl_limits_look(call, &tenant, limit);
    double unit = sl_limit_is_scaled(limit) ? NANO : 1;
    uint64_t hard = sl_limit_hard(sl_limits_of(call, &tenant), limit);
    bool is_allowed = v.max == 0 || (double)v.used + amount * unit <= (double)hard;
    struct sl_jsonw *w = &call->out;
    sl_jsonw_object(w);
    sl_jsonw_member_bool(w, "allowed", is_allowed);
    sl_jsonw_member_str(w, "limit", sl_limit_name(limit));
    write_number(w, "used", limit, v.used);
    if (v.max != 0) {
        write_number(w, "max", limit, v.max);
        write_number(w, "remaining", limit, v.used > v.max ? 0 : v.max - v.used);
    }
    if (v.reset_ms > 0)
        sl_jsonw_member_time(w, "reset_at", v.reset_ms);
    sl_jsonw_end(w);
}
