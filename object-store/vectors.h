/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vectors.h - an exact vector index: every search looks at every row.
 *
 * Rows lie in shared-memory segments of 4096, each row 64-byte aligned and padded with zeroes to a
 * multiple of 16 floats, so that a search is one pass at the speed of memory. Rows are kept as
 * given, with their norm beside them: what is read back is what was put, and all three metrics come
 * from one dot product. It is an index in memory, rebuilt from what is durable; it does no I/O.
 *
 *   score   cosine: in [-1, 1], 0 where a vector is zero    dot: the product
 *           l2: minus the distance, so that more is nearer in all three
 *
 * Threading: one owner for put and remove; searches may run beside each other, not beside a put. A
 * search of a large index computes on several threads of its own, which end with it; the filter is
 * asked on the caller's.
 */
#ifndef SL_OBJECT_STORE_VECTORS_H
#define SL_OBJECT_STORE_VECTORS_H

#include "runtime/base.h"

#define SL_VECTORS_DIMENSIONS_MAX 16384
#define SL_VECTORS_HITS_MAX       10000
#define SL_VECTORS_SEGMENT_ROWS   4096

struct sl_vectors;

enum sl_metric { SL_METRIC_COSINE, SL_METRIC_DOT, SL_METRIC_L2 };

struct sl_vectors_hit {
    uint64_t id;
    float score;
};

struct sl_vectors_query {
    const float *vector; /* As many floats as the index has dimensions. */
    uint32_t hits_max;   /* The k of top-k: 1 to SL_VECTORS_HITS_MAX. */
    enum sl_metric metric;
    /* NULL: all rows. Asked only about rows that would make it into the hits. */
    bool (*filter)(void *arg, uint64_t id);
    void *arg;
};

/* An empty index. SL_EINVAL: dimensions outside 1 to SL_VECTORS_DIMENSIONS_MAX. */
SL_MUST_CHECK enum sl_err sl_vectors_create(uint32_t dimensions, struct sl_vectors **ret_vectors);
void sl_vectors_destroy(struct sl_vectors **vectors); /* NULL inside is fine. */

/*
 * Add a row, or overwrite the one of the same id. SL_EINVAL: a float that is not finite, or a norm
 * over 1e18. SL_ENOMEM: no memory for another segment. On error nothing has changed.
 */
SL_MUST_CHECK enum sl_err sl_vectors_put(struct sl_vectors *v, uint64_t id, const float *row);
bool sl_vectors_remove(struct sl_vectors *v, uint64_t id); /* False: there was none. */

/* The row of `id`, as it was put; borrowed until the next put or remove. NULL: there is none. */
const float *sl_vectors_lookup(const struct sl_vectors *v, uint64_t id);

uint64_t sl_vectors_count(const struct sl_vectors *v);
uint32_t sl_vectors_dimensions(const struct sl_vectors *v);
uint64_t sl_vectors_size_bytes(const struct sl_vectors *v); /* Memory held: segments and tables. */

/*
 * Write the best `hits_max` rows to `hits`, best first, equal scores by ascending id, and how many
 * there are to *ret_count. SL_EINVAL: hits_max or metric out of range, or a float that is not
 * finite.
 */
SL_MUST_CHECK enum sl_err sl_vectors_search(const struct sl_vectors *v,
                                            const struct sl_vectors_query *query,
                                            struct sl_vectors_hit *hits, uint32_t *ret_count);

#endif
