/* SPDX-License-Identifier: Apache-2.0 */
/* The organization, its users and their API keys: api.md 2.13. */
#include "gateway/account.h"
#include "gateway/gateway.h"
#include "gateway/list.h"
#include "gateway/resource.h"
#include "runtime/time.h"

static bool
system_row(struct sl_call *call, uint8_t table, struct sl_slice key, struct sl_json *ret_row)
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
    if (!system_row(call, SL_TABLE_TENANT, sl_slice_str(call->who.tenant_id), &tenant)) {
        sl_call_not_found(call, "organization", sl_slice_str(call->who.organization_id));
        return;
    }
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "organization_id", call->who.organization_id);
    sl_jsonw_member_value(w, "organization_name", sl_json_member(tenant, "name"));
    sl_jsonw_member_str(w, "tenant_id", call->who.tenant_id);
    sl_jsonw_member_null(w, "logo_url");
    sl_jsonw_member_value(w, "account_type", sl_json_member(tenant, "account_type"));
    sl_jsonw_member_value(w, "plan", sl_json_member(tenant, "plan"));
    sl_jsonw_member_u64(w, "credit_count", 0);
    sl_jsonw_member_raw(w, "metadata", sl_slice_str("{}"));
    sl_jsonw_member_null(w, "billing_email");
    write_rate_limits(w, sl_plan_lookup(sl_member_text(call, tenant, "plan")));
    sl_jsonw_member_bool(w, "auto_billing_enabled", false);
    sl_jsonw_member_value(w, "created_at", sl_json_member(tenant, "created_at"));
    sl_jsonw_member_value(w, "updated_at", sl_json_member(tenant, "updated_at"));
    sl_jsonw_end(w);
}

/* ---- users --------------------------------------------------------------------------------- */

static bool
find_user(struct sl_call *call, struct sl_slice email, struct sl_resource *ret_user)
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
    if (find_user(call, call->params[0], &user))
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

/* ---- keys ---------------------------------------------------------------------------------- */

/* What clients require but must not learn is redacted: the hash shown is that of the key's id. */
static void
write_key(struct sl_call *call, struct sl_json row, const char *secret)
{
    static const char *const hidden[] = {"tenant_id", "scope", "email", "is_operator", NULL};
    struct sl_jsonw *w = &call->out;
    uint8_t digest[SL_SHA256_SIZE];
    char hex[2 * SL_SHA256_SIZE + 1];
    sl_sha256(sl_member_text(call, row, "key_id"), digest);
    sl_hex(sl_slice(digest, sizeof(digest)), hex);
    sl_jsonw_object(w);
    sl_write_except(w, row, hidden);
    sl_jsonw_member_str(w, "key_hash", hex);
    sl_jsonw_member_str(w, "key_type", "standard");
    sl_jsonw_member_str(w, "internal_id", "int_redacted");
    if (secret != NULL)
        sl_jsonw_member_str(w, "key", secret);
    sl_jsonw_end(w);
}

static bool
find_key(struct sl_call *call, const char *email, const char *name, uint8_t ret_digest[static 32],
         struct sl_json *ret_row)
{
    struct sl_buf key = {0};
    struct sl_slice digest;
    bool is_found = sl_txn_get(call->txn, call->who.scope, SL_TABLE_USER_KEY,
                               sl_key(&key, 2, email, name), &digest) == SL_OK &&
                    digest.size == SL_SHA256_SIZE;
    sl_buf_deinit(&key);
    if (!is_found)
        return false;
    memcpy(ret_digest, digest.data, SL_SHA256_SIZE);
    return system_row(call, SL_TABLE_KEY, sl_slice(ret_digest, SL_SHA256_SIZE), ret_row);
}

static uint32_t
read_permissions(struct sl_call *call)
{
    struct sl_json sent = sl_json_member(call->body, "permissions");
    uint32_t permissions = 0;
    for (struct sl_json_iter i = sl_json_iter(sent); sl_json_next(&i);) {
        uint32_t bit = 0;
        for (int p = SL_PERMIT_READ; p <= SL_PERMIT_ADMIN; p++) {
            if (sl_json_is(i.value, sl_permission_name((enum sl_permission)p)))
                bit = SL_PERMIT_BIT(p);
        }
        if (bit == 0)
            sl_call_invalid(call, "body.permissions", "enum",
                            "permissions are read, write, delete and admin");
        permissions |= bit;
    }
    return permissions == 0 ? SL_PERMIT_BIT(SL_PERMIT_READ) : permissions;
}

static uint64_t
read_expiry(struct sl_call *call)
{
    struct sl_slice text = sl_member_text(call, call->body, "expires_at");
    uint64_t expires_ms = 0;
    if (text.size > 0 && (sl_time_parse(text, &expires_ms) != SL_OK || expires_ms <= call->now_ms))
        sl_call_invalid(call, "body.expires_at", "value_error", "it is not a time to come");
    return expires_ms;
}

struct granted {
    uint8_t digest[SL_SHA256_SIZE];
    struct sl_identity who;
    uint64_t expires_ms;
};

static void
after_create(struct sl_call *call, void *arg)
{
    const struct granted *g = arg;
    sl_keyring_put(call->gateway->keyring, g->digest, &g->who, g->expires_ms);
}

