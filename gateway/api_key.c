/* SPDX-License-Identifier: Apache-2.0 */
/* API keys of users. */
#include "gateway/account.h"
#include "gateway/gateway.h"
#include "gateway/list.h"
#include "gateway/user.h"
#include "runtime/time.h"

/* What clients require but must not learn is redacted: the hash shown is that of the key's id. When
 * it was used is known by the digest of its secret, before it is in the row. */
static void
write_key(struct sl_call *call, struct sl_json row, const uint8_t used[static SL_SHA256_SIZE],
          const char *secret)
{
    static const char *const hidden[] = {"tenant_id",   "scope",        "email",
                                         "is_operator", "last_used_at", NULL};
    struct sl_jsonw *w = &call->out;
    uint64_t used_ms = sl_keyring_used_ms(call->gateway->keyring, used);
    uint8_t digest[SL_SHA256_SIZE];
    char hex[2 * SL_SHA256_SIZE + 1];
    sl_sha256(sl_member_text(call, row, "key_id"), digest);
    sl_hex(sl_slice(digest, sizeof(digest)), hex);
    sl_jsonw_object(w);
    sl_write_except(w, row, hidden);
    sl_jsonw_name(w, "last_used_at");
    if (used_ms > 0)
        sl_jsonw_time(w, used_ms);
    else
        sl_jsonw_value(w, sl_json_member(row, "last_used_at"));
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
    return sl_system_row(call, SL_TABLE_KEY, sl_slice(ret_digest, SL_SHA256_SIZE), ret_row);
}

/* Bits of a list; words that are none are on the call. */
static uint32_t
permissions_in(struct sl_call *call, struct sl_json list)
{
    uint32_t permissions = 0;
    for (struct sl_json_iter i = sl_json_iter(list); sl_json_next(&i);) {
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
    return permissions;
}

/* What the body asks for, which the user's role must allow. */
static uint32_t
read_permissions(struct sl_call *call, struct sl_json user)
{
    struct sl_json role = sl_json_member(user, "role");
    uint32_t permissions = permissions_in(call, sl_json_member(call->body, "permissions"));
    if ((permissions & ~sl_role_permissions(role)) != 0)
        sl_call_invalid(call, "body.permissions", "value_error",
                        "the role %.*s of the user does not allow all of them",
                        SL_SLICE_FMT(sl_call_text(call, role)));
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
    bool is_void; /* Its user is suspended. */
};

static void
after_grant(struct sl_call *call, void *arg)
{
    const struct granted *g = arg;
    if (g->is_void)
        sl_keyring_remove(call->gateway->keyring, g->digest);
    else
        sl_keyring_put(call->gateway->keyring, g->digest, &g->who, g->expires_ms);
}

static uint64_t
expiry_of(struct sl_call *call, struct sl_json row)
{
    struct sl_slice text = sl_member_text(call, row, "expires_at");
    uint64_t expires_ms = 0;
    return text.size > 0 && sl_time_parse(text, &expires_ms) == SL_OK ? expires_ms : 0;
}

/* Have the keyring go by these rows, once they are committed. False: the call has failed. */
static bool
let_in(struct sl_call *call, const uint8_t digest[static SL_SHA256_SIZE], struct sl_json key)
{
    struct sl_json tenant, user = {0};
    struct sl_slice value, email = sl_member_text(call, key, "email");
    struct granted *g = sl_call_alloc(call, sizeof(*g));
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_USER, email, &value) == SL_OK)
        user = sl_call_parse(call, value);
    if (SL_BUG(!sl_system_row(call, SL_TABLE_TENANT, sl_slice_str(call->who.tenant_id), &tenant) ||
               sl_identity_read(key, user, tenant, &g->who) != SL_OK)) {
        sl_call_fail(call, SL_API_INTERNAL, "the key was not stored");
        return false;
    }
    memcpy(g->digest, digest, sizeof(g->digest));
    g->expires_ms = expiry_of(call, key);
    g->is_void = !sl_user_is_active(user);
    sl_call_after_commit(call, after_grant, g);
    return true;
}

static void
grant(struct sl_call *call, const struct sl_key_new *want)
{
    struct sl_key_made made;
    struct sl_json row;
    sl_key_make(call->txn, want, &made);
    if (SL_BUG(
            !sl_system_row(call, SL_TABLE_KEY, sl_slice(made.digest, sizeof(made.digest)), &row)))
        sl_call_fail(call, SL_API_INTERNAL, "the key was not stored");
    else if (let_in(call, made.digest, row))
        write_key(call, row, made.digest, made.secret);
}

