/* SPDX-License-Identifier: Apache-2.0 */
/* The organization, its users and their API keys. */
#include "gateway/account.h"
#include "gateway/user.h"
#include "gateway/gateway.h"
#include "gateway/list.h"
#include "gateway/resource.h"
#include "runtime/time.h"

bool
sl_system_row(struct sl_call *call, uint8_t table, struct sl_slice key, struct sl_json *ret_row)
{
    struct sl_slice value;
    if (sl_txn_get(call->txn, SL_SCOPE_SYSTEM, table, key, &value) != SL_OK)
        return false;
    *ret_row = sl_call_parse(call, value);
    return true;
}

static void
write_rate_limits(struct sl_jsonw *w, const struct sl_plan *plan)
{
    static const char *const names[] = {"metadata", "data", "search", "upload", "compute"};
    sl_jsonw_name(w, "rate_limits");
    sl_jsonw_object(w);
    for (size_t i = 0; i < SL_COUNT_OF(names);
         i++) { /* Clients want >= 1: no limit is a large one. */
        uint32_t limit = plan == NULL ? 0 : plan->per_minute[i];
        sl_jsonw_member_u64(w, names[i], limit == 0 ? 1000000000 : limit);
    }
    sl_jsonw_end(w);
}

void
sl_api_get_organization(struct sl_call *call)
{
    struct sl_json tenant;
    struct sl_jsonw *w = &call->out;
    if (!sl_system_row(call, SL_TABLE_TENANT, sl_slice_str(call->who.tenant_id), &tenant)) {
        sl_call_not_found(call, "organization", sl_slice_str(call->who.organization_id));
        return;
    }
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "organization_id", call->who.organization_id);
    sl_jsonw_member_value(w, "organization_name", sl_json_member(tenant, "name"));
    sl_jsonw_member_str(w, "tenant_id", call->who.tenant_id);
    sl_jsonw_member_value(w, "logo_url", sl_json_member(tenant, "logo_url"));
    sl_jsonw_member_value(w, "account_type", sl_json_member(tenant, "account_type"));
    sl_jsonw_member_value(w, "plan", sl_json_member(tenant, "plan"));
    sl_jsonw_member_u64(w, "credit_count", 0);
    sl_jsonw_name(w, "metadata");
    if (sl_json_has(sl_json_member(tenant, "metadata")))
        sl_jsonw_value(w, sl_json_member(tenant, "metadata"));
    else
        sl_jsonw_raw(w, sl_slice_str("{}"));
    sl_jsonw_member_value(w, "billing_email", sl_json_member(tenant, "billing_email"));
    write_rate_limits(w, sl_plan_lookup(sl_member_text(call, tenant, "plan")));
    sl_jsonw_member_bool(w, "auto_billing_enabled", false);
    sl_jsonw_member_value(w, "created_at", sl_json_member(tenant, "created_at"));
    sl_jsonw_member_value(w, "updated_at", sl_json_member(tenant, "updated_at"));
    sl_jsonw_end(w);
}

/* `row` with what the body says of these members; "updated_at" is now. Arena. */
static struct sl_slice
merged(struct sl_call *call, struct sl_json row, const char *const *names)
{
    struct sl_buf value = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &value);
    sl_jsonw_object(&w);
    for (struct sl_json_iter i = sl_json_iter(row); sl_json_next(&i);) {
        bool is_replaced = sl_json_is(i.name, "updated_at");
        for (size_t n = 0; names[n] != NULL; n++)
            is_replaced = is_replaced || (sl_json_is(i.name, names[n]) &&
                                          sl_json_has(sl_json_member(call->body, names[n])));
        if (is_replaced)
            continue;
        sl_jsonw_name_slice(&w, sl_call_text(call, i.name));
        sl_jsonw_value(&w, i.value);
    }
    for (size_t n = 0; names[n] != NULL; n++) {
        struct sl_json sent = sl_json_member(call->body, names[n]);
        if (sl_json_has(sent))
            sl_jsonw_member_value(&w, names[n], sent);
    }
    sl_jsonw_member_time(&w, "updated_at", call->now_ms);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    struct sl_slice copy = sl_call_copy(call, sl_buf_slice(&value));
    sl_buf_deinit(&value);
    return copy;
}

