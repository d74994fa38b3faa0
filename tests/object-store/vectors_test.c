/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/vectors.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "object-store/vectors_kernel.h"
#include "runtime/alloc.h"
#include "runtime/random.h"

static struct sl_vectors *
create(uint32_t dimensions)
{
    struct sl_vectors *v = NULL;
    cr_assert_eq(sl_vectors_create(dimensions, &v), SL_OK);
    return v;
}

static void
fill(struct sl_random *r, float *row, uint32_t dimensions)
{
    for (uint32_t i = 0; i < dimensions; i++)
        row[i] = (float)sl_random_below(r, 2000001) / 1000000.0f - 1.0f;
}

static uint32_t
search(struct sl_vectors *v, const float *vector, enum sl_metric metric, uint32_t k,
       struct sl_vectors_hit *hits)
{
    struct sl_vectors_query query = {.vector = vector, .hits_max = k, .metric = metric};
    uint32_t count = UINT32_MAX;
    cr_assert_eq(sl_vectors_search(v, &query, hits, &count), SL_OK);
    return count;
}

/* In double and the straight way: what a score should be. */
static double
score_slowly(enum sl_metric metric, const float *a, const float *b, uint32_t dimensions)
{
    double dot = 0, aa = 0, bb = 0, l2 = 0;
    for (uint32_t i = 0; i < dimensions; i++) {
        double x = (double)a[i], y = (double)b[i];
        dot += x * y;
        aa += x * x;
        bb += y * y;
        l2 += (x - y) * (x - y);
    }
    return metric == SL_METRIC_DOT ? dot : metric == SL_METRIC_L2 ? -sqrt(l2) : dot / sqrt(aa * bb);
}

Test(vectors, kernels_agree_on_every_size)
{
    struct sl_random r;
    sl_random_seed(&r, 1);
    struct sl_vectors_kernel best = sl_vectors_kernel_choose();
    struct sl_vectors_kernel plain = sl_vectors_kernel_plain();
    for (uint32_t size = 16; size <= 1536; size += 16) {
        float *a = aligned_alloc(64, size * sizeof(float));
        float *b = aligned_alloc(64, size * sizeof(float));
        fill(&r, a, size);
        fill(&r, b, size);
        double scale =
            sqrt(score_slowly(SL_METRIC_DOT, a, a, size) * score_slowly(SL_METRIC_DOT, b, b, size));
        double exact = score_slowly(SL_METRIC_DOT, a, b, size);
        double distance = score_slowly(SL_METRIC_L2, a, b, size);
        double x = (double)best.dot(a, b, size), y = (double)plain.dot(a, b, size);
        cr_expect_leq(fabs(x - y) / scale, 1e-6, "%u", size);
        cr_expect_leq(fabs(x - exact) / scale, 1e-6, "%u", size);
        x = (double)best.squared_distance(a, b, size);
        y = (double)plain.squared_distance(a, b, size);
        cr_expect_leq(fabs(x - y) / y, 1e-6, "%u", size);
        cr_expect_leq(fabs(x - distance * distance) / y, 1e-6, "%u", size);
        free(a);
        free(b);
    }
}

Test(vectors, finds_what_a_full_sort_finds_for_every_metric)
{
    enum { ROWS = 5000, DIMENSIONS = 37, K = 20 };
    struct sl_random r;
    sl_random_seed(&r, 2);
    struct sl_vectors *v = create(DIMENSIONS);
    float *rows = sl_alloc(sizeof(float) * ROWS * DIMENSIONS), query[DIMENSIONS];
    for (uint32_t i = 0; i < ROWS; i++) {
        fill(&r, rows + i * DIMENSIONS, DIMENSIONS);
        cr_assert_eq(sl_vectors_put(v, 1000 + i, rows + i * DIMENSIONS), SL_OK);
    }
    fill(&r, query, DIMENSIONS);
    for (int metric = SL_METRIC_COSINE; metric <= SL_METRIC_L2; metric++) {
        struct sl_vectors_hit hits[K];
        cr_assert_eq(search(v, query, (enum sl_metric)metric, K, hits), K);
        bool is_hit[ROWS] = {false};
        for (int i = 0; i < K; i++) {
            uint32_t row = (uint32_t)hits[i].id - 1000;
            double want =
                score_slowly((enum sl_metric)metric, query, rows + row * DIMENSIONS, DIMENSIONS);
            cr_expect_float_eq(hits[i].score, want, 2e-6);
            cr_expect(i == 0 || hits[i - 1].score >= hits[i].score);
            is_hit[row] = true;
        }
        for (uint32_t row = 0; row < ROWS; row++) {
            double other =
                score_slowly((enum sl_metric)metric, query, rows + row * DIMENSIONS, DIMENSIONS);
            cr_expect(is_hit[row] || other <= (double)hits[K - 1].score + 2e-6);
        }
    }
    sl_free(rows);
    sl_vectors_destroy(&v);
}

