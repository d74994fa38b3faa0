/* SPDX-License-Identifier: Apache-2.0 */
/* Searches of one large index beside each other, each on several threads. */
#include <pthread.h>
#include <stdio.h>

#include "object-store/vectors.h"
#include "runtime/random.h"

enum { ROWS = 6000, DIMENSIONS = 384, SEARCHES = 8, THREADS = 3 };

static struct sl_vectors *vectors;

static void
fill(struct sl_random *r, float *row)
{
    for (uint32_t i = 0; i < DIMENSIONS; i++)
        row[i] = (float)sl_random_below(r, 2001) / 1000.0f - 1.0f;
}

static void *
search(void *argument)
{
    struct sl_random r;
    float row[DIMENSIONS];
    sl_random_seed(&r, (uint64_t)(uintptr_t)argument);
    for (int i = 0; i < SEARCHES; i++) {
        struct sl_vectors_hit hits[10];
        uint32_t count = 0;
        fill(&r, row);
        struct sl_vectors_query query = {.vector = row, .hits_max = 10};
        if (sl_vectors_search(vectors, &query, hits, &count) != SL_OK || count != 10)
            return argument;
    }
    return NULL;
}

int
main(void)
{
    struct sl_random r;
    float row[DIMENSIONS];
    pthread_t threads[THREADS];
    int failed = sl_vectors_create(DIMENSIONS, &vectors) != SL_OK;
    sl_random_seed(&r, 1);
    for (uint32_t i = 0; i < ROWS && !failed; i++) {
        fill(&r, row);
        failed = sl_vectors_put(vectors, i, row) != SL_OK;
    }
    for (uintptr_t i = 0; i < THREADS; i++)
        failed |= pthread_create(&threads[i], NULL, search, (void *)(i + 1)) != 0;
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        failed |= pthread_join(threads[i], &result) != 0 || result != NULL;
    }
    sl_vectors_destroy(&vectors);
    puts(failed ? "not ok - searches beside each other" : "ok - searches beside each other");
    return failed;
}