void
sl_api_patch_organization(struct sl_call *call)
{
    static const char *const names[] = {"name", "logo_url", "billing_email", "metadata", NULL};
    struct sl_json tenant, sent = call->body;
    struct sl_slice key = sl_slice_str(call->who.tenant_id);
    struct sl_json name = sl_json_member(call->body, "organization_name");
    if (!sl_system_row(call, SL_TABLE_TENANT, key, &tenant)) {
        sl_call_not_found(call, "organization", sl_slice_str(call->who.organization_id));
        return;
    }
    if (sl_json_has(name)) { /* The row calls it by the tenant's word. */
        static const char *const own[] = {"name", NULL};
        struct sl_buf body = {0};
        struct sl_jsonw w;
        sl_jsonw_init(&w, &body);
        sl_jsonw_object(&w);
        sl_write_except(&w, sent, own);
        sl_jsonw_member_value(&w, "name", name);
        sl_jsonw_end(&w);
        call->body = sl_call_parse(call, sl_buf_slice(&body));
        sl_buf_deinit(&body);
    }
    sl_txn_put(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, key, merged(call, tenant, names));
    sl_api_get_organization(call);
}

/* ---- users --------------------------------------------------------------------------------- */

bool
sl_user_find(struct sl_call *call, struct sl_slice email, struct sl_resource *ret_user)
{
    struct sl_slice value;
    const char *id = sl_call_identifier(call, email);
    if (id == NULL ||
        sl_txn_get(call->txn, call->who.scope, SL_TABLE_USER, sl_slice_str(id), &value) != SL_OK) {
        sl_call_not_found(call, "user", email);
        return false;
    }
    *ret_user = (struct sl_resource){.id = id, .row = sl_call_parse(call, value)};
    return true;
}

static void
write_sent(struct sl_jsonw *w, struct sl_json body, const char *name, const char *fallback)
{
    struct sl_json sent = sl_json_member(body, name);
    sl_jsonw_name(w, name);
    if (sl_json_has(sent))
        sl_jsonw_value(w, sent);
    else
        sl_jsonw_raw(w, sl_slice_str(fallback));
}

void
sl_api_create_user(struct sl_call *call)
{
    struct sl_slice email = sl_member_text(call, call->body, "email"), value;
    struct sl_jsonw *w = &call->out;
    if (sl_call_identifier(call, email) == NULL || memchr(email.data, '@', email.size) == NULL) {
        sl_call_invalid(call, "body.email", "value_error", "not an e-mail address");
        return;
    }
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_USER, email, &value) == SL_OK) {
        sl_call_fail(call, SL_API_CONFLICT, "user %.*s exists already", SL_SLICE_FMT(email));
        return;
    }
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "user_id", sl_call_id(call, "usr_", 15));
    sl_jsonw_member_str(w, "organization_id", call->who.organization_id);
    sl_jsonw_member_slice(w, "email", email);
    sl_jsonw_member_value(w, "user_name", sl_json_member(call->body, "user_name"));
    sl_jsonw_member_value(w, "avatar_url", sl_json_member(call->body, "avatar_url"));
    write_sent(w, call->body, "role", "\"member\"");
    write_sent(w, call->body, "status", "\"active\"");
    write_sent(w, call->body, "metadata", "{}");
    sl_jsonw_member_time(w, "created_at", call->now_ms);
    sl_jsonw_member_time(w, "updated_at", call->now_ms);
    sl_jsonw_end(w);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_USER, email, sl_buf_slice(&call->reply));
}

void
sl_api_get_user(struct sl_call *call)
{
    struct sl_resource user;
    if (sl_user_find(call, call->params[0], &user))
        sl_jsonw_value(&call->out, user.row);
}