/* All names that keys of the organization have had: what was replaced has a third part. */
static bool
has_room(struct sl_call *call)
{
    struct sl_scan scan = {0};
    uint32_t count = 0;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_USER_KEY, sl_slice(NULL, 0), sl_slice(NULL, 0),
                false, &scan);
    while (sl_scan_next(&scan))
        count += sl_key_part(scan.key, 2).size == 0;
    sl_scan_end(&scan);
    if (count < SL_API_KEYS_MAX)
        return true;
    sl_call_fail(
        call, SL_API_QUOTA,
        "the organization has had keys of %u names, the most there may be: use the name of "
        "one that is revoked",
        count);
    sl_call_detail(call, "limit", "max_api_keys");
    sl_call_detail_raw(call, "used", sl_slice_str(sl_call_format(call, "%u", count)));
    sl_call_detail_raw(call, "max",
                       sl_slice_str(sl_call_format(call, "%u", (unsigned)SL_API_KEYS_MAX)));
    sl_call_detail_raw(call, "reset_at", sl_slice_str("null"));
    return false;
}

void
sl_api_create_key(struct sl_call *call)
{
    struct sl_resource user;
    struct sl_json old;
    uint8_t digest[SL_SHA256_SIZE];
    if (!sl_user_find(call, call->params[0], &user))
        return;
    const char *name = sl_call_identifier(call, sl_member_text(call, call->body, "name"));
    struct sl_key_new want = {.name = name,
                              .email = user.id,
                              .user_id = sl_member_str(call, user.row, "user_id"),
                              .organization_id = call->who.organization_id,
                              .tenant_id = call->who.tenant_id,
                              .created_by = call->who.user_id,
                              .scope = call->who.scope,
                              .permissions = read_permissions(call, user.row),
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
    bool is_known = find_key(call, user.id, name, digest, &old);
    if (!is_known && !has_room(call))
        return;
    if (is_known && sl_json_is(sl_json_member(old, "status"), "active")) {
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
    if (!sl_user_find(call, call->params[0], &user))
        return;
    sl_jsonw_object(&call->out);
    sl_jsonw_name(&call->out, "results");
    sl_jsonw_array(&call->out);
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_USER_KEY, sl_key_prefix(&prefix, 1, user.id),
                sl_slice(NULL, 0), false, &scan);
    while (sl_scan_next(&scan)) {
        struct sl_json row;
        if (sl_key_part(scan.key, 2).size > 0) /* A secret that was replaced. */
            continue;
        if (scan.value.size != SL_SHA256_SIZE ||
            !sl_system_row(call, SL_TABLE_KEY, scan.value, &row) ||
            (!is_all && !sl_json_is(sl_json_member(row, "status"), "active")))
            continue;
        write_key(call, row, scan.value.data, NULL);
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

/* The key that the path names, which may be changed. */
struct named {
    struct sl_resource user;
    const char *name;
    uint8_t digest[SL_SHA256_SIZE];
    struct sl_json row;
};

static bool
find_named(struct sl_call *call, struct named *ret_key)
{
    if (!sl_user_find(call, call->params[0], &ret_key->user))
        return false;
    ret_key->name = sl_call_identifier(call, call->params[1]);
    if (ret_key->name == NULL ||
        !find_key(call, ret_key->user.id, ret_key->name, ret_key->digest, &ret_key->row))
        sl_call_not_found(call, "api_key", call->params[1]);
    else if (strcmp(ret_key->name, SL_ADMIN_KEY_NAME) == 0)
        sl_call_fail(call, SL_API_FORBIDDEN, "%s is protected", SL_ADMIN_KEY_NAME);
    return !sl_call_has_failed(call);
}

/* Digests below a prefix of SL_TABLE_USER_KEY's keys, as blocks: a scan and changes do not mix. */
static void
collect_digests(struct sl_call *call, struct sl_slice prefix, struct sl_buf *out)
{
    struct sl_scan scan = {0};
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_USER_KEY, prefix, sl_slice(NULL, 0), false,
                &scan);
    while (sl_scan_next(&scan))
        sl_buf_append_block(out, scan.value);
    sl_scan_end(&scan);
}

/* Each that is active of these. */
static void
each_key(struct sl_call *call, struct sl_slice prefix,
         void (*then)(struct sl_call *call, struct sl_slice digest, struct sl_json row))
{
    struct sl_buf digests = {0};
    collect_digests(call, prefix, &digests);
    struct sl_reader r = sl_reader(sl_buf_slice(&digests));
    while (!sl_reader_is_done(&r) && !r.is_bad) {
        struct sl_slice digest = sl_read_block(&r);
        struct sl_json row;
        if (sl_system_row(call, SL_TABLE_KEY, digest, &row) &&
            sl_json_is(sl_json_member(row, "status"), "active"))
            then(call, digest, row);
    }
    sl_buf_deinit(&digests);
}

void
sl_keys_revoke(struct sl_call *call, const char *email)
{
    struct sl_buf prefix = {0};
    each_key(call, sl_key_prefix(&prefix, 1, email), revoke);
    sl_buf_deinit(&prefix);
}

/* A key with the secrets that rotations replaced. */
static void
revoke_named(struct sl_call *call, const struct named *n)
{
    struct sl_buf prefix = {0};
    revoke(call, sl_slice(n->digest, sizeof(n->digest)), n->row);
    each_key(call, sl_key_prefix(&prefix, 2, n->user.id, n->name), revoke);
    sl_buf_deinit(&prefix);
}

static void
refresh(struct sl_call *call, struct sl_slice digest, struct sl_json row)
{
    (void)let_in(call, digest.data, row);
}

void
sl_keys_refresh(struct sl_call *call, const char *email)
{
    struct sl_buf prefix = {0};
    each_key(call, email == NULL ? sl_slice(NULL, 0) : sl_key_prefix(&prefix, 1, email), refresh);
    sl_buf_deinit(&prefix);
}

void
sl_api_delete_key(struct sl_call *call)
{
    struct named n;
    if (!find_named(call, &n))
        return;
    revoke_named(call, &n);
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "message", "the key is revoked");
    sl_jsonw_member_bool(&call->out, "success", true);
    sl_jsonw_end(&call->out);
}

/* ---- change and rotate --------------------------------------------------------------------- */

/* Store the row of a key, and have the keyring follow. */
static bool
put_key(struct sl_call *call, const uint8_t digest[static SL_SHA256_SIZE], struct sl_slice value)
{
    sl_txn_put(call->txn, SL_SCOPE_SYSTEM, SL_TABLE_KEY, sl_slice(digest, SL_SHA256_SIZE), value);
    return let_in(call, digest, sl_call_parse(call, value));
}

static void
write_permissions(struct sl_jsonw *w, uint32_t permissions)
{
    sl_jsonw_name(w, "permissions");
    sl_jsonw_array(w);
    for (int p = SL_PERMIT_READ; p <= SL_PERMIT_ADMIN; p++) {
        if ((permissions & SL_PERMIT_BIT(p)) != 0)
            sl_jsonw_str(w, sl_permission_name((enum sl_permission)p));
    }
    sl_jsonw_end(w);
}

/* The row with what the body changes. Arena. */
static struct sl_slice
changed_row(struct sl_call *call, struct sl_json row, uint32_t permissions)
{
    static const char *const plain[] = {
        "name", "description", "scopes", "rate_limit_override", "expires_at", NULL};
    struct sl_json sent = sl_json_member(call->body, "permissions");
    struct sl_buf value = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &value);
    sl_jsonw_object(&w);
    for (struct sl_json_iter i = sl_json_iter(row); sl_json_next(&i);) {
        struct sl_slice name = sl_call_text(call, i.name);
        bool is_plain = false;
        for (size_t n = 0; plain[n] != NULL; n++)
            is_plain = is_plain || sl_slice_is(name, plain[n]);
        if (sl_slice_is(name, "permissions") && sl_json_has(sent))
            continue;
        sl_jsonw_name_slice(&w, name);
        struct sl_json change = sl_json_member_slice(call->body, name);
        sl_jsonw_value(&w, is_plain && sl_json_has(change) ? change : i.value);
    }
    if (sl_json_has(sent))
        write_permissions(&w, permissions);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    struct sl_slice copy = sl_call_copy(call, sl_buf_slice(&value));
    sl_buf_deinit(&value);
    return copy;
}

