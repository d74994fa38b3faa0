/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sessions.h - who has logged in to the dashboard. A session stands for a key: it holds the digest
 * of the key's secret, never the secret, and whoever goes by it asks the keyring each time, so a
 * key that is revoked ends its sessions. A file keeps hashes of them over a restart; it is written
 * when one opens or ends, and what it holds opens nothing.
 *
 *     open --> live --close, SL_SESSION_IDLE_MS without use, SL_SESSION_MS in all--> (gone)
 *
 * Threading: one owner, the thread of the dashboard's front. Time is an argument.
 */
#ifndef SL_GATEWAY_SESSIONS_H
#define SL_GATEWAY_SESSIONS_H

#include "gateway/identity.h"

#define SL_SESSIONS_MAX        512u
#define SL_SESSIONS_TENANT_MAX 32u /* Of one tenant: the one not used longest gives way. */
#define SL_SESSION_TOKEN_SIZE  43  /* Of 36 characters: 222 bits. Without the NUL. */
#define SL_SESSION_MS          (UINT64_C(12) * 3600 * 1000)
#define SL_SESSION_IDLE_MS     (UINT64_C(2) * 3600 * 1000)

struct sl_sessions;

/* With those of a file, if there is one and it is whole; NULL: in memory alone. */
struct sl_sessions *sl_sessions_create(const char *path);
void sl_sessions_destroy(struct sl_sessions **sessions); /* NULL inside is fine. */

/*
 * Open a session for a key and write its token: the one that was not used longest gives way where
 * there are too many: of the tenant, or where all are taken, of the tenant that has most.
 */
void sl_sessions_open(struct sl_sessions *s, const struct sl_identity *who, uint64_t now_ms,
                      char ret_token[static SL_SESSION_TOKEN_SIZE + 1]);
/* Whose session it is, and that it was used. SL_EDENIED: there is none, or it is over. */
SL_MUST_CHECK enum sl_err sl_sessions_find(struct sl_sessions *s, struct sl_slice token,
                                           uint64_t now_ms, uint8_t ret_digest[static 32]);
/* The same without using it: what a browser does by itself does not keep a session alive. */
SL_MUST_CHECK enum sl_err sl_sessions_look(struct sl_sessions *s, struct sl_slice token,
                                           uint64_t now_ms, uint8_t ret_digest[static 32]);
void sl_sessions_close(struct sl_sessions *s, struct sl_slice token); /* None there: fine. */
/* Whether the session of a token's SHA-256 is there still. */
bool sl_sessions_is_open(const struct sl_sessions *s, const uint8_t hash[static 32],
                         uint64_t now_ms);
uint32_t sl_sessions_count(const struct sl_sessions *s);

#endif