/* Users and keys are few: the page is cut here, by skip and limit. */
struct page {
    uint32_t skip, limit, total, written;
};

static bool
page_begin(struct sl_call *call, struct page *p)
{
    *p = (struct page){.skip = sl_list_number(call, "skip", "offset", 0, 1000000, 0),
                       .limit = sl_list_number(call, "limit", "page_size", 1, 1000, 50)};
    if (sl_call_has_failed(call))
        return false;
    sl_jsonw_object(&call->out);
    sl_jsonw_name(&call->out, "results");
    sl_jsonw_array(&call->out);
    return true;
}

static bool
page_takes(struct page *p)
{
    bool is_in = p->total >= p->skip && p->written < p->limit;
    p->total++;
    p->written += is_in;
    return is_in;
}

static void
page_end(struct sl_call *call, const struct page *p)
{
    sl_jsonw_end(&call->out);
    sl_jsonw_member_u64(&call->out, "total", p->total);
    sl_jsonw_member_u64(&call->out, "skip", p->skip);
    sl_jsonw_member_u64(&call->out, "limit", p->limit);
    sl_jsonw_end(&call->out);
}

void
sl_api_list_users(struct sl_call *call)
{
    struct sl_slice role = sl_call_query(call, "role"), status = sl_call_query(call, "status");
    struct sl_scan scan = {0};
    struct page page;
    if (!page_begin(call, &page))
        return;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_USER, sl_slice(NULL, 0), sl_slice(NULL, 0),
                false, &scan);
    while (sl_scan_next(&scan)) {
        struct sl_json row = sl_call_parse(call, scan.value);
        if ((role.data != NULL && !sl_slice_equal(role, sl_member_text(call, row, "role"))) ||
            (status.data != NULL && !sl_slice_equal(status, sl_member_text(call, row, "status"))))
            continue;
        if (page_takes(&page))
            sl_jsonw_value(&call->out, row);
    }
    sl_scan_end(&scan);
    page_end(call, &page);
}

/* One who is suspended can do nothing. */
static bool
is_admin(struct sl_json user)
{
    return sl_json_is(sl_json_member(user, "role"), "admin") && sl_user_is_active(user);
}

/* Is another user an admin? */
static bool
has_other_admin(struct sl_call *call, const char *email)
{
    struct sl_scan scan = {0};
    bool is_found = false;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_USER, sl_slice(NULL, 0), sl_slice(NULL, 0),
                false, &scan);
    while (!is_found && sl_scan_next(&scan))
        is_found = !sl_slice_is(scan.key, email) && is_admin(sl_call_parse(call, scan.value));
    sl_scan_end(&scan);
    return is_found;
}

void
sl_api_patch_user(struct sl_call *call)
{
    static const char *const names[] = {"user_name", "avatar_url", "role",
                                        "status",    "metadata",   NULL};
    struct sl_resource user;
    if (!sl_user_find(call, call->params[0], &user))
        return;
    struct sl_slice row = merged(call, user.row, names);
    if (is_admin(user.row) && !is_admin(sl_call_parse(call, row)) &&
        !has_other_admin(call, user.id)) {
        sl_call_fail(call, SL_API_CONFLICT, "%s is the last admin", user.id);
        return;
    }
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_USER, sl_slice_str(user.id), row);
    sl_keys_refresh(call, user.id);
    sl_jsonw_value(&call->out, sl_call_parse(call, row));
}

void
sl_api_delete_user(struct sl_call *call)
{
    struct sl_resource user;
    if (!sl_user_find(call, call->params[0], &user))
        return;
    if (is_admin(user.row) && !has_other_admin(call, user.id)) {
        sl_call_fail(call, SL_API_CONFLICT, "%s is the last admin", user.id);
        return;
    }
    sl_keys_revoke(call, user.id);
    sl_txn_del(call->txn, call->who.scope, SL_TABLE_USER, sl_slice_str(user.id));
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "message", "the user is deleted, the keys are revoked");
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_end(&call->out);
}
