/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stage mmr: maximal marginal relevance. One document after another is chosen that has the
 * greatest
 *
 *     lambda * relevance - (1 - lambda) * (similarity to the nearest one that is chosen already)
 *
 * where relevance is the score, stretched to 0..1 over all documents, since scores of fused lists
 * are small and those of one list lie close together; similarity is the cosine of their vectors, at
 * least 0. Only the first DOCUMENTS_MAX documents take part: the stage is meant for what a search
 * found.
 */
#include <math.h>

#include "actors/record.h"
#include "actors/rows.h"
#include "gateway/retrieval.h"

#define DOCUMENTS_MAX 1000

struct candidate {
    struct sl_found found;
    const float *vector; /* Of length 1; NULL: it has none, and is like no other. */
    uint32_t dimensions;
    double relevance, nearest; /* nearest: similarity to the nearest chosen one. */
    bool is_chosen;
};

/* The vector of a document, in the arena. */
static void
read_vector(struct sl_retrieval *r, struct sl_slice uri, struct candidate *c)
{
    struct sl_call *call = r->call;
    const struct sl_retrieval_collection *from = &r->collections[c->found.rank.collection];
    struct sl_slice index = sl_call_text(call, sl_json_member(from->extraction, "index"));
    struct sl_buf key = {0};
    struct sl_slice value;
    char id[SL_RECORD_ID_SIZE + 1];
    if (index.size == 0 || (uri.size > 0 && !sl_collection_has_feature(from, uri)))
        return;
    const char *name = (const char *)sl_call_copy(call, index).data;
    sl_record_id_of_number(c->found.rank.number, id);
    if (sl_txn_get(call->txn, call->who.scope, SL_TABLE_VECTOR, sl_key(&key, 3, from->id, name, id),
                   &value) == SL_OK &&
        value.size >= sizeof(float)) {
        double square = 0;
        float *vector = sl_call_alloc(call, value.size);
        memcpy(vector, value.data, value.size);
        c->dimensions = (uint32_t)(value.size / sizeof(float));
        for (uint32_t i = 0; i < c->dimensions; i++)
            square += (double)vector[i] * vector[i];
        for (uint32_t i = 0; i < c->dimensions && square > 0; i++)
            vector[i] = (float)(vector[i] / sqrt(square));
        c->vector = vector;
    }
    sl_buf_deinit(&key);
}

static double
similarity(const struct candidate *a, const struct candidate *b)
{
    float sum = 0;
    if (a->vector == NULL || b->vector == NULL || a->dimensions != b->dimensions)
        return 0;
    for (uint32_t i = 0; i < a->dimensions; i++)
        sum += a->vector[i] * b->vector[i];
    return sum > 0 ? sum : 0;
}

/* Scores to 0..1; where no document has one, the place in the list counts. */
static void
stretch(struct sl_retrieval *r, struct sl_slice field, struct candidate *all, uint32_t count)
{
    double least = INFINITY, most = -INFINITY;
    for (uint32_t i = 0; i < count; i++) {
        double score;
        all[i].relevance = -INFINITY;
        if (sl_json_f64(sl_found_field(r, &all[i].found, field), &score) != SL_OK)
            continue;
        all[i].relevance = score;
        least = fmin(least, score);
        most = fmax(most, score);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (most < least)
            all[i].relevance = 1 - (double)i / count;
        else if (isinf(all[i].relevance))
            all[i].relevance = 0;
        else
            all[i].relevance = most > least ? (all[i].relevance - least) / (most - least) : 1;
    }
}

static uint32_t
best(const struct candidate *all, uint32_t count, double lambda)
{
    uint32_t found = count;
    double most = -INFINITY;
    for (uint32_t i = 0; i < count; i++) {
        double value = lambda * all[i].relevance - (1 - lambda) * all[i].nearest;
        if (all[i].is_chosen || value <= most)
            continue;
        most = value;
        found = i;
    }
    return found;
}

static void
choose(struct sl_retrieval *r, struct candidate *all, uint32_t count, double lambda)
{
    uint32_t wanted = r->found_count; /* How many to choose: at most `count`. */
    for (uint32_t n = 0; n < wanted; n++) {
        uint32_t at = best(all, count, lambda);
        all[at].is_chosen = true;
        r->found[n] = all[at].found;
        for (uint32_t i = 0; i < count; i++) {
            if (!all[i].is_chosen)
                all[i].nearest = fmax(all[i].nearest, similarity(&all[i], &all[at]));
        }
    }
}

enum sl_stage_result
sl_stage_mmr(struct sl_retrieval *r)
{
    struct sl_json given = sl_stage_parameter(r, "lambda");
    struct sl_slice field = sl_call_text(r->call, sl_stage_parameter(r, "score_field"));
    struct sl_slice uri = sl_call_text(r->call, sl_stage_parameter(r, "diversity_feature_uri"));
    uint32_t top_k = sl_stage_number(r, "top_k", 1, 500, 25);
    uint32_t count = SL_MIN(r->found_count, DOCUMENTS_MAX);
    double lambda = 0.7;
    if (sl_json_has(given) && (sl_json_f64(given, &lambda) != SL_OK || lambda < 0 || lambda > 1))
        return sl_stage_refuse(r, "lambda", "must be a number in 0..1");
    struct candidate *all = sl_call_alloc(r->call, SL_MAX(count, 1u) * sizeof *all);
    for (uint32_t i = 0; i < count; i++) {
        all[i].found = r->found[i];
        read_vector(r, uri, &all[i]);
    }
    stretch(r, field.size > 0 ? field : sl_slice_str("score"), all, count);
    r->found_count = SL_MIN(count, top_k);
    choose(r, all, count, lambda);
    return SL_STAGE_DONE;
}