/* Where a secret is known that a rotation replaced: under the key's name, with its own digest
 * behind it, so that it goes with the key. */
static struct sl_slice
replaced_key(struct sl_buf *out, const char *email, const char *name,
             const uint8_t digest[static SL_SHA256_SIZE])
{
    char hex[2 * SL_SHA256_SIZE + 1];
    sl_hex(sl_slice(digest, SL_SHA256_SIZE), hex);
    return sl_key(out, 3, email, name, hex);
}

static void
rename_replaced(struct sl_call *call, const struct named *n, const char *name)
{
    struct sl_buf key = {0}, digests = {0};
    collect_digests(call, sl_key_prefix(&key, 2, n->user.id, n->name), &digests);
    struct sl_reader r = sl_reader(sl_buf_slice(&digests));
    while (!sl_reader_is_done(&r) && !r.is_bad) {
        struct sl_slice digest = sl_read_block(&r);
        sl_txn_del(call->txn, call->who.scope, SL_TABLE_USER_KEY,
                   replaced_key(&key, n->user.id, n->name, digest.data));
        sl_txn_put(call->txn, call->who.scope, SL_TABLE_USER_KEY,
                   replaced_key(&key, n->user.id, name, digest.data), digest);
    }
    sl_buf_deinit(&key);
    sl_buf_deinit(&digests);
}

