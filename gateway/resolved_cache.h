/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolved_cache.h - what calls of a kind run on (struct sl_resolved), as the head said, so that a
 * gateway can run the next one by itself.
 *
 *   put --> fresh --doubt (it may have changed, or the head is another one)--> doubted --put-->
 * fresh
 *             `---------- forget (the head says that it is gone) -------------------'--> gone
 *
 * Bounded: in all and for each scope, because texts of clients' choice tell kinds apart: who asks
 * for ever new ones pushes out only its own. What was used longest ago makes room. Threading: one
 * owner.
 */
#ifndef SL_GATEWAY_RESOLVED_CACHE_H
#define SL_GATEWAY_RESOLVED_CACHE_H

#include "gateway/call.h"
#include "runtime/hash.h"

#define SL_RESOLVED_MAX       1024u /* Kinds of calls. */
#define SL_RESOLVED_SCOPE_MAX 64u   /* Of one scope. */

struct sl_resolved_cache;

struct sl_resolved_cache *sl_resolved_cache_create(void);
void sl_resolved_cache_destroy(struct sl_resolved_cache **cache); /* NULL inside is fine. */

/*
 * Whether calls of this route are of a kind that can be known, and which: by all that the head
 * looks at when it resolves one (scope, namespace, route, what the body names; of a key with scopes
 * the key). One with an Idempotency-Key has to be seen by the head, and so has one of many words.
 */
bool sl_resolved_key(const struct sl_call *call, uint8_t ret_key[static SL_SHA256_SIZE]);

/* Copies `what`; an empty or overlong extraction is not kept. */
void sl_resolved_put(struct sl_resolved_cache *cache, const uint8_t key[static SL_SHA256_SIZE],
                     struct sl_scope scope, const struct sl_resolved *what);
/* False: not known, or doubted and not wanted so. Borrowed until the next call. */
bool sl_resolved_get(struct sl_resolved_cache *cache, const uint8_t key[static SL_SHA256_SIZE],
                     bool is_doubted_fine, struct sl_resolved *ret_what);
void sl_resolved_doubt(struct sl_resolved_cache *cache, struct sl_scope scope); /* 0: all. */
void sl_resolved_forget(struct sl_resolved_cache *cache, const uint8_t key[static SL_SHA256_SIZE]);

#endif
