/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `object-store`: objects of an arena, exact search over vectors, at the rate the machine
 * reads them, and what a replica waits for when it attaches a model.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "gateway/bench.h"
#include "gateway/bench_arena.h"
#include "gateway/bench_directory.h"
#include "gateway/bench_model.h"
#include "object-store/model.h"
#include "object-store/vectors.h"
#include "runtime/alloc.h"
#include "runtime/random.h"
#include "runtime/time.h"

#define DIMENSIONS 384u
#define SEARCHES   21u
#define ATTACHES   101u
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

static bool
time_attach(int fd, double *ret_ms)
{
    struct sl_model *model = NULL;
    struct sl_cause cause = {0};
    uint64_t start_ns = sl_time_mono_ns();
    enum sl_err err = sl_model_attach(fd, &model, &cause);
    *ret_ms = (double)(sl_time_mono_ns() - start_ns) / 1e6;
    sl_model_destroy(&model);
    return err == SL_OK || sl_bench_fail("attach: %s", cause.text);
}

static bool
run_model(const struct sl_bench *bench)
{
    double ms[ATTACHES], build_ms = 0;
    int fd = sl_bench_model_build(bench, &build_ms);
    bool is_ok = fd >= 0;
    for (uint32_t i = 0; is_ok && i < ATTACHES; i++)
        is_ok = time_attach(fd, &ms[i]);
    if (fd >= 0)
        (void)close(fd);
    if (!is_ok)
        return false;
    sl_bench_show(bench, &(struct sl_bench_figure){.name = "model.build_minilm",
                                                   .unit = "ms",
                                                   .value = build_ms,
                                                   .note = SL_BENCH_MODEL_NOTE});
    sl_bench_show(bench, &(struct sl_bench_figure){.name = "model.attach_minilm.p50",
                                                   .unit = "ms",
                                                   .value = sl_bench_median(ms, ATTACHES),
                                                   .note = SL_BENCH_MODEL_NOTE});
    return true;
}

bool
sl_bench_object_store(const struct sl_bench *bench)
{
    return sl_bench_arena(bench) && sl_bench_objects(bench) && run_vectors(bench) &&
           run_model(bench);
}
