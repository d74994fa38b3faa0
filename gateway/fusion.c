/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/fusion.h"

#include <math.h>
#include <stdlib.h>

#define RRF_K 60.0

int
sl_ranked_order(const void *a, const void *b)
{
    const struct sl_ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return x->collection < y->collection ? -1 : x->collection > y->collection;
}

/* The same document together, the best of it first. */
static int
order_by_document(const void *a, const void *b)
{
    const struct sl_ranked *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    if (x->collection != y->collection)
        return x->collection < y->collection ? -1 : 1;
    return x->score > y->score ? -1 : x->score < y->score;
}

static void
find_spread(const struct sl_ranking *r, double *ret_low, double *ret_high)
{
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < r->count; i++)
        sum += r->items[i].score;
    double mean = r->count == 0 ? 0 : sum / r->count;
    for (uint32_t i = 0; i < r->count; i++)
        squares += (r->items[i].score - mean) * (r->items[i].score - mean);
    double sigma = r->count == 0 ? 0 : sqrt(squares / r->count);
    *ret_low = mean - 3 * sigma;
    *ret_high = mean + 3 * sigma;
}

/* What item `rank` (from 0) of a ranking brings into the result. */
static double
share(enum sl_fusion method, const struct sl_ranking *r, uint32_t rank, double low, double high)
{
    double score = r->items[rank].score;
    switch (method) {
    case SL_FUSION_RRF:
        return 1.0 / (RRF_K + rank + 1);
    case SL_FUSION_WEIGHTED:
        return r->weight * score;
    case SL_FUSION_DBSF: /* All scores alike say nothing about each other: the middle. */
        return high > low ? (score - low) / (high - low) : 0.5;
    default:
        return score;
    }
}

uint32_t
sl_fuse(enum sl_fusion method, const struct sl_ranking *rankings, uint32_t count,
        struct sl_ranked *ret_items)
{
    uint32_t total = 0, kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct sl_ranking *r = &rankings[i];
        double low, high;
        find_spread(r, &low, &high);
        for (uint32_t rank = 0; rank < r->count; rank++) {
            ret_items[total] = r->items[rank];
            if (count > 1)
                ret_items[total].score = share(method, r, rank, low, high);
            total++;
        }
    }
    if (total == 0)
        return 0;
    qsort(ret_items, total, sizeof *ret_items, order_by_document);
    for (uint32_t i = 0; i < total; i++) {
        struct sl_ranked *last = kept == 0 ? NULL : &ret_items[kept - 1];
        if (last == NULL || last->number != ret_items[i].number ||
            last->collection != ret_items[i].collection)
            ret_items[kept++] = ret_items[i];
        else if (method != SL_FUSION_MAX && count > 1)
            last->score += ret_items[i].score;
    }
    qsort(ret_items, kept, sizeof *ret_items, sl_ranked_order);
    return kept;
}
