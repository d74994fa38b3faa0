/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Indexes are found by a scan: a store has few of them in memory, and each search costs far more.
 * One that could not be kept in step (no memory) is forgotten, and loaded again from its rows when
 * asked.
 */
#include "actors/index.h"

#include "actors/record.h"
#include "actors/rows.h"
#include "object-store/vectors.h"
#include "runtime/alloc.h"

#define INDEX_CACHE_MAGIC 0x69647863u

struct entry {
    struct sl_scope scope;
    char *collection, *name;
    struct sl_vectors *vectors;
};

struct sl_index_cache {
    uint32_t magic;
    uint32_t count, capacity;
    struct entry *entries;
};

static void
check(const struct sl_index_cache *c)
{
    sl_assert(c != NULL);
    sl_assert(c->magic == INDEX_CACHE_MAGIC);
}

struct sl_index_cache *
sl_index_cache_create(void)
{
    struct sl_index_cache *c = sl_zalloc(sizeof(*c));
    c->magic = INDEX_CACHE_MAGIC;
    return c;
}

static void
forget(struct sl_index_cache *c, uint32_t at)
{
    struct entry *e = &c->entries[at];
    sl_vectors_destroy(&e->vectors);
    sl_free(e->collection);
    sl_free(e->name);
    *e = c->entries[--c->count];
}

void
sl_index_cache_destroy(struct sl_index_cache **cache)
{
    sl_assert(cache != NULL);
    if (*cache == NULL)
        return;
    check(*cache);
    while ((*cache)->count > 0)
        forget(*cache, 0);
    sl_free((*cache)->entries);
    sl_free(*cache);
    *cache = NULL;
}

static struct entry *
find(const struct sl_index_cache *c, const struct sl_index_id *id)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct entry *e = &c->entries[i];
        if (e->scope.id == id->scope.id && sl_slice_is(id->collection, e->collection) &&
            sl_slice_is(id->name, e->name))
            return e;
    }
    return NULL;
}

void
sl_index_put(struct sl_index_cache *c, const struct sl_index_id *id, uint64_t number,
             const float *vector, uint32_t dimensions)
{
    check(c);
    struct entry *e = find(c, id);
    if (e == NULL)
        return;
    if (sl_vectors_dimensions(e->vectors) != dimensions ||
        sl_vectors_put(e->vectors, number, vector) != SL_OK)
        forget(c, (uint32_t)(e - c->entries));
}

void
sl_index_remove(struct sl_index_cache *c, const struct sl_index_id *id, uint64_t number)
{
    check(c);
    struct entry *e = find(c, id);
    if (e != NULL)
        (void)sl_vectors_remove(e->vectors, number);
}

void
sl_index_drop(struct sl_index_cache *c, struct sl_scope scope, struct sl_slice collection)
{
    check(c);
    for (uint32_t i = c->count; i-- > 0;) {
        const struct entry *e = &c->entries[i];
        if (e->scope.id == scope.id && sl_slice_is(collection, e->collection))
            forget(c, i);
    }
}

/* One row into `vectors`, made with the first row's dimensions. A row that fits ill is left out. */
static enum sl_err
load_row(const struct sl_scan *scan, struct sl_vectors **vectors, struct sl_buf *aligned)
{
    uint64_t number;
    size_t dimensions = scan->value.size / sizeof(float);
    if (scan->value.size % sizeof(float) != 0 || dimensions == 0 ||
        dimensions > SL_VECTORS_DIMENSIONS_MAX ||
        sl_record_number(sl_key_part(scan->key, 2), &number) != SL_OK)
        return SL_OK;
    enum sl_err err = SL_OK;
    if (*vectors == NULL)
        err = sl_vectors_create((uint32_t)dimensions, vectors);
    if (err != SL_OK || sl_vectors_dimensions(*vectors) != dimensions)
        return err;
    sl_buf_clear(aligned);
    sl_buf_append_slice(aligned, scan->value);
    err = sl_vectors_put(*vectors, number, (const float *)(const void *)aligned->data);
    return err == SL_EINVAL ? SL_OK : err;
}

static enum sl_err
load(struct sl_index_cache *c, struct sl_txn *txn, const struct sl_index_id *id,
     struct entry **ret_entry)
{
    char *collection = sl_strndup(id->collection.data, id->collection.size);
    char *name = sl_strndup(id->name.data, id->name.size);
    struct sl_vectors *vectors = NULL;
    struct sl_buf prefix = {0}, aligned = {0};
    struct sl_scan scan = {0};
    enum sl_err err = SL_OK;
    sl_txn_scan(txn, id->scope, SL_TABLE_VECTOR, sl_key_prefix(&prefix, 2, collection, name),
                sl_slice(NULL, 0), false, &scan);
    while (err == SL_OK && sl_scan_next(&scan))
        err = load_row(&scan, &vectors, &aligned);
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    sl_buf_deinit(&aligned);
    if (err != SL_OK || vectors == NULL) { /* Without rows there is nothing to keep. */
        sl_vectors_destroy(&vectors);
        sl_free(collection);
        sl_free(name);
        *ret_entry = NULL;
        return err;
    }
    if (c->count == c->capacity) {
        c->capacity = SL_MAX(8, c->capacity * 2);
        c->entries = sl_realloc(c->entries, c->capacity * sizeof(*c->entries));
    }
    c->entries[c->count] = (struct entry){
        .scope = id->scope, .collection = collection, .name = name, .vectors = vectors};
    *ret_entry = &c->entries[c->count++];
    return SL_OK;
}

enum sl_err
sl_index_search(struct sl_index_cache *c, struct sl_txn *txn, const struct sl_index_id *id,
                const struct sl_index_query *query, struct sl_index_hit *ret_hits,
                uint32_t *ret_count)
{
    check(c);
    struct entry *e = find(c, id);
    if (e == NULL) {
        enum sl_err err = load(c, txn, id, &e);
        if (err != SL_OK)
            return err;
    }
    *ret_count = 0;
    if (e == NULL)
        return SL_OK;
    if (sl_vectors_dimensions(e->vectors) != query->dimensions)
        return SL_EINVAL;
    struct sl_vectors_query q = {.vector = query->vector,
                                 .hits_max = SL_MIN(query->k, SL_VECTORS_HITS_MAX),
                                 .metric = query->metric,
                                 .filter = query->is_wanted,
                                 .arg = query->arg};
    struct sl_vectors_hit *hits = sl_alloc(SL_MAX(q.hits_max, 1) * sizeof(*hits));
    enum sl_err err = sl_vectors_search(e->vectors, &q, hits, ret_count);
    for (uint32_t i = 0; err == SL_OK && i < *ret_count; i++)
        ret_hits[i] = (struct sl_index_hit){.number = hits[i].id, .score = hits[i].score};
    sl_free(hits);
    return err;
}

uint64_t
sl_index_bytes(const struct sl_index_cache *c)
{
    check(c);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < c->count; i++)
        bytes += sl_vectors_size_bytes(c->entries[i].vectors);
    return bytes;
}
