/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account.h - who may call: tenants, their users and their API keys, as rows. A tenant is made
 * whole, in one transaction: its scope, organization, owner and first key.
 *
 * Rows of keys lie in the system's scope by the secret's SHA-256; the secret itself is nowhere.
 */
#ifndef SL_GATEWAY_ACCOUNT_H
#define SL_GATEWAY_ACCOUNT_H

#include "gateway/identity.h"
#include "gateway/keyring.h"
#include "gateway/plan.h"
#include "runtime/hash.h"
#include "runtime/json.h"
#include "runtime/store.h"

#define SL_API_KEYS_MAX    10000u /* Names of an organization's keys, revoked ones too. */

#define SL_ADMIN_KEY_NAME  "admin-key"
#define SL_OPERATOR_TENANT "operator"

bool sl_tenant_id_is_valid(struct sl_slice id);

struct sl_tenant_new {
    const char *tenant_id, *organization_id, *name, *owner_email, *owner_name;
    const char *isolation; /* NULL: the plan's. */
    const char *state;     /* NULL: active. */
    const struct sl_plan *plan;
    bool is_operator;
    struct sl_json config, security, routing, cloud, region; /* NONE: none. */
    uint64_t now_ms;
};
struct sl_tenant_made {
    struct sl_identity who; /* Of its first key. */
    char secret[SL_SECRET_SIZE + 1];
    uint8_t digest[SL_SHA256_SIZE];
};
/* Stage everything. The id must be free (checked by the caller). */
void sl_tenant_make(struct sl_txn *t, const struct sl_tenant_new *want,
                    struct sl_tenant_made *ret_made);
/* The row and a scope alone: what comes next is onboarding's. The first key, its ids and its secret
 * are in *ret_made, and stored nowhere. */
void sl_tenant_begin(struct sl_txn *t, const struct sl_tenant_new *want,
                     struct sl_tenant_made *ret_made);
/* The owner's row. */
void sl_tenant_put_owner(struct sl_txn *t, const struct sl_tenant_new *want,
                         const struct sl_identity *who);

/* The tenant behind `last` (empty: the first) in the order of ids, which becomes the last; 0 where
 * its row has no scope. False: there is none, and `last` is empty. */
bool sl_tenant_next(struct sl_txn *txn, struct sl_buf *last, struct sl_scope *ret_scope);

struct sl_key_new {
    const char *name, *email, *user_id, *organization_id, *tenant_id, *created_by;
    struct sl_scope scope;
    uint32_t permissions; /* SL_PERMIT_BIT of each. */
    bool is_operator;
    uint64_t now_ms, expires_ms;                    /* expires 0: never */
    struct sl_json description, scopes, rate_limit; /* NONE: none. */
};
struct sl_key_made {
    char key_id[24];
    char secret[SL_SECRET_SIZE + 1];
    uint8_t digest[SL_SHA256_SIZE];
};
void sl_key_make(struct sl_txn *t, const struct sl_key_new *want, struct sl_key_made *ret_made);
/* The rows of a key that was made before: of its secret the first SL_SECRET_SHOWN characters are
 * enough. */
#define SL_SECRET_SHOWN 9
void sl_key_put(struct sl_txn *t, const struct sl_key_new *want, const struct sl_key_made *made);

/* What keys of a user may have at most, by the user's role: admin, member, analyst,
 * viewer. 0: no role. */
uint32_t sl_role_permissions(struct sl_json role);
/* Whether the user's keys are good for anything: not while suspended. NONE: nobody's; they are. */
bool sl_user_is_active(struct sl_json user);
/* The identity that the rows of a key, its user and its tenant stand for: it may what both the key
 * and the user's role say. `user` NONE: what the key says. SL_ECORRUPT. */
SL_MUST_CHECK enum sl_err sl_identity_read(struct sl_json key, struct sl_json user,
                                           struct sl_json tenant, struct sl_identity *ret_who);
/* The identity a tenant has for an operator who acts in it. */
SL_MUST_CHECK enum sl_err sl_identity_of_tenant(struct sl_json tenant, struct sl_identity *ret_who);

/* Names of permissions: "read" ... */
const char *sl_permission_name(enum sl_permission p);

#endif
