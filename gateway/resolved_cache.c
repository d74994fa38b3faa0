/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/resolved_cache.h"

#include "gateway/route.h"
#include "runtime/alloc.h"

#define BUCKETS       1024u
#define BYTES_MAX     (256 * SL_KIB) /* Of an extraction: longer ones are the head's business. */
#define KEY_BYTES_MAX (4 * SL_KIB)   /* Of what a request names: as well. */

struct entry {
    uint8_t key[SL_SHA256_SIZE];
    struct sl_buf extraction, model;
    uint32_t next; /* In its bucket: an index plus 1. 0: none. */
    bool is_doubted;
    uint8_t rule;
};

struct sl_resolved_cache {
    uint32_t buckets[BUCKETS]; /* The first of each: an index plus 1. 0: none. */
    /* Apart from the entries, because putting one looks at all of them. */
    uint64_t used[SL_RESOLVED_MAX];   /* 0: empty. */
    uint64_t scopes[SL_RESOLVED_MAX]; /* Of what is not empty. */
    struct entry entries[SL_RESOLVED_MAX];
    uint64_t uses;
};

struct sl_resolved_cache *
sl_resolved_cache_create(void)
{
    return sl_zalloc(sizeof(struct sl_resolved_cache));
}

/* ---- what is asked for --------------------------------------------------------------------- */

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
    bool is_good = text.size <= KEY_BYTES_MAX;
    if (is_good)
        sl_sha256(sl_buf_slice(&text), ret_key);
    sl_buf_deinit(&text);
    return is_good;
}

/* ---- the table ----------------------------------------------------------------------------- */

/* Keys are hashes. */
static uint32_t *
bucket_of(struct sl_resolved_cache *cache, const uint8_t *key)
{
    uint32_t bits;
    memcpy(&bits, key, sizeof(bits));
    return &cache->buckets[bits % BUCKETS];
}

/* Where the link to the key's entry is, or would be: 0 is there, then. */
static uint32_t *
link_of(struct sl_resolved_cache *cache, const uint8_t *key)
{
    uint32_t *at = bucket_of(cache, key);
    while (*at != 0 && memcmp(cache->entries[*at - 1].key, key, SL_SHA256_SIZE) != 0)
        at = &cache->entries[*at - 1].next;
    return at;
}

static void
forget(struct sl_resolved_cache *cache, uint32_t index)
{
    struct entry *e = &cache->entries[index];
    if (cache->used[index] == 0)
        return;
    uint32_t *link = link_of(cache, e->key);
    sl_assert(*link == index + 1);
    *link = e->next;
    sl_buf_deinit(&e->extraction);
    sl_buf_deinit(&e->model);
    *e = (struct entry){0};
    cache->used[index] = 0;
}

void
sl_resolved_cache_destroy(struct sl_resolved_cache **cache)
{
    if (*cache == NULL)
        return;
    for (uint32_t i = 0; i < SL_RESOLVED_MAX; i++)
        forget(*cache, i);
    sl_free(*cache);
    *cache = NULL;
}

/* An empty one was used never, so longest ago. Who has its share makes room by itself. */
static uint32_t
make_room(struct sl_resolved_cache *cache, struct sl_scope scope)
{
    uint32_t own = SL_RESOLVED_MAX, oldest = 0, count = 0;
    for (uint32_t i = 0; i < SL_RESOLVED_MAX; i++) {
        if (cache->used[i] < cache->used[oldest])
            oldest = i;
        if (cache->used[i] == 0 || cache->scopes[i] != scope.id)
            continue;
        count++;
        if (own == SL_RESOLVED_MAX || cache->used[i] < cache->used[own])
            own = i;
    }
    uint32_t index = count >= SL_RESOLVED_SCOPE_MAX ? own : oldest;
    forget(cache, index);
    return index;
}

void
sl_resolved_put(struct sl_resolved_cache *cache, const uint8_t key[static SL_SHA256_SIZE],
                struct sl_scope scope, const struct sl_resolved *what)
{
    if (what->extraction.size == 0 || what->extraction.size > BYTES_MAX)
        return;
    uint32_t *link = link_of(cache, key);
    if (*link != 0)
        forget(cache, *link - 1);
    uint32_t index = make_room(cache, scope);
    struct entry *e = &cache->entries[index];
    link = bucket_of(cache, key);
    memcpy(e->key, key, sizeof(e->key));
    e->next = *link;
    *link = index + 1;
    cache->scopes[index] = scope.id;
    cache->used[index] = ++cache->uses;
    sl_buf_append_slice(&e->extraction, what->extraction);
    sl_buf_append_slice(&e->model, what->model);
    e->rule = what->rule;
}

bool
sl_resolved_get(struct sl_resolved_cache *cache, const uint8_t key[static SL_SHA256_SIZE],
                bool is_doubted_fine, struct sl_resolved *ret_what)
{
    uint32_t link = *link_of(cache, key);
    if (link == 0)
        return false;
    const struct entry *e = &cache->entries[link - 1];
    if (e->is_doubted && !is_doubted_fine)
        return false;
    cache->used[link - 1] = ++cache->uses;
    *ret_what = (struct sl_resolved){.extraction = sl_buf_slice(&e->extraction),
                                     .model = sl_buf_slice(&e->model),
                                     .rule = e->rule};
    return true;
}

void
sl_resolved_doubt(struct sl_resolved_cache *cache, struct sl_scope scope)
{
    for (uint32_t i = 0; i < SL_RESOLVED_MAX; i++) {
        if (cache->used[i] > 0 && (scope.id == 0 || cache->scopes[i] == scope.id))
            cache->entries[i].is_doubted = true;
    }
}

void
sl_resolved_forget(struct sl_resolved_cache *cache, const uint8_t key[static SL_SHA256_SIZE])
{
    uint32_t link = *link_of(cache, key);
    if (link != 0)
        forget(cache, link - 1);
}
