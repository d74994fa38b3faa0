/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/resolved_cache.h"

#include "gateway/route.h"
#include "runtime/alloc.h"

#define SETS      256u
#define WAYS      4u
#define BYTES_MAX (256 * SL_KIB) /* Of an extraction: longer ones are the head's business. */

struct entry {
    uint8_t key[SL_SHA256_SIZE];
    struct sl_scope scope;
    struct sl_buf extraction, model;
    uint64_t used; /* 0: empty. */
    bool is_doubted;
};

struct sl_resolved_cache {
    struct entry entries[SETS][WAYS];
    uint64_t uses;
};

struct sl_resolved_cache *
sl_resolved_cache_create(void)
{
    return sl_zalloc(sizeof(struct sl_resolved_cache));
}

static void
entry_deinit(struct entry *e)
{
    sl_buf_deinit(&e->extraction);
    sl_buf_deinit(&e->model);
    *e = (struct entry){0};
}

void
sl_resolved_cache_destroy(struct sl_resolved_cache **cache)
{
    if (*cache == NULL)
        return;
    sl_resolved_drop(*cache, (struct sl_scope){0});
    sl_free(*cache);
    *cache = NULL;
}

static void
append_member(struct sl_buf *text, struct sl_json body, const char *name)
{
    struct sl_json v = sl_json_member(body, name);
    sl_buf_append_block(text, sl_json_has(v) ? sl_json_raw(v) : sl_slice_str(""));
}

bool
sl_resolved_key(const struct sl_call *call, uint8_t ret_key[static SL_SHA256_SIZE])
{
    static const char *const members[] = {"feature_uri", "inference_name", "model", "provider"};
    struct sl_buf text = {0};
    if (!(call->route->flags & SL_ROUTE_RESOLVES) || call->idempotency_key.size > 0)
        return false;
    sl_buf_append_u64(&text, call->who.scope.id);
    sl_buf_append_block(&text, sl_slice_str(call->route->path));
    sl_buf_append_block(&text, call->namespace_header);
    for (size_t i = 0; i < SL_COUNT_OF(members); i++)
        append_member(&text, call->body, members[i]);
    if (call->who.has_scopes)
        sl_buf_append(&text, call->who.digest, sizeof(call->who.digest));
    sl_sha256(sl_buf_slice(&text), ret_key);
    sl_buf_deinit(&text);
    return true;
}

static struct entry *
set_of(struct sl_resolved_cache *cache, const uint8_t *key)
{
    return cache->entries[key[0] % SETS];
}

static struct entry *
lookup(struct sl_resolved_cache *cache, const uint8_t *key)
{
    struct entry *set = set_of(cache, key);
    for (uint32_t i = 0; i < WAYS; i++) {
        if (set[i].used > 0 && memcmp(set[i].key, key, SL_SHA256_SIZE) == 0)
            return &set[i];
    }
    return NULL;
}

void
sl_resolved_put(struct sl_resolved_cache *cache, const uint8_t key[static SL_SHA256_SIZE],
                struct sl_scope scope, const struct sl_resolved *what)
{
    if (what->extraction.size == 0 || what->extraction.size > BYTES_MAX)
        return;
    struct entry *set = set_of(cache, key), *e = lookup(cache, key);
    if (e == NULL) { /* An empty one was used never, so longest ago. */
        e = &set[0];
        for (uint32_t i = 1; i < WAYS; i++) {
            if (set[i].used < e->used)
                e = &set[i];
        }
    }
    entry_deinit(e);
    memcpy(e->key, key, SL_SHA256_SIZE);
    e->scope = scope;
    e->used = ++cache->uses;
    sl_buf_append_slice(&e->extraction, what->extraction);
    sl_buf_append_slice(&e->model, what->model);
}

bool
sl_resolved_get(struct sl_resolved_cache *cache, const uint8_t key[static SL_SHA256_SIZE],
                bool is_doubted_fine, struct sl_resolved *ret_what)
{
    struct entry *e = lookup(cache, key);
    if (e == NULL || (e->is_doubted && !is_doubted_fine))
        return false;
    e->used = ++cache->uses;
    *ret_what = (struct sl_resolved){.extraction = sl_buf_slice(&e->extraction),
                                     .model = sl_buf_slice(&e->model)};
    return true;
}

void
sl_resolved_doubt(struct sl_resolved_cache *cache)
{
    for (uint32_t i = 0; i < SETS * WAYS; i++)
        cache->entries[i / WAYS][i % WAYS].is_doubted = true;
}

void
sl_resolved_drop(struct sl_resolved_cache *cache, struct sl_scope scope)
{
    for (uint32_t i = 0; i < SETS * WAYS; i++) {
        struct entry *e = &cache->entries[i / WAYS][i % WAYS];
        if (scope.id == 0 || e->scope.id == scope.id)
            entry_deinit(e);
    }
}
