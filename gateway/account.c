/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/account.h"

#include <stdio.h>

#include "actors/rows.h"
#include "gateway/isolation/level.h"
#include "runtime/random.h"

static const char *const permission_names[] = {"none",   "read",  "write",
                                               "delete", "admin", "operator"};

const char *
sl_permission_name(enum sl_permission p)
{
    sl_assert((unsigned)p < SL_COUNT_OF(permission_names));
    return permission_names[p];
}

bool
sl_tenant_id_is_valid(struct sl_slice id)
{
    if (id.size < 2 || id.size > 63 || id.data[0] == '-')
        return false;
    for (size_t i = 0; i < id.size; i++) {
        uint8_t c = id.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return true;
}

/* ---- keys ---------------------------------------------------------------------------------- */

static void
write_permissions(struct sl_jsonw *w, uint32_t permissions)
{
    sl_jsonw_name(w, "permissions");
    sl_jsonw_array(w);
    for (int p = SL_PERMIT_READ; p <= SL_PERMIT_ADMIN; p++) {
        if (permissions & SL_PERMIT_BIT(p))
            sl_jsonw_str(w, permission_names[p]);
    }
    sl_jsonw_end(w);
}

static void
write_key(struct sl_jsonw *w, const struct sl_key_new *k, const struct sl_key_made *made)
{
    char shown[16];
    snprintf(shown, sizeof(shown), "%.*s...", SL_SECRET_SHOWN, made->secret);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "key_id", made->key_id);
    sl_jsonw_member_str(w, "key_prefix", shown);
    sl_jsonw_member_str(w, "tenant_id", k->tenant_id);
    sl_jsonw_member_u64(w, "scope", k->scope.id);
    sl_jsonw_member_str(w, "organization_id", k->organization_id);
    sl_jsonw_member_str(w, "user_id", k->user_id);
    sl_jsonw_member_str(w, "email", k->email);
    sl_jsonw_member_str(w, "name", k->name);
    sl_jsonw_member_value(w, "description", k->description);
    write_permissions(w, k->permissions);
    sl_jsonw_name(w, "scopes");
    if (sl_json_has(k->scopes))
        sl_jsonw_value(w, k->scopes);
    else
        sl_jsonw_raw(w, sl_slice_str("[]"));
    sl_jsonw_member_value(w, "rate_limit_override", k->rate_limit);
    sl_jsonw_member_bool(w, "is_operator", k->is_operator);
    sl_jsonw_member_str(w, "status", "active");
    sl_jsonw_member_time(w, "expires_at", k->expires_ms);
    sl_jsonw_member_time(w, "created_at", k->now_ms);
    sl_jsonw_member_str(w, "created_by", k->created_by);
    sl_jsonw_end(w);
    sl_jsonw_done(w);
}

static void
mint_key(struct sl_key_made *ret_made)
{
    memcpy(ret_made->key_id, "key_", 5);
    sl_random_id(ret_made->key_id + 4, 15);
    sl_secret_mint(ret_made->secret);
    sl_sha256(sl_slice_str(ret_made->secret), ret_made->digest);
}

void
sl_key_make(struct sl_txn *t, const struct sl_key_new *want, struct sl_key_made *ret_made)
{
    mint_key(ret_made);
    sl_key_put(t, want, ret_made);
}

void
sl_key_put(struct sl_txn *t, const struct sl_key_new *want, const struct sl_key_made *made)
{
    struct sl_buf row = {0}, key = {0};
    struct sl_jsonw w;
    struct sl_slice digest = sl_slice(made->digest, sizeof(made->digest));
    sl_jsonw_init(&w, &row);
    write_key(&w, want, made);
    sl_txn_put(t, SL_SCOPE_SYSTEM, SL_TABLE_KEY, digest, sl_buf_slice(&row));
    sl_txn_put(t, want->scope, SL_TABLE_USER_KEY, sl_key(&key, 2, want->email, want->name), digest);
    sl_buf_deinit(&row);
    sl_buf_deinit(&key);
}

/* ---- identities ---------------------------------------------------------------------------- */

/* A text member into a fixed array; false: absent or too long. */
static bool
read_text(struct sl_json object, const char *name, char *ret, size_t size)
{
    struct sl_buf scratch = {0};
    struct sl_slice text;
    bool is_good =
        sl_json_text(sl_json_member(object, name), &scratch, &text) == SL_OK && text.size < size;
    if (is_good) {
        memcpy(ret, text.data, text.size);
        ret[text.size] = '\0';
    }
    sl_buf_deinit(&scratch);
    return is_good;
}

