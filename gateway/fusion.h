/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fusion.h - several ranked lists of documents made into one. Pure arithmetic.
 */
#ifndef SL_GATEWAY_FUSION_H
#define SL_GATEWAY_FUSION_H

#include "runtime/base.h"

enum sl_fusion {
    SL_FUSION_RRF,      /* Sum of 1 / (60 + rank), rank from 1. */
    SL_FUSION_WEIGHTED, /* Sum of weight * score. */
    SL_FUSION_MAX,      /* The best score. */
    SL_FUSION_DBSF      /* Sum of scores normalised by their list's mean +- 3 sigma to 0..1. */
};

/* A document of a list: which collection, which record of it, how good. */
struct sl_ranked {
    uint64_t number;
    uint32_t collection;
    double score;
};

struct sl_ranking { /* Best first, no document twice. */
    const struct sl_ranked *items;
    uint32_t count;
    double weight;
};

/* Order of results: by score, the best first; ties by document id. For qsort. */
int sl_ranked_order(const void *a, const void *b);

/*
 * Fuse into `ret_items`, which has room for the sum of all counts; returns how many there are, best
 * first. One ranking alone keeps its scores.
 */
uint32_t sl_fuse(enum sl_fusion method, const struct sl_ranking *rankings, uint32_t count,
                 struct sl_ranked *ret_items);

#endif