static bool
is_even_counted(void *arg, uint64_t id)
{
    (*(uint32_t *)arg)++;
    return id % 2 == 0;
}

/* Over 8 MiB, several threads compute: what they find is what a small index's one thread would. */
Test(vectors, finds_the_same_with_many_threads)
{
    enum { ROWS = 30000, DIMENSIONS = 96, K = 50 };
    struct sl_random r;
    sl_random_seed(&r, 5);
    struct sl_vectors *v = create(DIMENSIONS);
    float *rows = sl_alloc(sizeof(float) * ROWS * DIMENSIONS), query[DIMENSIONS];
    for (uint32_t i = 0; i < ROWS; i++) {
        fill(&r, rows + i * DIMENSIONS, DIMENSIONS);
        if (i % 7 == 0) /* Equals, for ties between segments. */
            memcpy(rows + i * DIMENSIONS, rows, DIMENSIONS * sizeof(float));
        cr_assert_eq(sl_vectors_put(v, i, rows + i * DIMENSIONS), SL_OK);
    }
    for (uint32_t i = 0; i < ROWS; i += 3)
        cr_assert(sl_vectors_remove(v, i));
    memcpy(query, rows, sizeof(query)); /* Its equals come first, by ascending id. */
    for (int metric = SL_METRIC_COSINE; metric <= SL_METRIC_L2; metric++) {
        struct sl_vectors_hit hits[K];
        uint32_t asked = 0, count = 0;
        struct sl_vectors_query q = {.vector = query,
                                     .hits_max = K,
                                     .metric = (enum sl_metric)metric,
                                     .filter = is_even_counted,
                                     .arg = &asked};
        cr_assert_eq(sl_vectors_search(v, &q, hits, &count), SL_OK);
        cr_assert_eq(count, K);
        uint32_t at = 0;
        for (uint32_t i = 0; at < K; i += 7) {
            cr_assert_lt(i, ROWS);
            if (i % 3 == 0 || i % 2 != 0)
                continue;
            if (metric != SL_METRIC_DOT) /* By the product others may come before it. */
                cr_expect_eq(hits[at].id, i);
            at++;
        }
        cr_expect_gt(asked, K - 1);
        for (uint32_t i = 1; i < K; i++)
            cr_expect(hits[i - 1].score > hits[i].score ||
                      (hits[i - 1].score >= hits[i].score && hits[i - 1].id < hits[i].id));
    }
    sl_free(rows);
    sl_vectors_destroy(&v);
}

Test(vectors, breaks_ties_by_ascending_id)
{
    struct sl_vectors *v = create(2);
    struct sl_vectors_hit hits[4];
    static const uint64_t ids[] = {9, 2, 7, UINT64_MAX, 0, 4};
    for (size_t i = 0; i < SL_COUNT_OF(ids); i++)
        cr_assert_eq(sl_vectors_put(v, ids[i], (float[]){1, 0}), SL_OK);
    cr_assert_eq(search(v, (float[]){1, 0}, SL_METRIC_COSINE, 4, hits), 4);
    cr_assert_eq(hits[0].id, 0);
    cr_assert_eq(hits[1].id, 2);
    cr_assert_eq(hits[2].id, 4);
    cr_assert_eq(hits[3].id, 7);
    sl_vectors_destroy(&v);
}

