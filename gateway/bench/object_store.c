/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `object-store`: objects of an arena and those of processes, and exact search over
 * vectors, at the rate the machine reads them.
 */
#include "gateway/bench.h"
#include "gateway/bench/arena.h"
#include "object-store/vectors.h"
#include "runtime/alloc.h"
#include "runtime/random.h"
#include "runtime/time.h"

#define DIMENSIONS 384u
#define SEARCHES   21u
#define HITS       10u

static void
fill(struct sl_random *random, float *row)
{
    for (uint32_t i = 0; i < DIMENSIONS; i++)
        row[i] = (float)sl_random_below(random, 2001) / 1000.0f - 1.0f;
}

/* Milliseconds of the median search over `rows` rows. */
static bool
time_search(uint32_t rows, double *ret_ms)
{
    struct sl_vectors *v = NULL;
    struct sl_random random;
    float row[DIMENSIONS];
    struct sl_vectors_hit hits[HITS];
    double ms[SEARCHES];
    uint32_t count = 0;
    sl_random_seed(&random, 1);
    bool is_ok = sl_vectors_create(DIMENSIONS, &v) == SL_OK;
    for (uint32_t i = 0; is_ok && i < rows; i++) {
        fill(&random, row);
        is_ok = sl_vectors_put(v, i, row) == SL_OK;
    }
    struct sl_vectors_query query = {.vector = row, .hits_max = HITS, .metric = SL_METRIC_COSINE};
    for (uint32_t i = 0; is_ok && i < SEARCHES; i++) {
        fill(&random, row);
        uint64_t start_ns = sl_time_mono_ns();
        is_ok = sl_vectors_search(v, &query, hits, &count) == SL_OK && count == HITS;
        ms[i] = (double)(sl_time_mono_ns() - start_ns) / 1e6;
    }
    sl_vectors_destroy(&v);
    if (is_ok)
        *ret_ms = sl_bench_median(ms, SEARCHES);
    return is_ok || sl_bench_fail("the vector index failed");
}

static bool
run_vectors(const struct sl_bench *bench)
{
    uint32_t rows = bench->is_quick ? 100000 : 1000000;
    double ms = 0, bytes = (double)rows * DIMENSIONS * sizeof(float);
    if (!time_search(rows, &ms))
        return false;
    char *note = sl_format("%u rows of %u", rows, DIMENSIONS);
    sl_bench_show(bench, &(struct sl_bench_figure){.name = "vectors.search.p50",
                                                   .unit = "ms",
                                                   .goal = bench->is_quick ? SL_BENCH_NO_GOAL
                                                                           : SL_BENCH_AT_MOST,
                                                   .target = 60,
                                                   .value = ms,
                                                   .note = note});
    sl_bench_show(bench, &(struct sl_bench_figure){.name = "vectors.search.gb_per_s",
                                                   .unit = "GB/s",
                                                   .value = bytes / ms / 1e6,
                                                   .note = note});
    sl_free(note);
    return true;
}

bool
sl_bench_object_store(const struct sl_bench *bench)
{
    return sl_bench_arena(bench) && sl_bench_objects(bench) && run_vectors(bench);
}