enum sl_err
sl_identity_of_tenant(struct sl_json tenant, struct sl_identity *ret_who)
{
    struct sl_identity who = {0};
    if (sl_json_u64(sl_json_member(tenant, "scope"), &who.scope.id) != SL_OK || who.scope.id == 0 ||
        !read_text(tenant, "tenant_id", who.tenant_id, sizeof(who.tenant_id)) ||
        !read_text(tenant, "organization_id", who.organization_id, sizeof(who.organization_id)) ||
        !read_text(tenant, "account_type", who.account_type, sizeof(who.account_type)))
        return SL_ECORRUPT;
    *ret_who = who;
    return SL_OK;
}

uint32_t
sl_role_permissions(struct sl_json role)
{
    static const struct {
        const char *name;
        enum sl_permission most; /* And all before it. */
        uint32_t more;           /* Bits. */
    } roles[] = {{"admin", SL_PERMIT_ADMIN, 0},
                 {"member", SL_PERMIT_DELETE, 0},
                 {"analyst", SL_PERMIT_READ, SL_PERMIT_BIT(SL_PERMIT_REPORT)},
                 {"viewer", SL_PERMIT_READ, 0}};
    for (size_t i = 0; i < SL_COUNT_OF(roles); i++) {
        if (sl_json_is(role, roles[i].name))
            return ((SL_PERMIT_BIT(roles[i].most + 1) - 1) & ~SL_PERMIT_BIT(SL_PERMIT_NONE)) |
                   roles[i].more;
    }
    return 0;
}

bool
sl_user_is_active(struct sl_json user)
{
    return !sl_json_is(sl_json_member(user, "status"), "suspended");
}

enum sl_err
sl_identity_read(struct sl_json key, struct sl_json user, struct sl_json tenant,
                 struct sl_identity *ret_who)
{
    struct sl_identity who;
    enum sl_err err = sl_identity_of_tenant(tenant, &who);
    if (err != SL_OK)
        return err;
    if (!read_text(key, "key_id", who.key_id, sizeof(who.key_id)) ||
        !read_text(key, "user_id", who.user_id, sizeof(who.user_id)))
        return SL_ECORRUPT;
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(key, "permissions"));
         sl_json_next(&i);) {
        for (int p = SL_PERMIT_READ; p <= SL_PERMIT_ADMIN; p++) {
            if (sl_json_is(i.value, permission_names[p]))
                who.permissions |= SL_PERMIT_BIT(p);
        }
    }
    /* No key is made with it: one that reads has it where its user's role does. */
    if (sl_json_has(user) && (who.permissions & SL_PERMIT_BIT(SL_PERMIT_READ)))
        who.permissions |= SL_PERMIT_BIT(SL_PERMIT_REPORT);
    if (sl_json_has(user))
        who.permissions &= sl_role_permissions(sl_json_member(user, "role"));
    who.has_scopes = sl_json_count(sl_json_member(key, "scopes")) > 0;
    who.is_limited = sl_json_has(sl_json_member(key, "rate_limit_override"));
    who.is_operator = sl_json_bool(sl_json_member(key, "is_operator"), false);
    if (who.is_operator)
        who.permissions |= SL_PERMIT_BIT(SL_PERMIT_OPERATOR);
    *ret_who = who;
    return SL_OK;
}

/* ---- tenants ------------------------------------------------------------------------------- */

static void
write_object(struct sl_jsonw *w, const char *name, struct sl_json value)
{
    sl_jsonw_name(w, name);
    if (sl_json_has(value))
        sl_jsonw_value(w, value);
    else
        sl_jsonw_raw(w, sl_slice_str("{}"));
}

static void
put_tenant(struct sl_txn *t, const struct sl_tenant_new *n, uint64_t scope)
{
    struct sl_buf row = {0}, key = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &row);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "tenant_id", n->tenant_id);
    sl_jsonw_member_str(&w, "organization_id", n->organization_id);
    sl_jsonw_member_u64(&w, "scope", scope);
    sl_jsonw_member_str(&w, "name", n->name);
    sl_jsonw_member_str(&w, "plan", n->plan->name);
    sl_jsonw_member_str(&w, "account_type", n->plan->account_type);
    const char *level = n->isolation != NULL ? n->isolation : n->plan->isolation;
    sl_jsonw_member_str(&w, "isolation_level", level);
    sl_jsonw_member_str(&w, "isolation_enforced", sl_isolation_enforced(level));
    if (n->state == NULL) /* Else a step of the onboarding does. */
        sl_isolation_begin(t, (struct sl_scope){scope}, level);
    sl_jsonw_member_str(&w, "state", n->state != NULL ? n->state : "active");
    sl_jsonw_member_value(&w, "cloud", n->cloud);
    sl_jsonw_member_value(&w, "region", n->region);
    write_object(&w, "config", n->config);
    write_object(&w, "security", n->security);
    write_object(&w, "routing", n->routing);
    sl_jsonw_name(&w, "onboarding");
    sl_jsonw_raw(&w, sl_slice_str("[]"));
    sl_jsonw_member_time(&w, "created_at", n->now_ms);
    sl_jsonw_member_time(&w, "updated_at", n->now_ms);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_txn_put(t, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, sl_key(&key, 1, n->tenant_id),
               sl_buf_slice(&row));
    sl_buf_deinit(&row);
    sl_buf_deinit(&key);
}