Test(vectors, overwrites_reads_back_and_removes)
{
    struct sl_vectors *v = create(3);
    struct sl_vectors_hit hits[3];
    cr_assert_eq(sl_vectors_put(v, 1, (float[]){1, 0, 0}), SL_OK);
    cr_assert_eq(sl_vectors_put(v, 2, (float[]){0, 1, 0}), SL_OK);
    cr_assert_eq(sl_vectors_put(v, 1, (float[]){0, 0, 0.3f}), SL_OK);
    cr_assert_eq(sl_vectors_count(v), 2);
    cr_assert_eq(sl_vectors_lookup(v, 1)[2], 0.3f);
    cr_assert_null(sl_vectors_lookup(v, 3));
    cr_assert_eq(search(v, (float[]){0, 0, 2}, SL_METRIC_COSINE, 3, hits), 2);
    cr_assert_eq(hits[0].id, 1);
    cr_assert_float_eq(hits[0].score, 1, 1e-6);
    cr_assert(sl_vectors_remove(v, 1));
    cr_assert_not(sl_vectors_remove(v, 1));
    cr_assert_eq(search(v, (float[]){0, 0, 2}, SL_METRIC_COSINE, 3, hits), 1);
    cr_assert_eq(hits[0].id, 2);
    sl_vectors_destroy(&v);
}

Test(vectors, reuses_the_rows_of_what_was_removed)
{
    struct sl_vectors *v = create(5);
    float row[5] = {1};
    for (uint64_t id = 0; id < SL_VECTORS_SEGMENT_ROWS; id++)
        cr_assert_eq(sl_vectors_put(v, id, row), SL_OK);
    uint64_t size = sl_vectors_size_bytes(v);
    cr_assert_gt(size, SL_VECTORS_SEGMENT_ROWS * 16 * sizeof(float));
    for (uint64_t round = 0; round < 3; round++) {
        for (uint64_t id = 0; id < SL_VECTORS_SEGMENT_ROWS; id++)
            cr_assert(sl_vectors_remove(v, id + round * 100000));
        cr_assert_eq(sl_vectors_count(v), 0);
        for (uint64_t id = 0; id < SL_VECTORS_SEGMENT_ROWS; id++)
            cr_assert_eq(sl_vectors_put(v, id + (round + 1) * 100000, row), SL_OK);
    }
    cr_assert_eq(sl_vectors_size_bytes(v), size);
    cr_assert_eq(sl_vectors_put(v, 7, row), SL_OK);
    cr_assert_gt(sl_vectors_size_bytes(v), size);
    sl_vectors_destroy(&v);
}

/* Random puts and removes against a plain array, ids close together so that runs collide. */
Test(vectors, agrees_with_a_plain_array_under_random_use)
{
    enum { IDS = 600 };
    struct sl_random r;
    sl_random_seed(&r, 3);
    struct sl_vectors *v = create(1);
    float values[IDS] = {0};
    uint64_t count = 0;
    for (int step = 0; step < 60000; step++) {
        uint64_t i = sl_random_below(&r, IDS), id = i << (i % 3 * 16);
        if (sl_random_below(&r, 2) == 0) {
            count += values[i] == 0;
            values[i] = (float)(step + 1);
            cr_assert_eq(sl_vectors_put(v, id, &values[i]), SL_OK);
        } else {
            cr_assert_eq(sl_vectors_remove(v, id), values[i] != 0);
            count -= values[i] != 0;
            values[i] = 0;
        }
        cr_assert_eq(sl_vectors_count(v), count);
    }
    for (uint64_t i = 0; i < IDS; i++) {
        const float *row = sl_vectors_lookup(v, i << (i % 3 * 16));
        cr_assert_eq(row == NULL ? 0 : *row, values[i]);
    }
    sl_vectors_destroy(&v);
}

static bool
is_even(void *arg, uint64_t id)
{
    (*(uint32_t *)arg)++;
    return id % 2 == 0;
}