static void
grant(struct sl_call *call, const struct sl_key_new *want)
{
    struct sl_key_made made;
    struct sl_json row, tenant;
    struct granted *g = sl_call_alloc(call, sizeof(*g));
    sl_key_make(call->txn, want, &made);
    struct sl_slice digest = sl_slice(made.digest, sizeof(made.digest));
    if (SL_BUG(!system_row(call, SL_TABLE_KEY, digest, &row) ||
               !system_row(call, SL_TABLE_TENANT, sl_slice_str(call->who.tenant_id), &tenant) ||
               sl_identity_read(row, tenant, &g->who) != SL_OK)) {
        sl_call_fail(call, SL_API_INTERNAL, "the key was not stored");
        return;
    }
    memcpy(g->digest, made.digest, sizeof(made.digest));
    g->expires_ms = want->expires_ms;
    sl_call_after_commit(call, after_create, g);
    write_key(call, row, made.secret);
}

void
sl_api_create_key(struct sl_call *call)
{
    struct sl_resource user;
    struct sl_json old;
    uint8_t digest[SL_SHA256_SIZE];
    if (!find_user(call, call->params[0], &user))
        return;
    const char *name = sl_call_identifier(call, sl_member_text(call, call->body, "name"));
    struct sl_key_new want = {.name = name,
                              .email = user.id,
                              .user_id = sl_member_str(call, user.row, "user_id"),
                              .organization_id = call->who.organization_id,
                              .tenant_id = call->who.tenant_id,
                              .created_by = call->who.user_id,
                              .scope = call->who.scope,
                              .permissions = read_permissions(call),
                              .now_ms = call->now_ms,
                              .expires_ms = read_expiry(call),
                              .description = sl_json_member(call->body, "description"),
                              .scopes = sl_json_member(call->body, "scopes"),
                              .rate_limit = sl_json_member(call->body, "rate_limit_override")};
    if (name == NULL)
        sl_call_invalid(call, "body.name", "value_error", "a name has no NUL and 1 to 100 bytes");
    if (sl_call_has_failed(call))
        return;
    /* A revoked key's name is free again; its row stays, by its digest. */
    if (find_key(call, user.id, name, digest, &old) &&
        sl_json_is(sl_json_member(old, "status"), "active")) {
        sl_call_fail(call, SL_API_CONFLICT, "%s has a key named %s already", user.id, name);
        return;
    }
    grant(call, &want);
}

void
sl_api_list_keys(struct sl_call *call)
{
    struct sl_resource user;
    struct sl_scan scan = {0};
    struct sl_buf prefix = {0};
    bool is_all = sl_call_query_bool(call, "include_revoked", false);
    uint64_t total = 0;
    if (!find_user(call, call->params[0], &user))
        return;
    sl_jsonw_object(&call->out);
    sl_jsonw_name(&call->out, "results");
    sl_jsonw_array(&call->out);
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_USER_KEY, sl_key_prefix(&prefix, 1, user.id),
                sl_slice(NULL, 0), false, &scan);
    while (sl_scan_next(&scan)) {
        struct sl_json row;
        if (!system_row(call, SL_TABLE_KEY, scan.value, &row) ||
            (!is_all && !sl_json_is(sl_json_member(row, "status"), "active")))
            continue;
        write_key(call, row, NULL);
        total++;
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    sl_jsonw_end(&call->out);
    sl_jsonw_member_u64(&call->out, "total", total);
    sl_jsonw_end(&call->out);
}

static void
after_revoke(struct sl_call *call, void *arg)
{
    sl_keyring_remove(call->gateway->keyring, arg);
}

static void
revoke(struct sl_call *call, struct sl_slice digest, struct sl_json row)
{
    static const char *const replaced[] = {"status", "revoked_at", "revoked_by", NULL};
    struct sl_buf value = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &value);
    sl_jsonw_object(&w);
    sl_write_except(&w, row, replaced);
    sl_jsonw_member_str(&w, "status", "revoked");
    sl_jsonw_member_time(&w, "revoked_at", call->now_ms);
    sl_jsonw_member_str(&w, "revoked_by", call->who.user_id);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_txn_put(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_KEY, digest, sl_buf_slice(&value));
    sl_buf_deinit(&value);
    sl_call_after_commit(call, after_revoke, (void *)sl_call_copy(call, digest).data);
}

void
sl_api_delete_key(struct sl_call *call)
{
    struct sl_resource user;
    struct sl_json row;
    uint8_t digest[SL_SHA256_SIZE];
    if (!find_user(call, call->params[0], &user))
        return;
    const char *name = sl_call_identifier(call, call->params[1]);
    if (name == NULL || !find_key(call, user.id, name, digest, &row)) {
        sl_call_not_found(call, "api_key", call->params[1]);
        return;
    }
    if (strcmp(name, SL_ADMIN_KEY_NAME) == 0) {
        sl_call_fail(call, SL_API_FORBIDDEN, "%s is protected", SL_ADMIN_KEY_NAME);
        return;
    }
    revoke(call, sl_slice(digest, sizeof(digest)), row);
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "message", "the key is revoked");
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_end(&call->out);
}
