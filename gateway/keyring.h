/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyring.h - API keys in memory, so that the front authenticates on its own thread before it reads
 * a body. The catalogue holds the truth; the api actor puts and removes here after each commit.
 * Threading: any thread (one short lock inside; part of the HTTP seam).
 */
#ifndef SL_GATEWAY_KEYRING_H
#define SL_GATEWAY_KEYRING_H

#include "gateway/call.h"
#include "gateway/door.h"

#define SL_SECRET_SIZE 43 /* "sk_" + 34 random + 6 checksum characters, without the NUL. */

struct sl_keyring;

struct sl_keyring *sl_keyring_create(void);
void sl_keyring_destroy(struct sl_keyring **keyring);

/* A new secret: CSPRNG, with its CRC-32 in base 36 as the last 6 characters. */
void sl_secret_mint(char ret_secret[static SL_SECRET_SIZE + 1]);
bool sl_secret_is_well_formed(struct sl_slice secret); /* Cheap: refuses typos without a look-up. */

void sl_keyring_put(struct sl_keyring *k, const uint8_t digest[static 32],
                    const struct sl_identity *who, uint64_t expires_ms); /* 0: never */
void sl_keyring_remove(struct sl_keyring *k, const uint8_t digest[static 32]);
/* By tenant, for an operator's X-Tenant-Id. */
void sl_keyring_tenant_put(struct sl_keyring *k, const struct sl_identity *tenant);

void sl_keyring_tenant_remove(struct sl_keyring *k, const char *tenant_id);

/* What keeps a tenant's own keys out; an open door is none. */
void sl_keyring_door_put(struct sl_keyring *k, struct sl_scope scope, const struct sl_door *door);
bool sl_keyring_door(struct sl_keyring *k, struct sl_scope scope, struct sl_door *ret_door);

/* SL_EDENIED: unknown, malformed, revoked or expired. */
SL_MUST_CHECK enum sl_err sl_keyring_check(struct sl_keyring *k, struct sl_slice secret,
                                           uint64_t now_ms, struct sl_identity *ret_who);
SL_MUST_CHECK enum sl_err sl_keyring_tenant(struct sl_keyring *k, struct sl_slice tenant_id,
                                            struct sl_identity *ret_tenant);
/* Whose scope it is; looks at all tenants. SL_ENOTFOUND. */
SL_MUST_CHECK enum sl_err sl_keyring_tenant_of(struct sl_keyring *k, struct sl_scope scope,
                                               struct sl_identity *ret_tenant);
/* By the digest of its secret, as another process that checked the secret names it. SL_EDENIED. */
SL_MUST_CHECK enum sl_err sl_keyring_find(struct sl_keyring *k, const uint8_t digest[static 32],
                                          uint64_t now_ms, struct sl_identity *ret_who);

/* ---- when keys were used: the store's thread alone ------------------------------------------ */
void sl_keyring_note_use(struct sl_keyring *k, const uint8_t digest[static 32], uint64_t now_ms);
/* Since the start; 0: it was not, or there is no such key. */
uint64_t sl_keyring_used_ms(const struct sl_keyring *k, const uint8_t digest[static 32]);
/* A key whose use was noted since it was taken last; false: there is none. */
bool sl_keyring_take_used(struct sl_keyring *k, uint8_t ret_digest[static 32], uint64_t *ret_ms);

/* ---- copies in other processes: rows of keys and tenants as bytes --------------------------- */
/* From now on note each change for sl_keyring_take_changes. */
void sl_keyring_note_changes(struct sl_keyring *k);
bool sl_keyring_has_changes(struct sl_keyring *k); /* To be taken. */
/* Append what has changed since the last time; false: nothing. */
bool sl_keyring_take_changes(struct sl_keyring *k, struct sl_buf *out);
void sl_keyring_write(struct sl_keyring *k, struct sl_buf *out); /* Append all there is. */
/* Apply such rows; `is_all`: what is not in them is gone. SL_ECORRUPT: nothing has changed. */
SL_MUST_CHECK enum sl_err sl_keyring_apply(struct sl_keyring *k, struct sl_slice rows, bool is_all);
/* Of a copy: it has nothing yet, so nobody can be refused by it. Filled by the first apply. */
void sl_keyring_await(struct sl_keyring *k);
bool sl_keyring_is_filled(const struct sl_keyring *k);

#endif