/* Its name is the way to it: a new one must be free. */
static bool
rename_key(struct sl_call *call, const struct named *n)
{
    struct sl_slice sent = sl_member_text(call, call->body, "name");
    const char *name = sent.size == 0 ? n->name : sl_call_identifier(call, sent);
    uint8_t digest[SL_SHA256_SIZE];
    struct sl_json old;
    struct sl_buf key = {0};
    if (name == NULL) {
        sl_call_invalid(call, "body.name", "value_error", "a name has no NUL and 1 to 100 bytes");
        return false;
    }
    if (strcmp(name, n->name) == 0)
        return true;
    if (find_key(call, n->user.id, name, digest, &old) &&
        sl_json_is(sl_json_member(old, "status"), "active")) {
        sl_call_fail(call, SL_API_CONFLICT, "%s has a key named %s already", n->user.id, name);
        return false;
    }
    sl_txn_del(call->txn, call->who.scope, SL_TABLE_USER_KEY, sl_key(&key, 2, n->user.id, n->name));
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_USER_KEY, sl_key(&key, 2, n->user.id, name),
               sl_slice(n->digest, sizeof(n->digest)));
    sl_buf_deinit(&key);
    rename_replaced(call, n, name);
    return true;
}

void
sl_api_patch_key(struct sl_call *call)
{
    struct named n;
    if (!find_named(call, &n))
        return;
    uint32_t permissions = read_permissions(call, n.user.row);
    (void)read_expiry(call);
    struct sl_json status = sl_json_member(call->body, "status");
    if (!sl_call_has_failed(call) && !sl_json_is(sl_json_member(n.row, "status"), "active"))
        sl_call_fail(call, SL_API_CONFLICT, "%s is revoked: make a new key", n.name);
    if (sl_call_has_failed(call))
        return;
    if (sl_json_has(status) && !sl_json_is(status, "active")) {
        revoke_named(call, &n);
        if (find_named(call, &n))
            write_key(call, n.row, n.digest, NULL);
        return;
    }
    if (!rename_key(call, &n))
        return;
    struct sl_slice row = changed_row(call, n.row, permissions);
    if (put_key(call, n.digest, row))
        write_key(call, sl_call_parse(call, row), n.digest, NULL);
}

/* The old secret ends at `ms`: its row keeps it until then. */
static bool
let_expire(struct sl_call *call, const struct named *n, uint64_t ms)
{
    static const char *const replaced[] = {"expires_at", NULL};
    struct sl_buf value = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &value);
    sl_jsonw_object(&w);
    sl_write_except(&w, n->row, replaced);
    sl_jsonw_member_time(&w, "expires_at", ms);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    struct sl_slice row = sl_call_copy(call, sl_buf_slice(&value));
    sl_buf_clear(&value);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_USER_KEY,
               replaced_key(&value, n->user.id, n->name, n->digest),
               sl_slice(n->digest, sizeof(n->digest)));
    sl_buf_deinit(&value);
    return put_key(call, n->digest, row);
}

void
sl_api_rotate_key(struct sl_call *call)
{
    struct named n;
    uint32_t overlap_s = sl_list_number(call, "overlap_s", NULL, 0, 86400, 0);
    if (!find_named(call, &n) || sl_call_has_failed(call))
        return;
    if (!sl_json_is(sl_json_member(n.row, "status"), "active")) {
        sl_call_fail(call, SL_API_CONFLICT, "%s is revoked: make a new key", n.name);
        return;
    }
    uint64_t old_ms = expiry_of(call, n.row), end_ms = call->now_ms + overlap_s * UINT64_C(1000);
    if (overlap_s == 0)
        revoke_named(call, &n);
    else if (!let_expire(call, &n, old_ms == 0 ? end_ms : SL_MIN(old_ms, end_ms)))
        return;
    grant(call, &(struct sl_key_new){.name = n.name,
                                     .email = n.user.id,
                                     .user_id = sl_member_str(call, n.user.row, "user_id"),
                                     .organization_id = call->who.organization_id,
                                     .tenant_id = call->who.tenant_id,
                                     .created_by = call->who.user_id,
                                     .scope = call->who.scope,
                                     .permissions =
                                         permissions_in(call, sl_json_member(n.row, "permissions")),
                                     .now_ms = call->now_ms,
                                     .expires_ms = old_ms,
                                     .description = sl_json_member(n.row, "description"),
                                     .scopes = sl_json_member(n.row, "scopes"),
                                     .rate_limit = sl_json_member(n.row, "rate_limit_override")});
}