void
sl_tenant_put_owner(struct sl_txn *t, const struct sl_tenant_new *n, const struct sl_identity *who)
{
    struct sl_buf row = {0}, key = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &row);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "user_id", who->user_id);
    sl_jsonw_member_str(&w, "organization_id", n->organization_id);
    sl_jsonw_member_str(&w, "email", n->owner_email);
    sl_jsonw_member_str(&w, "user_name", n->owner_name);
    sl_jsonw_member_null(&w, "avatar_url");
    sl_jsonw_member_str(&w, "role", "admin");
    sl_jsonw_member_str(&w, "status", "active");
    sl_jsonw_member_raw(&w, "metadata", sl_slice_str("{}"));
    sl_jsonw_member_time(&w, "created_at", n->now_ms);
    sl_jsonw_member_time(&w, "updated_at", n->now_ms);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_txn_put(t, who->scope, SL_TABLE_USER, sl_key(&key, 1, n->owner_email), sl_buf_slice(&row));
    sl_buf_deinit(&row);
    sl_buf_deinit(&key);
}

void
sl_tenant_begin(struct sl_txn *t, const struct sl_tenant_new *want, struct sl_tenant_made *ret_made)
{
    struct sl_identity who = {.is_operator = want->is_operator};
    struct sl_slice counter = sl_slice_str("next_scope");
    struct sl_key_made key;
    sl_txn_add(t, SL_SCOPE_SYSTEM, SL_TABLE_SYSTEM, counter, 1);
    who.scope.id = (uint64_t)sl_txn_counter(t, SL_SCOPE_SYSTEM, SL_TABLE_SYSTEM, counter);
    sl_assert(who.scope.id > 0);
    for (int p = SL_PERMIT_READ; p <= SL_PERMIT_ADMIN; p++)
        who.permissions |= SL_PERMIT_BIT(p);
    if (want->is_operator)
        who.permissions |= SL_PERMIT_BIT(SL_PERMIT_OPERATOR);
    snprintf(who.tenant_id, sizeof(who.tenant_id), "%s", want->tenant_id);
    snprintf(who.organization_id, sizeof(who.organization_id), "%s", want->organization_id);
    snprintf(who.account_type, sizeof(who.account_type), "%s", want->plan->account_type);
    memcpy(who.user_id, "usr_", 5);
    sl_random_id(who.user_id + 4, 15);
    put_tenant(t, want, who.scope.id);
    mint_key(&key);
    memcpy(who.key_id, key.key_id, sizeof(who.key_id));
    ret_made->who = who;
    memcpy(ret_made->secret, key.secret, sizeof(key.secret));
    memcpy(ret_made->digest, key.digest, sizeof(key.digest));
}

void
sl_tenant_make(struct sl_txn *t, const struct sl_tenant_new *want, struct sl_tenant_made *ret_made)
{
    struct sl_key_made key = {0};
    sl_tenant_begin(t, want, ret_made);
    const struct sl_identity *who = &ret_made->who;
    sl_tenant_put_owner(t, want, who);
    memcpy(key.key_id, who->key_id, sizeof(key.key_id));
    memcpy(key.secret, ret_made->secret, sizeof(key.secret));
    memcpy(key.digest, ret_made->digest, sizeof(key.digest));
    sl_key_put(t,
               &(struct sl_key_new){.name = SL_ADMIN_KEY_NAME,
                                    .email = want->owner_email,
                                    .user_id = who->user_id,
                                    .organization_id = want->organization_id,
                                    .tenant_id = want->tenant_id,
                                    .created_by = who->user_id,
                                    .scope = who->scope,
                                    .permissions = who->permissions,
                                    .is_operator = want->is_operator,
                                    .now_ms = want->now_ms},
               &key);
}