Test(vectors, filters_before_it_counts)
{
    struct sl_vectors *v = create(1);
    for (uint64_t id = 0; id < 1000; id++)
        cr_assert_eq(sl_vectors_put(v, id, &(float){(float)id}), SL_OK);
    uint32_t asked = 0, count = 0;
    struct sl_vectors_hit hits[5];
    struct sl_vectors_query query = {.vector = &(float){1},
                                     .hits_max = 5,
                                     .metric = SL_METRIC_DOT,
                                     .filter = is_even,
                                     .arg = &asked};
    cr_assert_eq(sl_vectors_search(v, &query, hits, &count), SL_OK);
    cr_assert_eq(count, 5);
    for (uint32_t i = 0; i < 5; i++)
        cr_assert_eq(hits[i].id, 998 - 2 * i);
    cr_assert_gt(asked, 0);
    sl_vectors_destroy(&v);
}

Test(vectors, refuses_what_is_not_finite_or_out_of_range)
{
    struct sl_vectors *v = NULL;
    struct sl_vectors_hit hits[1];
    uint32_t count = 7;
    cr_assert_eq(sl_vectors_create(0, &v), SL_EINVAL);
    cr_assert_eq(sl_vectors_create(SL_VECTORS_DIMENSIONS_MAX + 1, &v), SL_EINVAL);
    v = create(2);
    cr_assert_eq(sl_vectors_put(v, 1, (float[]){0, NAN}), SL_EINVAL);
    cr_assert_eq(sl_vectors_put(v, 1, (float[]){-INFINITY, 0}), SL_EINVAL);
    cr_assert_eq(sl_vectors_put(v, 1, (float[]){3e38f, 3e38f}), SL_EINVAL);
    cr_assert_eq(sl_vectors_count(v), 0);
    struct sl_vectors_query query = {.vector = (float[]){0, NAN}, .hits_max = 1};
    cr_assert_eq(sl_vectors_search(v, &query, hits, &count), SL_EINVAL);
    query.vector = (float[]){0, 1};
    query.hits_max = 0;
    cr_assert_eq(sl_vectors_search(v, &query, hits, &count), SL_EINVAL);
    query.hits_max = SL_VECTORS_HITS_MAX + 1;
    cr_assert_eq(sl_vectors_search(v, &query, hits, &count), SL_EINVAL);
    query = (struct sl_vectors_query){
        .vector = (float[]){0, 1}, .hits_max = 1, .metric = (enum sl_metric)9};
    cr_assert_eq(sl_vectors_search(v, &query, hits, &count), SL_EINVAL);
    cr_assert_eq(count, 7);
    sl_vectors_destroy(&v);
}

Test(vectors, scores_a_zero_vector_zero_and_an_empty_index_nothing)
{
    struct sl_vectors *v = create(2);
    struct sl_vectors_hit hits[1];
    cr_assert_eq(search(v, (float[]){1, 1}, SL_METRIC_COSINE, 1, hits), 0);
    cr_assert_eq(sl_vectors_put(v, 1, (float[]){0, 0}), SL_OK);
    cr_assert_eq(search(v, (float[]){1, 1}, SL_METRIC_COSINE, 1, hits), 1);
    cr_assert_eq(hits[0].score, 0);
    sl_vectors_destroy(&v);
}

Test(vectors, tells_close_neighbours_apart_by_distance)
{
    struct sl_vectors *v = create(3);
    struct sl_vectors_hit hits[3];
    cr_assert_eq(sl_vectors_put(v, 1, (float[]){1000, 1000, 1000.002f}), SL_OK);
    cr_assert_eq(sl_vectors_put(v, 2, (float[]){1000, 1000, 1000.001f}), SL_OK);
    cr_assert_eq(sl_vectors_put(v, 3, (float[]){1000, 1000, 1000}), SL_OK);
    cr_assert_eq(search(v, (float[]){1000, 1000, 1000}, SL_METRIC_L2, 3, hits), 3);
    cr_assert_eq(hits[0].id, 3);
    cr_assert_eq(hits[0].score, 0);
    cr_assert_eq(hits[1].id, 2);
    cr_assert_float_eq(hits[1].score, -0.001, 1e-4);
    sl_vectors_destroy(&v);
}
