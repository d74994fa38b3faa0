/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "object-store/vectors_rows.h"
#include "runtime/alloc.h"

#define ROW_ALIGNMENT      64
#define THREADS_MAX        8
#define PARALLEL_BYTES_MIN (8 * SL_MIB) /* Below, starting a thread costs more than it saves. */

/* The hits so far: a heap with the worst on top, so that one look says whether a row is in. */
struct top {
    struct sl_vectors_hit *hits;
    uint32_t count, capacity;
};

/* A query made ready for the kernels. */
struct probe {
    const struct sl_vectors_query *query;
    const float *padded; /* The vector, aligned and padded as rows are. */
    float norm;
};

static bool
is_better(struct sl_vectors_hit a, struct sl_vectors_hit b)
{
    return a.score != b.score ? a.score > b.score : a.id < b.id;
}

static void
sift_down(struct top *top)
{
    struct sl_vectors_hit hit = top->hits[0];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= top->count)
            break;
        if (child + 1 < top->count && is_better(top->hits[child], top->hits[child + 1]))
            child++;
        if (!is_better(hit, top->hits[child]))
            break;
        top->hits[at] = top->hits[child];
        at = child;
    }
    top->hits[at] = hit;
}

static void
sift_up(struct top *top)
{
    uint32_t at = top->count - 1;
    struct sl_vectors_hit hit = top->hits[at];
    while (at > 0 && is_better(top->hits[(at - 1) / 2], hit)) {
        top->hits[at] = top->hits[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    top->hits[at] = hit;
}

static void
offer(struct top *top, struct sl_vectors_hit hit, const struct sl_vectors_query *query)
{
    if (top->count == top->capacity && !is_better(hit, top->hits[0]))
        return;
    if (query->filter != NULL && !query->filter(query->arg, hit.id))
        return;
    if (top->count < top->capacity) {
        top->hits[top->count++] = hit;
        sift_up(top);
    } else {
        top->hits[0] = hit;
        sift_down(top);
    }
}

static float
cosine(float dot, float row_norm, float query_norm)
{
    double product = (double)row_norm * (double)query_norm;
    double value = product > 0 ? (double)dot / product : 0;
    return (float)SL_MAX(-1.0, SL_MIN(1.0, value)); /* Rounding may take it past one. */
}

static float
score_of(const struct sl_vectors *v, const struct sl_vectors_segment *s, uint32_t i,
         const struct probe *p)
{
    const float *row = s->rows + (size_t)i * v->stride;
    /* A distance from norms and a dot product would lose all digits between close neighbours. */
    if (p->query->metric == SL_METRIC_L2)
        return -sqrtf(v->kernel.squared_distance(p->padded, row, v->stride));
    float dot = v->kernel.dot(p->padded, row, v->stride);
    return p->query->metric == SL_METRIC_DOT ? dot : cosine(dot, s->norms[i], p->norm);
}

static int
best_first(const void *a, const void *b)
{
    return is_better(*(const struct sl_vectors_hit *)a, *(const struct sl_vectors_hit *)b) ? -1 : 1;
}

static uint32_t
rows_in(const struct sl_vectors *v, uint32_t segment)
{
    return SL_MIN(v->slots_count - segment * SL_VECTORS_SEGMENT_ROWS,
                  (uint32_t)SL_VECTORS_SEGMENT_ROWS);
}

/* ---- all at once, by several threads ------------------------------------------------------- */

/*
 * A large index is bound by memory, and one core does not draw all that memory gives: threads take
 * segment after segment and only compute; who called makes the hits of the scores, alone, because a
 * filter is the caller's and not for other threads.
 */
struct scan {
    const struct sl_vectors *v;
    const struct probe *probe;
    float *scores; /* By slot. */
    _Atomic uint32_t next;
};

static void *
scan_segments(void *argument)
{
    struct scan *scan = argument;
    const struct sl_vectors *v = scan->v;
    for (;;) {
        uint32_t g = atomic_fetch_add_explicit(&scan->next, 1, memory_order_relaxed);
        if (g >= v->segments_count)
            return NULL;
        const struct sl_vectors_segment *s = &v->segments[g];
        float *scores = scan->scores + (size_t)g * SL_VECTORS_SEGMENT_ROWS;
        uint32_t rows = rows_in(v, g);
        for (uint32_t i = 0; i < rows; i++)
            scores[i] = s->is_used[i] ? score_of(v, s, i, scan->probe) : 0;
    }
}

/* Cores to search with: 1 where one is enough. */
static uint32_t
threads_for(const struct sl_vectors *v)
{
    if ((uint64_t)v->slots_count * v->stride * sizeof(float) < PARALLEL_BYTES_MIN)
        return 1;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return (uint32_t)SL_MAX(1L, SL_MIN(cores, (long)THREADS_MAX));
}

/* A thread that cannot be had is one less: the caller's own is always there. */
static void
scan_all(const struct sl_vectors *v, const struct probe *p, uint32_t threads, float *scores)
{
    struct scan scan = {.v = v, .probe = p, .scores = scores};
    pthread_t others[THREADS_MAX];
    uint32_t started = 0;
    while (started + 1 < threads &&
           pthread_create(&others[started], NULL, scan_segments, &scan) == 0)
        started++;
    (void)scan_segments(&scan);
    for (uint32_t i = 0; i < started; i++)
        (void)pthread_join(others[i], NULL);
}

/* `scores` is NULL where each row's is computed here. */
static void
collect(const struct sl_vectors *v, const struct probe *p, const float *scores, struct top *top)
{
    for (uint32_t g = 0; g < v->segments_count; g++) {
        const struct sl_vectors_segment *s = &v->segments[g];
        uint32_t rows = rows_in(v, g);
        for (uint32_t i = 0; i < rows; i++) {
            if (!s->is_used[i])
                continue;
            float score = scores == NULL ? score_of(v, s, i, p)
                                         : scores[(size_t)g * SL_VECTORS_SEGMENT_ROWS + i];
            offer(top, (struct sl_vectors_hit){.id = s->ids[i], .score = score}, p->query);
        }
    }
}

static void
search_segments(const struct sl_vectors *v, const struct probe *p, struct top *top)
{
    uint32_t threads = threads_for(v);
    if (threads == 1) {
        collect(v, p, NULL, top);
        return;
    }
    float *scores = sl_alloc((size_t)v->segments_count * SL_VECTORS_SEGMENT_ROWS * sizeof(*scores));
    scan_all(v, p, threads, scores);
    collect(v, p, scores, top);
    sl_free(scores);
}

enum sl_err
sl_vectors_search(const struct sl_vectors *v, const struct sl_vectors_query *query,
                  struct sl_vectors_hit *hits, uint32_t *ret_count)
{
    sl_vectors_check(v);
    sl_assert(query != NULL && query->vector != NULL);
    sl_assert(hits != NULL && ret_count != NULL);
    float norm = 0;
    if (query->hits_max == 0 || query->hits_max > SL_VECTORS_HITS_MAX ||
        (unsigned)query->metric > SL_METRIC_L2 ||
        !sl_vectors_norm(query->vector, v->dimensions, &norm))
        return SL_EINVAL;
    /* One alignment more than needed, so that an aligned place is in it. */
    void *memory = sl_zalloc(v->stride * sizeof(float) + ROW_ALIGNMENT);
    uintptr_t misfit = (uintptr_t)memory % ROW_ALIGNMENT;
    float *padded = (void *)((uint8_t *)memory + ROW_ALIGNMENT - misfit);
    memcpy(padded, query->vector, v->dimensions * sizeof(*padded));
    struct top top = {.hits = hits, .capacity = query->hits_max};
    struct probe probe = {.query = query, .padded = padded, .norm = norm};
    search_segments(v, &probe, &top);
    sl_free(memory);
    if (top.count > 1)
        qsort(hits, top.count, sizeof(*hits), best_first);
    *ret_count = top.count;
    return SL_OK;
}
