/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h - the vector indexes in memory: one per (scope, collection, index name), loaded from the
 * SL_TABLE_VECTOR rows at first search, kept in step by whoever commits a change to those rows.
 * Threading: owned by the store's thread.
 */
#ifndef SL_ACTORS_INDEX_H
#define SL_ACTORS_INDEX_H

#include "object-store/vectors.h"
#include "runtime/base.h"
#include "runtime/store.h"

struct sl_index_cache;

struct sl_index_id {
    struct sl_scope scope;
    struct sl_slice collection, name;
};

struct sl_index_hit {
    uint64_t number; /* sl_record_number */
    float score;
};

struct sl_index_cache *sl_index_cache_create(void);
void sl_index_cache_destroy(struct sl_index_cache **cache);

/* After a commit that put or deleted vector rows. An index that is not loaded ignores it. */
void sl_index_put(struct sl_index_cache *c, const struct sl_index_id *id, uint64_t number,
                  const float *vector, uint32_t dimensions);
void sl_index_remove(struct sl_index_cache *c, const struct sl_index_id *id, uint64_t number);
/* Forget an index (its collection is gone). */
void sl_index_drop(struct sl_index_cache *c, struct sl_scope scope, struct sl_slice collection);

/*
 * The k best by `metric` (vectors.h says what a score is), best first, ties by number. Loads the
 * index when needed. `is_wanted` may be NULL. SL_EINVAL: the query's dimensions are not the
 * index's. An index without rows has no hits.
 */
struct sl_index_query {
    const float *vector;
    uint32_t dimensions, k;
    enum sl_metric metric;
    bool (*is_wanted)(void *arg, uint64_t number);
    void *arg;
};
SL_MUST_CHECK enum sl_err sl_index_search(struct sl_index_cache *c, struct sl_txn *txn,
                                          const struct sl_index_id *id,
                                          const struct sl_index_query *query,
                                          struct sl_index_hit *ret_hits, uint32_t *ret_count);
uint64_t sl_index_bytes(const struct sl_index_cache *c);

#endif
