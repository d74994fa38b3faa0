/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h - who calls, and what a route may ask of a key.
 */
#ifndef SL_GATEWAY_IDENTITY_H
#define SL_GATEWAY_IDENTITY_H

#include "runtime/base.h"
#include "runtime/catalogue.h"

enum sl_permission {                 /* What a route asks of a key. */
                     SL_PERMIT_NONE, /* Public: no key is looked at. */
                     SL_PERMIT_READ,
                     SL_PERMIT_WRITE,
                     SL_PERMIT_DELETE,
                     SL_PERMIT_ADMIN,
                     SL_PERMIT_OPERATOR,
                     SL_PERMIT_REPORT /* Last: the bits before it are in rows and on the wire. */
};
#define SL_PERMIT_BIT(p) (1u << (p))

/* Who calls, as the key says. Copied out of the keyring: no pointer into it. */
struct sl_identity {
    struct sl_scope scope; /* The tenant's rows; X-Tenant-Id of an operator changes it. */
    uint32_t permissions;  /* SL_PERMIT_BIT of each. */
    bool is_operator;
    bool is_limited;    /* The key has a limit of its own, which the head alone knows. */
    bool has_scopes;    /* The key's row says what else it is bound to: key_scope.h. */
    uint8_t digest[32]; /* Of the secret: the key's row. Filled by the keyring. */
    char tenant_id[64];
    char organization_id[24];
    char key_id[24];
    char user_id[24];
    char account_type[16]; /* free, pro, team, enterprise */
};

/* An admin may read reports, too. */
static inline bool
sl_identity_may(const struct sl_identity *who, enum sl_permission wanted)
{
    uint32_t bits = SL_PERMIT_BIT(wanted);
    if (wanted == SL_PERMIT_REPORT)
        bits |= SL_PERMIT_BIT(SL_PERMIT_ADMIN);
    return who->is_operator || (wanted != SL_PERMIT_OPERATOR && (who->permissions & bits));
}

/* Custom models are for this tier alone. */
#define SL_IDENTITY_TIER_NEEDED "Custom models require Enterprise tier"
static inline bool
sl_identity_is_enterprise(const struct sl_identity *who)
{
    return strcmp(who->account_type, "enterprise") == 0;
}

/* An operator acts in a tenant's place; what it may do stays the operator's. */
static inline void
sl_identity_enter(struct sl_identity *who, const struct sl_identity *tenant)
{
    who->scope = tenant->scope;
    memcpy(who->tenant_id, tenant->tenant_id, sizeof(who->tenant_id));
    memcpy(who->organization_id, tenant->organization_id, sizeof(who->organization_id));
    memcpy(who->account_type, tenant->account_type, sizeof(who->account_type));
}

#endif
